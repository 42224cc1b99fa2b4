"""markdown-it-py: ``MarkdownIt().use(explain_plugin)`` puts derivations where explain fences and ``{explain: …}`` stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from explain.embed.cache import Cache
from explain.embed.core import Embedder, Problem, Shown, refused
from explain.embed.fence import Fence, read_fence
from explain.errors import InputError

NAME = "explain"
OPENING = "{explain:"
ANSWER = re.compile(r'<section class="answer">.*?</section>', re.DOTALL)
FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)
Report = Callable[[Problem], None]


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

    def embedded() -> Embedder:
        if not made:
            made.append(Embedder(Cache()))
        return made[0]

    def render(state: StateCore) -> None:
        for token in state.tokens:
            if token.type == "fence" and token.info.split()[:1] == [NAME]:
                _set_fence(token, state.env, embedded(), options, report or _raised)
            for child in token.children or ():
                if child.type == "explain_inline":
                    line = token.map[0] + 1 if token.map else 1
                    _set_inline(child, line, state.env, embedded(), options, report or _raised)

    md.core.ruler.push(NAME, render)
    md.inline.ruler.before("escape", NAME, _inline)


def _set_fence(token: Token, env: Any, embedder: Embedder, options: Mapping[str, str], report: Report) -> None:
    line = token.map[0] + 2 if token.map else 1
    source = env.get("source", "text")
    env["explain_count"] = number = env.get("explain_count", 0) + 1
    info = token.info.strip()[len(NAME) :]
    try:
        fence = read_fence(token.content, info, source=source, line=line, defaults=options)
    except InputError as error:
        shown = refused(Fence(token.content, "", {}, (), source, line), error, "html")
    else:
        shown = embedder.show(fence, "html", earlier=env.get("explain_fences", ()), anchor=f"d{number}")
        env["explain_fences"] = (*env.get("explain_fences", ()), fence)
    html = _noted(shown, env, report)
    _becomes(token, "html_block", f'<section class="explain embedded">\n{html}</section>\n')


def _set_inline(token: Token, line: int, env: Any, embedder: Embedder, options: Mapping[str, str], report: Report) -> None:
    source = env.get("source", "text")
    try:
        fence = read_fence(token.content, "show=answer", source=source, line=line, defaults=options)
    except InputError as error:
        shown = refused(Fence(token.content, "", {}, (), source, line), error, "html")
    else:
        shown = embedder.show(fence, "html")
    html = _noted(shown, env, report)
    forms = [FORMULA.findall(answer)[-1] for answer in ANSWER.findall(html) if FORMULA.search(answer)]
    inline = ", ".join(forms).replace(' display="block"', "")
    _becomes(token, "html_inline", inline or f"<code>{escape(token.content, quote=False)}</code>")


def _noted(shown: Shown, env: Any, report: Report) -> str:
    env.setdefault("explain_reads", []).extend(shown.reads)
    for problem in shown.problems:
        report(problem)
    return shown.text


def _becomes(token: Token, kind: str, html: str) -> None:
    token.type, token.info, token.tag, token.nesting = kind, "", "", 0
    token.meta[NAME], token.content = token.content, html


def _inline(state: StateInline, silent: bool) -> bool:
    """``{explain: …}`` up to the brace that closes it."""
    if not state.src.startswith(OPENING, state.pos):
        return False
    depth = 0
    for at in range(state.pos, state.posMax):
        depth += {"{": 1, "}": -1}.get(state.src[at], 0)
        if depth == 0:
            if not silent:
                token = state.push("explain_inline", "", 0)
                token.content = state.src[state.pos + len(OPENING) : at].strip()
            state.pos = at + 1
            return True
    return False


def _raised(problem: Problem) -> None:
    raise InputError(str(problem))
