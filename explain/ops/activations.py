"""Smooth activations of networks: curves made of exponentials, with a flat or falling side instead of a corner."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Sample, word
from explain.ops.entrywise import ALONE, Elementwise, elementwise
from explain.ops.registry import composite
from explain.ops.special_values import erf, in_own_dtype

erf_in_own_dtype = in_own_dtype(erf)

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
"""With these two, activations of a self-normalising network keep mean 0 and deviation 1."""
GELU_CUBE = 0.044715
"""The share of the cube in the argument of tanh that comes close to the normal distribution."""


def of_floats(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that takes floating point numbers only. Raises torch's error for others, by its own ``name``."""

    @functools.wraps(forward)
    def checked(x: Any, *others: Any, **options: Any) -> Any:
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"{name}\" not implemented for '{word(x.dtype)}'")
        return forward(x, *others, **options)

    return checked


def _not_above_zero(xp: Any, x: Any) -> Any:
    """x where it is negative, else a constant 0: exponentials do not overflow at places where they are not wanted, and as
    in torch the slope does not change at 0 itself."""
    return xp.where(x >= 0, 0.0, x)


# exponential on the left: ELU and its relatives


def _elu(x: Any, *, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))).astype(x.dtype)[()]


elementwise(
    "elu",
    of_floats("elu_cpu", _elu),
    lambda xp, g, y, x, alpha=1.0: xp.where(x > 0, g, g * (alpha * xp.exp(_not_above_zero(xp, x)))),
    definition=lambda s, x, alpha: s.where(x > 0, x, alpha * (s.function("exp", x) - 1)),
    slopes=lambda s, y, x, alpha: s.indicator(x > 0) + (y + alpha) * s.indicator(x <= 0),
    uses="x",
    functions=("F.elu", "F.elu_"),
    before_inplace=2,
    latex=r"\operatorname{ELU}",
    special={"kink": lambda x, alpha=1.0: (x == 0) & (alpha != 1)},
    rule="elu",
    samples=(Sample(((2, 3),), {"alpha": 0.5}), Sample(((),))),
)


def _selu(x: Any) -> Any:
    return (SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))).astype(x.dtype)[()]


elementwise(
    "selu",
    of_floats("elu_cpu", _selu),
    lambda xp, g, y, x: g * xp.where(x > 0, SELU_SCALE, xp.exp(_not_above_zero(xp, x)) * (SELU_SCALE * SELU_ALPHA)),
    definition=lambda s, x: s.number(SELU_SCALE) * s.where(x > 0, x, s.number(SELU_ALPHA) * (s.function("exp", x) - 1)),
    slopes=lambda s, y, x: (
        s.number(SELU_SCALE) * s.indicator(x > 0) + (y + s.number(SELU_SCALE) * s.number(SELU_ALPHA)) * s.indicator(x <= 0)
    ),
    uses="x",
    functions=("selu", "selu_", "F.selu", "F.selu_"),
    before_inplace=1,
    grad_fn="EluBackward0",
    latex=r"\operatorname{SELU}",
    special={"kink": lambda x: x == 0},
    rule="elu",
    samples=ALONE,
)


def _celu(x: Any, *, alpha: float = 1.0) -> Any:
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)).astype(x.dtype)[()]


elementwise(
    "celu",
    of_floats("elu_cpu", _celu),
    lambda xp, g, y, x, alpha=1.0: xp.where(x > 0, g, g * xp.exp(_not_above_zero(xp, x) / alpha)),
    definition=lambda s, x, alpha: s.where(x > 0, x, alpha * (s.function("exp", x / alpha) - 1)),
    slopes=lambda s, y, x, alpha: s.indicator(x > 0) + (y / alpha + 1) * s.indicator(x <= 0),
    uses="x",
    functions=("celu", "celu_", "F.celu", "F.celu_"),
    before_inplace=2,
    latex=r"\operatorname{CELU}",
    rule="elu",
    samples=(Sample(((2, 3),), {"alpha": 0.5}), Sample(((),))),
)

# logarithms of exponentials


class _Softplus(Elementwise):
    """Softplus, whose formula speaks of torch's threshold only where an entry lies beyond it."""

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        threshold = options.pop("threshold", 20)
        if np.any(ins[0].array * options.get("beta", 1) > threshold):
            options["threshold"] = threshold
        return ins, options


def _softplus(x: Any, *, beta: float = 1, threshold: float | None = None) -> Any:
    z = x * x.dtype.type(beta)
    y = np.logaddexp(z, x.dtype.type(0)) / x.dtype.type(beta)
    return y if threshold is None else np.where(z > threshold, x, y)[()]


def _softplus_rule(xp: Any, g: Any, y: Any, x: Any, beta: float = 1, threshold: float | None = None) -> Any:
    z = x * beta
    sent = g * xp.sigmoid(z)
    return sent if threshold is None else xp.where(z > threshold, g, sent)


def _softplus_formula(s: Any, x: Any, beta: float = 1, threshold: float | None = None) -> Any:
    z = x if beta == 1 else s.literal(beta) * x
    y = s.function("softplus", z)
    y = y if beta == 1 else y / s.literal(beta)
    return y if threshold is None else s.where(z > s.literal(threshold), x, y)


elementwise(
    "softplus",
    of_floats("softplus_cpu", _softplus),
    _softplus_rule,
    formula=_softplus_formula,
    definition=lambda s, x, beta=1: s.known("log", 1 + s.known("exp", beta * x)) / beta,
    slopes=lambda s, y, x, beta=1: s.function("sigmoid", x * beta),
    uses="x",
    functions=("F.softplus",),
    form=_Softplus,
    special={
        "kink": lambda x, beta=1, threshold=None: np.zeros(x.shape, bool) if threshold is None else x * beta == threshold
    },
    rule="softplus",
    samples=(Sample(((2, 3),)), Sample((np.array([-0.5, 0.5, 2.0]),), {"beta": 2, "threshold": 3})),
)
elementwise(
    "logsigmoid",
    of_floats("log_sigmoid_cpu", lambda x: -np.logaddexp(-x, x.dtype.type(0))),
    lambda xp, g, y, x: g * xp.sigmoid(-x),
    definition=lambda s, x: -s.known("log", 1 + s.known("exp", -x)),
    slopes=lambda s, y, x: 1 - s.function("sigmoid", x),
    uses="x",
    functions=("F.logsigmoid",),
    grad_fn="LogSigmoidBackward0",
    latex=r"\log\sigma",
    rule="logsigmoid",
    samples=ALONE,
)

# an entry times a share between 0 and 1: SiLU, GELU, Mish


def _silu_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    share = xp.sigmoid(x)
    return g * (share * (1 + x * (1 - share)))


elementwise(
    "silu",
    of_floats("silu_cpu", lambda x: x / (1 + np.exp(-x))),
    _silu_rule,
    formula=lambda s, x: x * s.function("sigmoid", x),
    uses="x",
    functions=("F.silu",),
    before_inplace=1,
    rule="self_gated",
    samples=ALONE,
)


class _Gelu(Elementwise):
    """GELU, exact or by tanh: one op for each, ``way``. The option is named, never counted off."""

    way: str = ""

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(args) > 1:
            raise TypeError(f"gelu() takes 1 positional argument but {len(args)} were given")
        way = kwargs.pop("approximate", "none")
        if way not in ("none", "tanh"):
            raise RuntimeError("approximate argument must be either none or tanh.")
        if way != self.way:
            raise NoMatch(f"{self.name}() is another way to compute gelu()")
        return super().bind(*args, **kwargs)


def _gelu_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    share = (xp.erf(x * math.sqrt(0.5)) + 1) / 2
    return g * (share + x * xp.exp(x * x / -2) / math.sqrt(2 * math.pi))


elementwise(
    "gelu",
    # from erf, as in torch: the normal distribution itself would be closer far on the left, but round otherwise
    of_floats("GeluKernelImpl", lambda x: x * 0.5 * (1 + erf_in_own_dtype(x * math.sqrt(0.5)))),
    _gelu_rule,
    formula=lambda s, x: x * s.function("ndtr", x),
    uses="x",
    functions=("F.gelu",),
    form=_Gelu,
    way="none",
    rule="self_gated",
    samples=ALONE,
)


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + GELU_CUBE * x * x * x)))


def _gelu_tanh_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    root = math.sqrt(2 / math.pi)
    t = xp.tanh((x + x * x * x * GELU_CUBE) * root)
    return g * ((1 + t) / 2 + x * (1 - t * t) * (1 + x * x * (3 * GELU_CUBE)) * (root / 2))


def _tanh_in_gelu(s: Any, x: Any) -> Any:
    return s.function("tanh", (2 / s.pi) ** s.number(0.5) * (x + s.literal(GELU_CUBE) * x**3))


def _gelu_tanh_slope(s: Any, y: Any, x: Any) -> Any:
    t = _tanh_in_gelu(s, x)
    # y = x (1 + t)/2 stands for half of 1 − t² = (1 + t)(1 − t)
    return (1 + t) / 2 + y * (1 - t) * (2 / s.pi) ** s.number(0.5) * (1 + s.literal(3 * GELU_CUBE) * x**2)


elementwise(
    "gelu_tanh",
    of_floats("GeluKernelImpl", _gelu_tanh),
    _gelu_tanh_rule,
    definition=lambda s, x: x * (1 + _tanh_in_gelu(s, x)) / 2,
    slopes=_gelu_tanh_slope,
    uses="x",
    functions=("F.gelu",),
    grad_fn="GeluBackward0",
    form=_Gelu,
    way="tanh",
    latex=r"\operatorname{GELU}_{\tanh}",
    rule="self_gated",
    samples=ALONE,
)


def _mish_rule(xp: Any, g: Any, y: Any, x: Any) -> Any:
    t = xp.tanh(xp.softplus(x))
    return g * (t + x * xp.sigmoid(x) * (1 - t * t))


elementwise(
    "mish",
    of_floats("mish_cpu", lambda x: x * np.tanh(np.logaddexp(x, x.dtype.type(0)))),
    _mish_rule,
    formula=lambda s, x: x * s.function("tanh", s.function("softplus", x)),
    uses="x",
    functions=("F.mish",),
    before_inplace=1,
    rule="self_gated",
    samples=ALONE,
)

# made of other ops, as torch makes them

composite("softsign", lambda xp, x: xp.div(x, xp.add(xp.abs(x), 1)), functions=("F.softsign",), samples=ALONE)
composite("tanhshrink", lambda xp, x: xp.sub(x, xp.tanh(x)), functions=("F.tanhshrink",), samples=ALONE)
