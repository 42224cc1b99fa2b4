"""Entries sent to positions and reduced there with what arrives: scatter_reduce and index_reduce.

Both say where each entry of the source goes; an index that names whole slices is spread over their entries first.
"""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from explain.ops.base import Options, Sample, Shape, axes, numpy_dtype, plain_array, word
from explain.ops.index_rows import row_of
from explain.ops.picking import AlongAxis, picked_axis
from explain.ops.registry import block

UFUNCS = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _neutral(reduce: str, dtype: np.dtype) -> Any:
    """What changes nothing in a reduction."""
    if reduce in ("sum", "mean", "prod"):
        return dtype.type(reduce == "prod")
    if dtype.kind == "f":
        return dtype.type(-np.inf if reduce == "amax" else np.inf)
    bounds = np.iinfo(dtype) if dtype.kind in "iu" else None
    return (bounds.min if reduce == "amax" else bounds.max) if bounds else reduce == "amin"


class _Target:
    """Where every entry that is sent arrives: an index array in the shape of what is sent, along one axis."""

    def __init__(self, index: Any, shape: Shape, axis: int) -> None:
        self.shape, self.size, self.axis = shape, index.size, axis
        self.index = np.reshape(index, index.shape or (1,))
        places: list[Any] = list(np.indices(self.index.shape, sparse=True))
        places[axis] = self.index
        self.places = tuple(places)

    def sent_there(self, sent: Any, ufunc: Any, start: Any) -> Any:
        """``start`` with the entries of ``sent`` reduced into it."""
        out = np.array(start).reshape(self.shape or (1,))
        if self.size:
            ufunc.at(out, self.places, np.reshape(sent, self.index.shape).astype(out.dtype))
        return out.reshape(self.shape)[()]

    def counts(self) -> Any:
        """How many entries arrive at every position."""
        return self.sent_there(np.ones(self.index.shape, np.int64), np.add, np.zeros(self.shape, np.int64))

    def read(self, x: Any) -> Any:
        """At every entry that is sent, the entry of ``x`` where it arrives."""
        return np.reshape(x, self.shape or (1,))[self.places] if self.size else np.zeros(self.index.shape, x.dtype)


class _Reducing(AlongAxis):
    order = ("x", "dim", "index", "src", "reduce")
    in_place = True
    uses = ("x index src y", "", "x index src y")
    reads_values = (1,)
    reductions: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self.special = MappingProxyType({"tie": self._ties})
        super().__init__()

    def target(self, x: Any, index: Any, src: Any, dim: int) -> _Target:
        """Where the entries of ``src`` arrive. Raises torch's errors."""
        raise NotImplementedError

    def spread(self, s: Any, index: Any, place: Any, axis: int) -> Any:
        """In a formula: where the entry at ``place`` is sent."""
        raise NotImplementedError

    def forward(self, x: Any, index: Any, src: Any, *, dim: int, reduce: str, include_self: bool = True) -> Any:
        self.refuse_reduction(reduce)
        target = self.target(x, index, src, dim)
        return self._reduced(x, target, self.sent(src, target), reduce, include_self)

    def refuse_reduction(self, reduce: str) -> None:
        """Raise torch's error for a reduction that it does not know."""
        raise NotImplementedError

    @staticmethod
    def sent(src: Any, target: _Target) -> Any:
        """The part of ``src`` that is sent."""
        return np.reshape(src, src.shape or (1,))[tuple(slice(n) for n in target.index.shape)]

    @staticmethod
    def _reduced(x: Any, target: _Target, sent: Any, reduce: str, include_self: bool) -> Any:
        arrived = target.counts()
        start = x if include_self else np.where(arrived > 0, _neutral(reduce, x.dtype), x)
        y = target.sent_there(sent, UFUNCS[reduce], start)
        if reduce == "mean":
            count = np.maximum(arrived + include_self, 1)
            y = np.asarray(y / count if x.dtype.kind == "f" else y // count).astype(x.dtype)[()]
        return y

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, src: Any,
        *, dim: int, reduce: str, include_self: bool = True,
    ) -> Any:  # fmt: skip
        target = self.target(plain_array(x), plain_array(index), plain_array(src), dim)
        whole = tuple(slice(0, n) for n in target.index.shape)
        part = src if not src.ndim or tuple(src.shape) == target.index.shape else xp.index(src, index=whole)

        where = target.index.reshape(tuple(part.shape))

        def read(t: Any) -> Any:
            return xp.gather(t, where, dim=dim)

        back_x: Any = g
        if reduce == "sum":
            back_src = read(g)
        elif reduce == "mean":
            count = np.maximum(target.counts() + include_self, 1).astype(numpy_dtype(x))
            back_x = xp.div(g, count)
            back_src = read(back_x)
        elif reduce == "prod":
            back_x, back_src = self._through_product(xp, g, y, x, part, target, read, dim, index, src, include_self)
        else:
            values, result = plain_array(part), plain_array(y)
            own = (plain_array(x) == result).astype(numpy_dtype(x))[()]
            hits = (np.reshape(values, target.index.shape) == target.read(result)).astype(numpy_dtype(x))
            shared = xp.div(g, target.sent_there(hits, np.add, own))
            back_x, back_src = xp.mul(shared, own), xp.mul(read(shared), hits.reshape(tuple(part.shape))[()])
        if needs[0] and not include_self:
            back_x = xp.scatter_value(back_x, where, dim=dim, value=0)
        if needs[2] and tuple(back_src.shape) != tuple(src.shape):
            back_src = xp.index_put(back_src, index=whole, shape=tuple(src.shape))
        return needs[0] and back_x, None, needs[2] and back_src

    def _through_product(
        self, xp: Any, g: Any, y: Any, x: Any, part: Any, target: _Target, read: Any, dim: int, index: Any, src: Any,
        include_self: bool,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The product of the others, exact where one factor is zero."""
        zero = plain_array(x) == 0
        own = xp.masked_fill(x, zero, 1.0) if zero.any() else x
        here = getattr(xp, self.name)
        options = {"dim": dim, "reduce": "prod", "include_self": include_self}
        back_x = g * here(own, index, src, **options) / own
        gone = np.reshape(plain_array(part) == 0, target.index.shape)
        if not gone.any():
            return back_x, read(g * y) / part
        count = target.sent_there(gone, np.add, np.zeros(target.shape, np.int64))
        single = np.reshape(gone & (target.read(count) == 1), part.shape)[()]
        others = here(x, index, self._padded(xp, src, single), **options)
        safe = xp.masked_fill(part, gone.reshape(part.shape)[()], 1.0)
        return back_x, xp.where(single, read(g * others), read(g * y) / safe)

    @staticmethod
    def _padded(xp: Any, src: Any, mask: Any) -> Any:
        wide = np.zeros(src.shape, bool)
        wide[tuple(slice(0, n) for n in np.shape(mask))] = mask
        return xp.masked_fill(src, wide[()], 1.0)

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"reduce": options["reduce"]}

    def _ties(self, x: Any, index: Any, src: Any, *, dim: int, reduce: str, include_self: bool = True) -> Any:
        if reduce not in ("amax", "amin"):
            return np.zeros(x.shape, bool)
        return self._hits(x, index, src, dim, reduce, include_self)[2] > 1

    def _hits(self, x: Any, index: Any, src: Any, dim: int, reduce: str, include_self: bool) -> tuple[Any, Any, Any]:
        """Which entries are the result: of x, of what is sent, and how many they are."""
        target = self.target(x, index, src, dim)
        sent = self.sent(src, target)
        y = self._reduced(x, target, sent, reduce, include_self)
        own, hits = x == y, np.reshape(sent, target.index.shape) == target.read(y)
        return own, hits, target.sent_there(hits, np.add, np.asarray(own, np.int64))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index, src = ins
        dim, reduce, include_self = options["dim"], options["reduce"], options.get("include_self", True)
        target = self.target(x, index, src, dim)
        arrived = np.asarray(target.counts() > 0).astype(np.int64)
        found: dict[str, Any] = {} if include_self else {"written": arrived}
        if reduce in ("amax", "amin"):
            own, hits, count = self._hits(x, index, src, dim, reduce, include_self)
            chosen = np.zeros(np.shape(src) or (1,), np.int64)
            chosen[tuple(slice(0, n) for n in hits.shape)] = hits
            found |= {"kept": np.asarray(own * (include_self | (1 - arrived))).astype(np.int64)}
            found |= {"chosen": chosen.reshape(np.shape(src))}
            if np.any(count > 1):
                found["equal"] = np.asarray(np.maximum(count, 1))
        return found

    def formula(
        self, s: Any, out: Any, x: Any, index: Any, src: Any, *, dim: int, reduce: str, include_self: bool = True
    ) -> Any:
        axis = dim % x.ndim if x.ndim else 0
        k = s.index(index.shape[axis] if index.ndim > axis else index.shape[0] if index.ndim else 1)
        if x.ndim:
            place: Any = (*out[:axis], k, *out[axis + 1 :])
            limits = [
                (i, n, m)
                for a, (i, n, m) in enumerate(zip(out, self.reach(index, src), x.numbers, strict=True))
                if a != axis
            ]
            inside = [b for i, n, m in limits for b in s.within(i, 0, n, m)]
            arrives = s.equal(self.spread(s, index, place, axis), out[axis])
        else:
            place, inside = ((k,) if src.ndim else ()), []
            arrives = s.equal(index[(k,) if index.ndim else ()], 0)
        if inside:
            arrives = s.all_of([s.indicator(arrives), *inside])
        own = x[out]
        if reduce in ("amax", "amin"):
            kept = own * s.given("kept")[out]
            found = kept + s.total(src[place] * s.given("chosen")[place] * s.indicator(arrives), k)
            return found / s.given("equal")[out] if s.is_given("equal") else found
        if reduce == "prod":
            factors = s.reduction("prod", s.where(arrives, src[place], 1), k)
            return own * factors if include_self else s.where(s.equal(s.given("written")[out], 1), factors, own)
        arrived = s.total(src[place] * s.indicator(arrives), k)
        if reduce == "mean":
            count = s.total(s.indicator(arrives), k)
            if include_self:
                return (own + arrived) / (1 + count)
            return s.where(s.equal(s.given("written")[out], 1), arrived / count, own)
        return own + arrived if include_self else s.where(s.equal(s.given("written")[out], 1), arrived, own)

    def reach(self, index: Any, src: Any) -> Shape:
        """In a formula: how far what is sent goes along every axis."""
        raise NotImplementedError


@block
class ScatterReduce(_Reducing):
    """x with each entry of ``src`` reduced (sum, prod, mean, amax, amin) into the position that ``index`` gives along
    ``dim``; without ``include_self`` the entries of x that something reaches do not count."""

    name = "scatter_reduce"
    functions = methods = ("scatter_reduce",)
    rule = "scatter_reduce"
    backward_name = "ScatterReduceBackward0"
    reductions = ("sum", "prod", "mean", "amax", "amin")
    samples = (
        Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0, "reduce": "sum"}),
        Sample(((2, 3), np.array([[2, 2], [0, 2]]), (2, 2)), {"dim": 1, "reduce": "prod"}),
        Sample(((2, 2), np.array([[1, 1]]), (2, 3)), {"dim": 0, "reduce": "mean"}),
        Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0, "reduce": "mean", "include_self": False}),
        Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0, "reduce": "amax"}),
        Sample(((3, 2), np.array([[0, 2], [0, 2]]), (2, 2)), {"dim": 0, "reduce": "amin", "include_self": False}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        options["reduce"] = {"max": "amax", "min": "amin"}.get(options["reduce"], options["reduce"])
        return ins, options

    def refuse_reduction(self, reduce: str) -> None:
        if reduce not in self.reductions:
            raise RuntimeError("reduce argument must be either sum, prod, mean, amax or amin, got " + reduce)

    def target(self, x: Any, index: Any, src: Any, dim: int) -> _Target:
        if x.dtype != src.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        return _Target(index, tuple(x.shape), picked_axis("scatter", x, dim, index, src.shape))

    def spread(self, s: Any, index: Any, place: Any, axis: int) -> Any:
        return index[place]

    def reach(self, index: Any, src: Any) -> Shape:
        return index.numbers


@block
class IndexReduce(_Reducing):
    """x with each slice of ``src`` reduced (prod, mean, amax, amin) into the slice that ``index`` names along ``dim``;
    without ``include_self`` the slices of x that something reaches do not count."""

    name = "index_reduce"
    functions = methods = ("index_reduce",)
    rule = "scatter_reduce"
    backward_name = "IndexReduceBackward0"
    reductions = ("prod", "mean", "amax", "amin")
    samples = (
        Sample(((3, 2), np.array([2, 0, 2]), (3, 2)), {"dim": 0, "reduce": "prod"}),
        Sample(((2, 3), np.array([1, 1]), (2, 2)), {"dim": 1, "reduce": "mean", "include_self": False}),
        Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0, "reduce": "amin"}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        found = super().bind(*args, **kwargs)
        warnings.warn("index_reduce() is in beta and the API may change at any time.", UserWarning, stacklevel=5)
        return found

    def refuse_reduction(self, reduce: str) -> None:
        if reduce not in self.reductions:
            raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")

    def target(self, x: Any, index: Any, src: Any, dim: int) -> _Target:
        if index.ndim > 1:
            raise IndexError(
                f"index_reduce_(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
                f"{word(index.dtype)} and size: {list(index.shape)}"
            )
        if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
            raise RuntimeError(f"index_reduce_(): Expected dtype int32/int64 for index but got: {word(index.dtype)}")
        if x.dtype != src.dtype:
            names = (word(x.dtype), word(src.dtype))
            raise RuntimeError("index_reduce_(): self ({}) and source ({}) must have the same scalar type".format(*names))
        (axis,) = axes(dim, x.ndim) or (0,)
        there = src.shape[axis] if src.ndim > axis else 1
        if index.size != there:
            raise RuntimeError(
                f"index_reduce_(): Number of indices ({index.size}) should be equal to source.size(dim): ({there}), for "
                f"dim: {axis}"
            )
        wanted = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
        if (src.shape or (1,)) != (wanted or (1,)):
            raise RuntimeError(
                "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
                f"{list(x.shape)} source.shape = {list(src.shape)}"
            )
        row_of("index_reduce", x, dim, index)
        row = np.reshape(index, [-1 if k == axis else 1 for k in range(max(x.ndim, 1))])
        return _Target(np.broadcast_to(row, wanted or (1,)), tuple(x.shape), axis)

    def spread(self, s: Any, index: Any, place: Any, axis: int) -> Any:
        return index[(place[axis],) if index.ndim else ()]

    def reach(self, index: Any, src: Any) -> Shape:
        return src.numbers
