"""A program runs as Python runs it, and tells what it did: names, lines, echoes, prints, loops, the calls it made."""

from __future__ import annotations

from typing import Any

import pytest

from explain.derivation.model import Run
from explain.derivation.program import run_program


def run(*lines: str, **options: Any) -> Run:
    found = run_program("\n".join(lines), **options)
    assert found.outcome == "ok", found.error
    return found


def names(*lines: str) -> set[str]:
    (d,) = run(*lines).derivations
    return {row.name for row in d.rows}


LEAF = "x = torch.tensor([1., 2.], requires_grad=True)"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (("y = x * 2", "z = y.sum()"), {"x", "y", "z"}),
        (("y: torch.Tensor = x * 2", "z = y.sum()"), {"x", "y", "z"}),
        (("a = b = x * 2", "z = b.sum()"), {"x", "a", "z"}),
        (("p, q = x * 2, x * 3", "z = (p * q).sum()"), {"x", "p", "q", "z"}),
        (("if (y := x * 2).sum() > 0:", "    z = y.sum()"), {"x", "y", "z"}),
        (("def f(t):", "    inner = t * 2", "    return inner", "z = f(x).sum()"), {"x", "inner", "z"}),
        (("f = lambda t: t * 2", "z = f(x).sum()"), {"x", "u_1", "z"}),
        (("class A: pass", "a = A()", "a.h = x * 2", "z = a.h.sum()"), {"x", "h", "z"}),
        (("for i in range(3):", "    x = x * 2", "z = x.sum()"), {"x^(1)", "x^(2)", "x^(3)", "x", "z"}),
        (("ys = [x * i for i in range(2)]", "z = sum(ys).sum()"), {"x", "u_1", "z"}),
        (("y = x[0]", "y, z = y * 2, y * 3", "z = y + z"), {"x", "y^(1)", "y", "z^(1)", "z"}),
    ],
)
def test_values_have_the_authors_names(lines: tuple[str, ...], wanted: set[str]) -> None:
    found = names(LEAF, *lines, "z.backward()")
    assert wanted <= found | {"u_1"}, found


def test_parameters_have_their_path() -> None:
    found = run(
        "class Net(torch.nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.scale = torch.nn.Parameter(torch.ones(2))",
        "    def forward(self, x):",
        "        return (self.scale * x).sum()",
        "net = Net()",
        "net(torch.ones(2)).backward()",
    )
    assert [g.wrt for g in found.derivations[0].gradients] == ["net.scale"]
    assert {t.name for t in found.tensors} == {"net.scale"}


def test_lines_and_code_are_the_authors() -> None:
    (d,) = run(LEAF, "y = torch.exp(x)  # a comment", "z = (y", "     ** 2).sum()", "z.backward()").derivations
    assert [(s.line, s.code) for s in d.steps] == [(3, "(y\n     ** 2).sum()"), (2, "torch.exp(x)")]
    assert (d.line, d.call) == (5, "z.backward()")


def test_a_bare_expression_is_echoed() -> None:
    found = run("x = torch.ones(2)", "x", "None", "x.sum(); 'a'")
    assert [(e["line"], e["text"], e["last_in_cell"]) for e in found.echo] == [
        (2, "tensor([1., 1.])", False), (4, "tensor(2.)", True), (4, "'a'", True),
    ]  # fmt: skip


def test_what_is_left_is_told() -> None:
    found = run("x = torch.ones(2)", "n = 3", "t = (1, 2.5, float('inf'))", "s = 'a'", "d = {'k': [True, None]}", "_p = 1")
    assert found.values == {"n": 3, "t": [1, 2.5, "inf"], "s": "a", "d": {"k": [True, None]}}
    assert [t.name for t in found.tensors] == ["x"]


def test_a_training_loop_is_one_derivation_and_a_table() -> None:
    found = run(
        "x = torch.tensor([1., 2.])",
        "w = torch.zeros(2, requires_grad=True)",
        "for step in range(2000):",
        "    loss = ((w * x).sum() - 1) ** 2",
        "    loss.backward()",
        "    with torch.no_grad():",
        "        w -= 0.05 * w.grad",
        "    w.grad = None",
    )
    (d,) = found.derivations
    assert len(d.repeats) == 2000 and [r.number for r in d.repeats][:3] == [1, 2, 3]
    page = found.render("md")
    assert "2000 calls" in page and page.count("\n") < 250
    assert d.repeats[0].output == 1.0 and abs(d.repeats[-1].output or 1) < 1e-9
    picked = run_program(found.source, backward=7)
    assert [e.number for e in picked.derivations] == [7]


def test_calls_that_differ_are_derived_each() -> None:
    found = run(LEAF, "(x ** 2).sum().backward()", "(x ** 3).sum().backward()", "(x ** 3).sum().backward()")
    assert [(d.number, len(d.repeats)) for d in found.derivations] == [(1, 0), (2, 0), (3, 0)]


def test_loops_and_branches_are_noted() -> None:
    found = run(
        LEAF,
        "b = x * 2",
        "while b.norm() < 100:",
        "    b = b * 2",
        "if b.sum() > 0:",
        "    c = b",
        "else:",
        "    c = 100 * b",
        "c.sum().backward()",
    )
    (d,) = found.derivations
    notes = {n.kind: n.details for n in d.notes}
    assert notes["loop"] == {"line": 3, "count": 5}
    assert notes["branch"] == {"line": 5, "code": "b.sum() > 0", "yes": 1, "no": 0}
    (fold,) = d.folds
    assert (fold.period, fold.count) == (1, 5)
    assert d.gradients[0].value.tolist() == [64.0, 64.0]
    assert "2^{5} = 32" in found.render("md") or "2^5 = 32" in found.render("md")


def test_a_program_starts_as_in_a_fresh_process() -> None:
    first = run("torch.set_printoptions(precision=1)", "print(torch.rand(2))").stdout
    assert run("print(torch.rand(2))").stdout != first
    assert run("print(torch.rand(2))").stdout == run("print(torch.rand(2))").stdout


def test_an_error_keeps_what_was_done_before() -> None:
    found = run_program(f"{LEAF}\nprint('before')\n(x * x).sum().backward()\nx.nothing\nprint('after')")
    assert (found.outcome, found.stdout) == ("error", "before\n")
    assert len(found.derivations) == 1 and found.derivations[0].ok
    assert found.error is not None and found.error["line"] == 4


def test_a_result_can_be_asked_for() -> None:
    text = f"{LEAF}\nw = torch.ones(2, requires_grad=True)\nloss = (x * w).sum()"
    assert not run_program(text).derivations
    assert [n.kind for n in run_program(text).notes] == ["no_backward"]
    (d,) = run_program(text, of="loss", wrt=["w"]).derivations
    assert (d.output, [g.wrt for g in d.gradients], d.ok) == ("loss", ["w"], True)
