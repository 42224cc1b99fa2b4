"""Blocks as they are shown: in every format, from the cache, with their faults in the right place."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from explain.embed.cache import Cache, key_of
from explain.embed.core import Embedder, Shown
from explain.embed.fence import Fence, read_fence

PROGRAM = "x = torch.ones(2, requires_grad=True)\ny = (x**2).sum()\ny.backward()\nprint(x.grad)"
CLAIMS = "#| at: x=[1,2]\n#| claim: out wrt x = 2*x\n#| claim: out wrt x = 3*x\nsum(x**2)"


def fence(body: str, info: str = "", line: int = 1) -> Fence:
    return read_fence(body, info, source="page.md", line=line)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def embedder(cache: Cache) -> Iterator[Embedder]:
    yield Embedder(cache)


def test_an_expression_and_its_claims(embedder: Embedder) -> None:
    shown = embedder.show(fence(CLAIMS, line=5), "md")
    assert "x.grad = tensor([2., 4.])" in shown.text
    (problem,) = shown.problems
    assert (problem.source, problem.line) == ("page.md", 7)
    assert "out wrt x = 3*x is wrong" in problem.message


@pytest.mark.parametrize("format", ["md", "html", "text", "tex"])
def test_every_format_and_again_from_the_cache(embedder: Embedder, cache: Cache, format: str) -> None:
    first = embedder.show(fence(PROGRAM), format)
    assert first.ok and "2" in first.text
    assert embedder.show(fence(PROGRAM), format) == first
    assert Embedder(None).show(fence(PROGRAM), format) == first


@pytest.mark.parametrize("format", ["md", "html", "text"])
def test_a_part_of_a_derivation_stands_below_what_was_asked(embedder: Embedder, format: str) -> None:
    shown = embedder.show(fence("#| at: x=[1, 2]\nsum(exp(x))", "show=answer"), format).text
    plain = re.sub("<[^>]*>", "", shown)
    assert "sum(exp(x))" in plain and "x = [1, 2]" in plain


def test_anchors_of_two_blocks_differ(embedder: Embedder) -> None:
    one, two = (embedder.show(fence(PROGRAM), "html", anchor=word).text for word in ("a", "b"))
    assert 'id="step-a-1-1"' in one and 'id="step-b-1-1"' in two
    assert "<h1" not in one


def test_a_block_continues_another(embedder: Embedder) -> None:
    first = fence("#| name: start\n" + PROGRAM)
    second = fence("#| after: start\nz = (x**3).sum()\nz.backward()\nprint(x.grad)", line=20)
    shown = embedder.show(second, "md", earlier=[first])
    assert shown.ok and "tensor([5., 5.])" in shown.text and "tensor([2., 2.])" not in shown.text
    assert "5  z = (x**3).sum()" in shown.text and "y = (x**2)" not in shown.text.split("####")[0]


def test_a_fault_in_a_block_that_continues_has_its_own_line(embedder: Embedder) -> None:
    first = fence("#| name: start\n" + PROGRAM)
    shown = embedder.show(fence("#| after: start\nz = x**3\nz.backward()", line=20), "md", earlier=[first])
    (problem,) = shown.problems
    assert problem.line == 22 and "grad can be implicitly created only for scalar outputs" in problem.message


def test_a_program_without_gradients_is_not_told_to_ask_for_them(embedder: Embedder) -> None:
    shown = embedder.show(fence("x = torch.ones(2)\nprint(x)"), "md")
    assert shown.ok and "tensor([1., 1.])" in shown.text and "backward" not in shown.text


def test_a_block_that_continues_nothing(embedder: Embedder) -> None:
    (problem,) = embedder.show(fence("#| after: there\nx = 1"), "md").problems
    assert "no block named 'there'" in problem.message


RAISES = "x = torch.ones(2)\nx.sum().backward()"
EXPECTED = [  # options, whether that is well
    ("", False),
    ("#| expect-error: true\n", True),
    ("#| expect-error: RuntimeError\n", True),
    ("#| expect-error: ValueError\n", False),
]


@pytest.mark.parametrize(("options", "ok"), EXPECTED)
def test_errors_are_expected_or_told(embedder: Embedder, options: str, ok: bool) -> None:
    shown = embedder.show(fence(options + RAISES, line=4), "md")
    assert shown.ok is ok and "does not require grad" in shown.text
    assert ok or shown.problems[0].line == 5 + options.count("\n")


def test_a_program_that_never_ends_may_be_expected(cache: Cache) -> None:
    embedder = Embedder(cache, timeout=0.3)
    endless = "x = 0\nwhile True:\n    x = x + 1"
    (problem,) = embedder.show(fence(endless), "md").problems
    assert "time was over" in problem.message
    assert embedder.show(fence("#| expect-error: true\n" + endless), "md").ok


def test_an_expected_error_that_does_not_come(embedder: Embedder) -> None:
    (problem,) = embedder.show(fence("#| expect-error: true\n" + PROGRAM), "md").problems
    assert "nothing was raised" in problem.message


FAULTS = [  # body, line of the fault in it, a part of the message
    ("sum(q*x); x=[1]", 1, "no value for 'q'"),
    ("x = 1\ny = (", 2, "never closed"),
    ("import os\nos.remove('x')", 1, "os"),
    ("sum(x)/0; x=[1", 1, "x"),
]


@pytest.mark.parametrize(("body", "line", "part"), FAULTS)
def test_faults_of_blocks_are_told_in_their_place(embedder: Embedder, body: str, line: int, part: str) -> None:
    shown = embedder.show(fence(body), "html")
    (problem,) = shown.problems
    assert problem.line == line and part in problem.message
    assert 'class="told wrong"' in shown.text


def test_hints_speak_of_options_as_blocks_have_them(embedder: Embedder) -> None:
    (problem,) = embedder.show(fence("sum(q*x); x=[1]"), "md").problems
    assert problem.message.endswith("\n#| at: q=…")


# the cache


def test_a_damaged_entry_is_made_again(embedder: Embedder, cache: Cache) -> None:
    first = embedder.show(fence(PROGRAM), "md")
    files = [p for p in cache.folder.rglob("*") if p.is_file()]
    assert len(files) == 2
    for path in files:
        path.write_bytes(path.read_bytes()[:-3])
    assert embedder.show(fence(PROGRAM), "md") == first


def test_a_file_is_looked_up_beside_the_text_and_read_again_when_it_changes(cache: Cache, tmp_path: Path) -> None:
    import numpy as np

    embedder = Embedder(cache, root=tmp_path)
    (tmp_path / "notes").mkdir()
    shown: list[Shown] = []
    for value in ([1.0, 2.0], [3.0, 4.0]):
        np.save(tmp_path / "notes" / "x.npy", np.array(value))
        block = read_fence("#| at: x=@x.npy\nsum(x**2)", source="notes/page.md", line=1)
        shown.append(embedder.show(block, "md"))
    assert shown[0].reads == (str(tmp_path / "notes" / "x.npy"),)
    assert "tensor([2., 4.]" in shown[0].text and "tensor([6., 8.]" in shown[1].text


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "below")
    cache.put(key_of({"a": 1}), b"data")
    assert cache.get(key_of({"a": 1})) is None
    assert Embedder(cache).show(fence(PROGRAM), "md").ok


def test_what_is_kept_is_shown_without_anything_heavy(embedder: Embedder, cache: Cache) -> None:
    embedder.show(fence(PROGRAM), "html")
    script = (
        "import sys\nfrom explain.embed.cache import Cache\nfrom explain.embed.core import Embedder\n"
        "from explain.embed.fence import read_fence\n"
        f"shown = Embedder(Cache({str(cache.folder)!r})).show(read_fence({PROGRAM!r}, source='page.md', line=1), 'html')\n"
        "assert shown.ok and shown.text\n"
        "print([name for name in ('sympy', 'numpy', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("format", ["md", "html", "text", "tex"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_claims_are_told_on_the_page(embedder: Embedder, format: str, lang: str) -> None:
    text = embedder.show(fence(CLAIMS, f"lang={lang} show=answer"), format).text
    right, wrong = {"en": ("proved by algebra", "wrong"), "zh": ("代数", "错误")}[lang]
    assert right in text and wrong in text and "x[1]" in text


@pytest.mark.parametrize("name", ["../x.npy", "/etc/x.npy"])
def test_no_file_outside_of_the_texts_is_read(cache: Cache, tmp_path: Path, name: str) -> None:
    import numpy as np

    root = tmp_path / "docs"
    root.mkdir()
    np.save(tmp_path / "x.npy", np.ones(2))
    block = read_fence(f"#| at: x=@{name}\nsum(x**2)", source="page.md", line=1)
    (problem,) = Embedder(cache, root=root).show(block, "md").problems
    assert "lies outside of" in problem.message
