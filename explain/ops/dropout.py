"""Random activations: dropout and the randomised leaky ReLU. What is drawn from torch's stream is drawn once, when the
program runs; from then on it is a constant."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Options, Sample, Shape, numpy_dtype, plain_array, word
from explain.ops.random import default_generator
from explain.ops.registry import block, register

MASK = np.array([[True, False, True], [True, True, False]])
CHANNELS = np.array([[[True], [False]], [[True], [True]]])
SELU_FLOOR = 1.7580993408473766
"""What SELU tends to on the left, without its sign: entries that alpha dropout drops go there."""


class Masked(Op):
    """Entries that are kept where a mask is true. It is drawn once, when the program runs; where nothing can be dropped,
    torch gives back the very same tensor and draws nothing."""

    kind = "elementwise"
    uses = ("mask", "")
    reads_values = (1,)
    before_inplace = 3
    training = True  # torch's default
    order = ("input", "p", "training")

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(args) > len(self.order) or kwargs.keys() - set(self.order[len(args) :]):
            raise NoMatch(f"{self.name}() takes {', '.join(self.order)}")
        given = {"p": 0.5, "training": self.training, **dict(zip(self.order, args, strict=False)), **kwargs}
        x, p = given["input"], given["p"]
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.check_rank(x.ndim)
        if p == 0 or not given["training"] or not math.prod(x.shape):
            return (x, np.ones((), bool)), {"p": 0.0}
        if numpy_dtype(x).kind != "f":
            raise RuntimeError(f"result type Float can't be cast to the desired output type {word(numpy_dtype(x))}")
        shape = self.mask_shape(tuple(x.shape))
        keep = default_generator.uniform53(math.prod(shape)) < 1 - p if p < 1 else np.zeros(math.prod(shape), bool)
        return (x, keep.reshape(shape)), {"p": p}

    def check_rank(self, rank: int) -> None:
        """Warn or raise as torch does for a rank that the name does not suggest."""

    def mask_shape(self, shape: Shape) -> Shape:
        """The shape of the mask for an input of this shape: one draw for each entry."""
        return shape

    def unchanged(self, shapes: tuple[Shape, ...], options: Options) -> bool:
        return options["p"] == 0

    @staticmethod
    def scale(x: Any, mask: Any, p: float) -> Any:
        """What every entry is multiplied by, in the dtype of x."""
        kept = np.asarray(mask).astype(numpy_dtype(x))
        return (kept / (1 - p) if p < 1 else kept)[()]

    def forward(self, x: Any, mask: Any, *, p: float) -> Any:
        return x * self.scale(x, mask, p)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, mask: Any, *, p: float) -> Any:
        return xp.mul(g, self.scale(g, mask, p)), None

    def formula(self, s: Any, out: Any, x: Any, mask: Any, *, p: float) -> Any:
        kept = x[out] * s.indicator(s.holds(mask.at(out)))
        return kept / (1 - s.number(p)) if p < 1 else kept


@block
class Dropout(Masked):
    """Entries kept where the mask is true, scaled by 1/(1 − p)."""

    name = "dropout"
    functions = ("dropout", "dropout_", "F.dropout")
    rule = "dropout"
    backward_name = "MulBackward0"
    samples = (Sample(((2, 3), MASK), {"p": 0.25}),)


class OfChannels(Masked):
    """A mask with one draw for each channel: whole channels are kept or dropped together."""

    def mask_shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        return shape[:2] + (1,) * (len(shape) - 2)


class FeatureDropout(OfChannels):
    """Whole channels kept where the mask is true, scaled by 1/(1 − p)."""

    rule = "feature_dropout"
    backward_name = "MulBackward0"
    samples = (Sample(((2, 2, 2), CHANNELS), {"p": 0.25}),)

    def __init__(self, name: str, functions: tuple[str, ...], axes: int = 0) -> None:
        self.name, self.functions, self.axes = name, functions, axes
        super().__init__()

    def without_batch(self, rank: int) -> bool:
        """Whether torch takes an input of this rank for one sample, whose first axis is that of channels."""
        return bool(self.axes and self.axes != 2 and rank != self.axes + 2)

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "SqueezeBackward1" if self.without_batch(len(shapes[0] or ())) else "MulBackward0"

    def mask_shape(self, shape: Shape) -> Shape:
        if self.without_batch(len(shape)):
            return shape[:1] + (1,) * (len(shape) - 1)
        return super().mask_shape(shape)

    def check_rank(self, rank: int) -> None:
        n = self.axes
        if not n:
            return
        dims = f"{n} spatial dimension{'s' * (n > 1)}, a channel dimension, and an optional batch dimension"
        if n == 1 and rank not in (2, 3):
            raise RuntimeError(
                f"dropout1d: Expected 2D or 3D input, but received a {rank}D input. Note that dropout1d exists to provide "
                f"channel-wise dropout on inputs with {dims} (i.e. 2D or 3D inputs)."
            )
        if rank not in (n + 1, n + 2):
            warnings.warn(
                f"dropout{n}d: Received a {rank}-D input to dropout{n}d, which is deprecated and will result in an error in "
                "a future release. To retain the behavior and silence this warning, please use dropout instead. Note that "
                f"dropout{n}d exists to provide channel-wise dropout on inputs with {dims} (i.e. {n + 1}D or {n + 2}D "
                "inputs).",
                stacklevel=6,
            )
        if n == 2 and rank == 3:
            warnings.warn(
                "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
                "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
                "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
                "the 1D channel-wise dropout behavior, please switch to using dropout1d instead.",
                stacklevel=6,
            )


register(FeatureDropout("feature_dropout", ("feature_dropout", "feature_dropout_")))
for _axes in (1, 2, 3):
    register(FeatureDropout(f"dropout{_axes}d", (f"F.dropout{_axes}d",), _axes))


class _Alpha(Masked):
    """Dropped entries go to SELU's floor; then all are scaled and shifted so that mean 0 and deviation 1 are kept."""

    rule = "alpha_dropout"
    training = False
    backward_name = "AddBackward0"

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "AddBackward0" if options["p"] < 1 else "MulBackward0"

    @staticmethod
    def scale(x: Any, mask: Any, p: float) -> Any:
        return (np.asarray(mask) * _Alpha.factor(p)).astype(numpy_dtype(x))[()]

    @staticmethod
    def factor(p: float) -> float:
        """What kept entries are multiplied by."""
        return 1 / math.sqrt((SELU_FLOOR**2 * p + 1) * (1 - p)) if p < 1 else 0.0

    def forward(self, x: Any, mask: Any, *, p: float) -> Any:
        shift = SELU_FLOOR * self.factor(p)
        return x * self.scale(x, mask, p) + np.where(mask, shift * p, shift * (p - 1)).astype(x.dtype)[()]

    def formula(self, s: Any, out: Any, x: Any, mask: Any, *, p: float) -> Any:
        factor = self.factor(p)
        kept, dropped = (s.literal(SELU_FLOOR * factor * share) for share in (p, p - 1))
        return s.where(s.holds(mask.at(out)), s.literal(factor) * x[out] + kept, dropped)


@block
class AlphaDropout(_Alpha):
    """Dropout for SELU: entries dropped go to its floor, and mean 0 and deviation 1 are kept."""

    name = "alpha_dropout"
    functions = ("alpha_dropout", "alpha_dropout_", "F.alpha_dropout")
    samples = (Sample(((2, 3), MASK), {"p": 0.25}),)


@block
class FeatureAlphaDropout(_Alpha, OfChannels):
    """The same for whole channels."""

    name = "feature_alpha_dropout"
    functions = ("feature_alpha_dropout", "feature_alpha_dropout_", "F.feature_alpha_dropout")
    samples = (Sample(((2, 2, 2), CHANNELS), {"p": 0.25}),)


@block
class RRelu(Op):
    """x where it is positive, else x times a slope that is drawn for every such entry in training, uniform between
    ``lower`` and ``upper``, and their mean in evaluation."""

    name = "rrelu"
    functions = ("rrelu", "rrelu_", "F.rrelu", "F.rrelu_")
    kind = "elementwise"
    rule = "rrelu"
    uses = ("x slope", "")
    reads_values = (1,)
    before_inplace = 4
    backward_name = "RreluWithNoiseBackward0"
    special = {"kink": lambda x, slope: x == 0}  # noqa: RUF012
    samples = (Sample(((2, 3), np.array([[0.125, 0.25, 0.3], [0.2, 0.15, 0.3]]))),)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        order = ("input", "lower", "upper", "training")
        if len(args) > len(order) or kwargs.keys() - set(order[len(args) :]):
            raise NoMatch(f"{self.name}() takes {', '.join(order)}")
        given = {"lower": 1 / 8, "upper": 1 / 3, "training": False, **dict(zip(order, args, strict=False)), **kwargs}
        x, low, high = (given[name] for name in ("input", "lower", "upper"))
        if low > high:
            raise RuntimeError("Lower bound should be less than or equal to the upper bound")
        values, dtype = plain_array(x), numpy_dtype(x)
        if dtype.kind != "f":
            name = "rrelu_with_noise_out_cpu" if given["training"] else "leaky_relu_cpu"
            raise NotImplementedError(f"\"{name}\" not implemented for '{word(dtype)}'")
        slope = np.full(values.shape if given["training"] else (), (low + high) / 2, dtype)
        if given["training"]:
            drawn = ~(values > 0)
            slope[drawn] = default_generator.uniform53(int(drawn.sum())) * (high - low) + low
        return (x, slope), {}

    def forward(self, x: Any, slope: Any) -> Any:
        return np.where(x > 0, x, x * slope)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, slope: Any) -> Any:
        return xp.where(x > 0, g, xp.mul(g, plain_array(slope)[()])), None

    def formula(self, s: Any, out: Any, x: Any, slope: Any) -> Any:
        return s.where(x[out] > 0, x[out], slope.at(out) * x[out])
