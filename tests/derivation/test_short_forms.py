"""Closed forms as a teacher writes them: losses by hand, masks, slices, shares, in the names that the program gave."""

from __future__ import annotations

import pytest

from explain.calculus.text import formula_text
from explain.derivation.program import run_program

REGRESSION = """
X = torch.tensor([[1., 2.], [3., 4.], [5., 6.]])
y = torch.tensor([0., 1., 1.])
w = torch.tensor([.5, -1.], requires_grad=True)
"""
BY_HAND = "out = -(y*torch.log(p) + (1 - y)*torch.log(1 - p)).mean()"
SCORES = "z = torch.tensor([[0., 1., 1.5], [1., -1., .2]], requires_grad=True)\nt = torch.tensor([1, 0])\n"
WIDE = "z = torch.tensor([[0., 1., 1.5, 2.], [1., -1., .2, 0.]], requires_grad=True)\nt = torch.tensor([1, 0])\n"
VECTOR = "x = torch.tensor([1., -2., 3., 4., 5.], requires_grad=True)\n"
THREE = "x = torch.tensor([1., 3., 2.], requires_grad=True)\n"
MASKED = """
p = torch.tensor([.1, .7, 1.5], requires_grad=True)
t = torch.tensor([1., 1., .5])
mask = torch.tensor([True, False, True])
"""

PROGRAMS = [  # what it is, program, leaf, one entry, matrix form: worked out by hand
    ("sigmoid", f"{REGRESSION}p = torch.sigmoid(X@w)\n{BY_HAND}", "w", None, "1/3*X.T@(p - y)"),
    ("logistic written out", f"{REGRESSION}p = 1/(1 + torch.exp(-X@w))\n{BY_HAND}", "w", None, "1/3*X.T@(p - y)"),
    (
        "from the scores", f"{REGRESSION}z = X@w\nout = (torch.log(1 + torch.exp(z)) - y*z).mean()", "w", None,
        "1/3*X.T@(sigmoid(X@w) - y)",
    ),
    ("Poisson", f"{REGRESSION}mu = torch.exp(X@w)\nout = (mu - y*mu.log()).mean()", "w", None, "1/3*X.T@(mu - y)"),
    ("a number of its own", f"{VECTOR}y = 1/(1 + torch.exp(-x))\nout = y.sum()", "x", "(1 - y[i])*y[i]", None),
    ("one class", f"{WIDE}p = torch.softmax(z[0], 0)\nout = -p[1].log()", "z", None, "e(0, 2)@(p - e(1, 4)).T"),
    ("range", f"{SCORES}out = -torch.log_softmax(z, 1)[range(2), t].mean()", "z", None, "1/2*(P - onehot(t, 3))"),
    (
        "softmax by hand",
        f"{SCORES}e = z.exp()\np = e/e.sum(1, keepdim=True)\nout = -p[torch.arange(2), t].log().mean()", "z", None,
        "1/2*(p - onehot(t, 3))",
    ),
    (
        "exponentials twice",
        f"{SCORES}p = z.exp()/z.exp().sum(1, keepdim=True)\nout = -p[range(2), t].log().mean()", "z", None,
        "1/2*(p - onehot(t, 3))",
    ),
    (
        "a unit vector",
        "x = torch.tensor([1., 2.], requires_grad=True)\ng = torch.tensor([2., 1.])\nu = x/x.norm()\nout = u@g", "x",
        "1/u_1*(-u[i]*Sum(g[j]*u[j], (j, 0, 1)) + g[i])", None,
    ),
    (
        "rows of unit vectors",
        "x = torch.tensor([[1., 2.], [3., 4.]], requires_grad=True)\ng = torch.tensor([[2., 1.], [0., 3.]])\n"
        "u = x/x.norm(dim=1, keepdim=True)\nout = (u*g).sum()", "x",
        "1/u_1[i, 0]*(-u[i, j]*Sum(g[i, k]*u[i, k], (k, 0, 1)) + g[i, j])", None,
    ),
    (
        "one softmax, read twice",
        f"{WIDE}out = torch.logsumexp(z[1], 0) + torch.log_softmax(z, 1)[0, 1]", "z", None,
        "e(0, 2)@e(1, 4).T + e(1, 2)@e(1, 2).T@P - diag(e(0, 2))@P",
    ),
    ("mask", f"{MASKED}out = ((p - t)**2)[mask].mean()", "p", "(-t[i] + p[i])*Indicator(Holds(mask[i]))", "(p - t)*mask"),
    ("mask on both", f"{MASKED}out = ((p[mask] - t[mask])**2).mean()", "p", None, "(p - t)*mask"),
    ("selected by a mask", f"{MASKED}out = (p.masked_select(mask)**2).sum()", "p", None, "2*mask*p"),
    ("rows by a mask", f"{REGRESSION}k = y > 0\nout = ((X[k]@w - y[k])**2).mean()", "w", None, "X.T@((X@w - y)*k)"),
    (
        "the other entries", f"{MASKED}out = (p[~mask]**2).sum() + t[mask].sum()", "p",
        "2*p[i]*Indicator(not Holds(mask[i]))", "2*not(mask)*p",
    ),
    (
        "two conditions", f"{MASKED}out = p[(p > 0.5) & (p < 1)].sum() + p[(p > 1) | ~mask].sum()", "p",
        "Indicator((p[i] > 1) or (not Holds(mask[i]))) + Indicator((p[i] > 1/2) and (p[i] < 1))", None,
    ),
    ("in two parts", f"{VECTOR}y = torch.cat([x[:2]*2, x[2:]*2])\nout = (y*y).sum()", "x", "8*x[i]", "8*x"),
    (
        "slices of slices",
        f"{VECTOR}y = x.clone()\ny[2:] = x[2:]**2\nz = y[1:].clone()\nz[2:] = 0\nout = (z[1:]**2).sum()", "x",
        "4*x[i]**3*Indicator(i == 2)", None,
    ),
    (
        "one softmax of few, read twice",
        f"{SCORES}out = torch.logsumexp(z[1], 0) + torch.log_softmax(z, 1)[0, 1]", "z", None,
        "[[-P[0, 0], 1 - P[0, 1], -P[0, 2]], [P[1, 0], P[1, 1], P[1, 2]]]",
    ),
    (
        "Rosenbrock",
        "x = torch.tensor([.5, .2], requires_grad=True)\nout = (1 - x[0])**2 + 100*(x[1] - x[0]**2)**2", "x", None,
        "[2*x[0] - 400*(-x[0]**2 + x[1])*x[0] - 2, 200*(-x[0]**2 + x[1])]",
    ),
    (
        "named coordinates",
        "p = torch.tensor([2., .5], requires_grad=True)\nr, phi = p\nout = r**2*torch.sin(phi)", "p", None,
        "[2*sin(p[1])*p[0], p[0]**2*cos(p[1])]",
    ),
    (
        "determinant",
        "A = torch.tensor([[1., 3.], [2., 5.]], requires_grad=True)\nout = A[0, 0]*A[1, 1] - A[0, 1]*A[1, 0]", "A", None,
        "[[A[1, 1], -A[1, 0]], [-A[0, 1], A[0, 0]]]",
    ),
    (
        "differences of neighbours",
        f"{THREE}out = ((x[1:] - x[:-1])**2).sum()", "x", None,
        "[-2*(-x[0] + x[1]), -2*x[0] - 2*x[2] + 4*x[1], 2*(-x[1] + x[2])]",
    ),
    (
        "cross product", f"{THREE}v = torch.tensor([.5, -1., 2.])\nout = torch.cross(x, v, dim=0)[0]", "x",
        "v[2]*Indicator(1 == i) - v[1]*Indicator(2 == i)", "[0, v[2], -v[1]]",
    ),
    (
        "reshaped", "x = torch.arange(4.).requires_grad_()\ny = x.reshape(2, 2)\nout = (y@y).sum()", "x", None,
        "[2*x[0] + x[1] + x[2], 2*x[2] + x[0] + x[3], 2*x[1] + x[0] + x[3], 2*x[3] + x[1] + x[2]]",
    ),
    ("one entry", f"{VECTOR}out = x[1]**2", "x", None, "2*x[1]*e(1, 5)"),
    ("one of two entries", "x = torch.tensor([1., 3.], requires_grad=True)\nout = x[1]**2", "x", None, "[0, 2*x[1]]"),
]  # fmt: skip

JACOBIANS = [  # the call, a row per output entry and a column per input entry: worked out by hand
    (
        "polar coordinates", "jacobian(lambda p: torch.stack([p[0]*torch.cos(p[1]), p[0]*torch.sin(p[1])]), x)",
        "[[cos(x[1]), -sin(x[1])*x[0]], [sin(x[1]), cos(x[1])*x[0]]]",
    ),
    (
        "Hessian of Rosenbrock", "hessian(lambda x: (1 - x[0])**2 + 100*(x[1] - x[0]**2)**2, x)",
        "[[2 - 400*x[1] + 1200*x[0]**2, -400*x[0]], [-400*x[0], 200]]",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "matrix"), [pytest.param(*row[1:], id=row[0]) for row in JACOBIANS])
def test_jacobians_of_few_entries(call: str, matrix: str) -> None:
    start = "import torch\nfrom torch.autograd.functional import hessian, jacobian\nx = torch.tensor([2.0, 0.5])\n"
    run = run_program(f"{start}{call}\n", name="lesson.py")
    assert run.ok and run.outcome == "ok"
    (found,) = run.derivations[-1].gradients
    assert found.closed_form is not None and str(found.closed_form.matrix) == matrix
    assert {c.status for c in found.checks} == {"ok"}


@pytest.mark.parametrize(("program", "leaf", "entry", "matrix"), [pytest.param(*row[1:], id=row[0]) for row in PROGRAMS])
def test_closed_forms(program: str, leaf: str, entry: str | None, matrix: str | None) -> None:
    run = run_program(f"import torch\n{program}\nout.backward()\n", name="lesson.py")
    assert run.ok and run.outcome == "ok"
    (found,) = (g for g in run.derivations[0].gradients if g.wrt == leaf)
    assert found.closed_form is not None
    if entry is not None:
        assert formula_text(found.closed_form.index.e) == entry
    if matrix is not None:
        assert str(found.closed_form.matrix) == matrix
    assert {c.status for c in found.checks} == {"ok"}
