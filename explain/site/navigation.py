"""The order of a site: which pages stand in which folder, what comes before and after, where the twins are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from explain.site.sources import Page


@dataclass
class Node:
    """A folder or a page of one language. ``page``: the page itself, or the folder's index; None: a folder without one."""

    title: str
    page: Page | None = None
    folder: str | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def listed(self) -> bool:
        """Whether a page stands in the contents; of a folder, whether its pages do."""
        return self.page is None or self.page.listed

    @property
    def order(self) -> tuple[float, str]:
        return (self.page.order if self.page else 1e9, self.folder or (self.page.path if self.page else self.title))

    def pages(self) -> Iterator[Page]:
        """The pages from here on down, in the order in which they are read."""
        if self.page is not None:
            yield self.page
        for child in self.children:
            yield from child.pages()


def tree(pages: Iterable[Page], home: str) -> Node:
    """The pages of one language as a tree; ``home`` is its folder, with a slash, or empty."""
    root = Node("", folder=home.rstrip("/"))
    folders = {root.folder: root}

    def folder(path: str) -> Node:
        if path not in folders:
            node = Node(posixpath.basename(path).replace("-", " ").capitalize(), folder=path)
            folders[path] = node
            folder(posixpath.dirname(path)).children.append(node)
        return folders[path]

    for page in pages:
        if page.hidden:
            continue
        where = folder(posixpath.dirname(page.path))
        if posixpath.basename(page.path) == "index.md":
            where.title, where.page = page.title, page
        else:
            where.children.append(Node(page.title, page))
    _sort(root)
    return root


def _sort(node: Node) -> None:
    node.children.sort(key=lambda child: child.order)
    for child in node.children:
        _sort(child)


def neighbours(root: Node) -> dict[str, tuple[Page | None, Page | None]]:
    """For the path of every page, the one before and the one after it."""
    pages = list(root.pages())
    return {
        page.path: (pages[k - 1] if k else None, pages[k + 1] if k + 1 < len(pages) else None)
        for k, page in enumerate(pages)
    }


def relative(target: str, page: str) -> str:
    """A link from one output to another, both as paths below OUT."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")
