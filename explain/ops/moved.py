"""Shape operations as their in-place twins: the same mathematics under the names that torch gives their nodes."""

from __future__ import annotations

from typing import Any

from explain.ops.base import Options, Shape
from explain.ops.registry import block
from explain.ops.shape import Squeeze, TFunction, Transpose, Unsqueeze


@block
class TransposeInPlace(type(Transpose)):  # type: ignore[misc]
    """Two axes swapped, in place."""

    name = "transpose_"
    functions = methods = ()
    backward_name = "TransposeBackward1"


@block
class TInPlace(type(TFunction)):  # type: ignore[misc]
    """The transpose of a matrix, in place."""

    name = "t_"
    functions = methods = ()
    backward_name = "TBackward1"

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any) -> Any:
        return (xp.t(g),)


@block
class SqueezeInPlace(type(Squeeze)):  # type: ignore[misc]
    """Axes of size 1 dropped, in place."""

    name = "squeeze_"
    functions = methods = ()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        dim = options.get("dim")
        return f"SqueezeBackward{3 if dim is None else 5 if isinstance(dim, tuple | list) else 4}"


@block
class UnsqueezeInPlace(type(Unsqueeze)):  # type: ignore[misc]
    """An axis of size 1 put in, in place."""

    name = "unsqueeze_"
    functions = methods = ()
    backward_name = "UnsqueezeBackward1"
