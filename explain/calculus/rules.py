"""Slopes of functions and reductions, in the language of their output.

An op may say its slope by hand (``1 − y²`` for tanh). ``check_slopes`` compares it with the derivative that sympy takes
of the op's definition, for every op in the test suite; on a page the formula check compares its values with the tape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy
from sympy import Expr, Float, Symbol

from explain.calculus.namespace import Namespace, bare
from explain.calculus.symbols import UNIT, Call, Index, Reduction, Transform, number
from explain.errors import CannotDerive
from explain.ops.base import Op
from explain.ops.entrywise import Elementwise
from explain.ops.registry import REGISTRY

TRIED = 12
TOLERANCE = 1e-9
DIGITS = 50


def slope(call: Call, k: int) -> Expr:
    """The derivative of a function by its ``k``-th argument. Raises CannotDerive if the op says nothing it can use."""
    op = _elementwise(call.op)
    state = op.slopes[k] if k < len(op.slopes) else None
    if state is None:
        raise CannotDerive(f"{op.name}: no slope by argument {k + 1}")
    entries, options = _sorted(op, call.arguments)
    return bare(state(Namespace(), call, *entries, **options))


def _elementwise(name: str) -> Elementwise:
    op = REGISTRY[name]
    if not isinstance(op, Elementwise):
        raise CannotDerive(f"{name} is not an entrywise function")
    return op


def _sorted(op: Elementwise, arguments: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], dict[str, Any]]:
    """The arguments as (entries, options), where options that are not written have their defaults."""
    entries, written = op.sorted_arguments(arguments)
    defaults = {key: number(v) for key, v in op.option_defaults.items() if isinstance(v, int | float)}
    return entries, {**defaults, **written}


def definition(name: str, arguments: tuple[Expr, ...]) -> Expr:
    """A function written out with sympy's own functions, for checking and for where-lines."""
    op = _elementwise(name)
    if op.definition is None:
        own = getattr(sympy, name, None)
        if own is None:
            raise CannotDerive(f"{name}: sympy knows no such function and the op brings no definition")
        return own(*arguments)
    entries, options = _sorted(op, arguments)
    return plain(bare(op.definition(Namespace(), *entries, **options)))


def plain(e: Any) -> Any:
    """An expression in sympy's own functions, as far as they go: for comparing, never for show."""
    if not e.args:
        return sympy.S.One if e == UNIT else e
    if isinstance(e, Call):
        return definition(e.op, tuple(plain(a) for a in e.arguments))
    kind = type(e).__name__
    if kind == "Where":
        return sympy.Piecewise((plain(e.args[1]), e.args[0]), (plain(e.args[2]), True))
    if kind == "Indicator":
        return sympy.Piecewise((1, e.args[0]), (0, True))
    return e.func(*(plain(a) for a in e.args))


def check_slopes(name: str) -> None:
    """Compare an op's stated slopes with the derivative of its definition. Raises CannotDerive if they differ."""
    op = _elementwise(name)
    if not any(map(callable, op.slopes)):
        raise CannotDerive(f"{name}: the op states no slope")
    arguments = tuple(Symbol(f"a{k}", real=True) for k in range(len(op.slopes)))
    given = op.complete(op.samples[0].options)
    options = {key: number(value) for key, value in given.items() if value is not None}
    whole = definition(name, (*arguments, *options.values()))
    stream = np.random.default_rng(7)
    for k, state in enumerate(op.slopes):
        if state is None:
            continue
        stated = plain(bare(state(Namespace(), Call(name, *arguments, *options.values()), *arguments, **options)))
        for _ in range(TRIED):
            point = dict(zip(arguments, map(Float, stream.uniform(*op.domain, len(arguments))), strict=True))
            a, b = complex(sympy.N(stated.subs(point))), _difference(whole, arguments[k], point)
            if abs(a - b) > TOLERANCE * max(1.0, abs(b)):
                raise CannotDerive(f"{name}: the stated slope {stated} differs from the derivative of its definition")


def _difference(e: Expr, variable: Symbol, point: dict[Symbol, Float]) -> complex:
    """The derivative at a point, by a central difference of many digits: right for what sympy cannot differentiate, too."""
    step = Float("1e-15", DIGITS)
    ends = [sympy.N(e.subs({**point, variable: Float(point[variable], DIGITS) + h}), DIGITS) for h in (step, -step)]
    return complex((ends[0] - ends[1]) / (2 * step))


def reduction_slope(e: Reduction, position: tuple[Index, ...]) -> Expr:
    """The derivative of a reduction by its body at ``position``."""
    op: Any = REGISTRY[e.op]
    if not hasattr(op, "slope"):
        raise CannotDerive(f"{e.op}: no rule for the derivative of this reduction")
    at = e.body.xreplace(dict(zip(e.bound, position, strict=True)))
    return bare(op.slope(_declared(e), e, at, position, e.body, e.bound, **options_of(e)))


def transform_slopes(e: Transform, other: tuple[Index, ...]) -> tuple[Expr, Expr]:
    """The derivative of one transformed entry: (the part at its own position, the part at every position)."""
    op: Any = REGISTRY[e.op]
    if not hasattr(op, "slopes_of_transform"):
        raise CannotDerive(f"{e.op}: no rule for the derivative of this transform")
    own, every = op.slopes_of_transform(_declared(e), e, e.positions, other, e.body, e.bound, **options_of(e))
    return bare(own), bare(every)


def spelled_out(e: Reduction | Transform) -> Expr:
    """What an op that formulas hold by its name does, in sums and functions: a softmax as a quotient of exponentials.

    Raises CannotDerive where the op does not say.
    """
    op: Any = REGISTRY[e.op]
    if not hasattr(op, "definition"):
        raise CannotDerive(f"{e.op}: the op brings no definition")
    at = (e.at,) if isinstance(e, Transform) else ()
    return bare(op.definition(_declared(e), *at, e.body, e.bound, **options_of(e)))


def options_of(e: Reduction | Transform) -> dict[str, Expr]:
    """The op's options besides the axes, by name."""
    names = [name for name in REGISTRY[e.op].option_defaults if name not in ("dim", "keepdim")] if e.numbers else []
    return dict(zip(names, e.numbers, strict=True))


def _declared(e: Reduction | Transform) -> Namespace:
    s = Namespace()
    s.declare(e.bound, [n for _, n in e.limits])
    return s


def says_itself(op: str) -> bool:
    """Whether what the op makes of a tensor is shown by a sign after the tensor's name: A⁻¹."""
    return op in REGISTRY and getattr(REGISTRY[op], "latex", "").startswith("^")


def named(op: Op) -> str:
    """The LaTeX name of a function or reduction."""
    return getattr(op, "latex", "") or rf"\operatorname{{{op.name}}}".replace("_", r"\_")
