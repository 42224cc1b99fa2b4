"""The adjoint walk: J, Jᵀv and Jv of one formula, by carrying a cotangent down from its root.

Each occurrence of the variable becomes one flat term, "the sum over binds of the product of factors, where the indices
of the occurrence equal the target": so all index equations are solved in one place, and sums come out where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, Not, Tuple
from sympy.core.basic import Basic

from explain.calculus import rules
from explain.calculus.hoist import hoisted
from explain.calculus.solve import solve
from explain.calculus.symbols import (
    FRESH,
    UNIT,
    Binding,
    Call,
    Digit,
    Entry,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    rebuild,
    substitute,
)
from explain.errors import CannotDerive

Bind = tuple[Index, Any]


@dataclass(frozen=True)
class Occurrence:
    """One place where the variable stands: the factors gathered on the way, the indices bound on the way, its own."""

    factors: tuple[Expr, ...]
    binds: tuple[Bind, ...]
    indices: tuple[Any, ...]


def occurrences(formula: Expr, variable: TensorName) -> list[Occurrence]:
    """All occurrences of ``variable`` in the formula. Raises CannotDerive for what has no rule; never a silent zero."""
    found: list[Occurrence] = []
    _walk(formula, (), (), variable, found)
    return found


def _walk(e: Any, factors: tuple[Expr, ...], binds: tuple[Bind, ...], x: TensorName, found: list[Occurrence]) -> None:
    if isinstance(e, Entry) and e.tensor == x:
        found.append(Occurrence(factors, binds, e.indices))
    elif not e.has(x) or isinstance(e, Indicator | Entry | Digit):
        return
    elif e.is_Add:
        for term in e.args:
            _walk(term, factors, binds, x, found)
    elif e.is_Mul:
        for k, factor in enumerate(e.args):
            _walk(factor, (*factors, *e.args[:k], *e.args[k + 1 :]), binds, x, found)
    elif e.is_Pow:
        _walk(e.base, (*factors, e.exp, e.base ** (e.exp - 1)), binds, x, found)
        _walk(e.exp, (*factors, e, Call("log", e.base)), binds, x, found)
    elif isinstance(e, Call):
        for k, argument in enumerate(e.arguments):
            if argument.has(x):
                _walk(argument, (*factors, rules.slope(e, k)), binds, x, found)
    elif isinstance(e, Where):
        condition, then, otherwise = e.args
        _walk(then, (*factors, Indicator(condition)), binds, x, found)
        _walk(otherwise, (*factors, Indicator(Not(condition))), binds, x, found)
    elif isinstance(e, Total):
        fresh = {i: FRESH() for i in e.bound}
        inner = tuple((fresh[i], n) for i, n in e.limits)
        _walk(substitute(_concerning(e.body, x), fresh), factors, (*binds, *inner), x, found)
    elif isinstance(e, Reduction):
        fresh = {i: FRESH() for i in e.bound}
        inner = tuple((fresh[i], n) for i, n in e.limits)
        slope = rules.reduction_slope(e, tuple(fresh.values()))
        _walk(substitute(e.body, fresh), (*factors, slope), (*binds, *inner), x, found)
    elif isinstance(e, Transform):
        fresh = {i: FRESH() for i in e.bound}
        inner = tuple((fresh[i], n) for i, n in e.limits)
        at_self, at_other = rules.transform_slopes(e, tuple(fresh.values()))
        _walk(e.at, (*factors, at_self), binds, x, found)
        for part in Add.make_args(at_other):  # each a contribution of its own, whose sum stands where it belongs
            _walk(substitute(e.body, fresh), (*factors, part), (*binds, *inner), x, found)
    else:
        raise CannotDerive(f"there is no rule for the derivative of {type(e).__name__}")


def vjp(
    formula: Expr,
    out: tuple[Bind, ...],
    upstream: Expr,
    variable: TensorName,
    target: tuple[Bind, ...],
    free: tuple[Bind, ...] = (),
) -> Expr:
    """Jᵀv: the cotangent of ``variable`` at the indices ``target``.

    ``out``: the formula's output indices with sizes. ``upstream``: the cotangent of the output at those indices; it may
    hold further indices, named with their sizes in ``free``.
    """
    formula = _concerning(formula, variable)
    fresh = {i: FRESH() for i, _ in out if isinstance(i, Index)}
    start = tuple((fresh[i], n) for i, n in out if isinstance(i, Index))
    return _pulled(substitute(formula, fresh), (UNIT, substitute(upstream, fresh)), start, variable, target, free)


def _concerning(formula: Expr, variable: TensorName) -> Expr:
    """The terms that speak of the variable: a stack of many tensors has as many others."""
    return Add(*_terms_by_name(formula).get(variable, ())) if formula.is_Add else formula


@lru_cache(256)
def _terms_by_name(formula: Add) -> dict[TensorName, list[Expr]]:
    found: dict[TensorName, list[Expr]] = {}
    for term in formula.args:
        for name in term.atoms(TensorName):
            found.setdefault(name, []).append(term)
    return found


def jacobian(formula: Expr, out: tuple[Bind, ...], variable: TensorName, target: tuple[Bind, ...]) -> Expr:
    """∂ formula / ∂ variable[target], with the output indices free: index equations that stay are Iverson brackets."""
    return _pulled(_concerning(formula, variable), (UNIT,), (), variable, target, out)


def jvp(formula: Expr, variable: TensorName, tangent: TensorName) -> Expr:
    """Jv: the change of the formula for a change ``tangent`` of the variable. No index equation is solved here."""
    found = occurrences(_concerning(formula, variable), variable)
    terms = [hoisted((*o.factors, Entry(tangent, *o.indices)), o.binds) for o in found]
    return Add(*terms)


def _pulled(
    formula: Expr,
    factors: tuple[Expr, ...],
    binds: tuple[Bind, ...],
    variable: TensorName,
    target: tuple[Bind, ...],
    free: tuple[Bind, ...],
) -> Expr:
    found: list[Occurrence] = []
    _walk(formula, factors, binds, variable, found)
    terms = []
    for o in found:
        solved_factors, solved_binds = solve(o.factors, o.binds, o.indices, target, free)
        terms.append(hoisted(solved_factors, solved_binds, (*target, *free)))
    return canonical(Add(*(canonical(t) for t in terms)))


@lru_cache(maxsize=4096)
def canonical(e: Basic) -> Any:
    """Bound indices named by the height of what binds them, so that equal subformulas are equal and merge."""
    bound = {i.name[0] for b in e.atoms(Binding) for i in b.bound} if e.args else set()
    if "_" in bound and len(bound) > 1:
        e = freshened(e)  # a canonical name outside would capture the one given inside it
    return _canonical(e)[0]


def freshened(e: Any) -> Any:
    """Every bound index under a name that nothing else has."""
    if not e.args:
        return e
    if isinstance(e, Binding):
        names = {i: FRESH() for i in e.bound}
        body = freshened(e.body.xreplace(names))
        limits = [Tuple(names[i], n) for i, n in e.limits]
        if isinstance(e, Transform):
            return Transform(e.op, body, limits, [freshened(p) for p in e.positions], *e.numbers)
        return e.rebound(body, limits)
    return rebuild(e, [freshened(a) for a in e.args])


def _canonical(e: Any) -> tuple[Any, int]:
    """The expression with canonical names, and how many bindings stand inside each other at most."""
    if not e.args:
        return e, 0
    found, height = _canonical_once(e)
    return (e if found == e else found), height  # one of several equal objects would pass for a change


@lru_cache(maxsize=20_000)
def _canonical_once(e: Any) -> tuple[Any, int]:
    done = [_canonical(a) for a in e.args]
    height = max(h for _, h in done)
    e = rebuild(e, [a for a, _ in done])
    if not isinstance(e, Binding):
        return e, height
    height += 1
    limits = e.limits
    order = _order_of_appearance(e.body, e.bound)
    limits = tuple(sorted(limits, key=lambda limit: order[limit[0]]))
    if isinstance(e, Transform) and limits != e.limits:
        limits = e.limits  # positions stand in the order of the limits
    names = {limit[0]: Index(f"_{height}_{k}") for k, limit in enumerate(limits)}
    body = e.body.xreplace(names)
    return e.rebound(body, [Tuple(names[i], n) for i, n in limits]), height


def _order_of_appearance(body: Basic, bound: tuple[Index, ...]) -> dict[Index, int]:
    order = {i: len(bound) for i in bound}
    seen = 0
    stack = [body]
    while stack and seen < len(bound):
        top = stack.pop()
        if top in order and order[top] == len(bound):
            order[top] = seen
            seen += 1
        stack.extend(reversed(top.args))
    return order
