"""Pages in LaTeX: they compile, with no formula wider than the page and no character left out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from explain.cli import main
from explain.derivation.program import run_program
from explain.errors import InputError
from explain.render import tex
from explain.render.pdf import typeset
from tests.render.pages import CASES, GOLDEN, run_of

PDFLATEX = shutil.which("pdflatex")
needs_tex = pytest.mark.skipif(PDFLATEX is None, reason="pdflatex is not installed")


def compiled(article: str, folder: Path) -> str:
    """The log of pdflatex."""
    (folder / "page.tex").write_text(article, "utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    log = (folder / "page.log").read_text("utf-8", "replace")
    assert done.returncode == 0, log[-1500:]
    return log


@needs_tex
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_all_pages_compile(lang: str, tmp_path: Path) -> None:
    """All of them in one article: the frame once, the pages as fragments."""
    for name in CASES:
        folder = tmp_path / name
        folder.mkdir()
        log = compiled(run_of(name).render("tex", lang=lang, detail="full" if name == "net" else "normal"), folder)
        assert "Missing character" not in log, name
        wide = [float(n) for n in re.findall(r"Overfull \\hbox \((\d+\.\d+)pt too wide\)", log)]
        assert not [n for n in wide if n > 5], name


@needs_tex
def test_fragments_go_into_an_article_of_ones_own(tmp_path: Path) -> None:
    """Two of them, one in Chinese; each brings what it needs besides packages."""
    (tmp_path / "one.tex").write_text(run_of("dot").render("tex", standalone=False), "utf-8")
    (tmp_path / "two.tex").write_text(run_of("logistic").render("tex", standalone=False, lang="zh"), "utf-8")
    packages = r"\usepackage[utf8]{inputenc}\usepackage{amsmath, amssymb, graphicx, tikz, textcomp, CJKutf8}"
    body = r"\section{Mine}\input{one}\input{two}"
    log = compiled(rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}", tmp_path)
    assert "Missing character" not in log


@needs_tex
def test_what_a_program_says_is_no_latex(tmp_path: Path) -> None:
    code = (
        "import torch\n# 注释 \\input{/etc/passwd} $x^2$ %~{}&#_ é 🙂 θ ∇\nx = torch.tensor(2., requires_grad=True)\n"
        "print('\\\\end{document} $ % _ ^ ~ \\\\ <|>')\n(x ** 2).backward()\nraise ValueError('\\\\bad{ ' + '_' * 200)\n"
    )
    log = compiled(run_program(code, name="odd.py").render("tex"), tmp_path)
    assert "Missing character" not in log


@needs_tex
def test_a_pdf_by_the_command(tmp_path: Path) -> None:
    target = tmp_path / "page.pdf"
    assert main(["run", str(GOLDEN / "programs" / "logistic.py"), "-o", str(target)]) == 0
    assert target.read_bytes().startswith(b"%PDF")


@needs_tex
def test_a_page_that_latex_refuses_is_an_error_in_words() -> None:
    with pytest.raises(InputError, match="Undefined control sequence"):
        typeset(r"\documentclass{article}\begin{document}\nosuchthing\end{document}")


def test_without_pdflatex_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="pdflatex") as caught:
        typeset("")
    assert "texlive-latex-base" in str(caught.value)


def test_long_chains_of_equations_are_broken_before_their_signs() -> None:
    part = "+".join(f"x_{{{k}}}" for k in range(20))
    shown = tex.display(f"y = {part} = {part}")
    assert shown.count("\\\\\n") == 1 and "&= " in shown
    assert tex.display("y = a = b") == r"\fitted{y = a = b}"


def test_special_characters() -> None:
    assert tex.escaped("50% of_x & {y}") == r"50\% of\_x \& \{y\}"
    assert tex.escaped("w̄ θ₁") == r"\={w} $\theta$$_1$"
    assert tex.escaped("ȳ ẋ ā") == r"\={y} \.{x} \={a}"
    assert tex.escaped("🙂") == r"{\tiny U+1F642}"
