"""Entrywise operations: arithmetic, powers, exponentials, trigonometry, activations, choices between two entries.

Comparisons with a kink say what PyTorch chooses there; ``special`` finds such points so that a page can name them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from explain.ops.base import Options, Sample, Shape
from explain.ops.entrywise import elementwise

POSITIVE = (0.3, 2.5)


def _reflected_name(plain: str, reflected: str) -> Any:
    """Torch has another backward node when the left operand is a Python number."""

    def grad_fn(shapes: tuple[Shape, ...], options: Options) -> str:
        return reflected if shapes[0] is None else plain

    return grad_fn


NO_MASKS = "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."


def _no_mask_minus(kinds: tuple[str, ...], numbers: tuple[Any, ...]) -> Exception | None:
    if kinds == ("b", "b"):
        return RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator "
            "instead."
        )
    return (
        RuntimeError(f"Subtraction, the `-` operator, with a bool tensor is not supported. {NO_MASKS}")
        if "b" in kinds
        else None
    )


def _no_minus_mask(kinds: tuple[str, ...], numbers: tuple[Any, ...]) -> Exception | None:
    return (
        RuntimeError(f"Negation, the `-` operator, on a bool tensor is not supported. {NO_MASKS}") if "b" in kinds else None
    )


def _no_masks(error: Exception) -> Any:
    """Refuses where all inputs are masks."""
    return lambda kinds, numbers: error if set(kinds) == {"b"} else None


ADD = elementwise(
    "add",
    operator.add,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: g),
    formula=lambda s, a, b: a + b,
    functions=("add",),
    methods=("add",),
    operator="+",
    rule="add",
)
SUB = elementwise(
    "sub",
    operator.sub,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: -g),
    formula=lambda s, a, b: a - b,
    functions=("sub", "subtract"),
    methods=("sub", "subtract"),
    operator="-",
    grad_fn_of=_reflected_name("SubBackward0", "RsubBackward1"),
    refuses=_no_mask_minus,
    rule="sub",
)
MUL = elementwise(
    "mul",
    operator.mul,
    (lambda xp, g, y, a, b: g * b, lambda xp, g, y, a, b: g * a),
    formula=lambda s, a, b: a * b,
    uses=("b", "a"),
    functions=("mul", "multiply"),
    methods=("mul", "multiply"),
    operator="*",
    rule="mul",
)
DIV = elementwise(
    "div",
    operator.truediv,
    (lambda xp, g, y, a, b: g / b, lambda xp, g, y, a, b: -g * (a / b / b)),
    formula=lambda s, a, b: a / b,
    uses=("b", "a b"),
    functions=("div", "divide", "true_divide"),
    methods=("div", "divide", "true_divide"),
    operator="/",
    promotion="float",
    grad_fn_of=_reflected_name("DivBackward0", "MulBackward0"),
    special={"pole": lambda a, b: b == 0},
    rule="div",
    samples=tuple(
        Sample((a, b))
        for a, b in (
            ((2, 3), np.array([[0.5, -2.0, 1.5], [3.0, 0.7, -1.0]])),
            ((2, 3), np.array([1.5, -0.5, 2.0])),
            ((2, 1), np.array([[2.0, 4.0, -3.0]])),
            ((), np.array([1.0, -2.0])),
            ((2, 3), np.array(-1.5)),
        )
    ),
)
NEG = elementwise(
    "neg",
    operator.neg,
    lambda xp, g, y, x: -g,
    formula=lambda s, x: -x,
    functions=("neg", "negative"),
    methods=("neg", "negative"),
    operator="neg",
    refuses=_no_minus_mask,
    rule="neg",
)


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
    grad_fn_of=lambda shapes, options: (
        "PowBackward0" if shapes[1] is None else "PowBackward2" if shapes[0] is None else "PowBackward1"
    ),
    special={"pole": lambda a, b: (a <= 0) & (b != np.floor(b)) | (a == 0) & (b < 1)},
    rule="pow",
    refuses=_no_power,
    domain=POSITIVE,
)
ABS = elementwise(
    "abs",
    np.abs,
    lambda xp, g, y, x: g * xp.sign(x),
    definition=lambda s, x: s.where(x >= 0, x, -x),
    slopes=lambda s, y, x: s.function("sign", x),
    uses="x",
    functions=("abs", "absolute"),
    methods=("abs", "absolute"),
    special={"kink": lambda x: x == 0},
    refuses=_no_masks(NotImplementedError("\"abs_cpu\" not implemented for 'Bool'")),
    rule="abs",
)
SIGN = elementwise(
    "sign",
    lambda x: np.greater(x, 0).astype(x.dtype) - np.less(x, 0).astype(x.dtype) if x.dtype.kind != "b" else x,
    lambda xp, g, y, x: xp.zero(g),
    definition=lambda s, x: s.where(x > 0, 1, s.where(x < 0, -1, 0)),
    slopes=lambda s, y, x: 0,
    functions=("sign", "sgn"),
    methods=("sign", "sgn"),
    special={"kink": lambda x: x == 0},
    rule="flat",
)
EXP = elementwise(
    "exp",
    np.exp,
    lambda xp, g, y, x: g * y,
    slopes=lambda s, y, x: y,
    uses="y",
    functions=("exp",),
    methods=("exp",),
    promotion="float",
    rule="exp",
)
LOG = elementwise(
    "log",
    np.log,
    lambda xp, g, y, x: g / x,
    slopes=lambda s, y, x: 1 / x,
    uses="x",
    functions=("log",),
    methods=("log",),
    promotion="float",
    domain=POSITIVE,
    special={"pole": lambda x: x <= 0},
    rule="log",
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
SIN = elementwise(
    "sin",
    np.sin,
    lambda xp, g, y, x: g * xp.cos(x),
    slopes=lambda s, y, x: s.function("cos", x),
    uses="x",
    functions=("sin",),
    methods=("sin",),
    promotion="float",
    rule="sin",
)
COS = elementwise(
    "cos",
    np.cos,
    lambda xp, g, y, x: -g * xp.sin(x),
    slopes=lambda s, y, x: -s.function("sin", x),
    uses="x",
    functions=("cos",),
    methods=("cos",),
    promotion="float",
    rule="cos",
)
TAN = elementwise(
    "tan",
    np.tan,
    lambda xp, g, y, x: g * (1 + y * y),
    slopes=lambda s, y, x: 1 + y**2,
    uses="y",
    functions=("tan",),
    methods=("tan",),
    promotion="float",
    domain=(-1.2, 1.2),
    rule="tan",
)
TANH = elementwise(
    "tanh",
    np.tanh,
    lambda xp, g, y, x: g * (1 - y * y),
    slopes=lambda s, y, x: 1 - y**2,
    uses="y",
    functions=("tanh",),
    methods=("tanh",),
    promotion="float",
    rule="tanh",
)


def _sigmoid(x: Any) -> Any:
    z = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, z) / (1 + z)


SIGMOID = elementwise(
    "sigmoid",
    lambda x: _sigmoid(x).astype(x.dtype)[()],
    lambda xp, g, y, x: g * (y * (1 - y)),
    definition=lambda s, x: 1 / (1 + s.function("exp", -x)),
    slopes=lambda s, y, x: y * (1 - y),
    uses="y",
    functions=("sigmoid",),
    methods=("sigmoid",),
    promotion="float",
    latex=r"\sigma",
    rule="sigmoid",
)
RELU = elementwise(
    "relu",
    lambda x: np.maximum(x, x.dtype.type(0)),
    lambda xp, g, y, x: xp.where(y <= 0, 0.0, g),
    definition=lambda s, x: s.where(x > 0, x, 0),
    slopes=lambda s, y, x: s.indicator(x > 0),
    uses="y",
    functions=("relu",),
    methods=("relu",),
    special={"kink": lambda x: x == 0},
    refuses=_no_masks(RuntimeError("Boolean inputs not supported for relu")),
    rule="relu",
)


def _shared(xp: Any, g: Any, lost: Any, tie: Any) -> Any:
    """Torch's rule for the larger (or smaller) of two: half to each at a tie; where one is nan, all to both."""
    return xp.where(lost, 0.0, xp.where(tie, g / 2, g))


MAXIMUM = elementwise(
    "maximum",
    np.maximum,
    (lambda xp, g, y, a, b: _shared(xp, g, a < b, a == b), lambda xp, g, y, a, b: _shared(xp, g, b < a, a == b)),
    definition=lambda s, a, b: s.where(a >= b, a, b),
    slopes=(
        lambda s, y, a, b: s.indicator(a > b) + s.indicator(s.equal(a, b)) / 2,
        lambda s, y, a, b: s.indicator(b > a) + s.indicator(s.equal(a, b)) / 2,
    ),
    uses=("a b", "a b"),
    functions=("maximum",),
    methods=("maximum",),
    latex=r"\max",
    special={"tie": lambda a, b: a == b},
    rule="maximum",
)
MINIMUM = elementwise(
    "minimum",
    np.minimum,
    (lambda xp, g, y, a, b: _shared(xp, g, a > b, a == b), lambda xp, g, y, a, b: _shared(xp, g, b > a, a == b)),
    definition=lambda s, a, b: s.where(a <= b, a, b),
    slopes=(
        lambda s, y, a, b: s.indicator(a < b) + s.indicator(s.equal(a, b)) / 2,
        lambda s, y, a, b: s.indicator(b < a) + s.indicator(s.equal(a, b)) / 2,
    ),
    uses=("a b", "a b"),
    functions=("minimum",),
    methods=("minimum",),
    latex=r"\min",
    special={"tie": lambda a, b: a == b},
    rule="maximum",
)
