"""What is wrong with a page, and where: ``file:line: explain: message``."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One fault of a page. ``line`` is counted from 1; ``warning``: the site can be used all the same.

    (Named tuples, here and elsewhere, because a build with nothing to do loads these modules, and dataclasses load half of
    the standard library.)
    """

    source: str
    line: int
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: explain: {'warning: ' if self.warning else ''}{self.message}"
