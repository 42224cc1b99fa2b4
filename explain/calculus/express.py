"""Formulas in better words: the output's own name where its formula stands, and display letters for indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Add, Dummy, Eq, Expr, Mul, Rational, S, Symbol, Tuple, cancel, factor_terms
from sympy.core.basic import Basic

from explain.calculus.hoist import Bind, hoisted
from explain.calculus.symbols import (
    UNIT,
    Binding,
    Call,
    Entry,
    Index,
    Indicator,
    Opaque,
    Single,
    TensorName,
    Total,
    Transform,
    late,
    rebuild,
    substitute,
)
from explain.calculus.walk import canonical

POOL = tuple("ijklmprstuvhqwxyz")
READABLE = 1000
"""The largest denominator of a fraction that may come out as a common factor; 0.044715 stays where it stands."""


def in_terms_of(e: Expr, formula: Expr, out: Sequence[Index], name: TensorName) -> Expr:
    """Put ``name[…]`` wherever an instance of its formula stands in ``e``; powers of a root formula too.

    ``formula``: one entry of the tensor at the indices ``out``. What does not match stays as it is.
    """
    pattern = canonical(formula)
    if isinstance(pattern, Entry) or not pattern.args:
        return e
    base, root = (pattern.base, pattern.exp) if pattern.is_Pow and pattern.exp.is_Rational else (pattern, S.One)
    return _replace(canonical(e), base, root, tuple(out), name)


def _replace(e: Any, base: Expr, root: Expr, out: tuple[Index, ...], name: TensorName) -> Any:
    if not e.args:
        return e
    if root != 1 and e.is_Pow and e.exp.is_Rational and (e.exp / root).is_Integer:
        found = matched(base, e.base, out)
        if found is not None:
            return Entry(name, *found) ** (e.exp / root)
    if root == 1:
        found = matched(base, e, out)
        if found is not None:
            return Entry(name, *found)
    return rebuild(e, [_replace(a, base, root, out, name) for a in e.args])


def matched(pattern: Any, e: Any, out: tuple[Index, ...]) -> tuple[Any, ...] | None:
    """The indices at which ``e`` is an instance of ``pattern``, or None."""
    found: dict[Index, Any] = {}
    if not _unify(pattern, e, {i for i in out if isinstance(i, Index)}, found):
        return None
    if any(isinstance(i, Index) and i not in found and not isinstance(i, Single) for i in out):
        return None
    return tuple(found.get(i, S.Zero if isinstance(i, Single) else i) for i in out)


def _unify(pattern: Any, e: Any, wild: set[Index], found: dict[Index, Any]) -> bool:
    if pattern in wild:
        if pattern in found:
            return bool(found[pattern] == e)
        found[pattern] = e
        return True
    if type(pattern) is not type(e) or len(pattern.args) != len(e.args):
        return False
    if not pattern.args or not wild & pattern.free_symbols:
        return bool(pattern == e)
    candidates = [e.args]
    if pattern.is_Add or pattern.is_Mul:  # sympy sorts by names, which differ between the two
        candidates = [tuple(sorted(e.args, key=_skeleton))]
        pattern_args: Sequence[Any] = sorted(pattern.args, key=_skeleton)
    else:
        pattern_args = pattern.args
    before = dict(found)
    for args in candidates:
        if all(_unify(p, a, wild, found) for p, a in zip(pattern_args, args, strict=True)):
            return True
        found.clear()
        found.update(before)
    return False


def _skeleton(e: Any) -> str:
    """A sort key that does not see index names."""
    if isinstance(e, Index):
        return "i"
    return f"{type(e).__name__}({','.join(map(_skeleton, e.args))})" if e.args else str(e)


def cancelled(e: Any) -> Any:
    """Products whose factors stand in the denominators of a sum beside them, divided out where that makes them shorter:
    p·(1 − p)·((1 − y)/(1 − p) − y/p) is y − p with its sign turned."""
    if not e.args:
        return e
    e = rebuild(e, [cancelled(a) for a in e.args])
    if not e.is_Mul:
        return e
    picked = _picked_out(e)
    if picked is not e:
        return picked
    fractions = [f for f in e.args if f.is_Add and _denominators(f)]
    below = set().union(*map(_denominators, fractions)) if fractions else set()
    meeting = [f for f in e.args if f in fractions or f.as_base_exp()[0] in below]
    if len(meeting) == len(fractions):
        return e
    whole = Mul(*meeting)
    plain: dict[Any, Any] = {}
    shorter = cancel(_masked(whole, plain)).xreplace({mask: part for part, mask in plain.items()})
    if weight(shorter) >= weight(whole):
        return e
    return Mul(*(f for f in e.args if f not in meeting), shorter)


def _picked_out(e: Expr) -> Expr:
    """A product in which a bracket [i = p] picks of a factor what the product is divided by, without both:
    P_i·([i = 2]/P_2 − 1) is [i = 2] − P_i."""
    sums = [f for f in e.args if f.is_Add and f.has(Indicator) and _denominators(f)]
    for whole in sums:
        for f in e.args:
            if f in sums or f.is_Number or not any(_picks(term, f) for term in whole.args):
                continue
            shorter = Mul(*(g for g in e.args if g not in (whole, f)), Add(*(_picked(f * term) for term in whole.args)))
            if weight(shorter) < weight(e):
                return shorter
    return _picked(e)


def _picked(e: Expr) -> Expr:
    """One term of that: [i = p]·f(i)/f(p) is [i = p]."""
    for f in Mul.make_args(e):
        for above, below in _picks(e, f):
            return _picked(e / above * below)
    return e


def _picks(term: Expr, f: Expr) -> list[tuple[Expr, Expr]]:
    """The factor ``f`` and what it is where a bracket of the term is not 0, if the term is divided by that."""
    if not f.args or isinstance(f, Indicator):
        return []
    factors = Mul.make_args(term)
    below = {g.base for g in factors if g.is_Pow and g.exp == -1}
    brackets = [g.condition.args for g in factors if isinstance(g, Indicator) and isinstance(g.condition, Eq)]
    pairs = [pair for a, b in brackets for pair in ((a, b), (b, a)) if below and isinstance(pair[0], Index)]
    return [(f, at) for i, p in pairs if not p.has(i) and f.has(i) and (at := substitute(f, {i: p})) in below]


def as_sigmoids(e: Any) -> Any:
    """The logistic function by its name where it is written out: 1/(1 + exp(−z)) and exp(z)/(1 + exp(z)) are σ(z)."""
    if not (e.args and e.has(Call)):
        return e
    e = rebuild(e, [as_sigmoids(a) for a in e.args])
    if e.is_Pow and e.exp == -1:
        z = _beside_one(e.base)
        return e if z is None else Call("sigmoid", -z)
    if not e.is_Mul:
        return e
    factors = list(e.args)
    for f in e.args:
        # the reciprocal 1/(1 + exp(z)) has become σ(−z) already
        if isinstance(f, Call) and f.op == "sigmoid" and (above := Call("exp", -f.arguments[0])) in factors:
            factors.remove(above)
            factors[factors.index(f)] = Call("sigmoid", -f.arguments[0])
    return Mul(*factors) if factors != list(e.args) else e


def _beside_one(e: Any) -> Any:
    """z of 1 + exp(z), else None."""
    if not (e.is_Add and len(e.args) == 2 and S.One in e.args):
        return None
    (other,) = (a for a in e.args if a != 1)
    return other.arguments[0] if isinstance(other, Call) and other.op == "exp" else None


def gathered(e: Any) -> Any:
    """Terms that have a sum as a common factor, put together if that is shorter: a·(x + 1) − (x + 1) is (a − 1)·(x + 1)."""
    if not e.args:
        return e
    e = rebuild(e, [gathered(a) for a in e.args])
    if not e.is_Add:
        return e
    shared = Counter(f for term in e.args for f in Mul.make_args(term) if f.is_Add)
    for factor, count in shared.most_common():
        if count < 2:
            break
        inside = [term for term in e.args if factor in Mul.make_args(term)]
        rest = Add(*(Mul(*(f for f in Mul.make_args(term) if f != factor)) for term in inside))
        shorter = Add(*(term for term in e.args if term not in inside), Mul(factor, rest))
        if weight(shorter) < weight(e):
            return gathered(shorter)
    return e


def joined(e: Any) -> Any:
    """Sums over the same indices with a sum as a common factor, as one: Σ A_ij·(x_j − b_j) + Σ A_ji·(x_j − b_j) is
    Σ (A_ij + A_ji)·(x_j − b_j). Of a plain x_j the two read better."""
    if not (e.args and e.has(Total)):
        return e
    e = rebuild(e, [joined(a) for a in e.args])
    if not e.is_Add:
        return e
    alike: dict[Any, list[tuple[Expr, Expr]]] = {}
    for term in e.args:
        sums = [f for f in Mul.make_args(term) if isinstance(f, Total)]
        for factor in Mul.make_args(sums[0].body) if len(sums) == 1 else ():
            if factor.is_Add:
                number = [g for g in Mul.make_args(term) if g is not sums[0] and g.as_base_exp()[0] != UNIT]
                alike.setdefault((sums[0].limits, factor, Mul(*number)), []).append((term, sums[0].body / factor))
    for (limits, factor, number), found in alike.items():
        if len(found) > 1:
            kept = [term for term in e.args if term not in [t for t, _ in found]]
            return joined(Add(*kept, Mul(UNIT, number, Total(Mul(factor, Add(*(rest for _, rest in found))), *limits))))
    return e


def without_constants(e: Any) -> Any:
    """Sums without the terms that are the same for every index, where that makes them shorter: the distances from a mean
    add up to 0."""
    if not (e.args and e.has(Total)):
        return e
    e = rebuild(e, [without_constants(a) for a in e.args])
    if not (isinstance(e, Total) and e.body.is_Add):
        return e
    same = [term for term in e.body.args if not term.has(*e.bound)]
    rest = Add(*(term for term in e.body.args if term not in same))
    if not same or not rest.args:
        return e
    shorter = canonical(Total(rest, *e.limits) + Mul(*(n for _, n in e.limits), Add(*same)))
    return shorter if weight(shorter) < weight(e) else e


def _denominators(e: Expr) -> set[Expr]:
    """What the terms of a sum are divided by."""
    powers = [f.as_base_exp() for term in e.args for f in Mul.make_args(term)]
    return {base for base, power in powers if power.is_Integer and power < 0 and not base.is_Number}


def _masked(e: Any, plain: dict[Any, Any]) -> Any:
    """The expression as one of plain symbols, which ``plain`` gives for what sympy is not to look into."""
    if isinstance(e, Opaque) or not (e.args or e.is_Number):
        return plain.setdefault(e, Dummy()) if not e.is_Number else e
    if e.is_Add or e.is_Mul or (e.is_Pow and e.exp.is_Integer) or e.is_Number:
        return e.func(*(_masked(a, plain) for a in e.args)) if e.args else e
    return plain.setdefault(e, Dummy())


def letters(reserved: Sequence[str]) -> tuple[str, ...]:
    """Index letters that no tensor of the document is called."""
    return tuple(letter for letter in POOL if letter not in reserved)


def final(
    e: Expr, free: Sequence[Index], pool: Sequence[str], sizes: Mapping[Any, Any] | None = None, tidy: bool = True
) -> tuple[Expr, tuple[str, ...]]:
    """The formula as it is shown: sizes as numbers, common factors in front, indices with letters.

    ``free``: the indices that name the entry, outermost first: they get the first letters of ``pool``. ``tidy`` False
    keeps sums and products as they stand (formulas as written). Returns (formula, letters of ``free``); a fixed position
    among ``free`` (an axis of size 1) is returned as its number.
    """
    everything, free = free, [i for i in free if isinstance(i, Index)]
    names = _enough(pool, len(free))
    known = dict(sizes or {})
    if tidy and e.has(UNIT):
        decimals = _decimals(e)
        e = rehoisted(factor_terms(gathered(e.xreplace(decimals))))
        known |= {name: n for n, name in decimals.items() if n.is_positive}
    mapping = {i: Index(name) for i, name in zip(free, names, strict=False)}
    e = substitute(without_idle(e), mapping, not tidy)
    e = _letter_bound(e, frozenset(mapping.values()), tuple(pool), not tidy)
    return late(e, known), tuple(mapping[i].name if i in mapping else str(i) for i in everything)


def _decimals(e: Expr) -> dict[Any, Any]:
    """A name for every number of many digits in the formula, so that it is not torn apart for a common factor."""
    found = sorted({abs(n) for n in e.atoms(Rational) if n.q > READABLE})
    names = {n: Symbol(f"~{k}", positive=True) for k, n in enumerate(found)}
    return names | {-n: -name for n, name in names.items()}


def rehoisted(e: Any, free: Sequence[Bind] = ()) -> Any:
    """Sums again without the factors that do not belong inside them. ``free``: the sizes of indices that are not bound,
    where known: a delta with one of them picks its term."""
    if not e.args:
        return e
    inner = (*free, *e.limits) if isinstance(e, Binding) and free else free
    e = rebuild(e, [rehoisted(a, inner) for a in e.args])
    return hoisted((e.body,), e.limits, free) if isinstance(e, Total) else e


def without_idle(e: Any) -> Any:
    """Sums without the axes of size 1 that nothing in them is read along."""
    if not (e.args and e.has(Total)):
        return e
    e = rebuild(e, [without_idle(a) for a in e.args], as_written=True)
    if not isinstance(e, Total):
        return e
    return Total(e.body, *(limit for limit in e.limits if e.body.has(limit[0]) or limit[1] != 1))


def expand_entries(e: Any, name: TensorName, formula: Expr, out: Sequence[Any]) -> Any:
    """Every entry of ``name`` replaced by its formula, given at the indices ``out``. Bound names of the formula must be
    unlike all others; the indices of an entry may be bound where it stands."""
    if isinstance(e, Entry) and e.tensor == name:
        mapping = {i: j for i, j in zip(out, e.indices, strict=True) if isinstance(i, Index)}
        return substitute(formula, mapping)
    return rebuild(e, [expand_entries(a, name, formula, out) for a in e.args]) if e.args and e.has(name) else e


def _enough(pool: Sequence[str], count: int) -> tuple[str, ...]:
    extra = (f"{pool[0]}_{k}" for k in range(1, count + 1))
    return (*pool, *extra)


def _letter_bound(e: Any, taken: frozenset[Basic], pool: tuple[str, ...], as_written: bool) -> Any:
    if not e.args:
        return e
    if not isinstance(e, Binding):
        return rebuild(e, [_letter_bound(a, taken, pool, as_written) for a in e.args], as_written)
    free_now = taken | {i for i in e.free_symbols if isinstance(i, Index)}
    available = (Index(name) for name in _enough(pool, 40) if Index(name) not in free_now)
    mapping = {i: next(available) for i in e.bound}
    body = substitute(e.body, mapping, as_written)
    inner = taken | set(mapping.values())
    if isinstance(e, Transform):
        positions = [_letter_bound(S(p), taken, pool, as_written) for p in e.positions]
        e = Transform(e.op, e.body, e.limits, positions, *e.numbers)
    return e.rebound(_letter_bound(body, inner, pool, as_written), [Tuple(mapping[i], n) for i, n in e.limits])


def weight(e: Basic) -> int:
    """How large a formula is to a reader: the number of its parts."""
    count, stack = 0, [e]
    while stack:
        top = stack.pop()
        count += 1
        stack.extend(top.args)
    return count
