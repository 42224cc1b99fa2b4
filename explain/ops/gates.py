"""Activations in straight pieces: gates, ramps with two ends, and shrinking towards 0.

Where the pieces meet the derivative is a choice: each op says PyTorch's, and ``special`` finds such points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.activations import of_floats
from explain.ops.base import Op, Sample, Shape, word
from explain.ops.entrywise import ALONE, Elementwise, elementwise, no_masks
from explain.ops.registry import block


def _leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))[()]


elementwise(
    "leaky_relu",
    of_floats("leaky_relu_cpu", _leaky_relu),
    lambda xp, g, y, x, negative_slope=0.01: xp.where(x > 0, g, g * negative_slope),
    definition=lambda s, x, negative_slope: s.where(x > 0, x, negative_slope * x),
    slopes=lambda s, y, x, negative_slope: s.indicator(x > 0) + negative_slope * s.indicator(x <= 0),
    uses="x",
    functions=("F.leaky_relu", "F.leaky_relu_"),
    before_inplace=2,
    grad_fn="LeakyReluBackward0",
    latex=r"\operatorname{LeakyReLU}",
    special={"kink": lambda x, negative_slope=0.01: x == 0},
    rule="leaky_relu",
    samples=(Sample(((2, 3),)), Sample(((),), {"negative_slope": 0.5})),
)


@block
class PRelu(Op):
    """x where it is positive, else a learned slope times x: one slope for all, or one for each channel (axis 1)."""

    name = "prelu"
    functions = ("prelu", "F.prelu")
    methods = ("prelu",)
    kind = "elementwise"
    rule = "prelu"
    uses = ("x weight", "x")
    backward_name = "PreluKernelBackward0"
    latex = r"\operatorname{PReLU}"
    special = {"kink": lambda x, weight: x == 0}  # noqa: RUF012
    samples = (Sample(((2, 3), (1,))), Sample(((2, 2, 2), (2,))), Sample(((3,), ())))

    def forward(self, x: Any, weight: Any) -> Any:
        if x.dtype != weight.dtype:
            raise RuntimeError(f"prelu: Type promoting not supported. Got {word(x.dtype)} and {word(weight.dtype)}")
        if weight.size != 1:
            if not x.ndim:
                raise RuntimeError("Not allow zero-dim input tensor.")
            channels = x.shape[1] if x.ndim > 1 else 1
            if weight.size != channels:
                raise RuntimeError(
                    "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                    f"{weight.size} and channel size = {channels}."
                )
        if weight.ndim > 1:
            raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
        return np.where(x > 0, x, x * weight.reshape(self.aligned(x.shape, weight.shape)))[()]

    @staticmethod
    def aligned(x: Shape, weight: Shape) -> Shape:
        """The shape in which the slopes broadcast against x."""
        return (1,) * len(x) if weight in ((), (1,)) else tuple(weight[0] if k == 1 else 1 for k in range(len(x)))

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, weight: Any) -> tuple[Any, ...]:
        shape = self.aligned(tuple(x.shape), tuple(weight.shape))
        back_x = back_weight = None
        if needs[0]:
            back_x = xp.where(x > 0, g, g * xp.reshape(weight, shape=shape))
        if needs[1]:
            back_weight = xp.reshape(xp.sum_to(xp.where(x > 0, 0.0, g * x), shape=shape), shape=tuple(weight.shape))
        return back_x, back_weight

    def formula(self, s: Any, out: tuple[Any, ...], x: Any, weight: Any) -> Any:
        slope = weight[(out[1],) if weight.numbers not in ((), (1,)) else (0,) * weight.ndim]
        return s.where(x[out] > 0, x[out], slope * x[out])


# ramps with two ends


class _Hardtanh(Elementwise):
    """Hardtanh, whose bounds must be in order."""

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if options.get("min_val", -1.0) > options.get("max_val", 1.0):
            raise ValueError("min_val cannot be greater than max_val")
        return ins, options


def _hardtanh(x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    return np.minimum(np.maximum(x, x.dtype.type(min_val)), x.dtype.type(max_val))


def _strictly_between(xp: Any, g: Any, x: Any, low: float, high: float) -> Any:
    return xp.where(xp.logical_and(x > low, x < high), g, 0.0)


elementwise(
    "hardtanh",
    _hardtanh,
    lambda xp, g, y, x, min_val=-1.0, max_val=1.0: _strictly_between(xp, g, x, min_val, max_val),
    definition=lambda s, x, min_val, max_val: s.where(x <= min_val, min_val, s.where(x >= max_val, max_val, x)),
    slopes=lambda s, y, x, min_val, max_val: s.indicator(x > min_val) * s.indicator(x < max_val),
    uses="x",
    functions=("F.hardtanh", "F.hardtanh_"),
    before_inplace=3,
    form=_Hardtanh,
    special={"kink": lambda x, min_val=-1.0, max_val=1.0: (x == min_val) | (x == max_val)},
    refuses=no_masks(RuntimeError("Bool inputs not supported for hardtanh")),
    rule="ramp",
    samples=(Sample(((2, 3),)), Sample(((3,),), {"min_val": -0.5, "max_val": 1.5})),
)
elementwise(
    "relu6",
    lambda x: _hardtanh(x, min_val=0, max_val=6),
    lambda xp, g, y, x: _strictly_between(xp, g, x, 0, 6),
    definition=lambda s, x: s.where(x <= 0, 0, s.where(x >= 6, 6, x)),
    slopes=lambda s, y, x: s.indicator(x > 0) * s.indicator(x < 6),
    uses="x",
    functions=("F.relu6",),
    before_inplace=1,
    grad_fn="HardtanhBackward0",
    latex=r"\operatorname{ReLU6}",
    special={"kink": lambda x: (x == 0) | (x == 6)},
    refuses=no_masks(RuntimeError("Bool inputs not supported for hardtanh")),
    rule="ramp",
    domain=(-3.0, 9.0),
    samples=ALONE,
)


def _hardsigmoid(x: Any) -> Any:
    return np.minimum(np.maximum(x + 3, x.dtype.type(0)), x.dtype.type(6)) / 6


elementwise(
    "hardsigmoid",
    of_floats("hardsigmoid_cpu", _hardsigmoid),
    lambda xp, g, y, x: xp.where(xp.logical_and(x > -3, x < 3), g / 6, 0.0),
    definition=lambda s, x: s.where(x <= -3, 0, s.where(x >= 3, 1, x / 6 + s.number(0.5))),
    slopes=lambda s, y, x: s.indicator(x > -3) * s.indicator(x < 3) / 6,
    uses="x",
    functions=("F.hardsigmoid",),
    before_inplace=1,
    special={"kink": lambda x: np.abs(x) == 3},
    rule="ramp",
    domain=(-5.0, 5.0),
    samples=ALONE,
)
elementwise(
    "hardswish",
    of_floats("hardswish_cpu", lambda x: x * _hardsigmoid(x)),
    lambda xp, g, y, x: xp.where(x <= -3, 0.0, xp.where(x < 3, g * (x / 3 + 0.5), g)),
    formula=lambda s, x: x * s.function("hardsigmoid", x),
    uses="x",
    functions=("F.hardswish",),
    before_inplace=1,
    special={"kink": lambda x: np.abs(x) == 3},
    rule="self_gated",
    domain=(-5.0, 5.0),
    samples=ALONE,
)

# cut off


def _threshold(x: Any, *, threshold: float, value: float) -> Any:
    return np.where(x <= x.dtype.type(threshold), x.dtype.type(value), x)[()]


elementwise(
    "threshold",
    _threshold,
    lambda xp, g, y, x, threshold, value: xp.where(x <= threshold, 0.0, g),
    definition=lambda s, x, threshold, value: s.where(x > threshold, x, value),
    slopes=lambda s, y, x, threshold, value: s.indicator(x > threshold),
    uses="x",
    functions=("threshold", "threshold_", "F.threshold", "F.threshold_"),
    before_inplace=3,
    special={"kink": lambda x, threshold, value: x == threshold},
    refuses=no_masks(NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")),
    rule="threshold",
    samples=(Sample(((2, 3),), {"threshold": 0.5, "value": 0.25}), Sample(((),), {"threshold": 0, "value": 0})),
)
elementwise(
    "hardshrink",
    of_floats("hardshrink_cpu", lambda x, *, lambd=0.5: np.where(np.abs(x) <= lambd, x.dtype.type(0), x)[()]),
    lambda xp, g, y, x, lambd=0.5: xp.where(xp.abs(x) > lambd, g, 0.0),
    definition=lambda s, x, lambd: s.where(x > lambd, x, s.where(x < -lambd, x, 0)),
    slopes=lambda s, y, x, lambd: s.indicator(x > lambd) + s.indicator(x < -lambd),
    uses="x",
    functions=("hardshrink", "F.hardshrink"),
    methods=("hardshrink",),
    in_place=False,
    special={"kink": lambda x, lambd=0.5: np.abs(x) == lambd},
    rule="shrink",
    samples=(Sample(((2, 3),)), Sample(((),), {"lambd": 1.0})),
)


def _softshrink(x: Any, *, lambd: float = 0.5) -> Any:
    if lambd < 0 or lambd > np.finfo(x.dtype).max:
        raise RuntimeError(
            f"lambda must be in range [0, {np.finfo(x.dtype).max:g}] for input dtype {word(x.dtype)}, but found {lambd:g}"
        )
    bound = x.dtype.type(lambd)
    return np.where(x > bound, x - bound, np.where(x < -bound, x + bound, x * 0))[()]


elementwise(
    "softshrink",
    of_floats("softshrink_check", _softshrink),
    lambda xp, g, y, x, lambd=0.5: xp.where(xp.abs(x) > lambd, g, 0.0),
    definition=lambda s, x, lambd: s.where(x > lambd, x - lambd, s.where(x < -lambd, x + lambd, 0)),
    slopes=lambda s, y, x, lambd: s.indicator(x > lambd) + s.indicator(x < -lambd),
    uses="x",
    functions=("F.softshrink",),
    special={"kink": lambda x, lambd=0.5: np.abs(x) == lambd},
    rule="shrink",
    samples=(Sample(((2, 3),)), Sample(((),), {"lambd": 1.0})),
)


@block
class Glu(Op):
    """y = a σ(b), where a and b are the two halves of the input along ``dim``."""

    name = "glu"
    functions = ("F.glu",)
    kind = "elementwise"
    rule = "glu"
    uses = ("x",)
    backward_name = "GluBackward0"
    samples = (Sample(((2, 4),)), Sample(((2, 3),), {"dim": 0}))

    def halves(self, xp: Any, x: Any, dim: int) -> tuple[Any, Any, Shape, int]:
        """(a, b, the shape with the two halves on an axis of their own, which axis)."""
        axis = dim % x.ndim
        shape = (*x.shape[:axis], 2, x.shape[axis] // 2, *x.shape[axis + 1 :])
        pair = xp.reshape(x, shape=shape)
        a, b = (xp.index(pair, index=(*[slice(None)] * axis, k)) for k in range(2))
        return a, b, shape, axis

    def forward(self, x: Any, *, dim: int = -1) -> Any:
        if not x.ndim:
            raise RuntimeError("glu does not support scalars because halving size must be even")
        if not -x.ndim <= dim < x.ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but got {dim})")
        if x.shape[dim] % 2:
            raise RuntimeError(f"Halving dimension must be even, but dimension {dim % x.ndim} is size {x.shape[dim]}")
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"glu_cpu\" not implemented for '{word(x.dtype)}'")
        a, b = np.split(x, 2, axis=dim)
        return a / (1 + np.exp(-b))

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, *, dim: int = -1) -> tuple[Any, ...]:
        a, b, shape, axis = self.halves(xp, x, dim)
        share = xp.sigmoid(b)
        first = np.array([True, False]).reshape(2, *(1,) * (len(shape) - axis - 1))
        lifted = (*shape[:axis], 1, *shape[axis + 1 :])
        to_a, to_b = (xp.reshape(t, shape=lifted) for t in (g * share, g * (a * (share * (1 - share)))))
        return (xp.reshape(xp.where(first, to_a, to_b), shape=tuple(x.shape)),)

    def formula(self, s: Any, out: tuple[Any, ...], x: Any, *, dim: int = -1) -> Any:
        axis = dim % x.ndim
        half = s.number(x.numbers[axis] // 2)
        return x[out] * s.function("sigmoid", x[(*out[:axis], out[axis] + half, *out[axis + 1 :])])
