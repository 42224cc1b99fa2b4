"""Entrywise sums and products, and what combines the two."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from explain.ops.base import Sample, numpy_dtype
from explain.ops.entrywise import FEW, POSITIVE, by_number, elementwise
from explain.ops.registry import composite

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
    grad_fn_of=by_number("SubBackward0", first="RsubBackward1"),
    refuses=_no_mask_minus,
    rule="sub",
)


def _multiple(b: Any, alpha: Any) -> Any:
    """``alpha`` times b. Raises torch's errors for an alpha that the dtype does not hold."""
    if isinstance(alpha, bool) and b.dtype.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and b.dtype.kind != "f":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return b & bool(alpha) if b.dtype.kind == "b" else b * b.dtype.type(alpha)


ADD_SCALED = elementwise(
    "add_scaled",
    lambda a, b, *, alpha: a + _multiple(b, alpha),
    (lambda xp, g, y, a, b, alpha: g, lambda xp, g, y, a, b, alpha: g * alpha),
    formula=lambda s, a, b, alpha: a + s.literal(alpha) * b,
    functions=("add",),
    methods=("add",),
    grad_fn="AddBackward0",
    rule="add_scaled",
    samples=(Sample(((2, 3), (3,)), {"alpha": 2}), Sample(((), (2,)), {"alpha": -0.5})),
)
SUB_SCALED = elementwise(
    "sub_scaled",
    lambda a, b, *, alpha: a - _multiple(b, alpha),
    (lambda xp, g, y, a, b, alpha: g, lambda xp, g, y, a, b, alpha: -g * alpha),
    formula=lambda s, a, b, alpha: a - s.literal(alpha) * b,
    functions=("sub", "subtract"),
    methods=("sub", "subtract"),
    grad_fn="SubBackward0",
    refuses=_no_mask_minus,
    rule="add_scaled",
    samples=(Sample(((2, 3), (3,)), {"alpha": 2}), Sample(((), (2,)), {"alpha": -0.5})),
)
RSUB = elementwise(
    "rsub",
    lambda a, b, *, alpha=1: b - _multiple(a, alpha),
    (lambda xp, g, y, a, b, alpha=1: -g * alpha, lambda xp, g, y, a, b, alpha=1: g),
    formula=lambda s, a, b, alpha=1: b - s.literal(alpha) * a,
    functions=("rsub",),
    grad_fn_of=by_number("RsubBackward0", last="RsubBackward1"),
    numbers=(1,),
    refuses=_no_mask_minus,
    rule="add_scaled",
    samples=(Sample(((2, 3), (3,))), Sample(((), (2,)), {"alpha": 2})),
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
LDEXP = elementwise(
    "ldexp",
    lambda a, b: a * np.exp2(b),
    (lambda xp, g, y, a, b: g * xp.exp2(b), lambda xp, g, y, a, b: g * (y * float(np.log(2)))),
    formula=lambda s, a, b: a * 2**b,
    uses=("b", "y"),
    functions=("ldexp",),
    methods=("ldexp",),
    numbers=(),
    promotion="float",
    rule="mul",
    samples=FEW,
)
ADDCMUL = elementwise(
    "addcmul",
    lambda x, tensor1, tensor2, *, value=1: x + _multiple(tensor1 * tensor2, value),
    (
        lambda xp, g, y, x, a, b, value=1: g,
        lambda xp, g, y, x, a, b, value=1: g * (b * value),
        lambda xp, g, y, x, a, b, value=1: g * (a * value),
    ),
    formula=lambda s, x, a, b, value: x + s.literal(value) * a * b,
    uses=("", "tensor2", "tensor1"),
    functions=("addcmul",),
    methods=("addcmul",),
    numbers=(),
    rule="product_term",
    samples=(Sample(((2, 3), (3,), (2, 1))), Sample(((), (), (2,)), {"value": -0.5})),
)


def _quotient_term(tensor1: Any, tensor2: Any, value: Any) -> Any:
    if tensor1.dtype.kind != "f":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
            "division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
            "torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) "
            "for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / "
            "tensor2), for all dtypes."
        )
    return tensor1.dtype.type(value) * tensor1 / tensor2


ADDCDIV = elementwise(
    "addcdiv",
    lambda x, tensor1, tensor2, *, value=1: x + _quotient_term(tensor1, tensor2, value),
    (
        lambda xp, g, y, x, a, b, value=1: g,
        lambda xp, g, y, x, a, b, value=1: g * (value / b),
        lambda xp, g, y, x, a, b, value=1: -g * (a * value / (b * b)),
    ),
    formula=lambda s, x, a, b, value: x + s.literal(value) * a / b,
    uses=("", "tensor2", "tensor1 tensor2"),
    functions=("addcdiv",),
    methods=("addcdiv",),
    numbers=(),
    special={"pole": lambda x, a, b, value=1: b == 0},
    rule="quotient_term",
    domain=POSITIVE,
    samples=(Sample(((2, 3), (3,), (2, 1))), Sample(((), (), (2,)), {"value": -0.5})),
)


def _lerp(x: Any, end: Any, weight: Any) -> Any:
    # exact at both ends, as in torch
    return np.where(np.abs(weight) < 0.5, x + weight * (end - x), end - (end - x) * (1 - weight))[()]


LERP = elementwise(
    "lerp",
    _lerp,
    (
        lambda xp, g, y, x, end, weight: g * (1 - weight),
        lambda xp, g, y, x, end, weight: g * weight,
        lambda xp, g, y, x, end, weight: g * (end - x),
    ),
    formula=lambda s, x, end, weight: x + weight * (end - x),
    uses=("weight", "weight", "x end"),
    functions=("lerp",),
    methods=("lerp",),
    numbers=(2,),
    grad_fn_of=by_number("LerpBackward1", last="LerpBackward0"),
    rule="lerp",
    samples=(Sample(((2, 3), (3,), (2, 1))), Sample(((2,), (), ()))),
)


def _positive(xp: Any, x: Any) -> Any:
    """x itself, the very same tensor. Raises torch's error for masks."""
    if numpy_dtype(x).kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return x


POSITIVE_OF = composite("positive", _positive, functions=("positive",), methods=("positive",), samples=(Sample(((2, 3),)),))
