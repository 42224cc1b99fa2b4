"""A quotient by its name inside of products and sums."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Tuple

from explain.calculus.quotients import quotient
from explain.calculus.symbols import Entry, Index, TensorName, Total, size

I, J, K = (Index(n) for n in "ijk")
X, G, U, S = (TensorName(n) for n in "xgus")


def at(name: TensorName, *indices: Any) -> Entry:
    return Entry(name, *indices)


def of(body: Any) -> Any:
    return Total(body, Tuple(K, size(3)))


ROWS = quotient("u", (I, J), at(X, I, J) / at(S, I, 0))


@pytest.mark.parametrize(
    ("e", "named"),
    [
        (at(G, I, J) * at(X, I, J) / at(S, I, 0), at(G, I, J) * at(U, I, J)),
        (at(X, I, J) / at(S, I, 0) ** 2, at(U, I, J) / at(S, I, 0)),
        (of(at(G, I, K) * at(X, I, K)) / at(S, I, 0), of(at(G, I, K) * at(U, I, K))),
        (at(X, I, J) * (at(G, I, J) / at(S, I, 0) - 1 / at(S, I, 0)), at(U, I, J) * (at(G, I, J) - 1)),
        ((at(X, I, J) * at(G, I, J) + at(X, I, K)) / at(S, I, 0), at(U, I, J) * at(G, I, J) + at(U, I, K)),
        (at(X, J, I) / at(S, I, 0), at(X, J, I) / at(S, I, 0)),  # of another row
        (at(X, I, J) * at(S, I, 0), at(X, I, J) * at(S, I, 0)),
        (at(X, I, J) * (at(G, I, J) + 1 / at(S, I, 0)), at(X, I, J) * (at(G, I, J) + 1 / at(S, I, 0))),
        (of(at(X, K, J) / at(S, K, 0)) * at(X, I, J), of(at(U, K, J)) * at(X, I, J)),
    ],
)
def test_put_into(e: Any, named: Any) -> None:
    assert ROWS is not None
    assert ROWS.put_into(e) == named


@pytest.mark.parametrize("formula", [at(X, I, J) * at(S, I, 0), at(X, J, I) / at(S, I, 0), at(X, I, J) / 2, 1 / at(S, I, 0)])
def test_what_is_no_quotient(formula: Any) -> None:
    assert quotient("u", (I, J), formula) is None
