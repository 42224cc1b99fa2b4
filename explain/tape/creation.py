"""``tensor``: Python numbers, nested lists and arrays become tensors, with the dtype that torch gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from explain.tape import dtypes
from explain.tape.dtypes import BY_NUMPY, INT64
from explain.tape.tensor import Tensor, leaf
from explain.tape.warn import warn

COPY = (
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor)."
)
_BOOL = np.dtype(np.bool_)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf holding a copy of ``data``: a number, nested sequences of numbers (or 0-d tensors), an array.

    ``dtype``: as in torch (a DType, its name, a numpy dtype); by default float32 for Python floats, int64 for integers,
    bool for truth values, and an array's own. Raises torch's TypeError, ValueError and RuntimeError for anything else,
    and its RuntimeError for integers that shall require gradients.
    """
    wanted = None if dtype is None else dtypes.as_numpy(dtype)
    if isinstance(data, Tensor):
        warn(COPY)
        array = np.array(data.array)
    elif isinstance(data, np.ndarray | np.generic):
        array = np.array(data)
        check_array(array)
    else:
        shape = _shape(data)
        numbers: list[Any] = []
        _collect(data, shape, 0, numbers)
        found = wanted or _common(numbers)
        array = _filled(numbers, found).reshape(shape)
    if wanted is not None and array.dtype != wanted:
        array = array.astype(wanted)
    literal = data if isinstance(data, int | float) and not isinstance(data, bool) else None
    return leaf(array if array.ndim else array[()], requires_grad, literal=literal)


def check_array(array: np.ndarray) -> None:
    """Raise torch's TypeError for an array of a dtype that tensors do not have."""
    if array.dtype not in BY_NUMPY:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. The only supported types are: "
            "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
            "uint8, and bool."
        )


def _is_sequence(data: Any) -> bool:
    return (isinstance(data, Sequence) and not isinstance(data, str | bytes)) or (
        isinstance(data, np.ndarray) and data.ndim > 0
    )


def _shape(data: Any) -> tuple[int, ...]:
    sizes = []
    while _is_sequence(data):
        sizes.append(len(data))
        if not sizes[-1]:
            break
        data = data[0]
    return tuple(sizes)


def _collect(data: Any, shape: tuple[int, ...], depth: int, numbers: list[Any]) -> None:
    """Append the entries of nested sequences row by row. Raises torch's errors where they are not as ``shape`` says."""
    if depth == len(shape):
        numbers.append(_entry(data, depth))
        return
    if not _is_sequence(data):
        raise TypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})")
    for part in data:
        _collect(part, shape, depth + 1, numbers)


def _entry(data: Any, depth: int) -> Any:
    if isinstance(data, Tensor | np.ndarray):
        if data.ndim if isinstance(data, np.ndarray) else data.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return np.asarray(data.array if isinstance(data, Tensor) else data).reshape(())[()]
    if isinstance(data, bool | int | float | np.generic):
        return data
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if _is_sequence(data):
        raise TypeError(f"'{type(data).__name__}' object cannot be interpreted as an integer")
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _common(numbers: list[Any]) -> np.dtype:
    """The dtype of Python numbers and numpy scalars (which keep theirs); float32 where there is nothing."""
    own = {entry.dtype for entry in numbers if isinstance(entry, np.generic)}
    own |= {dtypes.of_number(entry) for entry in numbers if not isinstance(entry, np.generic)}
    if not own:
        return dtypes.default.floating
    return dtypes.result_type([(found, 2) for found in own])


def _filled(numbers: list[Any], dtype: np.dtype) -> np.ndarray:
    if dtype == INT64 and any(not -(2**63) <= int(number) < 2**63 for number in numbers):
        raise ValueError("Overflow when unpacking long long")
    if dtype.kind in "iu" and dtype != INT64:
        info = np.iinfo(dtype)
        if any(not info.min <= number <= info.max for number in numbers):
            raise RuntimeError(f"value cannot be converted to type {BY_NUMPY[dtype].name} without overflow")
    if dtype.kind == "f":
        numbers = [float(number) for number in numbers]
    return np.array(numbers, dtype)
