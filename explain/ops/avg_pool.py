"""Average pooling, and what is made of it: adapted windows, power means of windows, local response normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, Shape, numpy_dtype
from explain.ops.pool_windows import adapted_bounds, adapted_sizes, pool_options, pool_places
from explain.ops.registry import composite, register
from explain.ops.windows import Ints, Pairs, met, padded, windows


def _pairs(sizes: Ints, places: Ints, kernel: Ints, stride: Ints, padding: Ints) -> Pairs:
    """The padding before, and after as far as the last window reaches."""
    return tuple(
        (p, max(0, s * (m - 1) + k - p - n)) for n, m, k, s, p in zip(sizes, places, kernel, stride, padding, strict=True)
    )


class AvgPool(Op):
    """The mean of each window over the last axes. What it divides by: how many entries a window has, those of the padding
    included (not if ``count_include_pad`` is False, and never what lies beyond it), or ``divisor_override``."""

    kind = "contraction"
    rule = "avg_pool"
    uses = ("",)
    axes = 1

    def __init__(self, axes: int) -> None:
        self.axes = axes
        self.name = f"mean_pool{axes}d"
        ones = (1,) * (axes - 1)
        plain = {"kernel_size": (2, *ones), "stride": (2, *ones), "padding": (0,) * axes}
        around = plain | {"stride": (1, *ones), "padding": (1, *(0,) * (axes - 1))}
        self.samples = (Sample(((1, 4, *ones),), plain), Sample(((1, 2, *ones),), around | {"count_include_pad": False}))
        if axes == 1:
            self.samples += (Sample(((1, 4),), {"kernel_size": (3,), "stride": (2,), "padding": (1,), "ceil_mode": True}),)
        self.backward_name = "SqueezeBackward1" if axes == 1 else f"AvgPool{axes}DBackward0"
        super().__init__()

    def layout(self, sizes: Ints, o: dict[str, Any]) -> tuple[Ints, Pairs]:
        """(how many windows there are per axis, the padding as far as they reach)."""
        places = pool_places(sizes, o)
        return places, _pairs(sizes, places, o["kernel_size"], o["stride"], o["padding"])

    def divisors(self, sizes: Ints, places: Ints, o: dict[str, Any]) -> Any:
        """What each window's sum is divided by."""
        if o.get("divisor_override") is not None:
            return np.full(places, o["divisor_override"])
        found = np.ones((1,) * len(sizes), np.int64)
        counts_padding = o.get("count_include_pad", True)
        for axis, (n, m, k, s, p) in enumerate(zip(sizes, places, o["kernel_size"], o["stride"], o["padding"], strict=True)):
            start = s * np.arange(m) - p
            low, high = (-p, n + p) if counts_padding else (0, n)
            count = np.minimum(start + k, high) - np.maximum(start, low)
            found = found * count.reshape([-1 if q == axis else 1 for q in range(len(sizes))])
        return found

    def forward(
        self,
        x: Any,
        *,
        kernel_size: Ints,
        stride: Ints,
        padding: Ints,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        o = {
            "kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad, "divisor_override": divisor_override,
        }  # fmt: skip
        sizes = x.shape[x.ndim - self.axes :]
        places, pairs = self.layout(sizes, o)
        met_there = windows(padded(x, pairs), kernel_size, stride, (1,) * self.axes, places)
        total = np.add.reduce(met_there, axis=tuple(range(x.ndim, x.ndim + self.axes)))
        divisors = self.divisors(sizes, places, o)
        if x.dtype.kind != "f":
            return (np.sign(total) * (np.abs(total) // divisors)).astype(x.dtype)  # as C divides
        return total / divisors.astype(x.dtype)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, **o: Any) -> Any:
        sizes, free = tuple(x.shape[x.ndim - self.axes :]), math.prod(x.shape[: x.ndim - self.axes])
        places, pairs = self.layout(sizes, o)
        dtype = numpy_dtype(g)
        share = xp.reshape(xp.div(g, self.divisors(sizes, places, o).astype(dtype)), shape=(free, 1, *places))
        spread = getattr(xp, f"conv_transpose{self.axes}d")(
            share, np.ones((1, 1, *o["kernel_size"]), dtype), size=sizes, stride=o["stride"], padding=pairs,
            dilation=(1,) * self.axes, groups=1,
        )  # fmt: skip
        return (xp.reshape(spread, shape=tuple(x.shape)),)

    def formula(self, s: Any, out: Any, x: Any, **o: Any) -> Any:
        sizes, kernel = x.numbers[x.ndim - self.axes :], o["kernel_size"]
        places, pairs = self.layout(sizes, o)
        at, one = out[x.ndim - self.axes :], (1,) * self.axes
        k = [s.index(s.size(n)) for n in kernel]
        where, inside = met(s, at, k, sizes, places, kernel, o["stride"], pairs, one)
        total = s.total(s.product([x[(*out[: x.ndim - self.axes], *where)], *inside]), *k)
        divisors = self.divisors(sizes, places, o)
        if not divisors.size or (divisors == divisors.flat[0]).all():
            override = o.get("divisor_override")
            usual = s.count(*k) if divisors.size and divisors.flat[0] == math.prod(kernel) and override is None else None
            return total / (usual if usual is not None else s.number(int(divisors.flat[0]) if divisors.size else 1))
        padding, reach = o["padding"], sizes
        if o.get("count_include_pad", True):
            padding, reach = (0,) * self.axes, tuple(n + 2 * p for n, p in zip(sizes, o["padding"], strict=True))
        bounds = tuple((p, after) for p, (_, after) in zip(padding, pairs, strict=True))
        counted = [s.index(s.size(n)) for n in kernel]
        _, counts = met(s, at, counted, reach, places, kernel, o["stride"], bounds, one)
        return total / s.total(s.product(counts), *counted)


def _refuse_rank(name: str, shape: Shape, axes: int) -> None:
    if len(shape) not in (axes + 1, axes + 2):
        if axes == 2 and len(shape) < 3:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got -3)"
            )
        raise RuntimeError(f"{name}: Expected {axes + 1}D or {axes + 2}D tensor, but got {list(shape)}")


def _avg_pool(axes: int) -> Any:
    name = f"avg_pool{axes}d"

    def pooled(
        xp: Any,
        x: Any,
        *,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        """The mean of each window."""
        options = pool_options(name, axes, kernel_size, stride, padding, 1)
        del options["dilation"]
        _refuse_rank(name, tuple(x.shape), axes)
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        return getattr(xp, f"mean_pool{axes}d")(
            x, **options, ceil_mode=bool(ceil_mode), count_include_pad=bool(count_include_pad),
            divisor_override=divisor_override,
        )  # fmt: skip

    return pooled


def along_axis(xp: Any, x: Any, matrix: Any, axis: int) -> Any:
    """The entries along one axis multiplied by a constant matrix."""
    ndim = len(x.shape)
    if axis == ndim - 1:
        return xp.matmul(x, np.ascontiguousarray(matrix.T))
    if axis == ndim - 2:
        return xp.matmul(matrix, x)
    order = (*(k for k in range(ndim) if k != axis), axis)
    back = tuple(int(k) for k in np.argsort(order))
    return xp.permute(xp.matmul(xp.permute(x, dims=order), np.ascontiguousarray(matrix.T)), dims=back)


def _averages(size: int, count: int, dtype: Any) -> Any:
    """The matrix whose rows take the mean of each of ``count`` windows over ``size`` entries."""
    start, end = adapted_bounds(size, count)
    at = np.arange(size)
    inside = (at >= start[:, None]) & (at < end[:, None])
    return (inside / np.maximum(1, end - start)[:, None]).astype(dtype)


def adaptive_mean(xp: Any, x: Any, sizes: Sequence[int]) -> Any:
    """The mean of each of as many windows over the last axes as ``sizes`` says."""
    axes, shape = len(sizes), tuple(x.shape)
    own = shape[len(shape) - axes :]
    if all(m == 1 for m in sizes):
        return xp.mean(x, dim=tuple(range(len(shape) - axes, len(shape))), keepdim=True)
    if all(m and n % m == 0 for n, m in zip(own, sizes, strict=True)):
        kernel = tuple(n // m for n, m in zip(own, sizes, strict=True))
        return getattr(xp, f"mean_pool{axes}d")(x, kernel_size=kernel, stride=kernel, padding=(0,) * axes)
    for k, (n, m) in enumerate(zip(own, sizes, strict=True)):
        x = along_axis(xp, x, _averages(n, m, numpy_dtype(x)), len(shape) - axes + k)
    return x


def _adaptive_avg_pool(axes: int) -> Any:
    name = f"adaptive_avg_pool{axes}d"

    def pooled(xp: Any, x: Any, *, output_size: Any) -> Any:
        """The mean of each of as many windows as are asked for."""
        shape = tuple(x.shape)
        if len(shape) not in (axes + 1, axes + 2):
            if axes == 1:
                raise RuntimeError(
                    f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' (while "
                    "checking arguments for adaptive_avg_pool1d)"
                )
            if len(shape) <= axes:
                raise ValueError(f"Input dimension should be at least {axes + 1}")
            raise RuntimeError(f"{name}(): Expected {axes + 1}D or {axes + 2}D tensor, but got {list(shape)}")
        sizes = adapted_sizes(output_size, shape, axes)
        if len(sizes) != axes:
            raise RuntimeError(f"{name}: output_size must be {axes}")
        if min(sizes) < 0:
            shown = ", ".join(map(str, sizes))
            raise RuntimeError(
                f"{name}: elements of output_size must be greater than or equal to 0 but received {{{shown}}}"
            )
        return adaptive_mean(xp, x, sizes)

    return pooled


def _lp_pool(axes: int) -> Any:
    def pooled(xp: Any, x: Any, *, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
        """The p-norm of each window: (Σ x^p)^(1/p)."""
        options = pool_options(f"avg_pool{axes}d", axes, kernel_size, stride, 0, 1)
        del options["dilation"]
        mean = getattr(xp, f"mean_pool{axes}d")(xp.pow(x, float(norm_type)), **options, ceil_mode=bool(ceil_mode))
        size = math.prod(options["kernel_size"])
        return xp.pow(xp.mul(xp.mul(xp.sign(mean), xp.relu(xp.abs(mean))), float(size)), 1.0 / norm_type)

    return pooled


def _local_response_norm(xp: Any, x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """x/(k + α · mean of x² over ``size`` neighbouring channels, what is missing at the ends counted as 0)^β."""
    shape = tuple(x.shape)
    if len(shape) < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {len(shape)} dimensions)"
        )
    if 0 in shape:
        return xp.mul(x, 1.0)
    channels = shape[1]
    at = np.arange(channels)
    apart = at - at[:, None]
    near = ((apart >= -(size // 2)) & (apart <= (size - 1) // 2)) / size
    squares = xp.reshape(xp.mul(x, x), shape=(shape[0], channels, math.prod(shape[2:])))
    mean = xp.reshape(xp.matmul(near.astype(numpy_dtype(x)), squares), shape=shape)
    return xp.div(x, xp.pow(xp.add(xp.mul(mean, alpha), k), beta))


def _declare(axes: int) -> None:
    register(AvgPool(axes))
    shape = (1, 4, *(2,) * (axes - 1))
    pooled = (Sample((shape,), {"kernel_size": 2}),)
    name = f"avg_pool{axes}d"
    composite(name, _avg_pool(axes), functions=(f"F.{name}", name) if axes == 1 else (f"F.{name}",), samples=pooled)
    adaptive = (Sample((shape,), {"output_size": 1}),)
    name = f"adaptive_avg_pool{axes}d"
    composite(
        name, _adaptive_avg_pool(axes), functions=(f"F.{name}", name) if axes == 1 else (f"F.{name}",), samples=adaptive
    )
    name = f"lp_pool{axes}d"
    lp = (Sample((shape,), {"norm_type": 2, "kernel_size": 2}),)
    composite(name, _lp_pool(axes), functions=(f"F.{name}",), samples=lp)


for _axes in (1, 2, 3):
    _declare(_axes)
composite(
    "local_response_norm",
    _local_response_norm,
    functions=("F.local_response_norm",),
    samples=(Sample(((1, 3, 2),), {"size": 2}),),
)
