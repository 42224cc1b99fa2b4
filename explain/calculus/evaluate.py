"""Formulas evaluated over whole arrays, in float64.

Every value is an array with the names of its axes; products and sums align by name and broadcast. A sum of products is
one einsum, so nothing of the size of the product is ever built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sympy import And, Eq, Ge, Gt, Le, Lt, Ne, Not, Or, S, Symbol
from sympy.core.basic import Basic

from explain.calculus.symbols import (
    UNIT,
    Call,
    Digit,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    Size,
    Total,
    Transform,
    Where,
)
from explain.errors import CannotDerive
from explain.ops.base import REGISTRY

Axes = tuple[Index, ...]
Named = tuple[Any, Axes]

_COMPARE = {Eq: np.equal, Ne: np.not_equal, Gt: np.greater, Ge: np.greater_equal, Lt: np.less, Le: np.less_equal}


def evaluate(
    e: Basic,
    arrays: Mapping[str, Any],
    target: Sequence[tuple[Index, int]] = (),
    sizes: Mapping[Symbol, int] | None = None,
) -> np.ndarray:
    """The formula at every position of ``target``, pairs (index, size): an array of those sizes, float64.

    An axis of size 1 may have the index 0 instead of a name.

    ``arrays``: the values of the tensors by name. ``sizes``: numbers of symbolic sizes that are not ``Size``.
    Raises CannotDerive for a part that has no numeric meaning. Overflow and 0/0 give inf and nan silently.
    """
    varying = [(i, n) for i, n in target if isinstance(i, Index)]
    run = _Evaluation(arrays, dict(varying), sizes or {})
    with np.errstate(all="ignore"):
        value, axes = run.value(e)
        aligned = _aligned(value, axes, tuple(i for i, _ in varying))
        whole = np.broadcast_to(aligned, tuple(n for _, n in varying))
        return np.array(whole, dtype=np.float64).reshape(tuple(n for _, n in target))


class _Evaluation:
    def __init__(self, arrays: Mapping[str, Any], lengths: dict[Index, int], sizes: Mapping[Symbol, int]) -> None:
        self.arrays = arrays
        self.lengths = lengths
        self.sizes = sizes
        self.seen: dict[Basic, Named] = {}

    def number(self, e: Basic) -> int:
        return int(self.value(e)[0])

    def value(self, e: Basic) -> Named:
        if e in self.seen:
            return self.seen[e]
        found = self._value(e)
        self.seen[e] = found
        return found

    def _value(self, e: Any) -> Named:
        if isinstance(e, Entry):
            return self._entry(e)
        if isinstance(e, Index):
            return np.arange(self.lengths[e]), (e,)
        if isinstance(e, Size):
            return e.value, ()
        if isinstance(e, Symbol):
            return (1 if e == UNIT else self.sizes[e]), ()
        if e.is_Integer:
            return int(e), ()
        if e.is_Number or not e.args:
            return float(e), ()
        if e.is_Add:
            return self._combine(np.add, [self.value(a) for a in e.args])
        if e.is_Mul:
            return self._product(e.args)
        if e.is_Pow:
            base, exponent = self.value(e.base), self.value(e.exp)
            return self._combine(_power, [base, exponent])
        if isinstance(e, Total):
            return self._total(e)
        if isinstance(e, Reduction):
            return self._reduction(e)
        if isinstance(e, Transform):
            return self._transform(e)
        if isinstance(e, Call):
            arguments = [_floats(self.value(a)) for a in e.arguments]
            return self._combine(REGISTRY[e.op].forward, arguments)
        if isinstance(e, Indicator):
            truth, axes = self.truth(e.condition)
            return np.asarray(truth, np.float64)[()], axes
        if isinstance(e, Where):
            parts = [self.truth(e.args[0]), self.value(e.args[1]), self.value(e.args[2])]
            return self._combine(np.where, parts)
        if isinstance(e, Digit):
            flat, stride, modulus = e.args
            p, axes = self.value(flat)
            return p // self.number(stride) % self.number(modulus), axes
        raise CannotDerive(f"{type(e).__name__} cannot be evaluated")

    def truth(self, condition: Any) -> Named:
        """The condition as an array of truth values."""
        if condition in (S.true, S.false):
            return bool(condition), ()
        if isinstance(condition, Holds):
            value, axes = self.value(condition.args[0])
            return np.asarray(value).astype(bool)[()], axes
        if isinstance(condition, Not):
            value, axes = self.truth(condition.args[0])
            return np.logical_not(value), axes
        if isinstance(condition, And | Or):
            combine = np.logical_and if isinstance(condition, And) else np.logical_or
            found = self.truth(condition.args[0])
            for part in condition.args[1:]:
                found = self._combine(combine, [found, self.truth(part)])
            return found
        for kind, compare in _COMPARE.items():
            if isinstance(condition, kind):
                return self._combine(compare, [self.value(a) for a in condition.args])
        raise CannotDerive(f"the condition {condition} cannot be evaluated")

    # pieces

    def _combine(self, function: Any, parts: list[Named]) -> Named:
        axes = _union(parts)
        arrays = [_aligned(value, own, axes) for value, own in parts]
        if function is np.add:
            total = arrays[0]
            for a in arrays[1:]:
                total = total + a
            return total, axes
        return function(*arrays), axes

    def _product(self, factors: Sequence[Any]) -> Named:
        masks = [f for f in factors if isinstance(f, Indicator)]
        rest = [f for f in factors if not isinstance(f, Indicator)]
        parts = [self.value(f) for f in rest]
        axes = _union(parts)
        value: Any = 1.0
        for part, own in parts:
            value = value * _aligned(part, own, axes)
        for mask in masks:  # not a product: outside the mask the rest may be infinite
            value, axes = self._combine(
                lambda truth, v: np.where(truth, v, 0.0), [self.truth(mask.condition), (value, axes)]
            )
        return value, axes

    def _bind(self, e: Any) -> list[Index]:
        bound = []
        for i, n in e.limits:
            length = self.number(n)
            if self.lengths.get(i, length) != length:
                self.seen = {k: v for k, v in self.seen.items() if not k.has(i)}  # the name ran over another axis before
            self.lengths[i] = length
            bound.append(i)
        return bound

    def _total(self, e: Total) -> Named:
        bound = self._bind(e)
        terms = e.body.args if e.body.is_Add else (e.body,)
        return self._combine(np.add, [self._total_of_product(t, bound) for t in terms])

    def _total_of_product(self, term: Any, bound: list[Index]) -> Named:
        factors = list(term.args) if term.is_Mul else [term]
        if any(isinstance(f, Indicator) for f in factors) or len(factors) == 1:
            value, axes = self._product(factors)
            return self._sum_out(value, axes, bound)
        parts = [_floats(self.value(f)) for f in factors]
        axes = _union(parts)
        letters = {i: k for k, i in enumerate(axes)}
        out = [i for i in axes if i not in bound]
        operands: list[Any] = []
        for value, own in parts:
            operands += [value, [letters[i] for i in own]]
        value = np.einsum(*operands, [letters[i] for i in out], optimize=len(parts) > 2 or "greedy")
        missing = [i for i in bound if i not in axes]
        return value * _count(self.lengths, missing), tuple(out)

    def _sum_out(self, value: Any, axes: Axes, bound: list[Index]) -> Named:
        over = tuple(k for k, i in enumerate(axes) if i in bound)
        missing = [i for i in bound if i not in axes]
        total = np.add.reduce(value, axis=over) if over else value
        return total * _count(self.lengths, missing), tuple(i for i in axes if i not in bound)

    def _spread(self, body: Any, bound: list[Index]) -> tuple[np.ndarray, Axes]:
        """The body with every bound index as an axis of its own, last."""
        value, axes = _floats(self.value(body))
        free = tuple(i for i in axes if i not in bound)
        full = (*free, *bound)
        aligned = np.asarray(_aligned(value, axes, full))
        shape = (*aligned.shape[: len(free)], *(self.lengths[i] for i in bound))
        return np.broadcast_to(aligned, shape), free

    def _reduction(self, e: Reduction) -> Named:
        bound = self._bind(e)
        value, free = self._spread(e.body, bound)
        return REGISTRY[e.op].forward(value, dim=_as_dim(len(free), value.ndim)), free

    def _transform(self, e: Transform) -> Named:
        bound = self._bind(e)
        value, free = self._spread(e.body, bound)
        whole = REGISTRY[e.op].forward(value, dim=_as_dim(len(free), value.ndim))
        return self._at(whole, [*free, *e.positions])

    def _entry(self, e: Entry) -> Named:
        array = np.asarray(self.arrays[e.tensor.name])
        if array.dtype.kind == "f" and array.dtype != np.float64:
            array = array.astype(np.float64)
        return self._at(array, list(e.indices))

    def _at(self, array: np.ndarray, places: list[Any]) -> Named:
        """``array[places]``: plain indices name their axes, anything else is looked up by position."""
        plain = [
            p if isinstance(p, Index) and self.lengths.get(p) == n else None
            for p, n in zip(places, array.shape, strict=True)
        ]
        if None not in plain and len(set(plain)) == len(plain):
            return array[()] if array.ndim == 0 else array, tuple(places)
        parts = [self.value(S(p)) for p in places]
        axes = _union(parts)
        looked = [
            np.clip(np.asarray(_aligned(p, own, axes)).astype(np.int64), 0, max(0, n - 1))  # out of range only under a mask
            for (p, own), n in zip(parts, array.shape, strict=True)
        ]
        if array.size == 0:
            shape = np.broadcast_shapes(*(p.shape for p in looked)) if looked else ()
            return np.zeros(shape), axes
        return array[tuple(looked)], axes


def _as_dim(first: int, end: int) -> int | tuple[int, ...]:
    """The axes from ``first`` on as an op's ``dim``: a number where there is one axis, which every op takes."""
    return first if end == first + 1 else tuple(range(first, end))


def _floats(part: Named) -> Named:
    value, axes = part
    return np.asarray(value, np.float64)[()], axes


def _power(base: Any, exponent: Any) -> Any:
    if np.ndim(exponent) == 0:
        if exponent == 2:
            return base * base
        if exponent == -1:
            return 1.0 / np.asarray(base, np.float64)[()]
    return np.power(np.asarray(base, np.float64)[()], exponent)


def _count(lengths: Mapping[Index, int], missing: Sequence[Index]) -> int:
    count = 1
    for i in missing:
        count *= lengths[i]
    return count


def _union(parts: Sequence[Named]) -> Axes:
    axes: list[Index] = []
    for _, own in parts:
        axes += [i for i in own if i not in axes]
    return tuple(axes)


def _aligned(value: Any, own: Axes, axes: Axes) -> Any:
    if own == axes or not own:
        return value
    order = [own.index(i) for i in axes if i in own]
    array = np.asarray(value)
    if order != list(range(len(order))):
        array = array.transpose(order)
    return array.reshape([array.shape[[i for i in axes if i in own].index(i)] if i in own else 1 for i in axes])
