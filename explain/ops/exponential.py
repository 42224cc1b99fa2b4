"""Entrywise exponentials and logarithms, and what is made of them: sigmoid, logit, sums of exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample
from explain.ops.entrywise import ALONE, FEW, POSITIVE, by_number, elementwise

LN2 = float(np.log(2))
LN10 = float(np.log(10))
EXP = elementwise(
    "exp",
    np.exp,
    lambda xp, g, y, x: g * y,
    slopes=lambda s, y, x: y,
    uses="y",
    functions=("exp",),
    methods=("exp",),
    promotion="float",
    rule="exp",
)
LOG = elementwise(
    "log",
    np.log,
    lambda xp, g, y, x: g / x,
    slopes=lambda s, y, x: 1 / x,
    uses="x",
    functions=("log",),
    methods=("log",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="log",
)
EXP2 = elementwise(
    "exp2",
    np.exp2,
    lambda xp, g, y, x: g * (y * LN2),
    formula=lambda s, x: 2**x,
    uses="y",
    functions=("exp2", "special.exp2"),
    methods=("exp2",),
    promotion="float",
    rule="exp2",
    samples=ALONE,
)
EXPM1 = elementwise(
    "expm1",
    np.expm1,
    lambda xp, g, y, x: g * (y + 1),
    formula=lambda s, x: s.function("exp", x) - 1,
    uses="y",
    functions=("expm1", "special.expm1"),
    methods=("expm1",),
    promotion="float",
    rule="exp",
    samples=ALONE,
)
LOG2 = elementwise(
    "log2",
    np.log2,
    lambda xp, g, y, x: g / (x * LN2),
    definition=lambda s, x: s.known("log", x) / s.known("log", 2),
    slopes=lambda s, y, x: 1 / (x * s.function("log", 2)),
    uses="x",
    functions=("log2",),
    methods=("log2",),
    promotion="float",
    latex=r"\log_2",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="log_of_base",
    samples=ALONE,
)
LOG10 = elementwise(
    "log10",
    np.log10,
    lambda xp, g, y, x: g / (x * LN10),
    definition=lambda s, x: s.known("log", x) / s.known("log", 10),
    slopes=lambda s, y, x: 1 / (x * s.function("log", 10)),
    uses="x",
    functions=("log10",),
    methods=("log10",),
    promotion="float",
    latex=r"\log_{10}",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="log_of_base",
    samples=ALONE,
)
LOG1P = elementwise(
    "log1p",
    np.log1p,
    lambda xp, g, y, x: g / (1 + x),
    definition=lambda s, x: s.known("log", 1 + x),
    slopes=lambda s, y, x: 1 / (1 + x),
    uses="x",
    functions=("log1p", "special.log1p"),
    methods=("log1p",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x <= -1},
    rule="log1p",
    samples=ALONE,
)


def _sigmoid(x: Any) -> Any:
    z = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, z) / (1 + z)


SIGMOID = elementwise(
    "sigmoid",
    lambda x: _sigmoid(x).astype(x.dtype)[()],
    lambda xp, g, y, x: g * (y * (1 - y)),
    definition=lambda s, x: 1 / (1 + s.function("exp", -x)),
    slopes=lambda s, y, x: y * (1 - y),
    uses="y",
    functions=("sigmoid", "sigmoid_", "F.sigmoid", "special.expit"),
    methods=("sigmoid",),
    promotion="float",
    latex=r"\sigma",
    rule="sigmoid",
)


def _within(x: Any, eps: float | None) -> Any:
    return x if eps is None else np.clip(x, x.dtype.type(eps), x.dtype.type(1 - eps))


def _logit(x: Any, *, eps: float | None = None) -> Any:
    x = _within(x, eps)
    return np.log(x / (1 - x))


def _logit_rule(xp: Any, g: Any, y: Any, x: Any, eps: float | None = None) -> Any:
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    outside = xp.logical_or(x < low, x > high)
    return xp.where(outside, np.nan if eps is None else 0.0, g / (x * (1 - x)))


LOGIT = elementwise(
    "logit",
    _logit,
    _logit_rule,
    definition=lambda s, x: s.known("log", x / (1 - x)),
    slopes=lambda s, y, x: 1 / (x * (1 - x)),
    formula=lambda s, x, eps: s.function("logit", x if eps is None else s.function("clamp", x, eps, 1 - eps)),
    uses="x",
    functions=("logit", "special.logit"),
    methods=("logit",),
    promotion="float",
    domain=(0.1, 0.9),
    special={
        "pole": lambda x, eps=None: (x <= 0) | (x >= 1) if eps is None else np.zeros(x.shape, bool),
        "kink": lambda x, eps=None: np.zeros(x.shape, bool) if eps is None else (x == eps) | (x == 1 - eps),
    },
    rule="logit",
    samples=(*ALONE, Sample((np.array([0.05, 0.3, 0.8, 0.95]),), {"eps": 0.1})),
)
XLOGY = elementwise(
    "xlogy",
    lambda a, b: np.where(np.isnan(b), np.nan, np.where(a == 0, 0, a * np.log(b))).astype(b.dtype)[()],
    (
        lambda xp, g, y, a, b: xp.where(xp.logical_and(a == 0, b <= 0), 0.0, xp.xlogy(g, b)),
        lambda xp, g, y, a, b: g * (a / b),
    ),
    formula=lambda s, a, b: a * s.function("log", b),
    uses=("a b", "a b"),
    functions=("xlogy", "special.xlogy"),
    methods=("xlogy",),
    promotion="float",
    grad_fn_of=by_number("XlogyBackward0", first="XlogyBackward1", last="XlogyBackward2"),
    domain=POSITIVE,
    special={"pole": lambda a, b: b <= 0},
    rule="xlogy",
    samples=FEW,
)
XLOG1PY = elementwise(
    "xlog1py",
    lambda a, b: np.where(np.isnan(b), np.nan, np.where(a == 0, 0, a * np.log1p(b))).astype(b.dtype)[()],
    (
        lambda xp, g, y, a, b: xp.where(xp.logical_and(a == 0, b <= -1), 0.0, xp.xlog1py(g, b)),
        lambda xp, g, y, a, b: g * (a / (b + 1)),
    ),
    formula=lambda s, a, b: a * s.function("log1p", b),
    uses=("a b", "a b"),
    functions=("special.xlog1py",),
    promotion="float",
    grad_fn_of=by_number("SpecialXlog1PyBackward0", first="SpecialXlog1PyBackward1", last="SpecialXlog1PyBackward2"),
    domain=POSITIVE,
    special={"pole": lambda a, b: b <= -1},
    rule="xlogy",
    samples=FEW,
)
ENTR = elementwise(
    "entr",
    lambda x: np.where(x > 0, -x * np.log(x), np.where(x == 0, 0, np.where(x < 0, -np.inf, x))).astype(x.dtype)[()],
    lambda xp, g, y, x: g * -(1 + xp.log(x)),
    formula=lambda s, x: -x * s.function("log", x),
    uses="x",
    functions=("special.entr",),
    promotion="float",
    grad_fn="SpecialEntrBackward0",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="entr",
    samples=ALONE,
)
LOGADDEXP = elementwise(
    "logaddexp",
    np.logaddexp,
    (lambda xp, g, y, a, b: g / (1 + xp.exp(b - a)), lambda xp, g, y, a, b: g / (1 + xp.exp(a - b))),
    definition=lambda s, a, b: s.known("log", s.known("exp", a) + s.known("exp", b)),
    slopes=(lambda s, y, a, b: s.function("exp", a - y), lambda s, y, a, b: s.function("exp", b - y)),
    uses=("a b", "a b"),
    functions=("logaddexp",),
    methods=("logaddexp",),
    in_place=False,
    numbers=(),
    rule="logaddexp",
    samples=FEW,
)
LOGADDEXP2 = elementwise(
    "logaddexp2",
    np.logaddexp2,
    (lambda xp, g, y, a, b: g / (1 + xp.exp2(b - a)), lambda xp, g, y, a, b: g / (1 + xp.exp2(a - b))),
    definition=lambda s, a, b: s.known("log", s.number(2) ** a + s.number(2) ** b) / s.known("log", 2),
    slopes=(lambda s, y, a, b: 2 ** (a - y), lambda s, y, a, b: 2 ** (b - y)),
    uses=("a b", "a b"),
    functions=("logaddexp2",),
    methods=("logaddexp2",),
    in_place=False,
    numbers=(),
    rule="logaddexp",
    samples=FEW,
)
