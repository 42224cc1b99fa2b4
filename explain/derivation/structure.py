"""What a Jacobian looks like: where its entries are 0 whatever the values."""

from __future__ import annotations

from typing import Any

from sympy import Dummy, Eq, Expr, S

from explain.calculus.symbols import UNIT, Entry, Index, Indicator, Total, Where, substitute
from explain.derivation.links import Link


def structure(link: Link) -> str:
    """What the Jacobian looks like: zero, identity, diagonal, row, column, scalar, sparse (0 where positions do not meet)
    or dense."""
    e = link.jacobian
    if e is not None and e.is_zero:
        return "zero"
    out = [i for i, n in link.step.out if n != 1]
    target = [i for i, n in link.target if n != 1]
    if not out and not target:
        return "scalar"
    if not out:
        return "row"
    if not target:
        return "column"
    assert e is not None
    e = substitute(e, {i: S.Zero for i, n in (*link.step.out, *link.target) if n == 1 and isinstance(i, Index)})
    pairs = {condition: Eq(i, j) for i in out for j in target for condition in (Eq(i, j), Eq(j, i))}
    terms = [term.args if term.is_Mul else (term,) for term in (e.args if e.is_Add else (e,))]
    deltas = set.intersection(
        *({pairs.get(f.condition) for f in term if isinstance(f, Indicator)} - {None} for term in terms)
    )
    if len(out) == len(target) and all(Eq(i, j) in deltas for i, j in zip(out, target, strict=True)):
        rest = [f for f in terms[0] if not (isinstance(f, Indicator) and f.condition in pairs)]
        return "identity" if len(terms) == 1 and _is_unit(rest) else "diagonal"
    if len(out) == len(target) and all(any(Eq(i, j) in deltas for j in target) for i in out):
        return "permutation"
    return "sparse" if _is_sparse(e) else "dense"


def _is_sparse(e: Any) -> bool:
    """Whether every term is 0 where positions do not meet."""
    if isinstance(e, Indicator):
        return _compares_positions(e.condition)
    if e.is_Mul:
        return any(map(_is_sparse, e.args))
    if e.is_Add or isinstance(e, Where):
        return all(map(_is_sparse, e.args[1:] if isinstance(e, Where) else e.args))
    if e.is_Pow:
        return bool(e.exp.is_positive) and _is_sparse(e.base)
    return isinstance(e, Total) and _is_sparse(e.body)


def _compares_positions(condition: Any) -> bool:
    """Whether a condition is about where entries stand, not about their values."""
    return bool(condition.xreplace({entry: Dummy() for entry in condition.atoms(Entry)}).atoms(Index))


def _is_unit(factors: list[Expr]) -> bool:
    return all(f in (UNIT, 1) for f in factors)
