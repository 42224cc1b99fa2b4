"""Losses of yes-or-no answers: cross-entropy of probabilities, of scores, and of scores against ±1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Options, Sample, Shape, broadcast_error, numpy_dtype, plain_array, word
from explain.ops.loss import Loss, formula_of_reduction, reduced, shared
from explain.ops.registry import NUMERIC, block

LABELS = np.array([1.0, 0.0, 1.0])
ORDER = ("x", "target", "weight", "size_average", "reduce", "reduction")
LEAST_LOG = -100.0
"""Below this PyTorch cuts off the logarithm of a probability, so that a flat miss costs 100 and not infinity."""
LEAST_SPREAD = 1e-12
"""Below this PyTorch cuts off p (1 − p) in the derivative."""


class OfAnswers(Loss):
    """A loss of x and a target of the same shape, entry by entry, perhaps with weights that broadcast to it."""

    order: tuple[str, ...] = ORDER

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"n": shapes[0], "reduction": options.get("reduction", "mean")}

    @staticmethod
    def times(xp: Any, losses: Any, weight: Any) -> Any:
        """The losses times their weights."""
        return losses if weight is None else xp.mul(losses, weight)

    @staticmethod
    def entry(s: Any, out: Any, x: Any, weight: Any, reduction: str, loss: Any) -> Any:
        """The formula, where ``loss(place)`` is the loss of an entry before it is weighted."""

        def weighted(place: Any) -> Any:
            return loss(place) if weight is None else weight.at(place) * loss(place)

        return formula_of_reduction(s, out, x.shape, reduction, weighted)


def _size(t: Any) -> str:
    return f"torch.Size({list(t.shape)})"


@block
class BinaryCrossEntropy(OfAnswers):
    """−(t log x + (1 − t) log(1 − x)) for a probability x and a target t between 0 and 1, and the mean over all entries."""

    name = "binary_cross_entropy"
    functions = ("F.binary_cross_entropy",)
    rule = "binary_cross_entropy"
    uses = ("x target weight", "x weight", "")
    constants = ("weight",)
    backward_name = "BinaryCrossEntropyBackward0"
    special = {"pole": lambda x, target, weight=None, *, reduction="mean": (x <= 0) | (x >= 1)}  # noqa: RUF012
    domain = (0.1, 0.9)
    samples = (
        Sample(((3,), LABELS)),
        Sample(((2, 3), (2, 3), (3,)), {"reduction": "sum"}),
        Sample(((2, 2), (2, 2)), {"reduction": "none"}),
    )

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        if tuple(given["target"].shape) != tuple(given["x"].shape):
            raise ValueError(
                f"Using a target size ({_size(given['target'])}) that is different to the input size "
                f"({_size(given['x'])}) is deprecated. Please ensure they have the same size."
            )
        # at the call, not in forward: what differences try may lie a step outside
        x, target = plain_array(given["x"]), plain_array(given["target"])
        if target.dtype != x.dtype:
            raise RuntimeError(f"Found dtype {word(target.dtype)} but expected {word(x.dtype)}")
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"{self.name}\" not implemented for '{word(x.dtype)}'")
        for name, t in (("input", x), ("target", target)):
            if np.any((t < 0) | (t > 1)):
                raise RuntimeError(f"all elements of {name} should be between 0 and 1")

    def forward(self, x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
        yes, no = (np.maximum(log, x.dtype.type(LEAST_LOG)) for log in (np.log(x), np.log1p(-x)))
        return reduced(self.times(NUMERIC, (target - 1) * no - target * yes, weight), reduction)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
    ) -> Any:
        share = self.times(xp, shared(g, math.prod(x.shape), reduction), weight)
        back_x = back_target = None
        if needs[0]:
            back_x = share * (xp.sub(x, target) / xp.clamp_min(x * (1 - x), LEAST_SPREAD))
        if needs[1]:
            back_target = share * (xp.clamp_min(xp.log1p(-x), LEAST_LOG) - xp.clamp_min(xp.log(x), LEAST_LOG))
        return back_x, back_target, None

    def formula(self, s: Any, out: Any, x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
        def loss(place: Any) -> Any:
            p, t = x[place], target[place]
            return -(t * s.function("log", p) + (1 - t) * s.function("log", 1 - p))

        return self.entry(s, out, x, weight, reduction, loss)


@block
class BinaryCrossEntropyWithLogits(OfAnswers):
    """The binary cross-entropy of the probabilities σ(x): log(1 + e^x) − t x, and the mean over all entries.

    With ``pos_weight`` p the yes-answers count p times: (1 − t) log(1 + e^x) + p t log(1 + e^{−x}).
    """

    name = "binary_cross_entropy_with_logits"
    functions = ("F.binary_cross_entropy_with_logits",)
    rule = "binary_cross_entropy_with_logits"
    order = (*ORDER, "pos_weight")
    uses = ("x target weight pos_weight", "x weight pos_weight", "", "")
    promotion = "common"
    constants = ("weight", "pos_weight")
    backward_name = "BinaryCrossEntropyWithLogitsBackward0"
    samples = (
        Sample(((3,), LABELS)),
        Sample(((2, 3), (2, 3), (3,)), {"reduction": "sum"}),
        Sample(((2, 2), (2, 2), np.array([1.0, 3.0])), {"reduction": "none", "missing": ("weight",)}),
    )

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        x, target = given["x"], given["target"]
        if tuple(target.shape) != tuple(x.shape):
            raise ValueError(f"Target size ({_size(target)}) must be the same as input size ({_size(x)})")
        if numpy_dtype(x).kind != "f":
            raise NotImplementedError(f"\"log_sigmoid_cpu\" not implemented for '{word(numpy_dtype(x))}'")
        if numpy_dtype(target).kind != "f":
            raise RuntimeError(
                f"result type {word(numpy_dtype(x))} can't be cast to the desired output type {word(numpy_dtype(target))}"
            )

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        heavier = len(shapes) - 2 + len(options.get("missing", ())) == 2
        return super().details(shapes, options) | {"heavier": heavier}

    def forward(self, x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean") -> Any:
        less, more = (np.logaddexp(z, x.dtype.type(0)) for z in (x, -x))  # −log(1 − σ(x)), −log σ(x)
        losses = (1 - target) * less + (target if pos_weight is None else pos_weight * target) * more
        return reduced(self.times(NUMERIC, losses, weight), reduction)

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        pos_weight: Any = None,
        *,
        reduction: str = "mean",
    ) -> Any:
        share = self.times(xp, shared(g, math.prod(x.shape), reduction), weight)
        back_x = back_target = None
        if needs[0] and pos_weight is None:
            back_x = share * xp.sub(xp.sigmoid(x), target)
        elif needs[0]:
            yes = xp.mul(target, pos_weight)
            back_x = share * (xp.sigmoid(x) * (yes + 1 - target) - yes)
        if needs[1] and pos_weight is None:
            back_target = -share * x
        elif needs[1]:
            back_target = share * (xp.mul(xp.softplus(-x), pos_weight) - xp.softplus(x))
        return back_x, back_target, None, None

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        pos_weight: Any = None,
        *,
        reduction: str = "mean",
    ) -> Any:
        def loss(place: Any) -> Any:
            z, t = x[place], target[place]
            less, more = s.function("softplus", z), s.function("softplus", -z)
            return less - t * z if pos_weight is None else (1 - t) * less + pos_weight.at(place) * t * more

        return self.entry(s, out, x, weight, reduction, loss)


@block
class SoftMarginLoss(OfAnswers):
    """log(1 + e^{−t x}) for a score x and a target t of 1 or −1, and the mean over all entries."""

    name = "soft_margin_loss"
    functions = ("F.soft_margin_loss",)
    rule = "soft_margin_loss"
    order = ("x", "target", "size_average", "reduce", "reduction")
    uses = ("x target", "")
    constants = ("target",)
    backward_name = "SoftMarginLossBackward0"
    samples = (
        Sample(((3,), np.array([1.0, -1.0, 1.0]))),
        Sample(((2, 2), np.array([[1.0, -1.0], [-1.0, -1.0]])), {"reduction": "none"}),
    )

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes)

    def forward(self, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        if x.dtype.kind != "f":
            raise RuntimeError(f"result type Float can't be cast to the desired output type {word(x.dtype)}")
        losses = np.logaddexp(-target * x, x.dtype.type(0)).astype(x.dtype)
        if losses.shape != x.shape:
            raise RuntimeError(f"output with shape {list(x.shape)} doesn't match the broadcast shape {list(losses.shape)}")
        return reduced(losses, reduction)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        share = shared(g, math.prod(x.shape), reduction)
        return -share * xp.mul(target, xp.sigmoid(-xp.mul(target, x))), None

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        return self.entry(s, out, x, None, reduction, lambda place: s.function("softplus", -(target.at(place) * x[place])))
