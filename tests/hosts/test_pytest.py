"""The pytest plugin: real runs over folders of pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.guides import snippet

RST = ".. explain::\n   :at: x=[1,2]\n   :claim: out wrt x = 2*x\n\n   sum(x**2)\n\nThe gradient is :explain:`x**2; x=3`.\n"


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "EXPLAIN_CACHE": str(folder / "cache"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(snippet("pytest", "md"))
    return tmp_path


def test_every_block_and_every_claim_is_a_test(folder: Path) -> None:
    (folder / "docs" / "other.rst").write_text(RST)
    command = snippet("pytest", "sh").split()[1:]
    code, out = run(folder, "-v", *command)
    assert code == 0 and "5 passed" in out
    for line in snippet("pytest", "text").splitlines():
        assert line in out
    assert "docs/other.rst::line 3 claim out wrt x = 2*x PASSED" in out and "docs/other.rst::line 7 PASSED" in out


def test_without_the_option_pages_are_left_alone(folder: Path) -> None:
    code, out = run(folder, "docs")
    assert code == 5 and "no tests ran" in out


LOSSES = '''"""Losses.

Half a square is {explain: x**2/2; x=3}, and `{explain: nothing}` is code.
"""

TEXT = """
.. explain:: this is no docstring
"""


class Losses:
    def squared(self, x):
        """The sum of squares.

        Args:
            x: a vector

                .. explain::
                   :at: x=[1, 2]

                   #| claim: out wrt x = 2*x
                   sum(x**2)

        ```explain
        #| claim: out wrt x = 3*x
        x**2; x=1
        ```
        """
        return (x**2).sum()
'''


def test_docstrings_as_sphinx_and_mkdocs_show_them(folder: Path) -> None:
    (folder / "losses.py").write_text(LOSSES)
    (folder / "broken.py").write_text("explain = (")
    code, out = run(folder, "-v", "--explain", ".")
    assert code == 1 and "1 failed, 6 passed" in out
    lines = out.splitlines()
    for name in ("line 3 PASSED", "line 22 PASSED", "line 21 claim out wrt x = 2*x PASSED", "line 26 PASSED"):
        assert any(line.startswith(f"losses.py::{name}") for line in lines), out
    assert any(line.startswith("losses.py::line 25 claim out wrt x = 3*x FAILED") for line in lines)
    assert "losses.py:25: explain: the claim out wrt x = 3*x is wrong" in out


FAULTS = [  # a page, the test that fails, its message
    (
        "a\n```explain\n#| at: x=[1]\n#| claim: out wrt x = 3*x\nsum(x**2)\n```\n",
        "line 4 claim",
        "docs/bad.md:4: explain: the claim",
    ),
    ("```explain\n\n#| colour: red\nx\n```\n", "line 3", "docs/bad.md:3: there is no option 'colour'; there are: at, shape"),
    (
        "```explain\n#| claim: y wrt x = 1\nx = torch.ones(2)\nx.sum().backward()\n```\n",
        "line 3",
        "docs/bad.md:4: explain: RuntimeError",
    ),
]


@pytest.mark.parametrize(("page", "name", "message"), FAULTS)
def test_what_is_wrong_has_its_line(folder: Path, page: str, name: str, message: str) -> None:
    (folder / "docs" / "bad.md").write_text(page)
    code, out = run(folder, "-v", "--explain", "docs/bad.md")
    assert code == 1 and message in out and "Traceback" not in out and "Error while" not in out
    assert any(line.startswith(f"docs/bad.md::{name}") and "FAILED" in line for line in out.splitlines())


def test_a_claim_of_a_block_that_is_not_derived_does_not_pass(folder: Path) -> None:
    (folder / "docs" / "bad.md").write_text("```explain\n#| claim: out wrt x = 1\nsum(q*x); x=[1]\n```\n")
    code, out = run(folder, "--explain", "docs/bad.md")
    assert code == 1 and "2 failed" in out


def test_the_configuration_of_the_guide(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(snippet("pytest", "toml"))
    (folder / "tests").mkdir()
    (folder / "tests" / "test_a.py").write_text("def test_a():\n    pass\n")
    code, out = run(folder)
    assert code == 0 and "3 passed" in out
