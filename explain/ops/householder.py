"""Products of Householder's reflections, as the older ways to a QR decomposition leave them. Made of other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample, numpy_dtype
from explain.ops.registry import composite


def _householder_product(xp: Any, a: Any, tau: Any) -> Any:
    """The first columns of H₁ H₂ …, with Hᵢ = I − τᵢ vᵢ vᵢᵀ and vᵢ the i-th column of A from a 1 on the diagonal down."""
    name = "torch.linalg.householder_product"
    if a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if a.shape[-2] < a.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if a.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau.ndim} and "
            f"input.ndim is equal to {a.ndim}"
        )
    if a.shape[-1] < tau.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    rows, columns = a.shape[-2:]
    dtype = numpy_dtype(a)
    found: Any = np.broadcast_to(np.eye(rows, columns, dtype=dtype), (*a.shape[:-2], rows, columns))
    vectors = xp.add(xp.tril(a, diagonal=-1), np.eye(rows, columns, dtype=dtype))
    for k in reversed(range(tau.shape[-1])):
        v = xp.index(vectors, index=(Ellipsis, slice(k, k + 1)))
        scale = xp.index(tau, index=(Ellipsis, slice(k, k + 1), None))
        found = xp.sub(found, xp.matmul(xp.mul(v, scale), xp.matmul(xp.mT(v), found)))
    return found if tau.shape[-1] else xp.add(xp.mul(a, 0.0), found)


composite(
    "householder_product", _householder_product, functions=("linalg.householder_product", "orgqr"), methods=("orgqr",),
    grad_fn="LinalgHouseholderProductBackward0",
    samples=(Sample(((3, 2), (2,))),),
)  # fmt: skip
