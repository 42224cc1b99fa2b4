"""Markdown to the body of a page: CommonMark with tables, footnotes, admonitions, task lists, formulas, explain fences."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from explain.embed.core import Embedder
from explain.embed.core import Problem as Fault
from explain.errors import ExplainError
from explain.hosts.markdown_it import explain_plugin
from explain.render.hypertext import AFTER, highlighted, joined, mathml
from explain.site.piece import Heading, Link, Section
from explain.site.problems import Problem

EXPLICIT = re.compile(r"[ \t]*\{#([\w-]+)\}[ \t]*$")
CLOSED = re.compile(r"(?:</\w+>)+$")
NOT_IN_SLUG = re.compile(r"[^\w\- ]+")
ANCHOR = re.compile(r"""\s(?:id|name)=["']([^"']+)["']""")
WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Characters of Chinese and Japanese, and their punctuation."""
RAW_LINK = re.compile(r"""(<(?:a|img|source|video)\b[^>]*?\s(?:href|src)=)(["'])([^"']*)\2""", re.IGNORECASE)


class Body(NamedTuple):
    """What a page says, and what the rest of the site has to know of it."""

    html: str
    headings: tuple[Heading, ...]
    anchors: tuple[str, ...]
    links: tuple[Link, ...]
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]
    reads: tuple[str, ...]
    derived: bool


class Words(NamedTuple):
    """What the generator itself says on a page: names of admonitions by kind, the label of a heading's anchor."""

    admonitions: dict[str, str]
    anchor: str


class Markdown:
    """Markdown in one language: ``body(text, path)``.

    ``embedder`` runs explain fences, ``defaults`` are their options.
    """

    def __init__(self, words: Words, embedder: Embedder, **defaults: str) -> None:
        self._words = words
        self._md = md = MarkdownIt("commonmark", {"html": True, "highlight": _code})
        md.enable(["table", "strikethrough"])
        md.use(footnote_plugin).use(tasklists_plugin, label=True).use(deflist_plugin).use(admon_plugin)
        md.use(dollarmath_plugin, double_inline=True, allow_space=False, allow_labels=False)
        md.use(explain_plugin, embedder=embedder, report=self._report, **defaults)
        md.core.ruler.push("site", self._finish)
        self._problems: list[Problem] = []

    def body(self, text: str, path: str, title: str = "") -> Body:
        """The page at ``path`` of the sources; ``title`` becomes its heading if it has none of its own."""
        env: dict[str, Any] = {"source": path}
        self._problems = env["problems"] = []
        env["anchors"], env["links"] = {}, []
        tokens = self._md.parse(text, env)
        headings = _headings(self._md, tokens, env)
        html = self._md.renderer.render(tokens, self._md.options, env)
        if not headings or headings[0].level != 1:
            html = f"<h1>{escape(title, quote=False)}</h1>\n{html}"
        return Body(
            html=html,
            headings=tuple(headings),
            anchors=tuple(dict.fromkeys(ANCHOR.findall(html))),
            links=tuple(env["links"]),
            sections=tuple(_sections(tokens)),
            problems=tuple(self._problems),
            reads=tuple(sorted(set(env.get("explain_reads", ())))),
            derived="explain_reads" in env,
        )

    def _report(self, problem: Fault) -> None:
        self._problems.append(Problem(problem.source, problem.line, problem.message))

    def _finish(self, state: StateCore) -> None:
        """Anchors of headings, formulas, links between pages, titles of admonitions."""
        env = state.env
        line = 1
        for k, token in enumerate(state.tokens):
            line = token.map[0] + 1 if token.map else line
            if token.type == "heading_open":
                self._anchor(token, state.tokens[k + 1], env)
            elif token.type in ("math_block", "math_block_label"):
                token.type, token.content = "html_block", self._formula(token.content, line, env, True)
            elif token.type == "admonition_open":
                self._admonition(token, state.tokens[k + 2])
            elif token.type == "table_open":
                token.attrSet("class", "plain")
            elif token.type == "html_block" and not token.meta.get("explain"):
                token.content = self._raw(token.content, line, env)
            children = token.children or []
            for k, child in enumerate(children):
                if child.type in ("math_inline", "math_inline_double"):
                    double = child.type == "math_inline_double"
                    child.type, child.content = "html_inline", self._formula(child.content, line, env, double)
                    if not double and (found := AFTER.match(_said(children, k + 1))):
                        child.content = joined(child.content, found[0])
                        children[k + 1].content = children[k + 1].content[found.end() :]
                elif child.type == "link_open":
                    child.attrSet("href", _linked(str(child.attrGet("href")), line, env))
                elif child.type == "image":
                    child.attrSet("src", _linked(str(child.attrGet("src")), line, env))
                elif child.type == "html_inline" and not child.meta.get("explain"):
                    child.content = self._raw(child.content, line, env)
                elif child.type == "softbreak":
                    line += 1
            if token.children:
                token.children = _unbroken(token.children)

    def _formula(self, tex: str, line: int, env: Any, display: bool) -> str:
        try:
            found = mathml(tex.strip(), display)
        except ExplainError as error:
            self._problems.append(Problem(env["source"], line, error.message))
            found = f"<code>{escape(tex, quote=False)}</code>"
        return f'<div class="display">{found}</div>\n' if display else found

    def _raw(self, html: str, line: int, env: Any) -> str:
        return RAW_LINK.sub(lambda m: f'{m[1]}"{escape(_linked(m[3], line, env))}"', html)

    def _anchor(self, token: Token, inline: Token, env: Any) -> None:
        last = inline.children[-1] if inline.children else None
        explicit = EXPLICIT.search(last.content) if last is not None and last.type == "text" else None
        if explicit is not None and last is not None:
            last.content = last.content[: explicit.start()]
        id = _unused(explicit[1] if explicit else slug(_text(inline)), env["anchors"])
        token.attrSet("id", id)
        token.meta["anchor"] = f' <a class="anchor" href="#{escape(id)}" aria-label="{escape(self._words.anchor)}">#</a>'

    def _admonition(self, token: Token, title: Token) -> None:
        kind = str(token.meta.get("tag", ""))
        if title.content == kind.title() and kind in self._words.admonitions and title.children:
            title.children[0].content = self._words.admonitions[kind]


def _said(children: list[Token], k: int) -> str:
    """The text of a token; nothing if there is none or it is no text."""
    return children[k].content if k < len(children) and children[k].type == "text" else ""


def slug(text: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return NOT_IN_SLUG.sub("", text.strip().lower()).replace(" ", "-") or "section"


def _unused(id: str, taken: dict[str, None]) -> str:
    found, n = id, 0
    while found in taken:
        n += 1
        found = f"{id}-{n}"
    taken[found] = None
    return found


def _linked(href: str, line: int, env: Any) -> str:
    """A link as it stands in the HTML; what it leads to inside the site is noted in ``env``."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc or href.startswith("/"):
        return href
    target = env["source"]
    if parts.path:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(target), unquote(parts.path)))
        if parts.path.endswith("/") or target == ".":
            target = posixpath.normpath(f"{target}/index.md")
    env["links"].append(Link(line, target, unquote(parts.fragment), unquote(href)))
    path = parts.path
    if path.endswith("/"):
        path += "index.html"
    elif path.endswith(".md"):
        path = f"{path.removesuffix('.md')}.html"
    return path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")


def _headings(md: MarkdownIt, tokens: Sequence[Token], env: Any) -> list[Heading]:
    """The headings of the page itself, and the anchor beside each."""
    renderer: Any = md.renderer
    found = []
    for k, token in enumerate(tokens):
        if token.type == "heading_open" and "anchor" in token.meta:
            inline = tokens[k + 1]
            html = str(renderer.renderInline(inline.children or [], md.options, env))
            html = re.sub(r"</?a\b[^>]*>", "", html).strip()
            found.append(Heading(int(token.tag[1]), str(token.attrGet("id")), html))
            anchor = Token("html_inline", "", 0)
            anchor.content = token.meta["anchor"]
            inline.children = [*(inline.children or []), anchor]
    return found


def _unbroken(children: list[Token]) -> list[Token]:
    """Lines of Chinese join without the space that the end of a line is elsewhere."""
    found = []
    for k, child in enumerate(children):
        if child.type == "softbreak":
            before = next((c.content for c in reversed(children[:k]) if c.content), "")
            after = next((c.content for c in children[k + 1 :] if c.content), "")
            if WIDE.match(CLOSED.sub("", before)[-1:]) and WIDE.match(after[:1]):
                continue
        found.append(child)
    return found


def _text(token: Token) -> str:
    """An inline token without its marks; formulas are left out."""
    found = []
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            found.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            found.append(" ")
        elif child.type == "image":
            found.append(child.content)
    return "".join(found)


def _sections(tokens: Sequence[Token]) -> list[Section]:
    """The text of a page as search looks at it, one section per heading."""
    found: list[Section] = []
    anchor, heading = "", ""
    text: list[str] = []
    for k, token in enumerate(tokens):
        if token.type == "heading_open":
            if text or heading:
                found.append(Section(anchor, heading, " ".join(text)))
            first = token.tag == "h1" and not found  # the page as a whole: it is found at its beginning
            anchor, heading, text = "" if first else str(token.attrGet("id")), _text(tokens[k + 1]).strip(), []
        elif token.type == "inline" and tokens[k - 1].type != "heading_open":
            text.append(_text(token).strip())
        elif token.type in ("fence", "code_block"):
            text.append(" ".join(token.content.split()))
        elif token.meta.get("explain"):
            text.append(" ".join(token.meta["explain"].split()))
    if text or heading:
        found.append(Section(anchor, heading, " ".join(text)))
    return found


def _code(code: str, language: str, attrs: str) -> str:
    """A fence with its words marked; Python as on pages of derivations."""
    return f'<pre class="code"><code>{_marked(code.rstrip(), language)}</code></pre>\n'


@lru_cache(1_000)
def _marked(code: str, language: str) -> str:
    if language in ("python", "py", "torch"):
        return highlighted(code)
    if not language or language in ("text", "txt"):
        return escape(code, quote=False)
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code, quote=False)  # a language that nobody can highlight is still code
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
