"""What can go wrong, said so that the reader can mend it.

Every message answers four questions: whose fault, where (a place in the reader's own text, marked by a caret),
what, and what would work. The exit code sits on the class.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

LONGEST_LINE = 100


def columns(text: str) -> int:
    """The columns that a text takes on a terminal: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


@lru_cache(4096)
def _columns_of(character: str) -> int:
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Place(NamedTuple):
    """A stretch of the reader's text: ``start`` and ``end`` are character offsets into ``text``, end exclusive.

    ``source`` says which text it is, in the reader's words: ``expression``, ``--at x``, a file name. (A named tuple, because
    every command loads this module and dataclasses load half of the standard library.)
    """

    text: str
    start: int
    end: int
    source: str = "expression"

    @property
    def line(self) -> int:
        """The line number, counted from 1."""
        return self.text.count("\n", 0, self.start) + 1

    def marked(self) -> str:
        """The line of text with carets under the place; a long line is cut around them."""
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.start)
        line = self.text[begin : stop if stop >= 0 else len(self.text)].replace("\t", " ")
        start, end = self.start - begin, max(self.start - begin + 1, min(self.end - begin, len(line)))
        before, after = "", ""
        if len(line) > LONGEST_LINE:
            left = max(0, min(start - LONGEST_LINE // 3, len(line) - LONGEST_LINE))
            before, after = "…" * (left > 0), "…" * (left + LONGEST_LINE < len(line))
            line = line[left : left + LONGEST_LINE]
            start, end = start - left, min(end - left, len(line) + 1)
        indent, width = columns(before + line[:start]), max(1, columns(line[start:end]) or end - start)
        return f"  {before}{line}{after}\n  {' ' * indent}{'^' * width}"


class ExplainError(Exception):
    """Base of all errors that are told to the reader, never shown as a traceback.

    ``message`` says what is wrong, ``place`` where (or None), ``hint`` what would work (or None).
    """

    exit_code = 2

    def __init__(self, message: str, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.place.source}: {self.message}" if self.place else self.message]
        if self.place:
            lines.append(self.place.marked())
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class InputError(ExplainError):
    """The reader's text or values cannot be used as they are."""


class OperationError(ExplainError):
    """An operation cannot be applied to these values: the words are PyTorch's, the hint is ours."""


class CannotDerive(ExplainError):
    """No formula can be derived here; the numbers still stand. Says the op by name."""

    exit_code = 1


class Stopped(ExplainError):
    """A limit on time, memory or size was reached."""

    exit_code = 3
