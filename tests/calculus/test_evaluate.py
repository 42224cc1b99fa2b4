"""Formulas evaluated: brackets in sums are read and written by place, masks cut off infinities, no number is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Ge, Gt, Le, Mul, S, Tuple

from explain.calculus.evaluate import evaluate, evaluate_each
from explain.calculus.symbols import Call, Entry, Index, Indicator, TensorName, Total, Transform, size

I, J, K, L = (Index(n) for n in "ijkl")
X, Y, A, B = (TensorName(n) for n in "xyab")
MANY = 100_000


def bracket(p: Any, i: Index) -> Any:
    return Indicator(Eq(p, i))


def total(body: Any, *limits: tuple[Index, int]) -> Any:
    return Total(body, *(Tuple(i, size(n)) for i, n in limits))


def test_terms_are_added_where_positions_say() -> None:
    stream = np.random.default_rng(0)
    arrays = {"x": stream.normal(size=MANY), "a": stream.integers(0, MANY, MANY)}
    found = evaluate(total(Entry(X, K) * bracket(Entry(A, K), I), (K, MANY)), arrays, [(I, MANY)])
    expected = np.zeros(MANY)
    np.add.at(expected, arrays["a"], arrays["x"])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_place_itself_may_stand_in_the_term() -> None:
    stream = np.random.default_rng(0)
    arrays = {"x": stream.normal(size=MANY), "y": stream.normal(size=MANY), "a": stream.integers(0, MANY, MANY)}
    found = evaluate(total(Entry(X, K) * Entry(Y, I) * bracket(Entry(A, K), I), (K, MANY)), arrays, [(I, MANY)])
    expected = np.zeros(MANY)
    np.add.at(expected, arrays["a"], arrays["x"])
    np.testing.assert_allclose(found, expected * arrays["y"], rtol=1e-12, atol=1e-12)


def test_several_positions_with_an_axis_in_common() -> None:
    """[a[k, j] = i] keeps j; [a[k] = i]·[b[k] = j] writes to pairs."""
    stream = np.random.default_rng(1)
    x, a = stream.normal(size=(5, 3)), stream.integers(0, 4, (5, 3))
    found = evaluate(total(Entry(X, K, J) * bracket(Entry(A, K, J), I), (K, 5)), {"x": x, "a": a}, [(I, 4), (J, 3)])
    expected = np.zeros((4, 3))
    np.add.at(expected, (a, np.arange(3)), x)
    np.testing.assert_allclose(found, expected)

    a, b, y = stream.integers(0, 300, MANY), stream.integers(0, 300, MANY), stream.normal(size=MANY)
    pairs = total(Entry(Y, K) * bracket(Entry(A, K), I) * bracket(Entry(B, K), J), (K, MANY))
    expected = np.zeros((300, 300))
    np.add.at(expected, (a, b), y)
    found = evaluate(pairs, {"a": a, "b": b, "y": y}, [(I, 300), (J, 300)])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_one_place_for_two_positions() -> None:
    a, b = np.array([0, 1, 2, 1]), np.array([0, 2, 2, 1])
    found = evaluate(total(bracket(Entry(A, K), I) * bracket(Entry(B, K), I), (K, 4)), {"a": a, "b": b}, [(I, 3)])
    np.testing.assert_array_equal(found, [1, 1, 1])


def test_other_brackets_and_sums_stay_what_they_are() -> None:
    stream = np.random.default_rng(2)
    x, y, a = stream.normal(size=(6, 7)), stream.normal(size=(7, 3)), stream.integers(0, 4, 6)
    term = Entry(X, K, L) * Entry(Y, L, J) * bracket(Entry(A, K), I) * Indicator(Ge(K, 2)) * Indicator(Le(K, 4))
    found = evaluate(total(term, (K, 6), (L, 7)), {"x": x, "y": y, "a": a}, [(I, 4), (J, 3)])
    expected = np.zeros((4, 3))
    np.add.at(expected, a[2:5], (x @ y)[2:5])
    np.testing.assert_allclose(found, expected)


def test_a_bound_index_in_a_bracket_is_replaced() -> None:
    stream = np.random.default_rng(3)
    arrays = {"x": stream.normal(size=MANY), "y": stream.normal(size=MANY), "a": stream.integers(0, MANY, MANY)}
    both = total(Entry(X, K) * Entry(Y, L) * bracket(Entry(A, K), L), (K, MANY), (L, MANY))
    np.testing.assert_allclose(evaluate(both, arrays), np.sum(arrays["x"] * arrays["y"][arrays["a"]]), rtol=1e-9)
    one = total(Entry(X, K) * bracket(K, I), (K, MANY))
    np.testing.assert_array_equal(evaluate(one, arrays, [(I, MANY)]), arrays["x"])


def test_positions_outside_of_an_axis_are_nowhere() -> None:
    x, a = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0, 3, -1, 1])
    arrays = {"x": x, "a": a, "y": np.array([1.0, 10.0])}
    np.testing.assert_array_equal(evaluate(total(Entry(X, K) * bracket(Entry(A, K), I), (K, 4)), arrays, [(I, 2)]), [1, 8])
    picked = total(Entry(X, K) * Entry(Y, L) * bracket(Entry(A, K), L), (K, 4), (L, 2))
    assert evaluate(picked, arrays) == 1 + 80
    assert evaluate(total(Entry(X, K) * bracket(K, I), (K, 4)), arrays, [(I, 6)]).tolist() == [1, 2, 4, 8, 0, 0]
    assert evaluate(total(Entry(X, K) * bracket(K, L), (K, 4), (L, 2)), arrays) == 3


def test_empty_axes() -> None:
    arrays = {"x": np.zeros(0), "a": np.zeros(0, np.int64)}
    term = Entry(X, K) * bracket(Entry(A, K), I)
    np.testing.assert_array_equal(evaluate(total(term, (K, 0)), arrays, [(I, 3)]), np.zeros(3))
    assert evaluate(total(term, (K, 0)), arrays, [(I, 0)]).shape == (0,)


@pytest.mark.parametrize(
    ("e", "expected"),
    [(S.ComplexInfinity, np.inf), (S.NaN, np.nan), (S.NegativeInfinity, -np.inf), (S.ImaginaryUnit, np.nan),
     (S(10) ** 400, np.inf), (-(S(10) ** 400), -np.inf), (S.Pi, np.pi)],
)  # fmt: skip
def test_every_number_has_a_value(e: Any, expected: float) -> None:
    np.testing.assert_equal(evaluate(e, {})[()], expected)
    arrays = {"x": np.ones(2)}
    np.testing.assert_equal(evaluate(Mul(e, Entry(X, I), evaluate=False), arrays, [(I, 2)]), [expected] * 2)


@pytest.mark.parametrize("rest", [np.inf, -np.inf, np.nan])
def test_a_mask_is_zero_whatever_stands_outside(rest: float) -> None:
    arrays = {"x": np.array([1.0, -1.0]), "y": np.array([2.0, rest]), "a": np.array([0, 0])}
    mask = Indicator(Gt(Entry(X, I), 0))
    np.testing.assert_array_equal(evaluate(mask * Entry(Y, I), arrays, [(I, 2)]), [2, 0])
    np.testing.assert_array_equal(evaluate(mask * Call("exp", Entry(Y, I)), arrays, [(I, 2)]), [np.exp(2), 0])
    assert evaluate(total(mask * Entry(Y, I) * Entry(X, I), (I, 2)), arrays) == 2
    spread = total(mask * Entry(Y, I) * bracket(I, J), (I, 2))
    np.testing.assert_array_equal(evaluate(spread, arrays, [(J, 2)]), [2, 0])
    # no term is added to the second place: how often a place is met is a mask too
    counted = total(bracket(Entry(A, K), I), (K, 2))
    np.testing.assert_array_equal(evaluate(counted * Entry(Y, I), arrays, [(I, 2)]), [4, 0])


def test_several_sets_of_values_at_once() -> None:
    stream = np.random.default_rng(4)
    x, y, a = stream.normal(size=(3, 6)), stream.normal(size=6), stream.integers(0, 4, (3, 6))
    term = total(Entry(X, K) * Entry(Y, K) * bracket(Entry(A, K), I), (K, 6))
    found = evaluate_each(term, {"y": y}, {"x": x, "a": a}, [(I, 4)])
    assert found.shape == (3, 4)
    for k in range(3):
        np.testing.assert_allclose(found[k], evaluate(term, {"x": x[k], "y": y, "a": a[k]}, [(I, 4)]), rtol=1e-13)
    np.testing.assert_array_equal(evaluate_each(Entry(Y, I), {"y": y}, {"x": x}, [(I, 6)]), [y, y, y])


def test_a_set_without_an_inverse_spoils_no_other() -> None:
    inverse = Transform("inv", Entry(X, K, L), [Tuple(K, size(2)), Tuple(L, size(2))], [I, J])
    x = np.array([[[2.0, 0], [0, 4]], [[1, 1], [1, 1]], [[1, 0], [0, 5]]])
    found = evaluate_each(inverse, {}, {"x": x}, [(I, 2), (J, 2)])
    np.testing.assert_allclose(found[[0, 2]], np.linalg.inv(x[[0, 2]]))
    assert np.all(np.isnan(found[1]))
