"""A sum of a product, with every factor moved out of the sums that do not bind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sympy import Eq, Expr, Mul, Not, S, Tuple

from explain.calculus.symbols import (
    Binding,
    Entry,
    Index,
    Indicator,
    Total,
    Where,
    numeric_size,
    rebuild,
    substitute,
    vanishes,
)

Bind = tuple[Index, Any]


def hoisted(factors: Iterable[Expr], binds: Iterable[Bind], free: Iterable[Bind] = ()) -> Expr:
    """Σ over ``binds`` of the product of ``factors``: factors without bound names stand outside, groups of factors that
    share no bound name get sums of their own, and a bound name in no factor gives its size.

    ``free``: the sizes of indices that are not bound, where known: [i = j] with such a j picks a term.
    """
    flat: list[Expr] = []
    for f in factors:
        flat.extend(f.args if f.is_Mul else (f,))
    limits = dict(binds)
    flat = _settled(_decided(flat, limits, dict(free)))
    if any(vanishes(f) for f in flat):
        return S.Zero
    names = [(f, {i for i in limits if f.has(i)} if limits else set()) for f in flat]
    outside = [f for f, used in names if not used]
    groups: list[tuple[list[Expr], set[Index]]] = []
    for f, used in names:
        if not used:
            continue
        members, shared = [f], set(used)
        for group in [g for g in groups if g[1] & used]:
            groups.remove(group)
            members = group[0] + members
            shared |= group[1]
        groups.append((members, shared))
    met = set().union(*(shared for _, shared in groups)) if groups else set()
    counts = [n for i, n in limits.items() if i not in met]
    sums = [Total(Mul(*members), *(Tuple(i, limits[i]) for i in limits if i in shared)) for members, shared in groups]
    return Mul(*outside, *counts, *sums)


def picked(e: Any, free: tuple[Bind, ...]) -> Any:
    """The expression with sums over [i = p] gone: of each the one term that is picked. ``free``: the sizes of the indices
    that are not bound in it."""
    if not (e.args and e.has(Total) and e.has(Indicator)):
        return e
    inside = (*free, *e.limits) if isinstance(e, Total) else free
    e = rebuild(e, [picked(a, inside) for a in e.args])
    return hoisted((e.body,), e.limits, free) if isinstance(e, Total) else e


def settled(e: Any) -> Any:
    """The expression with every choice made that a factor beside it has made already: [c]·(a if c else b) is [c]·a."""
    if not (e.args and e.has(Where) and e.has(Indicator)):
        return e
    e = rebuild(e, [settled(a) for a in e.args])
    return Mul(*_settled(list(e.args))) if e.is_Mul else e


def _settled(factors: list[Expr]) -> list[Expr]:
    """Beside a factor [c], what the other factors say where c does not hold is never asked: ``Where`` c is decided."""
    held = {f.condition for f in factors if isinstance(f, Indicator)}
    if not held:
        return factors
    found = []
    for f in factors:
        chosen: dict[Expr, Expr] = {}
        for w in [] if isinstance(f, Indicator) else f.atoms(Where):
            condition, then, otherwise = w.args
            inner = {i for b in f.atoms(Binding) for i in b.bound}
            if not condition.atoms(Index) & inner:
                chosen |= {w: then} if condition in held else {w: otherwise} if Not(condition) in held else {}
        if chosen:  # what was chosen may be a product, and hold further choices
            f = Mul(*_settled([*map(Indicator, held), substitute(f, chosen)])[len(held) :])
        found.append(f)
    return [part for f in found for part in (f.args if f.is_Mul else (f,))]


def _decided(factors: list[Expr], limits: dict[Index, Any], free: dict[Index, Any]) -> list[Expr]:
    """A factor [i = p] with a bound i and a position p along the same axis (a number, an entry of an index array, an index
    that runs no further) picks one term."""
    for f in factors:
        if not (isinstance(f, Indicator) and isinstance(f.condition, Eq)):
            continue
        for i, p in (f.condition.args, f.condition.args[::-1]):
            if i in limits and not p.has(i) and _is_position(p, limits[i], {**free, **limits}):
                del limits[i]
                rest = [substitute(g, {i: p}) for g in factors if g is not f]
                flat = [part for g in rest for part in (g.args if g.is_Mul else (g,))]
                return _decided(flat, limits, free)
    return factors


def _is_position(p: Expr, n: Any, sizes: dict[Index, Any]) -> bool:
    if isinstance(p, Index):
        return p in sizes and (sizes[p] == n or numeric_size(sizes[p]) <= numeric_size(n))
    return isinstance(p, Entry) or bool(p.is_Integer and 0 <= p < numeric_size(n))


def without_sums_of_one(e: Expr, place: Expr) -> Expr:
    """Without sums along axes of size 1. ``place``: the only position there is, 0 or an index along such an axis."""
    if not e.has(Total):
        return e
    e = rebuild(e, [without_sums_of_one(a, place) for a in e.args])
    single = {i: place for i, n in e.limits if n == 1} if isinstance(e, Total) else {}
    return Total(substitute(e.body, single), *(limit for limit in e.limits if limit[0] not in single)) if single else e
