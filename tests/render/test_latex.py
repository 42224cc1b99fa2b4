"""LaTeX of formulas and matrix trees: a table of pairs by hand, and every formula of every op through math-core."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Add, Eq, Expr, Integer, Mul, Pow, Rational, S, Symbol

from explain.calculus.matrix_tree import (
    MCall,
    MCompare,
    MDiag,
    MHadamard,
    MIdentity,
    MName,
    MOneHot,
    MOnes,
    MPower,
    MProduct,
    MReduce,
    MScalar,
    MScale,
    MSum,
    MTransform,
    MTranspose,
    MUnit,
    Tree,
)
from explain.calculus.reader import read_formula
from explain.calculus.symbols import Entry, Index, Indicator, TensorName
from explain.derivation.model import Formula, Row
from explain.render.latex import latex, latex_matrix, latex_name
from explain.render.names import distinct, names_in
from explain.render.order import Numeral, numeral
from tests.calculus.op_formulas import op_formulas

INDICES = "ijklpq"


def read(text: str) -> Expr:
    return read_formula(text, INDICES, ("m", "n"))


TABLE = [
    # entries and names
    ("x", "x"),
    ("x[i]", "x_i"),
    ("x[i, j]", "x_{ij}"),
    ("x[i + 1, j]", r"x_{i+1,\,j}"),
    ("x[0]", "x_1"),
    ("x[0, 11]", r"x_{1,\,12}"),
    ("x[2*i]", "x_{2i-1}"),
    ("x[3*i + j]", "x_{3i+j-3}"),
    ("x[i - 1]", "x_{i-1}"),
    ("x[3 - i]", "x_{5-i}"),
    ("x[m - 1 - i]", "x_{m-i+1}"),
    ("x[1/2*i]", "x_{(i+1)/2}"),
    ("x[i, t[i]]", r"x_{i,\,t_i+1}"),
    ("x[t[i] - 1]", "x_{t_i}"),
    ("x[n*i + j]", r"x_{n\,(i-1)+j}"),
    ("x[m*n*i + n*j + k]", r"x_{m\,n\,(i-1)+n\,(j-1)+k}"),
    ("x[(n - 1)*i + 2*j]", r"x_{(n - 1)\,(i-1)+2j-1}"),
    ("x[m*n - 1 - n*i - j]", r"x_{m\,n-n\,(i-1)-j+1}"),
    ("x[Digit(i, m*n, 3)]", r"x_{(\lfloor (i-1)/(m\,n) \rfloor \bmod 3)+1}"),
    ("x[Digit(n*i, m, n)]", r"x_{(\lfloor (n\,(i-1))/m \rfloor \bmod n)+1}"),
    ("loss", r"\mathrm{loss}"),
    ("W1", "W_1"),
    ("W1[i, j]", "(W_1)_{ij}"),
    ("u_1[i]**2", "(u_1)_i^2"),
    ("theta[i]", r"\theta_i"),
    ("损失", r"\text{损失}"),
    ("bar(z)[i, j]", r"\bar z_{ij}"),
    ("bar(out)", r"\overline{\mathrm{out}}"),
    ("bar(W1)[i, j]", r"(\bar W_1)_{ij}"),
    ("bar(bar(z))[i]", r"\bar{\bar z}_i"),
    ("d(x)[i]", r"\mathrm{d}x_i"),
    ("inv(A)[i, j]", "(A^{-1})_{ij}"),
    # products and quotients
    ("3/2*(x[i, j] + 2)", r"\tfrac32\,(x_{ij} + 2)"),
    ("6*bar(z)[i, j]*y[i, j]", r"6\,y_{ij}\,\bar z_{ij}"),
    ("6*y[i, j]*Indicator(i == k)*Indicator(j == l)", r"6\,y_{ij}\,\delta_{ik}\,\delta_{jl}"),
    ("2*x[k]**3/sqrt(Sum(x[i]**4, (i, 0, 2)))", r"\frac{2\,x_k^3}{\sqrt{\sum_i x_i^4}}"),
    ("y[i]*bar(z)/z", r"\frac{y_i}{z}\,\bar z"),
    ("1/2/sqrt(x[i])*bar(z)[i]", r"\frac{\bar z_i}{2\,\sqrt{x_i}}"),
    ("-x[i]*bar(z)[i]/y[i]**2", r"-\frac{x_i}{y_i^2}\,\bar z_i"),
    ("1/x", r"\frac{1}{x}"),
    ("1/(x*y)", r"\frac{1}{x\,y}"),
    ("1/(-x*y)", r"-\frac{1}{x\,y}"),
    ("a - 1/(-2*y)", r"a + \frac{1}{2\,y}"),
    ("1/12*x", r"\tfrac{1}{12}\,x"),
    ("1/10*x", r"0.1\,x"),
    ("1/3", r"\frac13"),
    ("-1/4", r"-\frac14"),
    ("3*2**x[i]", r"3 \cdot 2^{x_i}"),
    ("sqrt(2)*x", r"\sqrt{2}\,x"),
    ("(a + b)/c", r"\frac{a + b}{c}"),
    ("x/0", r"\frac{x}{0}"),
    ("(a + b)*(c + d)", "(a + b)\\,(c + d)"),
    ("a*m*x[i]", r"a\,m\,x_i"),
    # sums
    ("-mu[j] + x[i]", r"x_i - \mu_j"),
    ("-y[i]**2 + 1", "1 - y_i^2"),
    ("-(a + b)", "-(a + b)"),
    ("-a - b", "-a - b"),
    ("x - (-2*y)", r"x + 2\,y"),
    ("x/sqrt(2)", r"\frac{x}{\sqrt{2}}"),
    ("x[i]*sqrt(2)/6", r"\frac{x_i}{3\,\sqrt{2}}"),
    ("3*sqrt(2)*x", r"3\,\sqrt{2}\,x"),
    ('x/(sqrt(2)*sqrt(float("pi")))', r"\frac{x}{\sqrt{2\,\pi}}"),
    ("1/sqrt(2)*Sum(x[i], (i, 0, 1))", r"\frac{1}{\sqrt{2}} \sum_i x_i"),
    ("1/2 + x", r"x + \tfrac12"),
    # powers and functions
    ("(a + b)**2", "(a + b)^2"),
    ("(x**2)**y", "(x^2)^y"),
    ("x**(1/3)", "x^{1/3}"),
    ("x**y[i]", "x^{y_i}"),
    ("x**12", "x^{12}"),
    ("tanh(x[i])", r"\tanh(x_i)"),
    ("1 - tanh(x[i])**2", r"1 - \tanh^2(x_i)"),
    ("sigmoid(x[i])*(1 - sigmoid(x[i]))", r"\sigma(x_i)\,(1 - \sigma(x_i))"),
    ("exp(-x[i])", "e^{-x_i}"),
    ("exp(x)**2", "(e^x)^2"),
    ("exp(x[i]/z)", r"\exp\left( \frac{x_i}{z} \right)"),
    ("log(x[i])", r"\log(x_i)"),
    ("abs(x[i])", r"\lvert x_i \rvert"),
    ("relu(x)", r"\operatorname{relu}(x)"),
    ("maximum(a, b)", r"\max(a, b)"),
    # sums over indices
    ("Sum(W[k, j]*x[i, k], (k, 0, 2))", r"\sum_k x_{ik}\,W_{kj}"),
    ("Sum(A[i, j]*x[j], (j, 0, 2)) - b[i]", r"\sum_j A_{ij}\,x_j - b_i"),
    ("1/4*Sum(z[i, j], (i, 0, 1), (j, 0, 1))", r"\tfrac14 \sum_{i,j} z_{ij}"),
    ("Sum(x[i] + 2, (i, 0, 2))", r"\sum_i (x_i + 2)"),
    ("Sum(-x[i], (i, 0, 2))", r"\sum_i (-x_i)"),
    ("Sum(x[i], (i, 0, 2))*y", r"y \sum_i x_i"),
    ("Sum(x[i], (i, 0, 2))*bar(z)", r"\left( \sum_i x_i \right)\,\bar z"),
    ("Sum(x[i], (i, 0, 2))**2", r"\left( \sum_i x_i \right)^2"),
    ("Sum(x[i]*Sum(y[i, j], (j, 0, 2)), (i, 0, m - 1))", r"\sum_i x_i \sum_j y_{ij}"),
    ("Sum(bar(y)[i]*Indicator(i >= k), (i, 0, 4))", r"\sum_{i \ge k} \bar y_i"),
    ("logsumexp(x[i, j], (j, 0, 3)) - x[i, t[i]]", r"\log\sum_j e^{x_{ij}} - x_{i,\,t_i+1}"),
    ("prod(x[i, j], (j, 0, 3))", r"\prod_j x_{ij}"),
    ("amax(x[i, j], (i, 0, 3), (j, 0, 1))", r"\max_{i,j} x_{ij}"),
    ("softmax(x[i, k], (k, 0, 3), at=(j,))", r"\frac{e^{x_{ij}}}{\sum_k e^{x_{ik}}}"),
    ("prod_others(x[i, l], (l, 0, 3), at=(j,))", r"\prod_{l \ne j} x_{il}"),
    ("prod_others(x[k, l], (k, 0, 3), (l, 0, 1), at=(i, 0))", r"\prod_{(k,l) \ne (i,1)} x_{kl}"),
    # conditions
    ("Indicator(j == t[i])", r"[\,j = t_i + 1\,]"),
    ("Indicator(t[i] == j)", r"[\,j = t_i + 1\,]"),
    ("Indicator(j > t[i])", r"[\,j > t_i + 1\,]"),
    ("Indicator(i < 1)", r"[\,i < 2\,]"),
    ("Indicator(i <= 0)", r"[\,i = 1\,]"),
    ("Indicator(p == n*j + k)", r"[\,p = n\,(j - 1) + k\,]"),
    ("Indicator(n*j + 2 <= n*i)", r"[\,n\,(j - 1) + 2 \le n\,(i - 1)\,]"),
    ("Indicator(3 == p)", r"[\,p = 4\,]"),
    ("Indicator(i + 1 == p)", r"[\,p = i + 1\,]"),
    ("Indicator(i - 1 >= 0)", r"[\,i \ge 2\,]"),
    ("Indicator(1/2*p <= 1)", r"[\,p \le 3\,]"),
    ("Indicator(x[i] > 0)", "[\\,x_i > 0\\,]"),
    ("Indicator(Digit(p, 1, 2) == 0)", r"[\,(p-1) \bmod 2 = 0\,]"),
    ("Indicator(Holds(m0[i]))", r"[\,(m_0)_i\,]"),
    ("Indicator(not Holds(s[i]))", r"[\,\lnot s_i\,]"),
    ("Where(x > 0, x, 0)", r"\begin{cases} x, & x > 0 \\ 0, & x \le 0 \end{cases}"),
    (
        "Where(x > 0, x, 0)/sqrt(3)",
        r"\frac{1}{\sqrt{3}}\,\left( \begin{cases} x, & x > 0 \\ 0, & x \le 0 \end{cases} \right)",
    ),
    ("y*Where(x > 0, x, 0)/z", r"\frac{y}{z}\,\left( \begin{cases} x, & x > 0 \\ 0, & x \le 0 \end{cases} \right)"),
    ("Where(x > y, 0, Indicator(i == 2))", r"\begin{cases} 0, & x > y \\ {}[\,i = 3\,], & x \le y \end{cases}"),
    ("x[Digit(i, 3, 2), Digit(i, 1, 3)]", r"x_{(\lfloor (i-1)/3 \rfloor \bmod 2)+1,\,((i-1) \bmod 3)+1}"),
    ("i*x[i]", r"(i - 1)\,x_i"),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_latex(text: str, expected: str) -> None:
    assert latex(read(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x[0]", "x_0"),
        ("x[2*i]", "x_{2i}"),
        ("x[i + 1, j]", r"x_{i+1,\,j}"),
        ("Indicator(i - 1 >= 0)", r"[\,i \ge 1\,]"),
        ("Indicator(3 == p)", r"[\,p = 3\,]"),
        ("x[Digit(i, 3, 2)]", r"x_{\lfloor i/3 \rfloor \bmod 2}"),
        ("i*x[i]", r"i\,x_i"),
        ("Indicator(j == t[i])", r"[\,j = t_i\,]"),
        ("x[i, t[i]]", r"x_{i,\,t_i}"),
        ("x[n*i + j]", r"x_{n\,i+j}"),
        ("x[(n - 1)*(i + 1) + j]", r"x_{(n - 1)\,(i+1)+j}"),
    ],
)
def test_indices_from_zero(text: str, expected: str) -> None:
    assert latex(read(text), index_base=0) == expected


NAMES = [
    ("x", "x"), ("loss", r"\mathrm{loss}"), ("W1", "W_1"), ("W12", "W_{12}"), ("loss2", r"\mathrm{loss}_2"),
    ("u_1", "u_1"), ("x_hat", r"\hat x"), ("y_pred", r"y_{\mathrm{pred}}"), ("alpha_t", r"\alpha_{\mathrm{t}}"),
    ("w_mu", r"w_{\mu}"), ("lambda_", r"\lambda"), ("Gamma", r"\Gamma"),
    ("Alpha", r"\mathrm{Alpha}"), ("α", r"\alpha"), ("_x", r"\mathrm{\_x}"), ("fc1.weight", r"\mathrm{fc1.weight}"),
    ("é", r"\text{é}"), ("损失1", r"\text{损失}_1"), ("bar(theta)", r"\bar{\theta}"), ("bar(x_hat)", r"\bar{\hat x}"),
    ("bar(loss)", r"\overline{\mathrm{loss}}"), ("bar(u_1)", r"\bar u_1"), ("d(W1)", r"\mathrm{d}W_1"),
    ("inv(A)", "A^{-1}"), ("x_bar", r"x_{\mathrm{bar}}"), ("conv2d", r"\mathrm{conv2d}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_names(name: str, expected: str) -> None:
    assert latex_name(name) == expected


ALIKE = {
    "x1": r"\mathtt{x1}", "x_1": r"\mathtt{x\_1}", "theta": r"\mathtt{theta}", "θ": r"\theta", "W_1": "W_1", "y": "y",
    "bar(x1)": r"\overline{\mathtt{x1}}", "d(x_1)": r"\mathrm{d}\mathtt{x\_1}", "θ1": r"\text{θ1}", "A": "A",
    "theta_1": r"\mathtt{theta\_1}", "Alpha": r"\mathtt{Alpha}", "inv(x1)": r"\mathtt{x1}^{-1}",
}  # fmt: skip


def test_xi_beside_yi_is_a_letter_and_an_index() -> None:
    for others in (["yi"], ["x"], ["bar(x)"], ["hi", "w"]):
        with distinct(["xi", *others]):
            assert latex_name("xi") == r"\mathrm{xi}"
            assert latex_name("bar(xi)") == r"\overline{\mathrm{xi}}"
    for others in ([], ["y"], ["pi"], ["wi_2"]):
        with distinct(["xi", *others]):
            assert latex_name("xi") == r"\xi"


def test_names_that_look_alike_are_printed_verbatim() -> None:
    with distinct(ALIKE):
        assert {name: latex_name(name) for name in ALIKE} == ALIKE
        assert latex(read("x_1[i, j]*bar(x1)[i] + W_1[i]")) == (r"\mathtt{x\_1}_{ij}\,\overline{\mathtt{x1}}_i + (W_1)_i")
        with distinct(["x1"]):
            assert latex_name("x1") == "x_1"
    assert latex_name("x1") == latex_name("x_1") == "x_1"


def test_names_in_a_document() -> None:
    step = Formula(read("x[i, t_1[i]]*Sum(bar(u1)[k], (k, 0, n - 1))"), ("i",))
    row = Row("u_1", "step", ("m", 3), "float64", step, None, None, None, None)
    assert names_in((row,)) == {"u_1", "m", "n", "x", "t_1", "bar(u1)", "i", "k"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (Integer(3), Numeral("3")),
        (Rational(3, 2), Numeral("3", "2")),
        (Rational(7, 9), Numeral("7", "9")),
        (Rational(1, 10), Numeral("0.1")),
        (Rational(1, 20), Numeral("0.05")),
        (Rational(1, 12), Numeral("1", "12")),
        (Rational(1, 64), Numeral("1", "64")),
        (Rational("0.1234567"), Numeral("0.1235")),
        (Rational("0.0000015"), Numeral("1.5", power=-6)),
        (Rational("0.00001"), Numeral("1", power=-5)),
        (Rational(10) ** 15, Numeral("1", power=15)),
        (Rational("0.99999999"), Numeral("1")),
        (Integer(16777216), Numeral("16777216")),
        (Rational("1234.56789"), Numeral("1235")),
    ],
)
def test_numerals(number: Any, expected: Numeral) -> None:
    assert numeral(number) == expected


def test_numbers_in_products() -> None:
    assert latex(Mul(read("a + b"), Pow(Integer(2), read("x"), evaluate=False), evaluate=False)) == r"2^x\,(a + b)"
    ones = {"z": "1", "w": "1", "x": r"\begin{bmatrix}1\end{bmatrix}"}
    assert latex_matrix(MScale(Integer(2), W, (Z,)), numbers=ones) == r"2 \cdot 1 \cdot 1"
    assert latex_matrix(MScale(read("s"), W, (x,)), numbers=ones) == r"s\,\begin{bmatrix}1\end{bmatrix} \cdot 1"
    assert latex(read("3/2000000*x")) == r"1.5\times 10^{-6}\,x"
    assert latex(read("x + 1/100000")) == "x + 10^{-5}"
    assert latex(read('x + float("inf")')) == r"x + \infty"


def test_the_order_of_factors_does_not_matter() -> None:
    x, y, z = (Entry(TensorName(n), Index("i")) for n in ("x", "y", "bar(z)"))
    delta = Indicator(Eq(Index("i"), Index("k")))
    for order in ((x, y, delta, z), (z, x, y, delta), (delta, z, x, y)):
        assert latex(Mul(Integer(2), *order, evaluate=False)) == r"2\,x_i\,y_i\,\delta_{ik}\,\bar z_i"


def test_tensors_that_are_called_like_our_own_signs() -> None:
    assert latex(read("delta[i, j]*Indicator(i == j)")) == r"\delta_{ij}\,[\,i = j\,]"
    assert latex(read("e*exp(x)")) == r"e\,\exp(x)"
    assert latex(read("sigma*sigmoid(x)")) == r"\sigma\,\operatorname{sigmoid}(x)"


def test_a_position_does_not_capture_an_inner_index() -> None:
    body = read("softmax(x[k]*Sum(y[j, k], (j, 0, 1)), (k, 0, 2), at=(j,))")
    assert latex(body) == r"\frac{\exp\left( x_j \sum_i y_{ij} \right)}{\sum_k \exp\left( x_k \sum_j y_{jk} \right)}"


# matrix trees

N, M = Integer(3), Integer(2)


def name(text: str, rows: Any = N, columns: Any = M) -> MName:
    return MName(TensorName(text), 2 if columns != 1 else 1 if rows != 1 else 0, (S(rows), S(columns)))


A, X, T, S1 = name("A"), name("X"), name("T"), name("bar(S)")
x, b, y, v = (name(n, N, 1) for n in ("x", "b", "y", "bar(z)"))
Z, W = name("z", 1, 1), name("w", 1, 1)
residual = MSum((MProduct((A, x)), MScale(S.NegativeOne, b)))
difference = MSum((T, MScale(S.NegativeOne, X)))
square = MProduct((MTranspose(x), x))

MATRICES: list[tuple[Tree, str]] = [
    (MScale(Integer(2), MProduct((MTranspose(A), residual))), r"2\,A^{\top}(A x - b)"),
    (MScale(Integer(6), MHadamard((y, v))), r"6\,y \odot \bar z"),
    (MHadamard((v, y)), r"y \odot \bar z"),
    (MOnes(N), r"\mathbf 1"),
    (MIdentity(N), "I"),
    (MDiag(x), r"\operatorname{diag}(x)"),
    (MProduct((MTranspose(X), S1)), r"X^{\top} \bar S"),
    (MProduct((MTranspose(S1), MOnes(N))), r"\bar S^{\top} \mathbf 1"),
    (
        MScale(Rational(1, 3), MProduct((MTranspose(X), MSum((T, MScale(S.NegativeOne, X)))))),
        r"\tfrac13\,X^{\top}(T - X)",
    ),
    (MTransform("softmax", X, 1), r"\operatorname{softmax}(X)"),
    (MTransform("softmax", X, 0), r"\operatorname{softmax}_{\mathrm{dim}=0}(X)"),
    (MReduce("logsumexp", X, 1), r"\operatorname{logsumexp}_{\mathrm{dim}=1}(X)"),
    (MOneHot(name("t", N, 1), M), r"\operatorname{onehot}(t)"),
    (MSum((MScale(S.NegativeOne, MPower(x, Integer(2))), MScalar(S.One))), r"1 - x \odot x"),
    (MCall("sigmoid", (residual,)), r"\sigma(A x - b)"),
    (MCompare(">", x, MScalar(S.Zero)), r"[\,x > 0\,]"),
    (MUnit(Integer(1), N), r"\mathbf e_2"),
    (MHadamard((x, MPower(y, S.NegativeOne))), r"x \oslash y"),
    (
        MScale(read("bar(w)"), x, (MPower(MProduct((MTranspose(x), x)), -S.Half),)),
        r"\frac{x}{\sqrt{x^{\top} x}}\,\bar w",
    ),
    (MScale(read("bar(w)/w"), y), r"\frac{y}{w}\,\bar w"),
    (MTranspose(name("inv(A)")), r"(A^{-1})^{\top}"),
    (MProduct((name("grad"), name("X"))), r"\mathrm{grad}\,X"),
    (MScale(S.NegativeOne, MProduct((name("Q"), MTranspose(name("R"))))), r"-Q R^{\top}"),
    (MProduct((MHadamard((A, X)), x)), r"(A \odot X) x"),
    # tensors of one entry
    (MHadamard((MPower(Z, S.NegativeOne), MPower(MCall("log", (Z,)), S.Half))), r"\frac{\sqrt{\log(z)}}{z}"),
    (MHadamard((MPower(Z, S.NegativeOne), MPower(W, Integer(-2)))), r"\frac{1}{z\,w^2}"),
    (MScale(read("bar(s)"), MPower(Z, S.NegativeOne)), r"\frac{\bar s}{z}"),
    (MHadamard((MScale(S.NegativeOne, Z), MScalar(read("2*s")), W)), r"-2\,s\,z\,w"),
    (MScale(Integer(3), MScalar(read("s + 1")), (Z,)), r"3\,(s + 1)\,z"),
    (MScale(S.NegativeOne, MScalar(S.One)), "-1"),
    (MHadamard((x, MScalar(S.One), Z)), "z\\,x"),
]


@pytest.mark.parametrize(("tree", "expected"), MATRICES, ids=[row[1] for row in MATRICES])
def test_matrices(tree: Tree, expected: str) -> None:
    assert latex_matrix(tree) == expected


def test_matrices_with_numbers() -> None:
    values = {"y": r"\begin{bmatrix}1\\4\end{bmatrix}", "bar(w)": "-0.5"}
    found = latex_matrix(MScale(read("2*bar(w)"), y), numbers=values)
    assert found == r"2\,\begin{bmatrix}1\\4\end{bmatrix}\,(-0.5)"


# every formula converts


def test_every_formula_converts() -> None:
    math_core = pytest.importorskip("math_core")
    converter = math_core.LatexToMathML(fancy_error=False)
    texts = [latex(read(text)) for text, _ in TABLE]
    texts += [latex(e, base) for _, e in op_formulas() for base in (0, 1)]
    texts += [latex_name(name) for name, _ in NAMES] + [latex_matrix(tree) for tree, _ in MATRICES]
    for text in texts:
        assert "<math" in converter.convert_with_local_state(text, displaystyle=True)


def test_symbolic_sizes_are_printed_as_letters() -> None:
    n = Symbol("n", integer=True, positive=True)
    assert latex(Mul(Integer(2), 1 / n, Entry(TensorName("x"), Index("i")), evaluate=False)) == r"\frac{2\,x_i}{n}"
    assert latex(Add(n, Entry(TensorName("x")), evaluate=False)) == "n + x"
