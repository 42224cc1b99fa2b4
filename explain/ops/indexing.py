"""Indexing: integers, slices, None, ``...``, integer tensors and masks, with torch's meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, plain_array
from explain.ops.registry import block


class Slot:
    """Stands in an index for an integer tensor or mask that is an input of the op. ``k`` counts them; ``run``: the tensor is
    0, 1, 2, …, so that its entry at a position is the position."""

    def __init__(self, k: int, mask: bool, run: bool = False) -> None:
        self.k = k
        self.mask = mask
        self.run = run

    def __repr__(self) -> str:
        return f"tensor{self.k}{' counting' if self.run else ''}"


def _counts(tensor: Any) -> bool:
    """Whether an index tensor is 0, 1, 2, …"""
    entries = plain_array(tensor)
    if entries.ndim != 1 or entries.dtype.kind != "i" or len(entries) < 2:
        return False
    return bool(np.all(np.diff(entries, prepend=-1) == 1))


def _apart(parts: list[Any]) -> bool:
    """Whether something stands between index tensors: then their axes come first. Integers, applied before, do not count."""
    at = [k for k, part in enumerate(p for p in parts if p is None or isinstance(p, Slot | slice)) if isinstance(part, Slot)]
    return bool(at) and at[-1] - at[0] >= len(at)


@block
class Index(Op):
    """Indexing: integers, slices, None, ``...``, integer tensors and masks. Integers and slices are applied first, as torch
    does it, so an integer beside a list does not move the list's axis to the front, as it would in numpy."""

    name = "index"
    methods = ("__getitem__",)
    kind = "index"
    rule = "index"
    uses = ("*",)
    views = True
    backward_name = "IndexBackward0"
    samples = (
        Sample(((3,),), {"index": (1,)}),
        Sample(((2, 3),), {"index": (slice(None), slice(None, None, 2))}),
        Sample(((4, 3),), {"index": (slice(1, 3), -1)}),
        Sample(((2, 3),), {"index": (None, Ellipsis, 1)}),
        Sample(((3, 2), np.array([2, 0, 2])), {"index": (Slot(0, False),)}),
        Sample(((2, 3), np.array([[1, 0], [2, 2]])), {"index": (slice(None), Slot(0, False))}),
        Sample(((3, 2), np.array([0, 2, 1]), np.array([1, 1, 0])), {"index": (Slot(0, False), Slot(1, False))}),
        Sample(((2, 3), np.array([[True, False, True], [False, False, True]])), {"index": (Slot(0, True),)}),
        Sample(((3, 2), np.array([-1, 0])), {"index": (Slot(0, False),)}),
        Sample(((3, 2), np.array([True, False, True])), {"index": (Slot(0, True),)}),
        Sample(((2, 3, 2), np.array([[True, False, True], [False, False, True]])), {"index": (Slot(0, True), slice(1))}),
        Sample(((2, 3, 2), np.array([True, False, True])), {"index": (1, Slot(0, True))}),
        Sample(((2, 3), np.array([False, True, True])), {"index": (slice(None), Slot(0, True))}),
        Sample(((2, 3, 4), np.array([1, -3])), {"index": (0, slice(None), Slot(0, False))}),
        Sample(((2, 3, 4), np.array([1, 0]), np.array([2, 2])), {"index": (Slot(0, False), slice(1, 3), Slot(1, False))}),
        Sample(((3, 2), np.array([0, 1]), np.array([1, 0])), {"index": (Slot(0, False, True), Slot(1, False))}),
        Sample(((2, 3, 4), np.array([[0], [1]]), np.array([2, 0])), {"index": (..., Slot(0, False), Slot(1, False))}),
        Sample(((4, 3, 2), np.array([3, 0]), np.array([1, 0])), {"index": (Slot(0, False), 1, Slot(1, False))}),
        Sample(((3, 2), np.array([2, 0]), np.array([1, 0])), {"index": (Slot(0, False), None, Slot(1, False))}),
        Sample(((2, 3, 2), np.array([2, 0]), np.array([1, 0])), {"index": (1, None, Slot(0, False), Slot(1, False))}),
        Sample(((4, 3, 2), np.array([1, 0])), {"index": (None, 1, slice(None), Slot(0, False))}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, index = args
        if isinstance(index, list) and any(isinstance(part, list | tuple | slice) or part is None for part in index):
            index = tuple(index)  # torch reads a nested list as one index per axis
        parts: list[Any] = []
        tensors: list[Any] = []
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, list | tuple | range):
                part = np.array(part) if len(part) else np.zeros(0, np.int64)
            elif isinstance(part, bool):
                part = np.array(part)
            if hasattr(part, "dtype") and part.ndim == 0 and str(part.dtype).removeprefix("torch.") in ("int64", "int32"):
                part = int(part.item())
            if hasattr(part, "dtype"):
                kind = str(part.dtype).removeprefix("torch.")
                if kind not in ("int64", "int32", "uint8", "bool"):
                    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
                if kind == "uint8":
                    part, kind = plain_array(part).astype(bool), "bool"
                tensors.append(part)
                part = Slot(len(tensors) - 1, kind == "bool")
            elif not (part is None or part is Ellipsis or isinstance(part, int | slice | np.integer)):
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                    f"(got {type(part).__name__})"
                )
            if isinstance(part, slice) and part.step is not None and part.step <= 0:
                raise ValueError("step must be greater than zero")
            parts.append(part)
        self._check(tuple(x.shape), parts, tensors)
        if len(tensors) > 1:  # beside another, x[range(n), t]; alone it is a copy
            parts = [Slot(p.k, False, True) if isinstance(p, Slot) and _counts(tensors[p.k]) else p for p in parts]
        return (x, *tensors), {"index": tuple(parts)}

    def _check(self, shape: Shape, parts: list[Any], tensors: list[Any]) -> None:
        taken = sum(tensors[p.k].ndim if isinstance(p, Slot) and p.mask else 1 for p in parts if p not in (None, Ellipsis))
        if taken > len(shape):
            if not shape and len(parts) == 1 and isinstance(parts[0], slice):
                raise IndexError("slice() cannot be applied to a 0-dim tensor.")
            if not shape and parts == [0]:
                raise IndexError(
                    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                    "convert a 0-dim tensor to a number"
                )
            raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
        for axis, part in self.by_axis(shape, parts, tensors):
            if axis is None:
                continue
            size = shape[axis] if axis < len(shape) else 0
            if isinstance(part, int | np.integer) and not -size <= part < size:
                raise IndexError(f"index {part} is out of bounds for dimension {axis} with size {size}")
            if isinstance(part, Slot):
                tensor = tensors[part.k]
                if part.mask and tuple(tensor.shape) != shape[axis : axis + tensor.ndim]:
                    raise IndexError(
                        f"The shape of the mask {list(tensor.shape)} at index {axis} does not match the shape of the "
                        f"indexed tensor {list(shape)} at index {axis}"
                    )
                if not part.mask:
                    entries = plain_array(tensor)
                    if entries.size and not size:
                        raise IndexError("index is out of bounds for dimension with size 0")
                    bad = entries[(entries < -size) | (entries >= size)]
                    if bad.size:
                        raise IndexError(f"index {bad[0]} is out of bounds for dimension {axis} with size {size}")

    @staticmethod
    def by_axis(shape: Shape, parts: Any, tensors: Any) -> list[tuple[int | None, Any]]:
        """The index part by part with the first axis each takes; None and ``...`` take none, ``...`` is spelled out."""
        width = {id(p): tensors[p.k].ndim if isinstance(p, Slot) and p.mask else 1 for p in parts}
        taken = sum(width[id(p)] for p in parts if p is not None and p is not Ellipsis)
        found: list[tuple[int | None, Any]] = []
        axis = 0
        for part in [*parts, *(() if any(p is Ellipsis for p in parts) else (Ellipsis,))]:
            if part is None:
                found.append((None, None))
            elif part is Ellipsis:
                found += [(axis + k, slice(None)) for k in range(len(shape) - taken)]
                axis += len(shape) - taken
            else:
                found.append((axis, part))
                axis += width[id(part)]
        return found

    @classmethod
    def staged(cls, x: Any, index: tuple[Any, ...], tensors: Any) -> tuple[Any, tuple[Any, ...]]:
        """A view of x by the integers, slices and None, and the index of it that is left: integer arrays and masks."""
        basic: list[Any] = []
        left: list[Any] = []
        for axis, part in cls.by_axis(x.shape, index, tensors):
            if axis is None or isinstance(part, slice):
                basic.append(part)
                left.append(slice(None))
            elif isinstance(part, Slot):
                basic += [slice(None)] * (tensors[part.k].ndim if part.mask else 1)
                left.append(tensors[part.k])
            else:
                basic.append(part)
        return x[(*basic, Ellipsis)], tuple(left)  # with the ellipsis a single number, too, stays an array

    @classmethod
    def read(cls, x: Any, index: tuple[Any, ...], tensors: Any) -> Any:
        """The entries of x at the index."""
        if tensors:
            view, left = cls.staged(x, index, tensors)
            return view[left]
        return x[(*index, Ellipsis)] if Ellipsis not in index and isinstance(x, np.ndarray) else x[index]

    @staticmethod
    def mask_of(index: tuple[Any, ...]) -> int | None:
        """Which input of the op is a mask that alone picks entries: then p0, p1, … are where it is true, axis by axis."""
        slots = [p for p in index if isinstance(p, Slot)]
        return 1 if len(slots) == 1 and slots[0].mask else None

    def picks_by(self, shapes: tuple[Shape, ...], *, index: tuple[Any, ...]) -> int | None:
        """``mask_of``, for derivations: sums over where the mask is true are sums over all with a bracket."""
        return self.mask_of(index)

    @classmethod
    def positions(cls, shape: Shape, index: tuple[Any, ...], tensors: Any) -> dict[str, Any]:
        """Where the entries come from, one array per axis (p0, p1, …); of a mask that stands alone where it is true; none
        where the formula says it itself."""
        if cls.mask_of(index) is not None:
            return {f"p{k}": p for k, p in enumerate(np.nonzero(plain_array(tensors[0])))}
        masks = any(isinstance(p, Slot) and p.mask for p in index)
        if not masks and all(np.all(np.asarray(t) >= 0) for t in tensors):
            return {}
        flat = cls.read(np.arange(int(np.prod(shape))).reshape(shape), index, tensors)
        return {f"p{k}": p for k, p in enumerate(np.unravel_index(flat, shape))}

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        index = options["index"]
        if any(isinstance(p, Slot) for p in index):
            return "IndexBackward0"
        for part in reversed(index):
            if isinstance(part, int | np.integer):
                return "SelectBackward0"
            if part is None:
                return "UnsqueezeBackward0"
            if isinstance(part, slice):
                return "SliceBackward0"
        return "AliasBackward0"

    def saves(self, needs: tuple[bool, ...]) -> frozenset[str]:
        return frozenset({"*"}) if len(needs) > 1 else frozenset()

    def forward(self, x: Any, *tensors: Any, index: tuple[Any, ...]) -> Any:
        return self.read(x, index, tensors)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *tensors: Any, index: tuple[Any, ...]) -> Any:
        return (xp.index_put(g, *tensors, index=index, shape=tuple(x.shape)), *[None] * len(tensors))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, *tensors = ins
        return self.positions(x.shape, options["index"], tensors)

    def formula(self, s: Any, out: Any, x: Any, *tensors: Any, index: tuple[Any, ...]) -> Any:
        masked = self.mask_of(index) is not None
        if s.is_given("p0") and not masked:
            return x[tuple(s.given(f"p{k}")[out] for k in range(x.ndim))]
        place: list[Any] = []
        rest = list(out)
        picked: list[Any] | None = None  # the axes that all index tensors, broadcast together, put in their place
        rank = 1 if masked else max((t.ndim for t in tensors), default=0)
        parts = self.by_axis(x.numbers, index, tensors)
        if _apart([part for _, part in parts]):
            picked, rest = rest[:rank], rest[rank:]
        for axis, part in parts:
            if axis is None:
                rest.pop(0)
            elif isinstance(part, Slot):
                if picked is None:
                    picked, rest = rest[:rank], rest[rank:]
                if part.mask:
                    place += [s.position(s.given(f"p{k}")[picked[-1]]) for k in range(tensors[part.k].ndim)]
                    continue
                place.append(picked[-1] if part.run else s.position(tensors[part.k].at(tuple(picked))))
            elif isinstance(part, slice):
                start, _, step = part.indices(x.numbers[axis])
                place.append(start + step * rest.pop(0))
            else:
                place.append(s.number(part) if part >= 0 else x.shape[axis] + part)
        return x[tuple(place)]


@block
class IndexPut(Op):
    """Zeros of ``shape`` with g added at the indexed entries. The transpose of indexing."""

    name = "index_put"
    kind = "index"
    rule = "scatter"
    uses = ("*",)
    backward_name = "IndexPutBackward0"
    samples = (
        Sample(((2,),), {"index": (slice(1, 3),), "shape": (4,)}),
        Sample(((3, 2), np.array([2, 0, 2])), {"index": (Slot(0, False),), "shape": (3, 2)}),
    )

    def saves(self, needs: tuple[bool, ...]) -> frozenset[str]:
        return frozenset({"*"}) if len(needs) > 1 else frozenset()

    def forward(self, g: Any, *tensors: Any, index: tuple[Any, ...], shape: Shape) -> Any:
        out = np.zeros(shape, g.dtype)
        if tensors:
            view, left = Index.staged(out, index, tensors)
            np.add.at(view, left, g)
        else:
            out[index] += g
        return out[()]

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        _, *tensors = ins
        return Index.positions(options["shape"], options["index"], tensors)

    def vjp(self, xp: Any, needs: Any, upstream: Any, y: Any, g: Any, *tensors: Any, index: Any, shape: Shape) -> Any:
        return (xp.index(upstream, *tensors, index=index), *[None] * len(tensors))

    def formula(self, s: Any, out: Any, g: Any, *tensors: Any, index: tuple[Any, ...], shape: Shape) -> Any:
        bound = [s.index(size) for size in g.shape]
        reader = s.places(shape)
        place = Index.formula(s, tuple(bound), reader, *tensors, index=index)
        hits = [s.indicator(s.equal(p, o)) for p, o in zip(place, out, strict=True)]
        return s.total(s.product([g[tuple(bound)], *hits]), *bound)
