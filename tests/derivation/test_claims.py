"""Stated formulas: right ones are confirmed, those with a mistake are not, whatever the way in which they are written."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from explain.derivation.claimed import judge_program
from explain.derivation.claims import Claim
from explain.derivation.expression import run_expression
from explain.derivation.program import run_source
from explain.errors import InputError
from explain.program.paste import read_program
from explain.program.session import Ran
from explain.program.values import parse_given, parse_shape, parse_value
from tests.derivation.claims import mutants, parse

LOGISTIC = """
import torch
X = torch.tensor([[1., 2.], [3., 4.], [5., 6.]]); y = torch.tensor([0., 1., 1.])
w = torch.tensor([0.5, -1.0], requires_grad=True)
p = torch.sigmoid(X @ w)
n = len(X)
loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
loss.backward()
"""
NET = """
import torch
from torch import nn
fc = nn.Linear(2, 1)
x = torch.tensor([[1., 2.], [3., 5.]])
loss = (fc(x)**2).sum()
loss.backward()
"""
STRAIGHT = """
import torch
class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()
    @staticmethod
    def backward(ctx, g):
        return g
x = torch.tensor([0.3, 1.7], requires_grad=True)
q = Round.apply(x)
loss = (q**2).sum()
loss.backward()
"""
TWICE = """
x = torch.tensor([1., 2.], requires_grad=True)
for k in range(2):
    z = (x**2).sum()
    z.backward()
"""
THROUGH_TIME = """
import torch
w = torch.tensor(0.9, requires_grad=True)
xs = torch.tensor([1.0, 0.5])
h = torch.tensor(0.0)
for x in xs:
    h = torch.tanh(w*h + x)
h.backward()
"""
PROGRAMS = [  # program, of, wrt, formula, verdict
    (LOGISTIC, "loss", "w", "X.T@(p - y)/n", "proved"),
    (LOGISTIC, "loss", "w", "X.T@(p - y)/len(y)", "proved"),
    (LOGISTIC, "loss", "w", "X.T@(y - p)/n", "wrong"),
    (LOGISTIC, "loss", "w", "(p - y)@X/3", "proved"),
    (LOGISTIC, "loss", "p", "(p - y)/(p*(1 - p))/n", "proved"),
    (LOGISTIC, "p", "w", "(p*(1 - p))[:, None]*X", "proved"),
    (LOGISTIC, "p", "w", "X", "wrong"),
    (LOGISTIC, "p", None, "sigmoid(X@w)", "proved"),
    (LOGISTIC, "", "w", "X.T@(p - y)/n", "proved"),
    (NET, "loss", "fc.weight", "2*(x@fc.weight.T + fc.bias).T@x", "proved"),
    (NET, "loss", "fc.bias", "2*(x@fc.weight.T + fc.bias).sum()", "proved"),
    (NET, "loss", "fc.bias", "2*(x@fc.weight.T).sum()", "wrong"),
    (STRAIGHT, "loss", "x", "2*q", "equal"),  # as its author decreed, at these values
    (STRAIGHT, "loss", "x", "2*x", "wrong"),
    (THROUGH_TIME, "h", "w", "(1 - h**2)*tanh(xs[0])", "equal"),
    (THROUGH_TIME, "h", "w", "(1 - h**2)*tanh(xs[1])", "wrong"),
    (TWICE, "z", "x", "2*x", "proved"),
    (TWICE, "z", "x", "4*x", "equal"),  # what .grad adds up to
    (TWICE, "z", "x", "3*x", "wrong"),
]
EXPRESSIONS: list[tuple[dict[str, Any], str, str, str]] = [  # what is given, wrt, formula, verdict
    ({"text": "mean(3*(x+2)**2)", "at": ["x=ones(2,2)"]}, "x", "3/2*(x+2)", "proved"),
    ({"text": "mean(3*(x+2)**2)", "at": ["x=ones(2,2)"]}, "x", "9/2", "equal"),  # numbers, right here
    ({"text": "mean(3*(x+2)**2)", "at": ["x=ones(2,2)"]}, "x", "3/2*x + 3", "proved"),
    ({"text": "mean(3*(x+2)**2)", "at": ["x=ones(2,2)"]}, "x", "9/2*x", "wrong"),  # right where x is 1
    ({"text": "mean(x**2)", "at": ["x=[1,2,4]"]}, "x", "2/3*x", "proved"),
    ({"text": "mean(x**2)", "at": ["x=[1,2,4]"]}, "x", "0.6666666*x", "equal"),  # as far as numbers tell
    ({"text": "mean(x**2)", "at": ["x=[1,2,4]"]}, "x", "0.6667*x", "wrong"),
    ({"text": "x[0]*x[1]", "at": ["x=[2,3]"]}, "x", "[x_1, x_0]", "proved"),
    ({"text": "x[0]*x[1]", "at": ["x=[2,3]"]}, "x", "[x[1], x[0]]", "proved"),
    ({"text": "x[0]*x[1]", "at": ["x=[2,3]"]}, "x", "[x_0, x_1]", "wrong"),
    ({"text": "sum((A@x-b)**2)", "shape": ["A=m,n", "x=n", "b=m"]}, "x", "2*A.T@(A@x-b)", "proved"),
    ({"text": "sum((A@x-b)**2)", "shape": ["A=m,n", "x=n", "b=m"]}, "A", "2*outer(A@x-b, x)", "equal"),
    ({"text": "mean((A@x-b)**2)", "shape": ["A=m,n", "x=n", "b=m"]}, "x", "2*A.T@(A@x-b)/m", "proved"),
    ({"text": "tanh(x)", "at": ["x=[1,2]"]}, "x", "1 - tanh(x)**2", "proved"),  # the diagonal of J
    ({"text": "x**2", "at": ["x=[1,2]"]}, "x", "[[2*x_0, 0], [0, 2*x_1]]", "proved"),
    ({"text": "x**2", "at": ["x=[1,2]"]}, "x", "[[2*x_0, 0], [0, 3*x_1]]", "wrong"),
    ({"text": "A@x", "at": ["A=[[1,2],[3,4]]", "x=[1,1]"], "wrt": ["x"]}, "x", "A", "proved"),
    ({"text": "A@x", "at": ["A=[[1,2],[3,4]]", "x=[1,1]"], "wrt": ["x"]}, "x", "A.T", "wrong"),
    ({"text": "det(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "[[A_1_1, -A_1_0], [-A_0_1, A_0_0]]", "equal"),
    ({"text": "logdet(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "[[A_1_1, -A_1_0], [-A_0_1, A_0_0]]/det(A)", "equal"),
    ({"text": "logdet(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "-[[-A_1_1, A_0_1], [A_1_0, -A_0_0]].T/det(A)", "equal"),
    ({"text": "logdet(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "inv(A)", "wrong"),  # right where A is symmetric
    ({"text": "sum(x**2)", "at": ["x=[1,2]"]}, "x", "2*np.array([x_0, x_1])", "equal"),
    ({"text": "logdet(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "inv(A).T", "equal"),
    ({"text": "dot(x, A@x)", "at": ["x=[1,2]", "A=[[2,1],[1,3]]"]}, "x", "2*A@x", "equal"),  # for symmetric A
    ({"text": "dot(x, A@x)", "at": ["x=[1,2]", "A=[[2,1],[1,3]]"]}, "x", "(A + A.T)@x", "proved"),
    ({"text": "dot(x, A@x)", "at": ["x=[1,2]", "A=[[2,1],[0,3]]"]}, "x", "2*A@x", "wrong"),
    ({"text": "x*y", "at": ["x=[1,2]", "y=[3,4]"], "v": "[1,10]"}, "x", "v*y", "proved"),
    ({"text": "sum(relu(x))", "at": ["x=[-1,2]"]}, "x", "where(x > 0, 1, 0)", "equal"),
    ({"text": "sum(S*N)", "at": ["S=[1.,2]", "N=[3.,4]"]}, "S", "N", "proved"),
    ({"text": "sum(Q*E*I)", "at": ["Q=[1.,2]", "E=[3.,4]", "I=[5.,6]"]}, "E", "Q*I", "proved"),
    ({"text": "-x**2/2", "at": ["x=2"]}, "x", "-x", "proved"),
    ({"text": "exp(x)", "at": ["x=1"]}, "x", "E", "equal"),
    ({"text": "sqrt(x)", "at": ["x=4"]}, "x", "Rational(1, 2)/sqrt(x)", "proved"),
    ({"text": "trace(A@B)", "at": ["A=[[1,2],[3,4]]", "B=eye(2)"]}, "A", "B.T", "proved"),
    ({"text": "trace(A@B)", "at": ["A=[[1,2],[3,4]]", "B=eye(2)"]}, "A", "eye(2)", "equal"),  # numbers, right here
    ({"text": "sum(x**2)", "at": ["x=[0,1]"]}, "x", "2*exp(log(x))", "wrong"),  # no number where x is negative
    ({"text": "1/x", "at": ["x=0"]}, "x", "-1/x**2", "undecided"),
    ({"text": "sum(x**3)", "at": ["x=[1,2]"]}, "x", "3*x*abs(x)", "wrong"),  # right where x is positive
    ({"text": "sum(x)", "at": ["x=[1,2]"]}, "x", "x/abs(x)", "wrong"),
    ({"text": "sum(abs(x))", "at": ["x=[1,2]"]}, "x", "x/x", "equal"),  # a kink lies between, which is told
    ({"text": "sum(x**2)", "at": ["x=[1,2]"]}, "x", "2*exp(log(x))", "proved"),
    ({"text": "log(x)", "at": ["x=2"]}, "x", "1/abs(x)", "equal"),  # elsewhere the logarithm has none
    ({"text": "logdet(cov(A))", "at": ["A=[[2,1,0],[1,3,1]]"]}, "A", "2*A", "wrong"),
    ({"text": "sigmoid(x)", "at": ["x=0"]}, "x", "out*(1 - out)", "proved"),
    ({"text": "sigmoid(x)", "at": ["x=0"]}, "x", "out*(1 + out)", "wrong"),
    ({"text": "softmax(x, 0)", "at": ["x=[1,2]"]}, "x", "diag(out) - outer(out, out)", "proved"),
    ({"text": "sum((A@x)**2)", "at": ["A=[[1,2],[3,4]]", "x=[1,2]"]}, "x", "2*np.dot(A.T, A@x)", "proved"),
    ({"text": "sum((A@x)**2)", "at": ["A=[[1,2],[3,4]]", "x=[1,2]"]}, "x", "2*A.T.dot(A.dot(x))", "proved"),
    ({"text": "trace(A)", "at": ["A=[[1,2],[3,4]]"]}, "A", "diag([1, 1])", "equal"),
    ({"text": "logdet(A)", "at": ["A=[[2,1],[1,3]]"]}, "A", "linalg.inv(A).T", "equal"),
    ({"text": "nll_loss(z, t)", "at": ["z=[[1,2],[3,4]]", "t=[0,1]"]}, "z", "-onehot(t, 2)/2", "equal"),
]


def judged(given: dict[str, Any], wrt: str | None, formula: str) -> Any:
    values = dict(parse_given(text) for text in given.get("at", ()))
    shapes = dict(parse_shape(text) for text in given.get("shape", ()))
    v = parse_value(given["v"]) if "v" in given else None
    return run_expression(given["text"], values, v, given.get("wrt"), shapes, [("out", wrt, formula)]).claims[0]


def ran(text: str) -> Ran:
    found = run_source(read_program(text))
    assert isinstance(found, Ran) and found.error is None, found
    return found


@pytest.mark.parametrize(("program", "of", "wrt", "formula", "verdict"), PROGRAMS)
def test_of_a_program(program: str, of: str, wrt: str | None, formula: str, verdict: str) -> None:
    (found,) = judge_program(ran(program), [Claim(of, wrt, formula)])
    assert found.verdict == verdict, (found.reason, found.details)


@pytest.mark.parametrize(("given", "wrt", "formula", "verdict"), EXPRESSIONS)
def test_of_an_expression(given: dict[str, Any], wrt: str, formula: str, verdict: str) -> None:
    found = judged(given, wrt, formula)
    assert found.verdict == verdict, (found.reason, found.details)


def test_a_wrong_formula_is_told_with_the_entry_where_it_is_worst() -> None:
    found = judged({"text": "x**2", "at": ["x=[1,2]"], "v": "[1,1]"}, "x", "[2, 5]")
    assert (found.reason, found.details["place"]) == ("here", [1])
    assert (found.details["wanted"], found.details["stated"]) == (4.0, 5.0)


def test_a_formula_that_depends_on_the_signs_of_the_values_is_told_so() -> None:
    found = judged({"text": "sum(abs(x))", "at": ["x=[1,2]"]}, "x", "x/x")
    assert (found.verdict, found.reason, found.details["wanted"], found.details["stated"]) == ("equal", "signs", -1.0, 1.0)
    found = judged({"text": "x**2", "at": ["x=2"]}, None, "x*abs(x)")
    assert (found.verdict, found.reason) == ("wrong", "signs")
    assert found.details["wanted"] == -found.details["stated"]


VALUES = [  # expression, formula of its value, verdict
    ("x**2 + 1", "1 + x*x", "proved"),
    ("x**2 + 1", "2*x", "wrong"),
    ("var(x)", "sum((x - mean(x))**2)/2", "proved"),
    ("var(x)", "sum((x - mean(x))**2)/3", "wrong"),
    ("layer_norm(x, [3])", "(x - mean(x))/sqrt(mean((x - mean(x))**2) + 1e-5)", "proved"),
    ("softmax(x, 0)", "exp(x)/sum(exp(x))", "proved"),
    ("logsumexp(x, 0)", "log(sum(exp(x)))", "proved"),
    ("relu(x)", "x*(x > 0)", "equal"),  # which branch is taken is not decided by algebra
]


@pytest.mark.parametrize(("text", "formula", "verdict"), VALUES)
def test_a_value(text: str, formula: str, verdict: str) -> None:
    assert judged({"text": text, "at": ["x=[1,2,4]"]}, None, formula).verdict == verdict


@pytest.mark.filterwarnings("ignore")
def test_points_that_an_operation_refuses_are_left_out() -> None:
    assert judged({"text": "sum(cholesky(A))", "at": ["A=[[2,1],[1,2]]"]}, None, "cholesky(A).sum()").verdict == "proved"


REFUSED = [  # of, wrt, formula, a part of the message
    ("loss", "w", "X.T@(q - y)", "names 'q'"),
    ("loss", "w", "X.T@(p - ", "never closed"),
    ("loss", "w", "w_7", "no entry w[7]"),
    ("loss", "w", "[1, [2, 3]]", "different shapes"),
    ("lost", "w", "1", "names 'lost'"),
    ("p", "q", "1", "names 'q'"),
    ("n", None, "3", "plain number"),
    ("loss", "w", "__import__('os')", "__import__"),
    ("loss", "w", "X@w", None),
]


@pytest.mark.parametrize(("of", "wrt", "formula", "part"), REFUSED)
def test_what_cannot_be_read_is_told(of: str, wrt: str | None, formula: str, part: str | None) -> None:
    if part is None:  # readable, of another shape
        (found,) = judge_program(ran(LOGISTIC), [Claim(of, wrt, formula)])
        assert (found.verdict, found.reason) == ("wrong", "shape")
        return
    with pytest.raises(InputError, match=part.replace("[", r"\[").replace("(", r"\(")):
        judge_program(ran(LOGISTIC), [Claim(of, wrt, formula)])


# the authors' own formulas, and their mutants

SEEDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent.parent / "seeds").glob("*.json"))
}
OWN = ("s002-04", "s000-11")
"""Programs whose claims speak of names that only the claims have."""


def written(formula: Any) -> str:
    """A formula of the seeds as text: nested lists of texts, or of trees, in brackets."""
    if isinstance(formula, list):
        return f"[{', '.join(map(written, formula))}]"
    return formula if isinstance(formula, str) else ast.unparse(formula)


@pytest.mark.parametrize("name", [n for n, s in SEEDS.items() if s["outcome"] != "bounded" and n not in OWN])
def test_formulas_of_the_articles_and_their_mutants(name: str) -> None:
    claims = [c for c in SEEDS[name]["claims"] if c["sympy"] is not None and not c.get("at")]
    if not claims:
        return
    program = run_source(read_program(SEEDS[name]["program"]))
    assert isinstance(program, Ran)
    for claim in claims:
        formula = (claim.get("right") or claim)["sympy"]
        (found,) = judge_program(program, [Claim(claim["of"], claim["wrt"], written(formula))])
        assert found.ok, (claim["of"], claim["wrt"], formula, found.reason, found.details)
        for mistake, mutant in mutants(parse(formula)):
            (found,) = judge_program(program, [Claim(claim["of"], claim["wrt"], written(mutant))])
            one_of_several = mistake == "missing term" and name in ("s001-02", "s001-04")  # 1 + 1 is a sum of two calls
            assert one_of_several or not found.ok, (mistake, written(mutant))
