"""How far a build is: one line that moves on a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

EVERY = 5.0
"""Seconds between two plain lines."""


class Progress:
    """Counts finished tasks. ``quiet``: says nothing."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._begun = self._said = time.monotonic()
        self._count = self._total = 0
        self._spent = self._ahead = 0.0
        self._width = 0

    def begin(self, total: int, effort: float) -> None:
        """So many tasks are ahead, which are so much work together, in any unit."""
        self._total, self._count = total, 0
        self._ahead, self._spent = effort, 0.0
        self._begun = self._said = time.monotonic()

    def done(self, name: str, effort: float) -> None:
        """One more is done, which was so much work."""
        self._count += 1
        self._ahead -= effort
        self._spent += effort
        now = time.monotonic()
        if self._quiet or not (self._terminal or now - self._said >= EVERY):
            return
        self._said = now
        line = f"[{self._count}/{self._total}] {name}{self._left(now)}"
        if self._terminal:
            self._stream.write("\r" + line[:100].ljust(self._width))
            self._width = len(line[:100])
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line free for what is said next."""
        if self._terminal and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def _left(self, now: float) -> str:
        passed = now - self._begun
        if self._count == self._total or passed < 1:
            return ""
        seconds = round(passed / self._spent * self._ahead)
        return f", about {seconds // 60} min left" if seconds >= 120 else f", about {seconds} s left"
