"""Index equations: which output entries meet a given input entry.

An occurrence ``x[e1, e2]`` meets the target entry ``x[t1, t2]`` where e1 = t1 and e2 = t2. Bound indices are eliminated
where the equations determine them; what cannot be solved stays as an Iverson bracket. Sizes are known numbers here, so
every question about ranges is decided.
"""

from __future__ import annotations

from typing import Any

from sympy import Add, Eq, Expr, Ge, Gt, Integer, Le, Lt, Mul, S, Symbol

from explain.calculus.hoist import without_sums_of_one
from explain.calculus.symbols import (
    FRESH,
    Digit,
    Index,
    Indicator,
    Size,
    Where,
    numeric_size,
    rebuild,
    relation,
    substitute,
)
from explain.calculus.symbols import size as size_symbol

Bind = tuple[Index, Any]
Equation = tuple[Expr, Expr]


def solve(
    factors: tuple[Expr, ...],
    binds: tuple[Bind, ...],
    indices: tuple[Any, ...],
    target: tuple[Bind, ...],
    free: tuple[Bind, ...] = (),
) -> tuple[list[Expr], list[Bind]]:
    """Solve ``indices = target`` for bound names. Returns the factors (with brackets for what is left) and the binds.

    Along an axis of size 1 every position is the only one, and no bracket says so; but an index of the output that meets
    one of the target there keeps its delta, as along any other axis."""
    system = _System(list(factors), dict(binds), {i: n for i, n in (*target, *free) if isinstance(i, Index)})
    named = {*system.binds, *(i for i, _ in free)}
    system.equations = [
        (e, t) for e, (t, n) in zip(indices, target, strict=True) if e != t and (numeric_size(n) != 1 or e in named)
    ]
    while system.step():
        pass
    brackets = [Indicator(relation(Eq, S(e), S(t))) for e, t in system.equations]
    return [*(system.decided(f) for f in system.factors), *brackets], list(system.binds.items())


def plain_positions(e: Expr, free: tuple[Bind, ...]) -> Expr:
    """Positions read off where ranges decide them, of ``free`` and of sums over one position: reshaped there and back,
    x[⌊(2i + j)/2⌋ mod 3, …] is x[i, j]."""
    return _System([], {}, {i: n for i, n in free if isinstance(i, Index)}).decided(
        without_sums_of_one(e, next((i for i, n in free if n == 1), S.Zero))
    )


class _System:
    def __init__(self, factors: list[Expr], binds: dict[Index, Any], others: dict[Index, Any]) -> None:
        self.factors = factors
        self.binds = binds
        self.others = others
        self.equations: list[Equation] = []

    def step(self) -> bool:
        """Apply the first rule that fits; False when none does."""
        self.equations = [(e, t) for e, t in self.equations if e != t]
        return (
            self._plain()
            or self._digits_of_one_index()
            or self._digit_of_a_name()
            or self._shift_round_an_axis()
            or self._chain()
            or self._affine()
        )

    def decided(self, f: Expr) -> Expr:
        """The factor with every inequality settled, and every digit read off, that the ranges of its indices decide."""
        if f.has(Digit):
            f = self._with_plain_digits(f)
            f = self._with_told_digits(f)
        if not f.has(Indicator, Where):
            return f
        return substitute(f, {c: S(truth) for c in f.atoms(Ge, Gt, Le, Lt) if (truth := self._truth(c)) is not None})

    def _with_plain_digits(self, f: Expr) -> Expr:
        known = {*self.binds, *self.others}  # of an index that a sum inside binds nothing is known here
        while True:
            mine = [d for d in f.atoms(Digit) if d.atoms(Index) <= known]
            plain = {d: p for d in mine if (p := self._plain_digit(d)) != d}
            plain |= {a: p for a in f.atoms(Add) if (p := _joined_digits(a)) != a}
            if not plain:
                return f
            f = substitute(f, plain)

    def _with_told_digits(self, e: Expr) -> Expr:
        """What a bracket on a digit of p says of p, put to use. [⌊p/s⌋ mod n = c] of the leading digit is
        c s ≤ p < (c + 1) s, and beside it p mod s is p − c s; beside [p mod s = c], s ⌊p/s⌋ is p − c."""
        if not (e.has(Indicator) and e.has(Digit)):
            return e
        brackets = self._leading(e)
        if brackets is not None:
            return Mul(*brackets)
        if not e.is_Mul:
            args = [self._with_told_digits(a) for a in e.args]
            return e if args == list(e.args) else rebuild(e, args)
        factors = list(e.args)
        for f in e.args:
            known = self._told(f)
            if known is not None:
                factors = [g if g == f or not g.has(Digit) else self._told_of(known, g) for g in factors]
        factors = [self._with_told_digits(f) for f in factors]
        return e if factors == list(e.args) else Mul(*factors)

    def _told(self, f: Expr) -> tuple[Digit, Expr] | None:
        """The digit and the number that a bracket says are equal."""
        if not (isinstance(f, Indicator) and isinstance(f.condition, Eq)):
            return None
        digit, c = f.condition.args if isinstance(f.condition.args[0], Digit) else f.condition.args[::-1]
        known = isinstance(digit, Digit) and digit.atoms(Index) <= {*self.binds, *self.others}
        return (digit, c) if known and _is_constant(c) else None

    def _told_of(self, known: tuple[Digit, Expr], e: Expr) -> Expr:
        """The factor beside a bracket, in which one digit of p is known."""
        (p, stride, modulus), c = known[0].args, known[1]
        if stride != 1:
            rest = Digit(p, S.One, stride)
            return substitute(e, {rest: (p - c * stride).expand()}) if self._leading(Indicator(Eq(known[0], c))) else e
        low, high = self._range(p)
        if low is None or high is None or low < 0:
            return e
        higher = [d for d in e.atoms(Digit) if d.args[:2] == (p, modulus) and high < numeric_size(modulus * d.args[2])]
        return substitute(e, {modulus * d: (p - c).expand() for d in higher}) if higher else e

    def _leading(self, f: Expr) -> list[Expr] | None:
        """The brackets that a bracket on the leading digit of p stands for."""
        known = self._told(f)
        if known is None:
            return None
        (p, stride, modulus), c = known[0].args, known[1]
        low, high = self._range(p)
        if low is None or high is None or low < 0 or high >= numeric_size(stride * modulus):
            return None
        start, end = numeric_size(c * stride), numeric_size((c + 1) * stride)
        brackets = [_bracket(p, Ge, Integer(start))] if low < start else []
        return brackets + ([_bracket(p, Le, Integer(end - 1))] if high >= end else [])

    def _plain_digit(self, digit: Digit) -> Expr:
        """⌊p / s⌋ mod n without what cannot move it: multiples of s n, and a part of p that stays below s; p itself if
        that stays in the range."""
        p, stride, modulus = digit.args
        s, around = numeric_size(stride), numeric_size(stride * modulus)
        steps: Expr = S.Zero
        below: Expr = S.Zero
        for term in p.expand().as_ordered_terms():
            constant, varying = term.as_independent(Index, as_Add=False)
            if isinstance(varying, Digit) and constant == 1 and varying.args[1] == 1:
                if numeric_size(varying.args[2]) % around == 0:
                    term = varying.args[0]  # counted round before, and round again now
                constant = S.One
            if not _is_constant(constant) or numeric_size(constant) % s:
                below = below + term
            elif varying == 1 or numeric_size(constant) % around:
                steps = steps + term
        low, high = self._range(below)
        if low is None or high is None or low < 0 or high >= s:
            below_stays = steps + below
            return Digit(below_stays, stride, modulus) if below_stays != p else digit
        p = (steps / stride).expand()
        low, high = self._range(p)
        if low is not None and high is not None and low >= 0 and high < numeric_size(modulus):
            return p
        return Digit(p, S.One, modulus)

    def _truth(self, inequality: Any) -> bool | None:
        low, high = self._range(inequality.gts - inequality.lts)
        if low is None or high is None:
            return None
        least = 1 if isinstance(inequality, Gt | Lt) else 0
        return True if low >= least else False if high < least else None

    # rules, in the order they are tried

    def _plain(self) -> bool:
        for k, (e, t) in enumerate(self.equations):
            if e in self.binds:
                del self.equations[k]
                self._replace(e, t)
                return True
        return False

    def _digits_of_one_index(self) -> bool:
        """All digits of one flat index together say what the flat index is."""
        for flat in {e.args[0] for e, _ in self.equations if isinstance(e, Digit)}:
            parts = [(e, t) for e, t in self.equations if isinstance(e, Digit) and e.args[0] == flat]
            parts.sort(key=lambda part: numeric_size(part[0].args[1]))
            reach, value = 1, S.Zero
            for e, t in parts:
                if numeric_size(e.args[1]) != reach:
                    break
                value = value + e.args[1] * t
                reach *= numeric_size(e.args[2])
            else:
                low, high = self._range(flat)
                if low == 0 and high == reach - 1:
                    self.equations = [pair for pair in self.equations if pair not in parts]
                    self.equations.append((flat, value))
                    return True
        return False

    def _digit_of_a_name(self) -> bool:
        """One digit of a bound name is known: its higher and lower digits are what the name still runs through."""
        for k, (e, t) in enumerate(self.equations):
            if not (isinstance(e, Digit) and e.args[0] in self.binds):
                continue
            name, stride, modulus = e.args
            step, around = numeric_size(stride), numeric_size(stride * modulus)
            size = numeric_size(self.binds[name])
            if size % around:
                continue
            del self.equations[k]
            value = stride * t
            for count, factor in ((size // around, stride * modulus), (step, S.One)):
                if count > 1:
                    digit = FRESH()
                    self.binds[digit] = size_symbol(count)
                    value = value + factor * digit
            self._replace(name, value, known=True)
            return True
        return False

    def _shift_round_an_axis(self) -> bool:
        """(p + c) mod n = t, where p runs once through all of n positions: p = (t − c) mod n."""
        for k, (e, t) in enumerate(self.equations):
            if not (isinstance(e, Digit) and e.args[1] == 1):
                continue
            flat, _, modulus = e.args
            terms = S(flat).expand().as_ordered_terms()
            p = sum((term for term in terms if term.has(*self.binds)), S.Zero) if self.binds else S.Zero
            if p != 0 and self._range(p) == (0, numeric_size(modulus) - 1):
                self.equations[k] = (p, Digit(t - (flat - p).expand(), S.One, modulus))
                return True
        return False

    def _chain(self) -> bool:
        """A flat index over several bound names whose strides chain: each name is a digit of the target."""
        for k, (e, t) in enumerate(self.equations):
            terms = self._affine_terms(e)
            if terms is None or len(terms[0]) < 2:
                continue
            coefficients, rest = terms
            order = sorted(coefficients, key=lambda v: numeric_size(coefficients[v]))
            reach = 1
            for v in order:
                if numeric_size(coefficients[v]) != reach:
                    break
                reach *= numeric_size(self.binds[v])
            else:
                shifted = t - rest
                low, high = self._range(shifted)
                if (low, high) != (0, reach - 1):
                    continue
                del self.equations[k]
                for v in order:
                    self._replace(v, self._digit(shifted, coefficients[v], self.binds[v]), known=True)
                return True
        return False

    def _affine(self) -> bool:
        """c v + r = t: v = (t − r) / c, inside its range and where c divides."""
        best: tuple[int, int, Index, Expr, Expr] | None = None
        for k, (e, t) in enumerate(self.equations):
            terms = self._affine_terms(e)
            if terms is None:
                continue
            coefficients, rest = terms
            for v, c in coefficients.items():
                step = abs(numeric_size(c))
                others = sum((coefficients[w] * w for w in coefficients if w != v), rest)
                if best is None or step < best[0]:
                    best = (step, k, v, c, (t - others))
        if best is None:
            return False
        step, k, v, c, difference = best
        del self.equations[k]
        if step == 1:
            self._replace(v, difference * c)
        else:
            self.factors.append(Indicator(Eq(Digit(difference, 1, Integer(step)), 0)))
            self._replace(v, difference / c)
        return True

    # the pieces

    def _replace(self, v: Index, value: Expr, known: bool = False) -> None:
        """Put ``value`` for the bound name; brackets say where it would leave the name's range (not if ``known``)."""
        top = numeric_size(self.binds.pop(v)) - 1
        mapping = {v: value}
        self.factors = [substitute(f, mapping) if f.has(v) else f for f in self.factors]
        self.equations = [(substitute(e, mapping), t) for e, t in self.equations]
        if known:
            return
        low, high = self._range(value)
        if low is None or low < 0:
            self.factors.append(_bracket(value, Ge, S.Zero))
        if high is None or high > top:
            self.factors.append(_bracket(value, Le, Integer(top)))

    def _affine_terms(self, e: Expr) -> tuple[dict[Index, Expr], Expr] | None:
        """Split into bound names times constant coefficients and a rest without bound names; None if not affine."""
        mine = [v for v in self.binds if e.has(v)]
        if not mine:
            return None
        rest = S(e).expand()
        coefficients: dict[Index, Expr] = {}
        for v in mine:
            c = rest.coeff(v)
            if c.is_zero or not _is_constant(c):
                return None
            coefficients[v] = c
            rest = rest - c * v
        rest = rest.expand()
        return None if any(rest.has(v) for v in mine) else (coefficients, rest)

    def _digit(self, p: Expr, stride: Expr, modulus: Expr) -> Expr:
        _, high = self._range(p)
        if high is not None and numeric_size(stride) == 1 and high < numeric_size(modulus):
            return p
        return Digit(p, stride, modulus)

    def _range(self, e: Expr) -> tuple[int | None, int | None]:
        """The least and largest value of an index expression, (None, None) if it is not affine in indices."""
        if isinstance(e, Digit):
            return 0, numeric_size(e.args[2]) - 1
        low = high = 0
        for term in S(e).expand().as_ordered_terms():
            digits = [f for f in term.args if isinstance(f, Digit)] if term.is_Mul else []
            names = digits or [i for i in term.free_symbols if isinstance(i, Index)]
            if len(names) > 1:
                return None, None
            if not names:
                if not _is_constant(term):
                    return None, None
                low, high = low + numeric_size(term), high + numeric_size(term)
                continue
            (i,) = names
            c = term.coeff(i)
            if term != c * i or not _is_constant(c) or not (digits or i in self.binds or i in self.others):
                return None, None
            reach = numeric_size(c) * ((numeric_size(i.args[2]) if isinstance(i, Digit) else self._top(i)) - 1)
            low, high = low + min(0, reach), high + max(0, reach)
        return low, high

    def _top(self, i: Index) -> int:
        return numeric_size(self.binds[i] if i in self.binds else self.others[i])


def _bracket(value: Expr, relation: Any, bound: Expr) -> Expr:
    """[value ≥ bound] with the constants on the right and no fraction: [p ≥ 1] rather than [p − 1 ≥ 0]."""
    numerator, below = value.as_numer_denom()
    constant, varying = numerator.as_independent(Index, as_Add=True)
    right = bound * below - constant
    if varying.could_extract_minus_sign():
        varying, right = -varying, -right
        relation = Le if relation is Ge else Ge
    return Indicator(relation(varying, right))


def _joined_digits(e: Expr) -> Expr:
    """A sum with digits of one flat index put together: a (⌊p/s⌋ mod n) + a n (⌊p/(s n)⌋ mod m) is a (⌊p/s⌋ mod n m)."""
    digits: list[tuple[Expr, Digit]] = []
    for term in e.args:
        a, digit = term.as_independent(Digit, as_Add=False)
        if isinstance(digit, Digit) and _is_constant(a):
            digits.append((a, digit))
    for a, low in digits:
        p, stride, n = low.args
        for b, high in digits:
            if (
                high.args[0] == p
                and numeric_size(high.args[1]) == numeric_size(stride * n)
                and numeric_size(b) == numeric_size(a * n)
            ):
                return e - a * low - b * high + a * Digit(p, stride, n * high.args[2])
    return e


def _is_constant(e: Expr) -> bool:
    if not all(isinstance(n, Size) for n in e.free_symbols if isinstance(n, Symbol)) or e.has(Digit):
        return False
    plain = e.xreplace({n: Integer(n.value) for n in e.free_symbols if isinstance(n, Size)})
    return bool(plain.is_Integer)
