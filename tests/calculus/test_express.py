"""Formulas in better words: what cancels is divided out."""

from __future__ import annotations

from sympy import Integer, Rational, Tuple

from explain.calculus.express import cancelled, without_idle
from explain.calculus.symbols import Call, Entry, Index, TensorName, Total, size

I = Index("i")
P, Y, A = (Entry(TensorName(n), I) for n in "pya")


def test_what_stands_under_a_sum_is_divided_out() -> None:
    assert cancelled(P * (1 - P) * ((1 - Y) / (1 - P) - Y / P)) == P - Y
    assert cancelled(Rational(1, 3) * A * P * (1 - P) * (Y / P - (1 - Y) / (1 - P))) == Rational(1, 3) * A * (Y - P)
    log = Call("log", P)
    assert cancelled(log * (A / log + Y)) == A + Y * log


def test_what_does_not_get_shorter_stays() -> None:
    for e in (P * (1 - P) * A, P * (A / Y + 1), Integer(2), A / P + Y / P, (1 + P) ** 3 * (A / P + Y)):
        assert cancelled(e) == e


def test_an_axis_of_size_1_that_nothing_is_read_along_is_no_sum() -> None:
    j, k = Index("j"), Index("k")
    along = Entry(TensorName("p"), j)
    assert without_idle(A + Total(along, Tuple(j, size(3)), Tuple(k, size(1)))) == A + Total(along, Tuple(j, size(3)))
    assert without_idle(Total(A, Tuple(k, size(1)))) == A
    for e in (Total(along, Tuple(j, size(1))), Total(A, Tuple(k, size(3)))):
        assert without_idle(e) == e
