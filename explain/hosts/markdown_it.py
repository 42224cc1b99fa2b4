"""markdown-it-py: ``MarkdownIt().use(explain_plugin)`` puts derivations where explain fences and ``{explain: …}`` stand."""

from __future__ import annotations

from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from explain.embed.cache import Cache
from explain.embed.core import Embedder
from explain.embed.page import Page, Report
from explain.embed.scan import OPENING, closing_brace

NAME = "explain"
FENCES = (NAME, "{explain}")


def explain_plugin(
    md: MarkdownIt,
    *,
    embedder: Embedder | None = None,
    report: Report | None = None,
    **defaults: str,
) -> None:
    """Render fences with the info string ``explain`` and inline ``{explain: EXPRESSION; x=[1, 2]}``.

    ``embedder``: what runs them, by default with the cache of this user; ``defaults``: options
    of all fences, as ``lang="zh"``. Which page it is stands in ``env["source"]``. Faults go to ``report``; without it the
    first one is raised as InputError. Files that a page read are gathered in ``env["explain_reads"]``.
    """
    options = {key.replace("_", "-"): value for key, value in defaults.items()}
    made: list[Embedder] = [embedder] if embedder is not None else []

    def page_of(env: Any) -> Page:
        if "explain_page" not in env:
            if not made:
                made.append(Embedder(Cache()))
            page = Page(made[0], env.get("source", "text"), report, defaults=options)
            env["explain_page"], env["explain_reads"] = page, page.reads
        found: Page = env["explain_page"]
        return found

    def render(state: StateCore) -> None:
        for token in state.tokens:
            line = token.map[0] + 1 if token.map else 1
            if token.type == "fence" and token.info.split()[:1] in ([name] for name in FENCES):
                info = token.info.strip().split(None, 1)[1:]
                shown = page_of(state.env).block(token.content, "".join(info), line=line + 1)
                _becomes(token, "html_block", f'<section class="explain embedded">\n{shown.text}</section>\n')
            for child in token.children or ():
                if child.type == "softbreak":
                    line += 1
                if child.type == "explain_inline":
                    found = page_of(state.env).inline(child.content, line=line).text
                    _becomes(child, "html_inline", found or f"<code>{escape(child.content, quote=False)}</code>")

    md.core.ruler.push(NAME, render)
    md.inline.ruler.before("escape", NAME, _inline)


def _becomes(token: Token, kind: str, html: str) -> None:
    token.type, token.info, token.tag, token.nesting = kind, "", "", 0
    token.meta[NAME], token.content = token.content, html


def _inline(state: StateInline, silent: bool) -> bool:
    """``{explain: …}`` up to the brace that closes it."""
    if not state.src.startswith(OPENING, state.pos):
        return False
    end = closing_brace(state.src, state.pos, state.posMax)
    if end is None:
        return False
    if not silent:
        token = state.push("explain_inline", "", 0)
        token.content = state.src[state.pos + len(OPENING) : end - 1].strip()
    state.pos = end
    return True
