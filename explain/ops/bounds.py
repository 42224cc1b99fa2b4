"""Entrywise bounds: clamp with numbers or tensors, from one side or from both. At a bound itself the gradient passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Sample
from explain.ops.entrywise import FEW, Elementwise, by_number, elementwise


class _Clamp(Elementwise):
    """``clamp`` with the bounds that are given: one op for each case. ``bounds``: those that this op takes."""

    bounds: tuple[str, ...] = ()

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = {"min": None, "max": None, **dict(zip(("input", "min", "max"), args, strict=False)), **kwargs}
        if len(args) > 3 or given.keys() != {"input", "min", "max"}:
            raise NoMatch(f"{self.name}() takes a tensor, min and max")
        low, high = given["min"], given["max"]
        if low is None and high is None:
            raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
        there = tuple(name for name in ("min", "max") if given[name] is not None)
        if there != self.bounds:
            raise NoMatch(f"clamp() has the bounds {', '.join(there)}")
        if len({isinstance(given[name], int | float) for name in there}) > 1:
            kinds = ", ".join(type(given[name]).__name__ for name in ("input", "min", "max"))
            raise TypeError(f"clamp() received an invalid combination of arguments - got ({kinds})")
        return (given["input"], *(given[name] for name in there)), {}


def _reaches(xp: Any, x: Any, low: Any, high: Any) -> Any:
    return xp.logical_and(x >= low, x <= high)


CLAMP = elementwise(
    "clamp",
    lambda x, low, high: np.minimum(np.maximum(x, low), high),
    (
        lambda xp, g, y, x, low, high: xp.where(_reaches(xp, x, low, high), g, 0.0),
        lambda xp, g, y, x, low, high: xp.where(xp.logical_and(low < high, x < low), g, 0.0),
        lambda xp, g, y, x, low, high: xp.where(xp.logical_or(x > high, high < low), g, 0.0),
    ),
    definition=lambda s, x, low, high: s.where(x > high, high, s.where(low > high, high, s.where(x < low, low, x))),
    slopes=(
        lambda s, y, x, low, high: s.indicator(x >= low) * s.indicator(x <= high),
        lambda s, y, x, low, high: s.indicator(x < low) * s.indicator(low < high),
        lambda s, y, x, low, high: 1 - s.indicator(x <= high) * s.indicator(low <= high),
    ),
    uses=("x low high", "x low high", "x low high"),
    functions=("clamp", "clip"),
    methods=("clamp", "clip"),
    form=_Clamp,
    bounds=("min", "max"),
    grad_fn_of=by_number("ClampBackward0", last="ClampBackward1"),
    special={"kink": lambda x, low, high: (x == low) | (x == high)},
    rule="clamp",
    samples=(
        Sample(((2, 3), np.array(-0.5), np.array(0.7))),
        Sample(((3,), np.array([-0.5, 0.5, 1.0]), np.array([0.5, 1.0, -0.3]))),
    ),
)


def _one_bound(name: str, functions: tuple[str, ...], lower: bool, grad_fn: tuple[str, str], form: type[Elementwise]) -> Op:
    """A clamp from one side. ``clamp(x, min=0)`` and ``clamp_min(x, 0)`` are the same but for torch's backward nodes."""
    own = "clamp_min" if lower else "clamp_max"
    return elementwise(
        name,
        np.maximum if lower else np.minimum,
        (
            lambda xp, g, y, x, bound: xp.where(x >= bound if lower else x <= bound, g, 0.0),
            lambda xp, g, y, x, bound: xp.where(x < bound if lower else x > bound, g, 0.0),
        ),
        formula=lambda s, x, bound: s.function(own, x, bound),
        definition=lambda s, x, bound: s.where(x >= bound if lower else x <= bound, x, bound),
        slopes=(
            lambda s, y, x, bound: s.indicator(x >= bound if lower else x <= bound),
            lambda s, y, x, bound: s.indicator(x < bound if lower else x > bound),
        ),
        uses=("a b", "a b"),
        functions=functions,
        methods=functions,
        numbers=(1,),
        form=form,
        bounds=("min",) if lower else ("max",),
        grad_fn_of=by_number(grad_fn[0], last=grad_fn[1]),
        special={"kink": lambda x, bound: x == bound},
        rule="clamp",
        latex=r"\max" if lower else r"\min",
        samples=FEW,
    )


class _OneBound(Elementwise):
    """``clamp_min`` and ``clamp_max``, whose second argument has torch's name for it."""

    bounds: tuple[str, ...] = ()

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        (bound,) = self.bounds
        return super().bind(*args, **{"b" if key == bound else key: value for key, value in kwargs.items()})


_one_bound("clamp_min", ("clamp_min",), True, ("ClampMinBackward1", "ClampMinBackward0"), _OneBound)
_one_bound("clamp_max", ("clamp_max",), False, ("ClampMaxBackward1", "ClampMaxBackward0"), _OneBound)
_one_bound("clamp_below", ("clamp", "clip"), True, ("ClampBackward0", "ClampBackward1"), _Clamp)
_one_bound("clamp_above", ("clamp", "clip"), False, ("ClampBackward0", "ClampBackward1"), _Clamp)
