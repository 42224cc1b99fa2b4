"""Whether a stated formula is the derived one for all values: entry by entry, by algebra.

Both are written out over the entries of the program's tensors, sums as sums of terms, and their difference must expand to
zero. What this cannot decide is no failure: the formula has then been tried with numbers only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
from sympy import And, Expr, Not, Or, PolynomialError, S, Symbol
from sympy.core.relational import Relational

from explain.calculus.rules import definition, spelled_out
from explain.calculus.symbols import (
    UNIT,
    Call,
    Digit,
    Entry,
    Index,
    Indicator,
    Reduction,
    Size,
    Total,
    Transform,
    Where,
    substitute,
)
from explain.derivation.build import derive
from explain.derivation.direct import derivation_of
from explain.derivation.model import Derivation, Formula
from explain.derivation.request import Request
from explain.errors import CannotDerive, InputError
from explain.program.evaluate import traced_value
from explain.program.expression import Expression
from explain.program.stated import Stated
from explain.tape.record import record
from explain.tape.tensor import leaf

LARGEST = 36
"""So many entries are written out."""
LONGEST = 400
"""A difference of more operations is not expanded."""
MOST_TERMS = 4_000
LARGEST_DENOMINATOR = 10_000
ROUNDING = 1e-15

Rows = Mapping[str, Formula]


def equal_by_algebra(
    stated: Stated, request: Request, wrt: int, arrays: Mapping[str, Any], shape: tuple[int, ...], diagonal: bool = False
) -> bool:
    """Whether every entry of a gradient is what a formula states. ``arrays``: the program's names with their values;
    ``shape``: of the gradient. ``diagonal``: the formula states the diagonal, of this shape, of a Jacobian that must be 0
    elsewhere. False where that is not found out."""
    if int(np.prod(shape)) ** (2 if diagonal else 1) > LARGEST:
        return False
    try:
        derived = derive(replace(request, wanted=(wrt,), sizes={}))
        found = derived.gradients[0].closed_form
        if found is None:
            return False
        truth = _Entries(_rows(derived))
        claimed = _claimed(stated, arrays, shape, truth)
        if not diagonal:
            return all(_vanishes(truth.entry(found.index, place) - claimed(place)) for place in np.ndindex(shape))
        pairs = itertools.product(np.ndindex(shape), repeat=2)
        return all(_vanishes(truth.entry(found.index, (*i, *j)) - (claimed(i) if i == j else 0)) for i, j in pairs)
    except (CannotDerive, InputError, PolynomialError):
        return False


def value_by_algebra(stated: Stated, request: Request, arrays: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """Whether every entry of what is differentiated is itself what a formula states, as ``equal_by_algebra`` does of a
    gradient; ``shape``: of the value."""
    if int(np.prod(shape)) > LARGEST:
        return False
    try:
        derived = derive(replace(request, wanted=(), sizes={}))
        rows = _rows(derived)
        if derived.output not in rows:
            return False
        truth = _Entries(rows)
        claimed = _claimed(stated, arrays, shape, truth)
        return all(_vanishes(truth.entry(rows[derived.output], place) - claimed(place)) for place in np.ndindex(shape))
    except (CannotDerive, InputError, PolynomialError):
        return False


def _rows(d: Derivation) -> dict[str, Formula]:
    """What the names of a derivation stand for."""
    rows = {row.name: row.formula for row in d.rows if row.kind == "step" and row.formula is not None}
    return {**rows, **{let.name: let.formula for let in d.lets}}


def _claimed(stated: Stated, arrays: Mapping[str, Any], shape: tuple[int, ...], truth: _Entries) -> Any:
    """A function from places to the stated entries."""
    if not isinstance(stated.parts, Expression):
        parts = [_claimed(part, arrays, shape[1:], truth) for part in stated.parts]
        return lambda place: parts[place[0] if len(parts) > 1 else 0](place[1:])
    if not stated.names and not stated.made:
        number = S(sympy.nsimplify(float(stated.at({})), rational=True)) if not shape else None
        if number is not None:
            return lambda place: number
    if any(isinstance(made, Stated) for made in stated.made.values()):
        raise CannotDerive("a list inside a formula has no formula of its own")
    derived = _formula_of(stated, arrays, shape)
    closed = derived.gradients[0].closed_form
    if closed is None:
        raise CannotDerive("the stated formula is too long")
    own = {name: f for name, f in _rows(derived).items() if name not in arrays}
    entries = _Entries(own, truth)
    return lambda place: entries.entry(closed.index, place)


def _formula_of(stated: Stated, arrays: Mapping[str, Any], shape: tuple[int, ...]) -> Derivation:
    """The stated formula in index form: the gradient of ⟨w, formula⟩ by w is the formula."""
    assert isinstance(stated.parts, Expression)
    with record() as recorder:
        weight = leaf(np.ones(shape))
        weight.requires_grad = True
        own = {key: arrays[name] for key, name in stated.dotted.items()}
        value = traced_value(stated.parts, {**arrays, **stated.made, **own}, recorder, stated.dotted)
        total = (weight * value).sum() if shape else weight * value
        return derivation_of(total, [weight])


class _Entries:
    """Formulas at numeric places. ``rows``: what names stand for; other names are those of ``outer``."""

    def __init__(self, rows: Rows, outer: _Entries | None = None) -> None:
        self.rows = rows
        self.outer = outer
        self.seen: dict[Any, Expr] = {}
        self.terms = 0

    def entry(self, f: Formula, place: tuple[int, ...]) -> Expr:
        at = {Index(letter): S(k) for letter, k in zip(f.letters, place, strict=True) if not letter.isdigit()}
        return self.explicit(substitute(f.e, at))

    def explicit(self, e: Any) -> Any:
        if e in self.seen:
            return self.seen[e]
        found = self.seen[e] = self._explicit(e)
        return found

    def _explicit(self, e: Any) -> Any:
        if e == UNIT:
            return S.One
        if e.is_Rational or e.is_Float:
            return _fraction(e)
        if isinstance(e, Size):
            return S(e.value)
        if isinstance(e, Entry):
            return self._named(e)
        if isinstance(e, Total):
            return self._total(e)
        if isinstance(e, Reduction | Transform):
            return self.explicit(spelled_out(e))
        if isinstance(e, Call):
            return definition(e.op, tuple(self.explicit(a) for a in e.arguments))
        if isinstance(e, Indicator):
            return S(int(self._holds(e.condition)))
        if isinstance(e, Where):
            return self.explicit(e.args[1] if self._holds(e.args[0]) else e.args[2])
        if isinstance(e, Digit):
            flat, stride, modulus = (int(self.explicit(a)) for a in e.args)
            return S(flat // stride % modulus)
        if not e.args:
            return e
        if not (e.is_Add or e.is_Mul or e.is_Pow or e.is_Function):
            raise CannotDerive(f"{type(e).__name__} is not written out")
        return e.func(*(self.explicit(a) for a in e.args))

    def _named(self, e: Entry) -> Expr:
        place = tuple(int(self.explicit(i)) for i in e.indices)
        if e.tensor.name in self.rows:
            return self.entry(self.rows[e.tensor.name], place)
        if self.outer is not None:
            return self.outer._named(Entry(e.tensor, *place))
        return Symbol("_".join([e.tensor.name, *map(str, place)]), real=True)

    def _total(self, e: Total) -> Expr:
        sizes = [int(self.explicit(n)) for _, n in e.limits]
        self.terms += int(np.prod(sizes))
        if self.terms > MOST_TERMS:
            raise CannotDerive("too many terms to be written out")
        parts = [
            self.explicit(substitute(e.body, dict(zip(e.bound, map(S, place), strict=True)))) for place in np.ndindex(*sizes)
        ]
        return sympy.Add(*parts)

    def _holds(self, condition: Any) -> bool:
        """A condition between numbers. Raises CannotDerive where the values of tensors decide."""
        if isinstance(condition, And | Or):
            return (all if isinstance(condition, And) else any)(self._holds(a) for a in condition.args)
        if isinstance(condition, Not):
            return not self._holds(condition.args[0])
        if isinstance(condition, Relational):
            found = condition.func(*(self.explicit(a) for a in condition.args))
            if found in (S.true, S.false):
                return bool(found)
        raise CannotDerive("which branch is taken depends on the values")


def _fraction(e: Any) -> Any:
    """The fraction that a number stands for: whoever writes ``2/3`` states no binary number near it."""
    exact = sympy.Rational(e)
    short = sympy.Rational(*exact.limit_denominator(LARGEST_DENOMINATOR).as_numer_denom())
    return short if abs(short - exact) < ROUNDING * abs(exact) else exact


def _vanishes(e: Expr) -> bool:
    """Whether an expression is 0 for all values of its symbols, as far as expanding shows."""
    if e == 0:
        return True
    e = e.rewrite(sympy.tanh, sympy.exp) if e.has(sympy.tanh) else e
    if sympy.count_ops(e) > LONGEST:
        return False
    if sympy.expand(e) == 0:
        return True
    top, _ = sympy.together(e).as_numer_denom()
    return bool(sympy.count_ops(top) <= LONGEST and sympy.expand(top) == 0)
