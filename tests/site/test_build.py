"""Building: pages, links, what stays, what is done again, what is said of faults."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from explain.embed.cache import Cache
from explain.errors import InputError
from explain.site.build import Report, _Build, build_site
from explain.site.navigation import tree
from explain.site.reference import list_pieces, op_names, op_pieces, reference_pages
from explain.site.settings import read_settings
from explain.site.sources import read_sources
from tests.site.places import FENCE, Page, outputs, write

SITE = {
    "site.toml": 'title = "Notes"\nlanguages = ["en", "zh"]\nbase_url = "https://example.org/notes"\n',
    "en/index.md": f"---\ntitle: Home\ndescription: What it is.\ndate: 2026-01-02\n---\n"
    f"See [it](guide/one.md#part-two).\n\n{FENCE}",
    "zh/index.md": f"---\ntitle: 首页\ndate: 2026-01-02\nupdated: 2026-03-04\n---\n"
    f"见 [它](guide/one.md#part-two)。\n\n{FENCE}",
    "en/guide/index.md": "---\ntitle: Guide\norder: 1\n---\n",
    "zh/guide/index.md": "---\ntitle: 指南\norder: 1\n---\n",
    "en/guide/one.md": "# One\n\n## Part two\n\n![picture](../../pictures/a.svg)\n\nEnergy $e = m c^2$.\n",
    "zh/guide/one.md": "# 第一\n\n## 第二部分 {#part-two}\n\n梯度的推导。\n",
    "pictures/a.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return write(tmp_path / "src", SITE)


def build_of(src: Path, folder: Path) -> _Build:
    build = _Build(src, folder / "out", read_settings(src), folder / "cache")
    build.sources = read_sources(src, build.settings, build.outputs.out)
    return build


def built(src: Path, **options: object) -> Report:
    return build_site(src, src.parent / "out", cache=src.parent / "cache", **options)  # type: ignore[arg-type]


def test_every_page_is_whole_and_every_link_and_anchor_leads_somewhere(src: Path) -> None:
    assert built(src, strict=True).problems == ()
    files = outputs(src.parent / "out")
    pages = {path: Page(data.decode()) for path, data in files.items() if path.endswith(".html")}
    assert len(pages) == 8, "six pages, the door, and the page for lost readers"
    for path, page in pages.items():
        assert page.faults == [] and page.open == [], path
        assert len(page.ids) == len(set(page.ids)), path
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc, f"{path} needs {link}"
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))) if parts.path else path
            assert target in files, f"{path}: {link}"
            if parts.fragment:
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {link}"


def test_a_page_says_what_it_is(src: Path) -> None:
    built(src)
    text = (src.parent / "out/zh/index.html").read_text("utf-8")
    assert '<html lang="zh-Hans">' in text and "<title>首页</title>" in text
    assert '<link rel="canonical" href="https://example.org/notes/zh/">' in text
    assert '<link rel="alternate" hreflang="en" href="https://example.org/notes/en/">' in text
    assert "本页" not in text, "one heading makes no table of contents"
    english = (src.parent / "out/en/index.html").read_text("utf-8")
    assert '<meta name="description" content="What it is.">' in english and "x.grad = tensor([2., 4.])" in english
    guide = (src.parent / "out/en/guide/one.html").read_text("utf-8")
    assert "<title>One · Notes</title>" in guide and '<a aria-current="page" href="one.html">' in guide and "<math" in guide


def test_the_map_and_the_feed(src: Path) -> None:
    built(src)
    out = src.parent / "out"
    found = (out / "sitemap.xml").read_text("utf-8")
    assert found.count("<loc>") == 6 and "<lastmod>2026-03-04</lastmod>" in found
    feed = (out / "zh/feed.xml").read_text("utf-8")
    assert "<updated>2026-03-04T00:00:00Z</updated>" in feed and feed.count("<entry>") == 1
    assert '<base href="/notes/">' in (out / "404.html").read_text("utf-8")


def test_a_second_build_does_nothing(src: Path) -> None:
    first = built(src)
    before = {p: p.stat().st_mtime_ns for p in (src.parent / "out").rglob("*")}
    second = built(src)
    assert first.rendered == 6 and (second.rendered, second.changed, second.pages) == (0, (), 6)
    assert {p: p.stat().st_mtime_ns for p in (src.parent / "out").rglob("*")} == before


def test_a_build_with_nothing_to_do_loads_nothing_heavy(src: Path) -> None:
    built(src)
    code = (
        "import sys; from explain.cli import main;"
        f"main(['build', {str(src)!r}, '-o', {str(src.parent / 'out')!r}, '--cache', {str(src.parent / 'cache')!r}]);"
        "print(sorted({'sympy', 'numpy', 'jinja2', 'markdown_it', 'pygments'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and " 0 rendered, 0 files written" in done.stdout


def test_only_what_changed_is_rendered_and_written(src: Path) -> None:
    built(src)
    page = src / "en/guide/one.md"
    page.write_text(page.read_text("utf-8") + "\nMore.\n", "utf-8")
    report = built(src)
    assert report.rendered == 1 and report.changed == ("en/guide/one.html", "assets/search-en.js")


def test_a_new_title_changes_the_contents_of_its_language_only(src: Path) -> None:
    built(src)
    write(src, {"en/guide/one.md": "# Two\n\n## Part two\n"})
    report = built(src)
    assert report.rendered == 2, "the page, and one without derivations, which is not kept"
    assert {path for path in report.changed if path.endswith(".html")} == {
        "en/index.html", "en/guide/index.html", "en/guide/one.html", "404.html",
    }  # fmt: skip


def test_bytes_do_not_depend_on_the_place_the_time_or_the_number_of_processes(src: Path, tmp_path: Path) -> None:
    built(src)
    build_site(src, tmp_path / "other", cache=tmp_path / "other cache", jobs=2)
    assert outputs(tmp_path / "other") == outputs(src.parent / "out")


def test_what_is_gone_from_the_sources_leaves_the_site_and_nothing_else_does(src: Path) -> None:
    built(src)
    mine = src.parent / "out" / "mine.txt"
    mine.write_text("not of this site", "utf-8")
    for path in ("en/guide/one.md", "zh/guide/one.md", "en/guide/index.md", "zh/guide/index.md"):
        (src / path).unlink()
    report = built(src)
    assert report.removed == tuple(f"{lang}/guide/{name}.html" for lang in ("en", "zh") for name in ("index", "one"))
    assert not (src.parent / "out/en/guide").exists() and mine.exists()


def test_an_output_that_somebody_touched_is_mended(src: Path) -> None:
    built(src)
    page = src.parent / "out/en/index.html"
    good = page.read_bytes()
    page.write_bytes(b"")
    (src.parent / "out/zh/index.html").unlink()
    assert built(src).changed == ("en/index.html", "zh/index.html") and page.read_bytes() == good


def test_a_page_depends_on_the_files_it_reads_beside_it(src: Path) -> None:
    import numpy as np

    np.save(src / "en/guide/x.npy", np.float32([1, 2]))
    write(src, {"en/guide/one.md": "# One\n\n## Part two\n\n```explain\n#| at: x=@x.npy\nsum(x*x)\n```\n"})
    built(src)
    assert built(src).rendered == 0
    np.save(src / "en/guide/x.npy", np.float32([3, 4]))
    assert "en/guide/one.html" in built(src).changed
    assert "tensor([6., 8.])" in (src.parent / "out/en/guide/one.html").read_text("utf-8")


FAULTS = {
    "claim": (
        "# T\n\n```explain\n#| at: x=[1,2]\n#| claim: out wrt x = 3*x\nsum(x*x)\n```\n",
        5,
        "the claim out wrt x = 3*x is wrong",
    ),
    "option": ("# T\n\n```explain detial=brief\nsum(x*x)\n```\n", 3, "there is no option 'detial'"),
    "raises": ("# T\n\n- item\n\n  ```explain\n  import torch\n  torch.ones(2).backward()\n  ```\n", 7, "RuntimeError"),
    "formula": ("# T\n\nline\nand $\\nosuch$\n", 4, r"\nosuch"),
    "display": ("# T\n\n$$\n\\nosuch\n$$\n", 3, r"\nosuch"),
    "front": ("---\ntitle T\n---\n", 2, "lines KEY: VALUE"),
    "front list": ("---\ntags:\n  - a\ntitle:\n  - T\n---\n", 5, "title is one text"),
    "front in TOML": ("+++\ntitle = 'T'\n+++\n\n# T\n", 1, "between lines ---"),
    "open front": ("---\ntitle: T\n", 1, "ends it"),
    "date": ("---\ntitle: T\ndate: today\n---\n", 3, "2026-01-31"),
    "order": ("---\norder: first\n---\n", 2, "order is a number"),
    "language": ("---\nlanguage: xx\n---\n", 2, "language is one of en, zh"),
    "listed": ("---\nlisted: maybe\n---\n", 2, "listed is true or false"),
    "inline": ("# T\n\nThe {explain: sum(x*)} here\n", 3, "sum(x*)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_line_and_the_rest_is_built(name: str, tmp_path: Path) -> None:
    text, line, words = FAULTS[name]
    src = write(tmp_path / "src", {"a.md": text, "b.md": "# B\n"})
    report = built(src)
    (problem,) = report.errors
    assert len(report.problems) == 1 + ("tags" in text)
    assert (problem.source, problem.line) == ("a.md", line) and words in problem.message
    assert (tmp_path / "out/a.html").exists() and (tmp_path / "out/b.html").exists()
    assert built(src).problems == report.problems, "it is told again until it is mended"


WARNINGS = {
    "page": ("[b](c.md)", "the link c.md leads nowhere; did you mean b.md?"),
    "anchor": ("[b](b.md#herr)", "b.md has no anchor #herr; did you mean here?"),
    "own anchor": ("[b](#herr)", "this page has no anchor #herr"),
    "picture": ("![b](c.png)", "the link c.png leads nowhere"),
    "raw": ('<a href="c.html">c</a>', "the link c.html leads nowhere"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_links_that_lead_nowhere_are_errors_only_if_strict(name: str, tmp_path: Path) -> None:
    text, words = WARNINGS[name]
    src = write(tmp_path / "src", {"a.md": f"# A\n\ntext\n\n{text}\n", "b.md": "# B\n\n## Here\n"})
    report = built(src)
    (problem,) = report.problems
    assert problem.source == "a.md" and problem.line == 5 and words in problem.message
    assert not report.errors and len(built(src, strict=True).errors) == 1


FOREIGN = """---
layout: post
title: T
tags:
  - a
  - b
author: {name: N}
params:
  deep: yes
categories: [x, y]
descripton: D
---
"""


def test_what_other_generators_read_is_told_and_costs_nothing(tmp_path: Path) -> None:
    """Keys of other generators' front matter, with their lists and tables: warnings, errors only if strict."""
    src = write(tmp_path / "src", {"a.md": FOREIGN + "text\n"})
    report = built(src)
    assert [(p.line, p.warning) for p in report.problems] == [(line, True) for line in (2, 4, 7, 8, 10, 11)]
    assert "'tags', which means nothing here; what is read: title, " in str(report.problems[1])
    assert "did you mean description?" in str(report.problems[-1])
    assert "<title>T · src</title>" in (tmp_path / "out/a.html").read_text("utf-8") and not report.errors
    assert built(src).problems == report.problems, "a second build tells them again"
    assert len(built(src, strict=True).errors) == 6


def test_a_page_without_its_twin_is_a_warning(src: Path) -> None:
    (src / "zh/guide/one.md").unlink()
    report = built(src)
    assert [str(p) for p in report.problems if "twin" in p.message] == [
        "en/guide/one.md:1: explain: warning: this page has no twin zh/guide/one.md"
    ]


def test_what_cannot_be_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        build_site(tmp_path / "none", tmp_path / "out")
    src = write(tmp_path / "src", {"a.md": "# A"})
    with pytest.raises(InputError, match="over its sources"):
        build_site(src, src)
    with pytest.raises(InputError, match="over its sources"):
        build_site(src, tmp_path)
    for text, words in {
        "titel = 1": "no setting 'titel'",
        "title = 1": "title is a text",
        "title = ": "site.toml",
        'languages = ["fr"]': "no language 'fr'",
        'base_url = "example.org"': "begins with https://",
        "[zh]\ntitel = 'x'": "has no setting 'titel'",
    }.items():
        write(src, {"site.toml": text})
        with pytest.raises(InputError, match=words):
            build_site(src, tmp_path / "out")


def test_the_command_says_what_it_did_and_exits_1_for_errors(src: Path) -> None:
    command = [sys.executable, "-m", "explain", "build", str(src), "--cache", str(src.parent / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "6 pages, 6 rendered" in done.stdout and "explain:" not in done.stderr
    assert (src / "_build/en/index.html").exists(), "beside the sources, where it is not taken for one"
    write(src, {"en/guide/one.md": "# One\n\n## Part two\n\n$\\nosuch$\n"})
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "en/guide/one.md:5: explain: a formula" in done.stderr and ", 1 error (" in done.stdout


def test_pages_and_files_that_are_not_of_the_site_stay_out(tmp_path: Path) -> None:
    src = write(tmp_path / "src", {"a.md": "# A", ".git/x.md": "# X", "_draft.md": "# D", "out/old.md": "# O", "b.txt": "b"})
    build_site(src, src / "out", cache=tmp_path / "cache")
    names = {name for name in os.listdir(src / "out") if name not in ("assets", "404.html")}
    assert names == {"a.html", "b.txt", "old.md", "index.html"}


def test_a_folder_without_an_index_lists_its_pages(tmp_path: Path) -> None:
    files = {
        "site.toml": 'title = "Notes"\nreference = true\n',
        "guide/second.md": "---\ntitle: A < B\ndescription: What & why.\norder: 2\n---\n",
        "guide/first one.md": "---\ntitle: First\norder: 1\n---\n",
        "guide/no.md": "---\nlisted: false\n---\n",
        "guide/deep-end/x.md": "# X\n",
        "mine/index.md": "# Mine\n",
        "copied/index.html": "<p>as it is</p>",
        "copied/a.md": "# A\n",
    }
    src = write(tmp_path / "src", files)
    pages = build_of(src, tmp_path).pages
    made = {page.path: page for page in pages if page not in read_sources(src, read_settings(src), tmp_path / "out").pages}
    listed = {path: re.findall('href="([^"]*)">([^<]*)', page.text) for path, page in made.items() if not page.op}
    assert listed == {
        "index.md": [
            ("copied/index.html", "Copied"), ("guide/index.md", "Guide"), ("mine/index.md", "Mine"),
            ("reference/index.md", "Reference"),
        ],
        "guide/index.md": [("first%20one.md", "First"), ("second.md", "A &lt; B"), ("deep-end/index.md", "Deep end")],
        "guide/deep-end/index.md": [("x.md", "X")],
        "reference/index.md": [("ops/index.md", "The operations")],
    }  # fmt: skip
    assert made["index.md"].title == "Notes" and "<dd>What &amp; why.</dd>" in made["guide/index.md"].text
    write(src, {"site.toml": 'title = "Notes"\n'})
    assert not built(src, strict=True).problems
    out = outputs(src.parent / "out")
    assert out["copied/index.html"] == b"<p>as it is</p>"
    assert b"<h1>Guide</h1>" in out["guide/index.html"] and b'href="first%20one.html">First<' in out["guide/index.html"]
    assert built(src).rendered == 0


def test_the_reference_lists_what_torch_has_a_name_for(tmp_path: Path) -> None:
    """What only works inside others, and other forms of an op, have pages that links lead to, and stand nowhere else."""
    src = write(
        tmp_path / "src", {"site.toml": 'reference = true\nbase_url = "https://example.org/"\n', "index.md": "# A\n"}
    )
    pages = list(reference_pages(read_settings(src), set(), Cache(tmp_path / "cache")))
    shown = {page.op for page in pages if not page.hidden}
    assert {"softmax", "argmax", "T", "*"} <= shown and not {"softmax_as", "qr_reduced", "clamp_above"} & shown
    names = op_names(Cache(tmp_path / "cache"))
    (listed,) = list_pieces([("en", "reference/ops/index.md")], names).values()
    assert {link.written for link in listed.told.links} == shown - {"*"}
    assert f"All {len(shown) - 1} operations" in listed.html
    hidden = {page.path for page in pages if page.hidden}
    assert hidden and not hidden & {page.path for page in tree(pages, "").pages()}


OP_PAGES = {
    "cross_entropy": [
        "import</span> torch",
        "cross_entropy(x, target)",
        "y.backward(torch.tensor(",
        'href="cross_entropy_of',
    ],
    "softmax_as": ["A form of", 'href="softmax.html"', "dtype=torch.float32"],
    "argmax": ["whole numbers", "&gt;&gt;&gt; torch.argmax(x)", "tensor(1)", 'href="softmax.html"'],
    "isnan": ["true or false", "torch.where", "tensor([False, False, False])"],
    "unique": ["PyTorch raises", "&gt;&gt;&gt; torch.unique(x)"],
    "qr_reduced": ["PyTorch has no name for this operation"],
}


@pytest.mark.parametrize("op", OP_PAGES)
def test_the_page_of_an_op_shows_its_call_and_why_it_has_no_gradient(op: str) -> None:
    (piece,) = op_pieces(op, [("en", f"reference/ops/{op}.md")]).values()
    text = re.sub(r"</?span[^>]*>", "", piece.html)
    for words in OP_PAGES[op]:
        assert re.sub(r"</?span[^>]*>", "", words) in text, words
