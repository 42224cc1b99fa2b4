"""Entrywise trigonometry: circular and hyperbolic functions, their inverses, angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Sample
from explain.ops.entrywise import ALONE, FEW, elementwise

SIN = elementwise(
    "sin",
    np.sin,
    lambda xp, g, y, x: g * xp.cos(x),
    slopes=lambda s, y, x: s.function("cos", x),
    uses="x",
    functions=("sin",),
    methods=("sin",),
    promotion="float",
    rule="sin",
)
COS = elementwise(
    "cos",
    np.cos,
    lambda xp, g, y, x: -g * xp.sin(x),
    slopes=lambda s, y, x: -s.function("sin", x),
    uses="x",
    functions=("cos",),
    methods=("cos",),
    promotion="float",
    rule="cos",
)
TAN = elementwise(
    "tan",
    np.tan,
    lambda xp, g, y, x: g * (1 + y * y),
    slopes=lambda s, y, x: 1 + y**2,
    uses="y",
    functions=("tan",),
    methods=("tan",),
    promotion="float",
    domain=(-1.2, 1.2),
    rule="tan",
)
TANH = elementwise(
    "tanh",
    np.tanh,
    lambda xp, g, y, x: g * (1 - y * y),
    slopes=lambda s, y, x: 1 - y**2,
    uses="y",
    functions=("tanh", "tanh_", "F.tanh"),
    methods=("tanh",),
    promotion="float",
    rule="tanh",
)
ASIN = elementwise(
    "asin",
    np.arcsin,
    lambda xp, g, y, x: g / xp.sqrt(1 - x * x),
    slopes=lambda s, y, x: 1 / (1 - x**2) ** s.number(0.5),
    uses="x",
    functions=("asin", "arcsin"),
    methods=("asin", "arcsin"),
    promotion="float",
    domain=(-0.9, 0.9),
    special={"pole": lambda x: np.abs(x) >= 1},
    rule="asin",
    samples=ALONE,
)
ACOS = elementwise(
    "acos",
    np.arccos,
    lambda xp, g, y, x: -g / xp.sqrt(1 - x * x),
    slopes=lambda s, y, x: -1 / (1 - x**2) ** s.number(0.5),
    uses="x",
    functions=("acos", "arccos"),
    methods=("acos", "arccos"),
    promotion="float",
    domain=(-0.9, 0.9),
    special={"pole": lambda x: np.abs(x) >= 1},
    rule="acos",
    samples=ALONE,
)
ATAN = elementwise(
    "atan",
    np.arctan,
    lambda xp, g, y, x: g / (1 + x * x),
    slopes=lambda s, y, x: 1 / (1 + x**2),
    uses="x",
    functions=("atan", "arctan"),
    methods=("atan", "arctan"),
    promotion="float",
    rule="atan",
    samples=ALONE,
)
SINH = elementwise(
    "sinh",
    np.sinh,
    lambda xp, g, y, x: g * xp.cosh(x),
    slopes=lambda s, y, x: s.function("cosh", x),
    uses="x",
    functions=("sinh",),
    methods=("sinh",),
    promotion="float",
    rule="sinh",
    samples=ALONE,
)
COSH = elementwise(
    "cosh",
    np.cosh,
    lambda xp, g, y, x: g * xp.sinh(x),
    slopes=lambda s, y, x: s.function("sinh", x),
    uses="x",
    functions=("cosh",),
    methods=("cosh",),
    promotion="float",
    rule="cosh",
    samples=ALONE,
)
ASINH = elementwise(
    "asinh",
    np.arcsinh,
    lambda xp, g, y, x: g / xp.sqrt(x * x + 1),
    slopes=lambda s, y, x: 1 / (1 + x**2) ** s.number(0.5),
    uses="x",
    functions=("asinh", "arcsinh"),
    methods=("asinh", "arcsinh"),
    promotion="float",
    latex=r"\operatorname{arsinh}",
    rule="asinh",
    samples=ALONE,
)
ACOSH = elementwise(
    "acosh",
    np.arccosh,
    lambda xp, g, y, x: g / xp.sqrt(x * x - 1),
    slopes=lambda s, y, x: 1 / (x**2 - 1) ** s.number(0.5),
    uses="x",
    functions=("acosh", "arccosh"),
    methods=("acosh", "arccosh"),
    promotion="float",
    latex=r"\operatorname{arcosh}",
    domain=(1.2, 3.0),
    special={"pole": lambda x: x <= 1},
    rule="acosh",
    samples=ALONE,
)
ATANH = elementwise(
    "atanh",
    np.arctanh,
    lambda xp, g, y, x: g / (1 - x * x),
    slopes=lambda s, y, x: 1 / (1 - x**2),
    uses="x",
    functions=("atanh", "arctanh"),
    methods=("atanh", "arctanh"),
    promotion="float",
    latex=r"\operatorname{artanh}",
    domain=(-0.9, 0.9),
    special={"pole": lambda x: np.abs(x) >= 1},
    rule="atanh",
    samples=ALONE,
)


def _angle_rule(xp: Any, g: Any, side: Any, a: Any, b: Any) -> Any:
    """``side`` over the squared distance from the origin; at the origin torch sends nothing back."""
    squared = a * a + b * b
    nowhere = squared == 0
    return xp.where(nowhere, 0.0, g * (side / xp.where(nowhere, 1.0, squared)))


ATAN2 = elementwise(
    "atan2",
    np.arctan2,
    (lambda xp, g, y, a, b: _angle_rule(xp, g, b, a, b), lambda xp, g, y, a, b: _angle_rule(xp, g, -a, a, b)),
    slopes=(lambda s, y, a, b: b / (a**2 + b**2), lambda s, y, a, b: -a / (a**2 + b**2)),
    uses=("a b", "a b"),
    functions=("atan2", "arctan2"),
    methods=("atan2", "arctan2"),
    promotion="float",
    numbers=(),
    special={"pole": lambda a, b: (a == 0) & (b == 0), "kink": lambda a, b: (a == 0) & (b < 0)},
    rule="atan2",
    samples=FEW,
)
HYPOT = elementwise(
    "hypot",
    np.hypot,
    (lambda xp, g, y, a, b: g * (a / y), lambda xp, g, y, a, b: g * (b / y)),
    formula=lambda s, a, b: (a**2 + b**2) ** s.number(0.5),
    uses=("a y", "b y"),
    functions=("hypot",),
    methods=("hypot",),
    numbers=(),
    special={"pole": lambda a, b: (a == 0) & (b == 0)},
    rule="hypot",
    samples=FEW,
)


def _sinc_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    at_zero = x == 0
    turned = math.pi * xp.where(at_zero, 1.0, x)
    return xp.where(at_zero, 0.0, g * (math.pi * (turned * xp.cos(turned) - xp.sin(turned)) / (turned * turned)))


SINC = elementwise(
    "sinc",
    lambda x: np.sinc(x).astype(x.dtype)[()],
    _sinc_rule,
    definition=lambda s, x: s.where(s.equal(x, 0), 1, s.known("sin", s.pi * x) / (s.pi * x)),
    slopes=lambda s, y, x: s.where(s.equal(x, 0), 0, (s.function("cos", s.pi * x) - y) / x),
    uses="x",
    functions=("sinc", "special.sinc"),
    methods=("sinc",),
    promotion="float",
    rule="sinc",
    samples=(*ALONE, Sample((np.array([0.25, 0.5, -1.0]),))),
)
DEG2RAD = elementwise(
    "deg2rad",
    lambda x: x * x.dtype.type(math.pi / 180),
    lambda xp, g, y, x: g * (math.pi / 180),
    formula=lambda s, x: x * s.pi / 180,
    functions=("deg2rad",),
    methods=("deg2rad",),
    promotion="float",
    grad_fn="Deg2RadBackward0",
    rule="angle_unit",
    samples=ALONE,
)
RAD2DEG = elementwise(
    "rad2deg",
    lambda x: x * x.dtype.type(180 / math.pi),
    lambda xp, g, y, x: g * (180 / math.pi),
    formula=lambda s, x: x * 180 / s.pi,
    functions=("rad2deg",),
    methods=("rad2deg",),
    promotion="float",
    grad_fn="Rad2DegBackward0",
    rule="angle_unit",
    samples=ALONE,
)
