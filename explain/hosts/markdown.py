"""Python-Markdown: the extension ``explain.hosts.markdown``, which serves MkDocs, Material, ProperDocs and Zensical too."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from explain.embed.configuration import configuration, language_of
from explain.embed.core import Embedder, Problem
from explain.embed.options import LOOKS
from explain.embed.page import Page
from explain.embed.scan import scan
from explain.errors import InputError
from explain.render.style import guest_style

NAMES = tuple(name.replace("-", "_") for name in LOOKS)
LANGUAGES = {"zh": "zh-Hans"}


class ExplainExtension(Extension):
    """Options: ``lang``, ``detail``, ``show``, ``index_base`` for blocks that do not say it themselves; ``strict``: outside
    of MkDocs a fault is raised (the default) or logged as a warning; ``version`` is for tools that render a page again when
    their configuration changes, and says nothing to us."""

    def __init__(self, **options: Any) -> None:
        known = (*NAMES, "strict", "version")
        for name in options:
            if name not in known:
                raise InputError(f"explain.hosts.markdown: there is no option '{name}'; there are: {', '.join(known)}")
        super().__init__()
        self.strict = bool(options.get("strict", True))
        self.defaults = {name.replace("_", "-"): str(options[name]) for name in NAMES if name in options}

    def extendMarkdown(self, md: markdown.Markdown) -> None:
        """Before fenced code and raw HTML are taken out, after line ends are made even."""
        md.preprocessors.register(Blocks(md, self), "explain", 28)


class Blocks(Preprocessor):
    """Puts derivations where explain fences and ``{explain: …}`` stand."""

    def __init__(self, md: markdown.Markdown, extension: ExplainExtension) -> None:
        super().__init__(md)
        self._extension = extension

    def run(self, lines: list[str]) -> list[str]:
        """The page with a placeholder for each block."""
        text = "\n".join(lines)
        blocks = scan(text)
        if not blocks:
            return lines
        page, shift = self._page(text)
        parts, at, styled = [], 0, False
        for block in blocks:
            parts.append(text[at : block.start])
            at = block.end
            if block.inline:
                found = page.inline(block.body, line=block.line + shift).text
                parts.append(self.md.htmlStash.store(found or f"<code>{escape(block.body, quote=False)}</code>"))
                continue
            shown = page.block(block.body, block.info, line=block.line + shift)
            style = "" if styled else f"<style>\n{guest_style()}\n</style>\n"
            styled = True
            lang = LANGUAGES.get(shown.lang, shown.lang)
            html = f'<section class="explain guest" lang="{lang}">{style}\n{shown.text}</section>'
            rest = re.sub(r"[^>]", " ", block.indent).rstrip()
            before = "" if _empty(text[: block.start - 1].rpartition("\n")[2]) else f"{rest}\n"
            after = "" if _empty(text[block.end + 1 :].partition("\n")[0]) else f"\n{rest}"
            parts.append(f"{before}{block.indent}{self.md.htmlStash.store(html)}{after}")
        return "".join([*parts, text[at:]]).split("\n")

    def _page(self, text: str) -> tuple[Page, int]:
        """The page of a host, and how many lines of its file stand above the text."""
        link = self._of_mkdocs()
        folder = Path(link.config.docs_dir) if link else Path.cwd()
        configured = configuration(folder)
        theme = link.config.theme if link else {}
        locale = next((theme[key] for key in ("language", "locale") if key in theme), None)
        defaults = {"lang": language_of(locale), **configured.defaults, **self._extension.defaults}
        source = link.file.src_uri if link else "text"
        report = _to_mkdocs if link else None if self._extension.strict else _to_log
        embedder: Embedder = configured.embedder(folder)
        return Page(embedder, source, report, defaults=defaults), _above(text, link)

    def _of_mkdocs(self) -> Any:
        """What MkDocs and its forks tell extensions of the page: an object with ``file`` and ``config``; None elsewhere."""
        registry = self.md.treeprocessors  # it has no get()
        found = registry["relpath"] if "relpath" in registry else None  # noqa: SIM401
        return found if hasattr(found, "file") and hasattr(found, "config") else None


def _empty(line: str) -> bool:
    """Whether a line parts two paragraphs, in a quotation too."""
    return not line.strip(" \t>")


def _above(text: str, link: Any) -> int:
    """The lines of front matter, which the host has taken off. Where a plugin has changed the text, it is not known."""
    if link is None:
        return 0
    whole = link.file.content_string.replace("\r\n", "\n")
    first = _first_lines(text.split("\n"))
    found = whole.find(first)
    return whole.count("\n", 0, found) if found > 0 else 0


def _first_lines(lines: Sequence[str]) -> str:
    """So much of a text as is sure to stand in its file unchanged: its lines up to the first empty one or tab."""
    taken: list[str] = []
    for line in lines:
        if not line.strip() and taken:
            break
        taken.append(line)
    return "\n".join(taken)


def _to_mkdocs(problem: Problem) -> None:
    logging.getLogger("mkdocs.plugins.explain").warning("%s", problem)  # --strict counts warnings of these loggers


def _to_log(problem: Problem) -> None:
    logging.getLogger("explain").warning("%s", problem)


def makeExtension(**options: Any) -> ExplainExtension:
    """The name by which Python-Markdown finds an extension of a module."""
    return ExplainExtension(**options)
