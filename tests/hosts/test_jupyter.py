"""Magics and rich display, with a notebook's shell played by an object of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import explain
import explain.torch as torch
from explain.hosts.jupyter import Shown, explain_cell, explain_line

CELL = "import torch\nx = torch.tensor([1., 2.], requires_grad=True)\ny = (x ** 2).sum()\ny.backward()\n"


class Shell:
    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        self.magics[f"{magic_kind} {magic_name}"] = function


def shown(found: Shown | None) -> Shown:
    assert found is not None
    return found


def test_a_line() -> None:
    found = shown(explain_line("2*dot(x, x); x=[0, 1, 2, 3]"))
    assert found.run.derivation.gradients[0].grad.tolist() == [0.0, 4.0, 8.0, 12.0]
    assert "<math" in found._repr_html_() and "$`" not in found._repr_markdown_() and "x.grad" in repr(found)


def test_names_of_the_notebook_are_known() -> None:
    names = {"x": np.array([1.0, 2.0]), "w": torch.tensor([3.0, 4.0]), "print": print, "n": 2}
    found = shown(explain_line("--wrt w sum(x * w) * n", names))
    assert [g.wrt for g in found.run.derivation.gradients] == ["w"]
    assert found.run.derivation.gradients[0].grad.tolist() == [2.0, 4.0]


def test_a_cell() -> None:
    found = shown(explain_cell("--lang zh --detail brief", CELL))
    assert found.run.ok and "梯度" in found._repr_html_() and 'lang="zh-Hans"' in found._repr_html_()


@pytest.mark.parametrize("line", ["", "2*tahn(x)", "--detail huge x", "--nothing 1 x"])
def test_what_is_wrong_is_said_in_words(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain_line(line) is None
    said = capsys.readouterr().err
    assert said.startswith("explain: ") and "Traceback" not in said


def test_the_extension_records_while_it_is_loaded() -> None:
    shell = Shell()
    explain.load_ipython_extension(shell)
    try:
        magic = shell.magics["line_cell explain"]
        assert shown(magic("x**2; x=3")).run.ok and shown(magic("", CELL)).run.ok
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y = (x * x).sum()
        with torch.no_grad():
            x.mul_(2)
        d = explain.derive(y)
        assert d.steps[0].line is not None and d.rows[0].value.tolist() == [1.0, 2.0]
    finally:
        explain.unload_ipython_extension(shell)
    assert explain.derive(torch.tensor(1.0, requires_grad=True) * 2).steps[0].line is None


def test_rich_display_of_documents() -> None:
    run = explain.run(CELL)
    assert run._repr_html_().startswith('<div class="explain" lang="en"><style>')
    assert run._repr_latex_() == "$$\n\\begin{aligned}\n\\frac{\\partial y}{\\partial x} &= 2\\,x\n\\end{aligned}\n$$"
    assert run.derivation._repr_html_() and run.derivation._repr_latex_() == run._repr_latex_()
