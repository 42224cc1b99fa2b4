"""What happens to the dtypes of operands before an op runs: torch's promotion, and numbers that become arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op
from explain.tape import dtypes
from explain.tape.dtypes import BY_NUMPY, FLOAT32
from explain.tape.tensor import Tensor

KEPT_CONSTANTS = 4096
_scalars: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
_arrays: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})


def constant(value: Any, like: Any) -> Any:
    """A Python number in the dtype of ``like`` (float32 or float64): a numpy scalar beside numpy scalars, else 0-d.

    numpy needs twice the time for an array and a Python number, so constants are made once and kept.
    """
    tables = _arrays if like.__class__ is np.ndarray else _scalars
    table = tables[0] if like.dtype is FLOAT32 else tables[1]
    try:
        return table[value]
    except KeyError:
        found = _array(value, like.dtype)
        if tables is _scalars:
            found = found[()]
        else:
            found.flags.writeable = False
        # 0.0 and -0.0 are equal as keys, and nan never is
        if value and value == value and len(table) < KEPT_CONSTANTS:
            table[value] = found
        return found


def _array(value: Any, dtype: np.dtype) -> np.ndarray:
    return np.array(value).astype(dtype)


def promoted(op: Op, ins: tuple[Any, ...]) -> list[Any]:
    """The inputs as arrays of the dtypes that the op computes in. Raises torch's errors for dtypes that do not fit."""
    arrays = [t.array if isinstance(t, Tensor) else t for t in ins]
    if op.refuses is not None:
        kinds = tuple([(a if isinstance(t, Tensor) else np.asarray(t)).dtype.kind for t, a in zip(ins, arrays, strict=True)])
        error = op.refuses(kinds, tuple([None if isinstance(t, Tensor) else t for t in ins]))
        if error is not None:
            raise error
    rule = op.promotion
    if rule == "keep":
        return arrays
    if rule == "match":
        _refuse_mixture(op, arrays)
        return arrays
    if rule == "common_tail":
        return [arrays[0], *_common(ins[1:], arrays[1:], False)]
    if len(ins) == 1 and isinstance(ins[0], Tensor):
        return arrays if rule != "float" or arrays[0].dtype.kind == "f" else [arrays[0].astype(dtypes.default.floating)]
    return _common(ins, arrays, rule == "float")


def _common(ins: tuple[Any, ...], arrays: list[Any], to_float: bool) -> list[Any]:
    operands = []
    for t, array in zip(ins, arrays, strict=True):
        if isinstance(t, Tensor):
            operands.append((array.dtype, 2 if array.ndim else 1))
        else:
            operands.append((dtypes.of_number(t), 0))
    dtype = dtypes.result_type(operands)
    if to_float and dtype.kind != "f":
        dtype = dtypes.default.floating
    return [
        (array if array.dtype is dtype else array.astype(dtype)) if isinstance(t, Tensor) else _array(t, dtype)[()]
        for t, array in zip(ins, arrays, strict=True)
    ]


def _refuse_mixture(op: Op, arrays: list[Any]) -> None:
    first = arrays[0].dtype
    for array in arrays[1:]:
        if array.dtype != first:
            a, b = BY_NUMPY[first], BY_NUMPY[array.dtype]
            if op.name == "dot":
                raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {a.legacy} and {b.legacy}")
            raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a.c_name} != {b.c_name}")
