"""Entries in another order, or several times: flip, roll, rot90, repeat, and torch's other names for moved axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, Shape, axes, numpy_dtype, plain_array
from explain.ops.registry import block, composite
from explain.ops.shape import infer, integers


@block
class Flip(Op):
    """The entries along ``dims`` in reverse order."""

    name = "flip"
    functions = methods = ("flip",)
    kind = "index"
    rule = "flip"
    uses = ("",)
    backward_name = "FlipBackward0"
    samples = (Sample(((3,),), {"dims": (0,)}), Sample(((2, 3),), {"dims": (0, -1)}), Sample(((2, 3),), {"dims": ()}))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, *dims = args
        return (x,), {"dims": integers(tuple(dims), kwargs, "dims")}

    @staticmethod
    def turned(ndim: int, dims: tuple[int, ...]) -> tuple[int, ...]:
        """The axes that are turned: for no ``dims`` none."""
        return axes(dims, ndim) if dims else ()

    def forward(self, x: Any, *, dims: tuple[int, ...]) -> Any:
        return np.flip(x, self.turned(x.ndim, dims)).copy()[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        return (xp.flip(g, dims=dims),)

    def formula(self, s: Any, out: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
        turned = self.turned(x.ndim, dims)
        return x[tuple(n - 1 - i if k in turned else i for k, (i, n) in enumerate(zip(out, x.shape, strict=True)))]


def _pairs(shifts: Any, dims: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(
        [tuple(int(k) for k in given) if isinstance(given, tuple | list) else (int(given),) for given in (shifts, dims)]
    )  # type: ignore[return-value]


@block
class Roll(Op):
    """The entries along each axis of ``dims`` moved on by its shift; what leaves at the end comes in at the start."""

    name = "roll_axes"
    kind = "index"
    rule = "roll"
    uses = ("",)
    backward_name = "RollBackward0"
    samples = (
        Sample(((4,),), {"shifts": 1, "dims": 0}),
        Sample(((2, 3),), {"shifts": (1, -1), "dims": (0, 1)}),
        Sample(((2, 3),), {"shifts": 3, "dims": -1}),
    )

    @staticmethod
    def moved(shape: Shape, shifts: Any, dims: Any) -> dict[int, int]:
        """By how much each axis is moved on, counted from 0 to its size less 1. Raises torch's RuntimeError."""
        shifts, dims = _pairs(shifts, dims)
        if not shifts:
            raise RuntimeError("`shifts` required")
        if dims and not shape:
            raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
        if len(shifts) != len(dims):
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
        found: dict[int, int] = {}
        for shift, dim in zip(shifts, dims, strict=True):
            for axis in axes(dim, len(shape)):
                found[axis] = (found.get(axis, 0) + shift) % max(1, shape[axis])
        return found

    def forward(self, x: Any, *, shifts: Any, dims: Any) -> Any:
        moved = self.moved(x.shape, shifts, dims)
        return np.roll(x, tuple(moved.values()), tuple(moved))[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, shifts: Any, dims: Any) -> Any:
        back, over = _pairs(shifts, dims)
        return (xp.roll_axes(g, shifts=tuple(-k for k in back), dims=over),)

    def formula(self, s: Any, out: Any, x: Any, *, shifts: Any, dims: Any) -> Any:
        moved = self.moved(x.numbers, shifts, dims)
        place = [s.remainder(i - moved[k], x.shape[k]) if moved.get(k) else i for k, i in enumerate(out)]
        return x[tuple(place)]


def _roll(xp: Any, x: Any, *, shifts: Any, dims: Any = ()) -> Any:
    if dims == () or dims == []:
        given, _ = _pairs(shifts, 0)
        if not given:
            raise RuntimeError("`shifts` required")
        shift, *more = given
        if more:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {1 + len(more)}, dims:0")
        if x.ndim == 1:
            return xp.roll_axes(x, shifts=shift, dims=0)
        row = xp.roll_axes(xp.reshape(x, shape=(-1,) if all(x.shape) else (0,)), shifts=shift, dims=0)
        return xp.reshape(row, shape=tuple(x.shape))
    return xp.roll_axes(x, shifts=shifts, dims=dims)


composite(
    "roll", _roll, grad_fn="RollBackward0", functions=("roll",), methods=("roll",),
    samples=(Sample(((2, 3),), {"shifts": 1}), Sample(((2, 3),), {"shifts": 1, "dims": 0})),
)  # fmt: skip


@block
class Rot90(Op):
    """The plane of the two axes ``dims`` turned by ``k`` quarters of a circle, from the first axis towards the second."""

    name = "rot90"
    functions = methods = ("rot90",)
    kind = "index"
    rule = "rot90"
    uses = ("",)
    backward_name = "Rot90Backward0"
    samples = (Sample(((2, 3),)), Sample(((2, 3),), {"k": 2}), Sample(((2, 1, 3),), {"k": -1, "dims": (2, 0)}))

    @staticmethod
    def plane(ndim: int, dims: Any) -> tuple[int, int]:
        """The two axes. Raises torch's errors."""
        if len(dims) != 2:
            raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
        if ndim < 2:
            raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
        if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
            raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
        for d in dims:
            if not -ndim <= d < ndim:
                raise RuntimeError(f"Rotation dim{list(dims).index(d)} out of range, dim{list(dims).index(d)} = {d}")
        return dims[0] % ndim, dims[1] % ndim

    def forward(self, x: Any, *, k: int = 1, dims: Any = (0, 1)) -> Any:
        return np.rot90(x, k, self.plane(x.ndim, dims)).copy()

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, k: int = 1, dims: Any = (0, 1)) -> Any:
        return (xp.rot90(g, k=-k, dims=dims),)

    def formula(self, s: Any, out: Any, x: Any, *, k: int = 1, dims: Any = (0, 1)) -> Any:
        a, b = self.plane(x.ndim, dims)
        place = list(out)
        i, j = out[a], out[b]
        far_a, far_b = x.shape[a] - 1, x.shape[b] - 1
        place[a], place[b] = ((i, j), (j, far_b - i), (far_a - i, far_b - j), (far_a - j, i))[k % 4]
        return x[tuple(place)]


@block
class Repeat(Op):
    """The whole tensor repeated along each axis; ``repeats`` may name further axes in front."""

    name = "repeat"
    methods = ("repeat",)
    kind = "index"
    rule = "expand"
    uses = ("",)
    backward_name = "RepeatBackward0"
    samples = (
        Sample(((2,),), {"repeats": (3,)}),
        Sample(((2, 1),), {"repeats": (2, 3)}),
        Sample(((2,),), {"repeats": (2, 2)}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, *given = args
        repeats = integers(tuple(given), kwargs, "repeats")
        if len(repeats) < x.ndim:
            raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
        if any(n < 0 for n in repeats):
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(repeats)}: {list(repeats)}")
        return (x,), {"repeats": repeats}

    def forward(self, x: Any, *, repeats: tuple[int, ...]) -> Any:
        return np.tile(x, repeats) if repeats else x.copy()

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, repeats: tuple[int, ...]) -> Any:
        own = (1,) * (len(repeats) - x.ndim) + tuple(x.shape)
        pairs = [n for pair in zip(repeats, own, strict=True) for n in pair]
        if not repeats:
            return (g,)
        if 0 in repeats:
            return (np.zeros(x.shape, numpy_dtype(g)),)
        total = xp.sum(xp.reshape(g, shape=tuple(pairs)), dim=tuple(range(0, len(pairs), 2)))
        return (xp.reshape(total, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, *, repeats: tuple[int, ...]) -> Any:
        tail, times = out[len(out) - x.ndim :], repeats[len(out) - x.ndim :]
        place = [s.remainder(i, n) if r != 1 else i for i, n, r in zip(tail, x.shape, times, strict=True)]
        return x[tuple(place)]


def _tile(xp: Any, x: Any, *, dims: tuple[int, ...]) -> Any:
    return xp.repeat(x, repeats=(1,) * (x.ndim - len(dims)) + dims)


def _listed(option: str) -> Any:
    """Sorts a call whose sizes come as one tuple or one by one."""

    def bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not args:
            args = (kwargs.pop("input"),)
        x, *given = args
        return (x,), {option: integers(tuple(given), kwargs, option)}

    return bind


composite(
    "tile", _tile, functions=("tile",), methods=("tile",), bind=_listed("dims"),
    samples=(Sample(((2,),), {"dims": (2,)}), Sample(((2, 1),), {"dims": (3,)})),
)  # fmt: skip


@block
class RepeatEach(Op):
    """Every entry ``repeats`` times in a row along ``dim``."""

    name = "repeat_each"
    kind = "index"
    rule = "expand"
    uses = ("",)
    backward_name = "ViewBackward0"
    samples = (Sample(((3,),), {"repeats": 2, "dim": 0}), Sample(((2, 2),), {"repeats": 3, "dim": 1}))

    def forward(self, x: Any, *, repeats: int, dim: int) -> Any:
        return np.repeat(x, repeats, dim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, repeats: int, dim: int) -> Any:
        apart = xp.reshape(g, shape=(*x.shape[: dim + 1], repeats, *x.shape[dim + 1 :]))
        return (xp.sum(apart, dim=dim + 1),)

    def formula(self, s: Any, out: Any, x: Any, *, repeats: int, dim: int) -> Any:
        each = s.quotient(out[dim], repeats, x.shape[dim])
        return x[(*out[:dim], each if repeats > 1 else out[dim], *out[dim + 1 :])]


def _repeat_interleave(xp: Any, x: Any, *, repeats: Any, dim: int | None = None, output_size: int | None = None) -> Any:
    if dim is None:
        x, dim = xp.reshape(x, shape=(math.prod(x.shape),)), 0
    elif not x.ndim:
        x = xp.reshape(x, shape=(1,))
    (axis,) = axes(dim, x.ndim)
    n = x.shape[axis]
    if isinstance(repeats, int | np.integer):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        return xp.repeat_each(x, repeats=int(repeats), dim=axis)
    times = plain_array(repeats)
    if times.dtype.kind != "i":
        raise RuntimeError("repeats has to be Long or Int tensor")
    if times.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if times.size not in (1, n):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {times.size} and "
            f"input.size({axis}) = {n}"
        )
    if np.any(times < 0):
        raise RuntimeError("repeats can not be negative")
    positions = np.repeat(np.arange(n), np.broadcast_to(times.reshape(-1), (n,)))
    if output_size is not None and output_size != positions.size:
        raise RuntimeError("allocated size does not match required size")
    return xp.index_select(x, positions, dim=axis)


composite(
    "repeat_interleave", _repeat_interleave, functions=("repeat_interleave",), methods=("repeat_interleave",),
    samples=(Sample(((2,),), {"repeats": 2}), Sample(((2, 2),), {"repeats": 2, "dim": 0})),
)  # fmt: skip


# axes moved, and shapes taken from another tensor


def _movedim(xp: Any, x: Any, *, source: Any, destination: Any) -> Any:
    start, end = ((given,) if isinstance(given, int) else tuple(given) for given in (source, destination))
    if len(start) != len(end):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(start)} dims) should contain the same number of "
            f"dims as destination ({list(end)} dims)"
        )
    if not x.ndim:
        axes(start, 0), axes(end, 0)
        return xp.permute(x, dims=())
    moved: list[list[int]] = []
    for what, dims in (("source", start), ("destination", end)):
        found = [axis for d in dims for axis in axes(d, x.ndim)]
        if len(set(found)) != len(found):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(dims)})")
        moved.append(found)
    order = _order(x.ndim, *moved)
    return xp.permute(x, dims=order)


def _order(ndim: int, start: list[int], end: list[int]) -> tuple[int, ...]:
    order = [k for k in range(ndim) if k not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return tuple(order)


composite(
    "movedim", _movedim, functions=("movedim", "moveaxis"), methods=("movedim", "moveaxis"),
    samples=(Sample(((2, 3, 4),), {"source": 0, "destination": -1}),),
)  # fmt: skip
composite(
    "adjoint", lambda xp, x: xp.transpose(x, dim0=-2, dim1=-1), functions=("adjoint",), methods=("adjoint",),
    samples=(Sample(((2, 3),)),),
)  # fmt: skip
composite(
    "fliplr", lambda xp, x: xp.flip(_at_least(x, 2), dims=(1,)), functions=("fliplr",), methods=("fliplr",),
    samples=(Sample(((2, 3),)),),
)  # fmt: skip
composite(
    "flipud", lambda xp, x: xp.flip(_at_least(x, 1), dims=(0,)), functions=("flipud",), methods=("flipud",),
    samples=(Sample(((2, 3),)),),
)  # fmt: skip


def _at_least(x: Any, ndim: int) -> Any:
    if x.ndim < ndim:
        raise RuntimeError(f"Input must be >= {ndim}-d.")
    return x


def _unflatten(xp: Any, x: Any, *, dim: int, sizes: Any) -> Any:
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    (axis,) = axes(dim, x.ndim)
    n = x.shape[axis]
    try:
        inner = infer(tuple(sizes), n)
    except RuntimeError as error:
        if "is invalid for" not in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} ({n}) in the input tensor"
        ) from None
    return xp.reshape(x, shape=(*x.shape[:axis], *inner, *x.shape[axis + 1 :]))


composite(
    "unflatten", _unflatten, functions=("unflatten",), methods=("unflatten",),
    samples=(Sample(((2, 6),), {"dim": 1, "sizes": (2, 3)}),),
)  # fmt: skip
composite(
    "ravel", lambda xp, x: xp.reshape(x, shape=(math.prod(x.shape),)), functions=("ravel",), methods=("ravel",),
    samples=(Sample(((2, 3),)),),
)  # fmt: skip


def _as_other(op: str) -> Any:
    def compose(xp: Any, x: Any, *, other: Any) -> Any:
        return getattr(xp, op)(x, shape=tuple(other.shape))

    return compose


for _name, _op in (("expand_as", "expand"), ("view_as", "view"), ("reshape_as", "reshape")):
    composite(_name, _as_other(_op), methods=(_name,), samples=(Sample(((1,),), {"other": np.zeros((1,))}),))


def _contiguous(xp: Any, x: Any, *, memory_format: Any = None) -> Any:
    return x if plain_array(x).flags.c_contiguous else xp.clone(x)


composite("contiguous", _contiguous, methods=("contiguous",), samples=(Sample(((2, 3),)),))
