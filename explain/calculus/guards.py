"""Formulas of what backward computed, without the cases by which its rules stay finite where they have no value."""

from __future__ import annotations

from typing import Any

from sympy import Eq, Ne, Pow, S

from explain.calculus.symbols import Indicator, Where, rebuild


def unguarded(e: Any) -> Any:
    """0 where D = 0, else a/D, is a/D: at a point where D is 0 the formula has no value, and what the tape takes there is a
    choice of its own. Cases by which nothing is divided stay."""
    if not e.args:
        return e
    if isinstance(e, Where) and isinstance(e.args[0], Eq | Ne) and e.args[0].rhs == 0:
        condition, below = e.args[0], e.args[0].lhs
        at_zero = isinstance(condition, Eq)
        elsewhere = unguarded(_decided(e.args[2 if at_zero else 1], below))
        if _divides(elsewhere, below):
            return elsewhere
        there = unguarded(e.args[1 if at_zero else 2])
        return Where(condition, *((there, elsewhere) if at_zero else (elsewhere, there)))
    return rebuild(e, [unguarded(a) for a in e.args])


def _decided(e: Any, below: Any) -> Any:
    """The formula where ``below`` is not 0."""
    if e == Eq(below, 0, evaluate=False):
        return S.false
    if e == Ne(below, 0, evaluate=False):
        return S.true
    if not e.args:
        return e
    parts = [_decided(a, below) for a in e.args]
    if isinstance(e, Where | Indicator):
        return e.func(*parts)
    return rebuild(e, parts)


def _divides(e: Any, below: Any) -> bool:
    """Whether something is divided by it."""
    return any(power.exp.could_extract_minus_sign() and power.base == below for power in e.atoms(Pow))
