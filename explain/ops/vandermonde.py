"""Vandermonde matrices: the powers of entries side by side. Made of other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample, numpy_dtype
from explain.ops.registry import composite


def _powers(xp: Any, x: Any, count: int) -> Any:
    """x, x², … along a new last axis, ``count`` of them."""
    column = xp.unsqueeze(x, dim=-1)
    return xp.cumprod(xp.expand(column, shape=(*x.shape, count)), dim=-1)


def _linalg_vander(xp: Any, x: Any, *, N: int | None = None) -> Any:
    """The powers 0, 1, …, N − 1 of every entry along a new last axis."""
    count = N if N is not None else x.shape[-1] if x.ndim else 1
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    x = x if x.ndim else xp.reshape(x, shape=(1,))
    if numpy_dtype(x).kind == "b":
        x = xp.to(x, dtype=np.dtype(np.int64))
    powers = _powers(xp, x, count - 1)
    return xp.cat(np.ones((*x.shape, 1), numpy_dtype(powers)), powers, dim=-1)


def _vander(xp: Any, x: Any, *, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of a row of entries as rows of a matrix, the highest first unless ``increasing``."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.shape[0]
    count = n if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    kind = numpy_dtype(x) if numpy_dtype(x).kind == "f" else np.dtype(np.int64)
    found: Any = np.ones((n, min(count, 1)), kind)
    if count > 1:
        row = x if numpy_dtype(x) == kind else xp.to(x, dtype=kind)
        found = xp.cat(found, _powers(xp, row, count - 1), dim=-1)
    return found if increasing else xp.flip(found, dims=(1,))


composite("linalg_vander", _linalg_vander, functions=("linalg.vander",), samples=(Sample(((3,),)),))
composite("vander", _vander, functions=("vander",), samples=(Sample(((3,),)),), instead=("linalg_vander",))
