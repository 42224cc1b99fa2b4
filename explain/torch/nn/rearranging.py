"""Layers that move and repeat entries: shuffles, windows, padding, upsampling."""

from __future__ import annotations

from typing import Any

from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module

PixelShuffle = layer("PixelShuffle", "pixel_shuffle", {"upscale_factor": None}, required=1)
PixelUnshuffle = layer("PixelUnshuffle", "pixel_unshuffle", {"downscale_factor": None}, required=1)
ChannelShuffle = layer("ChannelShuffle", "channel_shuffle", {"groups": None}, required=1)
_WINDOW = {"dilation": 1, "padding": 0, "stride": 1}
Fold = layer("Fold", "fold", {"output_size": None, "kernel_size": None, **_WINDOW}, required=2)
Unfold = layer("Unfold", "unfold", {"kernel_size": None, **_WINDOW}, required=1)


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


class UpsamplingNearest2d(Upsample):
    """Every entry repeated, in two axes."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Entries mixed from the four around, corner on corner."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
