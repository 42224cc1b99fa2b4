"""Operations on the slices that a vector of positions names along an axis: read, added to, filled, replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Sample, axes, plain_array, word
from explain.ops.indexing import Slot
from explain.ops.picking import AlongAxis
from explain.ops.registry import block, register


def row_of(name: str, x: Any, dim: int, index: Any) -> int:
    """The axis that a vector of positions runs along. Raises torch's errors for its dtype, shape and entries."""
    (axis,) = axes(dim, x.ndim) or (0,)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index but got: {word(index.dtype)}")
    n = x.shape[axis] if x.ndim else 1
    entries = np.atleast_1d(index)
    if entries.size and (entries.min() < 0 or entries.max() >= n):
        raise IndexError("index out of range in self")
    return axis


def _at(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, np.atleast_1d(index))


@block
class IndexSelect(AlongAxis):
    """The slices of x at the positions in ``index`` along ``dim``: y[k, j] = x[index[k], j]."""

    name = "index_select"
    functions = methods = ("index_select",)
    rule = "index"
    backward_name = "IndexSelectBackward0"
    uses = ("index", "")
    reads_values = (1,)
    samples = (Sample(((3, 2), np.array([2, 0, 2])), {"dim": 0}), Sample(((2, 3), np.array([1, 1])), {"dim": -1}))

    def forward(self, x: Any, index: Any, *, dim: int) -> Any:
        axis = row_of("index_select", x, dim, index)
        return x[_at(axis, index)] if x.ndim else x

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, *, dim: int) -> Any:
        if not x.ndim:
            return g, None
        place = (*(slice(None),) * (dim % x.ndim), Slot(0, False))
        row = plain_array(index).reshape(-1)
        return xp.index_put(g, row, index=place, shape=tuple(x.shape)), None

    def formula(self, s: Any, out: Any, x: Any, index: Any, *, dim: int) -> Any:
        if not x.ndim:
            return x[()]
        axis = dim % x.ndim
        k = s.position(index[(out[axis],) if index.ndim else ()])
        return x[(*out[:axis], k, *out[axis + 1 :])]


def _check_source(name: str, x: Any, index: Any, src: Any, axis: int) -> None:
    if x.dtype != src.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) {word(x.dtype)} and (source) "
            f"{word(src.dtype)}"
        )
    wanted = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
    if src.size == 1 == index.size and src.ndim <= 1:
        return
    if (src.shape or (1,)) != (wanted or (1,)):
        error = (
            IndexError
            if name == "index_copy" and index.size != (src.shape[axis] if src.ndim > axis else 1)
            else RuntimeError
        )
        raise error(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim), and the other sizes to those "
            f"of self: {list(src.shape)} for {list(wanted)}"
        )


@block
class IndexAdd(AlongAxis):
    """x with ``alpha`` times each slice of ``src`` added to the slice that ``index`` names along ``dim``."""

    name = "index_add"
    functions = methods = ("index_add",)
    order = ("x", "dim", "index", "src")
    rule = "scatter_add"
    in_place = True
    backward_name = "IndexAddBackward0"
    uses = ("", "", "index")
    reads_values = (1,)
    samples = (
        Sample(((3, 2), np.array([2, 0, 2]), (3, 2)), {"dim": 0}),
        Sample(((2, 3), np.array([1]), (2, 1)), {"dim": 1, "alpha": 0.5}),
    )

    def forward(self, x: Any, index: Any, src: Any, *, dim: int, alpha: Any = 1) -> Any:
        axis = row_of("index_add", x, dim, index)
        _check_source("index_add", x, index, src, axis)
        if not x.ndim:
            return (x + src.reshape(()) * x.dtype.type(alpha))[()]
        y = x.copy()
        wanted = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
        np.add.at(y, _at(axis, index), src.reshape(wanted) * x.dtype.type(alpha))
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, src: Any, *, dim: int, alpha: Any = 1) -> Any:
        back = needs[2] and xp.reshape(xp.index_select(g, index, dim=dim), shape=tuple(src.shape))
        return g, None, back if alpha == 1 or back is False else back * alpha

    def formula(self, s: Any, out: Any, x: Any, index: Any, src: Any, *, dim: int, alpha: Any = 1) -> Any:
        if not x.ndim or src.ndim != x.ndim or not index.ndim:
            return x[out] + s.literal(alpha) * _single(s, out, x, index, src, dim)
        axis = dim % x.ndim
        k = s.index(index.shape[0])
        arrived = s.total(src[(*out[:axis], k, *out[axis + 1 :])] * s.indicator(s.equal(index[k], out[axis])), k)
        return x[out] + (arrived if alpha == 1 else s.literal(alpha) * arrived)


def _single(s: Any, out: Any, x: Any, index: Any, src: Any, dim: int) -> Any:
    """What arrives at ``out`` where there is one slice only, without an axis or without a vector of positions."""
    entry = (
        src[tuple(s.zero for _ in src.numbers)]
        if src.ndim != x.ndim
        else src[tuple(s.zero if n == 1 else i for i, n in zip(out, src.numbers, strict=True))]
    )
    if not x.ndim:
        return entry
    return entry * s.indicator(s.equal(index[tuple(s.zero for _ in index.numbers)], out[dim % x.ndim]))


class _Overwriting(AlongAxis):
    in_place = True
    reads_values = (1,)

    @staticmethod
    def rows(x: Any, index: Any, dim: int) -> dict[str, Any]:
        """Per position along the axis whether it was written, and by which entry of the index."""
        source = np.full(x.shape[dim % x.ndim], -1)
        source[np.atleast_1d(index)] = np.arange(index.size)
        return {"written": (source >= 0).astype(np.int64), "p0": np.maximum(source, 0)}


class IndexFill(_Overwriting):
    """x with the number ``value`` in the slices that ``index`` names along ``dim``."""

    name = "index_fill"
    functions = methods = ("index_fill",)
    order = ("x", "dim", "index", "value")
    rule = "fixed_entries"
    backward_name = "IndexFillBackward0"
    uses = ("index", "")
    samples = (Sample(((3, 2), np.array([2, 0])), {"dim": 0, "value": 0.5}),)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if hasattr(options["value"], "dtype"):
            raise NoMatch("index_fill(): a value that is a tensor is an input")
        return ins, options

    def forward(self, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        axis = row_of("index_fill", x, dim, np.where(index < 0, index + (x.shape[dim] if x.ndim else 1), index))
        if not x.ndim:
            return x.dtype.type(value)
        y = x.copy()
        y[_at(axis, index)] = value
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        return xp.index_fill(g, index, dim=dim, value=0), None

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index = ins
        return {"written": self.rows(x, index, options["dim"])["written"]} if x.ndim else {}

    def formula(self, s: Any, out: Any, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        if not x.ndim:
            return s.literal(value)
        written = s.given("written")[out[dim % x.ndim]]
        return s.where(s.equal(written, 1), s.literal(value), x[out])


FILL_ROWS = register(IndexFill())


@block
class IndexFillTensor(_Overwriting):
    """x with the one entry of ``value`` in the slices that ``index`` names along ``dim``."""

    name = "index_fill_tensor"
    functions = methods = ("index_fill",)
    order = ("x", "dim", "index", "value")
    rule = "written"
    backward_name = "IndexFillBackward1"
    uses = ("index", "", "index")
    samples = (Sample(((3, 2), np.array([2, 0]), ()), {"dim": 0}),)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if ins[2].ndim:
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {ins[2].ndim} dimension(s)."
            )
        return ins, options

    def forward(self, x: Any, index: Any, value: Any, *, dim: int) -> Any:
        return FILL_ROWS.forward(x, index, dim=dim, value=value)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, value: Any, *, dim: int) -> Any:
        kept = needs[0] and xp.index_fill(g, index, dim=dim, value=0)
        if not needs[2] or not x.ndim:
            return kept, None, g
        rows = np.unique(plain_array(index) % x.shape[dim % x.ndim])
        return kept, None, xp.sum(xp.index_select(g, rows, dim=dim))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return FILL_ROWS.given(y, *ins[:2], **options)

    def formula(self, s: Any, out: Any, x: Any, index: Any, value: Any, *, dim: int) -> Any:
        if not x.ndim:
            return value[()]
        written = s.given("written")[out[dim % x.ndim]]
        return s.where(s.equal(written, 1), value[()], x[out])


@block
class IndexCopy(_Overwriting):
    """x with the slices of ``src`` in the places that ``index`` names along ``dim``."""

    name = "index_copy"
    functions = methods = ("index_copy",)
    order = ("x", "dim", "index", "src")
    rule = "written"
    backward_name = "IndexCopyBackward0"
    uses = ("index", "", "index")
    samples = (Sample(((3, 2), np.array([2, 0]), (2, 2)), {"dim": 0}), Sample(((2, 2), np.array([1]), (2, 1)), {"dim": -1}))

    def forward(self, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        axis = row_of("index_copy", x, dim, index)
        _check_source("index_copy", x, index, src, axis)
        if not x.ndim:
            return src.reshape(())[()]
        y = x.copy()
        y[_at(axis, index)] = src.reshape((*x.shape[:axis], index.size, *x.shape[axis + 1 :]))
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        kept = needs[0] and xp.index_fill(g, index, dim=dim, value=0)
        return kept, None, needs[2] and xp.reshape(xp.index_select(g, index, dim=dim), shape=tuple(src.shape))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index, _ = ins
        return self.rows(x, index, options["dim"]) if x.ndim else {}

    def formula(self, s: Any, out: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        if not x.ndim:
            return src[tuple(s.zero for _ in src.numbers)]
        axis = dim % x.ndim
        k = s.position(s.given("p0")[out[axis]])
        new = src[(*out[:axis], k, *out[axis + 1 :])] if src.ndim == x.ndim else src[tuple(s.zero for _ in src.numbers)]
        return s.where(s.equal(s.given("written")[out[axis]], 1), new, x[out])
