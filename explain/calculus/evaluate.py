"""Formulas evaluated over whole arrays, in float64.

Every value is an array with the names of its axes; products and sums align by name and broadcast. A sum of products is
one einsum, and a bracket [i = p] in a sum is a place to read from or to add to, so nothing of the size of the product is
ever built.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sympy import And, Eq, Ge, Gt, Le, Lt, Ne, Not, Or, S, Symbol
from sympy.core.basic import Basic

from explain.calculus.rules import options_of
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
    substitute,
)
from explain.errors import CannotDerive
from explain.ops.entrywise import Elementwise
from explain.ops.linalg import LinAlgError
from explain.ops.registry import REGISTRY

Axes = tuple[Index, ...]
Named = tuple[Any, Axes]

SET = Index("~set")
"""The axis of the sets of values that a formula is evaluated for at once."""
SMALL = 1 << 12
"""So many products are summed sooner than the best order to sum them is found."""
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
    return _evaluated(e, arrays, target, sizes or {}, frozenset())


def evaluate_each(
    e: Basic, arrays: Mapping[str, Any], stacks: Mapping[str, np.ndarray], target: Sequence[tuple[Index, int]] = ()
) -> np.ndarray:
    """``evaluate`` for several sets of values at once: an array with an axis for the sets before those of ``target``.

    ``stacks``: the tensors that differ, each with an axis for the sets before its own, all as long; ``arrays``: the others.
    """
    (several,) = {len(stack) for stack in stacks.values()}
    return _evaluated(e, ChainMap(dict(stacks), dict(arrays)), [(SET, several), *target], {}, frozenset(stacks))


def _evaluated(
    e: Basic,
    arrays: Mapping[str, Any],
    target: Sequence[tuple[Index, int]],
    sizes: Mapping[Symbol, int],
    stacked: frozenset[str],
) -> np.ndarray:
    varying = [(i, n) for i, n in target if isinstance(i, Index)]
    run = _Evaluation(arrays, dict(varying), sizes, stacked)
    with np.errstate(all="ignore"):
        value, axes = run.value(e)
        aligned = _aligned(value, axes, tuple(i for i, _ in varying))
        whole = np.broadcast_to(aligned, tuple(n for _, n in varying))
        return np.array(whole, dtype=np.float64).reshape(tuple(n for _, n in target))


class _Evaluation:
    """One evaluation. ``stacked``: the tensors whose first axis is ``SET``, which formulas do not speak of."""

    def __init__(
        self, arrays: Mapping[str, Any], lengths: dict[Index, int], sizes: Mapping[Symbol, int], stacked: frozenset[str]
    ) -> None:
        self.arrays = arrays
        self.lengths = lengths
        self.sizes = sizes
        self.stacked = stacked
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
        if not e.args:
            return _number(e), ()
        if e.is_Add:
            return self._combine(np.add, [self.value(a) for a in e.args])
        if e.is_Mul:
            return self._masked(*self._split(e.args))
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
            return self._call(e)
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

    def _call(self, e: Call) -> Named:
        op = REGISTRY[e.op]
        assert isinstance(op, Elementwise)
        entries, options = op.sorted_arguments(e.arguments)
        numbers = {key: float(self.value(value)[0]) for key, value in options.items()}
        return self._combine(lambda *ins: op.forward(*ins, **numbers), [_floats(self.value(a)) for a in entries])

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

    def _split(self, factors: Sequence[Any]) -> tuple[list[Named], list[Named]]:
        """The values of factors, and the masks among them: brackets, and sums of brackets only (counts)."""
        values, masks = [], []
        for f in factors:
            if isinstance(f, Indicator):
                masks.append(self.truth(f.condition))
                continue
            value = self.value(f)
            values.append(value)
            if isinstance(f, Total) and all(isinstance(p, Indicator) for p in _factors(f.body)):
                masks.append((np.not_equal(value[0], 0), value[1]))
        return values, masks

    def _masked(self, values: list[Named], masks: Sequence[Named]) -> Named:
        """The product, 0 outside the masks: not as a factor, since the rest may be infinite there."""
        axes = _union(values)
        value: Any = 1.0
        for part, own in values:
            value = value * _aligned(part, own, axes)
        for truth in masks:
            value, axes = self._combine(lambda t, v: np.where(t, v, 0.0), [truth, (value, axes)])
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
        factors, bound, places = self._located(_factors(term), bound)
        if len(factors) == 1 and not places and not isinstance(factors[0], Indicator):
            value, axes = self.value(factors[0])
            return self._sum_out(value, axes, bound)
        values, masks = self._split(factors)
        positions = [self.value(p) for p in places.values()]
        kept = _union([*masks, *positions])
        first = self._contracted(values, [i for i in bound if i not in kept])
        value, axes = self._masked([first], masks)
        rest = [i for i in bound if i in kept]
        return self._scattered((value, axes), dict(zip(places, positions, strict=True)), rest)

    def _located(self, factors: list[Any], bound: list[Index]) -> tuple[list[Any], list[Index], dict[Index, Any]]:
        """Brackets [i = p] solved for i. A bound i is p in all other factors; a free i, where p runs with the sum, is the
        place that terms are added to. Returns the other factors, what is still bound, and p by free i."""
        places: dict[Index, Any] = {}
        todo = [f for f in factors if isinstance(f, Indicator) and isinstance(f.condition, Eq)]
        while todo:
            f = todo.pop(0)
            for i, p in (f.condition.args, f.condition.args[::-1]):
                inside = p.free_symbols
                if not isinstance(i, Index) or i not in self.lengths or i in inside or not self._is_position(p):
                    continue
                if i in bound:
                    bound = [j for j in bound if j != i]
                    range_of_i = (
                        [] if isinstance(p, Index) and self.lengths[p] <= self.lengths[i] else [_within(p, self.lengths[i])]
                    )
                elif inside & set(bound) and not inside & set(places):
                    range_of_i = []
                    places[i] = p
                else:
                    continue
                rest = [substitute(g, {i: p}) for g in factors if g is not f]
                factors = [part for g in [*rest, *range_of_i] for part in _factors(g)]
                places = {j: q if j == i else substitute(q, {i: p}) for j, q in places.items()}
                todo = [f for f in factors if isinstance(f, Indicator) and isinstance(f.condition, Eq)]
                break
        return factors, bound, places

    def _is_position(self, p: Any) -> bool:
        """Whether an expression is a whole number for sure."""
        return bool(p.is_integer) or (isinstance(p, Entry) and np.asarray(self.arrays[p.tensor.name]).dtype.kind in "iu")

    def _contracted(self, parts: list[Named], bound: list[Index]) -> Named:
        """The product of the parts, summed over ``bound``: one einsum."""
        axes = _union(parts)
        missing = _count(self.lengths, [i for i in bound if i not in axes])
        if not parts:
            return missing, ()
        letters = {i: k for k, i in enumerate(axes)}
        out = [i for i in axes if i not in bound]
        operands: list[Any] = []
        for value, own in map(_floats, parts):
            operands += [value, [letters[i] for i in own]]
        small = _count(self.lengths, axes) <= SMALL
        value = np.einsum(*operands, [letters[i] for i in out], optimize=False if small else "greedy")
        return value * missing, tuple(out)

    def _scattered(self, part: Named, places: Mapping[Index, Named], bound: list[Index]) -> Named:
        """The sum over ``bound``, each term added to where its position says, along a new axis per position."""
        if not places:
            return self._sum_out(*part, bound)
        axes = _union([part, *places.values()])
        free = tuple(i for i in axes if i not in bound)
        axes = (*free, *(i for i in axes if i in bound))
        shape = [self.lengths[i] for i in axes]
        lengths = [self.lengths[i] for i in places]
        inside: Any = True
        slot: Any = np.arange(_count(self.lengths, free)).reshape([*shape[: len(free)], *[1] * (len(axes) - len(free))])
        for (p, own), n in zip(places.values(), lengths, strict=True):
            at = np.asarray(_aligned(p, own, axes)).astype(np.int64)
            inside = inside & (at >= 0) & (at < n)
            slot = slot * n + np.clip(at, 0, max(0, n - 1))
        terms = np.where(inside, _aligned(*part, axes), 0.0)
        slots = _count(self.lengths, [*free, *places])
        weights, slot = np.broadcast_to(terms, shape).ravel(), np.broadcast_to(slot, shape).ravel()
        total = np.bincount(slot, weights, slots) if slots else np.zeros(0)
        return total.reshape([*shape[: len(free)], *lengths]), (*free, *places)

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
        return REGISTRY[e.op].forward(value, **self._axes_and_options(e, free)), free

    def _axes_and_options(self, e: Any, free: Axes) -> dict[str, Any]:
        options: dict[str, Any] = {name: float(self.value(n)[0]) for name, n in options_of(e).items()}
        if not REGISTRY[e.op].of_matrices:
            options["dim"] = _as_dim(len(free), len(free) + len(e.bound))
        return options

    def _transform(self, e: Transform) -> Named:
        bound = self._bind(e)
        value, free = self._spread(e.body, bound)
        whole = self._transformed(e, value, free)
        return self._at(whole, [*free, *e.positions])

    def _transformed(self, e: Transform, value: np.ndarray, free: Axes) -> np.ndarray:
        try:
            return REGISTRY[e.op].forward(value, **self._axes_and_options(e, free))
        except LinAlgError:  # a formula in an inverse, of a matrix that has none: it has no value here
            if SET in free:  # but perhaps it has in other sets
                at = free.index(SET)
                rest = (*free[:at], *free[at + 1 :])
                return np.stack([self._transformed(e, part, rest) for part in np.moveaxis(value, at, 0)], at)
            return np.full(value.shape, np.nan)

    def _entry(self, e: Entry) -> Named:
        array = np.asarray(self.arrays[e.tensor.name])
        if array.dtype.kind == "f" and array.dtype != np.float64:
            array = array.astype(np.float64)
        return self._at(array, [SET, *e.indices] if e.tensor.name in self.stacked else list(e.indices))

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


def _number(e: Any) -> Any:
    """A sympy number; what is infinite or no real number is inf or nan."""
    if e is S.ComplexInfinity:
        return np.inf  # 1/0, as in the mean of nothing
    try:
        return int(e) if e.is_Integer and abs(e) < 2**62 else float(e)
    except TypeError:
        return np.nan
    except OverflowError:
        return np.inf if e > 0 else -np.inf


def _factors(e: Any) -> list[Any]:
    return list(e.args) if e.is_Mul else [e]


def _within(p: Any, n: int) -> Any:
    """[0 ≤ p < n]: nothing where that is certain."""
    return Indicator(And(p >= 0, p < n))


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
