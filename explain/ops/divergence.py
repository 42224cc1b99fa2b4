"""Losses that compare distributions: Kullback-Leibler divergence, Gaussian and Poisson negative log-likelihood."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import Sample, numpy_dtype, plain_array
from explain.ops.loss import composed, reduction_of
from explain.ops.registry import composite

PAIR = (Sample(((2, 3), (2, 3))),)


def _kl_div(
    xp: Any,
    input: Any,
    target: Any,
    *,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """t (log t − x) for a log-probability x and a probability t (with ``log_target`` its logarithm)."""
    batch = reduction == "batchmean"
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only "
            "by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as "
            "'batchmean' in the next major release.",
            stacklevel=4,
        )
    reduction = reduction_of("sum" if batch else reduction, size_average, reduce)
    if numpy_dtype(input).kind != "f" or numpy_dtype(target).kind != "f":
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if log_target:
        losses = xp.mul(xp.exp(target), xp.sub(target, input))
    else:
        losses = xp.sub(xp.xlogy(target, target), xp.mul(target, input))
    loss = composed(xp, losses, reduction)
    return xp.div(loss, input.shape[0]) if batch and input.ndim else loss


composite("kl_div", _kl_div, functions=("F.kl_div",), samples=PAIR)


def _poisson_nll_loss(
    xp: Any,
    input: Any,
    target: Any,
    *,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """e^x − t x for the logarithm x of a rate and a count t; without ``log_input``, x − t log(x + ε). ``full`` adds
    Stirling's approximation of log t!."""
    reduction = reduction_of(reduction, size_average, reduce)
    if log_input:
        losses = xp.sub(xp.exp(input), xp.mul(target, input))
    else:
        losses = xp.sub(input, xp.mul(target, xp.log(xp.add(input, eps))))
    if full:
        stirling = xp.add(xp.sub(xp.mul(target, xp.log(target)), target), xp.mul(xp.log(xp.mul(target, 2 * math.pi)), 0.5))
        losses = xp.add(losses, xp.where(xp.less_equal(target, 1), 0.0, stirling))
    return composed(xp, losses, reduction)


composite("poisson_nll_loss", _poisson_nll_loss, functions=("F.poisson_nll_loss",), samples=PAIR)


def _gaussian_nll_loss(
    xp: Any, input: Any, target: Any, var: Any, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """(log v + (x − t)²/v)/2 for a mean x, a variance v and an outcome t. Variances below ε are taken for ε, but get the
    gradient all the same."""
    values = plain_array(var) if not isinstance(var, float) else var
    if np.any(values < 0):
        raise ValueError("var has negative entry/entries")
    if isinstance(var, float):
        var = np.full(input.shape, var, numpy_dtype(input))[()]
    elif tuple(var.shape) != tuple(input.shape):
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = xp.unsqueeze(var, dim=-1)
        elif input.ndim != var.ndim or sum(m for n, m in zip(input.shape, var.shape, strict=True) if n != m) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not valid")
    values = plain_array(var)
    if np.any(values < eps):
        var = xp.add(var, (np.maximum(values, values.dtype.type(eps)) - values)[()])
    losses = xp.mul(xp.add(xp.log(var), xp.div(xp.pow(xp.sub(input, target), 2), var)), 0.5)
    if full:
        losses = xp.add(losses, 0.5 * math.log(2 * math.pi))
    return composed(xp, losses, reduction)


composite(
    "gaussian_nll_loss",
    _gaussian_nll_loss,
    functions=("F.gaussian_nll_loss",),
    numbers=(2,),
    samples=(Sample(((2, 3), (2, 3), np.array([[0.5, 1.0, 2.0], [1.5, 0.25, 1.0]]))),),
)
