"""Torch's dtypes over numpy's, and torch's promotion rules, which differ from numpy's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BOOL, INTEGER, FLOATING = 0, 1, 2


@dataclass(frozen=True)
class DType:
    """A torch dtype: ``name`` as torch writes it, the numpy dtype that holds it, its kind (bool < integer < floating)."""

    name: str
    numpy: np.dtype
    kind: int
    legacy: str  # the word in torch.FloatTensor
    c_name: str  # the word in "to have the same dtype, but got: float != double"

    @property
    def is_floating_point(self) -> bool:
        """Only these can require gradients."""
        return self.kind == FLOATING

    @property
    def is_complex(self) -> bool:
        """There are no complex numbers here."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether there are negative numbers in it."""
        return self.name not in ("bool", "uint8")

    @property
    def itemsize(self) -> int:
        """Bytes per entry."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"torch.{self.name}"


_TABLE = (
    ("bool", np.bool_, BOOL, "Bool", "bool"),
    ("uint8", np.uint8, INTEGER, "Byte", "unsigned char"),
    ("int8", np.int8, INTEGER, "Char", "signed char"),
    ("int16", np.int16, INTEGER, "Short", "short"),
    ("int32", np.int32, INTEGER, "Int", "int"),
    ("int64", np.int64, INTEGER, "Long", "long int"),
    ("float16", np.float16, FLOATING, "Half", "c10::Half"),
    ("float32", np.float32, FLOATING, "Float", "float"),
    ("float64", np.float64, FLOATING, "Double", "double"),
)
BY_NUMPY: dict[np.dtype, DType] = {np.dtype(n): DType(t, np.dtype(n), k, w, c) for t, n, k, w, c in _TABLE}
BY_NAME: dict[str, DType] = {d.name: d for d in BY_NUMPY.values()} | {
    "float": BY_NUMPY[np.dtype(np.float32)],
    "double": BY_NUMPY[np.dtype(np.float64)],
    "half": BY_NUMPY[np.dtype(np.float16)],
    "long": BY_NUMPY[np.dtype(np.int64)],
    "int": BY_NUMPY[np.dtype(np.int32)],
    "short": BY_NUMPY[np.dtype(np.int16)],
}
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)


class Default:
    """``floating``: the dtype of Python floats and of what is made of nothing, which ``set_default_dtype`` changes."""

    floating = FLOAT32


default = Default()


def of_number(value: Any) -> np.dtype:
    """Torch's dtype of a Python number: float32 (or the default one), int64 or bool. Raises TypeError for anything else."""
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int):
        return INT64
    if isinstance(value, float):
        return default.floating
    raise TypeError(f"not a number: {type(value).__name__}")


def as_numpy(dtype: Any) -> np.dtype:
    """A numpy dtype from a DType, torch's name of one, or numpy's own. Raises TypeError for what torch does not have."""
    if isinstance(dtype, DType):
        return dtype.numpy
    if isinstance(dtype, str) and dtype.removeprefix("torch.") in BY_NAME:
        return BY_NAME[dtype.removeprefix("torch.")].numpy
    found = np.dtype(dtype)
    if found not in BY_NUMPY:
        raise TypeError(f"torch has no dtype for {dtype!r}; there are: {', '.join(d.name for d in BY_NUMPY.values())}")
    return found


def result_type(operands: list[tuple[np.dtype, int]]) -> np.dtype:
    """Torch's common dtype of operands given as (dtype, rank): rank 2 with dimensions, 1 for 0-d tensors, 0 for numbers.

    A higher rank decides; an operand of lower rank counts only if its kind (bool, integer, floating) is higher.
    """
    best: np.dtype | None = None
    for rank in (2, 1, 0):
        same = [dtype for dtype, r in operands if r == rank]
        if not same:
            continue
        found = same[0]
        for dtype in same[1:]:
            found = _widen(found, dtype)
        if best is None or BY_NUMPY[found].kind > BY_NUMPY[best].kind:
            best = found
    assert best is not None
    return best


def _widen(a: np.dtype, b: np.dtype) -> np.dtype:
    if a == b:
        return a
    kind_a, kind_b = BY_NUMPY[a].kind, BY_NUMPY[b].kind
    if FLOATING in (kind_a, kind_b) and kind_a != kind_b:
        return a if kind_a == FLOATING else b  # float16 + int64 stays float16 in torch, becomes float64 in numpy
    return np.promote_types(a, b)
