"""Magics and rich display, with a notebook's shell played by an object of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

import explain
import explain.torch as torch
from explain.hosts.jupyter import CellError, Session
from tests.hosts.guides import snippets

CELL = "import torch\nx = torch.tensor([1., 2.], requires_grad=True)\ny = (x ** 2).sum()\ny.backward()\n"


class Shell:
    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        self.magics[f"{magic_kind} {magic_name}"] = function


def test_a_line() -> None:
    found = Session().line("2*dot(x, x); x=[0, 1, 2, 3]")
    assert found.run.derivation.gradients[0].grad.tolist() == [0.0, 4.0, 8.0, 12.0] and not found.problems
    assert "<math" in found._repr_html_() and "$`" not in found._repr_markdown_() and "x.grad" in repr(found)
    assert "4\\,x" in found._repr_latex_()


def test_names_of_the_notebook_are_known() -> None:
    names = {"x": np.array([1.0, 2.0]), "w": torch.tensor([3.0, 4.0]), "print": print, "n": 2}
    found = Session().line("--wrt w sum(x * w) * n", names)
    assert [g.wrt for g in found.run.derivation.gradients] == ["w"]
    assert found.run.derivation.gradients[0].grad.tolist() == [2.0, 4.0]
    found = Session().line("--wrt=w --detail brief sum(x * w) * n; n=3", names)
    assert found.run.derivation.gradients[0].grad.tolist() == [3.0, 6.0]


@pytest.mark.parametrize(("line", "head"), [("--lang zh --detail brief", ""), ("lang=zh", ""), ("", "#| lang: zh\n")])
def test_a_cell(line: str, head: str) -> None:
    found = Session().cell(line, head + CELL)
    assert found.run.ok and "梯度" in found._repr_html_() and 'lang="zh-Hans"' in found._repr_html_()


def test_cells_continue_each_other() -> None:
    session = Session()
    session.cell("--name start", CELL)
    session.line("x**2; x=3")
    session.cell("name=other", "z = 1")
    found = session.cell("--after start", "(x ** 3).sum().backward()\nprint(x.grad)")
    assert found.run.stdout == "tensor([ 5., 16.])\n"


def test_no_two_outputs_of_a_notebook_have_an_anchor_in_common() -> None:
    """Also where they were made in two sessions, and where documents show themselves."""
    shown = [
        Session().line("x**2; x=3"),
        Session().line("x**3; x=3"),
        explain.expr("x**2", x=3),
        explain.run(CELL).derivation,
    ]
    ids = [re.findall(r' id="([^"]*)"', one._repr_html_()) for one in shown]
    assert all(len(found) >= 3 for found in ids) and len({one for found in ids for one in found}) == sum(map(len, ids))
    assert shown[0]._repr_html_() == Session().line("x**2; x=3")._repr_html_()


def test_markdown_is_for_any_reader() -> None:
    text = Session().line("x**2; x=3")._repr_markdown_()
    assert ")=" not in text and "$`" not in text and "##### Step 1" in text


FAULTS = [
    ("", "%explain:1: explain: the block is empty"),
    ("2*tahn(x)", "%explain:1: explain: "),
    ("--detail huge x", "detail is brief or normal or full"),
    ("--nothing 1 x", "no option 'nothing'; there are: at, shape"),
    ("--v x", "is empty"),
]


@pytest.mark.parametrize(("line", "words"), FAULTS)
def test_what_is_wrong_is_said_in_words(line: str, words: str) -> None:
    with pytest.raises(CellError) as caught:
        Session().line(line)
    (said,) = caught.value._render_traceback_()
    assert words in said and "Traceback" not in said


def test_a_claim_has_its_line_in_the_cell() -> None:
    found = Session().cell("", "#| claim: y wrt x = 3*x\n" + CELL, "In [7]")
    assert [str(p).startswith("In [7]:2: explain: the claim") for p in found.problems] == [True]


def test_the_extension_records_while_it_is_loaded() -> None:
    shell = Shell()
    explain.load_ipython_extension(shell)
    try:
        magic = shell.magics["line_cell explain"]
        assert magic("x**2; x=3").run.ok and magic("", CELL).run.ok
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
    assert run._repr_html_().startswith('<div class="explain guest" lang="en"><style>')
    assert run._repr_latex_() == "$$\n\\begin{aligned}\n\\frac{\\partial y}{\\partial x} &= 2\\,x\n\\end{aligned}\n$$"
    assert run.derivation._repr_html_() and run.derivation._repr_latex_() == run._repr_latex_()


# real notebooks


def executed(tmp_path: Path, cells: list[str], to: str = "html") -> tuple[int, str, str]:
    """A notebook executed and converted by nbconvert: the exit code, what it said, and what came out."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", to, "--output", "out", "lesson.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    out = next(tmp_path.glob("out.*"), None)
    return done.returncode, done.stderr, out.read_text() if out else ""


def guide_cells() -> list[str]:
    return [text for name, text in snippets("jupyter") if name == "py"]


def test_the_notebook_of_the_guide(tmp_path: Path) -> None:
    code, said, html = executed(tmp_path, guide_cells())
    assert code == 0, said
    assert html.count('<div class="explain guest" lang="en">') == 4 and "tensor([0., 4.])" in html and "<math" in html


def test_a_notebook_as_markdown(tmp_path: Path) -> None:
    code, said, text = executed(tmp_path, ["%load_ext explain", "%explain --detail brief sum(x**2); x=[1,2]"], "markdown")
    assert code == 0, said
    assert "<math" in text or "$$" in text


def test_a_cell_with_a_fault_fails_the_notebook(tmp_path: Path) -> None:
    cells = ["%load_ext explain", "%%explain\n#| claim: y wrt x = 3*x\n" + CELL]
    code, said, _ = executed(tmp_path, cells)
    assert code == 1 and "In [2]:2: explain: the claim y wrt x = 3*x is wrong." in said
