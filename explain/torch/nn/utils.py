"""``nn.utils``: gradients clipped, parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from explain.tape.apply import TAPED
from explain.tape.inplace import write
from explain.tape.tensor import Tensor, wrap


def _gradients(parameters: Any) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.gradient for p in given if p.gradient is not None]


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0, **options: Any) -> Tensor:
    """The norm of all entries together."""
    arrays = [np.asarray(t.array) for t in tensors]
    if not arrays:
        return wrap(np.float32(0))
    kind = arrays[0].dtype.type
    norms = [np.linalg.norm(a.ravel(), float(norm_type)) for a in arrays]
    return wrap(kind(np.linalg.norm(np.array(norms, arrays[0].dtype), float(norm_type))))


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """Scale all gradients so that their norm together is at most ``max_norm``. Returns the norm before."""
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type)
    if error_if_nonfinite and not np.isfinite(total.array):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    factor = min(1.0, float(max_norm) / (float(total.array) + 1e-6))
    for g in gradients:
        write(g, g.array * g.array.dtype.type(factor))
    return total


clip_grad_norm = clip_grad_norm_


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Bound every entry of every gradient."""
    for g in _gradients(parameters):
        write(g, np.clip(g.array, -float(clip_value), float(clip_value)))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All entries in one row."""
    return TAPED.cat(*(p.reshape(-1) for p in parameters), dim=0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """The entries of one row back into the parameters."""
    at = 0
    for p in parameters:
        p.data = vec[at : at + p.numel()].view(*p.shape).data
        at += p.numel()
