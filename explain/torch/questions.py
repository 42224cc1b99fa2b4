"""Functions that ask about tensors and answer in Python's own values."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.tape.tensor import Tensor
from explain.torch.creation import check_tensor


def is_tensor(obj: Any) -> bool:
    """Whether something is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether a tensor can require gradients."""
    return input.is_floating_point()


def is_nonzero(input: Tensor) -> bool:
    """Whether the only entry is not zero. Raises torch's RuntimeError if there are more or none."""
    return bool(input)


def numel(input: Tensor) -> int:
    """The number of entries."""
    check_tensor("numel", input)
    return input.numel()


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and entries."""
    check_tensor("equal", input)
    if not isinstance(other, Tensor):
        raise TypeError(f"equal(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    return input.array.shape == other.array.shape and bool(np.array_equal(input.array, other.array))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all entries are close: |a - b| <= atol + rtol |b|. Raises torch's RuntimeError for unequal dtypes."""
    check_tensor("allclose", input)
    if input.array.dtype != other.array.dtype:
        names = (input.dtype.legacy, other.dtype.legacy)
        raise RuntimeError("{} did not match {}".format(*names))
    a, b = input.array, other.array
    if a.dtype.kind != "f":
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def typename(obj: Any) -> str:
    """The name of a type as torch says it."""
    return obj.type() if isinstance(obj, Tensor) else type(obj).__qualname__
