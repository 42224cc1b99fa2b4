"""Layers that pool: the largest or the mean entry of windows, and the way back."""

from __future__ import annotations

from typing import Any

from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module

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
