"""Catalogues: complete, with equal placeholders, compiled into a wheel; and Chinese pages without a word of English."""

from __future__ import annotations

import gettext
import io
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po

from explain.derivation.model import Run
from explain.derivation.program import run_program
from explain.render.words import LANGUAGES, catalogue
from tests.render import pages
from tests.render.pages import run_case

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = ROOT / "templates"
TRANSLATED = [language for language in LANGUAGES if language != "en"]
CASES: dict[str, dict[str, Any]] = pages.CASES | {
    "kink": {"expression": "sum(relu(x))", "at": ["x=[0,2]"]},
    "poles": {"expression": "sum(1/x)", "at": ["x=[0,0,1]"]},
    "contributions": {"expression": "mean(softmax(x@x, dim=0) * x[0])", "at": ["x=[[1,0],[2,1]]"]},
    "broadcast": {"expression": "sum(sigmoid(-X - 3*b)**2)", "at": ["X=[[1,2],[0,1]]", "b=[1,2]"]},
    "no-path": {"expression": "sum(x * (y > 0))", "at": ["x=[1,2]", "y=[3,4]"]},
    "means": {"expression": "2*mean(mean(X, dim=1))", "shape": ["X=m,n"]},
}
KEPT = {  # names, written so in Chinese too
    "PyTorch", "explain", "torch", "autograd", "func", "linalg", "special", "nn", "optim", "utils", "data", "checkpoint",
    "MB", "CPU", "Python", "ReLU", "softmax", "sigmoid", "dropout", "log", "sum", "exp", "grad",
}  # fmt: skip
WORD = re.compile(r"[A-Za-z]{2,}")
PLACEHOLDER = re.compile(r"%\(\w+\)s")
CHINESE = re.compile(r"[一-鿿]")
HALF_WIDTH = re.compile(r"[一-鿿][,.:;?!()]|[,:;?!()][一-鿿]")
UNSPACED = re.compile(r"[一-鿿][A-Za-z0-9%`]|[A-Za-z0-9`][一-鿿]|%\(\w+\)s[一-鿿]")


def po(language: str) -> Path:
    return TEMPLATES / "locale" / language / "LC_MESSAGES" / "explain.po"


@cache
def written(language: str) -> Catalog:
    with po(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def texts(found: Any) -> tuple[str, ...]:
    """The texts of an id or a translation: one, or those of its plurals."""
    return tuple(found) if isinstance(found, (list, tuple)) else (found,)


def messages(language: str) -> list[Message]:
    return [m for m in written(language) if m.id]


GITHUB = re.compile(r"\$`([^`\n]+)`\$")
"""GitHub's notation of a formula that holds what Markdown would take for itself."""


@cache
def page(name: str, format: str, language: str) -> str:
    text = run_of(name).render(format, lang=language, **({"width": 200} if format == "text" else {}))
    return GITHUB.sub(r"$\1$", text) if format == "md" else text


@cache
def run_of(name: str) -> Run:
    return run_case(CASES[name])


# the catalogue


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_has_exactly_the_messages_of_the_templates(language: str, tmp_path: Path) -> None:
    """In their order, so that an update moves nothing. babel.cfg has the commands that mend it."""
    template = tmp_path / "explain.pot"
    options = ["--omit-header", "--add-location=file", "--sort-by-file", "--no-wrap"]
    CommandLineInterface().run(
        ["pybabel", "-q", "extract", "-F", str(ROOT / "babel.cfg"), "-o", str(template), *options, str(TEMPLATES)]
    )
    with template.open("rb") as file:
        assert [m.id for m in messages(language)] == [m.id for m in read_po(file) if m.id]
    assert not written(language).obsolete


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated_with_its_placeholders(language: str) -> None:
    for m in messages(language):
        wanted = set(PLACEHOLDER.findall(" ".join(texts(m.id))))
        assert not m.fuzzy, m.id
        assert len(texts(m.string)) == (written(language).num_plurals if m.pluralizable else 1), m.id
        for text in texts(m.string):
            assert text.strip() and text == text.strip(), m.id
            assert set(PLACEHOLDER.findall(text)) == wanted, m.id
            assert text.count("%") == len(PLACEHOLDER.findall(text)), m.id


def test_a_formula_has_a_space_before_it_in_chinese() -> None:
    """GitHub takes a dollar right behind a Chinese sign for a dollar."""
    for m in messages("zh"):
        for text in texts(m.string):
            assert not re.search(r"[^\s(*]%\((x|z|u|v|ju|entry|output)\)s", text), text


def test_chinese_messages_are_chinese() -> None:
    for m in messages("zh"):
        for text in texts(m.string):
            words = PLACEHOLDER.sub("", re.sub(r"`[^`]*`", "", text))
            assert set(WORD.findall(words)) <= KEPT, text
            assert CHINESE.search(words) or not WORD.search(PLACEHOLDER.sub("", texts(m.id)[0])), text
            assert not HALF_WIDTH.search(words), f"half-width punctuation: {text}"
            assert not UNSPACED.search(text), f"a space is missing: {text}"


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_the_source(language: str) -> None:
    """If not: ``pip install -e .`` compiles it."""
    assert_holds(catalogue(language), language)


def assert_holds(compiled: gettext.NullTranslations, language: str) -> None:
    for m in messages(language):
        if m.pluralizable:
            one, many = texts(m.id)
            assert [compiled.ngettext(one, many, n) for n in (1, 2)] == [texts(m.string)[0], texts(m.string)[-1]]
        else:
            assert compiled.gettext(m.id) == m.string


def test_a_wheel_has_the_compiled_catalogues(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("*.mo", "__pycache__")
    for name in ("explain", "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "build_catalogs.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for language in TRANSLATED:
            data = archive.read(f"explain/templates/locale/{language}/LC_MESSAGES/explain.mo")
            assert_holds(gettext.GNUTranslations(io.BytesIO(data)), language)
        assert {f"explain/templates/{p.relative_to(TEMPLATES).as_posix()}" for p in TEMPLATES.rglob("*.j2")} <= set(
            archive.namelist()
        )


# pages in Chinese


def split(markdown: str) -> tuple[str, list[str]]:
    """The words of a page in Markdown, and what they stand around: code and formulas, in their order."""
    found: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found.append(match[0])
        return "\0"

    inside = r"^```.*?^```$|^\$\$$.*?^\$\$$|`[^`\n]*`|\$[^$\n]+\$"
    return re.sub(inside, keep, markdown, flags=re.MULTILINE | re.DOTALL), found


def names(name: str) -> set[str]:
    """The author's names: of tensors, functions, and the output."""
    run = run_of(name)
    said = run.source if run.error is None else f"{run.source} {run.error['type']} {run.error['message']}"
    return set(WORD.findall(said)) | {"out"}


@pytest.mark.parametrize("name", CASES)
def test_a_chinese_page_has_no_english_words(name: str) -> None:
    words, set_apart = split(page(name, "md", "zh"))
    assert CHINESE.search(words)
    assert set(WORD.findall(re.sub(r"</?(details|summary)>", "", words))) <= KEPT | names(name)
    known = KEPT | names(name) | {word for part in set_apart for word in WORD.findall(part)}
    assert set(WORD.findall(page(name, "text", "zh"))) <= known


@pytest.mark.parametrize("name", CASES)
def test_pages_say_the_same_in_both_languages(name: str) -> None:
    """The same headings, tables, code and formulas; only their words differ, and within a sentence the order."""
    english, chinese = (page(name, "md", language) for language in ("en", "zh"))
    for start in ("# ", "## ", "### ", "|", "- ", "**", ">", "<"):
        assert lines(chinese, start) == lines(english, start), start
    parts, wanted = split(chinese)[1], split(english)[1]
    displayed = [part for part in wanted if part.startswith(("$$", "```"))]
    assert [part for part in parts if part.startswith(("$$", "```"))] == displayed
    assert {p for p in parts if p.startswith("$")} == {p for p in wanted if p.startswith("$")}
    english, chinese = (page(name, "text", language) for language in ("en", "zh"))
    for start in ("==", "--", "    ", "    ✓", "- "):
        assert lines(chinese, start) == lines(english, start), start


def lines(text: str, start: str) -> int:
    return sum(line.startswith(start) for line in text.splitlines())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_inline_formulas_stand_where_github_sees_them(name: str, language: str) -> None:
    """A ``$`` opens after a space (or bold's asterisks) and closes before no letter, Chinese ones included."""
    outside_code = re.sub(r"^```.*?^```$|^\$\$$.*?^\$\$$|`[^`\n]*`", "", page(name, "md", language), flags=re.M | re.S)
    for found in re.finditer(r"\$[^$\n]+\$", outside_code):
        before, after = outside_code[found.start() - 1], outside_code[found.end() : found.end() + 1]
        assert before in " \n*", outside_code[found.start() - 20 : found.end()]
        assert not after.isalnum(), outside_code[found.start() : found.end() + 20]


@pytest.mark.parametrize("name", CASES)
def test_only_markdown_has_a_space_between_wide_punctuation_and_a_formula(name: str) -> None:
    html = re.sub(r"<pre.*?</pre>", "", run_of(name).render("html", lang="zh", standalone=False), flags=re.DOTALL)
    text = re.sub(r"^ +\d+  .*", "", page(name, "text", "zh"), flags=re.MULTILINE)  # without what the author wrote
    for said in (html, text):
        assert not re.search(r"[，。：；、（] \S", said), re.findall(r".{9}[，。：；、（] .{9}", said)
        assert not re.search(r"[一-鿿] ?\(", said), re.findall(r".{9}[一-鿿] ?\(.{9}", said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_tensor_has_a_letter_that_no_tensor_of_the_page_has(language: str) -> None:
    code = "import torch\ny = torch.tensor(2.0, requires_grad=True)\nt = y**2\nt.backward()\n"
    said = run_program(code).render("text", lang=language, width=200)
    assert ("用 s̄ 表示 t 对张量 s 的导数" if language == "zh" else "Write s̄ for the derivative of t with") in said
