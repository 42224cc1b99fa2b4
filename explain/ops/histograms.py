"""Histograms: how many entries lie between edges. Counts jump, so nothing flows back."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample, plain_array
from explain.ops.ordering import Constant
from explain.ops.registry import composite, register


def _edges(low: float, high: float, bins: int, dtype: np.dtype) -> Any:
    """Evenly spaced edges, computed from both ends as torch does it."""
    k = np.arange(bins + 1)
    width = dtype.type((high - low) / bins)
    below, above = dtype.type(low) + width * k.astype(dtype), dtype.type(high) - width * (bins - k).astype(dtype)
    return np.where(k < (bins + 1) // 2, below, above).astype(dtype)


def _counted(x: Any, edges: Any, weight: Any = None) -> Any:
    """The weight (1 each) between every two edges; the last edge belongs to the last part."""
    flat = x.reshape(-1)
    inside = (flat >= edges[0]) & (flat <= edges[-1])
    at = np.minimum(np.searchsorted(edges, flat[inside], side="right") - 1, len(edges) - 2)
    out = np.zeros(len(edges) - 1, x.dtype)
    np.add.at(out, at, 1 if weight is None else weight.reshape(-1)[inside])
    return out


def _range(name: str, x: Any, low: float, high: float, apart: float) -> tuple[float, float]:
    """The outer edges; those of the entries where both are equal, and ``apart`` from a single one. Raises torch's errors."""
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    return (low - apart, high + apart) if low == high else (low, high)


def _refuse(name: str, x: Any, bins: int) -> None:
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if x.dtype.kind != "f":
        kind = {"q": "Long", "l": "Long", "i": "Int", "?": "Bool"}.get(x.dtype.char, "Byte")
        raise NotImplementedError(f"\"{name}\" not implemented for '{kind}'")


def _histc(x: Any, *, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    _refuse("histogram_cpu", x, bins)
    if min > max:
        raise RuntimeError("torch.histc: max must be larger than min")
    return _counted(x, _edges(*_range("torch.histc", x, float(min), float(max), 1), bins, x.dtype))


register(Constant("histc", _histc, (Sample((np.array([0.1, 0.5, 0.7]),), {"bins": 2}),)))


def _histogram(x: Any, edges: Any, *, weight: Any = None, density: bool = False) -> Any:
    count = _counted(x, edges, weight)
    if density:
        count = (count / (count.sum() * np.diff(edges))).astype(x.dtype)
    return count, edges


register(
    Constant(
        "histogram_parts", _histogram, (Sample((np.array([0.1, 0.5, 0.7]), np.array([0.0, 0.5, 1.0]))),), functions=(),
        methods=(), outputs=2, not_implemented="histogram",
    )
)  # fmt: skip


def _histogram_of(xp: Any, x: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False) -> Any:
    values = plain_array(x)
    if isinstance(bins, int):
        _refuse("histogramdd", values, bins)
        low, high = (0.0, 0.0) if range is None else (float(range[0]), float(range[1]))
        if range is None and not values.size:
            high = 1.0
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension 0"
            )
        edges = _edges(*_range("torch.histogramdd", values, low, high, 0.5), bins, values.dtype)
    else:
        edges = plain_array(bins)
        if edges.ndim != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {edges.ndim} dimensions in the bins "
                "tensor for dimension 0"
            )
    given = None if weight is None else plain_array(weight)
    if given is not None and given.shape != values.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding "
            f"its innermost dimension, but got input with shape {[values.size, 1]} and weight with shape {list(given.shape)}"
        )
    return xp.histogram_parts(x, edges, weight=given, density=density)


composite(
    "histogram", _histogram_of, functions=("histogram",), methods=("histogram",), fields=("hist", "bin_edges"),
    numbers=(1,), samples=(Sample((np.array([0.1, 0.5, 0.7]), np.array([0.0, 0.5, 1.0]))),),
    not_implemented="histogram",
)  # fmt: skip
