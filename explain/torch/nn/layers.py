"""Layers with parameters, and those that only move entries: linear, embedding, dropout, flatten, padding, pooling."""

from __future__ import annotations

import math
from typing import Any

from explain.tape.inplace import write
from explain.tape.modes import no_grad
from explain.tape.tensor import Tensor
from explain.torch.creation import empty, zeros
from explain.torch.nn import init
from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter


class Identity(Module):
    """Hands on what it gets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The very same."""
        return input


class Linear(Module):
    """y = x Wᵀ + b."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype, device=device))
        if bias:
            self.bias = Parameter(empty(out_features, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            uniform_by_fan(self.bias, self.weight)

    def forward(self, input: Any) -> Any:
        """x Wᵀ + b."""
        return functional("linear")(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def uniform_by_fan(bias: Tensor, weight: Tensor) -> None:
    """Draw a bias uniformly in ±1/√fan in of its weight."""
    fan_in, _ = init.fans(weight)
    bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
    init.uniform_(bias, -bound, bound)


class Bilinear(Module):
    """y_k = x₁ᵀ W_k x₂ + b_k."""

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, dtype=dtype))
        bound = 1 / math.sqrt(in1_features)
        init.uniform_(self.weight, -bound, bound)
        if bias:
            self.bias = Parameter(empty(out_features, dtype=dtype))
            init.uniform_(self.bias, -bound, bound)
        else:
            self.register_parameter("bias", None)

    def forward(self, input1: Any, input2: Any) -> Any:
        """One bilinear form per output."""
        return functional("bilinear")(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """What is printed."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """Rows of a table, by their numbers."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        if padding_idx is not None and padding_idx < 0:
            padding_idx += num_embeddings
        self.padding_idx = padding_idx
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype), requires_grad=not _freeze)
            init.normal_(self.weight)
            if padding_idx is not None:
                self.weight.array[padding_idx] = 0
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, **others: Any
    ) -> Embedding:
        """A table that is there already."""
        rows, columns = embeddings.array.shape
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Any) -> Any:
        """The rows."""
        return functional("embedding")(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """What is printed."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        for name, value in usual.items():
            if getattr(self, name) != value:
                text += f", {name}={getattr(self, name)}"
        return text + (", sparse=True" if self.sparse else "")


class EmbeddingBag(Module):
    """Sums, means or maxima of rows of a table."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.max_norm = num_embeddings, embedding_dim, max_norm
        self.norm_type, self.scale_grad_by_freq, self.mode = norm_type, scale_grad_by_freq, mode
        self.sparse, self.include_last_offset = sparse, include_last_offset
        if padding_idx is not None and padding_idx < 0:
            padding_idx += num_embeddings
        self.padding_idx = padding_idx
        if _weight is not None:
            self.weight = Parameter(_weight)
            return
        self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=dtype))
        init.normal_(self.weight)
        if padding_idx is not None:
            self.weight.array[padding_idx] = 0

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """One row per bag."""
        return functional("embedding_bag")(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """What is printed."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        text += f", mode={self.mode!r}"
        return text if self.padding_idx is None else text + f", padding_idx={self.padding_idx}"


class _Dropout(Module):
    function = "dropout"

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Any) -> Any:
        """Some entries become zero in training."""
        return functional(self.function)(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Entries are dropped one by one."""


class Dropout1d(_Dropout):
    """Whole channels are dropped."""

    function = "dropout1d"


class Dropout2d(_Dropout):
    """Whole channels are dropped."""

    function = "dropout2d"


class Dropout3d(_Dropout):
    """Whole channels are dropped."""

    function = "dropout3d"


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and deviation, for SELU."""

    function = "alpha_dropout"


class FeatureAlphaDropout(_Dropout):
    """The same for whole channels."""

    function = "feature_alpha_dropout"


class Flatten(Module):
    """Axes from ``start_dim`` to ``end_dim`` as one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """The same entries."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis as several."""

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Any) -> Any:
        """The same entries."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


# pooling

_POOL = {"kernel_size": None, "stride": None, "padding": 0}


class _Pool(Module):
    function = ""
    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, **others: Any) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.others = others

    def __getattr__(self, name: str) -> Any:
        others = self.__dict__.get("others", {})
        return others[name] if name in others else super().__getattr__(name)

    def forward(self, input: Any) -> Any:
        """One number per window."""
        return functional(self.function)(input, self.kernel_size, self.stride, self.padding, **self.others)

    def extra_repr(self) -> str:
        """What is printed."""
        return ", ".join(f"{key}={getattr(self, key)}" for key in self.shown)


class _MaxPool(_Pool):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, return_indices=return_indices)


class MaxPool1d(_MaxPool):
    """The largest entry of each window."""

    function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """The largest entry of each window."""

    function = "max_pool2d"


class MaxPool3d(_MaxPool):
    """The largest entry of each window."""

    function = "max_pool3d"


class AvgPool1d(_Pool):
    """The mean of each window."""

    function = "avg_pool1d"

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
        for name in ("kernel_size", "stride", "padding"):
            value = getattr(self, name)
            setattr(self, name, (value,) if isinstance(value, int) else tuple(value))


class AvgPool2d(_Pool):
    """The mean of each window."""

    function = "avg_pool2d"

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(
            kernel_size, stride, padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )  # fmt: skip


class AvgPool3d(AvgPool2d):
    """The mean of each window."""

    function = "avg_pool3d"


class _MaxUnpool(Module):
    axes = 1

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        per_axis = (kernel_size, kernel_size if stride is None else stride, padding)
        self.kernel_size, self.stride, self.padding = (
            (value,) * self.axes if isinstance(value, int) else tuple(value) for value in per_axis
        )

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """The entries back where pooling picked them from, zeros elsewhere."""
        unpooled = functional(f"max_unpool{self.axes}d")
        return unpooled(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The inverse of ``MaxPool1d`` as far as there is one."""


class MaxUnpool2d(_MaxUnpool):
    """The inverse of ``MaxPool2d`` as far as there is one."""

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """The inverse of ``MaxPool3d`` as far as there is one."""

    axes = 3


ONE = {"output_size": None}
PICKED = {"output_size": None, "return_indices": False}
AdaptiveAvgPool1d = layer("AdaptiveAvgPool1d", "adaptive_avg_pool1d", ONE, required=1)
AdaptiveAvgPool2d = layer("AdaptiveAvgPool2d", "adaptive_avg_pool2d", ONE, required=1)
AdaptiveAvgPool3d = layer("AdaptiveAvgPool3d", "adaptive_avg_pool3d", ONE, required=1)
AdaptiveMaxPool1d = layer("AdaptiveMaxPool1d", "adaptive_max_pool1d", PICKED, required=1, shown="output_size")
AdaptiveMaxPool2d = layer("AdaptiveMaxPool2d", "adaptive_max_pool2d", PICKED, required=1, shown="output_size")
AdaptiveMaxPool3d = layer("AdaptiveMaxPool3d", "adaptive_max_pool3d", PICKED, required=1, shown="output_size")
LPPool1d = layer(
    "LPPool1d", "lp_pool1d", {"norm_type": None, "kernel_size": None, "stride": None, "ceil_mode": False}, required=2
)
LPPool2d = layer(
    "LPPool2d", "lp_pool2d", {"norm_type": None, "kernel_size": None, "stride": None, "ceil_mode": False}, required=2
)
PixelShuffle = layer("PixelShuffle", "pixel_shuffle", {"upscale_factor": None}, required=1)
PixelUnshuffle = layer("PixelUnshuffle", "pixel_unshuffle", {"downscale_factor": None}, required=1)
ChannelShuffle = layer("ChannelShuffle", "channel_shuffle", {"groups": None}, required=1)
_WINDOW = {"dilation": 1, "padding": 0, "stride": 1}
Fold = layer("Fold", "fold", {"output_size": None, "kernel_size": None, **_WINDOW}, required=2)
Unfold = layer("Unfold", "unfold", {"kernel_size": None, **_WINDOW}, required=1)
LocalResponseNorm = layer(
    "LocalResponseNorm", "local_response_norm", {"size": None, "alpha": 1e-4, "beta": 0.75, "k": 1.0}, required=1,
    shown="size* alpha beta k",
)  # fmt: skip


class _Pad(Module):
    mode = "constant"
    axes = 1

    def __init__(self, padding: Any, value: float = 0.0) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        """More entries at the borders."""
        return functional("pad")(input, self.padding, self.mode, self.value if self.mode == "constant" else None)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def extra_repr(self) -> str:
        """What is printed."""
        return f"padding={self.padding}, value={self.value}"


def _pads(name: str, base: type[_Pad], mode: str) -> list[type[_Pad]]:
    return [
        type(f"{name}{k}d", (base,), {"mode": mode, "axes": k, "__doc__": f"Padding in {k} axes.", "__module__": __name__})
        for k in (1, 2, 3)
    ]


ZeroPad1d, ZeroPad2d, ZeroPad3d = _pads("ZeroPad", _Pad, "constant")
ConstantPad1d, ConstantPad2d, ConstantPad3d = _pads("ConstantPad", _ConstantPad, "constant")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _pads("ReflectionPad", _Pad, "reflect")
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _pads("ReplicationPad", _Pad, "replicate")
CircularPad1d, CircularPad2d, CircularPad3d = _pads("CircularPad", _Pad, "circular")


class Upsample(Module):
    """More entries in between."""

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = (
            tuple(map(float, scale_factor)) if isinstance(scale_factor, tuple) else scale_factor and float(scale_factor)
        )

    def forward(self, input: Any) -> Any:
        """Interpolated."""
        return functional("interpolate")(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        """What is printed."""
        what = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{what}, mode={self.mode!r}"


# normalisation


class LayerNorm(Module):
    """Normalised over the last axes."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        _affine(self, shape, elementwise_affine, bias, dtype)

    def forward(self, input: Any) -> Any:
        """(x − μ)/σ · weight + bias."""
        return functional("layer_norm")(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """What is printed."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


def _affine(module: Module, shape: tuple[int, ...], affine: bool, bias: bool, dtype: Any) -> None:
    for name, wanted, value in (("weight", affine, 1.0), ("bias", affine and bias, 0.0)):
        if wanted:
            parameter = Parameter(empty(shape, dtype=dtype))
            init.constant_(parameter, value)
            module.register_parameter(name, parameter)
        else:
            module.register_parameter(name, None)


class RMSNorm(Module):
    """Divided by the root of the mean square over the last axes."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(empty(shape, dtype=dtype))
            init.ones_(self.weight)
        else:
            self.register_parameter("weight", None)

    def forward(self, input: Any) -> Any:
        """x / √(mean x² + eps) · weight."""
        return functional("rms_norm")(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalised over groups of channels."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, (num_channels,), affine, True, dtype)

    def forward(self, input: Any) -> Any:
        """Each group has mean 0 and deviation 1, then weight and bias per channel."""
        return functional("group_norm")(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """What is printed."""
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


class _BatchNorm(Module):
    ranks: tuple[int, ...] = ()
    kind = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, (num_features,), affine, True, dtype)
        names = ("running_mean", "running_var", "num_batches_tracked")
        if track_running_stats:
            self.register_buffer("running_mean", zeros(num_features, dtype=dtype))
            self.register_buffer("running_var", zeros(num_features, dtype=dtype) + 1)
            self.register_buffer("num_batches_tracked", zeros((), dtype="int64"))
        else:
            for name in names:
                self.register_buffer(name, None)

    def forward(self, input: Any) -> Any:
        """Each channel has mean 0 and deviation 1 over the batch, then weight and bias."""
        if input.ndim not in self.ranks:
            raise ValueError(f"expected {self.kind} input (got {input.ndim}D input)")
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            with no_grad():
                write(self.num_batches_tracked, self.num_batches_tracked.array + 1)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked.array)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        return functional("batch_norm")(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            by_batch,
            factor,
            self.eps,
        )

    def reset_running_stats(self) -> None:
        """Forget what was seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)

    def extra_repr(self) -> str:
        """What is printed."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalised per channel over the batch."""

    ranks, kind = (2, 3), "2D or 3D"


class BatchNorm2d(_BatchNorm):
    """Normalised per channel over the batch."""

    ranks, kind = (4,), "4D"


class BatchNorm3d(_BatchNorm):
    """Normalised per channel over the batch."""

    ranks, kind = (5,), "5D"


class _InstanceNorm(_BatchNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, **others)

    def forward(self, input: Any) -> Any:
        """Each channel of each sample has mean 0 and deviation 1."""
        if input.ndim not in self.ranks:
            raise ValueError(f"expected {self.kind} input (got {input.ndim}D input)")
        if input.ndim == self.ranks[0]:
            return self._normalised(input.unsqueeze(0)).squeeze(0)
        return self._normalised(input)

    def _normalised(self, input: Any) -> Any:
        return functional("instance_norm")(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    """Normalised per channel and sample."""

    ranks, kind = (2, 3), "2D or 3D"


class InstanceNorm2d(_InstanceNorm):
    """Normalised per channel and sample."""

    ranks, kind = (3, 4), "3D or 4D"


class InstanceNorm3d(_InstanceNorm):
    """Normalised per channel and sample."""

    ranks, kind = (4, 5), "4D or 5D"
