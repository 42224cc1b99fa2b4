"""What normalisation layers are made of: entries less their mean over the deviation, entries over their root mean square.

``eps`` stands inside the root, as in all layers of torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, axes
from explain.ops.reductions import spread
from explain.ops.registry import block
from explain.ops.variance import squares_apart

ADD: Any = np.add
EPS = 1e-5


def _mean(x: Any, over: tuple[int, ...]) -> Any:
    count = math.prod([x.shape[k] for k in over])
    return ADD.reduce(x, axis=over, keepdims=True) / x.dtype.type(count)


def moments(x: Any, over: tuple[int, ...]) -> tuple[Any, Any]:
    """(x less its mean over the axes, the mean of the squares of that), axes kept."""
    centred = x - _mean(x, over)
    return centred, _mean(centred * centred, over)


def _count(shape: tuple[int, ...], dim: Any) -> int:
    return math.prod([shape[k] for k in axes(dim, len(shape))])


class _Along(Op):
    """Maps the entries along ``dim`` to as many entries."""

    kind = "normalisation"
    uses = ("x y",)
    samples = (Sample(((2, 3),), {"dim": 1, "eps": 0.1}), Sample(((2, 3, 2),), {"dim": (0, 2), "eps": EPS}))

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any, eps: float) -> Any:
        return s.transformed(self.name, x, out, axes(dim, x.ndim), eps=eps)


class _Scale(Op):
    """One number for the entries along ``dim``: the root of a mean of squares and ``eps``."""

    kind = "normalisation"
    uses = ("x y",)
    samples = (
        Sample(((2, 3),), {"dim": 1, "eps": 0.1}),
        Sample(((2, 3, 2),), {"dim": (0, 2), "eps": EPS, "keepdim": True}),
    )
    entries = ""  # the op that divides by it

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any, eps: float, keepdim: bool = False) -> Any:
        g = spread(xp, g, x.shape, dim, keepdim)
        return (g * getattr(xp, self.entries)(x, dim=dim, eps=eps) / _count(x.shape, dim),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any, eps: float, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction(self.name, x[place], *bound, eps=eps)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any, eps: Any) -> Any:
        """The entry after division, by how many there are."""
        return s.transform(self.entries, body, bound, position, eps=eps) / s.count(*bound)


@block
class Standardised(_Along):
    """y = (x − μ)/σ with the mean μ and the deviation σ of the entries along ``dim``."""

    name = "standardised"
    rule = "standardised"
    backward_name = "NativeLayerNormBackward0"

    def forward(self, x: Any, *, dim: Any, eps: float) -> Any:
        centred, variance = moments(x, axes(dim, x.ndim))
        return centred / np.sqrt(variance + x.dtype.type(eps))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any, eps: float) -> Any:
        centred = g - xp.mean(g, dim=dim, keepdim=True) - y * xp.mean(g * y, dim=dim, keepdim=True)
        return (centred / xp.deviation(x, dim=dim, eps=eps, keepdim=True),)

    def definition(self, s: Any, at: Any, body: Any, bound: Any, eps: Any) -> Any:
        return (at - s.total(body, *bound) / s.count(*bound)) / _deviation(s, body, bound, eps)

    def written(self, s: Any, at: Any, body: Any, bound: Any, eps: Any) -> Any:
        """How it is shown."""
        return (at - s.reduction("mean", body, *bound)) / _written_deviation(s, body, bound, eps)

    def slopes_of_transform(self, s: Any, y: Any, at: Any, other: Any, body: Any, bound: Any, eps: Any) -> Any:
        """∂y_p/∂x_q = (δ_pq − 1/n − y_p y_q/n)/σ."""
        scale = s.reduction("deviation", body, *bound, eps=eps)
        there = s.transform("standardised", body, bound, other, eps=eps)
        count = s.count(*bound) * scale
        return 1 / scale, -1 / count - y * there / count


@block
class Deviation(_Scale):
    """σ = √(variance + ε) of the entries along ``dim``."""

    name = "deviation"
    rule = "deviation"
    entries = "standardised"
    backward_name = "SqrtBackward0"

    def forward(self, x: Any, *, dim: Any, eps: float, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        y = np.sqrt(moments(x, over)[1] + x.dtype.type(eps))
        return y if keepdim else np.squeeze(y, axis=over)[()]

    def definition(self, s: Any, body: Any, bound: Any, eps: Any) -> Any:
        return _deviation(s, body, bound, eps)

    def written(self, s: Any, at: Any, body: Any, bound: Any, eps: Any) -> Any:
        """How it is shown."""
        return _written_deviation(s, body, bound, eps)


def _deviation(s: Any, body: Any, bound: Any, eps: Any) -> Any:
    return (squares_apart(s, body, bound) / s.count(*bound) + eps) ** s.number(0.5)


def _written_deviation(s: Any, body: Any, bound: Any, eps: Any) -> Any:
    return (s.reduction("var", body, *bound) + s.number(eps)) ** s.number(0.5)


@block
class RmsNormalised(_Along):
    """y = x/r with the root mean square r of the entries along ``dim``."""

    name = "rms_normalised"
    rule = "rms_normalised"
    backward_name = "MulBackward0"

    def forward(self, x: Any, *, dim: Any, eps: float) -> Any:
        return x / np.sqrt(_mean(x * x, axes(dim, x.ndim)) + x.dtype.type(eps))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any, eps: float) -> Any:
        scale = xp.root_mean_square(x, dim=dim, eps=eps, keepdim=True)
        return ((g - y * xp.mean(g * y, dim=dim, keepdim=True)) / scale,)

    def written(self, s: Any, at: Any, body: Any, bound: Any, eps: Any) -> Any:
        """How it is shown."""
        return at / _written_root(s, body, bound, eps)

    def slopes_of_transform(self, s: Any, y: Any, at: Any, other: Any, body: Any, bound: Any, eps: Any) -> Any:
        """∂y_p/∂x_q = (δ_pq − y_p y_q/n)/r."""
        scale = s.reduction("root_mean_square", body, *bound, eps=eps)
        there = s.transform("rms_normalised", body, bound, other, eps=eps)
        return 1 / scale, -y * there / (s.count(*bound) * scale)


@block
class RootMeanSquare(_Scale):
    """r = √(mean of squares + ε) of the entries along ``dim``."""

    name = "root_mean_square"
    rule = "root_mean_square"
    entries = "rms_normalised"
    backward_name = "SqrtBackward0"

    def forward(self, x: Any, *, dim: Any, eps: float, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        y = np.sqrt(_mean(x * x, over) + x.dtype.type(eps))
        return y if keepdim else np.squeeze(y, axis=over)[()]

    def written(self, s: Any, at: Any, body: Any, bound: Any, eps: Any) -> Any:
        """How it is shown."""
        return _written_root(s, body, bound, eps)


def _written_root(s: Any, body: Any, bound: Any, eps: Any) -> Any:
    return (s.reduction("mean", body ** s.number(2), *bound) + s.number(eps)) ** s.number(0.5)
