"""Diagonals and triangles of matrices: what lies on them taken out, put in, added, or kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, axes
from explain.ops.registry import block, composite, register


def _plane(ndim: int, dim1: int, dim2: int, name: str) -> tuple[int, int]:
    """The two axes of the matrices whose diagonals are meant. Raises torch's errors."""
    (a,), (b,) = axes(dim1, ndim) or (0,), axes(dim2, ndim) or (0,)
    if a == b or ndim < 2:
        where = f"{dim1}, {dim2}" if ndim >= 2 else f"{dim1}, {dim2} of a {ndim}-D tensor"
        raise RuntimeError(f"{name}(): diagonal dimensions cannot be identical {where}")
    return a, b


def _length(rows: int, columns: int, offset: int) -> int:
    """How many entries a diagonal has."""
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def _put(x: Any, shape: Shape, offset: int, a: int, b: int) -> Any:
    """Zeros with the last axis of x on the diagonals of the matrices that lie in the axes a and b."""
    out = np.zeros(shape, x.dtype)
    k = np.arange(_length(shape[a], shape[b], offset))
    np.moveaxis(out, (a, b), (-2, -1))[..., k - min(0, offset), k + max(0, offset)] = x
    return out


class _OnDiagonal(Op):
    kind = "index"
    uses = ("",)

    @staticmethod
    def entry(s: Any, out: Any, x: Any, offset: int, a: int, b: int) -> Any:
        """The entry of x, whose last axis is the diagonal, that lies at ``out``; 0 beside the diagonal."""
        i, j = out[a], out[b]
        rest = [index for k, index in enumerate(out) if k not in (a, b)]
        bracket = s.equal(j, i + offset) if offset >= 0 else s.equal(i, j - offset)
        return s.indicator(bracket) * x[(*rest, i if offset >= 0 else j)]


class Diagonal(_OnDiagonal):
    """The entries x[i, i + offset] of matrices, which lie in the axes ``dim1`` and ``dim2``; the diagonal comes last."""

    rule = "diagonal"
    views = True
    samples = (
        Sample(((2, 3),)),
        Sample(((3, 3),), {"offset": -1}),
        Sample(((2, 2, 3),), {"offset": 1, "dim1": -1, "dim2": 0}),
    )

    def __init__(self, name: str, functions: tuple[str, ...], methods: tuple[str, ...], backward_name: str) -> None:
        self.name, self.functions, self.methods, self.backward_name = name, functions, methods, backward_name
        self.views = name == "diagonal"
        super().__init__()

    def forward(self, x: Any, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        a, b = _plane(x.ndim, dim1, dim2, "diagonal")
        y: Any = np.diagonal(x, offset, a, b)
        if not self.views:
            return y.copy()
        y.flags.writeable = x.flags.writeable
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        return (xp.put_diagonal(g, shape=tuple(x.shape), offset=offset, dim1=dim1, dim2=dim2),)

    def formula(self, s: Any, out: Any, x: Any, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        a, b = _plane(x.ndim, dim1, dim2, "diagonal")
        *rest, k = out
        if not all(x.numbers):
            return s.zero
        place: list[Any] = []
        others = iter(rest)
        for axis in range(x.ndim):
            on_diagonal = {a: k - min(0, offset), b: k + max(0, offset)}
            place.append(on_diagonal[axis] if axis in on_diagonal else next(others))
        return x[tuple(place)]


register(Diagonal("diagonal", ("diagonal",), ("diagonal",), "DiagonalBackward0"))
register(Diagonal("diagonal_copy", ("diagonal_copy",), (), "DiagonalBackward0_copy"))


@block
class PutDiagonal(_OnDiagonal):
    """Zeros of ``shape`` with the entries of g on a diagonal. The transpose of taking the diagonal."""

    name = "put_diagonal"
    rule = "on_diagonal"
    backward_name = "DiagonalBackwardBackward0"
    samples = (
        Sample(((2,),), {"shape": (2, 3)}),
        Sample(((2, 1),), {"shape": (2, 2, 3), "offset": 1, "dim1": -1, "dim2": 0}),
    )

    def forward(self, g: Any, *, shape: Shape, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        return _put(g, shape, offset, *_plane(len(shape), dim1, dim2, "diagonal"))

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, shape: Shape, offset: int = 0, dim1: int = 0, dim2: int = 1
    ) -> Any:
        return (xp.diagonal(g, offset=offset, dim1=dim1, dim2=dim2),)

    def formula(self, s: Any, out: Any, g: Any, *, shape: Shape, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        return self.entry(s, out, g, offset, *_plane(len(shape), dim1, dim2, "diagonal"))


@block
class DiagEmbed(_OnDiagonal):
    """Square matrices, in the axes ``dim1`` and ``dim2``, with the last axis of x on a diagonal and zeros elsewhere."""

    name = "diag_embed"
    functions = methods = ("diag_embed",)
    rule = "on_diagonal"
    backward_name = "DiagEmbedBackward0"
    samples = (
        Sample(((3,),)),
        Sample(((2,),), {"offset": -1}),
        Sample(((2, 2),), {"offset": 1, "dim1": 0, "dim2": -1}),
    )

    @staticmethod
    def target(shape: Shape, offset: int, dim1: int, dim2: int) -> tuple[Shape, int, int]:
        """The shape of the result, and the two axes of its matrices."""
        (a,), (b,) = axes(dim1, len(shape) + 1), axes(dim2, len(shape) + 1)
        if a == b:
            raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
        side = shape[-1] + abs(offset)
        rest = iter(shape[:-1])
        return tuple(side if k in (a, b) else next(rest) for k in range(len(shape) + 1)), a, b

    def forward(self, x: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        shape, a, b = self.target(x.shape, offset, dim1, dim2)
        return _put(x, shape, offset, a, b)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        return (xp.diagonal(g, offset=offset, dim1=dim1, dim2=dim2),)

    def formula(self, s: Any, out: Any, x: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        _, a, b = self.target(x.numbers, offset, dim1, dim2)
        return self.entry(s, out, x, offset, a, b)


@block
class Trace(Op):
    """The sum of the diagonal entries of a matrix."""

    name = "trace"
    functions = methods = ("trace",)
    kind = "reduction"
    rule = "trace"
    uses = ("",)
    backward_name = "TraceBackward0"
    samples = (Sample(((3, 3),)), Sample(((2, 3),)))

    def forward(self, x: Any) -> Any:
        if x.ndim != 2:
            raise RuntimeError("trace: expected a matrix, but got tensor with dim " + str(x.ndim))
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)
        return x.dtype.type(np.trace(x))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any) -> Any:
        return (xp.put_diagonal(xp.expand(g, shape=(min(x.shape),)), shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any) -> Any:
        i = s.index(x.shape[0] if x.numbers[0] <= x.numbers[1] else x.shape[1])
        return s.total(x[i, i], i)


class Triangle(Op):
    """A matrix (or each of several) with zeros above, or below, the diagonal j = i + ``diagonal``."""

    kind = "index"
    rule = "triangle"
    uses = ("",)
    in_place = True
    samples = (Sample(((3, 3),)), Sample(((2, 3),), {"diagonal": 1}), Sample(((2, 2, 2),), {"diagonal": -1}))

    def __init__(self, name: str, keep: Any) -> None:
        self.name, self._keep = name, keep
        self.functions = self.methods = (name,)
        self.backward_name = f"{name.capitalize()}Backward0"
        super().__init__()

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"lower": self.name == "tril"}

    def forward(self, x: Any, *, diagonal: int = 0) -> Any:
        if x.ndim < 2:
            raise RuntimeError(f"{self.name}: input tensor must have at least 2 dimensions")
        return self._keep(x, diagonal)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, diagonal: int = 0) -> Any:
        return (getattr(xp, self.name)(g, diagonal=diagonal),)

    def formula(self, s: Any, out: Any, x: Any, *, diagonal: int = 0) -> Any:
        *_, i, j = out
        kept = j <= i + diagonal if self.name == "tril" else j >= i + diagonal
        return s.indicator(kept) * x[out]


register(Triangle("tril", np.tril))
register(Triangle("triu", np.triu))


def _diag(xp: Any, x: Any, *, diagonal: int = 0) -> Any:
    if x.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {x.ndim}D")
    return xp.diag_embed(x, offset=diagonal) if x.ndim == 1 else xp.diagonal_copy(x, offset=diagonal)


composite(
    "diag", _diag, functions=("diag",), methods=("diag",), samples=(Sample(((3,),)), Sample(((2, 3),), {"diagonal": 1}))
)
composite(
    "diagflat",
    lambda xp, x, *, offset=0: xp.diag_embed(xp.reshape(x, shape=(-1,)), offset=offset),
    functions=("diagflat",), methods=("diagflat",), samples=(Sample(((2, 2),)),),
)  # fmt: skip
composite(
    "linalg_diagonal",
    lambda xp, A, *, offset=0, dim1=-2, dim2=-1: xp.diagonal(A, offset=offset, dim1=dim1, dim2=dim2),
    functions=("linalg.diagonal",), samples=(Sample(((2, 3),)),),
)  # fmt: skip
