"""The pieces of work of a build: each turns one source into rendered pages, here, in another process, or elsewhere."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from explain.errors import ExplainError
from explain.site.font import symbols
from explain.site.piece import Piece, Told
from explain.site.problems import Problem
from explain.site.sources import Page

PLAIN = 0.01
"""The effort of a page without derivations, in derivations."""


class PageTask(NamedTuple):
    """Render a page in Markdown. ``cache``: where derivations are kept; ``defaults``: options of its fences; ``src``: the
    folder that the page's path begins in."""

    page: Page
    cache: str
    defaults: tuple[tuple[str, str], ...]
    src: str

    @property
    def name(self) -> str:
        return self.page.path

    @property
    def effort(self) -> float:
        """How many derivations there seem to be; a page without is a small part of one."""
        return self.page.text.count("```explain") or PLAIN

    def work(self) -> dict[str, Piece]:
        """The piece of the page, under its path."""
        page = self.page
        body = _markdown(page.language, self.cache, self.defaults, self.src).body(page.text, page.path, page.title)
        reads = tuple([(path, digest_of(Path(path))) for path in body.reads])
        told = Told(body.headings, body.anchors, body.links, body.sections, body.problems, reads, symbols(body.html))
        return {page.path: Piece(body.html, told, body.derived)}


class OpTask(NamedTuple):
    """Derive an op and render its page in every language; ``paths``: language and path of each."""

    op: str
    paths: tuple[tuple[str, str], ...]
    effort: float = 1

    @property
    def name(self) -> str:
        return self.paths[0][1]

    def work(self) -> dict[str, Piece]:
        """One piece per language: the op is derived once."""
        from explain.site.reference import op_pieces

        return op_pieces(self.op, self.paths)


class OpListTask(NamedTuple):
    """Render the list of all ops in every language."""

    names: tuple[Any, ...]
    paths: tuple[tuple[str, str], ...]
    effort: float = PLAIN

    @property
    def name(self) -> str:
        return self.paths[0][1]

    def work(self) -> dict[str, Piece]:
        """One piece per language."""
        from explain.site.reference import list_pieces

        return list_pieces(self.paths, self.names)


Task = PageTask | OpTask | OpListTask


class Done(NamedTuple):
    """``fault``: where the work ended in an error of our own, which one and where."""

    pieces: Mapping[str, Piece]
    fault: str = ""


def do(task: Task) -> Done:
    """The work of a task; its errors are told as problems of the page, so that the rest of the site is built."""
    try:
        return Done(task.work())
    except ExplainError as error:
        return Done({task.name: Piece("", Told(problems=(Problem(task.name, 1, error.message),)))})
    except Exception as error:  # a fault of ours in one page: told with its place, and the build fails at its end
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Done({}, f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})")


def digest_of(path: Path) -> str:
    """The digest of a file's content; empty if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


@lru_cache(4)
def _markdown(language: str, cache: str, defaults: tuple[tuple[str, str], ...], src: str) -> Any:
    from explain.embed.cache import Cache
    from explain.embed.core import Embedder
    from explain.render.templates import templates_in
    from explain.site.frame import words_of
    from explain.site.markdown import Markdown

    options = {"lang": language, **dict(defaults)}
    return Markdown(words_of(templates_in(language)), Embedder(Cache(cache), root=src), **options)
