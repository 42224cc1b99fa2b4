"""Covariances and correlations, rows of bounded norm. All are made of other ops."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import Sample, axes, numpy_dtype, plain_array, word
from explain.ops.registry import composite


def _cov(xp: Any, x: Any, fweights: Any = None, aweights: Any = None, *, correction: float = 1) -> Any:
    """The covariances of the rows: each column is one observation, counted and weighed if so asked."""
    if x.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {x.ndim} dimensions"
        )
    if numpy_dtype(x).kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = xp.reshape(x, shape=(1, math.prod(x.shape))) if x.ndim < 2 else x
    count = rows.shape[1]
    weights = _observation_weights(xp, rows, fweights, aweights)
    total: Any = count if weights is None else xp.sum(weights)
    mean = xp.div(xp.sum(rows if weights is None else xp.mul(rows, weights), dim=1, keepdim=True), total)
    if weights is not None and aweights is not None and correction:
        below = xp.sub(total, xp.div(xp.mul(xp.sum(xp.mul(weights, aweights)), correction), total))
    else:
        below = total - correction if weights is None else xp.sub(total, correction)
    if np.any((below if isinstance(below, int | float) else plain_array(below)) <= 0):
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=4,
        )
        below = 0
    centred = xp.sub(rows, mean)
    found = xp.matmul(centred, xp.mT(centred if weights is None else xp.mul(centred, weights)))
    found = xp.div(found, below)
    return xp.squeeze(found) if found.shape == (1, 1) else found


def _observation_weights(xp: Any, rows: Any, fweights: Any, aweights: Any) -> Any:
    """How often each observation counts, or None: all once. Raises torch's errors."""
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if weights is None:
            continue
        expected = f"cov(): expected {name} to have"
        kind = numpy_dtype(weights).kind
        if weights.ndim > 1:
            raise RuntimeError(f"{expected} one or fewer dimensions but got {name} with {weights.ndim} dimensions")
        if (kind in "iu") != (name == "fweights") or kind == "b":
            what = "integral" if name == "fweights" else "floating point"
            raise RuntimeError(f"{expected} {what} dtype but got {name} with {word(numpy_dtype(weights))} dtype")
        size = weights.shape[0] if weights.ndim else 1
        if size != rows.shape[1]:
            raise RuntimeError(
                f"{expected} the same numel as there are observations in the input but got {size} != {rows.shape[1]}"
            )
        if np.any(plain_array(weights) < 0):
            raise RuntimeError(f"cov(): {name} cannot be negative")
    if fweights is None or aweights is None:
        return fweights if aweights is None else aweights
    return xp.mul(fweights, aweights)


def _corrcoef(xp: Any, x: Any) -> Any:
    """The covariances of the rows over the product of their deviations."""
    if x.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {x.ndim} dimensions"
        )
    found = _cov(xp, x)
    if not found.ndim:
        return xp.div(found, found)
    deviation = xp.sqrt(xp.diagonal(found))
    found = xp.div(xp.div(found, xp.unsqueeze(deviation, dim=-1)), deviation)
    values = plain_array(found)
    beyond = values - np.clip(values, -1, 1)
    # rounding alone leads beyond ±1; a clamp would be at its kink there, where the derivative is 0 anyway
    return xp.sub(found, beyond) if np.any(beyond) else found


def _renorm(xp: Any, x: Any, *, p: float, dim: int, maxnorm: float) -> Any:
    """Each slice along ``dim`` whose p-norm is larger than ``maxnorm`` scaled down to it."""
    if x.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {x.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    (axis,) = axes(dim, x.ndim)
    size = xp.norm(x, p=p, dim=tuple([k for k in range(x.ndim) if k != axis]), keepdim=True)
    scale = xp.mul(xp.reciprocal(xp.add(size, 1e-7)), maxnorm)
    return xp.mul(x, xp.where(xp.greater(size, maxnorm), scale, 1.0))


_ONE = (Sample(((2, 3),)),)
composite(
    "cov", _cov, grad_fn="SqueezeBackward0",
    functions=("cov",), methods=("cov",), order=("x", "correction", "fweights", "aweights"), numbers=(),
    samples=_ONE,
)  # fmt: skip
composite(
    "corrcoef",
    _corrcoef,
    grad_fn=lambda shapes, options: "ClampBackward1" if len(shapes[0] or ()) > 1 else "",
    functions=("corrcoef",),
    methods=("corrcoef",),
    samples=_ONE,
)
composite(
    "renorm", _renorm, grad_fn="RenormBackward0", functions=("renorm",), methods=("renorm",), in_place=True,
    samples=(Sample(((2, 3),), {"p": 2, "dim": 0, "maxnorm": 1.0}),),
)  # fmt: skip
