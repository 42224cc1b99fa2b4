"""What of a page is shown, and how much each step says."""

from __future__ import annotations

import re

import pytest

import explain
from explain.derivation.program import run_program
from explain.errors import InputError
from tests.render.pages import run_of

FORMATS = ("md", "text", "html", "tex")


@pytest.mark.parametrize("format", FORMATS)
def test_details_grow(format: str) -> None:
    brief, normal, full = (run_of("net").render(format, detail=detail) for detail in ("brief", "normal", "full"))
    assert len(brief) < len(normal) <= len(full)


def test_brief_keeps_the_answer_and_a_product_per_step() -> None:
    text = run_of("net").render("text", detail="brief")
    assert "W1.grad = tensor" in text and text.count("Step ") == len(run_of("net").derivation.steps)
    for left_out in ("Forward", "Put together", "What it means", "Backward0", "J = "):
        assert left_out not in text
    assert "Backward" in text


def test_full_shows_every_turn_of_a_loop() -> None:
    code = "import torch\nx = torch.tensor(0.9, requires_grad=True)\nh = x\n"
    code += "for k in range(6):\n    h = torch.sin(h)\nh.backward()"
    run = run_program(code, name="unrolled.py")
    for detail, count in (("normal", 1), ("full", 6)):
        assert len(re.findall("^Step [0-9]", run.render("text", detail=detail), re.M)) == count + (detail == "normal")


def test_parts_of_a_page() -> None:
    run = run_of("logistic")
    answer, steps, graph = (run.render("text", show=show) for show in ("answer", "steps", "graph"))
    assert "w.grad = " in answer and "Step 1" not in answer and "SigmoidBackward0" not in answer
    assert "Step 1" in steps and "w.grad = " not in steps
    assert "SigmoidBackward0" in graph and "Step 1" not in graph and "w.grad = " not in graph
    assert all("import torch" not in part for part in (answer, steps, graph))


def test_dialects_differ_only_where_their_readers_do() -> None:
    github, myst, mkdocs = (run_of("net").render("md", dialect=d) for d in ("github", "myst", "mkdocs"))
    assert "$`W_1`$" in github and "$W_1$" in myst and "$`" not in myst
    assert re.sub(r"\$`([^`\n]+)`\$", r"$\1$", github) == myst
    assert mkdocs.replace(' markdown="1"', "") == myst and '<details markdown="1">' in mkdocs


@pytest.mark.parametrize("option", [{"detail": "huge"}, {"show": "nothing"}, {"dialect": "word"}, {"lang": "xx"}])
def test_choices_that_do_not_exist(option: dict[str, str]) -> None:
    with pytest.raises(InputError, match="there is no"):
        run_of("dot").render("md", **option)


@pytest.mark.parametrize("format", ("text", "md"))
def test_a_number_that_is_not_written_exactly_is_not_said_to_be_equal(format: str) -> None:
    page = explain.expr("sum(y**2)", y=[1.0, 2.0]).render(format)
    assert page.count("≈" if format == "text" else r"\approx") == 0
    page = explain.expr("sum((A@x*0.123456)**2*c)", A=[[1, 2], [3, 4]], x=[1, 2], c=[1, 1], wrt="x").render(format)
    written = [line for line in page.splitlines() if "0.1235" in line and ("∂" in line or "Σ" in line or "sum" in line)]
    assert written and all(("≈" if format == "text" else r"\approx") in line for line in written)
