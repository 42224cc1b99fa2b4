"""Dropout: a mask drawn once from torch's stream, when the program runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample
from explain.ops.random import default_generator
from explain.ops.registry import block


@block
class Dropout(Op):
    """Entries kept where the mask is true, scaled by 1/(1 − p). The mask is drawn once, when the program runs."""

    name = "dropout"
    functions = ("dropout", "F.dropout")
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
