"""Expressions end to end: closed forms, modes, gradients, checks, the document."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import explain
from explain.calculus.text import formula_text
from explain.derivation.model import Run

A, X, B = [[1, 2], [3, 4], [5, 6]], [1, -1], [1, 0, 2]
NET = {
    "X": "randn(4, 3, seed=1)", "W1": "randn(3, 5, seed=2)", "b1": "randn(5, seed=3)", "W2": "randn(5, 2, seed=4)",
    "y": "randn(4, 2, seed=5)",
}  # fmt: skip

SVM = "mean(relu(1 - y*(X@w))) + 0.5*lam*w@w"
BEALE = "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2"
CLOSED = [  # expression, values, wrt, one entry, matrix form: worked out by hand
    ("2*dot(x, x)", {"x": [0, 1, 2, 3]}, "x", "4*x[i]", "4*x"),
    ("mean(3*(x+2)**2)", {"x": "ones(2,2)"}, "x", "3/2*(x[i, j] + 2)", "3/2*(x + 2)"),
    ("norm(x**2)", {"x": [1, 2]}, "x", "2*x[i]**3/sqrt(Sum(x[j]**4, (j, 0, 1)))", None),
    ("sum((A@x - b)**2)", {"A": A, "x": X, "b": B}, "x", None, "2*A.T@(A@x - b)"),
    ("sum((A@x - b)**2)", {"A": A, "x": X, "b": B}, "A", None, "2*(A@x - b)@x.T"),
    ("sum(x)", {"x": [1, 2]}, "x", "1", "ones(2)"),
    ("x**3", {"x": 2}, "x", "3*x**2", None),
    ("dot(a, b)", {"a": [1, 2], "b": [3, 4]}, "a", "b[i]", "b"),
    ("sum(tanh(x))", {"x": [1, 2]}, "x", "1 - tanh(x[i])**2", None),
    ("sum(relu(x))", {"x": [1, -2]}, "x", "Indicator(x[i] > 0)", None),
    ("sum(x.T @ x)", {"x": "ones(2,3)"}, "x", None, None),
    ("mean((tanh(X@W1 + b1)@W2 - y)**2)", NET, "W2", "1/4*Sum(u_2[k, i]*u_3[k, j], (k, 0, 3))", "1/4*u_2.T@u_3"),
    ("mean((tanh(X@W1 + b1)@W2 - y)**2)", NET, "W1", None, "1/4*X.T@((1 - u_2**2)*(u_3@W2.T))"),
    ("cross_entropy(X@W, t)", {"X": A, "W": [[1, 0], [0, 1]], "t": [0, 1, 1]}, "W", None, "1/3*X.T@(P - onehot(t, 2))"),
    ("sum(inv(M))", {"M": [[2, 1], [1, 3]]}, "M", None, "-inv(M).T@ones(2)@ones(2).T@inv(M).T"),
    (SVM, {"X": A, "w": X, "y": B, "lam": 0.1}, "w", None, "lam*w - 1/3*X.T@([1 - u_1*y > 0]*y)"),
    (BEALE, {"x": 1, "y": 0.5}, "x", None, None),
    ("mean((x - mean(x))**2)", {"x": [1, 2, 4]}, "x", "2/3*(-1/3*Sum(x[j], (j, 0, 2)) + x[i])", None),
    ("mean(log(1 + exp(-y*(X@w))))", {"X": A, "w": X, "y": B}, "w", None, "-1/3*X.T@(sigmoid(-(X@w)*y)*y)"),
    ("sum(1/(1 + exp(-x)))", {"x": [1, -2]}, "x", "(1 - sigmoid(x[i]))*sigmoid(x[i])", None),
    ("-log(softmax(z, 0)[1])", {"z": [1, -2, 0]}, "z", None, "u_1 - e(1, 3)"),
    ("-log(exp(z[1])/sum(exp(z)))", {"z": [1, -2, 0]}, "z", None, "exp(z)/(ones(3).T@exp(z)) - e(1, 3)"),
    ("-mean(log_softmax(Z, 1)[r, t])", {"Z": A, "r": "arange(3)", "t": [0, 1, 1]}, "Z", None, "1/3*(P - onehot(t, 2))"),
    ("(x - b)@M@(x - b)", {"x": [1, 2], "b": [3, 5], "M": [[2, 1], [0, 3]]}, "x", None, "(M + M.T)@(x - b)"),
    ("(x - b)@inv(M)@(x - b)", {"x": [1, 2], "b": [3, 5], "M": [[2, 1], [0, 3]]}, "x", None, "(inv(M) + inv(M).T)@(x - b)"),
    ("sum(x[:2]**2) + sum(x[2:]**2)", {"x": [1, 2, 3]}, "x", "2*x[i]", "2*x"),
    ("mean(((p - t)**2)[p > t])", {"p": [1, 2, 3], "t": [2, 0, 1]}, "p", None, "[p > t]*(p - t)"),
    ("sum(x[x > 0]**2)", {"x": [1, -2, 3]}, "x", "2*x[i]*Indicator(x[i] > 0)", None),
    ("sum((x - mean(x))*(y - mean(y)))", {"x": [1, 2, 4], "y": [1, 0, 2]}, "x", None, "y - 1/3*(ones(3).T@y)*ones(3)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "values", "wrt", "entry", "matrix"), CLOSED)
def test_closed_forms(text: str, values: dict[str, Any], wrt: str, entry: str | None, matrix: str | None) -> None:
    run = explain.expr(text, wrt=wrt, **values)
    (gradient,) = run.derivation.gradients
    assert run.ok
    assert gradient.closed_form is not None
    if entry is not None:
        assert formula_text(gradient.closed_form.index.e) == entry
    if matrix is not None:
        assert str(gradient.closed_form.matrix) == matrix


def test_steps_that_do_the_same_have_one_name_in_closed_forms() -> None:
    run = explain.expr("(x - A@s)@W@(x - A@s)", x=X, A=[[1, 2], [3, 4]], s=X, W=[[2, 1], [0, 2]])
    forms = {g.wrt: g.closed_form for g in run.derivation.gradients}
    assert {name: str(f.matrix) for name, f in forms.items() if f} == {
        "x": "W@u_1 + u_2", "A": "-(W@u_1 + u_2)@s.T", "s": "-A.T@(W@u_1 + u_2)", "W": "u_1@u_1.T",
    }  # fmt: skip
    assert run.ok


def test_a_diagonal_jacobian_is_called_so_by_either_factor() -> None:
    assert [s.structure for s in explain.expr("diag(x)@y", x=[1, 2], y=[3, 4]).derivation.steps] == ["diagonal", "diagonal"]


def test_terms_with_a_sum_in_common_are_put_together() -> None:
    closed = explain.expr(BEALE, x=1, y=0.5, wrt="x").derivation.gradients[0].closed_form
    assert closed is not None
    assert "(y - 1)*(" in formula_text(closed.index.e) and "(y**3 - 1)*(" in formula_text(closed.index.e)


def test_gradients_are_the_hand_computed_ones() -> None:
    run = explain.expr("sum((A@x - b)**2)", A=A, x=X, b=B, wrt=["x", "A"])
    by_name = {g.wrt: g for g in run.derivation.gradients}
    residual = np.array(A) @ X - B
    np.testing.assert_array_equal(by_name["x"].grad, 2 * np.array(A).T @ residual)
    np.testing.assert_array_equal(by_name["A"].grad, 2 * np.outer(residual, X))
    assert by_name["x"].grad.dtype == np.float32
    assert [t.name for t in run.tensors] == ["A", "x", "b", "out"]


PROGRAMS: list[tuple[str, dict[str, Any]]] = [
    ("sum(x[1:]*x[:-1])", {"x": "arange(5)"}),
    ("sum(x.reshape(2,3) @ w)", {"x": "arange(6)", "w": [1, 2, 3]}),
    ("sum(x.T * y)", {"x": "randn(2,3)", "y": "randn(3,2)"}),
    ("sum(maximum(x, y) / (1 + minimum(x, y)**2))", {"x": "randn(3)", "y": "randn(3, seed=4)"}),
    ("sum(sort(x)[0]*c)", {"x": [3, 1, 2], "c": [1, 10, 100]}),
    ("sum(max(x, dim=1)[0])", {"x": "randn(3,4)"}),
    ("sum(masked_select(x, m)**2)", {"x": [1, 2, 3], "m": [True, False, True]}),
    ("sum(dropout(x, 0.5)**2)", {"x": "ones(4)"}),
    ("sum(log_softmax(X, dim=1)[:, 0])", {"X": "randn(3,4)"}),
    ("logsumexp(x, 0) + prod(x)", {"x": [1, 2, 3]}),
    ("sum(softmax(q@k.T, dim=1)@v)", {"at": {"q": "randn(2,3)", "k": "randn(4,3,seed=1)", "v": "randn(4,2,seed=2)"}}),
    ("sum((x - mean(x, dim=1, keepdim=True))**2)", {"x": "randn(3,4)"}),
    ("sum(X[t])", {"X": "randn(3,2)", "t": [0, 2, 2]}),
    ("sum(where(x > 0, x**2, -x))", {"x": [1, -2, 3]}),
    ("sum(A @ B)", {"A": "randn(2,1,2,3)", "B": "randn(3,3,2,seed=1)"}),
    ("exp(x*y) + x/y - sqrt(y)", {"x": 0.3, "y": 2}),
    ("sum(abs(x)**1.5)", {"x": [1, -2]}),
    ("norm(x, p=3) + norm(x, p=1)", {"x": [1, -2, 3]}),
    ("sum(2**x + x**x)", {"x": [1, 2]}),
    ("sum(inv(A) @ b)", {"A": [[2, 1], [1, 3]], "b": [1, 2]}),
    ("sum(x)", {"x": "zeros(0)"}),
    ("sum(x * 2)", {"x": "ones(1,3)"}),
    ("sum(x.unsqueeze(0) * y)", {"x": "randn(3)", "y": "randn(2,3,seed=1)"}),
]
NOT_FINITE: list[tuple[str, dict[str, Any]]] = [
    ("sum(sqrt(x) * y)", {"x": [-1, 4], "y": 2}),
    ("log(x)", {"x": 0}),
    ("sum(x / y)", {"x": [1, 0], "y": [0, 0]}),
    ("exp(x)", {"x": 1000}),
]


@pytest.mark.parametrize(("text", "values"), PROGRAMS, ids=[p[0] for p in PROGRAMS])
def test_every_check_passes_and_every_gradient_has_a_formula(text: str, values: dict[str, Any]) -> None:
    run = explain.expr(text, **values)
    assert run.ok
    for gradient in run.derivation.gradients:
        assert gradient.closed_form is not None
        assert {c.name: c.status for c in gradient.checks} == {"formula": "ok", "differences": "ok"}
    assert all(c.status == "ok" for s in run.derivation.steps for c in s.checks)


@pytest.mark.parametrize(("text", "values"), PROGRAMS + NOT_FINITE, ids=[p[0] for p in PROGRAMS + NOT_FINITE])
def test_documents_survive_json(text: str, values: dict[str, Any]) -> None:
    run = explain.expr(text, **values)
    again = Run.from_json(run.to_json())
    assert again.to_json() == run.to_json()
    for format in ("md", "text"):
        assert again.render(format) == run.render(format)


def test_a_given_v_is_sent_back() -> None:
    run = explain.expr("x*2", x="ones(3)", v="[0.1, 1, 10]")
    (gradient,) = run.derivation.gradients
    assert run.derivation.mode == "vjp"
    np.testing.assert_array_equal(gradient.grad, np.array([0.2, 2, 20], np.float32))
    assert gradient.closed_form is not None and formula_text(gradient.closed_form.index.e) == "2*v[i]"


def test_a_vector_without_v_gives_the_jacobian() -> None:
    run = explain.expr("x**2", x=[1, 2, 3])
    (gradient,) = run.derivation.gradients
    assert run.derivation.mode == "jacobian"
    assert gradient.grad is None
    np.testing.assert_array_equal(gradient.jacobian, np.diag([2.0, 4.0, 6.0]))
    assert gradient.closed_form is not None
    assert formula_text(gradient.closed_form.index.e) == "2*x[i]*Indicator(i == j)"


def test_without_values_the_derivation_is_symbolic() -> None:
    run = explain.expr("sum((A@x - b)**2)", shapes={"A": ("m", "n"), "x": ("n",), "b": ("m",)}, wrt="x")
    (gradient,) = run.derivation.gradients
    assert run.derivation.symbolic and run.ok
    assert gradient.value is None and gradient.shape == ("n",)
    assert gradient.closed_form is not None
    assert str(gradient.closed_form.matrix) == "2*A.T@(A@x - b)"
    assert "(k, 0, n - 1)" in formula_text(gradient.closed_form.index.e)


def test_the_formula_is_the_same_for_any_size() -> None:
    small = explain.expr("sum(tanh(x)**2)", x=np.linspace(0, 1, 10))
    large = explain.expr("sum(tanh(x)**2)", x=np.linspace(0, 1, 100_000))
    forms = [r.derivation.gradients[0].closed_form for r in (small, large)]
    assert forms[0] is not None and forms[1] is not None
    assert formula_text(forms[0].index.e) == formula_text(forms[1].index.e)
    assert len(large.render("md")) < 2 * len(small.render("md"))
    (check,) = [c for c in large.derivation.gradients[0].checks if c.name == "differences"]
    assert (check.reason, check.details["entries"], check.details["directions"]) == ("sampled", 64, 3)


KINKS = [
    ("sum(relu(x))", [1, 0, -1], [1, 0, 0], "kink"),
    ("sum(abs(x))", [0, 2], [0, 1], "kink"),
    ("max(x)", [1, 3, 3], [0, 0.5, 0.5], "tie"),
    ("max(x, 0)[0]", [1, 3, 3], [0, 1, 0], "tie"),
    ("norm(x)", [0, 0], [0, 0], "kink"),
]


@pytest.mark.parametrize(("text", "x", "grad", "kind"), KINKS)
def test_kinks_are_named_and_pytorchs_choice_is_shown(text: str, x: list[int], grad: list[float], kind: str) -> None:
    run = explain.expr(text, x=x)
    (gradient,) = run.derivation.gradients
    np.testing.assert_array_equal(gradient.grad, np.array(grad, np.float32))
    checks = {c.name: c for c in gradient.checks}
    assert (checks["differences"].status, checks["differences"].reason) == ("not_applicable", kind)
    assert run.ok and any(n.kind == kind for s in run.derivation.steps for n in s.notes)


def test_what_has_no_derivative_says_so() -> None:
    run = explain.expr("argmax(x)", x=[1, 3, 2])
    assert run.derivation.mode == "none"
    assert [n.kind for n in run.derivation.notes] == ["no_derivative"]
    run = explain.expr("sum(x) + sum(argmax(y, dim=0) * 0.5)", x=[1.0], y=[1.0, 2.0])
    assert {g.wrt: g.reason for g in run.derivation.gradients} == {"x": None, "y": "no_path"}
    assert run.ok


WRONG = [
    ("tanh", "sum(tanh(x)*x)", {"x": [0.5, 1.0]}),
    ("matmul", "sum((A@x)**2)", {"A": A, "x": X}),
    ("mean", "mean(x**2)", {"x": [1, 2, 3]}),
    ("softmax", "softmax(x, dim=0)[1]", {"x": [1, 2, 3]}),
    ("cross_entropy", "cross_entropy(x, t)", {"x": [[1, 2], [3, 4]], "t": [0, 1]}),
    ("inv", "sum(inv(M))", {"M": [[2, 1], [1, 3]]}),
    ("index", "sum(x[1:]**2)", {"x": [1, 2, 3]}),
    ("sort", "sum(sort(x)[0]*c)", {"x": [3, 1, 2], "c": [1, 10, 100]}),
    ("prod", "prod(x)", {"x": [1, 2, 3]}),
    ("dropout", "sum(dropout(x, 0.2)**2)", {"x": "ones(4)"}),
]


@pytest.mark.parametrize(("op", "text", "values"), WRONG, ids=[w[0] for w in WRONG])
def test_a_vjp_wrong_by_a_thousandth_is_caught(
    monkeypatch: pytest.MonkeyPatch, op: str, text: str, values: dict[str, Any]
) -> None:
    from explain.ops import REGISTRY

    right = REGISTRY[op].vjp

    def wrong(*args: Any, **options: Any) -> tuple[Any, ...]:
        return tuple(g if g is None or g is False else g * 1.001 for g in right(*args, **options))

    monkeypatch.setattr(REGISTRY[op], "vjp", wrong, raising=False)
    run = explain.expr(text, **values)
    assert not run.ok
    failed = {c.name for g in run.derivation.gradients for c in g.checks if c.status == "failed"}
    assert failed == {"formula", "differences"}
    assert any(c.status == "failed" for s in run.derivation.steps for c in s.checks)
    assert "✗" in run.render("md").split("```python")[0]


def test_a_formula_wrong_by_a_thousandth_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from explain.derivation import plan
    from explain.ops import REGISTRY

    monkeypatch.setattr(plan, "_plans", {})
    monkeypatch.setattr(REGISTRY["tanh"], "slopes", (lambda s, y, x: s.number(1.001) * (1 - y**2),))
    run = explain.expr("sum(tanh(x)*x)", x=[0.5, 1.0])
    checks = {c.name: c.status for c in run.derivation.gradients[0].checks}
    assert checks == {"formula": "failed", "differences": "ok"}


def test_lists_are_float32_and_arrays_keep_their_precision() -> None:
    for x, dtype in (([0.1, 0.2], "float32"), (np.array([0.1, 0.2]), "float64"), (np.float32([0.1, 0.2]), "float32")):
        run = explain.expr("sum(x**2)", x=x)
        assert run.derivation.gradients[0].dtype == dtype and run.ok
    run = explain.expr("x*2", x=np.array([1.0, 2.0]), v="[0.1, 0.2]")
    np.testing.assert_array_equal(run.derivation.gradients[0].grad, 2 * np.array([0.1, 0.2]))


def test_a_result_with_one_entry_needs_no_v() -> None:
    run = explain.expr("x + x", x=[1])
    assert run.derivation.mode == "gradient" and run.ok
    np.testing.assert_array_equal(run.derivation.gradients[0].grad, np.array([2], np.float32))


SIZES = [  # expression, shapes, the shape of the result as it is called
    ("x[1:] - x[:-1]", {"x": ("n",)}, ("n − 1",)),
    ("x.reshape(-1)", {"x": ("m", "n")}, ("m·n",)),
    ("x @ x.T", {"x": ("m", 3)}, ("m", "m")),
    ("mean(x, dim=0)", {"x": ("m", "n")}, ("n",)),
    ("x.unsqueeze(0)", {"x": ("n",)}, (1, "n")),
]


@pytest.mark.parametrize(("text", "shapes", "shape"), SIZES)
def test_symbolic_sizes_are_said_exactly(text: str, shapes: dict[str, Any], shape: tuple[Any, ...]) -> None:
    run = explain.expr(text, shapes=shapes)
    (row,) = [r for r in run.derivation.rows if r.name == run.derivation.output]
    assert row.shape == shape and row.value is None and run.ok


GENERAL = [  # expression, shapes, its gradient with the names of the sizes
    (
        "sum((x[1:] - x[:-1])**2)", {"x": ("n",)},
        "2*((-x[i - 1] + x[i])*Indicator(i >= 1) - (-x[i] + x[i + 1])*Indicator(i <= -2 + n))",
    ),
    ("x[-1]**2", {"x": ("n",)}, "2*x[n - 1]*Indicator(n - 1 == i)"),
    ("var(x)", {"x": ("n",)}, "2/(n - 1)*(-mean(x[j], (j, 0, n - 1)) + x[i])"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes", "wanted"), GENERAL)
def test_a_position_that_depends_on_a_size_is_said_with_its_name(text: str, shapes: dict[str, Any], wanted: str) -> None:
    (gradient,) = explain.expr(text, shapes=shapes).derivation.gradients
    assert gradient.closed_form is not None and formula_text(gradient.closed_form.index.e) == wanted


def test_a_size_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(explain.InputError, match="cannot be said with n"):
        explain.expr("x[::2]", shapes={"x": ("n",)})
    with pytest.raises(explain.OperationError, match="mxn and mxn"):
        explain.expr("A@B", shapes={"A": ("m", "n"), "B": ("m", "n")})


INFINITE = [
    ("exp(x)", {"x": 100}),
    ("x*y", {"x": float("inf"), "y": 0}),
    ("sum(where(x>0, log(x), x))", {"x": [0, 1]}),
    ("log(softmax(x, dim=0))[0]", {"x": [-200, 0]}),
    ("1/x", {"x": 0}),
    ("sum(1/x)", {"x": [0, 1]}),
    ("logdet(X)", {"X": [[1, 2], [2, 4]]}),
    ("slogdet(X)[1]", {"X": [[1, 2], [2, 4]]}),
]


@pytest.mark.parametrize(("text", "values"), INFINITE)
def test_infinities_are_named_and_no_false_alarm(text: str, values: dict[str, Any]) -> None:
    run = explain.expr(text, **values)
    reasons = {c.reason for g in run.derivation.gradients for c in g.checks if c.status == "not_applicable"}
    assert run.ok and reasons == {"not_finite"}


@pytest.mark.parametrize("text", ["det(X)", "det(X)**2", "det(X)*trace(X)", "sum(det(X)*X)"])
def test_the_determinant_of_a_singular_matrix_has_a_slope_and_its_rule_no_value(text: str) -> None:
    run = explain.expr(text, X=[[1, 2], [2, 4]])
    checks = {c.name: (c.status, c.reason) for c in run.derivation.gradients[0].checks}
    assert checks["formula"] == ("not_applicable", "singular")
    assert checks["differences"][0] in ("ok", "not_applicable")
    if text == "det(X)":
        assert checks["differences"] == ("not_applicable", "hole")
        assert "the slope is 4, the tape takes 0" in run.render("text").replace("\n", " ").replace("      ", "")
    assert run.ok


def test_rounding_of_the_dtype_is_told_from_a_wrong_rule() -> None:
    run = explain.expr("logsumexp(x, dim=0)", x=[1000, 1000])
    checks = {c.name: (c.status, c.reason) for c in run.derivation.gradients[0].checks}
    assert checks["formula"] == ("ok", "precision")
    assert "float64" in run.render("md")


def test_a_value_whose_text_begins_with_its_name_is_shown_whole() -> None:
    run = explain.expr("x[i]", x="[1, 2, 3]", i="int([0, 2])")
    assert "`i = int([0, 2])`" in run.render("md")
