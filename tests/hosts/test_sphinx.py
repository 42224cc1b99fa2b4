"""Sphinx: real projects with reStructuredText, MyST and docstrings, built, built again, typeset, and broken."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.guides import snippet

API = "API\n===\n\n.. automodule:: losses\n   :members:\n"
INDEX = "Notes\n=====\n\n.. toctree::\n\n   page\n   programs\n   api\n   plain\n"
CONF = "import sys\nsys.path.insert(0, '.')\n" + snippet("sphinx", "py")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "conf.py": CONF + snippet("sphinx", "py", 2),
        "index.rst": INDEX,
        "page.rst": snippet("sphinx", "rst"),
        "programs.md": snippet("sphinx", "md"),
        "losses.py": snippet("sphinx", "py", 1),
        "api.rst": API,
        "plain.rst": "Plain\n=====\n\nNothing to derive.\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def build(project: Path, cache: Path, *arguments: str, builder: str = "html", **environment: str) -> tuple[int, str]:
    # without its colours, which it shows where CI or FORCE_COLOR is set too
    command = [sys.executable, "-m", "sphinx", "-N", "-b", builder, "-d", "kept", *arguments, ".", f"out-{builder}"]
    known = {**os.environ, "EXPLAIN_CACHE": str(cache), **environment}
    done = subprocess.run(command, cwd=project, env=known, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def read_again(out: str) -> str:
    """What Sphinx says of the pages that it reads."""
    found = re.search(r"updating environment: (.*)", out)
    assert found is not None, out
    return re.sub(r"^\[.*?\] ", "", found[1])


def test_pages_docstrings_and_references_in_two_processes(project: Path, cache: Path) -> None:
    code, out = build(project, cache, "-j", "2", "-W", "--keep-going")
    assert code == 0, out
    page, programs, api = ((project / "out-html" / f"{name}.html").read_text() for name in ("page", "programs", "api"))
    assert "x.grad = tensor([46., 64.])" in page and 'href="#step-lsq-1-2"' in page and 'id="step-lsq-1-2"' in page
    assert ">Step 2<" in page and "<math" in page and "mathjax" not in page.lower()
    assert "<title>A@x - b · SubBackward0</title>" in page and "The graph: " not in page
    assert "w.grad" in programs and "{explain}" not in programs and "```" not in programs
    assert "[2., 4.]" in api
    assert "proved by algebra" in page and "proved by algebra" in api
    assert "std:label" in inventory(project) and "step-lsq-1-2" in inventory(project)


def test_a_graph_is_said_in_words_where_it_cannot_be_drawn(project: Path, cache: Path) -> None:
    (project / "index.rst").write_text("Notes\n=====\n\n.. explain:: sum(x**2); x=[1,2]\n   :show: graph\n")
    for builder, words in {"text": "The graph: x → ", "latex": "\\begin{tikzpicture}", "epub": "<svg xmlns="}.items():
        code, out = build(project, cache, builder=builder)
        assert code == 0, out
        pages = [
            path for path in (project / f"out-{builder}").iterdir() if path.name in ("index.txt", "notes.tex", "index.xhtml")
        ]
        assert [words in path.read_text() for path in pages] == [True]
    assert "leaf, requires grad" in (project / "out-text" / "index.txt").read_text()  # on one line of its cell


def inventory(project: Path) -> str:
    import zlib

    data = (project / "out-html" / "objects.inv").read_bytes()
    return zlib.decompress(data.split(b"\n", 4)[4]).decode()


def test_only_what_changed_is_read_again(project: Path, cache: Path) -> None:
    (project / "conf.py").write_text(
        "import os, explain.embed.cache as kept\nreal = kept.fingerprint\n"
        "kept.fingerprint = lambda: real() + os.environ.get('VERSION', '')\n" + CONF
    )
    assert build(project, cache)[0] == 0
    assert read_again(build(project, cache)[1]).startswith("0 added, 0 changed")
    page = project / "page.rst"
    page.write_text(page.read_text().replace("x=3", "x=4"))
    code, out = build(project, cache)
    assert code == 0 and read_again(out) == "0 added, 1 changed, 0 removed"
    code, out = build(project, cache, VERSION="2")
    assert code == 0 and read_again(out) == "0 added, 3 changed, 0 removed"
    assert read_again(build(project, cache, VERSION="2")[1]) == "0 added, 0 changed, 0 removed"


def test_files_that_values_come_from_are_dependencies(project: Path, cache: Path) -> None:
    import numpy as np

    np.save(project / "x.npy", np.array([1.0, 2.0]))
    (project / "page.rst").write_text("P\n=\n\n.. explain:: sum(x**2); x=@x.npy\n\n.. _step-lsq-1-2:\n")
    assert build(project, cache, "-W")[0] == 0
    np.save(project / "x.npy", np.array([3.0, 4.0]))
    os.utime(project / "x.npy", (2e9, 2e9))
    code, out = build(project, cache)
    assert read_again(out) == "0 added, 1 changed, 0 removed"
    assert code == 0 and "[6., 8.]" in (project / "out-html" / "page.html").read_text()


def has_latex() -> bool:
    """Whether pdflatex is here, with the packages that documents of Sphinx need."""
    if not shutil.which("pdflatex"):
        return False
    needed = ["kpsewhich", "tabulary.sty", "tgtermes.sty"]
    return len(subprocess.run(needed, capture_output=True, check=False).stdout.splitlines()) == 2


@pytest.mark.skipif(not has_latex(), reason="LaTeX is not installed with what Sphinx needs")
def test_the_pdf(project: Path, cache: Path) -> None:
    (project / "conf.py").write_text(CONF + "latex_elements = {'preamble': '% mine'}\n")
    code, out = build(project, cache, "-W", builder="latex")
    assert code == 0, out
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "notes.tex"]
        done = subprocess.run(
            command, cwd=project / "out-latex", capture_output=True, text=True, errors="replace", check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
    log = (project / "out-latex" / "notes.log").read_text(errors="replace")
    assert "undefined references" not in log and "Missing character" not in log
    assert (project / "out-latex" / "notes.pdf").stat().st_size > 50_000


def test_languages_and_options_of_the_project(project: Path, cache: Path) -> None:
    (project / "conf.py").write_text(CONF + 'language = "zh_CN"\nexplain_show = "answer"\nexplain_index_base = 0\n')
    assert build(project, cache)[0] == 0
    page = (project / "out-html" / "page.html").read_text()
    assert "自动微分" in page and "\\(" in page and "mathjax" in page.lower()
    (project / "conf.py").write_text(CONF + 'language = "zh_CN"\nexplain_language = "en"\n')
    assert build(project, cache, "-W")[0] == 0
    assert "proved by algebra" in (project / "out-html" / "page.html").read_text()
    (project / "conf.py").write_text(CONF + 'explain_detail = "much"\n')
    code, out = build(project, cache)
    assert code == 2 and "explain: detail is brief or normal or full, not 'much'" in out


BROKEN_RST = """\
Broken
======

.. explain::

   sum(q*x); x=[1]

* item

  .. explain::
     :at: x=[1]
     :claim: out wrt x = 3*x

     x**2

.. note::

   .. explain::
      :colour: red

      x

.. include:: part.inc

A paragraph
with :explain:`sum(q*)` in it.

.. automodule:: wrong
   :members:
"""
BROKEN_MD = """\
# Broken

```{explain}
sum(q*x); x=[1]
```

- item

  ```{explain}
  :at: x=[1]
  :claim: out wrt x = 3*x

  x**2
  ```

````{note}
```{explain}
---
at: x=[1]
claim: out wrt x = 4*x
---
x**2
```
````

```explain detail=much
x
```

```{include} part.txt
```

A paragraph
with {explain}`sum(q*)` in it.

```{explain} x*; x=1
```
"""
PARTS = {
    "part.inc": "In.\n\n.. explain::\n\n   #| claim: out wrt x = 1\n   x**2; x=1\n",
    "part.txt": "In.\n\n```{explain}\n#| colour: red\nx\n```\n",
    "wrong.py": 'def f():\n    """F.\n\n    .. explain::\n\n       #| claim: out wrt x = 1\n       x**2; x=1\n    """\n',
}
LINES = {
    "page.rst": [
        (6, "no value for 'q'"),
        (12, "out wrt x = 3*x"),
        (19, "no option 'colour'; there are: at, shape"),
        (26, "invalid syntax"),
    ],
    "part.inc": [(5, "out wrt x = 1")],
    "wrong.py:docstring of wrong.f": [(5, "out wrt x = 1")],
    "programs.md": [
        (4, "no value for 'q'"),
        (11, "3*x"),
        (20, "4*x"),
        (26, "detail is brief or"),
        (34, "invalid"),
        (36, "invalid"),
    ],
    "part.txt": [(4, "no option 'colour'")],
}


def test_every_fault_has_its_file_and_its_line(project: Path, cache: Path) -> None:
    (project / "page.rst").write_text(BROKEN_RST)
    (project / "programs.md").write_text(BROKEN_MD)
    for name, text in PARTS.items():
        (project / name).write_text(text)
    code, out = build(project, cache, "-W", "--keep-going", "-j", "2")
    assert code == 1
    told = re.findall(r"^(.*?):(\d+): WARNING: explain: (.*)", out, re.MULTILINE)
    wanted = [(str(project / name), line, words) for name, found in LINES.items() for line, words in found]
    assert len(told) == len(wanted), out
    for source, line, words in wanted:
        assert any(a == source and int(b) == line and words in c for a, b, c in told), (source, line, words, told)
    page = (project / "out-html" / "page.html").read_text()
    assert "sum(q*x)" in page and "no value for" in page


def test_two_labels_of_one_name(project: Path, cache: Path) -> None:
    (project / "plain.rst").write_text("P\n=\n\n.. explain:: x**2; x=1\n   :name: lsq\n")
    code, out = build(project, cache, "-W", "--keep-going")
    assert code == 1 and "there is another label 'lsq'" in out
