"""Quantiles: the entries in order, and between two neighbours the point that the fraction names. Made of other ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Sample, Shape, axes, numpy_dtype, plain_array
from explain.ops.registry import NUMERIC, composite

ROUNDINGS: dict[str, Any] = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}
INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check(x: Any, q: Any, interpolation: str) -> None:
    """Raise torch's errors."""
    if not math.prod(x.shape):
        raise RuntimeError("quantile() input tensor must be non-empty")
    if np.ndim(q if isinstance(q, int | float) else plain_array(q)) > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if numpy_dtype(x).char not in "fd":
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if not isinstance(q, int | float) and numpy_dtype(q) != numpy_dtype(x):
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if isinstance(q, int | float):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
    elif not np.all((plain_array(q) >= 0) & (plain_array(q) <= 1)):
        raise RuntimeError("quantile() q values must be in the range [0, 1]")


def _in_order(xp: Any, x: Any, dim: int | None) -> Any:
    """The entries in rising order along the last axis; in one row if no axis is named."""
    if dim is None:
        return xp.sort(x if x.ndim == 1 else xp.reshape(x, shape=(math.prod(x.shape),)))[0]
    (axis,) = axes(dim, x.ndim) or (0,)
    if not x.ndim or axis == x.ndim - 1:
        return xp.sort(x)[0]
    return xp.sort(xp.transpose(xp.unsqueeze(x, dim=-1), dim0=axis, dim1=-1))[0]


def _ranks(xp: Any, q: Any, values: Any, ignore_nan: bool) -> Any:
    """Where in the row each quantile lies, counted from 0; of a row with a nan at the nan. A tensor if q is watched."""
    missing = values != values
    last = np.asarray(values.shape[-1] - 1 if not ignore_nan else (~missing).sum(-1, keepdims=True) - 1, values.dtype)
    if not ignore_nan:
        pinned = missing.any(-1, keepdims=True)
        return _masked(xp, xp.mul(q, last), pinned, float(values.shape[-1] - 1))
    return _masked(xp, xp.mul(q, last), np.broadcast_to(last < 0, np.broadcast_shapes(last.shape, q.shape)), 0.0)


def _masked(xp: Any, ranks: Any, mask: Any, number: float) -> Any:
    wide = np.broadcast_shapes(tuple(ranks.shape), mask.shape)
    if tuple(ranks.shape) != wide:
        ranks = xp.expand(ranks, shape=wide)
    return xp.masked_fill(ranks, np.broadcast_to(mask, wide), number) if mask.any() else ranks


def _quantile(xp: Any, ignore_nan: bool, x: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str) -> Any:
    _check(x, q, interpolation)
    scalar = isinstance(q, int | float) or not q.ndim
    watched = getattr(q, "requires_grad", False)
    if not watched:  # ranks are plain numbers then, no part of the derivation
        q = np.asarray(q, numpy_dtype(x)) if isinstance(q, int | float) else plain_array(q)
    ordered = _in_order(xp, x, dim)
    kept = _kept_shape(tuple(x.shape), dim, keepdim)
    rows = (*kept, ordered.shape[-1] if ordered.ndim else 1)
    if tuple(ordered.shape) != rows:
        ordered = xp.reshape(ordered, shape=rows)
    over = xp if watched else NUMERIC
    ranks = _ranks(over, over.reshape(q, shape=(1,)) if scalar else q, plain_array(ordered), ignore_nan)
    at: Any = plain_array(ranks)
    if interpolation in ROUNDINGS:
        at = ROUNDINGS[interpolation](at)
    below = np.broadcast_to(at.astype(np.int64), (*rows[:-1], at.shape[-1]))
    found = xp.gather(ordered, below, dim=-1)
    if interpolation in ("linear", "midpoint"):
        above = np.broadcast_to(np.ceil(at).astype(np.int64), below.shape)
        weights: Any = np.full(at.shape, 0.5, at.dtype)
        if interpolation == "linear":
            weights = over.sub(ranks, np.floor(at))
        found = xp.lerp(found, xp.gather(ordered, above, dim=-1), weights)
    if not scalar:
        found = xp.transpose_(xp.unsqueeze_(found, dim=0), dim0=0, dim1=-1)
    return xp.squeeze_(found, dim=-1)


def _kept_shape(shape: Shape, dim: int | None, keepdim: bool) -> Shape:
    """The shape of one quantile's result."""
    over = axes(dim, len(shape))
    return tuple(1 if k in over else n for k, n in enumerate(shape) if keepdim or k not in over)


def _plain(xp: Any, x: Any, q: Any, *, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear") -> Any:
    """The value below which the fraction ``q`` of the entries lies; q is a number, or several in one row."""
    return _quantile(xp, False, x, q, dim, keepdim, interpolation)


def _of_numbers(
    xp: Any, x: Any, q: Any, *, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear"
) -> Any:
    """The quantile of the entries that are not nan."""
    return _quantile(xp, True, x, q, dim, keepdim, interpolation)


for _name, _compose in (("quantile", _plain), ("nanquantile", _of_numbers)):
    composite(
        _name, _compose, functions=(_name,), methods=(_name,), numbers=(1,),
        samples=(Sample(((2, 3), np.array(0.4)), {"dim": 1}), Sample(((4,), np.array([0.25, 0.5])))),
    )  # fmt: skip
