"""``Parameter``: a tensor that a module counts among its own."""

from __future__ import annotations

from typing import Any

from explain.tape.tensor import Tensor, alias, leaf
from explain.torch.creation import zeros


class Parameter(Tensor):
    """A leaf that requires gradients unless told otherwise, and shares its data's memory."""

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Any:
        given = zeros(0) if data is None else data
        if not isinstance(given, Tensor):
            raise TypeError(f"Parameter data must be a Tensor, not {type(given).__name__}")
        alias(given)
        made = leaf(given.array, requires_grad, cls)
        made.memory = given.version
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer:
    """``nn.Buffer(t)``: a tensor that a module keeps without learning it."""

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        made = zeros(0) if data is None else data
        made.__dict__["_is_buffer"] = True
        made.__dict__["persistent"] = persistent
        return made


class UninitializedParameter:
    """Lazy parameters are not served. Raises NotImplementedError."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("lazy modules, whose sizes are found out at the first call, are not served here")
