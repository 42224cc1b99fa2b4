"""Operations that choose entries: maxima and minima, sorting, selection by a mask, and argmax, which has no derivative.

The derivative of a choice sends the cotangent back to what was chosen. Formulas read the chosen positions from index
arrays that forward gives; where PyTorch shares between ties, the op says so itself.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from explain.ops.base import (
    NoMatch,
    Op,
    Options,
    Sample,
    Shape,
    axes,
    broadcast_error,
    numpy_dtype,
    plain_array,
    refuse_empty,
)
from explain.ops.reductions import spread
from explain.ops.registry import block, composite, register


def is_tie(x: Any, y: Any, over: tuple[int, ...]) -> Any:
    """Where several entries along the axes are equal to y, with the axes kept."""
    return np.add.reduce(x == y, axis=over, keepdims=True) > 1


class Extremum(Op):
    """The largest or smallest entry over all axes (or over ``dim`` for amax and amin); ties share evenly."""

    kind = "choice"
    rule = "extremum"
    uses = ("x y",)
    samples: tuple[Sample, ...] = (Sample(((2, 3),)), Sample(((3,),)), Sample(((),)))

    def __init__(self, name: str, torch_name: str, ufunc: np.ufunc, backward_name: str, by_dim: bool) -> None:
        self.name, self.ufunc, self.backward_name, self.by_dim = name, ufunc, backward_name, by_dim
        self.functions = self.methods = (torch_name,)
        self.latex = r"\max" if ufunc is np.maximum else r"\min"
        if by_dim:
            self.samples = (
                *self.samples,
                Sample(((2, 3),), {"dim": 0}),
                Sample(((2, 3),), {"dim": (0, 1), "keepdim": True}),
            )
        self.special = {"tie": self._ties}
        super().__init__()

    def _ties(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        return is_tie(x, self.ufunc.reduce(x, axis=over, keepdims=True), over)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not self.by_dim and len(args) + len(kwargs) > 1:
            raise NoMatch(f"{self.functions[0]}() of all entries takes one tensor")
        return super().bind(*args, **kwargs)

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.size == 0 and (dim is None or dim == ()):
            raise RuntimeError(
                f"{self.functions[0]}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        if x.size == 0:
            refuse_empty(self.name, x.shape, dim)
        return self.ufunc.reduce(x, axis=axes(dim, x.ndim), keepdims=keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        g, y = (spread(xp, t, x.shape, dim, keepdim) for t in (g, y))
        chosen = xp.equal(x, y)
        if not self.by_dim:  # of nans, too, each is a maximum
            chosen = xp.logical_or(chosen, xp.logical_and(xp.not_equal(x, x), xp.not_equal(y, y)))
        hit = xp.to(chosen, dtype=numpy_dtype(g))
        return (g * (hit / xp.sum(hit, dim=axes(dim, x.ndim), keepdim=True)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction(self.name, x[place], *bound)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """One for the entry that was chosen, shared evenly among equal ones."""
        return s.indicator(s.equal(at, y)) / s.total(s.indicator(s.equal(body, y)), *bound)


register(Extremum("max", "max", np.maximum, "MaxBackward1", False))
register(Extremum("min", "min", np.minimum, "MinBackward1", False))
register(Extremum("amax", "amax", np.maximum, "AmaxBackward0", True))
register(Extremum("amin", "amin", np.minimum, "AminBackward0", True))


class Picked(Op):
    """Values and the positions they were picked from: shared by max and min over an axis, and by sort."""

    kind = "choice"
    outputs = 2
    fields = ("values", "indices")
    uses = ("y",)
    samples: tuple[Sample, ...] = (Sample(((2, 3),), {"dim": 0}), Sample(((2, 3),), {"dim": -1}))
    letter: ClassVar[str] = "a"

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return {self.letter: y[1]}

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, **options: Any) -> Any:
        options = self.complete(options)
        (axis,) = axes(options["dim"], x.ndim) or (0,)
        g0, picked = (xp.reshape(t, shape=self.at_axis(x.shape, t, axis)) if x.ndim else t for t in (g[0], y[1]))
        return (xp.put_along(g0, picked, dim=axis, shape=x.shape),)

    @staticmethod
    def at_axis(shape: tuple[int, ...], t: Any, axis: int) -> tuple[int, ...]:
        return tuple(t.shape) if t.ndim == len(shape) else (*shape[:axis], 1, *shape[axis + 1 :])

    def formula(self, s: Any, out: Any, x: Any, **options: Any) -> Any:
        options = self.complete(options)
        picked = s.given(self.letter)[out]
        if not x.ndim:
            return x[()], None
        (axis,) = axes(options["dim"], x.ndim)
        kept = options.get("keepdim", True)
        rest = [index for k, index in enumerate(out) if not (kept and k == axis)]
        return x[(*rest[:axis], picked, *rest[axis:])], None


class ExtremumOfAxis(Picked):
    """The largest or smallest entry along ``dim`` with its position; of equal ones the first, which gets all."""

    rule = "extremum_of_axis"

    def __init__(self, name: str, torch_name: str, backward_name: str) -> None:
        self.name, self.backward_name = name, backward_name
        self.functions = self.methods = (torch_name,)
        self.samples = (*Picked.samples, Sample(((2, 3),), {"dim": 1, "keepdim": True}))
        self.special = {"tie": self._ties}
        self._find = np.argmax if torch_name == "max" else np.argmin
        self._ufunc = np.maximum if torch_name == "max" else np.minimum
        super().__init__()

    def _ties(self, x: Any, *, dim: int, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        return is_tie(x, self._ufunc.reduce(x, axis=over, keepdims=True), over)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if not isinstance(options["dim"], int | np.integer):
            raise NoMatch(f"{self.functions[0]}() along an axis takes an integer dim")
        return ins, options

    def forward(self, x: Any, *, dim: int, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        if not over:
            return x[()], np.int64(0)
        (axis,) = over
        if x.shape[axis] == 0:
            refuse_empty(self.functions[0], x.shape, axis)
        at = np.expand_dims(self._find(x, axis=axis), axis)
        values = np.take_along_axis(x, at, axis)
        return (values, at) if keepdim else (values.squeeze(axis)[()], at.squeeze(axis)[()])


register(ExtremumOfAxis("max_dim", "max", "MaxBackward0"))
register(ExtremumOfAxis("min_dim", "min", "MinBackward0"))


def _larger(xp: Any, a: Any, b: Any) -> Any:
    """``torch.max`` of two tensors: the larger entries."""
    return xp.maximum(a, b)


def _smaller(xp: Any, a: Any, b: Any) -> Any:
    """``torch.min`` of two tensors: the smaller entries."""
    return xp.minimum(a, b)


for _name, _compose in (("max", _larger), ("min", _smaller)):
    composite(
        f"{_name}_of_two", _compose, functions=(_name,), methods=(_name,), numbers=(), samples=(Sample(((2, 3), (3,))),)
    )  # fmt: skip


@block
class Sort(Picked):
    """The entries in order along ``dim``, with the positions they came from."""

    name = "sort"
    functions = methods = ("sort",)
    rule = "sort"
    letter = "a"
    backward_name = "SortBackward0"
    special = MappingProxyType(
        {
            "tie": lambda x, dim=-1, descending=False, stable=False: (
                np.diff(np.sort(x, axis=dim), axis=dim) == 0 if x.ndim else np.zeros(0, bool)
            )
        }
    )
    samples = (*Picked.samples, Sample(((4,),), {"descending": True}))

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "SortBackward1" if "stable" in options else "SortBackward0"

    def forward(self, x: Any, *, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
        over = axes(dim, x.ndim)
        if not over:
            return x[()], np.int64(0)
        (axis,) = over
        if descending:  # read from the far end, so that equal entries keep their order
            order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
        else:
            order = np.argsort(x, axis=axis, kind="stable")
        return np.take_along_axis(x, order, axis), order


@block
class MaskedSelect(Op):
    """The entries of x where the mask is true, in one row: how many there are depends on the data."""

    name = "masked_select"
    functions = methods = ("masked_select",)
    kind = "choice"
    rule = "masked_select"
    backward_name = "MaskedSelectBackward0"
    uses = ("mask", "")
    reads_values = (1,)
    samples = (
        Sample(((2, 3), np.array([[True, False, True], [False, False, True]]))),
        Sample(((2, 3), np.array([True, False, True]))),
        Sample(((3,), np.array([False, False, False]))),
    )

    def forward(self, x: Any, mask: Any) -> Any:
        if mask.dtype.kind != "b":
            raise RuntimeError("masked_select: expected BoolTensor for mask")
        x, mask = np.broadcast_arrays(x, mask)
        return x[mask]

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes[::-1])

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, mask = ins
        shape = np.broadcast_shapes(x.shape, mask.shape)
        where = np.nonzero(np.broadcast_to(mask, shape))[len(shape) - x.ndim :]
        return {f"p{k}": np.where(n == 1, 0, w) for k, (w, n) in enumerate(zip(where, x.shape, strict=True))}

    def picks_by(self, shapes: tuple[Shape, ...]) -> int | None:
        """Which input is a mask that is true at p0, p1, …: none where one of the two is broadcast."""
        x, mask = shapes
        return 1 if x == mask else None

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, mask: Any) -> Any:
        shape = np.broadcast_shapes(tuple(x.shape), tuple(mask.shape))
        positions = np.nonzero(np.broadcast_to(plain_array(mask), shape or (1,)))
        spread_out = xp.reshape(xp.put_at(g, *positions, shape=shape or (1,)), shape=shape)
        return (spread_out if shape == x.shape else xp.sum_to(spread_out, shape=x.shape)), None

    def formula(self, s: Any, out: Any, x: Any, mask: Any) -> Any:
        return x[tuple(s.given(f"p{k}")[out] for k in range(x.ndim))]


@block
class PutAt(Op):
    """Zeros of ``shape`` with g added at the given positions, one index array per axis."""

    name = "put_at"
    kind = "index"
    rule = "scatter"
    backward_name = "IndexPutBackward0"
    uses = ("*",)
    samples = (Sample(((3,), np.array([0, 1, 1]), np.array([2, 0, 0])), {"shape": (2, 3)}),)

    def forward(self, *ins: Any, shape: tuple[int, ...]) -> Any:
        g, *positions = ins
        out = np.zeros(shape, g.dtype)
        np.add.at(out, tuple(positions), g)
        return out[()]

    def vjp(self, xp: Any, needs: Any, upstream: Any, y: Any, *ins: Any, shape: tuple[int, ...]) -> Any:
        _, *positions = ins
        return (xp.get_at(upstream, *positions), *[None] * len(positions))

    def formula(self, s: Any, out: Any, *ins: Any, shape: tuple[int, ...]) -> Any:
        g, *positions = ins
        bound = [s.index(size) for size in g.shape]
        hits = [s.indicator(s.equal(p[tuple(bound)], o)) for p, o in zip(positions, out, strict=True)]
        return s.total(s.product([g[tuple(bound)], *hits]), *bound)


@block
class GetAt(Op):
    """The entries at the given positions, one index array per axis."""

    name = "get_at"
    kind = "index"
    rule = "gather"
    backward_name = "IndexBackward0"
    uses = ("*",)
    samples = (Sample(((2, 3), np.array([0, 1, 1]), np.array([2, 0, 0]))),)

    def forward(self, *ins: Any) -> Any:
        x, *positions = ins
        return x[tuple(positions)]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, *ins: Any) -> Any:
        x, *positions = ins
        return (xp.put_at(g, *positions, shape=tuple(x.shape)), *[None] * len(positions))

    def formula(self, s: Any, out: Any, *ins: Any) -> Any:
        x, *positions = ins
        return x[tuple(p[out] for p in positions)]


class Position(Op):
    """The position of the largest or smallest entry: an integer, so nothing flows back through it."""

    kind = "constant"
    differentiable = False
    samples = (Sample(((2, 3),)), Sample(((2, 3),), {"dim": 1}))

    def __init__(self, name: str, find: Any, instead: tuple[str, ...]) -> None:
        self.name, self.instead = name, instead
        self.functions = self.methods = (name,)
        self._find = find
        super().__init__()

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind == "b":
            raise RuntimeError(f"{self.name}(): does not support bool input")
        if x.size == 0 and dim is None:
            raise IndexError(f"{self.name}(): Expected reduction dim to be specified for input.numel() == 0.")
        if x.size == 0:
            refuse_empty(self.name, x.shape, axes(dim, x.ndim))
        if dim is None or (x.ndim == 0 and not axes(dim, 0)):
            at = np.asarray(self._find(x), np.int64)
            return at.reshape((1,) * x.ndim) if keepdim else at[()]
        (axis,) = axes(dim, x.ndim)
        return np.asarray(self._find(x, axis=axis, keepdims=keepdim), np.int64)[()]


register(Position("argmax", np.argmax, ("amax", "softmax")))
register(Position("argmin", np.argmin, ("amin", "softmin")))
