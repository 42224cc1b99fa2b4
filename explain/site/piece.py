"""A rendered page before its frame: what the rest of the build needs to know of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from explain.site.problems import Problem


class Heading(NamedTuple):
    """``html`` is what stands in it."""

    level: int
    id: str
    html: str


class Link(NamedTuple):
    """A link to another place of the site: the file in SRC (of a page its .md), the anchor in it, the text as written."""

    line: int
    target: str
    anchor: str
    written: str


class Section(NamedTuple):
    """What search finds: the text below one heading."""

    anchor: str
    heading: str
    text: str


class Told(NamedTuple):
    """What a page tells about itself. ``anchors``: every id in it; ``reads``: files that its derivations read (path,
    digest); ``symbols``: the characters of its formulas."""

    headings: tuple[Heading, ...] = ()
    anchors: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    sections: tuple[Section, ...] = ()
    problems: tuple[Problem, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    symbols: str = ""

    @staticmethod
    def of(data: list[Any]) -> Told:
        """Out of JSON. Raises ValueError or TypeError for anything but what was put there."""
        headings, anchors, links, sections, problems, reads, symbols = data
        return Told(
            tuple([Heading(*h) for h in headings]),
            tuple(anchors),
            tuple([Link(*li) for li in links]),
            tuple([Section(*s) for s in sections]),
            tuple([Problem(*p) for p in problems]),
            tuple([(path, digest) for path, digest in reads]),
            str(symbols),
        )


class Piece(NamedTuple):
    """The body of a page as HTML, and what it tells. ``derived``: it holds derivations, and is worth keeping."""

    html: str
    told: Told = Told()
    derived: bool = True

    def to_bytes(self) -> bytes:
        """What is told on the first line, as JSON, and the body on the others."""
        return json.dumps(self.told, ensure_ascii=False).encode() + b"\n" + self.html.encode()

    @staticmethod
    def from_bytes(data: bytes) -> Piece:
        """Raises ValueError or TypeError for anything but what ``to_bytes`` gave."""
        head, newline, html = data.partition(b"\n")
        if not newline:
            raise ValueError("there is no body")
        return Piece(html.decode(), Told.of(json.loads(head)))
