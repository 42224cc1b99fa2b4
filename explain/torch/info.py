"""What torch says of its number types: ``finfo``, ``iinfo``; and how tensors are printed."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.tape import dtypes
from explain.tape.dtypes import BY_NUMPY, FLOATING, DType


class finfo:
    """The limits of a floating dtype."""

    def __init__(self, dtype: DType | None = None) -> None:
        kind = dtypes.default.floating if dtype is None else dtypes.as_numpy(dtype)
        if kind.kind != "f":
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{BY_NUMPY[kind]}'"
            )
        info = np.finfo(kind)
        self.dtype = BY_NUMPY[kind].name
        self.bits = info.bits
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        numbers = ", ".join(
            f"{key}={getattr(self, key):.6g}" for key in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        )
        return f"finfo({numbers}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype."""

    def __init__(self, dtype: DType) -> None:
        kind = dtypes.as_numpy(dtype)
        if BY_NUMPY[kind].kind == FLOATING or kind.kind == "b":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{BY_NUMPY[kind]}'")
        info = np.iinfo(kind)
        self.dtype, self.bits = BY_NUMPY[kind].name, info.bits
        self.max, self.min = int(info.max), int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def can_cast(from_: DType, to: DType) -> bool:
    """Whether torch lets results of one dtype into a tensor of the other."""
    return from_.kind <= to.kind


def promote_types(a: DType, b: DType) -> DType:
    """The smallest dtype that both fit in, as torch sees it."""
    return BY_NUMPY[dtypes.result_type([(a.numpy, 2), (b.numpy, 2)])]


def result_type(a: Any, b: Any) -> DType:
    """The dtype of the result of an arithmetic operation between two tensors or numbers."""
    operands = [
        (t.array.dtype, 2 if t.array.ndim else 1) if hasattr(t, "array") else (dtypes.of_number(t), 0) for t in (a, b)
    ]
    return BY_NUMPY[dtypes.result_type(operands)]
