"""Loops on a page: what repeats costs neither space nor a deep stack."""

from __future__ import annotations

from functools import cache

import pytest

from explain.derivation.model import Run
from explain.derivation.program import run_program
from explain.render.folding import ranges

DECAY = """import torch
x = torch.tensor([1., 2.], requires_grad=True)
c = torch.tensor([0.5, 0.25], requires_grad=True)
h = x
for t in range({turns}):
    h = h*0.9 + 0.1*c
loss = (h**2).sum()
loss.backward()
"""


@cache
def decay(turns: int) -> Run:
    return run_program(DECAY.format(turns=turns), name="decay.py")


@pytest.mark.parametrize("format", ["md", "text", "tex", "html"])
def test_a_page_is_as_long_as_its_distinct_steps(format: str) -> None:
    short, long = (len(decay(turns).render(format)) for turns in (40, 200))
    assert long < 1.1 * short  # smaller numbers take more digits


def test_contributions_of_a_loop_that_differ_in_their_number_alone_are_one_term() -> None:
    closed = decay(200).derivation.gradients[1].closed_form
    assert closed is not None and str(closed.index.e).count("h") == 1
    assert all(c.status == "ok" for c in decay(200).derivation.gradients[1].checks)


def test_a_rounded_factor_is_called_rounded() -> None:
    assert "∂loss/∂xᵢ ≈ 0.02956·hᵢ" in decay(40).render("text")


def test_what_is_left_out_shows() -> None:
    assert ranges([1, 2, 4, 6, 8, 10], frozenset({4, 6, 8})) == ["1", "2", "…", "10"]
    assert ranges([1, 2, 3, 4, 5, 6, 9]) == ["1–6", "9"]
    text = decay(40).render("text")
    assert "c̄ᵢ = c̄ᵢ|h + … + c̄ᵢ|h⁽¹⁾" in text and "steps 3, …, 81 add" in " ".join(text.split())


def test_the_table_of_calls_has_the_order_of_the_answers() -> None:
    text = run_program(
        "w = torch.tensor(0.5, requires_grad=True)\nb = torch.tensor(0.1, requires_grad=True)\n"
        "for xi, yi in zip(torch.tensor([1., 2.]), torch.tensor([2., 4.])):\n    ((b + w * xi - yi) ** 2).backward()\n"
    ).render("md")
    assert text.index(r"\partial w") < text.index(r"\partial b")
    (head,) = (line for line in text.split("\n") if line.startswith("| call"))
    assert head.index(r"\bar w") < head.index(r"\bar b")
