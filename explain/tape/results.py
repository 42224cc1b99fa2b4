"""Results with names, as torch returns them for some ops: ``x.max(dim=0).values``."""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import Any

from explain.ops.base import Op


class NamedResult(tuple[Any, ...]):
    """Several tensors in a tuple whose parts have names, too."""

    __slots__ = ()
    fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        parts = [f"{name}={part!r}" for name, part in zip(self.fields, self, strict=True)]
        return f"torch.return_types.{type(self).__name__}(\n" + ",\n".join(parts) + ")"

    def __reduce__(self) -> Any:
        return tuple, (tuple(self),)


@cache
def result_type(op: Op) -> type[NamedResult]:
    """The type of what torch returns for an op whose outputs have names."""
    names = {name: property(itemgetter(k)) for k, name in enumerate(op.fields)}
    torch_name = (op.functions or op.methods or (op.name,))[0].replace(".", "_")
    own = {"__slots__": (), "__module__": "torch.return_types", "fields": op.fields, "n_fields": len(op.fields), **names}
    return type(torch_name, (NamedResult,), own)
