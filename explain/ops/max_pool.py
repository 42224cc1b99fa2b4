"""Maximum pooling: the largest entry of each window, with its position; windows of a fixed or of an adapted size."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, numpy_dtype, plain_array
from explain.ops.pool_windows import Window, adapted_sizes, adapted_windows, fixed_windows, pool_options
from explain.ops.registry import composite, register
from explain.ops.windows import Ints


def _gathered(x: Any, found: list[Window]) -> tuple[Any, Any]:
    """(the entries of each window in a row, which of them are inside), for windows over the last axes of x."""
    axes = len(found)
    index, inside = [], np.ones((1,) * (2 * axes), bool)
    for k, (at, valid) in enumerate(found):
        shape = [1] * (2 * axes)
        shape[k], shape[axes + k] = at.shape
        index.append(np.clip(at, 0, max(0, x.shape[x.ndim - axes + k] - 1)).reshape(shape))
        inside = inside & valid.reshape(shape)
    entries = x[(..., *index)]
    places = entries.shape[: x.ndim]
    return entries.reshape(*places, -1), np.broadcast_to(inside, entries.shape[x.ndim - axes :]).reshape(
        *places[x.ndim - axes :], -1
    )


class MaxPooling(Op):
    """The largest entry of each window over the last axes, and its position counted row by row; of equal ones the first."""

    kind = "choice"
    rule = "max_pool"
    outputs = 2
    uses = ("y",)
    axes = 1

    def __init__(self, axes: int) -> None:
        self.axes = axes
        self.name = self.name.format(axes)
        self.special = MappingProxyType({"tie": self._ties})
        super().__init__()

    def found_windows(self, sizes: Ints, options: Options) -> list[Window]:
        """Per axis the positions that each window looks at."""
        raise NotImplementedError

    def _ties(self, x: Any, **options: Any) -> Any:
        entries, inside = _gathered(x, self.found_windows(x.shape[x.ndim - self.axes :], options))
        largest = np.max(np.where(inside, entries, -np.inf), axis=-1, keepdims=True)
        return np.add.reduce(inside & (entries == largest), axis=-1) > 1

    def picked(self, x: Any, **options: Any) -> Any:
        """(values, positions)."""
        sizes = x.shape[x.ndim - self.axes :]
        found = self.found_windows(sizes, options)
        entries, inside = _gathered(x, found)
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        shown = np.where(inside, entries, x.dtype.type(least))
        if not shown.size:
            empty = shown.reshape(shown.shape[:-1]) if shown.shape[-1] else np.zeros(shown.shape[:-1], x.dtype)
            return empty, np.zeros(empty.shape, np.int64)
        first = np.argmax(shown, axis=-1)
        values = np.take_along_axis(shown, first[..., None], axis=-1)[..., 0]
        flat: Any = 0
        within = np.unravel_index(first, tuple(at.shape[1] for at, _ in found))
        for k, ((at, _), entry) in enumerate(zip(found, within, strict=True)):
            place = np.indices(first.shape, sparse=True)[x.ndim - self.axes + k]
            flat = flat * sizes[k] + at[place, entry]
        return values, flat

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, **options: Any) -> Any:
        sizes = tuple(x.shape[x.ndim - self.axes :])
        free = math.prod(x.shape[: x.ndim - self.axes])
        rows = math.prod(g[0].shape[x.ndim - self.axes :])
        upstream = xp.reshape(g[0], shape=(free, rows))
        picked = plain_array(y[1]).reshape(free, rows)
        back = xp.put_along(upstream, picked, dim=1, shape=(free, math.prod(sizes)))
        return (xp.reshape(back, shape=tuple(x.shape)),)

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        (x,) = ins
        places = np.unravel_index(y[1], x.shape[x.ndim - self.axes :])
        return {f"p{k}": place for k, place in enumerate(places)}

    def formula(self, s: Any, out: Any, x: Any, **options: Any) -> Any:
        where = [s.given(f"p{k}")[out] for k in range(self.axes)]
        return x[(*out[: x.ndim - self.axes], *where)], None


class MaxPool(MaxPooling):
    """Maximum pooling with windows of one size."""

    name = "max_pool{}d_with_indices"

    def __init__(self, axes: int) -> None:
        ones = (1,) * (axes - 1)
        plain = {"kernel_size": (2, *ones), "stride": (2, *ones), "padding": (0,) * axes, "dilation": (1,) * axes}
        around = plain | {"stride": (1, *ones), "padding": (1, *(0,) * (axes - 1)), "ceil_mode": True}
        self.samples = (
            Sample(((1, 4, *(2,) * (axes - 1)),), plain | {"ceil_mode": False}),
            Sample(((1, 2, 3, *ones),), around),
        )
        super().__init__(axes)

    @property
    def backward_name(self) -> str:  # type: ignore[override]
        """Torch's name."""
        return "SqueezeBackward1" if self.axes == 1 else f"MaxPool{self.axes}DWithIndicesBackward0"

    def found_windows(self, sizes: Ints, options: Options) -> list[Window]:
        return fixed_windows(sizes, options)

    def forward(
        self, x: Any, *, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool = False
    ) -> Any:
        return self.picked(
            x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )


class AdaptiveMaxPool(MaxPooling):
    """Maximum pooling with as many windows as are asked for."""

    name = "adaptive_max_pool{}d_with_indices"

    def __init__(self, axes: int) -> None:
        self.samples = (Sample(((1, 5, *(2,) * (axes - 1)),), {"output_size": (2, *(1,) * (axes - 1))}),)
        super().__init__(axes)

    @property
    def backward_name(self) -> str:  # type: ignore[override]
        """Torch's name."""
        return "SqueezeBackward1" if self.axes == 1 else f"AdaptiveMaxPool{self.axes}DBackward0"

    def found_windows(self, sizes: Ints, options: Options) -> list[Window]:
        return adapted_windows(sizes, options["output_size"])

    def forward(self, x: Any, *, output_size: Ints) -> Any:
        return self.picked(x, output_size=output_size)


# as torch calls them


def _refuse_rank(name: str, shape: Shape, axes: int) -> None:
    fits = len(shape) in (axes + 1, axes + 2)
    empty = [k for k, n in enumerate(shape[-axes - 1 :]) if n == 0] if fits and not name.startswith("adaptive") else []
    if empty and axes > 1:
        raise RuntimeError(
            f"{name}_with_indices_out_cpu_template(): Expected input's non-batch dimensions to have positive length, but "
            f"input has a shape of {list(shape)} and non-batch dimension {empty[0]} has length zero!"
        )
    if fits and not empty:
        return
    if name.startswith("adaptive"):
        if axes > 1 and len(shape) <= axes:
            raise ValueError(f"Input dimension should be at least {axes + 1}")
        raise RuntimeError(f"{name}(): Expected {axes + 1}D or {axes + 2}D tensor, but got: {list(shape)}")
    if axes == 1:
        raise RuntimeError(
            f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )
    raise RuntimeError(f"non-empty {axes + 1}D or {axes + 2}D (batch mode) tensor expected for input")


def _max_pool(axes: int) -> Any:
    name = f"max_pool{axes}d"

    def pooled(
        xp: Any,
        x: Any,
        *,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        """The largest entry of each window; ``return_indices``: with its position, counted row by row."""
        options = pool_options(name, axes, kernel_size, stride, padding, dilation)
        _refuse_rank(name, tuple(x.shape), axes)
        found = getattr(xp, f"{name}_with_indices")(x, **options, ceil_mode=bool(ceil_mode))
        return tuple(found) if return_indices else found[0]

    return pooled


def _adaptive_max_pool(axes: int) -> Any:
    name = f"adaptive_max_pool{axes}d"

    def pooled(xp: Any, x: Any, *, output_size: Any, return_indices: bool = False) -> Any:
        """The largest entry of each of as many windows as are asked for."""
        _refuse_rank(name, tuple(x.shape), axes)
        sizes = adapted_sizes(output_size, tuple(x.shape), axes)
        if len(sizes) != axes:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {axes}")
        if min(sizes) < 0:
            made = [*x.shape[: len(x.shape) - axes], *sizes]
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}: {made}")
        found = getattr(xp, f"{name}_with_indices")(x, output_size=sizes)
        return tuple(found) if return_indices else found[0]

    return pooled


def _max_unpool(axes: int) -> Any:
    def unpooled(
        xp: Any,
        x: Any,
        *,
        indices: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Any:
        """Zeros, with the entries at the positions that pooling picked them from."""
        o = pool_options(f"max_unpool{axes}d", axes, kernel_size, stride, padding, 1)
        shape, free = tuple(x.shape), len(x.shape) - axes
        sizes = tuple(
            (n - 1) * s - 2 * p + k
            for n, s, p, k in zip(shape[free:], o["stride"], o["padding"], o["kernel_size"], strict=True)
        )
        if output_size is not None:
            sizes = tuple(output_size)[-axes:]
        rows, volume = math.prod(shape[:free]), math.prod(sizes)
        picked = plain_array(indices)
        if picked.shape != shape:
            raise RuntimeError(
                f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor "
                f"with shape: {list(picked.shape)}"
            )
        if picked.size and (picked.min() < 0 or picked.max() >= volume):
            raise RuntimeError(f"Found an invalid max index: {picked.max()} (output volumes are of size {list(sizes)})")
        first = (np.arange(rows) * volume).reshape((*shape[:free], *[1] * axes))
        return xp.written(np.zeros((*shape[:free], *sizes), numpy_dtype(x)), x, positions=picked + first)

    return unpooled


def _declare(axes: int) -> None:
    register(MaxPool(axes))
    register(AdaptiveMaxPool(axes))
    sample = (Sample(((1, 4, *(2,) * (axes - 1)),), {"kernel_size": 2}),)
    name = f"max_pool{axes}d"
    composite(name, _max_pool(axes), functions=(f"F.{name}", name), samples=sample)
    adaptive = (Sample(((1, 4, *(2,) * (axes - 1)),), {"output_size": 1}),)
    name = f"adaptive_max_pool{axes}d"
    composite(name, _adaptive_max_pool(axes), functions=(f"F.{name}",), samples=adaptive)
    name = f"max_unpool{axes}d"
    pooled: tuple[int, ...] = (1, 2, *(1,) * (axes - 1))
    first = np.array([0, 2**axes]).reshape(pooled)
    unpooled = (Sample((pooled,), {"indices": first, "kernel_size": 2}),)
    composite(name, _max_unpool(axes), functions=(f"F.{name}",), samples=unpooled)


for _axes in (1, 2, 3):
    _declare(_axes)
