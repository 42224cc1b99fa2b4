"""The order in which a formula is shown, the same on a page and in a terminal.

Products: number, scalars, entries, functions, sums in parentheses, brackets, sums, the upstream last. Sums: a leading
minus moves back where something positive can stand first, ``1 - y²`` and ``x - μ``. Indices: counted from 0 inside,
shown from ``base``; only places and conditions are rewritten that way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Basic, Eq, Expr, Ge, Gt, Le, Lt, Mul, Ne, Pow, Rational, S, Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import Not

from explain.calculus.namespace import Namespace, Written, bare
from explain.calculus.rules import options_of
from explain.calculus.symbols import (
    Binding,
    Digit,
    Entry,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    late,
    walk_preorder,
)
from explain.ops.registry import REGISTRY

NUMBER, SCALAR, ENTRY, FUNCTION, GROUP, BRACKET, TOTAL, UPSTREAM, UPSTREAM_TOTAL = range(9)
BIG_REDUCTIONS = {"prod": "prod", "max": "max", "min": "min", "amax": "max", "amin": "min", "logsumexp": "logsumexp"}


# products


@dataclass(frozen=True)
class Parts:
    """A product taken apart: sign, positive number, factors above the bar, after the fraction, and below the bar."""

    negative: bool
    number: Rational
    above: tuple[Expr, ...]
    after: tuple[Expr, ...]
    below: tuple[Expr, ...]

    @property
    def factors(self) -> tuple[Expr, ...]:
        """All that is not divided by, in order."""
        return (*self.above, *self.after)


def parts(e: Expr) -> Parts:
    """The factors of a product (or of anything) in the order they are shown."""
    number, above, below = _split(e)
    for root in [f for f in above if f.is_Pow and f.base.is_Integer and f.exp == S.Half]:
        if number.q % root.base.p == 0:  # sympy's √2/2 is 1/√2
            number *= root.base
            above.remove(root)
            below.append(root)
    above, below = _one_root(above), _one_root(below)
    ordered = sorted(above, key=rank)
    after = tuple(f for f in ordered if rank(f) >= BRACKET)
    inside = tuple(f for f in ordered if rank(f) < BRACKET)
    if below and not inside and len(after) == 1 and not is_big(after[0]):
        inside, after = after, ()
    return Parts(bool(number < 0), abs(number), inside, after, tuple(sorted(below, key=rank)))


def _one_root(factors: list[Expr]) -> list[Expr]:
    """The factors with the roots of numbers as one: √(2π)."""
    roots = [f for f in factors if f.is_Pow and f.exp == S.Half and f.base.is_number]
    if len(roots) < 2:
        return factors
    under = Mul(*(root.base for root in roots))
    return [Pow(under, S.Half, evaluate=False), *(f for f in factors if f not in roots)]


def _split(e: Expr) -> tuple[Rational, list[Expr], list[Expr]]:
    number: Any = S.One
    above: list[Expr] = []
    below: list[Expr] = []
    for f in e.args if e.is_Mul else (e,):
        if f.is_Rational:
            number = number * f
        elif f is S.ComplexInfinity:
            below.append(S.Zero)
        elif f.is_Mul:
            inner = _split(f)
            number = number * inner[0]
            above.extend(inner[1])
            below.extend(inner[2])
        elif f.is_Pow and f.exp == -1:
            inner = _split(f.base)
            if inner[0].is_zero:
                below.append(f.base)
                continue
            number = number / inner[0]
            above.extend(inner[2])
            below.extend(inner[1])
        elif f.is_Pow and f.exp.is_Rational and f.exp < 0:
            below.append(Pow(f.base, -f.exp, evaluate=False))
        else:
            above.append(f)
    return number, above, below


def rank(e: Expr) -> int:
    """Where a factor stands in a product: larger ranks later."""
    total = is_big(e)
    if any(is_upstream(t) for t in walk_preorder(e) if isinstance(t, TensorName)):
        return UPSTREAM_TOTAL if total else UPSTREAM
    if total:
        return TOTAL
    if isinstance(e, Indicator):
        return BRACKET
    base = e.base if e.is_Pow else e
    if base.is_Number or base is S.Pi:
        return NUMBER
    if e.is_Pow and not e.exp.is_Number:
        return FUNCTION
    if isinstance(base, Symbol) or (isinstance(base, Entry) and not base.indices):
        return SCALAR
    if isinstance(base, Entry | Transform):
        return ENTRY
    return GROUP if base.is_Add else FUNCTION


def is_upstream(name: TensorName) -> bool:
    """An adjoint or a tangent: what a Jacobian is multiplied with."""
    return bool(name.name.startswith(("bar(", "d(")))


def is_big(e: Any) -> bool:
    """Printed as an operator that reaches to the end of its term."""
    if isinstance(e, Transform):
        return e.op == "prod_others"
    return isinstance(e, Total) or (isinstance(e, Reduction) and e.op in BIG_REDUCTIONS)


def is_shifted(body: Expr, i: Index) -> bool:
    """Whether entries are read at places computed from the index, so that no axis says how far it runs."""
    for e in walk_preorder(body):
        if isinstance(e, Entry) and any(p != i and not isinstance(p, Entry) and p.has(i) for p in e.indices):
            return True
    return False


def chained(body: Expr, bound: Sequence[Index]) -> Expr:
    """The body of a sum with neighbouring entries turned so that a shared index stands last in the first: x_ik W_kj."""
    if not body.is_Mul:
        return body
    factors = sorted(body.args, key=rank)
    for k in range(len(factors) - 1):
        a, b = factors[k : k + 2]
        if all(isinstance(f, Entry) and f.indices for f in (a, b)) and rank(a) == rank(b):
            shared = b.indices[-1]
            if shared in bound and shared == a.indices[0] and a.indices[-1] != b.indices[0]:
                factors[k : k + 2] = [b, a]
    return Mul(*factors, evaluate=False)


NEUTRAL = {"prod": S.One, "prod_others": S.One, "logsumexp": S.NegativeInfinity}
"""What changes nothing in a reduction."""


def restricted(e: Total | Reduction | Transform) -> tuple[Expr, Any]:
    """The body without a bracket that says how far its one index runs (j ≤ i), and that condition or None."""
    body, bound = e.body, e.bound
    if len(bound) != 1 or is_shifted(body, bound[0]):
        return body, None
    if isinstance(e, Total):
        found = [f for f in Mul.make_args(body) if isinstance(f, Indicator) and _restricts(f.condition, bound[0])]
        if len(found) != 1:
            return body, None
        rest = [f for f in Mul.make_args(body) if f is not found[0]]
        return Mul(*rest, evaluate=False), _said_of(bound[0], found[0].condition)
    if isinstance(body, Where) and body.args[2] == NEUTRAL.get(e.op) and _restricts(body.args[0], bound[0]):
        return body.args[1], _said_of(bound[0], body.args[0])
    return body, None


def _said_of(i: Index, condition: Any) -> Any:
    """The condition with the index on its left."""
    left, right = condition.args
    return condition if left == i else SWAPPED[condition.func](right, left, evaluate=False)


def _restricts(condition: Any, i: Index) -> bool:
    return isinstance(condition, Ge | Le | Gt | Lt) and i in condition.args and about_indices(condition)


# sums


def terms(e: Expr) -> list[Expr]:
    """The terms of a sum in the order they are shown."""
    found = list(e.args)
    if is_negative(found[0]):
        positive = [k for k, t in enumerate(found) if not is_negative(t)]
        named = [k for k in positive if not found[k].is_Number]
        if named or positive:
            found.insert(0, found.pop((named or positive)[0]))
    return found


def is_negative(e: Expr) -> bool:
    """Whether a term is shown with a minus in front."""
    taken_apart = e.is_Mul or e.is_Rational or (e.is_Pow and e.exp == -1)
    return bool(taken_apart and _split(e)[0] < 0)


# numbers


@dataclass(frozen=True)
class Numeral:
    """How a positive number is written: ``whole`` (digits, perhaps with a point), over ``below`` if it is a fraction,
    times 10 to the ``power`` if that is not 0."""

    whole: str
    below: str = ""
    power: int = 0


def numeral(r: Rational) -> Numeral:
    """Small fractions exactly, short decimals as decimals, the rest rounded to 4 digits."""
    if r.q == 1 and r.p < 10**12:
        return Numeral(str(r.p))
    if r.q <= 9 and r.p < 1000:
        return Numeral(str(r.p), str(r.q))
    if (r * 10**4).is_Integer and r.p < 10**9:
        return Numeral(f"{float(r):.4f}".rstrip("0").rstrip("."))
    if r.q < 1000 and r.p < 1000:
        return Numeral(str(r.p), str(r.q))
    power = _decimal_power(r)
    digits = Rational(round(r * Rational(10) ** (3 - power)), 1000)
    if digits >= 10:
        digits, power = digits / 10, power + 1
    if -3 <= power <= 3:
        return Numeral(f"{float(digits) * 10.0**power:.{max(0, 3 - power)}f}".rstrip("0").rstrip("."))
    return Numeral(f"{float(digits):.3f}".rstrip("0").rstrip("."), power=power)


@lru_cache(8192)
def is_rounded(e: Basic) -> bool:
    """Whether a number in the formula is not written exactly."""
    return any(not _is_exact(r) for r in e.atoms(Rational))


def _is_exact(r: Rational) -> bool:
    n = numeral(abs(r))
    return Rational(n.whole) * Rational(10) ** n.power / Rational(n.below or 1) == abs(r)


def _decimal_power(r: Rational) -> int:
    power = len(str(r.p)) - len(str(r.q))
    return power if Rational(10) ** power <= r else power - 1


# indices


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


# transforms


def is_of_whole_matrix(e: Transform | Reduction) -> bool:
    """Whether something is made of a matrix as it stands: det A."""
    op = REGISTRY.get(e.op)
    return op is not None and op.of_matrices and isinstance(e.body, Entry) and e.body.indices[-2:] == e.bound


def written_out(e: Transform | Reduction) -> Expr | None:
    """The formula that its op stands for, where the op wants to be shown so, or None."""
    write = getattr(REGISTRY[e.op], "written", None) if e.op in REGISTRY else None
    if write is None:
        return None
    s = Namespace(as_written=True)
    s.declare(e.bound, [n for _, n in e.limits])
    at = at_position(e) if isinstance(e, Transform) else None
    found = write(s, Written(at), Written(e.body), e.bound, **options_of(e))
    return None if found is None else bare(found)


def at_position(e: Transform) -> Expr:
    """The body of a transform at its positions, built without evaluation and without capture."""
    inside = {i for part in walk_preorder(e.body) if isinstance(part, Binding) for i in part.bound}
    incoming: set[Any] = set().union(*(S(p).free_symbols for p in e.positions))
    taken = {i.name for i in e.body.free_symbols | incoming | inside if isinstance(i, Symbol)}
    spare = (Index(letter) for letter in "ijklmnpqrstuvw" if letter not in taken)
    body = late(e.body, {i: next(spare) for i in sorted(inside & incoming, key=str)})
    return late(body, dict(zip(e.bound, e.positions, strict=True)))
