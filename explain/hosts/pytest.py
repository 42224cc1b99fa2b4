"""pytest: with ``--explain`` every explain block of the collected pages and docstrings is a test, and so is its every claim.

Loaded in every run of pytest where explain is installed: nothing heavy is imported before a page is collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from explain.embed.core import Embedder, Problem
    from explain.embed.fence import Fence

FORMS = {".md": "md", ".markdown": "md", ".mdx": "md", ".rst": "rst"}
PYTHON = ".py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option ``--explain``."""
    group = parser.getgroup("explain")
    group.addoption(
        "--explain",
        action="store_true",
        help="test the explain blocks of .md and .rst pages and of docstrings, and their claims",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Pages are collected when they are asked for."""
    if not parent.config.getoption("--explain") or file_path.suffix.lower() not in (*FORMS, PYTHON):
        return None
    page: Pages = Pages.from_parent(parent, path=file_path)
    return page


class Fault(Exception):
    """What is wrong with a block, in words: shown without a traceback."""


class Pages(pytest.File):
    """A page, or a file with docstrings, with a test for every block and every claim."""

    def collect(self) -> Iterator[pytest.Item]:
        """Blocks in their order; a block whose options cannot be read is a test that fails."""
        from explain.embed.configuration import configuration
        from explain.embed.docstrings import scan_docstrings
        from explain.embed.fence import read_fence
        from explain.embed.place import BlockError
        from explain.embed.scan import scan

        text, suffix = self.path.read_text("utf-8-sig"), self.path.suffix.lower()
        if "explain" not in text:
            return
        root = self.config.rootpath
        inside = self.path.is_relative_to(root)
        source = self.path.relative_to(root).as_posix() if inside else str(self.path)
        embedder = configuration(self.path.parent).embedder(root if inside else self.path.parent)
        earlier: list[Fence] = []
        for block in scan_docstrings(text) if suffix == PYTHON else scan(text, FORMS[suffix]):
            try:
                fence = read_fence(block.body, block.info, source=source, line=block.line)
            except BlockError as error:
                yield Unread.from_parent(self, name=f"line {error.where.line}", line=error.where.line, error=error)
                continue
            derived = Derived(fence, tuple(earlier), embedder)
            earlier.append(fence)
            name = fence.option("name")
            title = f"line {fence.line} {name}" if name else f"line {fence.line}"
            yield Block.from_parent(self, name=title, line=fence.line, derived=derived)
            for number, claim in enumerate(fence.claims):
                title = f"line {claim.line} claim {claim}"
                yield Block.from_parent(self, name=title, line=claim.line, derived=derived, claim=number)


class Derived:
    """A block, derived once for all tests of it."""

    def __init__(self, fence: Fence, earlier: tuple[Fence, ...], embedder: Embedder) -> None:
        self._fence, self._earlier, self._embedder = fence, earlier, embedder

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with it."""
        return self._embedder.show(self._fence, "md", earlier=self._earlier).problems


class Test(pytest.Item):
    """A test that stands in a line of a page."""

    def __init__(self, *, line: int, **known: Any) -> None:
        super().__init__(**known)
        self.line = line

    def reportinfo(self) -> tuple[Path, int, str]:
        """The page, the line counted from 0, and the headline of a failure."""
        return self.path, self.line - 1, f"{self.path.name}, {self.name}"  # of the bare name pytest would take dots for ::

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Faults are told in their own words."""
        return str(excinfo.value) if isinstance(excinfo.value, Fault) else super().repr_failure(excinfo)


class Block(Test):
    """A block, or one claim of it."""

    def __init__(self, *, derived: Derived, claim: int | None = None, **known: Any) -> None:
        super().__init__(**known)
        self._derived, self._claim = derived, claim

    def runtest(self) -> None:
        """Fails with what is wrong; a claim also where its block is not derived at all."""
        problems = self._derived.problems
        mine = [problem for problem in problems if problem.claim == self._claim]
        if self._claim is not None and not mine:
            mine = [problem for problem in problems if problem.claim is None]
        if mine:
            raise Fault("\n".join(map(str, mine)))


class Unread(Test):
    """A block that cannot be read."""

    def __init__(self, *, error: Exception, **known: Any) -> None:
        super().__init__(**known)
        self._error = error

    def runtest(self) -> None:
        """Fails."""
        raise Fault(str(self._error))
