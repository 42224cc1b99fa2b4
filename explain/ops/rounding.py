"""Entrywise functions that jump: rounding, what rounding leaves, a copied sign, a step, replacements for nan and inf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, word
from explain.ops.entrywise import ALONE, FEW, Elementwise, by_number, elementwise
from explain.ops.registry import register


def _whole(rounded: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Rounding that leaves integers as they are."""
    return lambda x: rounded(x) if x.dtype.kind == "f" else x.copy()


def _rounding(
    name: str, forward: Callable[[Any], Any], definition: Callable[..., Any], jumps: Callable[[Any], Any], **names: Any
) -> Op:
    return elementwise(
        name,
        _whole(forward),
        lambda xp, g, y, x: xp.zero(g),
        definition=definition,
        slopes=lambda s, y, x: 0,
        special={"kink": jumps},
        rule="flat",
        samples=ALONE,
        **{"functions": (name,), "methods": (name,), **names},
    )


def _is_whole(x: Any) -> Any:
    return x == np.round(x)


_rounding("floor", np.floor, lambda s, x: s.known("floor", x), _is_whole)
_rounding("ceil", np.ceil, lambda s, x: s.known("ceiling", x), _is_whole)
_rounding(
    "trunc",
    np.trunc,
    lambda s, x: s.where(x > 0, s.known("floor", x), s.known("ceiling", x)),
    lambda x: _is_whole(x) & (x != 0),
    functions=("trunc", "fix"),
    methods=("trunc", "fix"),
)
_rounding(
    "round",
    np.round,
    lambda s, x: s.known("floor", x + s.number(0.5)),
    lambda x: _is_whole(x + 0.5),
    functions=("round", "special.round"),
)


def _round_decimals(x: Any, *, decimals: int) -> Any:
    if x.dtype.kind != "f":
        raise NotImplementedError(f"\"round_cpu\" not implemented for '{word(x.dtype)}'")
    return np.round(x, int(decimals))


elementwise(
    "round_decimals",
    _round_decimals,
    lambda xp, g, y, x, decimals: xp.zero(g),
    formula=lambda s, x, decimals: s.function("round", x * s.number(10) ** decimals) / s.number(10) ** decimals,
    functions=("round", "special.round"),
    methods=("round",),
    grad_fn="RoundBackward1",
    special={"kink": lambda x, decimals: _is_whole(x * 10.0**decimals + 0.5)},
    rule="flat",
    samples=(Sample(((2, 3),), {"decimals": 1}), Sample(((3,),), {"decimals": -1})),
)


def _frac(x: Any) -> Any:
    if x.dtype.kind != "f":
        raise NotImplementedError(f"\"frac_cpu\" not implemented for '{word(x.dtype)}'")
    return x - np.trunc(x)


elementwise(
    "frac",
    _frac,
    lambda xp, g, y, x: g,
    formula=lambda s, x: x - s.function("trunc", x),
    functions=("frac",),
    methods=("frac",),
    special={"kink": lambda x: _is_whole(x) & (x != 0)},
    rule="frac",
    samples=ALONE,
)


def _copysign_rule(xp: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
    at_zero = a == 0
    return xp.where(at_zero, 0.0, g * (y / xp.where(at_zero, 1.0, a)))


elementwise(
    "copysign",
    np.copysign,
    (_copysign_rule, lambda xp, g, y, a, b: xp.zero(g)),
    definition=lambda s, a, b: s.where(a >= 0, a, -a) * s.where(b >= 0, 1, -1),
    slopes=(lambda s, y, a, b: s.function("sign", a) * s.where(b >= 0, 1, -1), lambda s, y, a, b: 0),
    uses=("a y", ""),
    functions=("copysign",),
    methods=("copysign",),
    promotion="float",
    numbers=(1,),
    grad_fn_of=by_number("CopysignBackward0", last="CopysignBackward1"),
    special={"kink": lambda a, b: (a == 0) | (b == 0)},
    rule="copysign",
    samples=(*FEW, Sample((np.array([1.5, -1.5]), np.array([-2.0, -2.0])))),
)


def _heaviside(x: Any, values: Any) -> Any:
    if x.dtype != values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return np.where(x == 0, values, (x > 0).astype(x.dtype)).astype(x.dtype)[()]


register(
    Elementwise(
        name="heaviside",
        forward=_heaviside,
        formula=lambda s, out, x, values: s.where(s.equal(x.at(out), 0), values.at(out), s.indicator(x.at(out) > 0)),
        differentiable=False,
        not_implemented="heaviside",
        in_place=True,
        numbers=(),
        promotion="keep",
        functions=("heaviside",),
        methods=("heaviside",),
        kind="constant",
        instead=("sigmoid",),
        samples=FEW,
    )
)


def _nan_to_num(x: Any, *, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    return np.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)[()]


def _replacements(nan: float | None, posinf: float | None, neginf: float | None) -> dict[str, float]:
    """The options that are given, with those before them: in a formula they follow each other."""
    if posinf is None and neginf is None:
        return {} if nan is None else {"nan": nan}
    largest = float(np.finfo(np.float64).max)
    found = {"nan": nan or 0.0, "posinf": largest if posinf is None else posinf}
    return found if neginf is None else {**found, "neginf": neginf}


elementwise(
    "nan_to_num",
    _nan_to_num,
    lambda xp, g, y, x, nan=None, posinf=None, neginf=None: xp.where(xp.isfinite(x), g, 0.0),
    definition=lambda s, x, **replacements: s.number(0),  # stands only where x is replaced, by a constant
    slopes=lambda s, y, x, **replacements: 0,
    formula=lambda s, x, **options: s.where(
        s.holds(s.function("isfinite", x)), x, s.function("nan_to_num", x, **_replacements(**options))
    ),
    uses="x",
    functions=("nan_to_num",),
    methods=("nan_to_num",),
    grad_fn="NanToNumBackward0",
    rule="nan_to_num",
    samples=ALONE,
)
