"""Where a block stands in somebody's text, and faults that say so."""

from __future__ import annotations

from typing import NamedTuple

from explain.errors import InputError


class Where(NamedTuple):
    """A line of a text: printed as ``file:line``."""

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


class BlockError(InputError):
    """A block cannot be read. ``where``: the line that is wrong; ``words``: what is wrong, without the place."""

    def __init__(self, where: Where, words: str, hint: str | None = None) -> None:
        super().__init__(f"{where}: {words}", hint=hint)
        self.where = where
        self.words = words
