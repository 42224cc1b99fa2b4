"""How far a build is: plain lines now and then, one line that moves on a terminal, time left by how much work is left."""

from __future__ import annotations

import io

import pytest

from explain.site import progress


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_the_time_left_follows_the_work_that_is_left_not_the_number_of_pages(clock: Clock) -> None:
    stream = io.StringIO()
    shown = progress.Progress(stream)
    shown.begin(101, 30.0)
    clock.now = 10.0
    shown.done("long.md", 10.0)
    assert stream.getvalue() == "[1/101] long.md, about 20 s left\n"
    clock.now = 11.0
    shown.done("soon.md", 1.0)
    assert stream.getvalue().count("\n") == 1, "lines come every five seconds"
    clock.now = 110.0
    shown.done("slow.md", 0.0)
    assert stream.getvalue().endswith("[3/101] slow.md, about 3 min left\n")


def test_a_terminal_has_one_line_that_is_free_in_the_end(clock: Clock) -> None:
    stream = Terminal()
    shown = progress.Progress(stream)
    shown.begin(2, 2.0)
    shown.done("a-long-name.md", 1.0)
    shown.done("b.md", 1.0)
    shown.end()
    assert seen(stream.getvalue()) == ["", "[1/2] a-long-name.md", "[2/2] b.md", "", ""]


def seen(written: str) -> list[str]:
    """What stands on the line after each part that begins at its beginning."""
    line, found = "", []
    for part in written.split("\r"):
        line = part + line[len(part) :]
        found.append(line.rstrip())
    return found


def test_quiet_says_nothing(clock: Clock) -> None:
    stream = Terminal()
    shown = progress.Progress(stream, quiet=True)
    shown.begin(1, 1.0)
    shown.done("a.md", 1.0)
    shown.end()
    assert stream.getvalue() == ""
