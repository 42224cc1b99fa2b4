"""The vocabulary of formulas: entries of tensors, indices, sizes, sums, and functions that speak their own language.

All are sympy expressions of our own, so that nothing is rewritten behind our back: no ``Heaviside``, no ``Piecewise``,
no merged ``exp(a)*exp(-a)``. This module is the only place that makes symbols; two symbols of one name but other
assumptions would be different to sympy, and the derivative between them a silent zero.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import count
from typing import Any

from sympy import Add, Eq, Expr, Integer, Mul, Ne, Pow, Rational, S, Symbol, Tuple, sqrt
from sympy.core.basic import Basic
from sympy.core.symbol import Str

Indices = tuple[Any, ...]

FULL_PRECISION = 16
"""A number that was computed has at least so many characters."""
LARGEST_TERM = 1000
"""Fractions of larger numbers are not recognised."""


class Index(Symbol):
    """An index that runs from 0 to a size less 1."""

    def __new__(cls, name: str) -> Index:
        return super().__new__(cls, name, integer=True, nonnegative=True)


class Single(Index):
    """The index along an axis of size 1: broadcasting need not put 0 in its place."""


class Size(Symbol):
    """The length of an axis, kept symbolic so that nothing is multiplied out; its number comes in last."""

    def __new__(cls, name: str) -> Size:
        return super().__new__(cls, name, integer=True, positive=True)

    @property
    def value(self) -> int:
        """The number of entries along the axis in this program."""
        return int(self.name[1:])


class TensorName(Symbol):
    """The name of a tensor in formulas."""

    def __new__(cls, name: str) -> TensorName:
        return super().__new__(cls, name)


def size(value: int) -> Expr:
    """The symbol of an axis length: one symbol per number, plain 0 and 1."""
    return Integer(value) if value < 2 else Size(f"n{value}")


UNIT = Symbol("unit", positive=True)
"""Equals 1. Multiplies every literal, so that sympy does not distribute ``3*(x + 2)``; it vanishes in ``late``."""


class Opaque(Expr):
    """Base of our expressions. sympy can find out nothing about their signs and kinds, and must not spend its time on
    trying: every fact is known to be unknown."""

    is_commutative = True
    is_algebraic = is_antihermitian = is_complex = is_composite = is_even = is_extended_negative = None
    is_extended_nonnegative = is_extended_nonpositive = is_extended_nonzero = is_extended_positive = None
    is_extended_real = is_finite = is_hermitian = is_imaginary = is_infinite = is_integer = is_irrational = None
    is_negative = is_noninteger = is_nonnegative = is_nonpositive = is_nonzero = is_odd = is_polar = is_positive = None
    is_prime = is_rational = is_real = is_transcendental = is_zero = None


class Entry(Opaque):
    """One entry of a tensor: ``Entry(x, i, j)``; a tensor without axes has no indices."""

    def __new__(cls, tensor: TensorName, *indices: Any) -> Entry:
        return Expr.__new__(cls, tensor, *(S(i) for i in indices))

    @property
    def tensor(self) -> TensorName:
        """Whose entry."""
        return self.args[0]

    @property
    def indices(self) -> Indices:
        """Where."""
        return self.args[1:]


class Binding(Opaque):
    """Base of expressions that bind indices; ``limits`` are pairs (index, size)."""

    @property
    def limits(self) -> tuple[Tuple, ...]:
        """The bound indices with their sizes."""
        raise NotImplementedError

    @property
    def body(self) -> Expr:
        """What the bound indices run through."""
        raise NotImplementedError

    @property
    def bound(self) -> tuple[Index, ...]:
        """The bound indices."""
        return tuple(limit[0] for limit in self.limits)

    def rebound(self, body: Expr, limits: Iterable[Tuple]) -> Expr:
        """The same expression over other bound names."""
        raise NotImplementedError

    @property
    def free_symbols(self) -> set[Basic]:
        """The symbols that are not bound here."""
        inside = self.body.free_symbols - set(self.bound)
        return inside.union(*(limit[1].free_symbols for limit in self.limits))


class Total(Binding):
    """The sum of ``body`` over the limits. A sum of a sum is one sum; a sum of nothing is its body."""

    def __new__(cls, body: Expr, *limits: Tuple) -> Expr:
        body = S(body)
        if vanishes(body):
            return S.Zero
        if isinstance(body, Total):
            limits = (*limits, *body.args[1:])
            body = body.args[0]
        if not limits:
            return body
        return Expr.__new__(cls, body, *limits)

    @property
    def body(self) -> Expr:
        return self.args[0]

    @property
    def limits(self) -> tuple[Tuple, ...]:
        return self.args[1:]

    def rebound(self, body: Expr, limits: Iterable[Tuple]) -> Expr:
        return Total(body, *limits)


class Reduction(Binding):
    """A reduction that is a name of its own (``prod``, ``max``, ``logsumexp``): the op's name, body, limits, and the op's
    options as numbers."""

    def __new__(cls, op: Any, body: Expr, *limits: Any) -> Reduction:
        return Expr.__new__(cls, Str(str(op)), S(body), *limits)

    @property
    def op(self) -> str:
        """The name of the op in the library."""
        return self.args[0].name

    @property
    def body(self) -> Expr:
        return self.args[1]

    @property
    def limits(self) -> tuple[Tuple, ...]:
        return tuple(a for a in self.args[2:] if isinstance(a, Tuple))

    @property
    def numbers(self) -> tuple[Expr, ...]:
        """The op's options."""
        return tuple(a for a in self.args[2:] if not isinstance(a, Tuple))

    def rebound(self, body: Expr, limits: Iterable[Tuple]) -> Expr:
        return Reduction(self.op, body, *limits, *self.numbers)


class Transform(Binding):
    """One entry of an op that maps entries along axes to as many entries (softmax): the op's name, the body over the
    bound indices, their limits, the positions looked at, and the op's options as numbers."""

    def __new__(cls, op: Any, body: Expr, limits: Any, positions: Any, *numbers: Any) -> Transform:
        return Expr.__new__(cls, Str(str(op)), S(body), Tuple(*limits), Tuple(*positions), *numbers)

    @property
    def op(self) -> str:
        """The name of the op in the library."""
        return self.args[0].name

    @property
    def body(self) -> Expr:
        return self.args[1]

    @property
    def limits(self) -> tuple[Tuple, ...]:
        return tuple(self.args[2])

    @property
    def positions(self) -> Indices:
        """Where along the bound axes."""
        return tuple(self.args[3])

    @property
    def numbers(self) -> tuple[Expr, ...]:
        """The op's options."""
        return self.args[4:]

    @property
    def at(self) -> Expr:
        """The body at the positions."""
        return substitute(self.body, dict(zip(self.bound, self.positions, strict=True)))

    def rebound(self, body: Expr, limits: Iterable[Tuple]) -> Expr:
        return Transform(self.op, body, limits, self.positions, *self.numbers)

    @property
    def free_symbols(self) -> set[Basic]:
        return super().free_symbols.union(*(S(p).free_symbols for p in self.positions))


class Call(Opaque):
    """An entrywise op that is a function of its own (``tanh``, ``relu``, ``maximum``): the op's name, its arguments."""

    def __new__(cls, op: Any, *arguments: Any) -> Call:
        return Expr.__new__(cls, Str(str(op)), *(S(a) for a in arguments))

    @property
    def op(self) -> str:
        """The name of the op in the library."""
        return self.args[0].name

    @property
    def arguments(self) -> tuple[Expr, ...]:
        """What the function is applied to."""
        return self.args[1:]


class Indicator(Opaque):
    """1 where the condition holds, 0 elsewhere: the Iverson bracket. Decided conditions are numbers at once."""

    def __new__(cls, condition: Any) -> Expr:
        condition = S(condition)
        if condition in (S.true, S.false):
            return S.One if condition == S.true else S.Zero
        return Expr.__new__(cls, condition)

    @property
    def condition(self) -> Basic:
        """The condition."""
        return self.args[0]

    def _eval_power(self, exponent: Expr) -> Expr | None:
        return self if exponent.is_Integer and exponent.is_positive else None


class Holds(Expr):
    """A truth value that a mask gives: used as a condition."""

    def __new__(cls, entry: Expr, wanted: Any = True) -> Holds:
        return Expr.__new__(cls, entry, S(wanted))


class Where(Opaque):
    """One of two expressions, by a condition."""

    def __new__(cls, condition: Any, then: Any, otherwise: Any) -> Expr:
        condition = S(condition)
        if condition in (S.true, S.false):
            return S(then) if condition == S.true else S(otherwise)
        if S(then) == S(otherwise):  # written where it was read
            return S(then)
        return Expr.__new__(cls, condition, S(then), S(otherwise))


class Digit(Expr):
    """⌊p / stride⌋ mod n, for reshape. Opaque: with plain ``floor`` and ``Mod`` sympy tears the flat index apart."""

    is_commutative = True
    is_integer = True
    is_nonnegative = True

    def __new__(cls, flat: Any, stride: Any, modulus: Any) -> Digit:
        return Expr.__new__(cls, S(flat), S(stride), S(modulus))


class Fresh:
    """Makes index names that nothing else has."""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self) -> Index:
        return Index(f"~{next(self._numbers)}")


FRESH = Fresh()


def substitute(e: Expr, mapping: dict[Any, Any], as_written: bool = False) -> Expr:
    """Replace indices, sizes or entries without capture: bound names are made fresh on the way if they could clash.

    ``as_written``: sums and products keep the order and the parts they have.
    """
    if not mapping:
        return e
    return _Substitution(mapping, as_written).of(e)


class _Substitution:
    """One substitution. Formulas repeat themselves: every part is replaced once."""

    def __init__(self, mapping: dict[Any, Any], as_written: bool, renaming: bool = False) -> None:
        self.done = dict(mapping)
        self.as_written = as_written
        self.incoming: set[Basic] = set() if renaming else set().union(*(S(v).free_symbols for v in mapping.values()))

    def of(self, e: Any) -> Any:
        found = self.done.get(e)
        if found is None:
            found = self._new(e)
            if found == e:  # one of several equal objects would pass for a change
                return e
            self.done[e] = found
        return found

    def _new(self, e: Any) -> Any:
        if not e.args:
            return e
        if isinstance(e, Binding) and self.incoming & set(e.bound):
            renamed: dict[Any, Any] = {i: FRESH() for i in e.bound}
            body = _Substitution(renamed, self.as_written, renaming=True).of(e.body)
            e = e.rebound(body, [Tuple(renamed[i], n) for i, n in e.limits])
        return rebuild(e, [self.of(a) for a in e.args], self.as_written)


def rebuild(e: Expr, args: list[Any], as_written: bool = False) -> Expr:
    """The same kind of expression over other arguments; the very same object if nothing changed."""
    if all(a is b for a, b in zip(args, e.args, strict=True)):
        return e
    if as_written and (e.is_Add or e.is_Mul or e.is_Pow):
        return e.func(*args, evaluate=False)
    return relation(e.func, *args) if e.is_Relational else e.func(*args)


def relation(kind: Any, left: Any, right: Any) -> Any:
    """A comparison, decided if it can be. sympy thinks long about whether things are equal, in vain where what it knows
    nothing of is left in their difference."""
    if kind in (Eq, Ne) and left != right:
        named = [isinstance(side, Index | Entry) for side in (left, right)]
        plain = all(named) or (any(named) and (_is_count(left) or _is_count(right)))
        if plain or _differ_by_opaque(left, right):
            return kind(left, right, evaluate=False)
    return kind(left, right)


def _is_count(e: Expr) -> bool:
    return bool(e.is_Integer) and int(e) >= 0


def _differ_by_opaque(left: Expr, right: Expr) -> bool:
    return bool((left.has(Opaque) or right.has(Opaque)) and (left - right).has(Opaque))


def number(value: Any) -> Expr:
    """A literal exactly: 0.5 is 1/2, 0.1 is 1/10, what Python computes for ``2**0.5`` is the root of 2, and ``math.pi`` π.
    Infinities and nan stay themselves."""
    if isinstance(value, float):
        if value != value:
            return S.NaN
        if value in (float("inf"), float("-inf")):
            return S.Infinity if value > 0 else S.NegativeInfinity
        return _known(value) or Rational(repr(value))
    return S(value)


def _known(value: float) -> Expr | None:
    """The small fraction, small fraction of π or root of one that this number is to its last digits; None if there is none.
    A number that somebody typed has fewer digits than that."""
    size, sign = abs(value), 1 if value > 0 else -1
    if len(repr(size)) < FULL_PRECISION:
        return None
    for scale, named in (
        (size, lambda r: r),
        (size / math.pi, lambda r: r * S.Pi),
        (size * size, sqrt),
        (size * size / math.pi, lambda r: sqrt(r) * sqrt(S.Pi)),
        (size * size * math.pi, lambda r: sqrt(r) / sqrt(S.Pi)),
    ):
        near = Fraction(scale).limit_denominator(LARGEST_TERM)
        if 0 < near.numerator <= LARGEST_TERM and abs(float(near) - scale) <= 4 * sys.float_info.epsilon * scale:
            return sign * named(Rational(near.numerator, near.denominator))
    return None


def vanishes(e: Expr) -> bool:
    """Whether an expression is zero as it stands. sympy's ``is_zero`` says the same of our expressions, after asking
    every part of a product all it could know."""
    return bool((e.is_Number or (e.is_Mul and S.Zero in e.args)) and e.is_zero)


def walk_preorder(e: Basic) -> Iterator[Basic]:
    """All subexpressions, outermost first."""
    stack = [e]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(top.args))


def numeric_size(e: Any) -> int:
    """The number that a size expression stands for in this program."""
    e = S(e)
    if e.is_Integer:
        return int(e)
    return int(e.xreplace({n: Integer(n.value) for n in e.free_symbols if isinstance(n, Size)}))


def is_plain_number(e: Expr) -> bool:
    """A number, or a power of numbers such as √2."""
    return bool(e.is_Number or (e.is_Pow and e.base.is_Number and e.exp.is_Number))


def late(e: Expr, mapping: dict[Any, Any] | None = None) -> Expr:
    """Put the sizes' numbers (and ``mapping``) in, multiplying numbers only: 6 (x + 2) / n becomes 3/2 (x + 2).

    Built without evaluation, because sympy would distribute 3/2 over the sum.
    """
    return _late(e, mapping or {}, {})


def _late(e: Any, mapping: dict[Any, Any], seen: dict[Any, Any]) -> Any:
    if e in seen:
        return seen[e]
    seen[e] = found = _late_one(e, mapping, seen)
    return found


def _late_one(e: Any, mapping: dict[Any, Any], seen: dict[Any, Any]) -> Any:
    if e in mapping:
        return mapping[e]
    if isinstance(e, Size):
        return Integer(e.value)
    if e == UNIT:
        return S.One
    if not e.args or isinstance(e, Str):
        return e
    args = [_late(a, mapping, seen) for a in e.args]
    if e.is_Mul:
        return product(args)
    if e.is_Add:
        return plain_sum(args)
    if e.is_Pow:
        base, exponent = args
        if exponent == 1:
            return base
        if exponent.is_zero:
            return S.One
        if base.is_Pow and base.exp.is_Number and exponent.is_Integer:
            power = base.exp * exponent
            return base.base if power == 1 else Pow(base.base, power, evaluate=False)
        return Pow(base, exponent, evaluate=is_plain_number(base) and is_plain_number(exponent))
    return rebuild(e, args)


def product(factors: Iterable[Expr]) -> Expr:
    """A product built without evaluation except that the numbers in it are multiplied; flat, number first."""
    coefficient: Expr = S.One
    rest: list[Expr] = []
    stack = list(factors)[::-1]
    while stack:
        f = stack.pop()
        if f.is_Mul:
            stack.extend(reversed(f.args))
        elif is_plain_number(f):
            coefficient = coefficient * f
        else:
            rest.append(f)
    if coefficient.is_zero:
        return S.Zero
    if coefficient.is_Mul:  # 2*sqrt(3): both are numbers
        rest = [*coefficient.args[1:], *rest]
        coefficient = coefficient.args[0]
    parts = [coefficient, *rest] if coefficient != 1 else rest
    return Mul(*parts, evaluate=False) if len(parts) > 1 else parts[0] if parts else S.One


def plain_sum(terms: Iterable[Expr]) -> Expr:
    """A sum built without evaluation except that the numbers in it are added; the number stays where sums end."""
    constant: Expr = S.Zero
    rest: list[Expr] = []
    for t in terms:
        for part in t.args if t.is_Add else (t,):
            if is_plain_number(part):
                constant = constant + part
            else:
                rest.append(part)
    parts = rest if constant.is_zero else [*rest, constant]
    return Add(*parts, evaluate=False) if len(parts) > 1 else parts[0] if parts else S.Zero
