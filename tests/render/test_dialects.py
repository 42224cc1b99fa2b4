"""Pages in the dialects of Markdown, read by the very renderers that they are for; GitHub's is closed, and markdown-it with
its two notations of formulas stands in for it."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from functools import cache

import markdown
import pytest
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from tests.render.pages import CASES, run_of

DISPLAY = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.M | re.S)
INLINE = re.compile(r"\$`([^`\n]+)`\$|`[^`\n]+`|\$\$?([^$`\n]+)\$\$?")  # in the order in which they are met; code is skipped
CODE = re.compile(r"^(`{3,}).*?^\1$", re.M | re.S)
LANGUAGES = ("en", "zh")


def written(text: str) -> tuple[list[str], list[str]]:
    """The formulas that a page is meant to hold: displayed, and in lines."""
    text = CODE.sub("", text)
    displayed = DISPLAY.findall(text)
    return displayed, [a or b for a, b in INLINE.findall(DISPLAY.sub("", text)) if a or b]


def of_tokens(tokens: list[Token]) -> tuple[list[str], list[str]]:
    flat = [c for t in tokens for c in (t.children or [t])]
    displayed = [t.content.strip("\n") for t in flat if t.type == "math_block"]
    return displayed, [t.content for t in flat if t.type.startswith("math_inline")]


def by_github(text: str) -> tuple[list[str], list[str]]:
    noted = CODE.sub("", text)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin)
    return of_tokens(tokens.parse(re.sub(r"\$`([^`\n]+)`\$", r"$\1$", noted)))


def by_myst(text: str) -> tuple[list[str], list[str]]:
    parser = create_md_parser(MdParserConfig(enable_extensions={"dollarmath"}), RendererHTML)
    return of_tokens(parser.parse(text))


def by_mkdocs(text: str) -> tuple[list[str], list[str]]:
    page = markdown.markdown(
        text,
        extensions=["tables", "md_in_html", "fenced_code", "pymdownx.arithmatex"],
        extension_configs={"pymdownx.arithmatex": {"generic": True}},
    )
    assert "$" not in re.sub(r"<code.*?</code>", "", page, flags=re.S), "a formula that was left as it is"
    displayed = re.findall(r'<div class="arithmatex">\\\[\n?(.*?)\n?\\\]</div>', page, re.S)
    inline = re.findall(r'<span class="arithmatex">\\\((.*?)\\\)</span>', page, re.S)
    return [html.unescape(f) for f in displayed], [html.unescape(f) for f in inline]


def by_kramdown(text: str) -> tuple[list[str], list[str]]:
    """As Jekyll calls it: with the parser for GitHub's Markdown, and formulas left to MathJax."""
    command = ["kramdown", "--input", "GFM", "--math-engine", "mathjax"]
    known = {**os.environ, "LC_ALL": "C.UTF-8"}
    page = subprocess.run(command, input=text, env=known, capture_output=True, text=True, check=True).stdout
    assert "$" not in re.sub(r"<code.*?</code>", "", page, flags=re.S), "a formula that was left as it is"
    displayed = re.findall(r"^\\\[(.*?)\\\]$", page, re.S | re.M)
    inline = re.findall(r"\\\((.*?)\\\)", page, re.S)
    return [html.unescape(f).strip() for f in displayed], [html.unescape(f) for f in inline]


READERS = {"github": by_github, "myst": by_myst, "mkdocs": by_mkdocs, "kramdown": by_kramdown}


@cache
def has_kramdown() -> bool:
    command = ["kramdown", "--input", "GFM"]
    return (
        bool(shutil.which("kramdown"))
        and not subprocess.run(command, input=b"x", capture_output=True, check=False).returncode
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dialect", READERS)
def test_every_formula_arrives_whole(dialect: str, name: str) -> None:
    if dialect == "kramdown" and not has_kramdown():
        pytest.skip("kramdown is not installed with its parser for GitHub's Markdown")
    for lang in LANGUAGES:
        text = run_of(name).render("md", dialect=dialect, lang=lang)
        found, wanted = READERS[dialect](text), written(text)
        assert [sorted(part) for part in found] == [sorted(part) for part in wanted]
        assert wanted[1] and (wanted[0] or run_of(name).derivation.mode == "none")


def test_what_folds_is_read_as_markdown() -> None:
    page = markdown.markdown(run_of("net").render("md", dialect="mkdocs"), extensions=["tables", "md_in_html"])
    (first, *_) = re.findall(r"<details>.*?</details>", page, re.S)
    assert "<table>" in first and "<code>MeanBackward0</code>" in first


def test_a_formula_that_markdown_would_eat_is_noticed() -> None:
    """The test above can fail: MkDocs without its extension takes stars and backslashes for itself."""
    text = run_of("net").render("md", dialect="mkdocs")
    eaten = markdown.markdown(text, extensions=["tables"])
    assert any(html.escape(f, quote=False) not in eaten for f in written(text)[1])
