"""Iverson brackets put together: two that bound one index are one, and those that divide what there is add up to 1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from sympy import Add, Eq, Expr, Ge, Gt, Integer, Le, Lt, Mul, Ne, Not, S

from explain.calculus.symbols import UNIT, Binding, Index, Indicator, Where, rebuild, substitute

Span = tuple[float, float]
"""The least and the largest position that an index may have."""

EVERYWHERE: Span = (-math.inf, math.inf)


def merged(e: Any) -> Any:
    """The formula with the brackets in its products and sums put together."""
    if not (e.args and e.has(Indicator)):
        return e
    e = rebuild(e, [merged(a) for a in e.args])
    return _product(e) if e.is_Mul else _sum(e) if e.is_Add else e


def _product(e: Expr) -> Expr:
    """[i ≥ 3]·[i ≥ 2] is [i ≥ 3], [i < 4]·[i ≥ 3] is [i = 3], and beside [i ≥ 3] the bracket [i < 3] in a sum is 0."""
    spans: dict[Index, Span] = {}
    rest, brackets = [], 0
    for f in e.args:
        found = _spanned(f)
        if found is None:
            rest.append(f)
            continue
        brackets += 1
        (i, (low, high)), (least, most) = found, spans.get(found[0], EVERYWHERE)
        spans[i] = (max(low, least), min(high, most))
    if not spans:
        return e
    if any(low > high for low, high in spans.values()):
        return S.Zero
    told = [_told(f, spans) for f in rest]
    if told == rest and brackets == len(spans):
        return e
    kept = [b for i, span in spans.items() for b in _brackets(i, span)]
    return Mul(*(f if f in rest else merged(f) for f in told), *kept)


def _sum(e: Expr) -> Expr:
    """f·[i < 3] + f·[i ≥ 3] is f, and so is f·[c] + f·[not c]."""
    met: dict[Any, list[tuple[Expr, Any]]] = {}
    for term in e.args:
        for rest, about, says in _pieces(term):
            for other, said in met.get((rest, about), ()):
                together = _together(about, says, said)
                if together is not None:
                    units = Mul(*(f for f in Mul.make_args(term) if f.as_base_exp()[0] == UNIT))
                    return merged(Add(*(t for t in e.args if t not in (term, other)), units * rest * together))
            met.setdefault((rest, about), []).append((term, says))
    return e


def _pieces(term: Expr) -> list[tuple[Expr, Index | None, Any]]:
    """A term by the brackets in it: what it is without those that bound an index, the index, and its span; or without
    another bracket, None, and the condition."""
    factors = [f for f in Mul.make_args(term) if f.as_base_exp()[0] != UNIT]
    spans: dict[Index, Span] = {}
    found: list[tuple[Expr, Index | None, Any]] = []
    for f in factors:
        bounds = _spanned(f)
        if bounds is not None:
            i, (low, high) = bounds
            least, most = spans.get(i, EVERYWHERE)
            spans[i] = (max(low, least), min(high, most))
        elif isinstance(f, Indicator):
            found.append((Mul(*(g for g in factors if g is not f)), None, f.condition))
    for i, span in spans.items():
        rest = [f for f in factors if (bounds := _spanned(f)) is None or bounds[0] != i]
        found.append((Mul(*rest), i, span))
    return found


def _together(about: Index | None, one: Any, other: Any) -> Expr | None:
    """The sum of two brackets that do not hold together, if it is 1 or brackets of one index."""
    if about is None:
        return S.One if Not(one) == other else None
    first, second = sorted((one, other))
    if first[1] + 1 != second[0] or first[0] == first[1] or second[0] == second[1]:
        return None  # single positions stay: [i = 1] + [i = 2] says more than what it would be
    return Mul(*_brackets(about, (first[0], second[1])))


def _spanned(f: Any) -> tuple[Index, Span] | None:
    """The index that a bracket bounds, and how; None for every other factor."""
    if not (isinstance(f, Indicator) and isinstance(f.condition, Eq | Ge | Gt | Le | Lt)):
        return None
    condition = f.condition.reversed if isinstance(f.condition.args[0], Integer) else f.condition
    shift, i = condition.args[0].as_coeff_Add()
    if not (isinstance(i, Index) and shift.is_Integer and isinstance(condition.args[1], Integer)):
        return None
    kind, n = type(condition), int(condition.args[1] - shift)
    if issubclass(kind, Eq):
        return i, (n, n)
    if issubclass(kind, Ge | Gt):
        return i, (n + issubclass(kind, Gt), math.inf)
    return i, (-math.inf, n - issubclass(kind, Lt))


def _brackets(i: Index, span: Span) -> Iterable[Expr]:
    low, high = span
    if low == high:
        return [Indicator(Eq(i, int(low)))]
    below = [Indicator(i >= int(low))] if low > -math.inf else []
    return below + ([Indicator(i <= int(high))] if high < math.inf else [])


def _told(f: Expr, spans: dict[Index, Span]) -> Expr:
    """A factor with every condition in it decided that the brackets beside it decide."""
    if not f.has(Indicator, Where):
        return f
    bound = {i for b in f.atoms(Binding) for i in b.bound}
    decided: dict[Any, Any] = {}
    for part in f.atoms(Indicator, Where):
        condition = part.args[0]
        if not condition.free_symbols & bound:
            truth = _truth(condition, spans)
            if truth is not None and isinstance(part, Indicator):
                decided[part] = S.One if truth else S.Zero
            elif truth is not None:
                decided[part] = part.args[1] if truth else part.args[2]
    return substitute(f, decided)


def _truth(condition: Any, spans: dict[Index, Span]) -> bool | None:
    if isinstance(condition, Ne):
        truth = _truth(Eq(*condition.args, evaluate=False), spans)
        return None if truth is None else not truth
    found = _spanned(Indicator(condition))
    if found is None or found[0] not in spans:
        return None
    (low, high), (least, most) = spans[found[0]], found[1]
    if least <= low and high <= most:
        return True
    return False if high < least or low > most else None
