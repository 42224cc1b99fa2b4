"""Pages in HTML: whole, alone, safe, the same in every place where they are opened."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from explain.derivation.program import run_program
from explain.render.hypertext import inline, mathml, prose
from tests.render.pages import CASES, run_of

VOID = {"meta", "link", "br", "img", "input", "hr", "wbr", "path", "rect", "mspace"}
LANGUAGES = ("en", "zh")


class Reader(HTMLParser):
    """Reads a page and tells of tags that are not closed, of ids and of what would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.count: dict[str, int] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("href", "src", "srcset", "data", "action"):
                self.links.append(value or "")
            if key.startswith("on"):
                self.faults.append(f"{key} in {tag}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script", "annotation"):
            self.words.append(data)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_a_page_is_whole_and_fetches_nothing(name: str, lang: str) -> None:
    text = run_of(name).render("html", lang=lang)
    page = Reader(text)
    assert page.faults == [] and page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "url(" not in text.replace("url(#tip-", "") and "@import" not in text
    assert not {"\ue000", "\ue001", "$"} & set("".join(page.words)), "a formula that was not set"
    assert text.startswith("<!DOCTYPE html>\n") and f'<html lang="{"zh-Hans" if lang == "zh" else lang}">' in text
    run = run_of(name)
    shown = sum(len(d.steps) for d in run.derivations)
    assert page.count["math"] >= shown and page.count["title"] >= 1


def test_the_same_page_is_the_same_bytes() -> None:
    assert run_of("net").render("html") == run_of("net").render("html")


def test_a_fragment_goes_into_a_page_of_ones_own() -> None:
    text = run_of("dot").render("html", standalone=False)
    assert text.startswith("<h1>") and "<style" not in text and "<script" not in text
    assert text in run_of("dot").render("html")


def test_nothing_that_a_program_says_is_taken_for_html() -> None:
    code = (
        "import torch\n# <script>alert(1)</script>\nx = torch.tensor([1., 2.], requires_grad=True)\n"
        "print('<b>&amp;</b>')\n'<i>echo</i>'\ny = (x * x).sum()  # </pre><img src=x onerror=alert(1)>\ny.backward()\n"
        "raise ValueError('<script>alert(2)</script>')\n"
    )
    run = run_program(code, name="<b>.py")
    for lang in LANGUAGES:
        text = run.render("html", lang=lang)
        page = Reader(text)
        assert page.faults == [] and page.count["script"] == 1 and "img" not in page.count and "b" not in page.count
        assert "&lt;script&gt;alert(2)" in text and "&lt;b&gt;&amp;amp;&lt;/b&gt;" in text


def test_sentences_are_escaped_around_code_and_formulas() -> None:
    assert prose(f"a < `b & c` {inline('x')}") == f"a &lt; <code>b &amp; c</code> {mathml('x')}"


def test_a_line_never_begins_with_the_punctuation_after_a_formula() -> None:
    found = prose(f"{inline('x')}, 其中 {inline('y')}。“{inline('z')}”")
    assert [part.split("</span>")[0] for part in found.split("</math>")[1:]] == [",", "。", "”"]
    assert found.count('<span class="joined"><math') == 3


def test_a_wide_formula_in_a_sentence_is_set_in_parts() -> None:
    narrow, wide = "a = b + c", "loss = " + " + ".join(["weight_{ij} bias_j"] * 4)
    assert prose(inline(narrow)).count("<math") == 1
    assert prose(f"{inline(wide)}.").count("<math") == 4
    assert prose(f"{inline(wide)}.").count("joined") == 1


def test_the_graph_says_in_words_what_it_draws() -> None:
    text = run_of("logistic").render("html")
    (title,) = re.findall(r'<title id="graph-1">([^<]*)</title>', text)
    assert "w → u₁" in title and "u₂ → loss" in title
    assert len(re.findall(r'<g class="node', text)) == len(run_of("logistic").derivation.rows)


def test_steps_and_wires_are_tied_together() -> None:
    text = run_of("net").render("html")
    for s in run_of("net").derivation.steps:
        assert f'id="step-1-{s.number}"' in text
        assert len(re.findall(f'data-step="1-{s.number}"', text)) == 2, "the step and its wire"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
@pytest.mark.parametrize("name", ["logistic", "training"])
def test_in_a_real_browser(name: str, tmp_path: Path) -> None:
    """The script runs, nothing is complained of, and what is drawn has a size."""
    file = tmp_path / "page.html"
    probe = (
        "<script>addEventListener('error', (e) => document.title = 'fault ' + e.message);"
        "addEventListener('load', () => { document.querySelector('.walk').children[1].click();"
        "const size = (s) => { const b = document.querySelector(s).getBoundingClientRect();"
        "return b.width > 20 && b.height > 8 };"
        "const fits = document.documentElement.scrollWidth <= innerWidth;"
        "const now = document.querySelectorAll('.step.now').length;"
        "document.body.dataset.seen = [size('math'), size('svg'), size('section.step'), fits, now].join() });"
        "</script></head>"
    )
    file.write_text(run_of(name).render("html").replace("</head>", probe, 1), "utf-8")
    for width in ("1200", "390"):
        done = subprocess.run(
            [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / width}",
             f"--window-size={width},900", "--virtual-time-budget=3000", "--dump-dom", file.as_uri()],
            capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        assert 'data-seen="true,true,true,true,1"' in done.stdout, done.stdout[-300:]
        assert "<title>fault" not in done.stdout


WALK = """<script>
addEventListener('error', (e) => document.title = 'fault ' + e.message);
addEventListener('load', () => {
  const [back, on] = document.querySelector('.walk').children, seen = [];
  const press = (key, more) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, ...more }));
  const tell = (what) => {
    const step = document.querySelectorAll('section.step.now'), wire = document.querySelectorAll('.wire.now');
    const focus = document.activeElement.dataset.step;
    seen.push(what + ':' + [...step].map((s) => s.dataset.step) + '/' + [...wire].map((w) => w.dataset.step) + '/' + focus);
  };
  const all = document.querySelectorAll('section.step').length;
  press('ArrowLeft'); tell('before');
  on.click(); on.click(); tell('next'); back.click(); tell('previous');
  press('ArrowLeft'); tell('start'); press('ArrowRight', { ctrlKey: true }); tell('control');
  press('n'); tell('n'); press('p'); tell('p');
  for (let k = 0; k < all + 3; k++) press('ArrowRight');
  tell('end'); on.click(); tell('beyond'); press('ArrowLeft'); tell('back');
  document.querySelector('.wire[data-step]').dispatchEvent(new MouseEvent('click')); tell('wire');
  const other = document.querySelector('section.step:not(.now)');
  other.dispatchEvent(new MouseEvent('mouseenter'));
  seen.push('hover:' + document.querySelectorAll('section.step.now').length);
  other.dispatchEvent(new MouseEvent('mouseleave')); tell('left');
  document.body.dataset.seen = seen.join(' ');
});
</script></head>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
def test_the_walk_through_the_steps(tmp_path: Path) -> None:
    """Buttons and keys go to the next and the previous step and stop at both ends; the step has the focus, it and its wire
    are marked."""
    run = run_of("net")
    file = tmp_path / "page.html"
    file.write_text(run.render("html").replace("</head>", WALK, 1), "utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=3000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert "<title>fault" not in done.stdout
    (seen,) = re.findall(r'data-seen="([^"]*)"', done.stdout)
    told = dict(part.split(":") for part in seen.split())
    last = len(run.derivation.steps)

    def at(k: int) -> str:
        return f"1-{k}/1-{k}/1-{k}"

    assert told["before"] == "//undefined", "nothing is marked before the walk begins"
    assert [told[what] for what in ("next", "previous", "start", "control", "n", "p")] == [at(k) for k in (2, 1, 1, 1, 2, 1)]
    assert [told[what] for what in ("end", "beyond", "back")] == [at(last), at(last), at(last - 1)]
    assert re.fullmatch(r"(1-\d+)/\1/\1", told["wire"]) and told["hover"] == "2" and told["left"] == told["wire"]


@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
def test_without_steps_there_is_nothing_to_walk_through(tmp_path: Path) -> None:
    code = "import torch\nx = torch.ones(2, requires_grad=True)\n(x * 2).backward()\n"
    probe = (
        "<script>addEventListener('load', () => document.body.dataset.walk = "
        "getComputedStyle(document.querySelector('.walk')).display)</script></head>"
    )
    file = tmp_path / "page.html"
    file.write_text(run_program(code, name="lesson.py").render("html").replace("</head>", probe, 1), "utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=3000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert 'data-walk="none"' in done.stdout
