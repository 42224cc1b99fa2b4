"""Entrywise division: quotients, quotients rounded to whole numbers, and what is left of them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Sample
from explain.ops.entrywise import FEW, POSITIVE, Elementwise, by_number, elementwise
from explain.ops.registry import register

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
    grad_fn_of=by_number("DivBackward0", first="MulBackward0"),
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


def floor_quotient(a: Any, b: Any) -> Any:
    """a / b rounded down. Raises torch's RuntimeError for whole numbers divided by zero."""
    _refuse_zero(b)
    return np.floor_divide(a, b)


def _whole_quotient(a: Any, b: Any) -> Any:
    """a / b rounded towards zero."""
    _refuse_zero(b)
    return np.trunc(a / b) if a.dtype.kind == "f" else (a - np.fmod(a, b)) // b


def _refuse_zero(b: Any) -> None:
    if b.dtype.kind in "iu" and not np.all(b):
        raise RuntimeError("ZeroDivisionError")


class _Rounded(Elementwise):
    """Division with a ``rounding_mode``: one op for None, which divides as ever, and one for the two that round."""

    modes: tuple[Any, ...] = ()

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        mode = options["rounding_mode"]
        if mode not in (None, "trunc", "floor"):
            raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")
        if mode not in self.modes:
            raise NoMatch(f"{self.name}() is for another rounding_mode")
        return ins, options


QUOTIENTS = {"floor": floor_quotient, "trunc": _whole_quotient}
DIV_UNROUNDED = elementwise(
    "div_unrounded",
    lambda a, b, *, rounding_mode: a / b,
    (lambda xp, g, y, a, b, rounding_mode: g / b, lambda xp, g, y, a, b, rounding_mode: -g * (a / b / b)),
    formula=lambda s, a, b, rounding_mode: a / b,
    uses=("b", "a b"),
    functions=("div", "divide"),
    methods=("div", "divide"),
    promotion="float",
    grad_fn="DivBackward2",
    special={"pole": lambda a, b, rounding_mode: b == 0},
    rule="div",
    form=_Rounded,
    modes=(None,),
    domain=POSITIVE,
    samples=tuple(Sample(sample.inputs, {"rounding_mode": None}) for sample in FEW),
)
DIV_ROUNDED = elementwise(
    "div_rounded",
    lambda a, b, *, rounding_mode: QUOTIENTS[rounding_mode](a, b),
    (lambda xp, g, y, a, b, rounding_mode: xp.zero(g), lambda xp, g, y, a, b, rounding_mode: xp.zero(g)),
    formula=lambda s, a, b, rounding_mode: s.function(rounding_mode, a / b),
    functions=("div", "divide"),
    methods=("div", "divide"),
    grad_fn="DivBackward2",
    special={"kink": lambda a, b, rounding_mode: a / b == np.round(a / b), "pole": lambda a, b, rounding_mode: b == 0},
    rule="flat",
    form=_Rounded,
    modes=("floor", "trunc"),
    domain=POSITIVE,
    samples=(Sample(((2, 3), (3,)), {"rounding_mode": "floor"}), Sample(((3,), (3,)), {"rounding_mode": "trunc"})),
)
FLOOR_DIVIDE = register(
    Elementwise(
        name="floor_divide",
        forward=floor_quotient,
        formula=lambda s, out, a, b: s.function("floor", a.at(out) / b.at(out)),
        differentiable=False,
        not_implemented="floor_divide",
        in_place=True,
        functions=("floor_divide",),
        methods=("floor_divide",),
        operator="//",
        kind="constant",
        instead=("div",),
        domain=POSITIVE,
        samples=FEW,
    )
)


def _remainder(a: Any, b: Any) -> Any:
    _refuse_zero(b)
    return np.remainder(a, b)


def _fmod(a: Any, b: Any) -> Any:
    _refuse_zero(b)
    return np.fmod(a, b)


REMAINDER = elementwise(
    "remainder",
    _remainder,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: -g * xp.div_rounded(a, b, rounding_mode="floor")),
    formula=lambda s, a, b: a - b * s.function("floor", a / b),
    uses=("", "a b"),
    functions=("remainder",),
    methods=("remainder",),
    operator="%",
    grad_fn_of=by_number("RemainderBackward1", last="RemainderBackward0"),
    special={"kink": lambda a, b: np.remainder(a, b) == 0, "pole": lambda a, b: b == 0},
    rule="remainder",
    domain=POSITIVE,
    samples=(*FEW, Sample((np.array([5.3, -5.3, 5.3]), np.array([2.0, 2.0, -2.0])))),
)
FMOD = elementwise(
    "fmod",
    _fmod,
    (lambda xp, g, y, a, b: g, lambda xp, g, y, a, b: -g * xp.div_rounded(a, b, rounding_mode="trunc")),
    formula=lambda s, a, b: a - b * s.function("trunc", a / b),
    uses=("", "a b"),
    functions=("fmod",),
    methods=("fmod",),
    numbers=(1,),
    grad_fn_of=by_number("FmodBackward1", last="FmodBackward0"),
    special={"kink": lambda a, b: np.fmod(a, b) == 0, "pole": lambda a, b: b == 0},
    rule="remainder",
    domain=POSITIVE,
    samples=(*FEW, Sample((np.array([5.3, -5.3, 5.3]), np.array([2.0, 2.0, -2.0])))),
)
