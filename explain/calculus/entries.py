"""A formula written out entry by entry, where it singles out positions and there are few of them.

``2 (x₁ − 1) [i = 1] + 2 x₂ [i = 2]`` says less than the vector of its two entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from sympy import Expr, Integer, S
from sympy.core.relational import Relational

from explain.calculus.express import weight
from explain.calculus.matrix_tree import MEntries, MScale, Tree
from explain.calculus.symbols import (
    UNIT,
    Entry,
    Index,
    Indicator,
    Total,
    Where,
    numeric_size,
    substitute,
    walk_preorder,
)

Bind = tuple[Index, Any]

MOST = 3
"""So many rows and columns, at most."""
WIDEST = 80
"""How large the entries of a row may be together (in parts)."""


def has_few_entries(e: Expr, free: Sequence[Bind]) -> bool:
    """Whether a formula over ``free``, one or two indices with sizes, singles out positions, among few."""
    places = [i for i, _ in free]
    plain = all(isinstance(i, Index) for i in places)
    return plain and 1 <= len(free) <= 2 and all(numeric_size(n) <= MOST for _, n in free) and _singles_out(e, places)


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
    """Whether positions stand in brackets beside numbers, [i = 1] and [i = 2], or one does and all others are 0; what is
    p - [i = 2] is better said with a basis vector."""
    brackets = {part for part in walk_preorder(e) if isinstance(part, Indicator)}
    found = [b for b in brackets if isinstance(b.condition, Relational) and _is_about(b.condition, places)]
    return len(found) > 1 or (len(found) == 1 and e.xreplace({found[0]: S.Zero}).is_zero is True)


def _is_about(condition: Relational, places: Sequence[Index]) -> bool:
    left, right = condition.args
    return any(a.is_Integer and b.has(*places) and not b.has(Entry) for a, b in ((left, right), (right, left)))


def _at(e: Expr, places: Sequence[Index], at: Sequence[int]) -> Any:
    return substitute(e, {i: Integer(k) for i, k in zip(places, at, strict=True)})


def _shortest(e: Expr, show: Callable[[Expr], Expr]) -> Expr:
    """An entry with its common factors in front, or with its literals multiplied out where that is shorter."""
    return min(show(e), show(e.xreplace({UNIT: S.One})), key=weight)


def _is_plain(e: Any) -> bool:
    """Whether nothing in an entry needs an index, or stands beside its tensor."""
    return not e.has(Indicator, Where, Total) and not any(
        i.is_Integer and i < 0 for part in walk_preorder(e) if isinstance(part, Entry) for i in part.indices
    )
