"""The order in which a formula is shown, the same on a page and in a terminal.

Products: number, scalars, entries, functions, sums in parentheses, brackets, sums, the upstream last. Sums: a leading
minus moves back where something positive can stand first, ``1 - y²`` and ``x - μ``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Basic, Expr, Ge, Gt, Le, Lt, Mul, Pow, Rational, S, Symbol

from explain.calculus.namespace import Namespace, Written, bare
from explain.calculus.rules import options_of
from explain.calculus.symbols import (
    Binding,
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
from explain.derivation.repeat import base_name
from explain.ops.registry import REGISTRY
from explain.render.indexing import SWAPPED, about_indices

MOST_TERMS = 16
"""A sum of more terms that are alike is not shown whole."""
FIRST_TERMS = 3
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
    if below and not inside and len(after) == 1 and not (is_big(after[0]) or isinstance(after[0], Where)):
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
    if isinstance(e, Indicator | Where):
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


def shortened(found: list[Expr]) -> list[Expr | None]:
    """The terms of a sum, of many that are alike the first ones and the last, with None for those between."""
    if len(found) <= MOST_TERMS or len({_shape(term) for term in found}) > 1:
        return list(found)
    return [*found[:FIRST_TERMS], None, found[-1]]


@lru_cache(8192)
def _shape(e: Basic) -> str:
    """What a part of a formula is, whatever turn of a loop or place in a list it is about."""
    if isinstance(e, TensorName):
        return base_name(e.name)
    if isinstance(e, Index):
        return "index"
    return f"{type(e).__name__}({','.join(sorted(map(_shape, e.args)))})" if e.args else "number" if e.is_Number else str(e)


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
