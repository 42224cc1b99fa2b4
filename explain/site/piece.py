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


class Piece(NamedTuple):
    """``html``: the body; ``reads``: files that its derivations read (path, digest)."""

    html: str
    headings: tuple[Heading, ...] = ()
    anchors: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    sections: tuple[Section, ...] = ()
    problems: tuple[Problem, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """The body on the lines after the first, which holds all else as JSON."""
        return json.dumps(self[1:], ensure_ascii=False).encode() + b"\n" + self.html.encode()

    @staticmethod
    def from_bytes(data: bytes) -> Piece:
        """Raises ValueError for anything but what ``to_bytes`` gave."""
        head, newline, html = data.partition(b"\n")
        if not newline:
            raise ValueError("there is no body")
        return Piece(html.decode(), *about(json.loads(head)))


def about(data: list[Any]) -> tuple[Any, ...]:
    """Everything of a piece but its body, out of JSON."""
    headings, anchors, links, sections, problems, reads = data
    return (
        tuple([Heading(*h) for h in headings]), tuple(anchors), tuple([Link(*li) for li in links]),
        tuple([Section(*s) for s in sections]), tuple([Problem(*p) for p in problems]), tuple([(p, d) for p, d in reads]),
    )  # fmt: skip
