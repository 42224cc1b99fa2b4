"""``explain.record``: keep what a computation of your own does, with the lines of its source."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import explain
from explain.errors import Place
from explain.tape.record import Recorder, recording

HOME = str(Path(explain.__file__).parent)


@contextmanager
def record() -> Iterator[Recorder]:
    """Inside the block everything that tensors of ``explain.torch`` do is recorded: ``explain.derive`` then knows the line
    of every step and what each value was, whatever is overwritten later."""
    recorder = Recorder(_Places().here)
    with recording(recorder):
        yield recorder


class _Places:
    """Where in the caller's source something happens: the innermost frame outside of this package."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, int], Place | None] = {}

    def here(self) -> Place | None:
        """The place of the expression that is running; None where its source is not at hand."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(HOME):
            frame = frame.f_back
        if frame is None:
            return None
        key = (frame.f_code, frame.f_lasti)
        if key not in self._known:
            self._known[key] = _place(frame)
        return self._known[key]


def _place(frame: FrameType) -> Place | None:
    file = frame.f_code.co_filename
    lines = linecache.getlines(file, frame.f_globals)
    line, end, column, end_column = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    if not lines or line is None or end is None or column is None or end_column is None or end > len(lines):
        return None
    start = sum(len(text) for text in lines[: line - 1]) + _characters(lines[line - 1], column)
    stop = sum(len(text) for text in lines[: end - 1]) + _characters(lines[end - 1], end_column)
    return Place("".join(lines), start, stop, Path(file).name)


def _characters(line: str, column: int) -> int:
    """A column in bytes of UTF-8, as Python counts them, in characters."""
    return column if line.isascii() else len(line.encode()[:column].decode(errors="ignore"))
