"""Cases that keep backward finite leave a formula only where something is divided by what is 0 there."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Ne, S

from explain.calculus.guards import unguarded
from explain.calculus.symbols import Entry, Indicator, TensorName, Where

X, Y = Entry(TensorName("x")), Entry(TensorName("y"))
R = X**2 + Y**2

CASES: dict[str, tuple[Any, Any]] = {  # formula, what is left
    "a safe quotient": (Where(Eq(R, 0), 0, X / Where(Eq(R, 0), 1, R)), X / R),
    "turned round": (Where(Ne(R, 0), X / R, 0), X / R),
    "inside of more": (2 + Y * Where(Eq(R, 0), 0, 1 / R), 2 + Y / R),
    "a bracket inside": (Where(Eq(X, 0), 0, Y * Indicator(Ne(X, 0)) / X), Y / X),
    "a power": (Where(Eq(R, 0), 0, X / R ** (S(3) / 2)), X / R ** (S(3) / 2)),
    "nothing is divided": (Where(Eq(X, 0), Y, X), Where(Eq(X, 0), Y, X)),
    "divided by something else": (Where(Eq(X, 0), 0, X / Y), Where(Eq(X, 0), 0, X / Y)),
    "another case": (Where(X > 0, 0, Y / X), Where(X > 0, 0, Y / X)),
}


@pytest.mark.parametrize(("given", "left"), CASES.values(), ids=CASES)
def test_what_is_left(given: Any, left: Any) -> None:
    assert unguarded(given) == left
