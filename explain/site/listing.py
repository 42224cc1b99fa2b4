"""The page of a folder for which its author wrote none: what is in it, in the order of the contents."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterator, Sequence
from html import escape
from urllib.parse import quote

from explain.site.navigation import Node, tree
from explain.site.settings import Settings
from explain.site.sources import Page


def listings(pages: Sequence[Page], settings: Settings, files: Container[str]) -> Iterator[Page]:
    """An index for every folder of pages without one. ``files``: what is copied, which may hold an index.html."""
    for lang in settings.spoken:
        own = [page for page in pages if page.lang == lang]
        root = tree(own, settings.home(lang))
        for node in _folders(root) if own else ():
            path = posixpath.join(node.folder or "", "index.md")
            if node.page is None and f"{path.removesuffix('.md')}.html" not in files:
                inner = path.removeprefix(settings.home(lang))
                yield Page(path, lang, inner, _text(node, files), node.title or settings.titles[lang], lang)


def _folders(node: Node) -> Iterator[Node]:
    if node.folder is not None:
        yield node
        for child in node.children:
            yield from _folders(child)


def _text(node: Node, files: Container[str]) -> str:
    lines = ['<dl class="pages">']
    for child in node.children:
        if child.page is not None and child.folder is None and not child.listed:
            continue
        path = child.page.path if child.page else f"{child.folder}/index.md"
        if not child.page and f"{child.folder}/index.html" in files:
            path = f"{child.folder}/index.html"
        href = quote(posixpath.relpath(path, node.folder or "."))
        lines.append(f'<dt><a href="{escape(href)}">{escape(child.title, quote=False)}</a></dt>')
        if child.page is not None and child.page.description:
            lines.append(f"<dd>{escape(child.page.description, quote=False)}</dd>")
    return "\n".join([*lines, "</dl>", ""])
