"""A formula written out entry by entry, where it singles out positions and there are few of them.

``2 (x₁ − 1) [i = 1] + 2 x₂ [i = 2]`` says less than the vector of its two entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

from sympy import Add, Expr, Integer, S
from sympy.core.relational import Relational

from explain.calculus.express import weight
from explain.calculus.matrix_tree import MEntries, MScale, Tree
from explain.calculus.symbols import (
    UNIT,
    Digit,
    Entry,
    Index,
    Indicator,
    Total,
    Where,
    numeric_size,
    rebuild,
    substitute,
    walk_preorder,
)

Bind = tuple[Index, Any]

MOST = {1: 4, 2: 3}
"""So many entries of a vector, and rows and columns of a matrix, at most."""
WIDEST = 80
"""How large the entries of a row may be together (in parts)."""


def has_few_entries(e: Expr, free: Sequence[Bind]) -> bool:
    """Whether a formula over ``free``, one or two indices with sizes, singles out positions, among few."""
    places = [i for i, _ in free]
    if len(free) not in MOST or not all(isinstance(i, Index) for i in places):
        return False
    return all(numeric_size(n) <= MOST[len(free)] for _, n in free) and _singles_out(e, places)


def written_out(e: Expr, free: Sequence[Bind], show: Callable[[Expr], Expr]) -> Tree | None:
    """The column or matrix of the entries of ``e``, a formula that ``has_few_entries``, the first index along the rows; None
    where they would be too long to be read.

    ``show``: an entry as a page shows it. The upstream gradient of a number stands behind the whole.
    """
    places = [i for i, _ in free]
    sizes = [numeric_size(n) for _, n in free]
    arriving = [a for a in e.atoms(Entry) if a.tensor.name.startswith("bar(")]
    upstream = arriving[0] if len(arriving) == 1 and not arriving[0].has(Index) else S.One
    inside = e.xreplace({upstream: S.One}) if upstream != 1 else e  # linear in it, as every gradient is
    found = [_shortest(_at(inside, places, at), show) for at in product(*map(range, sizes))]
    width = sizes[1] if len(sizes) == 2 else 1
    rows = tuple([tuple(found[k : k + width]) for k in range(0, len(found), width)])
    if any(sum(map(weight, row)) > WIDEST for row in rows) or not all(map(_is_plain, found)):
        return None
    return MEntries(rows) if upstream == 1 else MScale(upstream, MEntries(rows))


def _singles_out(e: Expr, places: Sequence[Index]) -> bool:
    """Whether positions stand in brackets beside numbers, [i = 1] and [i = 2], or one does and all others are 0 (what is
    p - [i = 2] is better said with a basis vector); or whether they are counted round, as in a cross product."""
    if any(isinstance(part, Digit) and part.has(*places) for part in walk_preorder(e)):
        return True
    brackets = {part for part in walk_preorder(e) if isinstance(part, Indicator)}
    found = [b for b in brackets if isinstance(b.condition, Relational) and _is_about(b.condition, places)]
    return len(found) > 1 or (len(found) == 1 and e.xreplace({found[0]: S.Zero}).is_zero is True)


def _is_about(condition: Relational, places: Sequence[Index]) -> bool:
    left, right = condition.args
    return any(a.is_Integer and b.has(*places) and not b.has(Entry) for a, b in ((left, right), (right, left)))


def _at(e: Expr, places: Sequence[Index], at: Sequence[int]) -> Any:
    return _counted(substitute(e, {i: Integer(k) for i, k in zip(places, at, strict=True)}))


def _counted(e: Any) -> Any:
    """With the digits of numbers as numbers, and with short sums over positions that are computed or singled out term by
    term."""
    if not (e.args and e.has(Digit, Indicator, Total)):
        return e
    computes = isinstance(e, Total) and (has_few_entries(e.body, e.limits) or _computes_few(e))
    e = rebuild(e, [_counted(a) for a in e.args])
    if isinstance(e, Digit) and not e.has(Index):
        flat, stride, modulus = map(numeric_size, e.args)
        return Integer(flat // stride % modulus)
    if computes and isinstance(e, Total):
        bound, sizes = [i for i, _ in e.limits], [range(numeric_size(n)) for _, n in e.limits]
        return Add(*(_at(e.body, bound, at) for at in product(*sizes)))
    return e


def _computes_few(e: Total) -> bool:
    """Whether a sum of few terms reads entries at positions that it computes: x[2 + j]."""
    entries = (part for part in walk_preorder(e.body) if isinstance(part, Entry))
    askew = any(i.has(*e.bound) and i not in e.bound for part in entries for i in part.indices)
    return askew and prod(numeric_size(n) for _, n in e.limits) <= MOST[1]


def _shortest(e: Expr, show: Callable[[Expr], Expr]) -> Expr:
    """An entry with its common factors in front, or with its literals multiplied out where that is shorter."""
    return min(show(e), show(e.xreplace({UNIT: S.One})), key=weight)


def _is_plain(e: Any) -> bool:
    """Whether nothing in an entry needs an index, or stands beside its tensor."""
    return not e.has(Indicator, Where, Total) and not any(
        i.is_Integer and i < 0 for part in walk_preorder(e) if isinstance(part, Entry) for i in part.indices
    )
