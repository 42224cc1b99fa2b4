"""Sums of products with everything moved out; brackets that pick a term."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Ne, S, Tuple

from explain.calculus.hoist import hoisted
from explain.calculus.symbols import Entry, Index, Indicator, TensorName, Total, Where, size

I, J, K = (Index(n) for n in "ijk")
X, Y, A = (TensorName(n) for n in "xya")


@pytest.mark.parametrize(
    ("factors", "free", "expected"),
    [
        ((Entry(X, K), Indicator(Eq(K, I))), {I: 3}, Entry(X, I)),
        ((Entry(X, K), Indicator(Eq(K, I))), {I: 2}, Entry(X, I)),
        ((Entry(X, K), Indicator(Eq(K, 1))), {}, Entry(X, 1)),
        ((Entry(X, K), Indicator(Eq(K, Entry(A, I)))), {}, Entry(X, Entry(A, I))),
        ((Indicator(Eq(K, I)), Indicator(Eq(K, J))), {I: 3, J: 3}, Indicator(Eq(I, J))),
        ((Entry(X, I), Entry(Y, K)), {}, Entry(X, I) * Total(Entry(Y, K), Tuple(K, size(3)))),
        ((Entry(X, I),), {}, size(3) * Entry(X, I)),
        ((Entry(X, K), S.Zero), {}, S.Zero),
    ],
)
def test_hoisted(factors: Any, free: dict[Index, int], expected: Any) -> None:
    assert hoisted(factors, [(K, size(3))], [(i, size(n)) for i, n in free.items()]) == expected


def test_a_bracket_decides_what_stands_beside_it() -> None:
    outside, picked = Ne(I, 1), Where(Eq(I, 1), Entry(Y, I), Entry(X, I) ** 2)
    assert hoisted([Indicator(outside), picked], []) == Indicator(outside) * Entry(X, I) ** 2
    assert hoisted([Indicator(Eq(I, 1)), 2 * picked], []) == 2 * Indicator(Eq(I, 1)) * Entry(Y, I)
    product, other_bracket = Where(Eq(I, 1), Entry(X, I), Entry(X, I) * Entry(Y, I)), Indicator(Ne(J, 1))
    decided = Indicator(outside) * other_bracket * Entry(X, I) * Entry(Y, I)
    assert hoisted([Indicator(outside), product, other_bracket], []) == decided
    other = Total(Where(Eq(K, 1), Entry(Y, K), Entry(X, K)), Tuple(K, size(3)))
    assert hoisted([Indicator(Ne(K, 1)), other], []) == Indicator(Ne(K, 1)) * other  # another k


@pytest.mark.parametrize("free", [{}, {I: 4}])
def test_an_index_that_may_run_further_picks_no_term(free: dict[Index, int]) -> None:
    term = Entry(X, K) * Indicator(Eq(K, I))
    found = hoisted([term], [(K, size(3))], [(i, size(n)) for i, n in free.items()])
    assert found == Total(term, Tuple(K, size(3)))
