"""Normalisation layers: entries brought to mean 0 and deviation 1 over some axes, then a weight and a bias for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Options, Sample, Shape, numpy_dtype, word
from explain.ops.optional import WithOptional
from explain.ops.registry import NUMERIC, block, composite
from explain.ops.standardised import EPS

ADD: Any = np.add


class Normalised(WithOptional):
    """x̂ of a part op (``standardised``, ``rms_normalised``) over some axes, times a weight and plus a bias that lie along
    other axes."""

    kind = "normalisation"
    uses: tuple[str, ...] = ("x weight", "x", "")
    constants = ("running_mean", "running_var")
    part = "standardised"

    def over(self, shape: Shape, options: Options) -> tuple[int, ...]:
        """The axes that are normalised over."""
        raise NotImplementedError

    def affine_axes(self, ndim: int, options: Options) -> tuple[int, ...]:
        """The axes along which weight and bias lie."""
        raise NotImplementedError

    def check(self, x: Any, weight: Any, bias: Any, options: Options) -> None:
        """Raise torch's errors for what does not fit."""

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        over = self.over(shapes[0], options)
        return {"n": tuple(shapes[0][k] for k in over)}

    def aligned(self, xp: Any, t: Any, ndim: int, options: Options) -> Any:
        """A weight or bias so shaped that it broadcasts against x."""
        places = self.affine_axes(ndim, options)
        sizes = iter(t.shape)
        shape = tuple(next(sizes) if k in places else 1 for k in range(ndim))
        return t if len(t.shape) == ndim and tuple(t.shape) == shape else xp.reshape(t, shape=shape)

    def affine(self, xp: Any, y: Any, weight: Any, bias: Any, options: Options) -> Any:
        """weight · y + bias."""
        y = y if weight is None else y * self.aligned(xp, weight, y.ndim, options)
        return y if bias is None else y + self.aligned(xp, bias, y.ndim, options)

    def pulled(self, xp: Any, needs: Any, g: Any, x: Any, weight: Any, bias: Any, eps: float, options: Options) -> Any:
        """The three cotangents."""
        over = self.over(tuple(x.shape), options)
        others = tuple(k for k in range(g.ndim) if k not in self.affine_axes(g.ndim, options))
        part = getattr(xp, self.part)

        def summed(t: Any, like: Any) -> Any:
            return xp.reshape(xp.sum(t, dim=others) if others else t, shape=tuple(like.shape))

        back_x = back_weight = back_bias = None
        if needs[0]:
            y = part(x, dim=over, eps=eps)
            hat = g if weight is None else g * self.aligned(xp, weight, g.ndim, options)
            back_x = self.pulled_part(xp, hat, y, x, over, eps)
        if needs[1]:
            back_weight = summed(g * part(x, dim=over, eps=eps), weight)
        if needs[2]:
            back_bias = summed(g, bias)
        return back_x, back_weight, back_bias

    def pulled_part(self, xp: Any, g: Any, y: Any, x: Any, over: tuple[int, ...], eps: float) -> Any:
        """(ĝ − mean ĝ − x̂ mean(ĝ x̂))/σ."""
        centred = g - xp.mean(g, dim=over, keepdim=True) - y * xp.mean(g * y, dim=over, keepdim=True)
        return centred / xp.deviation(x, dim=over, eps=eps, keepdim=True)

    def entry(self, s: Any, out: Any, x: Any, weight: Any, bias: Any, eps: float, options: Options) -> Any:
        """The formula."""
        y = s.transformed(self.part, x, out, self.over(x.numbers, options), eps=eps)
        place = tuple(out[k] for k in self.affine_axes(x.ndim, options))
        y = y if weight is None else y * weight[place]
        return y if bias is None else y + bias[place]


class _OverLastAxes(Normalised):
    def over(self, shape: Shape, options: Options) -> tuple[int, ...]:
        return tuple(range(len(shape) - len(options["normalized_shape"]), len(shape)))

    def affine_axes(self, ndim: int, options: Options) -> tuple[int, ...]:
        return tuple(range(ndim - len(options["normalized_shape"]), ndim))

    def adjust(self, given: dict[str, Any]) -> None:
        shape = given["normalized_shape"]
        if not isinstance(shape, tuple | list):
            raise TypeError(
                f"{self.name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not {type(shape).__name__}"
            )
        given["normalized_shape"] = tuple(shape)

    def check(self, x: Any, weight: Any, bias: Any, options: Options) -> None:
        shape = options["normalized_shape"]
        if not shape:
            raise RuntimeError(
                "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
                "normalized_shape = []"
            )
        for name, t in (("weight", weight), ("bias", bias)):
            if t is not None and t.shape != shape:
                raise RuntimeError(
                    f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t.shape)} and "
                    f"normalized_shape = {list(shape)}"
                )
        if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
            inner = ", ".join(map(str, shape))
            star = "*, " if self.name == "layer_norm" else "*"
            raise RuntimeError(
                f"Given normalized_shape={list(shape)}, expected input with shape [{star}{inner}], but got input of "
                f"size{list(x.shape)}"
            )


@block
class LayerNorm(_OverLastAxes):
    """y = w (x − μ)/σ + b with mean and deviation over the last axes."""

    name = "layer_norm"
    functions = ("F.layer_norm", "layer_norm")
    order = ("x", "normalized_shape", "weight", "bias", "eps", "cudnn_enable")
    rule = "layer_norm"
    backward_name = "NativeLayerNormBackward0"
    samples = (
        Sample(((2, 3), (3,), (3,)), {"normalized_shape": (3,)}),
        Sample(((4,),), {"normalized_shape": (4,), "eps": 0.1}),
        Sample(((2, 2, 3), (2, 3)), {"normalized_shape": (2, 3)}),
        Sample(((2, 3), (3,)), {"normalized_shape": (3,), "missing": ("weight",)}),
    )

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        given.pop("cudnn_enable", None)

    def forward(self, x: Any, weight: Any = None, bias: Any = None, *, normalized_shape: Shape, eps: float = EPS) -> Any:
        options = {"normalized_shape": normalized_shape}
        self.check(x, weight, bias, options)
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"LayerNormKernelImpl\" not implemented for '{word(x.dtype)}'")
        for t in (weight, bias):
            if t is not None and t.dtype != x.dtype:
                raise RuntimeError(f"mixed dtype (CPU): expect parameter to have scalar type of {word(x.dtype)}")
        y = NUMERIC.standardised(x, dim=self.over(x.shape, options), eps=eps)
        return self.affine(NUMERIC, y, weight, bias, options)

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        weight: Any = None,
        bias: Any = None,
        *,
        normalized_shape: Shape,
        eps: float = EPS,
    ) -> Any:
        return self.pulled(xp, needs, g, x, weight, bias, eps, {"normalized_shape": normalized_shape})

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        weight: Any = None,
        bias: Any = None,
        *,
        normalized_shape: Shape,
        eps: float = EPS,
    ) -> Any:
        return self.entry(s, out, x, weight, bias, eps, {"normalized_shape": normalized_shape})


@block
class RmsNorm(_OverLastAxes):
    """y = w x/r with the root mean square r over the last axes."""

    name = "rms_norm"
    functions = ("F.rms_norm", "rms_norm")
    order = ("x", "normalized_shape", "weight", "eps")
    uses = ("x weight", "x")
    rule = "rms_norm"
    part = "rms_normalised"
    backward_name = "MulBackward0"
    samples = (
        Sample(((2, 3), (3,)), {"normalized_shape": (3,), "eps": EPS}),
        Sample(((4,),), {"normalized_shape": (4,), "eps": 0.1}),
        Sample(((2, 2, 3), (2, 3)), {"normalized_shape": (2, 3)}),
    )

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        if given.get("eps") is None:
            given["eps"] = self.eps_of(given["x"], None) if numpy_dtype(given["x"]).kind == "f" else 0.0

    def forward(self, x: Any, weight: Any = None, *, normalized_shape: Shape, eps: float | None = None) -> Any:
        options = {"normalized_shape": normalized_shape}
        self.check(x, weight, None, options)
        y = NUMERIC.rms_normalised(x, dim=self.over(x.shape, options), eps=self.eps_of(x, eps))
        return self.affine(NUMERIC, y, weight, None, options)

    @staticmethod
    def eps_of(x: Any, eps: float | None) -> float:
        """ε, by default the distance of 1 to the next number."""
        return float(np.finfo(numpy_dtype(x)).eps) if eps is None else eps

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        weight: Any = None,
        *,
        normalized_shape: Shape,
        eps: float | None = None,
    ) -> Any:
        options = {"normalized_shape": normalized_shape}
        return self.pulled(xp, (*needs, False), g, x, weight, None, self.eps_of(x, eps), options)[:2]

    def pulled_part(self, xp: Any, g: Any, y: Any, x: Any, over: tuple[int, ...], eps: float) -> Any:
        """(ĝ − x̂ mean(ĝ x̂))/r."""
        scale = xp.root_mean_square(x, dim=over, eps=eps, keepdim=True)
        return (g - y * xp.mean(g * y, dim=over, keepdim=True)) / scale

    def formula(
        self, s: Any, out: Any, x: Any, weight: Any = None, *, normalized_shape: Shape, eps: float | None = None
    ) -> Any:
        eps = float(np.finfo(np.float64).eps) if eps is None else eps
        return self.entry(s, out, x, weight, None, eps, {"normalized_shape": normalized_shape})


class _PerChannel(Normalised):
    backward_name = "NativeBatchNormBackward0"
    c_name = "native_batch_norm"

    def over(self, shape: Shape, options: Options) -> tuple[int, ...]:
        return tuple(k for k in range(len(shape)) if k != 1)

    def affine_axes(self, ndim: int, options: Options) -> tuple[int, ...]:
        return (1,)


def _check_channels(x: Any, **vectors: Any) -> None:
    """Raise torch's error for a vector that is not one entry per channel."""
    for name, t in vectors.items():
        if t is not None and t.shape != (x.shape[1],):
            raise RuntimeError(f"{name} should contain {x.shape[1]} elements not {math.prod(t.shape)}")


@block
class BatchNorm(_PerChannel):
    """y = w (x − μ)/σ + b per channel (axis 1), with mean and deviation of the channel over the batch."""

    name = "batch_normalised"
    rule = "batch_norm"
    samples = (
        Sample(((3, 2), (2,), (2,))),
        Sample(((2, 2, 2), (2,)), {"eps": 0.1}),
        Sample(((2, 2, 1, 2),)),
    )

    def forward(self, x: Any, weight: Any = None, bias: Any = None, *, eps: float = EPS) -> Any:
        _check_channels(x, weight=weight, bias=bias)
        y = NUMERIC.standardised(x, dim=self.over(x.shape, {}), eps=eps)
        return self.affine(NUMERIC, y, weight, bias, {})

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float = EPS
    ) -> Any:
        return self.pulled(xp, needs, g, x, weight, bias, eps, {})

    def formula(self, s: Any, out: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float = EPS) -> Any:
        return self.entry(s, out, x, weight, bias, eps, {})


@block
class BatchNormFrozen(_PerChannel):
    """y = w (x − m)/√(v + ε) + b per channel (axis 1), with a mean and a variance that were estimated before."""

    name = "batch_norm_frozen"
    rule = "batch_norm_frozen"
    uses = ("running_var weight", "", "", "x running_mean running_var", "")
    samples = (
        Sample(((3, 2), np.array([0.5, -0.5]), np.array([1.0, 2.0]), (2,), (2,))),
        Sample(((2, 2, 2), np.array([0.5, -0.5]), np.array([1.0, 2.0])), {"eps": 0.1}),
    )

    def forward(
        self, x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, *, eps: float = EPS
    ) -> Any:
        _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
        mean = self.aligned(NUMERIC, running_mean, x.ndim, {})
        scale = np.sqrt(self.aligned(NUMERIC, running_var, x.ndim, {}) + running_var.dtype.type(eps))
        return self.affine(NUMERIC, (x - mean) / scale, weight, bias, {}).astype(x.dtype)

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        running_mean: Any,
        running_var: Any,
        weight: Any = None,
        bias: Any = None,
        *,
        eps: float = EPS,
    ) -> Any:
        others = self.over(tuple(g.shape), {})
        scale = 1 / xp.sqrt(self.aligned(xp, running_var, g.ndim, {}) + eps) if needs[0] or needs[3] else None
        back_x = back_weight = back_bias = None
        if needs[0]:
            back_x = g * scale if weight is None else g * (scale * self.aligned(xp, weight, g.ndim, {}))
        if needs[3]:
            centred = x - self.aligned(xp, running_mean, g.ndim, {})
            back_weight = xp.sum(g * (centred * scale), dim=others)
        if needs[4]:
            back_bias = xp.sum(g, dim=others)
        return back_x, None, None, back_weight, back_bias

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        running_mean: Any,
        running_var: Any,
        weight: Any = None,
        bias: Any = None,
        *,
        eps: float = EPS,
    ) -> Any:
        c = out[1]
        y = (x[out] - running_mean[c]) / (running_var[c] + s.literal(eps)) ** s.number(0.5)
        y = y if weight is None else y * weight[c]
        return y if bias is None else y + bias[c]


# as torch calls them


def _update(xp: Any, x: Any, over: tuple[int, ...], running_mean: Any, running_var: Any, momentum: float) -> None:
    """Move the running statistics, in place, towards those of x: the mean, and the variance with n − 1."""
    now = x.detach()
    if running_mean is not None:
        running_mean.lerp_(xp.mean(now, dim=over), momentum)
    if running_var is not None:
        count = math.prod([x.shape[k] for k in over])
        centred = xp.sub(now, xp.mean(now, dim=over, keepdim=True))
        running_var.lerp_(xp.div(xp.sum(xp.mul(centred, centred), dim=over), float(count - 1)), momentum)


def _refuse_gradients(**constants: Any) -> None:
    for name, t in constants.items():
        if getattr(t, "requires_grad", False):
            raise RuntimeError(
                f"The function 'native_batch_norm' is not differentiable with respect to argument '{name}'. This input "
                "cannot have requires_grad True."
            )


def _missing(weight: Any, bias: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Weight and bias as inputs, without those that are not there."""
    there = tuple(t for t in (weight, bias) if t is not None)
    return there, {"missing": ("weight",)} if weight is None and bias is not None else {}


def _batch_norm(
    xp: Any,
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = EPS,
) -> Any:
    """Per channel (axis 1): normalised by the batch in training, and the running statistics move along, in place;
    normalised by those otherwise."""
    shape = tuple(x.shape)
    if training:
        _refuse_single(shape, shape[0] * math.prod(shape[2:]), "value per channel")
    if len(shape) < 2 and 0 not in shape:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    if 0 in shape:
        return xp.add(x, 0.0)
    _refuse_gradients(running_mean=running_mean, running_var=running_var)
    there, options = _missing(weight, bias)
    if not training:
        for name, t in (("running_mean", running_mean), ("running_var", running_var)):
            if t is None:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
        return xp.batch_norm_frozen(x, running_mean, running_var, *there, eps=eps, **options)
    _check_channels(x, running_mean=running_mean, running_var=running_var)
    y = xp.batch_normalised(x, *there, eps=eps, **options)
    _update(xp, x, tuple(k for k in range(len(shape)) if k != 1), running_mean, running_var, momentum)
    return y


def _refuse_single(shape: Shape, count: int, what: str) -> None:
    if count == 1:
        raise ValueError(f"Expected more than 1 {what} when training, got input size torch.Size({list(shape)})")


def _per_channel(xp: Any, y: Any, weight: Any, bias: Any) -> Any:
    """weight · y + bias along axis 1."""
    shape = (1, -1, *[1] * (len(y.shape) - 2))
    y = y if weight is None else xp.mul(y, xp.reshape(weight, shape=shape))
    return y if bias is None else xp.add(y, xp.reshape(bias, shape=shape))


def _instance_norm(
    xp: Any,
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = EPS,
) -> Any:
    """Per channel of every sample: normalised over the spatial axes, or by the running statistics."""
    shape = tuple(x.shape)
    _refuse_gradients(running_mean=running_mean, running_var=running_var)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        there, options = _missing(weight, bias)
        return xp.batch_norm_frozen(x, running_mean, running_var, *there, eps=eps, **options)
    _refuse_single(shape, math.prod(shape[2:]), "spatial element")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape[1:2]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not {math.prod(t.shape)}")
    spatial = tuple(range(2, len(shape)))
    y = _per_channel(xp, xp.standardised(x, dim=spatial, eps=eps), weight, bias)
    now = x.detach() if running_mean is not None or running_var is not None else x
    if running_mean is not None:
        running_mean.lerp_(xp.mean(now, dim=(0, *spatial)), momentum)
    if running_var is not None:
        centred = xp.sub(now, xp.mean(now, dim=spatial, keepdim=True))
        total = xp.sum(xp.mul(centred, centred), dim=(0, *spatial))
        running_var.lerp_(xp.div(total, float(shape[0] * (math.prod(shape[2:]) - 1))), momentum)
    return y


def _group_norm(xp: Any, x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: float = EPS) -> Any:
    """Per group of channels of every sample: normalised over all its entries, then a weight and a bias per channel."""
    shape = tuple(x.shape)
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    rows = shape[0] * shape[1] // num_groups
    if rows * math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {[rows, num_groups, *shape[2:]]}"
        )
    if shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape[1:2]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(t.shape)} and input of shape {list(shape)}"
            )
    grouped = xp.reshape(x, shape=(shape[0], num_groups, shape[1] // num_groups * math.prod(shape[2:])))
    return _per_channel(xp, xp.reshape(xp.standardised(grouped, dim=2, eps=eps), shape=shape), weight, bias)


_BATCH = (Sample(((3, 2),), {"training": True}),)
_GROUPS = (Sample(((2, 2, 3),), {"num_groups": 1}),)
composite(
    "batch_norm",
    _batch_norm,
    functions=("F.batch_norm",),
    order=("x", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    samples=_BATCH,
)
composite(
    "instance_norm",
    _instance_norm,
    grad_fn="ViewBackward0",
    functions=("F.instance_norm",),
    order=("x", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    samples=(Sample(((2, 2, 3),)),),
)
composite(
    "group_norm",
    _group_norm,
    grad_fn="NativeGroupNormBackward0",
    functions=("F.group_norm",),
    order=("x", "num_groups", "weight", "bias", "eps"),
    samples=_GROUPS,
)
