"""Formulas as text and back: a table by hand, every formula of every op, random trees, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Add, And, Eq, Expr, Ge, Gt, Integer, Lt, Mul, Ne, Not, Pow, Rational, S, Symbol, Tuple

from explain.calculus.express import letters
from explain.calculus.reader import read_formula, size_symbol
from explain.calculus.symbols import (
    Call,
    Digit,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    late,
    plain_sum,
    product,
    walk_preorder,
)
from explain.calculus.text import formula_text
from explain.errors import InputError
from tests.calculus.op_formulas import op_formulas

I, J, K = (Index(n) for n in "ijk")


def at(name: str, *indices: Any) -> Entry:
    return Entry(TensorName(name), *indices)


def inverse(e: Expr, power: Any = -1) -> Expr:
    return Pow(e, power, evaluate=False)


x, y, z = at("x", I, J), at("y"), at("bar(z)", I, J)
PAIRS: list[tuple[Expr, str]] = [
    (x, "x[i, j]"),
    (y, "y"),
    (z, "bar(z)[i, j]"),
    (at("bar(z)"), "bar(z)"),
    (at("d(x)", I), "d(x)[i]"),
    (at("inv(A)", I, J), "inv(A)[i, j]"),
    (at("fc1.weight", I), "fc1.weight[i]"),
    (at("lambda", I), "tensor('lambda')[i]"),
    (at("a b"), "tensor('a b')"),
    (at("损失", I), "损失[i]"),
    (at("S"), "S"),
    (at("i", I), "i[i]"),
    (product([at("i"), I]), "tensor('i')*i"),
    (at("x", I, at("t", I)), "x[i, t[i]]"),
    (at("x", plain_sum([I, S.One])), "x[i + 1]"),
    (product([Rational(3, 2), plain_sum([x, Integer(2)])]), "3/2*(x[i, j] + 2)"),
    (product([S.Half, x]), "1/2*x[i, j]"),
    (product([S.NegativeOne, x]), "-x[i, j]"),
    (product([S.NegativeOne, plain_sum([x, y])]), "-(x[i, j] + y)"),
    (product([Integer(-2), x, y]), "-2*x[i, j]*y"),
    (product([x, inverse(y)]), "x[i, j]/y"),
    (product([S.Half, inverse(y)]), "1/2/y"),
    (product([inverse(y), x]), "1/y*x[i, j]"),
    (inverse(product([x, y])), "1/(x[i, j]*y)"),
    (product([x, inverse(x), inverse(y)]), "x[i, j]/x[i, j]/y"),
    (product([x, S.ComplexInfinity]), "x[i, j]/0"),
    (plain_sum([x, product([S.NegativeOne, y])]), "x[i, j] - y"),
    (plain_sum([product([S.NegativeOne, x]), y]), "-x[i, j] + y"),
    (plain_sum([product([S.NegativeOne, Pow(y, 2)]), S.One]), "1 - y**2"),
    (plain_sum([x, Rational(-1, 3)]), "x[i, j] - 1/3"),
    (Pow(x, 2, evaluate=False), "x[i, j]**2"),
    (Pow(x, Rational(1, 2), evaluate=False), "sqrt(x[i, j])"),
    (inverse(x, Rational(-1, 2)), "1/sqrt(x[i, j])"),
    (inverse(x, Rational(-3, 2)), "1/x[i, j]**(3/2)"),
    (Pow(plain_sum([x, y]), 2, evaluate=False), "(x[i, j] + y)**2"),
    (Pow(Pow(x, 2), y, evaluate=False), "(x[i, j]**2)**y"),
    (Pow(inverse(x), y, evaluate=False), "(1/x[i, j])**y"),
    (Pow(x, product([S.NegativeOne, y]), evaluate=False), "x[i, j]**(-y)"),
    (Pow(Integer(2), y, evaluate=False), "2**y"),
    (Pow(Rational(3, 2), y, evaluate=False), "(3/2)**y"),
    (product([S(2) * Pow(3, S.Half), x]), "2*sqrt(3)*x[i, j]"),
    (plain_sum([x, S.Infinity]), 'x[i, j] + float("inf")'),
    (Total(Pow(at("x", I), 4), Tuple(I, 3)), "Sum(x[i]**4, (i, 0, 2))"),
    (Total(x, Tuple(I, 2), Tuple(J, 0)), "Sum(x[i, j], (i, 0, 1), (j, 0, -1))"),
    (Total(x, Tuple(I, size_symbol("n"))), "Sum(x[i, j], (i, 0, n - 1))"),
    (Reduction("logsumexp", x, Tuple(J, 4)), "logsumexp(x[i, j], (j, 0, 3))"),
    (Transform("softmax", x, [Tuple(J, 4)], [K]), "softmax(x[i, j], (j, 0, 3), at=(k,))"),
    (Transform("softmax", x, [Tuple(I, 2), Tuple(J, 4)], [K, 0]), "softmax(x[i, j], (i, 0, 1), (j, 0, 3), at=(k, 0))"),
    (Call("tanh", x), "tanh(x[i, j])"),
    (Call("maximum", x, Rational(1, 2)), "maximum(x[i, j], 1/2)"),
    (Indicator(Eq(I, at("t", J))), "Indicator(i == t[j])"),
    (Indicator(Ne(x, y, evaluate=False)), "Indicator(x[i, j] != y)"),
    (Indicator(Ge(plain_sum([I, S.NegativeOne]), 0)), "Indicator(i - 1 >= 0)"),
    (Indicator(Holds(x)), "Indicator(Holds(x[i, j]))"),
    (Indicator(Not(Holds(x))), "Indicator(not Holds(x[i, j]))"),
    (Indicator(Not(And(Eq(I, 1), Ge(J, 1)))), "Indicator(not ((i == 1) and (j >= 1)))"),
    (Where(Gt(x, 0, evaluate=False), x, S.Zero), "Where(x[i, j] > 0, x[i, j], 0)"),
    (Digit(plain_sum([product([Integer(3), I]), J]), 2, 3), "Digit(3*i + j, 2, 3)"),
    (product([I, x]), "i*x[i, j]"),
]


@pytest.mark.parametrize(("e", "text"), PAIRS, ids=[row[1] for row in PAIRS])
def test_written_and_read(e: Expr, text: str) -> None:
    assert formula_text(e) == text
    assert read_formula(text, "ijk", ("n",)) == e


@pytest.mark.parametrize("name", ["S", "N", "Q", "E", "I", "O", "pi", "beta", "gamma", "zeta", "oo", "Sum", "exp", "d"])
def test_names_that_mean_something_to_sympy_are_tensors(name: str) -> None:
    assert read_formula(f"{name}[i] + {name}", "i") == plain_sum([at(name, I), at(name)])


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x*2*3", "6*x"),
        ("1 + x", "x + 1"),
        ("0.1*x", "1/10*x"),
        ("x - (y - 1)", "x - (-1 + y)"),
        ("+x", "x"),
        ("2**3*x", "8*x"),
        ("sqrt(4)*x", "2*x"),
        ("  x[i]  ", "x[i]"),
        ("(x\n + y)", "x + y"),
        ("a*(b*c)", "a*b*c"),
        ("Indicator(0 <= i < 3)", "Indicator(0 <= i and i < 3)"),
    ],
)
def test_other_ways_to_write_the_same(text: str, same: str) -> None:
    assert read_formula(text, "i") == read_formula(same, "i")


def test_every_formula_of_every_op_round_trips() -> None:
    formulas = op_formulas()
    assert len(formulas) > 500
    for name, e in formulas:
        tensors = [t.name for t in walk_preorder(e) if isinstance(t, TensorName)]
        text = formula_text(e)
        assert read_formula(text, letters(tensors)) == e, (name, text)


class _Trees:
    """Random formulas, in the form that ``late`` leaves them."""

    def __init__(self, seed: int) -> None:
        self.stream = np.random.default_rng(seed)

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.stream.integers(len(choices)))]

    def number(self) -> Expr:
        return Rational(int(self.stream.integers(-4, 5)), int(self.stream.integers(1, 4)))

    def place(self) -> Expr:
        i = self.pick(I, J, K)
        return self.pick(i, i, i + 1, 3 * i + self.pick(I, J), Integer(0), at("t", i), Digit(2 * i + J, 2, 3), i / 2)

    def condition(self, depth: int) -> Any:
        a, b = self.tree(depth), self.tree(depth)
        kind = self.pick(Eq, Ne, Gt, Ge, Lt)
        relation = kind(I, self.pick(J, at("t", J), Integer(2)), evaluate=False)
        return self.pick(kind(a, b, evaluate=False), relation, Holds(at("s", I)), Not(Holds(at("s", I))))

    def limits(self) -> list[Tuple]:
        return [Tuple(i, self.pick(2, 3, size_symbol("n"))) for i in self.pick((I,), (J, K))]

    def tree(self, depth: int) -> Any:
        if depth == 0:
            name = self.pick("x", "W1", "bar(z)", "d(x)", "S", "θ")
            places = [self.place() for _ in range(int(self.stream.integers(3)))]
            return self.pick(at(name, *places), at(name, *places), at(name, *places), self.number(), I)
        a, b = self.tree(depth - 1), self.tree(depth - 1)
        kind = int(self.stream.integers(13))
        if kind < 3:
            return Add(a, self.pick(b, Mul(self.number(), b, evaluate=False)), evaluate=False)
        if kind < 6:
            return Mul(self.pick(a, self.number()), b, self.tree(0), evaluate=False)
        if kind < 8:
            exponents = (Integer(2), Integer(-1), S.Half, -S.Half, Rational(-3, 2), b)
            return Pow(self.pick(a, b), self.pick(*exponents), evaluate=False)
        if kind == 8:
            return Total(a, *self.limits())
        if kind == 9:
            return self.pick(Call("tanh", a), Call("maximum", a, b))
        if kind == 10:
            return Indicator(self.condition(depth - 1))
        if kind == 11:
            return Where(self.condition(depth - 1), a, b)
        limits = self.limits()
        return self.pick(Reduction("logsumexp", a, *limits), Transform("softmax", a, limits, [K] * len(limits)))


@pytest.mark.parametrize("seed", range(400))
def test_random_formulas_round_trip(seed: int) -> None:
    trees = _Trees(seed)
    e = late(trees.tree(1 + seed % 4))
    if e.has(S.NaN, S.ComplexInfinity, S.ImaginaryUnit):
        return  # 0/0 and the like: nothing to show
    text = formula_text(e)
    again = read_formula(text, "ijk", ("n",))
    assert again == e, text
    assert formula_text(again) == text


REFUSED = [
    ("x +", "does not read as a formula", None),
    ("", "there is no formula", None),
    ("x[i", "does not read", None),
    ("x ^ 2", "operator", "**"),
    ("x @ y", "operator", None),
    ("foo(x)", "no function is called 'foo'", None),
    ("tanhh(x)", "'tanhh'", "tanh"),
    ("x[0:2]", "no slices", "x[i, 0]"),
    ("x.__class__()", "only functions of the library", None),
    ("__import__('os')", "no function", None),
    ("(lambda: x)()", "only functions", None),
    ("[x for x in y]", "not part of a formula", None),
    ("'text'", "not part", None),
    ("True", "not part", None),
    ("1j", "not part", None),
    ("x if y else z", "not part", None),
    ("x == y", "condition", "Indicator"),
    ("Indicator(x)", "a condition is expected", "i == j"),
    ("Sum(x[i])", "names its indices", "Sum("),
    ("Sum(x[i], (i, 1, 3))", "starts at 0", None),
    ("Sum(x[i], i)", "(index, 0, last)", None),
    ("Digit(i)", "Digit(p, stride, n)", None),
    ("softmax(x[j], (j, 0, 2), at=i)", "one position", None),
    ("max(a, b)", "max is not a function of numbers", None),
    ("float('1')", "only", None),
    ("9**9**9", "too large", None),
    ("tanh(*x)", "not part", None),
    ("(" * 400 + "x" + ")" * 400, "", None),
    ("-" * 20000 + "x", "", None),
    ("(x + y)[i]", "only a tensor has entries", None),
]


@pytest.mark.parametrize(("text", "message", "hint"), REFUSED, ids=[row[0][:30] for row in REFUSED])
def test_refused(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(InputError) as caught:
        read_formula(text, "ij")
    assert message in caught.value.message
    assert caught.value.place is not None
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "marked"),
    [("x + foo(y)", "foo"), ("损失*2 + bar_(z)", "bar_"), ("x[i] +\\\n (y ^ 2)", "y ^ 2"), ("  3*(x == y)", "x == y")],
)
def test_the_place_of_the_fault(text: str, marked: str) -> None:
    with pytest.raises(InputError) as caught:
        read_formula(text, "i", source="claim")
    place = caught.value.place
    assert place is not None and place.text[place.start : place.end] == marked and place.source == "claim"


def test_nothing_is_evaluated() -> None:
    assert read_formula("x - x", "") == Add(at("x"), Mul(-1, at("x"), evaluate=False), evaluate=False)
    assert read_formula("x/x", "") == Mul(at("x"), inverse(at("x")), evaluate=False)
    assert isinstance(read_formula("n", "", ("n",)), Symbol)
