"""What writing in place does to a tensor, as operations: overwritten entries, copies, other looks at the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Array, Op, Options, Sample, Shape, plain_array
from explain.ops.entrywise import elementwise
from explain.ops.registry import block, composite

ZERO = elementwise(
    "zero",
    lambda x: np.zeros_like(x)[()],
    lambda xp, g, y, x: xp.zero(g),
    formula=lambda s, x: s.number(0),
    methods=(),
    promotion="keep",
    rule="flat",
)


def _filled(x: Any, value: Any) -> Any:
    return np.full(np.broadcast_shapes(x.shape, np.shape(value)), value, x.dtype)[()]


FILL = elementwise(
    "fill",
    _filled,
    (lambda xp, g, y, x, value: xp.zero(g), lambda xp, g, y, x, value: g),
    formula=lambda s, x, value: value,
    promotion="keep",
    grad_fn_of=lambda shapes, options: "FillBackward2" if shapes[1] is None else "torch::autograd::CopyBackwards",
    rule="copy",
    samples=(Sample(((2, 3), (2, 3))), Sample(((2, 3), (3,))), Sample(((2, 3), ()))),
)


def _fill(xp: Any, x: Any, value: Any) -> Any:
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"fill only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return xp.fill(x, value)


composite(
    "fill_of", _fill, functions=("fill",), numbers=(1,), samples=(Sample(((2, 3), ())),),
    grad_fn=lambda shapes, options: "FillBackward0" if shapes[1] is None else "FillBackward1",
)  # fmt: skip
COPIED = elementwise(
    "copied",
    lambda x: x.copy(),
    lambda xp, g, y, x: g,
    formula=lambda s, x: x,
    promotion="keep",
    grad_fn="torch::autograd::CopyBackwards",
    rule="copy",
)


def _box(shape: Shape, positions: Array) -> list[tuple[int, int, int | None]] | None:
    """What integers and slices without a step reach: per axis of the tensor where it starts and ends, and which axis of
    what is read or written runs along it. None if the positions, counted row by row, are no such box."""
    if not positions.size or not shape:
        return None
    box: list[tuple[int, int, int | None]] = []
    for places in np.unravel_index(positions, shape):
        start = int(places.reshape(-1)[0])
        runs = [axis for axis, n in enumerate(positions.shape) if n > 1 and np.any(np.diff(places, axis=axis))]
        if len(runs) > 1 or any(axis == runs[0] for *_, axis in box if runs):
            return None
        axis = runs[0] if runs else None
        length = 1 if axis is None else positions.shape[axis]
        line = start + (0 if axis is None else np.indices(positions.shape)[axis])
        if np.any(places != line):
            return None
        box.append((start, start + length, axis))
    used = {axis for *_, axis in box}
    return box if all(n == 1 or axis in used for axis, n in enumerate(positions.shape)) else None


@block
class Written(Op):
    """``base`` after ``value`` was written to its entries at ``positions`` (counted row by row, in the value's shape)."""

    name = "written"
    kind = "index"
    rule = "written"
    uses = ("", "")
    backward_name = "torch::autograd::CopySlices"
    samples = (
        Sample(((2, 3), (3,)), {"positions": np.array([3, 4, 5])}),
        Sample(((2, 3), (2,)), {"positions": np.array([0, 4]), "indexed": True}),
        Sample(((3,), ()), {"positions": np.array(1)}),
        Sample(((3, 4), (2, 1)), {"positions": np.array([[5], [9]])}),
        Sample(((3, 2), (2, 3)), {"positions": np.array([[0, 2, 4], [1, 3, 5]])}),
    )

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "IndexPutBackward0" if options.get("indexed") else self.backward_name

    def forward(self, base: Any, value: Any, *, positions: Array, indexed: bool = False) -> Any:
        out = np.array(base).reshape(-1)
        out[positions] = value
        return out.reshape(base.shape)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, base: Any, value: Any, *, positions: Array, indexed: bool = False
    ) -> Any:
        kept = np.ones(base.shape, bool)
        kept.reshape(-1)[positions] = False
        return needs[0] and xp.where(kept, g, 0.0), needs[1] and xp.as_strided(g, positions=positions)

    def given(self, y: Any, *ins: Array, **options: Any) -> dict[str, Array]:
        base, value = ins
        if not options.get("indexed") and _box(base.shape, options["positions"]) is not None:
            return {}  # the formula says it itself
        source: Any = np.full(base.size, -1)
        source[options["positions"]] = np.arange(value.size).reshape(value.shape)
        source = np.reshape(source, base.shape)
        places: Any = np.unravel_index(np.maximum(source, 0), value.shape) if value.ndim and value.size else ()
        return {"written": (source >= 0).astype(np.int64), **{f"p{k}": np.asarray(place) for k, place in enumerate(places)}}

    def formula(self, s: Any, out: Any, base: Any, value: Any, *, positions: Array, indexed: bool = False) -> Any:
        if not positions.size:
            return base[out]
        box = None if indexed else _box(base.numbers, positions)  # a mask may happen to be a box
        if box is not None:
            inside = [
                b for i, n, (start, end, _) in zip(out, base.numbers, box, strict=True) for b in s.within(i, start, end, n)
            ]
            starts = {axis: (i, start) for i, (start, _, axis) in zip(out, box, strict=True) if axis is not None}
            place = [starts[a][0] - starts[a][1] if a in starts else 0 for a in range(value.ndim)]
            return s.where(s.all_of(inside), value[tuple(place)], base[out]) if inside else value[tuple(place)]
        new = value[tuple(s.given(f"p{k}")[out] for k in range(value.ndim))]
        return s.where(s.equal(s.given("written")[out], 1), new, base[out])


@block
class AsStrided(Op):
    """The entries of x at ``positions``, counted row by row: what a view sees."""

    name = "as_strided"
    kind = "index"
    rule = "index"
    uses = ("",)
    backward_name = "AsStridedBackward0"
    samples = (
        Sample(((2, 3),), {"positions": np.array([[0, 3], [1, 4]])}),
        Sample(((2, 3),), {"positions": np.array([5, 5])}),
        Sample(((),), {"positions": np.array([0])}),
    )

    def forward(self, x: Any, *, positions: Array) -> Any:
        return x.reshape(-1)[positions]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, positions: Array) -> Any:
        size = int(np.prod(x.shape, dtype=np.int64))
        return (xp.reshape(xp.put_at(g, positions, shape=(size,)), shape=tuple(x.shape)),)

    def given(self, y: Any, *ins: Array, **options: Any) -> dict[str, Array]:
        (x,) = ins
        if _box(x.shape, options["positions"]) is not None:
            return {}
        places = np.unravel_index(options["positions"], x.shape) if x.ndim else ()
        return {f"p{k}": np.asarray(place) for k, place in enumerate(places)}

    def formula(self, s: Any, out: Any, x: Any, *, positions: Array) -> Any:
        box = _box(x.numbers, positions)
        if box is not None:
            return x[tuple(start if axis is None else out[axis] + start for start, _, axis in box)]
        return x[tuple(s.given(f"p{k}")[out] for k in range(x.ndim))]


@block
class StridedView(type(AsStrided)):  # type: ignore[misc]
    """A look at memory that may be written through: ``window`` (sizes, steps, start, counted in entries), ``steps``: those
    of the tensor that it was asked of."""

    name = "strided_view"
    views = True
    samples = (
        Sample(((2, 3),), {"positions": np.array([0, 2]), "window": ((2,), (2,), 0), "steps": (3, 1)}),
        Sample(((2, 2),), {"positions": np.array([[0, 1], [1, 2]]), "window": ((2, 2), (1, 1), 0), "steps": (2, 1)}),
    )

    def forward(self, x: Any, *, positions: Array, window: Any, steps: Any) -> Any:
        memory = memory_of(x)
        if memory is None or tuple(n // x.itemsize for n in x.strides) != tuple(steps):
            return x.reshape(-1)[positions]
        size, step, start = window
        return np.ndarray(size, x.dtype, memory, start * x.itemsize, [n * x.itemsize for n in step])

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, positions: Array, window: Any, steps: Any) -> Any:
        return super().vjp(xp, needs, g, y, x, positions=positions)

    def formula(self, s: Any, out: Any, x: Any, *, positions: Array, window: Any, steps: Any) -> Any:
        return super().formula(s, out, x, positions=positions)


def memory_of(x: Any) -> Array | None:
    """The array whose memory ``x`` lies in; None if that is nobody's or not in one piece."""
    owner = x if x.base is None else x.base
    return owner if isinstance(owner, np.ndarray) and owner.flags.forc and owner.dtype == x.dtype else None


def _as_strided(xp: Any, x: Any, *, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """A look at the memory that x lies in: ``size`` entries along each axis, ``stride`` apart."""
    values = plain_array(x)
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(n < 0 for n in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    memory = memory_of(values)
    if memory is None:
        memory = values = np.ascontiguousarray(values)
    there = (values.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // values.itemsize
    width = values.itemsize
    start = there if storage_offset is None else storage_offset
    last = start + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if all(size) and last >= memory.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and itemsize {width} "
            f"requiring a storage size of {(last + 1) * width} are out of bounds for storage of size {memory.nbytes}"
        )
    numbers = np.full(memory.size, -1)
    own = [n // values.itemsize for n in values.strides]
    np.ndarray(values.shape, numbers.dtype, numbers, there * numbers.itemsize, [n * numbers.itemsize for n in own])[...] = (
        np.arange(values.size).reshape(values.shape)
    )
    steps = [n * numbers.itemsize for n in stride]
    positions = np.ndarray(size, numbers.dtype, numbers, start * numbers.itemsize, steps).copy()
    if np.any(positions < 0):
        raise RuntimeError(
            "as_strided(): this reaches entries of the memory that the tensor itself does not see, which is not supported "
            "here: call it on the tensor that they belong to"
        )
    return xp.strided_view(x, positions=positions, window=(size, stride, start), steps=tuple(own))


composite(
    "as_strided_of", _as_strided, functions=("as_strided",), methods=("as_strided",),
    samples=(Sample(((2, 3),), {"size": (2, 2), "stride": (1, 2)}),),
)  # fmt: skip
