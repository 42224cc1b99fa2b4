"""Places of entries and conditions about them: index expressions as whole numbers times indices, tidied for a reader.

Inside, indices count from 0; shown, from ``base``. Only places and conditions are rewritten that way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Eq, Expr, Ge, Gt, Le, Lt, Mul, Ne, S
from sympy.core.relational import Relational
from sympy.logic.boolalg import Not

from explain.calculus.symbols import Digit, Entry, Index, TensorName


@dataclass(frozen=True)
class Affine:
    """Whole numbers times atoms (indices, digits, entries of index arrays, sizes, multiples), plus a constant, over
    ``below``."""

    terms: tuple[tuple[int, Any], ...]
    constant: int
    below: int

    @property
    def atom(self) -> Any:
        """The one atom that this is, or None."""
        plain = len(self.terms) == 1 and self.terms[0][0] == 1 and self.constant == 0 and self.below == 1
        return self.terms[0][1] if plain else None


@dataclass(frozen=True)
class Multiple:
    """Sizes that have no number times something with indices: ``n (j - 1)``."""

    sizes: Expr
    of: Affine


def shifted(e: Any, base: int) -> Any:
    """An index expression for letters that count from ``base``: still with the value counted from 0, as the entries of
    index arrays have it always."""
    if isinstance(e, Index):
        return e - base
    if isinstance(e, Digit):
        return Digit(shifted(e.args[0], base), *e.args[1:])
    return e.func(*(shifted(a, base) for a in e.args)) if e.is_Add or e.is_Mul else e


@lru_cache(maxsize=4096)
def affine(e: Any) -> Affine:
    """An index expression taken apart, positive terms first."""
    e = S(e)
    by_sizes: dict[Any, dict[Any, Any]] = {}
    for number, sizes, atom in _collected(e if _has_sizes(e) else e.expand()):
        group = by_sizes.setdefault(sizes, {})
        group[atom] = group.get(atom, S.Zero) + number
    below = math.lcm(*(n.q for group in by_sizes.values() for n in group.values()))
    constant, found = 0, list[tuple[int, Any]]()
    for sizes, group in by_sizes.items():
        terms = [(int(n * below), atom) for atom, n in group.items() if n and atom != 1]
        alone = int(group.get(S.One, S.Zero) * below)
        if sizes == 1:
            constant, found = alone, found + terms
        elif terms:
            common = math.gcd(alone, *(n for n, _ in terms)) * (-1 if all(n < 0 for n, _ in terms) else 1)
            inside = tuple(sorted(((n // common, atom) for n, atom in terms), key=_shown_order))
            found.append((common, Multiple(sizes, Affine(inside, alone // common, 1))))
        elif alone:
            found.append((alone, sizes))
    return Affine(tuple(sorted(found, key=_shown_order)), constant, below)


def _has_sizes(e: Expr) -> bool:
    """Whether sizes that have no number stand in the expression."""
    return any(not isinstance(s, Index | TensorName) for s in e.free_symbols)


def _collected(e: Expr) -> Iterator[tuple[Any, Expr, Expr]]:
    """All terms as (number, sizes, what has indices in it or 1); sizes in front of a sum are not multiplied out."""
    if e.is_Add:
        for term in e.as_ordered_terms():
            yield from _collected(term)
    elif not e.has(Index, Digit, Entry):
        for term in e.expand().as_ordered_terms():
            number, sizes = term.as_coeff_Mul()
            yield number, sizes, S.One
    elif e.is_Mul:
        number, sizes = Mul(*(f for f in e.args if not f.has(Index, Digit, Entry))).as_coeff_Mul()
        inside = [f for f in e.args if f.has(Index, Digit, Entry)]
        for n, more, atom in _collected(inside[0]) if len(inside) == 1 else [(S.One, S.One, Mul(*inside))]:
            yield number * n, sizes * more, atom
    else:
        yield S.One, S.One, e


def _shown_order(term: tuple[int, Any]) -> tuple[bool, int, int]:
    n, atom = term
    return n < 0, -len(Mul.make_args(atom.sizes)) if isinstance(atom, Multiple) else 0, -abs(n)


def place(e: Any, base: int) -> Affine:
    """What stands in an index place, counted from ``base``."""
    return affine(shifted(S(e), base) + base)


def about_indices(c: Relational) -> bool:
    """Whether a condition compares positions, not values."""
    sides = [part for side in c.args for part in _outside_entries(side)]
    return all(isinstance(s, Index | Digit | Entry) or s.is_Rational or s.is_Symbol for s in sides) and any(
        isinstance(s, Index | Digit) for s in sides
    )


def _outside_entries(e: Any) -> list[Any]:
    if isinstance(e, Entry | Digit) or not e.args:
        return [e]
    if e.is_Add or e.is_Mul:
        return [part for a in e.args for part in _outside_entries(a)]
    return [e]


SWAPPED = {Eq: Eq, Ne: Ne, Gt: Lt, Lt: Gt, Ge: Le, Le: Ge}
NEGATED = {Eq: Ne, Ne: Eq, Gt: Le, Le: Gt, Ge: Lt, Lt: Ge}


@lru_cache(maxsize=4096)
def related(c: Relational, base: int) -> tuple[Affine, Any, Affine]:
    """A condition on positions, tidied: (left, kind of relation, right), constants where they are positive."""
    kind = c.func
    left, right = (affine(shifted(side, base)) for side in c.args)
    if not left.terms:
        left, right, kind = right, left, SWAPPED[kind]
    scale = math.lcm(left.below, right.below)
    a, b = ([(n * scale // side.below, t) for n, t in side.terms] for side in (left, right))
    constant = right.constant * scale // right.below - left.constant * scale // left.below
    if not b and all(n < 0 for n, _ in a):
        a, constant, kind = [(-n, t) for n, t in a], -constant, SWAPPED[kind]
    common = math.gcd(constant, *(n for n, _ in [*a, *b])) or 1
    a, b = ([(n // common, t) for n, t in side] for side in (a, b))
    constant //= common
    on_left = -constant if constant < 0 and b else 0
    left, right = Affine(tuple(a), on_left, 1), Affine(tuple(b), constant + on_left, 1)
    if kind is Le and isinstance(left.atom, Index) and right == Affine((), base, 1):
        kind = Eq  # nothing is less
    if kind in (Eq, Ne) and isinstance(right.atom, Index) and not isinstance(left.atom, Index):
        return right, kind, left
    return left, kind, right


def delta(c: Any, base: int) -> tuple[Index, Index] | None:
    """The two indices of a Kronecker delta, if the condition is one."""
    if not (isinstance(c, Eq) and about_indices(c)):
        return None
    left, _, right = related(c, base)
    a, b = left.atom, right.atom
    return (a, b) if isinstance(a, Index) and isinstance(b, Index) else None


def opposite(c: Any) -> Any:
    """The condition that holds where this one does not."""
    if isinstance(c, Relational):
        return NEGATED[c.func](*c.args, evaluate=False)
    return c.args[0] if isinstance(c, Not) else Not(c, evaluate=False)
