"""Operations that move entries: reshape, transposes, indexing and slicing. Every output entry is one input entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Options, Sample, Shape, axes
from explain.ops.registry import block, register


def integers(args: tuple[Any, ...], kwargs: dict[str, Any], key: str) -> tuple[int, ...]:
    """Sizes or axes of a call, given one by one, as one tuple, or as the option ``key``. Raises NoMatch."""
    if key in kwargs:
        args = (kwargs.pop(key),)
    if kwargs:
        raise NoMatch(f"unknown option {', '.join(map(repr, kwargs))}")
    found = tuple(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else args
    if not all(isinstance(n, int | np.integer) for n in found):
        raise NoMatch("sizes and axes are integers")
    return tuple(int(n) for n in found)


def infer(shape: tuple[int, ...], count: int) -> Shape:
    """A requested shape with its -1 filled in. Raises torch's RuntimeErrors."""
    for k, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {k} of shape {list(shape)}")
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape and not known and not count:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be "
            "any value and is ambiguous"
        )
    if -1 in shape and known and count % known == 0:
        return tuple(count // known if n == -1 else n for n in shape)
    if math.prod(shape) != count or -1 in shape:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return shape


class Reshape(Op):
    """The same entries, read row by row, in another shape."""

    name = "reshape"
    functions: tuple[str, ...] = ("reshape",)
    methods = ("reshape",)
    kind = "index"
    rule = "reshape"
    backward_name = "ViewBackward0"
    uses = ("",)
    views = True
    samples = (
        Sample(((2, 3),), {"shape": (3, 2)}), Sample(((2, 3),), {"shape": (6,)}), Sample(((6,),), {"shape": (2, 3)}),
        Sample(((2, 2, 3),), {"shape": (4, -1)}), Sample(((1,),), {"shape": ()}), Sample(((0, 3),), {"shape": (3, 0)}),
    )  # fmt: skip

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, *sizes = args
        return (x,), {"shape": infer(integers(tuple(sizes), kwargs, "shape"), math.prod(x.shape))}

    def forward(self, x: Any, *, shape: Shape) -> Any:
        return x.reshape(infer(shape, x.size))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, shape: Shape) -> Any:
        return (xp.reshape(g, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, *, shape: Shape) -> Any:
        return x[s.refolded(out, infer(shape, math.prod(x.numbers)), x.shape)]


register(Reshape())


@block
class View(Reshape):
    """Like reshape, but never a copy: refused where the entries do not lie in memory as the new shape needs them."""

    name = "view"
    functions = ()
    methods = ("view",)

    def forward(self, x: Any, *, shape: Shape) -> Any:
        y = x.reshape(infer(shape, x.size))
        if x.size and isinstance(x, np.ndarray) and not np.may_share_memory(x, y):
            raise RuntimeError(
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
                "contiguous subspaces). Use .reshape(...) instead."
            )
        return y


@block
class Flatten(Op):
    """All entries (or the axes from ``start_dim`` to ``end_dim``) in one row."""

    name = "flatten"
    functions = methods = ("flatten",)
    kind = "index"
    rule = "reshape"
    backward_name = "ViewBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((2, 3),)), Sample(((2, 3, 2),), {"start_dim": 1}), Sample(((2, 3, 2),), {"end_dim": 1}))

    @staticmethod
    def shape(shape: Shape, start: int, end: int) -> Shape:
        (first,), (last,) = (axes(d, len(shape)) or (0,) for d in (start, end))
        if not shape:
            return (1,)
        if first > last:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])

    def unchanged(self, shapes: tuple[Shape, ...], options: Options) -> bool:
        (shape,), given = shapes, self.complete(options)
        return bool(shape) and axes(given["start_dim"], len(shape)) == axes(given["end_dim"], len(shape))

    def forward(self, x: Any, *, start_dim: int = 0, end_dim: int = -1) -> Any:
        return x.reshape(self.shape(x.shape, start_dim, end_dim))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, start_dim: int = 0, end_dim: int = -1) -> Any:
        return (xp.reshape(g, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, *, start_dim: int = 0, end_dim: int = -1) -> Any:
        return x[s.refolded(out, self.shape(x.numbers, start_dim, end_dim), x.shape)]


@block
class Permute(Op):
    """The axes in another order."""

    name = "permute"
    functions = methods = ("permute",)
    kind = "index"
    rule = "transpose"
    backward_name = "PermuteBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((2, 3),), {"dims": (1, 0)}), Sample(((2, 3, 4),), {"dims": (2, 0, 1)}))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, *dims = args
        order = integers(tuple(dims), kwargs, "dims")
        self.check(x.ndim, order)
        return (x,), {"dims": tuple(d % x.ndim for d in order)}

    def forward(self, x: Any, *, dims: tuple[int, ...]) -> Any:
        self.check(x.ndim, dims)
        return x.transpose(dims)

    @staticmethod
    def check(ndim: int, dims: tuple[int, ...]) -> None:
        """Raise torch's error unless ``dims`` names each axis once."""
        if len(dims) != ndim:
            raise RuntimeError(
                "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
                f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
            )
        if len({axis for d in dims for axis in axes(d, ndim)}) != ndim:
            raise RuntimeError("permute(): duplicate dims are not allowed.")

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        return (xp.permute(g, dims=tuple(dims.index(k) for k in range(len(dims)))),)

    def formula(self, s: Any, out: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        return x[tuple(out[dims.index(k)] for k in range(len(dims)))]


@block
class Transpose(Op):
    """Two axes swapped."""

    name = "transpose"
    functions = methods = ("transpose", "swapaxes", "swapdims")
    kind = "index"
    rule = "transpose"
    backward_name = "TransposeBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((2, 3),), {"dim0": 0, "dim1": 1}), Sample(((2, 3, 4),), {"dim0": 0, "dim1": -1}))

    @staticmethod
    def exchanged(ndim: int, dim0: int, dim1: int) -> tuple[int, ...]:
        (a,), (b,) = axes(dim0, ndim) or (0,), axes(dim1, ndim) or (0,)
        dims = list(range(ndim))
        if ndim:
            dims[a], dims[b] = b, a
        return tuple(dims)

    def forward(self, x: Any, *, dim0: int, dim1: int) -> Any:
        return x.transpose(self.exchanged(x.ndim, dim0, dim1))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim0: int, dim1: int) -> Any:
        return (xp.transpose(g, dim0=dim0, dim1=dim1),)

    def formula(self, s: Any, out: Any, x: Any, *, dim0: int, dim1: int) -> Any:
        order = self.exchanged(x.ndim, dim0, dim1)
        return x[tuple(out[k] for k in order)]


class _Reversed(Op):
    kind = "index"
    rule = "transpose"
    uses = ("",)
    views = True
    samples = (Sample(((2, 3),)), Sample(((3,),)))

    def forward(self, x: Any) -> Any:
        return x.transpose()

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any) -> Any:
        return (getattr(xp, self.name)(g),)

    def formula(self, s: Any, out: Any, x: Any) -> Any:
        return x[tuple(reversed(out))]


@block
class T(_Reversed):
    """All axes reversed: the transpose of a matrix."""

    name = "T"
    attributes = ("T",)
    backward_name = "PermuteBackward0"


@block
class TFunction(_Reversed):
    """The transpose of a matrix, as a function; vectors stay as they are."""

    name = "t"
    functions = methods = ("t",)
    backward_name = "TBackward0"

    def forward(self, x: Any) -> Any:
        if x.ndim > 2:
            raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {x.ndim}D")
        return x.transpose()


@block
class MT(Op):
    """The last two axes swapped."""

    name = "mT"
    attributes = ("mT",)
    kind = "index"
    rule = "transpose"
    backward_name = "TransposeBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((2, 3),)), Sample(((2, 3, 4),)))

    def unchanged(self, shapes: tuple[Shape, ...], options: Options) -> bool:
        return not shapes[0]

    def forward(self, x: Any) -> Any:
        if x.ndim == 0:
            return x.transpose()
        if x.ndim == 1:
            raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {x.ndim}-D tensor.")
        return x.mT

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any) -> Any:
        return (xp.mT(g),)

    def formula(self, s: Any, out: Any, x: Any) -> Any:
        if not x.ndim:
            return x[()]
        *batch, i, j = out
        return x[(*batch, j, i)]


@block
class Squeeze(Op):
    """Axes of size 1 dropped: all of them, or those in ``dim``."""

    name = "squeeze"
    functions = methods = ("squeeze",)
    kind = "index"
    rule = "reshape"
    uses = ("",)
    views = True
    backward_name = "SqueezeBackward0"
    samples = (Sample(((2, 1, 3),)), Sample(((1, 2, 1),), {"dim": 0}), Sample(((2, 3),), {"dim": 1}))

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        dim = options.get("dim")
        return (
            "SqueezeBackward0"
            if dim is None
            else "SqueezeBackward2"
            if isinstance(dim, tuple | list)
            else "SqueezeBackward1"
        )

    @staticmethod
    def dropped(shape: Shape, dim: Any) -> tuple[int, ...]:
        return tuple(k for k in axes(dim, len(shape)) if shape[k] == 1) if dim != () else ()

    def forward(self, x: Any, *, dim: Any = None) -> Any:
        return np.squeeze(x, axis=self.dropped(x.shape, dim))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None) -> Any:
        return (xp.reshape(g, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None) -> Any:
        dropped = self.dropped(x.numbers, dim)
        rest = iter(out)
        return x[tuple(s.zero if k in dropped else next(rest) for k in range(x.ndim))]


@block
class Unsqueeze(Op):
    """An axis of size 1 put in."""

    name = "unsqueeze"
    functions = methods = ("unsqueeze",)
    kind = "index"
    rule = "reshape"
    backward_name = "UnsqueezeBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((3,),), {"dim": 0}), Sample(((2, 3),), {"dim": -1}))

    def forward(self, x: Any, *, dim: int) -> Any:
        (axis,) = axes(dim, x.ndim + 1)
        return np.expand_dims(x, axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int) -> Any:
        return (xp.reshape(g, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: int) -> Any:
        (axis,) = axes(dim, x.ndim + 1)
        return x[tuple(index for k, index in enumerate(out) if k != axis)]
