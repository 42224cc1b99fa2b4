"""Python-Markdown alone and under MkDocs: real builds, strict ones, and what is wrong in its line."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import markdown
import numpy as np
import pytest

from explain.errors import InputError
from tests.hosts.guides import snippet

NAME = "explain.hosts.markdown"
FRONT = "---\ntitle: A page\n---\n\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAIN_CACHE", str(tmp_path / "cache"))


def html_of(text: str, *others: str, **options: Any) -> str:
    found = markdown.markdown(text, extensions=[NAME, *others], extension_configs={NAME: options})
    return re.sub(r"<style>.*?</style>", "", found, flags=re.DOTALL)


# Python-Markdown alone


@pytest.mark.parametrize("others", [(), ("fenced_code",), ("pymdownx.superfences",), ("tables", "attr_list", "md_in_html")])
def test_blocks_and_formulas_beside_other_extensions(others: tuple[str, ...]) -> None:
    html = html_of("a\n\n```explain show=answer\nsum(x**2); x=[1,2]\n```\nb {explain: 2*x; x=1} `{explain: y}`\n", *others)
    assert html.count('<section class="explain guest" lang="en">') == 1 and "x.grad = tensor([2., 4.])" in html
    assert re.search(r"<p>b <math>.*</math> <code>\{explain: y\}</code></p>", html) and "wzxhzdk" not in html


PLACES = {
    "list": ("- a\n\n    ```explain show=answer\n    x**2; x=3\n    ```\n- b\n", "</section>\n</li>\n<li>"),
    "quotation": ("> a\n> ```explain show=answer\n> x**2; x=3\n> ```\n> b\n", "</section>\n<p>b</p>\n</blockquote>"),
    "admonition": ("!!! note\n    ```explain show=answer\n    x**2; x=3\n    ```\n", "</section>\n</div>"),
}


@pytest.mark.parametrize("place", PLACES)
def test_blocks_stand_inside_of_other_things(place: str) -> None:
    text, end = PLACES[place]
    html = html_of(text, "admonition")
    assert "x.grad = tensor(6.)" in html and end in html
    assert "<p><section" not in html and "```" not in html


def test_code_that_shows_how_blocks_are_written_stays() -> None:
    html = html_of("````md\n```explain\nx\n```\n````\n\n    ```explain\n    x\n    ```\n", "fenced_code")
    assert html.count("<pre>") == 2 and html.count("```explain") == 2


FAULTS = [  # page, message
    ("a\n\n```explain\n#| colour: red\nx\n```\n", "text:4: explain: there is no option 'colour'; there are: at, shape"),
    ("- a\n\n    ```explain\n    #| claim: out wrt x = 3*x\n    x**2; x=1\n    ```\n", "text:4: explain: the claim"),
    ("a\nb\nc {explain: sum(q*)}\n", "text:3: explain: "),
]


@pytest.mark.parametrize(("text", "words"), FAULTS)
def test_a_fault_is_raised_or_logged(text: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError) as caught:
        html_of(text)
    assert str(caught.value).startswith(words)
    with caplog.at_level(logging.WARNING, "explain"):
        assert html_of(text, strict=False)
    assert [record.getMessage().startswith(words) for record in caplog.records] == [True]


def test_unknown_options_are_refused() -> None:
    with pytest.raises(InputError, match="no option 'colour'; there are: detail, show, lang"):
        html_of("a", colour="red")


def test_plain_use_as_in_the_guide() -> None:
    known: dict[str, Any] = {}
    exec(snippet("mkdocs", "py"), known)
    assert "<math>" in known["html"]


# MkDocs


def build(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", *arguments]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(snippet("mkdocs", "yaml"))
    (tmp_path / "docs" / "index.md").write_text(snippet("mkdocs", "md"))
    return tmp_path


def test_a_strict_build(project: Path) -> None:
    code, out = build(project, "--strict")
    html = (project / "site" / "index.html").read_text()
    assert code == 0 and "WARNING" not in out
    assert 'lang="en">' in html and html.count("<style>") == 1 and "x.grad = tensor([46., 64.])" in html
    assert "{explain" not in html


def test_a_file_that_values_come_from_is_read_again(project: Path) -> None:
    for values in ([1.0, 2.0], [3.0, 4.0]):
        np.save(project / "docs" / "x.npy", np.array(values))
        (project / "docs" / "index.md").write_text("```explain\nsum(x**2); x=@x.npy\n```\n")
        assert build(project, "--strict")[0] == 0
        assert (
            f"x.grad = tensor([{2 * values[0]:.0f}., {2 * values[1]:.0f}.]" in (project / "site" / "index.html").read_text()
        )


def test_options_and_the_language_of_the_theme(project: Path) -> None:
    (project / "mkdocs.yml").write_text(snippet("mkdocs", "yaml") + "theme:\n  name: mkdocs\n  locale: zh_CN\n")
    assert build(project)[0] == 0
    assert "自动微分" in (project / "site" / "index.html").read_text()
    (project / "mkdocs.yml").write_text("site_name: Notes\n" + snippet("mkdocs", "yaml", 1))
    assert build(project, "--strict")[0] == 0
    html = (project / "site" / "index.html").read_text()
    assert "自动微分" in html and "x_0" not in html and '<section class="step"' not in html


@pytest.mark.parametrize("front", ["", FRONT])
def test_a_fault_fails_a_strict_build_in_its_line(project: Path, front: str) -> None:
    page = front + snippet("mkdocs", "md").replace("2*A.T@(A@x - b)", "2*A@(A@x - b)")
    (project / "docs" / "index.md").write_text(page)
    line = page[: page.index("claim")].count("\n") + 1
    code, out = build(project, "--strict")
    assert code == 1 and f"index.md:{line}: explain: the claim" in out and "Aborted with 1 warnings in strict mode" in out
    assert build(project)[0] == 0 and ": wrong. " in (project / "site" / "index.html").read_text()


def test_an_unknown_option_of_the_configuration(project: Path) -> None:
    (project / "mkdocs.yml").write_text(
        "site_name: N\nmarkdown_extensions:\n  - explain.hosts.markdown:\n      colour: red\n"
    )
    code, out = build(project)
    assert code != 0 and "there is no option 'colour'; there are: detail, show" in out
