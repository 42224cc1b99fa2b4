"""Where the windows of pooling lie: per axis the positions that each looks at, and which of them are inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Array, Options, Shape
from explain.ops.windows import Ints

Window = tuple[Array, Array]
"""Along one axis: positions (places, entries of a window), and whether they are inside."""


def _per_axis(value: Any, axes: int, name: str, option: str) -> Ints:
    numbers = (value,) if isinstance(value, int | np.integer) else tuple(value)
    if len(numbers) not in (1, axes):
        words = {1: "int", 2: "tuple of two ints", 3: "tuple of three ints"}[axes]
        raise RuntimeError(f"{name}: {option} must either be a single int, or a {words}")
    return tuple(int(n) for n in numbers) * (axes if len(numbers) == 1 else 1)


def pool_options(name: str, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, Ints]:
    """The options as one number per axis. Raises torch's errors."""
    kernel = _per_axis(kernel_size, axes, name, "kernel_size")
    step = kernel if stride is None or stride in ((), []) else _per_axis(stride, axes, name, "stride")
    pad, gap = _per_axis(padding, axes, name, "padding"), _per_axis(dilation, axes, name, "dilation")
    if any(n <= 0 for n in step) and axes > 1:
        raise RuntimeError("stride should not be zero")
    if any(n <= 0 for n in kernel):
        raise RuntimeError(f"{name}() kernel_size must be greater than zero, but got {kernel[0]}")
    if any(n <= 0 for n in step):
        raise RuntimeError(f"{name}() stride must be greater than zero, but got {step[0]}")
    if any(n <= 0 for n in gap):
        raise RuntimeError(f"{name}() dilation must be greater than zero, but got {gap[0]}")
    if any(n < 0 for n in pad):
        raise RuntimeError(f"{name}() padding must be non-negative, but got {min(pad)}")
    for p, k, d in zip(pad, kernel, gap, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"{name}() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}"
                if axes == 1
                else f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )
    return {"kernel_size": kernel, "stride": step, "padding": pad, "dilation": gap}


def pool_places(sizes: Ints, options: Options) -> Ints:
    """How many windows there are per axis. Raises torch's error for none."""
    found = []
    dilation = options.get("dilation") or (1,) * len(sizes)
    for n, k, s, p, d in zip(sizes, options["kernel_size"], options["stride"], options["padding"], dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (room + (s - 1 if options.get("ceil_mode") else 0)) // s + 1
        if options.get("ceil_mode") and (count - 1) * s >= n + p:
            count -= 1  # the last window starts inside
        found.append(count)
    if min(found) < 1:
        given, result = ("x".join(map(str, (1, *t))) for t in (sizes, found))
        raise RuntimeError(f"Given input size: ({given}). Calculated output size: ({result}). Output size is too small")
    return tuple(found)


def fixed_windows(sizes: Ints, options: Options) -> list[Window]:
    """Windows of one size."""
    found = []
    places = pool_places(sizes, options)
    for n, m, k, s, p, d in zip(
        sizes, places, options["kernel_size"], options["stride"], options["padding"], options["dilation"], strict=True
    ):
        at = s * np.arange(m)[:, None] + d * np.arange(k) - p
        found.append((at, (at >= 0) & (at < n)))
    return found


def adapted_bounds(size: int, count: int) -> tuple[Array, Array]:
    """Where each of ``count`` windows over ``size`` entries starts, and where it ends."""
    i = np.arange(count)
    return i * size // max(count, 1), -(-(i + 1) * size // max(count, 1))


def adapted_windows(sizes: Ints, counts: Ints) -> list[Window]:
    """As many windows as are asked for."""
    found = []
    for n, m in zip(sizes, counts, strict=True):
        start, end = adapted_bounds(n, m)
        at = start[:, None] + np.arange(int((end - start).max(initial=0)))
        found.append((at, at < end[:, None]))
    return found


def adapted_sizes(output_size: Any, shape: Shape, axes: int) -> Ints:
    """How many windows per axis; None stands for the axis's own size."""
    sizes = (output_size,) * axes if output_size is None or isinstance(output_size, int | np.integer) else tuple(output_size)
    own = shape[len(shape) - axes :]
    if len(sizes) != axes:
        return tuple(int(n or 0) for n in sizes)
    return tuple(n if m is None else int(m) for m, n in zip(sizes, own, strict=True))
