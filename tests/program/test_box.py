"""Programs run in a process of their own, which ends whatever they do; the caller gets a document."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import explain
from explain.derivation.boxed import run
from explain.errors import InputError
from explain.program import zygote
from explain.program.box import Boxed, Job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits on memory are the system's")


@pytest.fixture(autouse=True, params=["fresh", "forked"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every program runs in a fresh process, and in one that was forked: nobody can tell."""
    if request.param == "forked" and not zygote.SUPPORTED:
        pytest.skip("nothing is forked here")
    with zygote.forking() if request.param == "forked" else nullcontext():
        yield request.param


def test_it_gives_the_same_document_as_in_this_process() -> None:
    from explain.derivation.program import run_program

    text = "x = torch.arange(4., requires_grad=True)\ny = 2 * torch.dot(x, x)\ny.backward()\nx.grad"
    boxed, here = run(text), run_program(text)
    for format in ("md", "text", "json"):
        assert boxed.render(format) == here.render(format)


@pytest.mark.parametrize(
    ("program", "kind", "line"),
    [
        ("x = 1\nwhile True:\n    x += 1", "limit_time", None),
        ("while True:\n    try:\n        x = 1\n    except BaseException:\n        pass", "limit_time", None),
        ("10 ** 10 ** 8", "limit_time", None),
        ("x = 'a' * 10 ** 11", "limit_memory", 1),
        ("x = torch.ones(10 ** 6, 10 ** 5)", "limit_memory", 1),
        ("x = [0]\nwhile True:\n    x = x + x", "limit_memory", 3),
        ("def f(n):\n    return f(n + 1)\nf(0)", "limit_recursion", 2),
        ("while True:\n    print('again and again')", "limit_output", 2),
        ("x = 1 << 10 ** 11", "limit_memory", 1),
    ],
)
def test_what_does_not_end_is_stopped(program: str, kind: str, line: int | None) -> None:
    begin = time.perf_counter()
    # a limit of another kind must be met however slow the machine is just now
    found = run(program, timeout=1 if kind == "limit_time" else 60, memory=1 << 29)
    assert kind != "limit_time" or time.perf_counter() - begin < 15
    assert found.outcome == "bounded"
    assert found.error is not None and found.error["kind"] == kind
    assert line is None or found.error["line"] == line
    assert "stopped" in found.render("text")


def test_what_was_done_before_the_limit_is_kept() -> None:
    found = run("print('a')\nx = torch.ones(2, requires_grad=True)\nx.sum().backward()\nwhile True: pass", timeout=0.5)
    assert (found.outcome, found.stdout, len(found.derivations)) == ("bounded", "a\n", 1)


def test_a_process_that_dies_is_told() -> None:
    found = run("import ctypes\nctypes.string_at(0)", trust=True)
    assert found.outcome == "bounded" and found.error is not None and found.error["kind"] == "limit_crash"


def test_a_document_that_is_too_large_is_not_handed_over() -> None:
    found = run("x = torch.ones(8000, 8000)\ny = x * 2\nprint('done')", memory=1 << 31)
    assert (found.outcome, found.stdout) == ("bounded", "done\n")
    assert found.error is not None and found.error["kind"] == "limit_document"


def test_the_system_is_asked_for_nothing() -> None:
    """Should a guard of the box fail, the fence behind it still stands: here the program is trusted, but fenced."""
    from explain.program.fence import fenced

    with fenced(1 << 40, [*sys.path, *explain.__path__]):
        for action in (
            Path("/etc/hostname").read_text,
            lambda: __import__("os").system("true"),
            lambda: Path("x").write_text("x"),
        ):
            with pytest.raises(PermissionError):
                action()  # type: ignore[no-untyped-call]


def test_bad_text_is_an_error_of_the_reader() -> None:
    with pytest.raises(InputError) as caught:
        run("x = = 1", name="notes.py")
    assert caught.value.place is not None and "notes.py" in str(caught.value)


def test_the_process_knows_little_of_its_surroundings(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("MY_SECRET", "x")
    job = Job("import os\nprint('MY_SECRET' in os.environ)", "p", False, None, None, None, 5.0, 1 << 30)
    boxed = Boxed(job)
    try:
        assert isinstance(boxed.process, zygote.Forked) == (way == "forked")
        with open(f"/proc/{boxed.process.pid}/environ", "rb") as file:
            assert b"MY_SECRET" not in file.read()
    finally:
        boxed.end()
