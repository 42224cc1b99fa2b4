"""Operations of neural networks: cross-entropy, dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, numpy_dtype, plain_array, word
from explain.ops.random import default_generator
from explain.ops.registry import REGISTRY, block


@block
class CrossEntropy(Op):
    """The mean over rows of −log softmax(x) at the target class; ``reduction`` may be mean, sum or none."""

    name = "cross_entropy"
    functions = ("cross_entropy",)
    kind = "loss"
    rule = "cross_entropy"
    uses = ("x target", "")
    reads_values = (1,)
    backward_name = "NllLossBackward0"
    samples = (
        Sample(((3, 4), np.array([0, 3, 1]))),
        Sample(((3, 4), np.array([0, 3, 3])), {"reduction": "sum"}),
        Sample(((2, 3), np.array([2, 0])), {"reduction": "none"}),
        Sample(((4,), np.array(2))),
    )

    def _check(self, x: Any, target: Any, reduction: str) -> None:
        if x.ndim not in (1, 2):
            raise RuntimeError(f"cross_entropy: rows of scores or one row of scores expected, got {x.ndim} dimensions")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{reduction} is not a valid value for reduction")
        if target.dtype.char not in "lqB":
            raise RuntimeError(f"expected target dtype to be Long or Byte, but got {word(target.dtype)}")
        if target.ndim != x.ndim - 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if x.ndim == 2 and len(x) != len(target):
            raise ValueError(f"Expected input batch_size ({len(x)}) to match target batch_size ({len(target)}).")
        outside = np.asarray(target)[(np.asarray(target) < 0) | (np.asarray(target) >= x.shape[-1])]
        if outside.size:
            raise IndexError(f"Target {outside.reshape(-1)[0]} is out of bounds.")

    def forward(self, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        self._check(x, target, reduction)
        log_p = REGISTRY["log_softmax"].forward(x, dim=-1)
        losses = -np.take_along_axis(log_p, np.asarray(target)[..., None], -1)[..., 0]
        if reduction == "none":
            return losses[()]
        return losses.sum() if reduction == "sum" else losses.sum() / x.dtype.type(losses.size)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return None

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        classes = plain_array(target)
        onehot = (classes[..., None] == np.arange(x.shape[-1])).astype(numpy_dtype(x))
        if reduction == "mean":
            g = g / max(1, classes.size)
        elif reduction == "none" and x.ndim == 2:
            g = xp.unsqueeze(g, dim=-1)
        return g * xp.sub(xp.softmax(x, dim=-1), onehot), None

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        rows = [s.index(x.shape[0])] if x.ndim == 2 and reduction != "none" else list(out)
        j = s.index(x.shape[-1])
        loss = s.reduction("logsumexp", x[(*rows, j)], j) - x[(*rows, target[tuple(rows)])]
        if reduction == "none" or not rows:
            return loss
        total = s.total(loss, *rows)
        return total / s.count(*rows) if reduction == "mean" else total


@block
class Dropout(Op):
    """Entries kept where the mask is true, scaled by 1/(1 − p). The mask is drawn once, when the program runs."""

    name = "dropout"
    functions = ("dropout",)
    kind = "elementwise"
    rule = "dropout"
    uses = ("mask", "")
    reads_values = (1,)
    backward_name = "MulBackward0"
    samples = (Sample(((2, 3), np.array([[True, False, True], [True, True, False]])), {"p": 0.25}),)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = ("input", "p", "training")
        given = {"p": 0.5, "training": True, **dict(zip(names, args, strict=False)), **kwargs}
        x, p = given["input"], given["p"] if given["training"] else 0.0
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {given['p']}")
        if given["training"]:
            keep = (default_generator.uniform53(math.prod(x.shape)) < 1 - p).reshape(x.shape)
        else:
            keep = np.ones(x.shape, bool)
        return (x, keep), {"p": p}

    def forward(self, x: Any, mask: Any, *, p: float) -> Any:
        return np.where(mask, x / x.dtype.type(1 - p) if p < 1 else x, x.dtype.type(0))[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, mask: Any, *, p: float) -> Any:
        return xp.where(mask, g / (1 - p) if p < 1 else g, 0.0), None

    def formula(self, s: Any, out: Any, x: Any, mask: Any, *, p: float) -> Any:
        return x[out] * s.indicator(s.holds(mask[out])) / (1 - s.number(p))
