"""Affine maps as networks use them: linear and bilinear layers as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Options, Sample, Shape, word
from explain.ops.optional import WithOptional
from explain.ops.registry import block


@block
class Linear(WithOptional):
    """y = x Wᵀ + b along the last axis of x. A weight with one axis is one row, and its axis is left out of y."""

    name = "linear"
    functions = ("F.linear",)
    kind = "contraction"
    rule = "linear"
    uses = ("weight", "x", "")
    samples = (
        Sample(((2, 3), (4, 3), (4,))), Sample(((3,), (2, 3))), Sample(((2, 2, 3), (2, 3), (2,))), Sample(((2, 3), (3,))),
    )  # fmt: skip
    backward_name = "AddmmBackward0"

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        x, weight, *bias = (len(shape or ()) for shape in shapes)
        if bias:
            return "AddmmBackward0" if x == 2 else "ViewBackward0"
        if weight == 1:
            return {1: "DotBackward0", 2: "MvBackward0"}.get(x, "UnsafeViewBackward0")
        return {1: "SqueezeBackward4", 2: "MmBackward0"}.get(x, "UnsafeViewBackward0")

    def forward(self, x: Any, weight: Any, bias: Any = None) -> Any:
        _refuse_mixture(x, weight, bias)
        if weight.ndim > 2:
            raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {weight.ndim}D")
        if not x.ndim or not weight.ndim:
            raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {weight.ndim}D")
        if x.shape[-1] != weight.shape[-1]:
            raise _mismatch(x.shape, weight.shape)
        y = x @ weight.T
        return y if bias is None else y + bias

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        x, weight, *bias = shapes
        if x[-1:] != weight[-1:]:
            return _mismatch(x, weight)
        out = (*x[:-1], *weight[:-1])
        return RuntimeError(
            f"The expanded size of the tensor ({out[-1]}) must match the existing size ({bias[0][-1]}) at non-singleton "
            f"dimension {len(out) - 1}.  Target sizes: {list(out)}.  Tensor sizes: {list(bias[0])}"
        )

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        rows, width, outputs = math.prod(x.shape[:-1]), x.shape[-1], math.prod(weight.shape[:-1])
        flat = xp.reshape(g, shape=(rows, outputs)) if needs[0] or needs[1] else None
        back_x = back_weight = None
        if needs[0]:
            matrix = xp.reshape(weight, shape=(outputs, width))
            back_x = xp.reshape(xp.matmul(flat, matrix), shape=tuple(x.shape))
        if needs[1]:
            back_weight = xp.matmul(xp.mT(flat), xp.reshape(x, shape=(rows, width)))
            back_weight = xp.reshape(back_weight, shape=tuple(weight.shape))
        return back_x, back_weight, needs[2] and xp.sum_to(g, shape=tuple(bias.shape))

    def formula(self, s: Any, out: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        k = s.index(x.shape[-1])
        rows = out[: x.ndim - 1]
        y = s.total(x[(*rows, k)] * weight[(*out[x.ndim - 1 :], k)], k)
        return y if bias is None else y + bias.at(out)


@block
class Bilinear(WithOptional):
    """y_k = x₁ᵀ W_k x₂ + b_k: one bilinear form of two vectors per output."""

    name = "bilinear"
    functions = ("F.bilinear", "bilinear")
    kind = "contraction"
    rule = "bilinear"
    uses = ("input2 weight", "input1 weight", "input1 input2", "")
    backward_name = "AddBackward0"
    samples = (
        Sample(((2, 3), (2, 2), (2, 3, 2), (2,))),
        Sample(((3,), (2,), (1, 3, 2))),
        Sample(((2, 2, 1), (2, 2, 2), (2, 1, 2))),
    )

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "AddBackward0" if len(shapes) == 4 else "ViewBackward0"

    def forward(self, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
        _refuse_mixture(input1, input2, weight, bias)
        if input1.ndim != input2.ndim:
            raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
        for axis in range(input1.ndim - 1):
            if input1.shape[axis] != input2.shape[axis]:
                raise RuntimeError(
                    f"bilinear(): input batch dimensions do not match at dim {axis}: "
                    f"got {input1.shape[axis]} and {input2.shape[axis]}"
                )
        for k, t in enumerate((input1, input2), 1):
            if t.shape[-1] != weight.shape[k]:
                raise RuntimeError(
                    f"bilinear(): input{k} size does not match weight size: got {t.shape[-1]} but expected {weight.shape[k]}"
                )
        if bias is not None and bias.shape != weight.shape[:1]:
            raise RuntimeError(
                f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {weight.shape[0]}"
            )
        left = np.tensordot(input1, weight, axes=(-1, 1))  # rows, outputs, second input
        y = np.matmul(left, input2[..., None])[..., 0]
        return y if bias is None else y + bias

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
        outputs, width1, width2 = weight.shape
        rows = math.prod(input1.shape[:-1])

        def with_upstream(t: Any, width: int) -> Any:
            """The products of every upstream entry of a row with every entry of the row."""
            pairs = xp.reshape(g, shape=(rows, outputs, 1)) * xp.reshape(t, shape=(rows, 1, width))
            return xp.reshape(pairs, shape=(rows, outputs * width))

        back1 = back2 = back_weight = None
        if needs[0]:
            turned = xp.reshape(xp.mT(weight), shape=(outputs * width2, width1))
            back1 = xp.reshape(xp.matmul(with_upstream(input2, width2), turned), shape=tuple(input1.shape))
        if needs[1] or needs[2]:
            pairs = with_upstream(input1, width1)
        if needs[1]:
            flat = xp.reshape(weight, shape=(outputs * width1, width2))
            back2 = xp.reshape(xp.matmul(pairs, flat), shape=tuple(input2.shape))
        if needs[2]:
            found = xp.matmul(xp.mT(pairs), xp.reshape(input2, shape=(rows, width2)))
            back_weight = xp.reshape(found, shape=tuple(weight.shape))
        return back1, back2, back_weight, needs[3] and xp.sum_to(g, shape=tuple(bias.shape))

    def formula(self, s: Any, out: Any, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
        *rows, k = out
        i, j = s.index(input1.shape[-1]), s.index(input2.shape[-1])
        y = s.total(input1[(*rows, i)] * weight[(k, i, j)] * input2[(*rows, j)], i, j)
        return y if bias is None else y + bias[k]


def _refuse_mixture(first: Any, *others: Any) -> None:
    """Raise torch's error for operands of different dtypes."""
    dtypes = [first.dtype, *(t.dtype for t in others if t is not None)]
    for dtype in dtypes:
        if dtype != first.dtype:
            raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {word(first.dtype)} and {word(dtype)}")


def _mismatch(x: Shape, weight: Shape) -> Exception:
    rows = math.prod(x[:-1])
    turned = "x".join(str(n) for n in reversed(weight))
    return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x[-1]} and {turned})")
