"""A derivation with symbolic sizes, made general: what depends on the stand-ins for them is said with their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from sympy import Expr, Integer, Rational

from explain.calculus.symbols import rebuild
from explain.errors import InputError

Called = Callable[[int, int], Any]


def made_general(one: Any, two: Any, called: Called) -> Any:
    """``one``, in which every number that is another in ``two``, the same derivation at other sizes, is said with names.

    ``called``: what is called so, of its value in one and in the other; None if nothing is. Raises InputError where the two
    say different things.
    """
    if isinstance(one, Expr):
        return one if one == two else _general(one, two, called)
    if isinstance(one, tuple):
        if len(one) != len(two):
            raise _unsaid()
        return tuple([made_general(a, b, called) for a, b in zip(one, two, strict=True)])
    if not is_dataclass(one) or isinstance(one, type):
        return one
    changed = {}
    for f in fields(one):
        if f.name == "checks":
            continue  # how many witnesses apply may depend on how large the stand-ins are
        part, other = getattr(one, f.name), getattr(two, f.name, None)
        if is_dataclass(part) and type(part) is not type(other):
            raise _unsaid()  # one that the other does not have may hold numbers that depend on the sizes
        general = made_general(part, other, called) if type(part) is type(other) else part
        if general is not part:
            changed[f.name] = general
    return replace(one, **changed) if changed else one


def _general(one: Any, two: Any, called: Called) -> Any:
    if isinstance(one, Rational) and isinstance(two, Rational):
        above, below = (_number(a, b, called) for a, b in ((one.p, two.p), (one.q, two.q)))
        return above if below == 1 else above / below
    if type(one) is not type(two) or len(one.args) != len(two.args) or not one.args:
        raise _unsaid()
    others = _in_the_same_order(one.args, two.args) if one.is_Add or one.is_Mul else two.args
    parts = zip(one.args, others, strict=True)
    return rebuild(one, [a if a == b else _general(a, b, called) for a, b in parts], as_written=True)


def _in_the_same_order(one: tuple[Any, ...], two: tuple[Any, ...]) -> list[Any]:
    """The terms or factors of the other, each beside its equal: sympy's order depends on the numbers in them."""
    left = list(two)
    equal = {a: left.pop(left.index(a)) for a in one if a in left}
    return [equal[a] if a in equal else left.pop(0) for a in one]


def _number(a: int, b: int, called: Called) -> Any:
    if a < 0 and b < 0:
        return -_number(-a, -b, called)
    found = Integer(a) if a == b else called(a, b)
    if found is None:
        raise _unsaid()
    return found


def _unsaid() -> InputError:
    return InputError(
        "a formula depends on the sizes in a way that their names cannot say", hint="Give the shapes as numbers"
    )
