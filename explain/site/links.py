"""Whether the links of a site lead somewhere, and whether pages have their twins."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence, Set

from explain.site.piece import Link
from explain.site.problems import Problem
from explain.site.sources import Page


def broken_links(links: Mapping[str, Sequence[Link]], anchors: Mapping[str, Set[str]], files: Set[str]) -> Iterator[Problem]:
    """A warning for every link that leads nowhere. ``links``, ``anchors``: of the pages, by path; ``files``: all others."""
    for path, found in links.items():
        for link in found:
            if link.target in anchors:
                if link.anchor and link.anchor not in anchors[link.target]:
                    near = _near(link.anchor, anchors[link.target])
                    where = "this page" if link.target == path else link.target
                    yield Problem(path, link.line, f"{where} has no anchor #{link.anchor}{near}", warning=True)
            elif link.target not in files:
                known = {posixpath.relpath(target, posixpath.dirname(path) or ".") for target in {*anchors, *files}}
                near = _near(link.written.partition("#")[0], known)
                yield Problem(path, link.line, f"the link {link.written} leads nowhere{near}", warning=True)


def lonely_pages(
    pages: Sequence[Page], twins: Mapping[str, Mapping[str, Page]], languages: Sequence[str]
) -> Iterator[Problem]:
    """A warning for every one of these pages that is missing in another language. ``twins``: see ``Frame``."""
    for page in pages:
        for lang in languages:
            if lang not in twins[page.inner]:
                yield Problem(page.path, 1, f"this page has no twin {lang}/{page.inner}", warning=True)


def _near(word: str, known: Set[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {found[0]}?" if found else ""
