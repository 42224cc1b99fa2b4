"""Formulas are read by more than one program: they hold only commands that each of them was seen to take."""

from __future__ import annotations

import re

import pytest

from explain.derivation.library import library
from explain.ops.registry import REGISTRY
from explain.render import latex, names
from explain.render.library import render_library
from tests.render.test_dialects import written
from tests.render.test_golden import GOLDEN

KNOWN = frozenset(
    """
    Bigl Bigr Delta Gamma Lambda Longrightarrow Omega Phi Pi Psi Sigma Theta Upsilon Xi alpha approx arccos arcsin arctan bar
    begin beta big bmod cdot cdots chi cos cosh delta det dot ell end epsilon eta exp frac gamma ge hat infty iota kappa
    lambda land left lfloor lnot log lor lvert mathbf mathrm mathtt max min mu nabla ne nu odot omega operatorname oslash
    overline partial phi pi prod psi qquad rfloor rho right rvert sigma sin sinh sqrt sum tan tanh tau text tfrac theta tilde
    times top upsilon varepsilon varphi vdots vert xi zeta le , ; \\ _ # $ % & { }
    """.split()
) | {" "}
"""Tried with KaTeX 0.16.22 and 0.19.1, MathJax 3.2.2 and 4.1.3 (base and ams only) and math-core 0.9.0, inside of the
``split`` that Sphinx puts around rows, too."""
ENVIRONMENTS = {"aligned", "bmatrix", "cases"}
COMMAND = re.compile(r"\\([a-zA-Z]+|.)", re.S)
ENVIRONMENT = re.compile(r"\\begin\{(.*?)\}")


def unknown(formulas: list[str]) -> set[str]:
    found = {command for formula in formulas for command in COMMAND.findall(formula)} - KNOWN
    return found | {name for formula in formulas for name in ENVIRONMENT.findall(formula)} - ENVIRONMENTS


@pytest.mark.filterwarnings("ignore::UserWarning")  # some of torch's functions warn that they are old
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_pages(lang: str) -> None:
    pages = [page.read_text("utf-8") for page in GOLDEN.glob("*.md")] + [render_library(library(), "md", lang=lang)]
    formulas = [formula for page in pages for part in written(page) for formula in part]
    assert len(formulas) > 1000 and not unknown(formulas)


def test_what_a_name_or_an_op_may_become() -> None:
    tables = (latex.FUNCTIONS, latex.ACCENTS, latex.BIG_SIGNS, names.TEX_GREEK, names.TEX_LETTERS)
    texts = [text for table in tables for text in table.values()]
    assert not unknown(texts + [getattr(op, "latex", "") for op in REGISTRY.values()])


def test_a_command_that_one_of_them_lacks_is_noticed() -> None:
    assert unknown([r"\begin{smallmatrix}a\end{smallmatrix} \substack{b}"]) == {"smallmatrix", "substack"}
