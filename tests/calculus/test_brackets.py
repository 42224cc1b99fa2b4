"""Brackets of one index put together, and sums over where a mask is true."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Eq, Ne, S, Tuple

from explain.calculus.brackets import merged
from explain.calculus.masks import Masked, over_masks
from explain.calculus.symbols import UNIT, Entry, Holds, Index, Indicator, TensorName, Total, Where, size

I, J, K = (Index(n) for n in "ijk")
X, Y, M, P, Q = (TensorName(n) for n in "xymPQ")
B = Indicator


@pytest.mark.parametrize(
    ("e", "short"),
    [
        (B(I >= 3) * B(I >= 2), B(I >= 3)),
        (B(I <= 3) * B(I < 3), B(I <= 2)),
        (B(I <= 3) * B(I >= 3), B(Eq(I, 3))),
        (B(I >= 4) * B(I < 4), S.Zero),
        (B(Eq(I, 4)) * B(I < 4), S.Zero),
        (B(Eq(I, 4)) * B(I < 5), B(Eq(I, 4))),
        (B(Eq(I - 1, 1)) * B(I >= 2), B(Eq(I, 2))),
        (B(I >= 2) * B(J >= 3), B(I >= 2) * B(J >= 3)),
        (B(I >= 3) * (Entry(X, I) * B(I < 3) + Entry(Y, I) * B(I >= 1)), B(I >= 3) * Entry(Y, I)),
        (B(Eq(I, 3)) * B(Ne(I, 2)) * Entry(X, I), B(Eq(I, 3)) * Entry(X, I)),
        (B(I >= 3) * Where(I < 2, Entry(X, I), Entry(Y, I)), B(I >= 3) * Entry(Y, I)),
        (B(I >= 3) * Where(I < 5, Entry(X, I), Entry(Y, I)), B(I >= 3) * Where(I < 5, Entry(X, I), Entry(Y, I))),
        (Entry(X, I) * B(I < 3) + Entry(X, I) * B(I >= 3), Entry(X, I)),
        (2 * UNIT * Entry(X, I) * B(I < 3) + 2 * UNIT**2 * Entry(X, I) * B(I >= 3), 2 * UNIT**2 * Entry(X, I)),
        (B(I < 3) + B(I >= 3) * B(I < 5) + B(I >= 5), S.One),
        (B(I < 3) + B(I >= 4), B(I < 3) + B(I >= 4)),
        (B(I < 3) + B(I >= 2), B(I < 3) + B(I >= 2)),
        (B(Eq(I, 1)) + B(Eq(I, 2)), B(Eq(I, 1)) + B(Eq(I, 2))),
        (B(Entry(X, I) > 0) * Entry(Y, I) + B(Entry(X, I) <= 0) * Entry(Y, I), Entry(Y, I)),
        (B(Entry(X, I) > 0) + B(Entry(X, I) < 0), B(Entry(X, I) > 0) + B(Entry(X, I) < 0)),
    ],
)
def test_merged(e: Any, short: Any) -> None:
    assert merged(e) == short
    for at in range(7):  # and it is the same at every position
        for entry in (-1, 1):
            there = (e - short).xreplace({I: S(at), J: S(4)}).xreplace({Entry(X, at): S(entry), UNIT: S.One})
            assert there.expand() == 0


ONE = Masked((P,), (size(4),), lambda places: Holds(Entry(M, *places)))
TWO = Masked((P, Q), (size(2), size(3)), lambda places: Holds(Entry(M, *places)))


@pytest.mark.parametrize(
    ("e", "mask", "short"),
    [
        (Total(Entry(X, Entry(P, K)) * B(Eq(Entry(P, K), I)), Tuple(K, size(2))), ONE, Entry(X, I) * B(Holds(Entry(M, I)))),
        (
            Total(B(Eq(Entry(P, K), I)) * B(Eq(Entry(Q, K), J)) * Entry(X, Entry(P, K)), Tuple(K, size(3))), TWO,
            Entry(X, I) * B(Holds(Entry(M, I, J))),
        ),
    ],
)  # fmt: skip
def test_a_sum_over_where_a_mask_is_true(e: Any, mask: Masked, short: Any) -> None:
    assert over_masks(e, [mask], [(I, size(2)), (J, size(3))]) == short


@pytest.mark.parametrize(
    ("e", "mask"),
    [
        (Total(Entry(Y, K) * B(Eq(Entry(P, K), I)), Tuple(K, size(2))), ONE),  # which of them it is counts
        (Total(Entry(X, Entry(P, K)), Tuple(K, size(3))), TWO),  # a row is counted as often as it is picked from
        (Total(Entry(X, Entry(P, 1)) * Entry(Y, K), Tuple(K, size(2))), ONE),
    ],
)
def test_other_sums_stay(e: Any, mask: Masked) -> None:
    assert over_masks(e, [mask], [(I, size(4))]) == e
