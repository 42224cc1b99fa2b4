"""Formulas and matrix trees on one line of Unicode: a table of pairs by hand, and every op's formulas."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from sympy import Add, Integer, Mul, Pow, Rational, S

import explain
from explain.calculus.matrix_tree import (
    MDiag,
    MHadamard,
    MName,
    MOnes,
    MPower,
    MProduct,
    MScale,
    MSum,
    MTranspose,
    Tree,
)
from explain.calculus.reader import read_formula
from explain.calculus.symbols import Call, Entry, TensorName, late
from explain.render.names import distinct
from explain.render.plain import plain, plain_matrix, plain_name
from tests.calculus.op_formulas import op_formulas
from tests.render.pages import run_of

TABLE = [
    ("x", "x"),
    ("x[i]", "xᵢ"),
    ("x[i, j]", "xᵢⱼ"),
    ("x[i, q]", "x[i,q]"),
    ("x[i + 1]", "xᵢ₊₁"),
    ("x[i + 1, j]", "x[i+1, j]"),
    ("x[0, j]", "x₁ⱼ"),
    ("x[0, 11]", "x[1, 12]"),
    ("x[i, t[i]]", "x[i, tᵢ+1]"),
    ("x[t]", "xₜ₊₁"),
    ("x[n*i + j]", "x[n·(i−1)+j]"),
    ("x[m*n*i + n*j + k]", "x[m·n·(i−1)+n·(j−1)+k]"),
    ("x[2*n*(i + 1) + j, k]", "x[2n·i+j, k]"),
    ("loss", "loss"),
    ("P[i, j]", "Pᵢⱼ"),
    ("probs[i, j]", "probsᵢⱼ"),
    ("W1", "W₁"),
    ("W1[i, j]", "W₁[i,j]"),
    ("u_1[i]", "u₁[i]"),
    ("theta[i]", "θᵢ"),
    ("y_pred[i]", "y_predᵢ"),
    ("损失", "损失"),
    ("bar(z)[i, j]", "z̄ᵢⱼ"),
    ("bar(out)", "bar(out)"),
    ("bar(out)[i]", "bar(out)ᵢ"),
    ("d(x)[i]", "dxᵢ"),
    ("inv(A)[i, j]", "A⁻¹[i,j]"),
    ("3/2*(x[i, j] + 2)", "3/2·(xᵢⱼ + 2)"),
    ("6*bar(z)[i, j]*y[i, j]", "6·yᵢⱼ·z̄ᵢⱼ"),
    ("2*x[k]**3/sqrt(Sum(x[i]**4, (i, 0, 2)))", "2·xₖ³/√(Σᵢ xᵢ⁴)"),
    ("y[i]*bar(z)/z", "yᵢ·z̄/z"),
    ("x/(2*y)", "x/(2·y)"),
    ("1/2*x", "1/2·x"),
    ("1/10*x", "0.1·x"),
    ("3/2000000*x", "1.5·10⁻⁶·x"),
    ("1/x", "1/x"),
    ("x/0", "x/0"),
    ("-x/y**2", "−x/y²"),
    ("-mu[j] + x[i]", "xᵢ − μⱼ"),
    ("-y[i]**2 + 1", "1 − yᵢ²"),
    ("-(a + b)", "−(a + b)"),
    ("(a + b)**2", "(a + b)²"),
    ("(x**2)**y", "(x²)^y"),
    ("x**(1/3)", "x^(1/3)"),
    ("x**y[i]", "x^yᵢ"),
    ("sqrt(2)*x", "√2·x"),
    ("tanh(x[i])**2", "tanh(xᵢ)²"),
    ("sigmoid(x)*(1 - sigmoid(x))", "σ(x)·(1 − σ(x))"),
    ("exp(-x[i])", "exp(−xᵢ)"),
    ("abs(x[i])", "|xᵢ|"),
    ("abs(x*abs(y))", "abs(x·|y|)"),
    ("maximum(a, b)", "max(a, b)"),
    ("Sum(W[k, j]*x[i, k], (k, 0, 2))", "Σₖ xᵢₖ·Wₖⱼ"),
    ("Sum(x[q], (q, 0, 2))", "Σ[q] x[q]"),
    ("1/4*Sum(z[i, j], (i, 0, 1), (j, 0, 1))", "1/4·Σᵢⱼ zᵢⱼ"),
    ("Sum(x[i] + 2, (i, 0, 2))", "Σᵢ (xᵢ + 2)"),
    ("Sum(x[i], (i, 0, 2))*bar(z)", "(Σᵢ xᵢ)·z̄"),
    ("Sum(x[i], (i, 0, 2))/z", "(Σᵢ xᵢ)/z"),
    ("logsumexp(x[i, j], (j, 0, 3)) - x[i, t[i]]", "log Σⱼ exp(xᵢⱼ) − x[i, tᵢ+1]"),
    ("prod(x[i, j], (j, 0, 3))", "Πⱼ xᵢⱼ"),
    ("amax(x[i], (i, 0, 3))", "maxᵢ xᵢ"),
    ("softmax(x[i, k], (k, 0, 3), at=(j,))", "exp(xᵢⱼ)/Σₖ exp(xᵢₖ)"),
    ("softmax(x[k], (k, 0, 3), at=(j,))*bar(z)[j]", "(exp(xⱼ)/Σₖ exp(xₖ))·z̄ⱼ"),
    ("prod_others(x[i, l], (l, 0, 3), at=(j,))", "Π[l ≠ j] xᵢₗ"),
    ("6*y[i]*Indicator(i == k)", "6·yᵢ·δᵢₖ"),
    ("Indicator(i == q)", "[i = q]"),
    ("Indicator(j == t[i])", "[j = tᵢ + 1]"),
    ("Indicator(p == n*j + k)", "[p = n·(j − 1) + k]"),
    ("Indicator(i - 1 >= 0)", "[i ≥ 2]"),
    ("Indicator(not Holds(s[i]))", "[¬sᵢ]"),
    ("Indicator(x[i] > 0)", "[xᵢ > 0]"),
    ("Where(x > 0, x, 0)", "{x, x > 0; 0, x ≤ 0}"),
    ("x[Digit(i, 3, 2), Digit(i, 1, 3)]", "x[(⌊(i−1)/3⌋ mod 2)+1, ((i−1) mod 3)+1]"),
    ("i*x[i]", "(i − 1)·xᵢ"),
    ("delta[i, j]*Indicator(i == j)", "δᵢⱼ·[i = j]"),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_plain(text: str, expected: str) -> None:
    assert plain(read_formula(text, "ijklpq", ("m", "n"))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x[0]", "x₀"), ("x[2*i, j]", "x[2i, j]"), ("i*x[i]", "i·xᵢ"), ("x[3 - i]", "x₃₋ᵢ"), ("x[i, t[i]]", "x[i, tᵢ]")],
)
def test_indices_from_zero(text: str, expected: str) -> None:
    assert plain(read_formula(text, "ij"), index_base=0) == expected


def test_names() -> None:
    names = {"x": "x", "W1": "W₁", "bar(u_1)": "ū₁", "bar(loss)": "bar(loss)", "bar(theta)": "θ̄", "inv(A)": "A⁻¹"}
    assert {name: plain_name(name) for name in names} == names


PLACES = [
    "n*i + j", "m*n*i + n*j + k", "m*n - 1 - n*i - j", "n*(i - 1) + 2*j + 1", "m - 1 - i", "(n - 1)*(i + 1) + j + m",
    "2*n*i + 2*n + j", "1/2*n*i", "n*Digit(i, m, n) + j", "Digit(n*i + j, m, n)", "n*t + j", "n*m*t - t + 3", "3 - i",
    "(m + n)*(i + j) + k", "-n*i - n", "1/2*i + 1/2*j", "i*j + n*i", "t", "Digit(t, m, n)",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_place_counted_from_one_is_the_place_counted_from_zero_and_one(place: str) -> None:
    e = read_formula(f"x[{place}, q]", "ijkq", ("m", "n"))
    values = {"i": 3, "j": 2, "k": 1, "q": 0, "m": 5, "n": 4, "t": 6}
    zero, one = (_place(plain(e, base), values, base) for base in (0, 1))
    assert one == zero + 1


def _place(text: str, values: dict[str, int], base: int) -> Any:
    shown = text.removeprefix("x[").rpartition(",")[0].replace("⌊", "int(").replace("⌋", ")").replace("mod", "%")
    shown = re.sub("[·−]", lambda m: {"·": "*", "−": "-"}[m[0]], re.sub(r"(\d)([a-z])", r"\1*\2", shown))
    return eval(shown, {name: n + base * (name in "ijk") for name, n in values.items()})


def test_names_that_look_alike_are_printed_verbatim() -> None:
    names = {"x1": "x1", "x_1": "x_1", "theta": "theta", "θ": "θ", "W_1": "W₁", "bar(x1)": "bar(x1)", "Alpha": "Alpha"}
    with distinct([*names, "A"]):
        assert {name: plain_name(name) for name in names} == names
        assert plain(read_formula("x_1[i]*theta[i]*W_1[i]*bar(x1)[i]", "i")) == "x_1[i]·thetaᵢ·W₁[i]·bar(x1)ᵢ"


def _column(name: str) -> MName:
    return MName(TensorName(name), 1, (S(3), S.One))


A, X = (MName(TensorName(n), 2, (S(3), S(2))) for n in "AX")
x, b, y, v = (_column(n) for n in ("x", "b", "y", "bar(z)"))
Z, W = (MName(TensorName(n), 0, (S.One, S.One)) for n in "zw")
residual = MSum((MProduct((A, x)), MScale(S.NegativeOne, b)))

MATRICES: list[tuple[Tree, str]] = [
    (MScale(Integer(2), MProduct((MTranspose(A), residual))), "2·Aᵀ(A x − b)"),
    (MScale(Rational(1, 3), MProduct((A, residual))), "1/3·A (A x − b)"),
    (MScale(Integer(6), MHadamard((y, v))), "6·y ⊙ z̄"),
    (MProduct((MTranspose(X), MOnes(S(3)))), "Xᵀ 𝟏"),
    (MDiag(x), "diag(x)"),
    (MSum((MScale(S.NegativeOne, MPower(x, Integer(2))), b)), "b − x ⊙ x"),
    (MScale(S.One, x, (MPower(MProduct((MTranspose(x), x)), -S.Half),)), "x/√(xᵀ x)"),
    (MHadamard((x, MPower(y, S.NegativeOne))), "x ⊘ y"),
    (MHadamard((MPower(Z, S.NegativeOne), MPower(Z, Integer(-2)))), "1/(z·z²)"),
    (MHadamard((MPower(W, S.NegativeOne), MPower(Z, S.Half))), "√(z)/w"),
]


@pytest.mark.parametrize(("tree", "expected"), MATRICES, ids=[row[1] for row in MATRICES])
def test_matrices(tree: Tree, expected: str) -> None:
    assert plain_matrix(tree) == expected


def test_every_formula_of_every_op_is_one_line() -> None:
    for name, e in op_formulas():
        for base in (0, 1):
            text = plain(e, base)
            assert text and "\n" not in text and "\\" not in text and "~" not in text, name


# what is printed has the value of the formula: no sign, factor or parenthesis is lost

VALUES = {"x": 1.3, "y": 0.7, "b": 2.1, "w": 0.6, "bar(q)": 0.37}
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))


def _random(stream: np.random.Generator, depth: int) -> Any:
    def pick(*choices: Any) -> Any:
        return choices[int(stream.integers(len(choices)))]

    number = Rational(int(stream.integers(-9, 10)), int(stream.integers(1, 6)))
    if depth == 0:
        return pick(*(Entry(TensorName(n)) for n in VALUES), number)
    a, b, c = (_random(stream, d) for d in (depth - 1, depth - 1, 0))
    kind = int(stream.integers(4))
    if kind == 0:
        return Add(a, pick(b, Mul(number, b, evaluate=False)), evaluate=False)
    if kind == 1:
        return Mul(pick(a, number), b, c, evaluate=False)
    if kind == 2:
        return Pow(a, pick(*map(Integer, (2, 3, -1, -2)), c), evaluate=False)
    return pick(Call("tanh", a), Call("exp", a), Pow(Call("exp", a), pick(S.Half, -S.Half), evaluate=False))


def _value(e: Any) -> complex:
    if isinstance(e, Entry):
        return VALUES[e.tensor.name]
    if e.is_Number:
        return float(e)
    a = [_value(part) for part in (e.arguments if isinstance(e, Call) else e.args)]
    if isinstance(e, Call):
        return complex(np.tanh(a[0]) if e.op == "tanh" else np.exp(a[0]))
    return sum(a) if e.is_Add else math.prod(a) if e.is_Mul else complex(a[0]) ** a[1]


def _python(text: str) -> str:
    text = text.replace("q̄", "q").replace("·", "*").replace("−", "-").replace("^", "**").replace("√", "sqrt")
    return re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "**" + "".join(SUPERSCRIPTS[c] for c in m[0]), text)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_printed_has_the_value_of_the_formula() -> None:
    functions = {"sqrt": np.emath.sqrt, "tanh": np.tanh, "exp": np.exp}
    names: dict[str, Any] = {"q": VALUES["bar(q)"], **VALUES, **functions}
    tried = 0
    for seed in range(600):
        e = late(_random(np.random.default_rng(seed), 1 + seed % 3))
        text = plain(e)
        if e.has(S.NaN, S.ComplexInfinity, S.ImaginaryUnit, S.Infinity) or "⁻" in text or "√(-" in text:
            continue
        try:
            wanted, found = _value(e), eval(_python(text), {k: v for k, v in names.items() if k.isidentifier()})
        except (OverflowError, ZeroDivisionError):
            continue
        if np.isfinite(wanted) and wanted.imag == 0:  # elsewhere a root may take its other branch
            tried += 1
            assert found == pytest.approx(wanted, rel=1e-3, abs=1e-3), text
    assert tried > 400


def test_entries_at_fixed_places_are_put_in_too() -> None:
    """A line with numbers has no name left in it, not even that of one entry."""
    text = explain.expr("sum(c*x)", c=[-2], x=[1, 2]).render("text")
    assert "x̄ = (-2)·𝟏·1 = [-2, -2]" in text


@pytest.mark.parametrize(("expression", "x"), [("norm(x)", [0.0, 0.0]), ("sum(sqrt(x)*0)", [0.0, 1.0])])
def test_where_the_formula_does_not_give_the_numbers_none_are_put_in(expression: str, x: list[float]) -> None:
    text = explain.expr(expression, x=x).render("text")
    assert "The formula does not give all of these numbers" in text
    assert "J = " not in text and "/0" not in text and "changes nothing" not in text


def test_an_infinite_slope_is_what_the_formula_gives() -> None:
    text = explain.expr("sum(1/x)", x=[0.0, 1.0]).render("text")
    assert "J = [[-inf, -1]]" in text and "The formula does not give" not in text


def test_closed_forms_of_one_program_speak_in_the_same_names() -> None:
    """Either all of them are written out, or all are in the names of the steps, which are defined below them."""
    text = run_of("logistic").render("text", show="answer")
    assert "∂loss/∂b = 1/3·Σᵢ (pᵢ − yᵢ)" in text
    assert text.index("where u₁[i] = Σⱼ Xᵢⱼ·wⱼ + b") < text.index("where pᵢ = σ(u₁[i])")
