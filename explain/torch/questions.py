"""Functions that ask about tensors and answer in Python's own values."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.tape.tensor import Size, Tensor, leaf
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


def is_complex(input: Tensor) -> bool:
    """Whether the entries are complex numbers: there are none here."""
    check_tensor("is_complex", input)
    return False


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    check_tensor("is_signed", input)
    return input.array.dtype.kind != "u"


def isreal(input: Tensor) -> Tensor:
    """Where entries are real: everywhere."""
    check_tensor("isreal", input)
    return leaf(np.ones(input.array.shape, bool))


def real(input: Tensor) -> Tensor:
    """The real part: the very same tensor."""
    check_tensor("real", input)
    return input


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which of the elements occur among the others."""
    a, b = (np.asarray(t.array if isinstance(t, Tensor) else t) for t in (elements, test_elements))
    return leaf(np.asarray(np.isin(a, b, invert=invert))[()])


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that shapes have in common when axes of size 1 are repeated. Raises torch's RuntimeError."""
    sizes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    rank = max(map(len, sizes), default=0)
    common = (1,) * rank
    for at, shape in enumerate(sizes):
        for k in range(-1, -len(shape) - 1, -1):
            if shape[k] not in (1, common[k]) and common[k] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[k]} at {k}! Mismatching argument at index {at} "
                    f"had {shape}; but expected shape should be broadcastable to {list(common)}"
                )
        common = tuple([n if m == 1 else m for m, n in zip(common, (1,) * (rank - len(shape)) + shape, strict=True)])
    return Size(common)


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions counted row by row as positions along each axis."""
    check_tensor("unravel_index", indices)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    return tuple([leaf(np.asarray(p)[()]) for p in np.unravel_index(indices.array, sizes)])


def detach(input: Tensor) -> Tensor:
    """The values without their history, in the same memory."""
    check_tensor("detach", input)
    return input.detach()
