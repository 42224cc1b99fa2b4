"""Literals as exact numbers: what somebody typed, and what Python computed for a root, a fraction or π."""

from __future__ import annotations

import math
import random

import pytest
from sympy import Expr, Rational, S, pi, sqrt

from explain.calculus.symbols import number

TABLE: list[tuple[float, Expr]] = [
    (3, S(3)),
    (0.5, Rational(1, 2)),
    (0.1, Rational(1, 10)),
    (-2.25, Rational(-9, 4)),
    (0.7071, Rational(7071, 10000)),
    (3.14159, Rational(314159, 100000)),
    (1 / 3, Rational(1, 3)),
    (-2 / 7, Rational(-2, 7)),
    (0.1 + 0.2, Rational(3, 10)),
    (2**0.5, sqrt(2)),
    (math.sqrt(12), 2 * sqrt(3)),
    (2**-0.5, sqrt(2) / 2),
    (-1 / math.sqrt(5), -sqrt(5) / 5),
    (math.pi, pi),
    (2 * math.pi / 3, 2 * pi / 3),
    (math.sqrt(2 * math.pi), sqrt(2) * sqrt(pi)),
    (1 / math.sqrt(2 * math.pi), sqrt(2) / (2 * sqrt(pi))),
    (float("inf"), S.Infinity),
    (float("-inf"), S.NegativeInfinity),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=[repr(value) for value, _ in TABLE])
def test_a_literal_is_exact(value: float, expected: Expr) -> None:
    assert number(value) == expected


def test_numbers_that_are_nothing_known_stay_what_they_are() -> None:
    draw = random.Random(7)
    for _ in range(2000):
        value = draw.uniform(-10, 10)
        assert number(value) == Rational(repr(value))
        assert number(float(f"{value:.7g}")) == Rational(f"{value:.7g}")
    assert number(0.10000000149011612) == Rational("0.10000000149011612")  # 0.1 in float32
