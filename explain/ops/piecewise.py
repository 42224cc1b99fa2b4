"""Entrywise functions in pieces: absolute value and sign, choices between two entries, bounds, rounding, ReLU.

Where the pieces meet the derivative is a choice: each op says PyTorch's, and ``special`` finds such points so that a page
can name them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.entrywise import ALONE, FEW, elementwise, no_masks

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
    refuses=no_masks(NotImplementedError("\"abs_cpu\" not implemented for 'Bool'")),
    rule="abs",
)
SIGN = elementwise(
    "sign",
    lambda x: np.greater(x, 0).astype(x.dtype) - np.less(x, 0).astype(x.dtype) if x.dtype.kind != "b" else x,
    lambda xp, g, y, x: xp.zero(g),
    definition=lambda s, x: s.where(x > 0, 1, s.where(x < 0, -1, 0)),
    slopes=lambda s, y, x: 0,
    functions=("sign",),
    methods=("sign",),
    special={"kink": lambda x: x == 0},
    rule="flat",
)
SGN = elementwise(
    "sgn",
    SIGN.forward,
    lambda xp, g, y, x: xp.zero(g),
    formula=lambda s, x: s.function("sign", x),
    functions=("sgn",),
    methods=("sgn",),
    special={"kink": lambda x: x == 0},
    rule="flat",
    samples=ALONE,
)
RELU = elementwise(
    "relu",
    lambda x: np.maximum(x, x.dtype.type(0)),
    lambda xp, g, y, x: xp.where(y <= 0, 0.0, g),
    definition=lambda s, x: s.where(x > 0, x, 0),
    slopes=lambda s, y, x: s.indicator(x > 0),
    uses="y",
    functions=("relu", "relu_", "F.relu", "F.relu_"),
    before_inplace=1,
    methods=("relu",),
    special={"kink": lambda x: x == 0},
    refuses=no_masks(RuntimeError("Boolean inputs not supported for relu")),
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
    in_place=False,
    numbers=(),
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
    in_place=False,
    numbers=(),
    latex=r"\min",
    special={"tie": lambda a, b: a == b},
    rule="maximum",
)


def _takes_first(xp: Any, ahead: Any, b: Any) -> Any:
    """Whether torch's fmax or fmin took a: where it is ahead or equal, and where b is nan."""
    return xp.logical_or(ahead, b != b)


FMAX = elementwise(
    "fmax",
    np.fmax,
    (
        lambda xp, g, y, a, b: xp.where(_takes_first(xp, a >= b, b), g, 0.0),
        lambda xp, g, y, a, b: xp.where(_takes_first(xp, a >= b, b), 0.0, g),
    ),
    definition=lambda s, a, b: s.where(a >= b, a, b),
    slopes=(lambda s, y, a, b: s.indicator(a >= b), lambda s, y, a, b: s.indicator(a < b)),
    uses=("a b", "a b"),
    functions=("fmax",),
    methods=("fmax",),
    in_place=False,
    numbers=(),
    special={"tie": lambda a, b: a == b},
    rule="fmax",
    samples=FEW,
)
FMIN = elementwise(
    "fmin",
    np.fmin,
    (
        lambda xp, g, y, a, b: xp.where(_takes_first(xp, a <= b, b), g, 0.0),
        lambda xp, g, y, a, b: xp.where(_takes_first(xp, a <= b, b), 0.0, g),
    ),
    definition=lambda s, a, b: s.where(a <= b, a, b),
    slopes=(lambda s, y, a, b: s.indicator(a <= b), lambda s, y, a, b: s.indicator(a > b)),
    uses=("a b", "a b"),
    functions=("fmin",),
    methods=("fmin",),
    in_place=False,
    numbers=(),
    special={"tie": lambda a, b: a == b},
    rule="fmax",
    samples=FEW,
)
