"""Index equations: which brackets are left when the ranges of indices are known."""

from __future__ import annotations

import pytest
from sympy import Eq, Integer, S, Tuple

from explain.calculus.solve import plain_positions, solve
from explain.calculus.symbols import Digit, Entry, Index, Indicator, TensorName, Total, size

K, T = Index("k"), Index("t")
X, Y = TensorName("x"), TensorName("y")


@pytest.mark.parametrize(
    ("bracket", "left"),
    [
        (K < 3, S.One),  # k is t, which stays below 2
        (K >= 2, S.Zero),
        (K >= 1, Indicator(T >= 1)),
        (K < 1, Indicator(T < 1)),
        (Entry(X, K) >= 0, Indicator(Entry(X, T) >= 0)),  # of entries nothing is known
        (Entry(X, K) > Entry(Y, K), Indicator(Entry(X, T) > Entry(Y, T))),
    ],
)
def test_a_bracket_is_settled_by_the_range_of_its_index(bracket: object, left: object) -> None:
    factors, binds = solve((Indicator(bracket),), ((K, size(5)),), (K,), ((T, size(2)),))
    assert factors == [left] and not binds


def test_a_shift_out_of_a_part_needs_no_bracket() -> None:
    """The second of two tensors of 2 and 3 entries one after the other: Σ_k g[k] [k ≥ 2], k − 2 = t is g[t + 2]."""
    factors = (Entry(X, K), Indicator(K >= 2))
    found, binds = solve(factors, ((K, size(5)),), (K - Integer(2),), ((T, size(3)),))
    assert found == [Entry(X, T + 2), S.One] and not binds


def test_reshaped_there_and_back_is_the_same_place() -> None:
    i, j, p = Index("i"), Index("j"), Index("p")
    flat = size(3) * i + j  # of a 2×3 matrix, read as 3×2: row ⌊flat / 2⌋ mod 3, column flat mod 2
    again = size(2) * Digit(flat, size(2), size(3)) + Digit(flat, S.One, size(2))
    free = ((i, size(2)), (j, size(3)))
    assert plain_positions(Entry(X, Digit(again, size(3), size(2)), Digit(again, S.One, size(3))), free) == Entry(X, i, j)
    other = Entry(X, size(2) * Digit(p, size(3), size(2)) + Digit(p, S.One, size(2)))  # not the digits of one number
    assert plain_positions(other, ((p, size(6)),)) != Entry(X, p)


LEADING, LAST = Digit(K, size(2), size(3)), Digit(K, S.One, size(2))


@pytest.mark.parametrize(
    ("e", "plain"),
    [
        (Indicator(Eq(LEADING, 0)), Indicator(K <= 1)),
        (Indicator(Eq(LEADING, 1)), Indicator(K >= 2) * Indicator(K <= 3)),
        (Indicator(Eq(LEADING, 2)), Indicator(K >= 4)),
        (Indicator(Eq(LEADING, 2)) * Entry(X, LAST), Indicator(K >= 4) * Entry(X, K - 2 * size(2))),
        (Indicator(Eq(LAST, 1)) * Entry(X, size(2) * LEADING + 1), Indicator(Eq(LAST, 1)) * Entry(X, K)),
        (Indicator(Eq(LAST, 1)) * Entry(X, LEADING), Indicator(Eq(LAST, 1)) * Entry(X, LEADING)),
    ],
)
def test_a_bracket_on_a_digit_says_where_the_index_is(e: object, plain: object) -> None:
    assert plain_positions(e, ((K, size(6)),)) == plain


def test_beyond_the_digits_range_a_bracket_stays_as_it_is() -> None:
    e = Indicator(Eq(LEADING, 0)) * Entry(X, LAST)
    assert plain_positions(e, ((K, size(7)),)) == e


def test_a_sum_over_one_position_is_its_term() -> None:
    e = Total(Entry(X, T, K), Tuple(K, size(1)))
    assert plain_positions(e, ((T, size(2)),)) == Entry(X, T, 0)
    assert plain_positions(e, ((T, size(1)),)) == Entry(X, T, T)
