"""A sum of a product, with every factor moved out of the sums that do not bind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sympy import Expr, Mul, S, Tuple

from explain.calculus.symbols import Index, Total

Bind = tuple[Index, Any]


def hoisted(factors: Iterable[Expr], binds: Iterable[Bind]) -> Expr:
    """Σ over ``binds`` of the product of ``factors``: factors without bound names stand outside, groups of factors that
    share no bound name get sums of their own, and a bound name in no factor gives its size."""
    flat: list[Expr] = []
    for f in factors:
        flat.extend(f.args if f.is_Mul else (f,))
    limits = dict(binds)
    if any(f.is_zero for f in flat):
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
    sums = [
        Total(Mul(*members), *(Tuple(i, limits[i]) for i in limits if i in shared)) for members, shared in groups
    ]
    return Mul(*outside, *counts, *sums)
