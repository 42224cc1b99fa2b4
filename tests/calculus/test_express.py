"""Formulas in better words: what cancels is divided out."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Expr, Integer, Rational, Tuple

from explain.calculus.express import as_sigmoids, cancelled, in_terms_of, joined, without_idle
from explain.calculus.symbols import UNIT, Call, Entry, Index, Indicator, Single, TensorName, Total, size

I, J = Index("i"), Index("j")
P, Y, A = (Entry(TensorName(n), I) for n in "pya")


def test_what_stands_under_a_sum_is_divided_out() -> None:
    assert cancelled(P * (1 - P) * ((1 - Y) / (1 - P) - Y / P)) == P - Y
    assert cancelled(Rational(1, 3) * A * P * (1 - P) * (Y / P - (1 - Y) / (1 - P))) == Rational(1, 3) * A * (Y - P)
    log = Call("log", P)
    assert cancelled(log * (A / log + Y)) == A + Y * log


def test_what_does_not_get_shorter_stays() -> None:
    for e in (P * (1 - P) * A, P * (A / Y + 1), Integer(2), A / P + Y / P, (1 + P) ** 3 * (A / P + Y)):
        assert cancelled(e) == e


def at(p: Any) -> Entry:
    return Entry(TensorName("p"), p)


def exp(e: Any) -> Expr:
    return Call("exp", e)


def sigmoid(e: Any) -> Expr:
    return Call("sigmoid", e)


HERE = Indicator(Eq(I, 2))


@pytest.mark.parametrize(
    ("e", "short"),
    [
        (P * (1 - HERE / at(2)), P - HERE),
        (A * P * (HERE / at(2) - 1), A * (HERE - P)),
        (HERE * P / at(2), HERE),
        (P * (1 - Indicator(Eq(I, Entry(TensorName("t"), J))) / at(Entry(TensorName("t"), J))),
         P - Indicator(Eq(I, Entry(TensorName("t"), J)))),
        (P * (1 - HERE / at(3)), P * (1 - HERE / at(3))),
        (P * (1 - Indicator(I >= 2) / at(2)), P * (1 - Indicator(I >= 2) / at(2))),
    ],
)  # fmt: skip
def test_a_bracket_picks_what_cancels(e: Expr, short: Expr) -> None:
    assert cancelled(e) == short


@pytest.mark.parametrize(
    ("e", "named"),
    [
        (1 / (1 + exp(-P)), sigmoid(P)),
        (A * exp(P) / (1 + exp(P)), A * sigmoid(P)),
        (exp(-P) / (1 + exp(-P)) + Y, sigmoid(-P) + Y),
        (exp(-P) / (1 + exp(P)), exp(-P) * sigmoid(-P)),
        (1 / (2 + exp(P)), 1 / (2 + exp(P))),
        (1 / (1 - exp(P)), 1 / (1 - exp(P))),
        (1 + exp(P), 1 + exp(P)),
    ],
)
def test_the_logistic_function_has_a_name(e: Expr, named: Expr) -> None:
    assert as_sigmoids(e) == named


def test_sums_with_a_sum_in_common_are_one() -> None:
    matrix, difference = TensorName("m"), at(J) - Entry(TensorName("q"), J)

    def total(body: Expr) -> Expr:
        return Total(body, Tuple(J, size(3)))

    rows, columns = Entry(matrix, I, J), Entry(matrix, J, I)
    assert joined(2 * total(rows * difference) + 2 * total(columns * difference)) == (
        2 * UNIT * total((rows + columns) * difference)
    )
    for e in (total(rows * at(J)) + total(columns * at(J)), total(rows * difference) + 3 * total(columns * difference)):
        assert joined(e) == e


def test_along_an_axis_of_size_1_there_is_one_entry() -> None:
    total = Total(Entry(TensorName("x"), I, J), Tuple(J, size(3)))
    assert in_terms_of(A * total, total, (I, Single("s")), TensorName("u")) == A * Entry(TensorName("u"), I, 0)


def test_an_axis_of_size_1_that_nothing_is_read_along_is_no_sum() -> None:
    j, k = J, Index("k")
    along = Entry(TensorName("p"), j)
    assert without_idle(A + Total(along, Tuple(j, size(3)), Tuple(k, size(1)))) == A + Total(along, Tuple(j, size(3)))
    assert without_idle(Total(A, Tuple(k, size(1)))) == A
    for e in (Total(along, Tuple(j, size(1))), Total(A, Tuple(k, size(3)))):
        assert without_idle(e) == e
