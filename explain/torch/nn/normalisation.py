"""Layers that normalise: over the last axes, over groups, over the batch, over each instance."""

from __future__ import annotations

from typing import Any

from explain.tape.inplace import write
from explain.tape.modes import no_grad
from explain.torch.creation import empty, zeros
from explain.torch.nn import init
from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter


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


LocalResponseNorm = layer(
    "LocalResponseNorm", "local_response_norm", {"size": None, "alpha": 1e-4, "beta": 0.75, "k": 1.0}, required=1,
    shown="size* alpha beta k",
)  # fmt: skip
