"""A gradient that is not finite is told with the operation that did it, per leaf."""

from __future__ import annotations

import pytest

from explain.derivation.program import run_program

ZERO = "x = torch.tensor([0., .5], requires_grad=True)\n"
TWO = "x = torch.tensor([0., 3.], requires_grad=True)\nw = torch.tensor([0., 1.], requires_grad=True)\n"

PROGRAMS = [  # what it is, program, per leaf the op and the way
    ("a logarithm of 0", f"{ZERO}out = (x*torch.log(x)).sum()", {"x": ("log", "forward")}),
    ("a root of 0", f"{ZERO}out = torch.sqrt(x**2).sum()", {"x": ("sqrt", "back")}),
    (
        "each leaf for a reason of its own", f"{TWO}out = (torch.sqrt(x)*w + w*torch.log(w)).sum()",
        {"x": ("sqrt", "back"), "w": ("log", "forward")},
    ),
    ("a choice made afterwards", f"{ZERO}out = torch.where(x > 0, 1/x, 0*x).sum()", {"x": ("div", "forward")}),
    (
        "an exponential that overflows", "x = torch.tensor([100., 1.], requires_grad=True)\nout = torch.exp(x).sum()",
        {"x": ("exp", "forward")},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("program", "wanted"), [pytest.param(*row[1:], id=row[0]) for row in PROGRAMS])
def test_the_operation_that_did_it(program: str, wanted: dict[str, tuple[str, str]]) -> None:
    run = run_program(f"import torch\n{program}\nout.backward()\n", name="lesson.py")
    found = {n.details["x"]: (n.details["op"], n.details["way"]) for n in run.derivations[0].notes if n.kind == "not_finite"}
    assert run.ok and found == wanted
