"""Windows that slide over axes, and channels turned into places: unfold, fold, pixel_shuffle and their like."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, Shape, axes
from explain.ops.indexing import Slot
from explain.ops.registry import block, composite


def _looked_at(x: Any, shape: Shape, strides: tuple[int, ...]) -> Any:
    """The memory of x seen in another shape with other strides."""
    root = x if x.base is None else x.base
    if not (isinstance(root, np.ndarray) and root.flags.forc and x.size):
        return np.lib.stride_tricks.as_strided(x, shape, strides).copy()
    first, here = (a.__array_interface__["data"][0] for a in (root, x))
    return np.ndarray(shape, x.dtype, root, here - first, strides)


@block
class Unfold(Op):
    """All windows of ``size`` entries along ``dimension``, every ``step`` entries one; a window is the last axis."""

    name = "unfold"
    methods = ("unfold",)
    kind = "index"
    rule = "windows"
    uses = ("",)
    views = True
    backward_name = "UnfoldBackward0"
    samples = (
        Sample(((5,),), {"dimension": 0, "size": 3, "step": 2}),
        Sample(((2, 3),), {"dimension": 1, "size": 2, "step": 1}),
    )

    def forward(self, x: Any, *, dimension: int, size: int, step: int) -> Any:
        (axis,) = axes(dimension, x.ndim) or (0,)
        n = x.shape[axis] if x.ndim else 1
        if size < 0:
            raise RuntimeError(f"size is {size} but must be >= 0")
        if size > n:
            raise RuntimeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
        if step <= 0:
            raise RuntimeError(f"step is {step} but must be > 0")
        if not x.ndim:
            return x.reshape(1)[:size]
        count = (n - size) // step + 1
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :], size)
        strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :], x.strides[axis])
        return _looked_at(x, shape, strides)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dimension: int, size: int, step: int) -> Any:
        return (xp.put_windows(g, shape=tuple(x.shape), dimension=dimension, size=size, step=step),)

    def formula(self, s: Any, out: Any, x: Any, *, dimension: int, size: int, step: int) -> Any:
        if not x.ndim:
            return x[()]
        *place, k = out
        axis = dimension % x.ndim
        place[axis] = step * place[axis] + k
        return x[tuple(place)]


@block
class PutWindows(Op):
    """Zeros of ``shape`` with every window's entries added where they came from. The transpose of sliding windows."""

    name = "put_windows"
    kind = "index"
    rule = "scatter"
    uses = ("",)
    backward_name = "UnfoldBackwardBackward0"
    samples = (Sample(((2, 3),), {"shape": (5,), "dimension": 0, "size": 3, "step": 2}),)

    def forward(self, g: Any, *, shape: Shape, dimension: int, size: int, step: int) -> Any:
        if not shape:
            return np.add.reduce(g, axis=None)
        out = np.zeros(shape, g.dtype)
        axis = dimension % len(shape)
        windows = np.moveaxis(g, axis, 0)
        target = np.moveaxis(out, axis, -1)
        for k, window in enumerate(windows):
            target[..., k * step : k * step + size] += window
        return out

    def vjp(
        self, xp: Any, needs: Any, upstream: Any, y: Any, g: Any, *, shape: Shape, dimension: int, size: int, step: int
    ) -> Any:
        return (xp.unfold(upstream, dimension=dimension, size=size, step=step),)

    def formula(self, s: Any, out: Any, g: Any, *, shape: Shape, dimension: int, size: int, step: int) -> Any:
        if not shape:
            k = s.index(g.shape[0])
            return s.total(g[k], k)
        axis = dimension % len(shape)
        w, k = s.index(g.shape[axis]), s.index(g.shape[-1])
        entry = g[(*out[:axis], w, *out[axis + 1 :], k)]
        return s.total(entry * s.indicator(s.equal(step * w + k, out[axis])), w, k)


# channels and places


def _upscale(xp: Any, x: Any, *, upscale_factor: int) -> Any:
    r = upscale_factor
    if x.ndim < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {x.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, c, h, w = x.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(batch)
    apart = xp.reshape(x, shape=(*batch, c // (r * r), r, r, h, w))
    mixed = xp.permute(apart, dims=(*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return xp.reshape(mixed, shape=(*batch, c // (r * r), h * r, w * r))


def _downscale(xp: Any, x: Any, *, downscale_factor: int) -> Any:
    r = downscale_factor
    if x.ndim < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {x.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *batch, c, h, w = x.shape
    for word, size, axis in (("height", h, -2), ("width", w, -1)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but input.size({axis})={size} is not "
                f"divisible by {r}"
            )
    n = len(batch)
    apart = xp.reshape(x, shape=(*batch, c, h // r, r, w // r, r))
    mixed = xp.permute(apart, dims=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return xp.reshape(mixed, shape=(*batch, c * r * r, h // r, w // r))


def _channel_shuffle(xp: Any, x: Any, *, groups: int) -> Any:
    if x.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(x.shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    n, c, *rest = x.shape
    if c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    apart = xp.reshape(x, shape=(n, groups, c // groups, *rest))
    return xp.reshape(xp.transpose(apart, dim0=1, dim1=2), shape=tuple(x.shape))


composite(
    "pixel_shuffle", _upscale, grad_fn="PixelShuffleBackward0", functions=("F.pixel_shuffle", "pixel_shuffle"),
    samples=(Sample(((4, 1, 2),), {"upscale_factor": 2}),),
)  # fmt: skip
composite(
    "pixel_unshuffle", _downscale, grad_fn="PixelUnshuffleBackward0", functions=("F.pixel_unshuffle", "pixel_unshuffle"),
    samples=(Sample(((1, 2, 4),), {"downscale_factor": 2}),),
)  # fmt: skip
composite(
    "channel_shuffle", _channel_shuffle, grad_fn="ChannelShuffleBackward0",
    functions=("F.channel_shuffle", "channel_shuffle"),
    samples=(Sample(((1, 4, 2),), {"groups": 2}),),
)  # fmt: skip


# patches of pictures


def _pair(n: Any) -> tuple[int, int]:
    return (int(n), int(n)) if isinstance(n, int | np.integer) else (int(n[0]), int(n[-1]))


def _windows(
    size: tuple[int, int], kernel: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[Any, Any, tuple[int, ...], tuple[int, int]]:
    """Row and column of every entry of every patch of a padded picture, the shape of all patches, and the padding."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = (_pair(n) for n in (kernel, dilation, padding, stride))
    h, w = size
    rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in ((h, ph, dh, kh, sh), (w, pw, dw, kw, sw)))
    if rows < 1 or columns < 1:
        raise RuntimeError(
            f"Given input with spatial size ({h}, {w}), kernel_size=({kh}, {kw}), dilation=({dh}, {dw}), "
            f"padding=({ph}, {pw}), calculated shape of the array of sliding blocks as ({rows}, {columns}), but its "
            "components must be at least one."
        )
    i = np.arange(kh)[:, None] * dh + np.arange(rows) * sh
    j = np.arange(kw)[:, None] * dw + np.arange(columns) * sw
    return i[:, None, :, None], j[None, :, None, :], (kh, kw, rows, columns), (ph, pw)


PATCHES = (slice(None), slice(None), Slot(0, False), Slot(1, False))


def _im2col(xp: Any, x: Any, *, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
            f"got: {list(x.shape)}"
        )
    if min(*_pair(kernel_size), *_pair(dilation), *_pair(stride)) <= 0 or min(_pair(padding)) < 0:
        raise RuntimeError("kernel size, dilation and stride should be greater than zero, padding should not be negative")
    batch = x if x.ndim == 4 else xp.unsqueeze(x, dim=0)
    rows, columns, (kh, kw, h, w), (ph, pw) = _windows(tuple(x.shape[-2:]), kernel_size, dilation, padding, stride)
    if ph or pw:
        batch = xp.pad_constant(batch, pad=(pw, pw, ph, ph))
    picked = xp.index(batch, rows, columns, index=PATCHES)
    y = xp.reshape(picked, shape=(*batch.shape[:1], batch.shape[1] * kh * kw, h * w))
    return y if x.ndim == 4 else xp.reshape(y, shape=tuple(y.shape[1:]))


def _col2im(
    xp: Any, x: Any, *, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    if x.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions, but got: "
            f"{list(x.shape)}"
        )
    if min(*_pair(kernel_size), *_pair(dilation), *_pair(stride)) <= 0 or min(_pair(padding)) < 0:
        raise RuntimeError("kernel size, dilation and stride should be greater than zero, padding should not be negative")
    size = _pair(output_size)
    rows, columns, (kh, kw, h, w), (ph, pw) = _windows(size, kernel_size, dilation, padding, stride)
    if x.shape[-2] % (kh * kw):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={x.shape[-2]} and kernel_size=({kh}, {kw})."
        )
    if x.shape[-1] != h * w:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size=({kh}, {kw}), expected input's size at dimension 2 to match the "
            f"calculated number of sliding blocks {h} * {w} = {h * w}, but got input.size(2)={x.shape[-1]}."
        )
    batch = 1 if x.ndim == 2 else x.shape[0]
    channels = x.shape[-2] // (kh * kw)
    apart = xp.reshape(x, shape=(batch, channels, kh, kw, h, w))
    shape = (batch, channels, size[0] + 2 * ph, size[1] + 2 * pw)
    y = xp.index_put(apart, rows, columns, index=PATCHES, shape=shape)
    if ph or pw:
        y = xp.pad_constant(y, pad=(-pw, -pw, -ph, -ph))
    return y if x.ndim == 3 else xp.reshape(y, shape=tuple(y.shape[1:]))


composite(
    "im2col",
    _im2col,
    grad_fn="Im2ColBackward0",
    functions=("F.unfold",),
    samples=(Sample(((1, 1, 3, 3),), {"kernel_size": 2}),),
)
composite(
    "col2im", _col2im, grad_fn="Col2ImBackward0", functions=("F.fold",),
    samples=(Sample(((1, 4, 4),), {"output_size": (3, 3), "kernel_size": 2}),),
)  # fmt: skip
