"""The namespace ``s`` that op formulas are written against, in two modes.

*Evaluated*: entries are sympy expressions and sympy merges like terms; this is what derivatives are taken of.
*As written*: products and sums stay as the author wrote them (``x*x`` stays ``x x``, ``x/x`` is not 1); this is printed.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import sympy
from sympy import Add, And, Eq, Expr, Integer, Mul, Ne, Not, Or, Pow, S, Tuple
from sympy.core.relational import Relational

from explain.calculus import symbols
from explain.calculus.symbols import (
    UNIT,
    Call,
    Digit,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    Single,
    TensorName,
    Total,
    Transform,
    Where,
    numeric_size,
)

Indices = tuple[Any, ...]


class Written:
    """An expression whose arithmetic is kept as written."""

    def __init__(self, e: Any) -> None:
        self.e = S(e)

    def __add__(self, other: Any) -> Written:
        before = self.e.args if self.e.is_Add else (self.e,)  # a long sum must not become a deep one
        return Written(Add(*before, bare(other), evaluate=False))

    def __radd__(self, other: Any) -> Written:
        return Written(Add(bare(other), self.e, evaluate=False))

    def __sub__(self, other: Any) -> Written:
        return self + -Written(bare(other))

    def __rsub__(self, other: Any) -> Written:
        return Written(bare(other)) - self

    def __neg__(self) -> Written:
        if self.e.is_Number:
            return Written(-self.e)
        return Written(Mul(S.NegativeOne, self.e, evaluate=False))

    def __mul__(self, other: Any) -> Written:
        return Written(Mul(self.e, bare(other), evaluate=False))

    def __rmul__(self, other: Any) -> Written:
        return Written(Mul(bare(other), self.e, evaluate=False))

    def __truediv__(self, other: Any) -> Written:
        below = bare(other)
        inverse = 1 / below if below.is_Number and not below.is_zero else Pow(below, -1, evaluate=False)
        return Written(Mul(self.e, inverse, evaluate=False))

    def __rtruediv__(self, other: Any) -> Written:
        return Written(bare(other)) / self

    def __pow__(self, other: Any) -> Written:
        return Written(Pow(self.e, bare(other), evaluate=False))

    def __rpow__(self, other: Any) -> Written:
        return Written(Pow(bare(other), self.e, evaluate=False))

    def __gt__(self, other: Any) -> Any:
        return self.e > bare(other)

    def __ge__(self, other: Any) -> Any:
        return self.e >= bare(other)

    def __lt__(self, other: Any) -> Any:
        return self.e < bare(other)

    def __le__(self, other: Any) -> Any:
        return self.e <= bare(other)


def bare(value: Any) -> Expr:
    """The sympy expression behind a value of either mode."""
    return value.e if isinstance(value, Written) else symbols.number(value)


class Operand:
    """A tensor as a formula sees it: ``x[i, j]`` is an entry, ``x.at(out)`` the entry that broadcasting meets at out.

    ``shape``: symbolic sizes; ``numbers``: the sizes as numbers; ``entry``: indices to expression.
    """

    def __init__(self, numbers: Sequence[int], entry: Callable[[Indices], Any]) -> None:
        self.numbers = tuple(numbers)
        self.shape = tuple(symbols.size(n) for n in self.numbers)
        self.ndim = len(self.numbers)
        self._entry = entry

    def __getitem__(self, place: Any) -> Any:
        indices = place if isinstance(place, tuple) else (place,)
        assert len(indices) == self.ndim, f"{len(indices)} indices for {self.ndim} axes"
        return self._entry(tuple(bare(i) for i in indices))

    def at(self, out: Indices) -> Any:
        """The entry that broadcasting aligns with ``out``: trailing axes, index 0 along axes that are repeated."""
        tail = out[len(out) - self.ndim :] if self.ndim else ()
        indices = (i if n != 1 or isinstance(i, Single) else S.Zero for i, n in zip(tail, self.numbers, strict=True))
        return self[tuple(indices)]


def tensor_operand(name: TensorName, numbers: Sequence[int], as_written: bool) -> Operand:
    """The operand of a tensor that is a name in the formula."""
    wrap: Callable[[Expr], Any] = Written if as_written else lambda e: e
    return Operand(numbers, lambda indices: wrap(Entry(name, *indices)))


def number_operand(value: int | float, as_written: bool, numbers: Sequence[int] = ()) -> Operand:
    """The operand of a literal, or of a tensor of these sizes that holds nothing else. Evaluated formulas carry UNIT, so
    that sympy does not multiply the literal out."""
    n = symbols.number(value)
    if as_written:
        return Operand(numbers, lambda _: Written(n))
    return Operand(numbers, lambda _: n if n.is_zero or abs(n) == 1 or not n.is_finite else n * UNIT)


def identity_operand(numbers: Sequence[int], as_written: bool) -> Operand:
    """The operand of an identity matrix: 1 where row and column are the same."""

    def entry(indices: Indices) -> Any:
        e = Indicator(symbols.relation(Eq, *indices))
        return Written(e) if as_written else e

    return Operand(numbers, entry)


class Place(int):
    """A position that a formula leaves open, as the entry of a nameless tensor: a loop's turns read ``x[t]`` at others."""

    number: int

    def __new__(cls, value: int, number: int) -> Place:
        """``number``: which of the open positions of a formula this is."""
        found = super().__new__(cls, value)
        found.number = number
        return found

    def __repr__(self) -> str:
        return place_name(self.number).name

    @property
    def entry(self) -> Expr:
        """What stands for it in formulas."""
        return Entry(place_name(self.number))


def place_name(number: int) -> TensorName:
    """The nameless tensor whose only entry is an open position."""
    return TensorName(f"#{number}")


class Namespace:
    """``s`` in the ops' formulas. ``given``: operands of the index arrays that forward gave."""

    zero = S.Zero
    pi = S.Pi

    def __init__(self, as_written: bool = False, given: dict[str, Operand] | None = None) -> None:
        self._as_written = as_written
        self._given = given or {}
        self._sizes: dict[Index, Expr] = {}

    def _out(self, e: Any) -> Any:
        return Written(e) if self._as_written else e

    # indices and sizes

    def index(self, size: Any) -> Index:
        """A new index that runs over an axis of this size."""
        index = symbols.FRESH()
        if S(size) == 1:
            index = Single(index.name)
        self._sizes[index] = S(size)
        return index

    def size(self, number: int) -> Any:
        """A length as a size."""
        return symbols.size(number)

    def declare(self, indices: Indices, sizes: Sequence[Any]) -> None:
        """Say how far given indices run; fixed positions need not be declared."""
        self._sizes.update((i, S(n)) for i, n in zip(indices, sizes, strict=True) if isinstance(i, Index))

    def _limits(self, bound: Sequence[Index]) -> list[Tuple]:
        return [Tuple(i, self._sizes[i]) for i in bound]

    def count(self, *bound: Index) -> Any:
        """How many positions the indices run through."""
        return self._out(Mul(*(self._sizes[i] for i in bound)))

    def given(self, key: str) -> Operand:
        """An index array that forward gave."""
        return self._given[key]

    def number(self, value: Any) -> Any:
        """A literal, exactly."""
        return value.entry if isinstance(value, Place) else symbols.number(value)

    def literal(self, value: Any) -> Any:
        """A literal as a factor or term: sympy does not multiply it out."""
        return number_operand(value, self._as_written)[()]

    # building blocks

    def function(self, op: str, *arguments: Any, **options: Any) -> Any:
        """An entrywise op applied as a function of its own name; options that are given follow the arguments as numbers."""
        numbers = [symbols.number(v) for v in options.values() if v is not None]
        return self._out(Call(op, *(bare(a) for a in arguments), *numbers))

    def known(self, name: str, *arguments: Any) -> Expr:
        """A function of mathematics under sympy's name: for definitions, which slopes are compared with, never for show."""
        return getattr(sympy, name)(*(bare(a) for a in arguments))

    def total(self, body: Any, *bound: Index) -> Any:
        """The sum of ``body`` over the indices."""
        return self._out(Total(bare(body), *self._limits(bound)))

    def product(self, factors: Sequence[Any]) -> Any:
        """The product of the factors."""
        found = factors[0]
        for f in factors[1:]:
            found = found * f
        return found

    def added(self, terms: Sequence[Any]) -> Any:
        """The sum of the terms."""
        if self._as_written:
            return functools.reduce(operator.add, terms) if terms else S.Zero
        return Add(*map(bare, terms))

    def reduction(self, op: str, body: Any, *bound: Index, **options: Any) -> Any:
        """A reduction that keeps its own name; options follow as numbers."""
        numbers = [symbols.number(v) for v in options.values()]
        keeps_name = bound or numbers
        return self._out(Reduction(op, bare(body), *self._limits(bound), *numbers)) if keeps_name else self._out(bare(body))

    def transform(self, op: str, body: Any, bound: Sequence[Index], positions: Sequence[Any], **options: Any) -> Any:
        """One entry of an op that maps entries along axes to as many; options follow as numbers."""
        numbers = [symbols.number(v) for v in options.values()]
        return self._out(Transform(op, bare(body), self._limits(bound), [bare(p) for p in positions], *numbers))

    def transformed(self, op: str, x: Operand, out: Indices, over: Sequence[int], **options: Any) -> Any:
        """``transform`` of ``x`` along the axes ``over`` at the output index."""
        place, bound = self.along(x, out, over)
        return self.transform(op, x[place], bound, [out[k] for k in over], **options)

    def indicator(self, condition: Any) -> Any:
        """1 where the condition holds, else 0."""
        return self._out(Indicator(condition))

    def equal(self, a: Any, b: Any) -> Any:
        """The condition a = b."""
        return symbols.relation(Eq, bare(a), bare(b))

    def remainder(self, i: Any, n: Any) -> Any:
        """The position ``i`` counted round and round along an axis of n."""
        return Digit(i, 1, n)

    def quotient(self, i: Any, step: int, n: Any) -> Any:
        """Which of n runs of ``step`` positions the position ``i`` lies in."""
        return Digit(i, symbols.size(step), n)

    def all_of(self, brackets: Sequence[Any]) -> Any:
        """The condition that all of the brackets hold."""
        return And(*(bare(b).condition for b in brackets))

    def within(self, i: Any, start: int, end: int, size: int) -> list[Any]:
        """Brackets that say that a position along an axis of this size lies in start ≤ i < end: those that are needed."""
        if end - start == 1 < size:
            return [self.indicator(self.equal(i, start))]
        below = [self.indicator(i >= start)] if start > 0 else []
        return [*below, self.indicator(i < end)] if end < size else below

    def unequal(self, a: Any, b: Any) -> Any:
        """The condition a ≠ b."""
        return symbols.relation(Ne, bare(a), bare(b))

    def all_equal(self, a: Sequence[Any], b: Sequence[Any]) -> Any:
        """The condition that two positions are the same."""
        return And(*(symbols.relation(Eq, bare(p), bare(q)) for p, q in zip(a, b, strict=True)))

    def holds(self, mask_entry: Any) -> Any:
        """The condition that an entry of a mask is true; of a comparison, the comparison itself."""
        entry = bare(mask_entry)
        if isinstance(entry, Indicator):
            return entry.condition
        return entry != 0 if entry.is_Number else Holds(entry)

    def both(self, a: Any, b: Any) -> Any:
        """The condition that two hold."""
        return And(a, b)

    def either(self, a: Any, b: Any) -> Any:
        """The condition that one of two holds, or both."""
        return Or(a, b)

    def fails(self, condition: Any) -> Any:
        """The condition that one does not hold."""
        return Not(condition)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b."""
        return self._out(Where(condition, bare(a), bare(b)))

    def is_choice(self, e: Any) -> bool:
        """Whether an expression is one of two by a condition."""
        return isinstance(bare(e), Where)

    # patterns of axes

    def reduced(self, x: Operand, out: Indices, over: Sequence[int], keepdim: bool) -> tuple[Indices, list[Index]]:
        """For a reduction of ``x`` over axes: the full index of x, and the bound indices in it."""
        rest = iter(i for k, i in enumerate(out) if not (keepdim and k in over))
        place = tuple(self.index(x.shape[k]) if k in over else next(rest) for k in range(x.ndim))
        return place, [place[k] for k in over]

    def along(self, x: Operand, out: Indices, over: Sequence[int]) -> tuple[Indices, list[Index]]:
        """The output index with new bound indices along the axes ``over``: (full index, bound indices)."""
        place = tuple(self.index(x.shape[k]) if k in over else i for k, i in enumerate(out))
        return place, [place[k] for k in over]

    def places(self, numbers: Sequence[int]) -> Operand:
        """A reader whose entries are the indices themselves: where an index formula looks."""
        return _Places(numbers)

    def position(self, entry: Any) -> Any:
        """An entry of an index array (of positions, none negative) as an index."""
        return bare(entry)

    # channels in groups

    def per_group(self, size: Any, groups: int) -> Any:
        """How many of ``size`` channels a group has."""
        return symbols.size(numeric_size(size) // groups)

    def all_groups(self, size: Any, groups: int) -> Any:
        """How many channels groups of ``size`` have together."""
        return symbols.size(numeric_size(size) * groups)

    def in_group(self, i: Any, size: Any, c: Any, per_group: Any, groups: int) -> Any:
        """Channel ``c`` of the group that ``i``, one of ``size`` in ``groups`` groups, belongs to: counted over all."""
        if groups == 1:
            return c
        return per_group * Digit(i, self.per_group(size, groups), Integer(groups)) + c

    def in_its_group(self, i: Any, per_group: Any, groups: int) -> Any:
        """The number that ``i`` has in its own group."""
        return i if groups == 1 else Digit(i, S.One, per_group)

    def is_given(self, key: str) -> bool:
        """Whether forward gave this index array."""
        return key in self._given

    def refolded(self, out: Indices, sizes: Sequence[int], shape: Sequence[Any]) -> Indices:
        """Where entries come from when rows are read in another shape: the index into ``shape`` for ``out``, which runs
        over ``sizes``.

        Axes are matched in groups of equal products; within a group the flat index is split into digits.
        """
        out_sizes = [(i, symbols.size(n)) for i, n in zip(out, sizes, strict=True)]
        source: list[Any] = []
        todo_out = [pair for pair in out_sizes if numeric_size(pair[1]) != 1]
        todo_in = [(k, n) for k, n in enumerate(shape) if numeric_size(n) != 1]
        source = [S.Zero] * len(shape)
        if any(numeric_size(n) == 0 for n in shape):
            return tuple(S.Zero for _ in shape)
        while todo_in:
            group_in, group_out = [todo_in.pop(0)], [todo_out.pop(0)]
            while (a := _count(group_in)) != (b := _count(group_out)):
                if a < b:
                    group_in.append(todo_in.pop(0))
                else:
                    group_out.append(todo_out.pop(0))
            flat: Expr = S.Zero
            for index, n in group_out:
                flat = flat * n + index
            flat = flat.expand()
            stride: Expr = S.One
            for k, n in reversed(group_in):
                source[k] = flat if len(group_in) == 1 else Digit(flat, stride, n)
                stride = stride * n
        return tuple(source)


class _Places(Operand):
    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(numbers, lambda indices: indices)

    def __getitem__(self, place: Any) -> Any:
        return tuple(bare(i) for i in place)


def _count(group: list[tuple[Any, Any]]) -> int:
    return math.prod(numeric_size(n) for _, n in group)


def plain_exponents(e: Expr) -> Expr:
    """Literals in exponents and conditions without UNIT, so that powers merge."""
    if not e.has(UNIT):
        return e
    args = [plain_exponents(a) if isinstance(a, Expr | Relational | Tuple | Not) else a for a in e.args]
    if e.is_Pow:
        args[1] = args[1].xreplace({UNIT: S.One})
    if isinstance(e, Relational):
        args = [a.xreplace({UNIT: S.One}) for a in args]
    return symbols.rebuild(e, args) if e.args else e
