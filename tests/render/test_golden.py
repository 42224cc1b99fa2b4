"""Whole pages as they were last read by a person. Change them on purpose: ``pytest tests/render --update-golden``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from explain.cli import main

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, dict[str, Any]] = json.loads((GOLDEN / "cases.json").read_text(encoding="utf-8"))
SUFFIXES = {"md": ".md", "text": ".txt", "html": ".html", "tex": ".tex"}
RICH = ("dot", "jacobian", "logistic", "training")
"""Of these the whole pages in HTML and LaTeX are kept too (as fragments: the frame has tests of its own)."""
SHORT = (
    "accumulated", "cuts", "given-v", "hessian", "mean", "net", "norm", "pushed", "softmax-regression",
    "straight-through", "tie", "unrolled",
)  # fmt: skip
"""Of these with the brief detail."""
LANGUAGES = ("en", "zh")
PAGES = [(name, format, lang) for name in CASES for format in ("md", "text") for lang in LANGUAGES]
PAGES += [(name, format, lang) for name in (*RICH, *SHORT) for format in ("html", "tex") for lang in LANGUAGES]
MATHML = re.compile(r"<math[^>]*>.*?<annotation[^>]*>(.*?)</annotation></semantics></math>", re.DOTALL)
"""A formula in HTML: kept as the LaTeX that it was made of, so that pages stay readable and differences ours."""
GITHUB = re.compile(r"\$`([^`\n]+)`\$")
"""GitHub's notation of a formula that holds what Markdown would take for itself."""


def command(case: dict[str, Any], format: str, lang: str) -> list[str]:
    options = ["--format", format, "--lang", lang, "--fragment"]
    if "program" in case:
        return ["run", str(GOLDEN / "programs" / case["program"]), *options]
    found = ["expr", case["expression"], *options]
    for option in ("at", "shape", "wrt"):
        for value in case.get(option, ()):
            found += [f"--{option}", value]
    return [*found, "--v", case["v"]] if "v" in case else found


def page(
    case: dict[str, Any], format: str, capsys: pytest.CaptureFixture[str], lang: str = "en", detail: str = "normal"
) -> str:
    assert main([*command(case, format, lang), "--detail", detail]) == case.get("exit", 0)
    return MATHML.sub(r"\(\1\)", capsys.readouterr().out)


def file_of(name: str, format: str, lang: str) -> Path:
    return GOLDEN / f"{name}{'.zh' if lang == 'zh' else ''}{SUFFIXES[format]}"


@pytest.mark.parametrize(("name", "format", "lang"), PAGES)
def test_page(
    name: str,
    format: str,
    lang: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    file = file_of(name, format, lang)
    brief = name in SHORT and format in ("html", "tex")
    found = page(CASES[name], format, capsys, lang, "brief" if brief else "normal")
    if request.config.getoption("--update-golden"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


def test_there_is_no_page_without_a_case() -> None:
    assert {f for f in GOLDEN.iterdir() if f.suffix in SUFFIXES.values()} == {file_of(*page) for page in PAGES}


@pytest.mark.parametrize("name", CASES)
def test_pages_are_markdown_with_whole_formulas(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A real CommonMark parser with the dollar-math rule that GitHub-like renderers use finds every formula."""
    text = GITHUB.sub(r"$\1$", page(CASES[name], "md", capsys))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin).parse(text)
    display = [t.content for t in tokens if t.type == "math_block"]
    inline = [c for t in tokens for c in t.children or ()]
    assert len(display) == text.count("\n$$\n") // 2 and all(c.strip() for c in display)
    assert not any("$" in c.content for c in inline if c.type == "text")
    assert not any(c.type in ("em_open", "em_close") for c in inline)


@pytest.mark.parametrize("name", CASES)
def test_every_formula_is_mathematics_to_a_real_parser(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    math_core = pytest.importorskip("math_core")
    convert = math_core.LatexToMathML(fancy_error=False).convert_with_local_state
    text = GITHUB.sub(r"$\1$", page(CASES[name], "md", capsys))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin).parse(text)
    for token in tokens:
        for part in [token, *(token.children or ())]:
            if part.type in ("math_block", "math_inline"):
                assert "<math" in convert(part.content.strip(), displaystyle=part.type == "math_block")
