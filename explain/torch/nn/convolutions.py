"""Convolutions as modules."""

from __future__ import annotations

import math
from typing import Any

from explain.torch.creation import empty
from explain.torch.nn import init
from explain.torch.nn.build import functional
from explain.torch.nn.layers import uniform_by_fan
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter


def _tuple(value: Any, axes: int) -> Any:
    return (value,) * axes if isinstance(value, int) else tuple(value)


class _Conv(Module):
    axes = 1
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        output_padding: Any = 0,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride = _tuple(kernel_size, self.axes), _tuple(stride, self.axes)
        self.dilation, self.output_padding = _tuple(dilation, self.axes), _tuple(output_padding, self.axes)
        self.padding = padding if isinstance(padding, str) else _tuple(padding, self.axes)
        if self.transposed:
            shape = (in_channels, out_channels // groups, *self.kernel_size)
        else:
            shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            uniform_by_fan(self.bias, self.weight)

    def forward(self, input: Any) -> Any:
        """One sum per window."""
        padding = self.padding
        if self.padding_mode != "zeros":
            sides = [p for size in reversed(padding) for p in (size, size)]
            input = functional("pad")(input, sides, self.padding_mode)
            padding = 0
        name = f"conv{self.axes}d"
        return functional(name)(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """What is printed."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.axes:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.axes:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    """A convolution along one axis."""


class Conv2d(_Conv):
    """A convolution along two axes."""

    axes = 2


class Conv3d(_Conv):
    """A convolution along three axes."""

    axes = 3


class _ConvTranspose(_Conv):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            output_padding,
        )  # fmt: skip

    def forward(self, input: Any) -> Any:
        """The transpose of a convolution."""
        return functional(f"conv_transpose{self.axes}d")(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution along one axis."""


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution along two axes."""

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of a convolution along three axes."""

    axes = 3
