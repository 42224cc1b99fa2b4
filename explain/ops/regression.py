"""Losses of a regression: what the distance of each prediction from its target costs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Options, Sample, Shape, broadcast_error, word
from explain.ops.loss import Loss, composed, formula_of_reduction, reduced, reduction_of, shared
from explain.ops.registry import block, composite

SAMPLES = (
    Sample(((3,), (3,))),
    Sample(((2, 3), (2, 3)), {"reduction": "sum"}),
    Sample(((2, 2), (2, 2)), {"reduction": "none"}),
)


def warn_of_sizes(x: Any, target: Any) -> None:
    """Torch's warning where prediction and target differ in shape and are broadcast."""
    if tuple(x.shape) != tuple(target.shape):
        sizes = [f"torch.Size({list(t.shape)})" for t in (target, x)]
        warnings.warn(
            f"Using a target size ({sizes[0]}) that is different to the input size ({sizes[1]}). This will likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=6,
        )


class OfDistances(Loss):
    """A loss of prediction and target entry by entry, the same in both but for the sign of the distance x − target."""

    uses = ("x target", "x target")
    promotion = "common"
    order: tuple[str, ...] = ("x", "target", "size_average", "reduce", "reduction")
    c_name = ""

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        if hasattr(given["x"], "shape") and hasattr(given["target"], "shape"):
            warn_of_sizes(given["x"], given["target"])

    def sorted_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if "weight" in kwargs and kwargs["weight"] is None:
            kwargs = {name: value for name, value in kwargs.items() if name != "weight"}
        return super().sorted_call(args, kwargs)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes)

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"n": np.broadcast_shapes(*shapes), "reduction": options.get("reduction", "mean")}

    def forward(self, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        raise NotImplementedError

    def total(self, x: Any, losses: Any, reduction: str) -> Any:
        """The losses' mean or sum. Raises torch's error for whole numbers."""
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"{self.c_name}\" not implemented for '{word(x.dtype)}'")
        return reduced(losses, reduction)

    @staticmethod
    def sent(
        xp: Any, needs: Any, g: Any, x: Any, target: Any, reduction: str, slope: Callable[[Any], Any]
    ) -> tuple[Any, Any]:
        """The cotangents, where ``slope(distance)`` is the derivative of each loss. As the loss is even in the distance,
        the target is on its side what x is on the other."""
        share = shared(g, math.prod(np.broadcast_shapes(tuple(x.shape), tuple(target.shape))), reduction)
        return (
            needs[0] and xp.sum_to(share * slope(xp.sub(x, target)), shape=tuple(x.shape)),
            needs[1] and xp.sum_to(share * slope(xp.sub(target, x)), shape=tuple(target.shape)),
        )

    @staticmethod
    def entry(s: Any, out: Any, x: Any, target: Any, reduction: str, loss: Any) -> Any:
        """The formula, where ``loss(distance)`` is the loss of an entry."""
        rank = max(x.ndim, target.ndim)
        shapes = [(1,) * (rank - t.ndim) + t.shape for t in (x, target)]
        numbers = [(1,) * (rank - t.ndim) + t.numbers for t in (x, target)]
        sizes = [b if m == 1 else a for a, b, m in zip(*shapes, numbers[0], strict=True)]
        return formula_of_reduction(s, out, sizes, reduction, lambda place: loss(x.at(place) - target.at(place)))


@block
class MseLoss(OfDistances):
    """The squared distance, and the mean over all entries."""

    name = "mse_loss"
    functions = ("F.mse_loss",)
    rule = "mse_loss"
    c_name = "mse_cpu"
    backward_name = "MseLossBackward0"
    samples = (*SAMPLES, Sample(((2, 1), (3,))), Sample(((), ())))

    def forward(self, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        d = x - target
        return self.total(x, d * d, reduction)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        return self.sent(xp, needs, g, x, target, reduction, lambda d: 2 * d)

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        return self.entry(s, out, x, target, reduction, lambda d: d**2)


# PyTorch takes the derivative at the corner of |d| to be 0, as abs does


def _l1_loss(
    xp: Any,
    input: Any,
    target: Any,
    *,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The distance, and the mean over all entries."""
    warn_of_sizes(input, target)
    reduction = reduction_of(reduction, size_average, reduce)
    losses = xp.abs(xp.sub(input, target))
    return composed(xp, losses, reduction) if weight is None else weighted(xp, losses, input, weight, reduction)


def weighted(xp: Any, losses: Any, x: Any, weight: Any, reduction: str) -> Any:
    """The losses times their weights; a mean divides by the weights. Raises torch's error for another shape."""
    if tuple(weight.shape) != tuple(x.shape):
        raise ValueError("Weights and input must have the same size.")
    losses = xp.mul(losses, weight)
    if reduction == "mean":
        return xp.div(xp.sum(losses), xp.sum(weight))
    return composed(xp, losses, reduction)


def _weighted_mse_loss(
    xp: Any,
    input: Any,
    target: Any,
    *,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any,
) -> Any:
    """The squared distance times a weight, and the mean by weight."""
    warn_of_sizes(input, target)
    squares = xp.pow(xp.sub(input, target), 2)
    return weighted(xp, squares, input, weight, reduction_of(reduction, size_average, reduce))


def _weighted_huber_loss(
    xp: Any, input: Any, target: Any, *, reduction: str = "mean", delta: float = 1.0, weight: Any
) -> Any:
    """Huber's loss times a weight, and the mean over all entries."""
    if tuple(weight.shape) != tuple(input.shape):
        raise ValueError("Weights and input must have the same size.")
    losses = xp.huber_loss(input, target, reduction="none", delta=delta)
    return composed(xp, xp.mul(losses, weight), reduction_of(reduction))


PAIR = (Sample(((2, 3), (2, 3))),)
composite("l1_loss", _l1_loss, functions=("F.l1_loss",), samples=PAIR)
WEIGHTED = (Sample(((2, 3), (2, 3)), {"weight": np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 1.0]])}),)
composite("weighted_mse_loss", _weighted_mse_loss, functions=("F.mse_loss",), samples=WEIGHTED)
composite("weighted_huber_loss", _weighted_huber_loss, functions=("F.huber_loss",), samples=WEIGHTED)


def _bent(s: Any, d: Any, width: float, near: Any, far: Any) -> Any:
    """``near`` where |d| < width, else ``far``."""
    return s.where(s.function("abs", d) < s.literal(width), near, far)


@block
class SmoothL1Loss(OfDistances):
    """d²/(2β) where the distance |d| is below β, |d| − β/2 beyond: a parabola that goes over into straight lines."""

    name = "smooth_l1_loss"
    functions = ("F.smooth_l1_loss",)
    rule = "bent_loss"
    order = ("x", "target", "size_average", "reduce", "reduction", "beta")
    c_name = "smooth_l1_cpu"
    backward_name = "SmoothL1LossBackward0"
    samples = (Sample(((4,), (4,))), Sample(((2, 3), (2, 3)), {"reduction": "sum", "beta": 0.5}))

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return super().details(shapes, options) | {"width": f"{options.get('beta', 1):g}"}

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        beta = options.get("beta", 1.0)
        if beta < 0:
            raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
        if beta == 0:
            raise NoMatch("smooth_l1_loss() without a parabola is l1_loss()")
        return ins, options

    def forward(self, x: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Any:
        d = np.abs(x - target)
        return self.total(x, np.where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta)[()], reduction)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0
    ) -> Any:
        def slope(d: Any) -> Any:
            return xp.where(xp.abs(d) < beta, d / beta, xp.sign(d))

        return self.sent(xp, needs, g, x, target, reduction, slope)

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Any:
        def loss(d: Any) -> Any:
            half = s.number(beta) / 2
            return _bent(s, d, beta, d**2 / (2 * s.number(beta)), s.function("abs", d) - half)

        return self.entry(s, out, x, target, reduction, loss)


composite(
    "smooth_l1_loss_of_corners",
    lambda xp, input, target, *, size_average=None, reduce=None, reduction="mean", beta: _l1_loss(
        xp, input, target, size_average=size_average, reduce=reduce, reduction=reduction
    ),
    functions=("F.smooth_l1_loss",),
    samples=(Sample(((2, 3), (2, 3)), {"beta": 0}),),
)


@block
class HuberLoss(OfDistances):
    """d²/2 where the distance |d| is at most δ, δ (|d| − δ/2) beyond: a parabola that goes over into straight lines."""

    name = "huber_loss"
    functions = ("F.huber_loss",)
    rule = "bent_loss"
    order = ("x", "target", "reduction", "delta")
    c_name = "huber_cpu"
    backward_name = "HuberLossBackward0"
    samples = (Sample(((4,), (4,))), Sample(((2, 3), (2, 3)), {"reduction": "sum", "delta": 0.5}))

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return super().details(shapes, options) | {"width": f"{options.get('delta', 1):g}"}

    def forward(self, x: Any, target: Any, *, reduction: str = "mean", delta: float = 1.0) -> Any:
        if delta <= 0:
            raise RuntimeError("huber_loss does not support non-positive values for delta.")
        d = np.abs(x - target)
        return self.total(x, np.where(d < delta, d * d * 0.5, delta * (d - 0.5 * delta))[()], reduction)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean", delta: float = 1.0
    ) -> Any:
        def slope(d: Any) -> Any:
            return xp.where(xp.abs(d) < delta, d, xp.sign(d) * delta)

        return self.sent(xp, needs, g, x, target, reduction, slope)

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean", delta: float = 1.0) -> Any:
        def loss(d: Any) -> Any:
            width = s.number(delta)
            return _bent(s, d, delta, d**2 / 2, s.literal(delta) * (s.function("abs", d) - width / 2))

        return self.entry(s, out, x, target, reduction, loss)
