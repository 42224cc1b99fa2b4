"""Entrywise powers and roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample, numpy_dtype
from explain.ops.entrywise import FEW, POSITIVE, by_number, elementwise
from explain.ops.registry import composite


def _no_power(kinds: tuple[str, ...], numbers: tuple[Any, ...]) -> Exception | None:
    exponent = numbers[1]
    if kinds == ("b", "b") and exponent is not True:
        return NotImplementedError("\"pow\" not implemented for 'Bool'")
    if "f" not in kinds and exponent is not None and exponent < 0:
        return RuntimeError("Integers to negative integer powers are not allowed.")
    return None


def _power(a: Any, b: Any) -> Any:
    if a.dtype.kind != "f":
        return _integer_power(a, b)
    if b.ndim == 0:
        known = _POWERS.get(float(b))
        if known is not None:
            return known(a)
    return a**b


# as in torch, and faster: numpy's cube is three times slower than two products
_POWERS: dict[float, Any] = {
    2.0: lambda a: a * a,
    3.0: lambda a: a * a * a,
    0.5: np.sqrt,
    -0.5: lambda a: 1 / np.sqrt(a),
    -1.0: lambda a: 1 / a,
    -2.0: lambda a: 1 / (a * a),
}


def _integer_power(a: Any, b: Any) -> Any:
    """Negative powers of integers, which torch allows between tensors: 1 for 1, alternating for -1, else 0."""
    if not np.any(b < 0):
        return a**b if a.dtype.kind != "b" else a
    sign = np.where((a == -1) & (b % 2 != 0), -1, 1)
    return np.where(b < 0, np.where(np.abs(a) == 1, sign, 0), a ** np.maximum(b, 0)).astype(a.dtype)[()]


def _power_base(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    if np.ndim(b) == 0 and not hasattr(b, "requires_grad"):
        return xp.zero(g) if b == 0 else g * (b * xp.pow(a, b - 1))
    return xp.where(b == 0, 0.0, g * (b * a ** (b - 1)))  # 0**0 has slope 0 in its base, where 0 * 0**-1 is nan


def _power_exponent(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(a, int | float):
        slope = y * float(np.log(a))
        return g * (slope if a != 0 else xp.where(b >= 0, 0.0, slope))
    return g * xp.where(xp.logical_and(a == 0, b >= 0), 0.0, y * xp.log(a))


POW = elementwise(
    "pow",
    _power,
    (_power_base, _power_exponent),
    formula=lambda s, a, b: a**b,
    uses=("a b", "a b y"),
    functions=("pow",),
    methods=("pow",),
    operator="**",
    grad_fn_of=by_number("PowBackward1", first="PowBackward2", last="PowBackward0"),
    special={"pole": lambda a, b: (a <= 0) & (b != np.floor(b)) | (a == 0) & (b < 1)},
    rule="pow",
    refuses=_no_power,
    domain=POSITIVE,
)
SQUARE = elementwise(
    "square",
    lambda x: x * x if x.dtype.kind != "b" else x.astype(np.int64),
    lambda xp, g, y, x: g * (2 * x),
    formula=lambda s, x: x**2,
    uses="x",
    functions=("square",),
    methods=("square",),
    grad_fn="PowBackward0",
    rule="pow",
    samples=(Sample(((2, 3),)), Sample(((),))),
)
SQRT = elementwise(
    "sqrt",
    np.sqrt,
    lambda xp, g, y, x: g / (2 * y),
    formula=lambda s, x: x ** s.number(0.5),
    uses="y",
    functions=("sqrt",),
    methods=("sqrt",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="sqrt",
)
RSQRT = elementwise(
    "rsqrt",
    lambda x: 1 / np.sqrt(x),
    lambda xp, g, y, x: g * (y * y * y) / -2,
    formula=lambda s, x: x ** -s.number(0.5),
    uses="y",
    functions=("rsqrt",),
    methods=("rsqrt",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="rsqrt",
    samples=(Sample(((2, 3),)), Sample(((),))),
)
RECIPROCAL = elementwise(
    "reciprocal",
    np.reciprocal,
    lambda xp, g, y, x: -g * (y * y),
    formula=lambda s, x: 1 / x,
    uses="y",
    functions=("reciprocal",),
    methods=("reciprocal",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x == 0},
    rule="reciprocal",
    samples=(Sample(((2, 3),)), Sample(((),))),
)


def _float_power(xp: Any, a: Any, b: Any) -> Any:
    """The power, computed in float64 whatever the dtypes are."""

    def double(t: Any) -> Any:
        plain = isinstance(t, int | float) or numpy_dtype(t) == np.float64
        return t if plain else xp.to(t, dtype=np.dtype(np.float64))

    return xp.pow(double(a), double(b))


FLOAT_POWER = composite(
    "float_power", _float_power, functions=("float_power",), methods=("float_power",), numbers=(0, 1), samples=FEW
)
