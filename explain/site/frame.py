"""The frame around a page: contents, table of contents, languages, what comes before and after."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import cached_property
from html import escape
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from explain.render.templates import templates_in
from explain.site.assets import inlined, version
from explain.site.markdown import Words
from explain.site.navigation import Node, neighbours, relative
from explain.site.piece import Heading
from explain.site.settings import Settings
from explain.site.sources import Page

HTML_LANGUAGES = {"zh": "zh-Hans"}
NAMES = {"en": "English", "zh": "中文"}
Twins = Mapping[str, Mapping[str, Page]]
"""For every path inside a language, the pages that stand there, by language."""
DEEPEST = 3
"""Headings down to this level stand in the table of contents."""
ADMONITIONS = ("note", "tip", "warning", "danger", "important", "example", "question", "hint")


class Frame:
    """The frames of all pages of one language. ``font``: whether the site has one for formulas; ``feed``: its path, empty if
    there is none."""

    def __init__(self, lang: str, settings: Settings, root: Node, twins: Twins, font: bool, feed: str) -> None:
        self.lang, self.settings, self.root, self.twins = lang, settings, root, twins
        self.font, self.feed = font, feed
        self._neighbours = neighbours(root)
        self._navs: dict[str, str] = {}

    @cached_property
    def _environment(self) -> Any:
        return templates_in(self.lang)

    @cached_property
    def _template(self) -> Any:
        return self._environment.get_template("site/page.j2")

    @cached_property
    def _said(self) -> SimpleNamespace:
        """The frame's own words, the same on every page."""
        said = self._environment.get_template("words/site.j2").make_module({})
        plain = {name: words for name, words in vars(said).items() if getattr(words, "arguments", None) == ()}
        return SimpleNamespace(**{name: str(words()) for name, words in plain.items()})

    def context(self, page: Page) -> dict[str, Any]:
        """Everything of the frame but the body and what is in it: when this is the same, so is the frame."""
        s, out = self.settings, page.out
        before, after = self._neighbours.get(page.path, (None, None))
        home = relative(f"{s.home(self.lang)}index.html", out)
        twins = self.twins.get(page.inner, {})
        front = page.inner == "index.md"
        title, site = page.title, s.titles[self.lang]
        return {
            "language": HTML_LANGUAGES.get(page.language, page.language),
            "lang": self.lang,
            "title": title,
            "window_title": title if front else f"{title} · {site}",
            "description": page.description or (s.descriptions[self.lang] if front else ""),
            "front": front,
            "site": site,
            "canonical": address(s.base_url, out),
            "alternates": [
                {"language": HTML_LANGUAGES.get(lang, lang), "href": address(s.base_url, t.out) or relative(t.out, out)}
                for lang, t in sorted(twins.items())
                if len(twins) > 1
            ],
            "feed": relative(self.feed, out) if self.feed else "",
            "before": before and {"title": before.title, "href": relative(before.out, out)},
            "after": after and {"title": after.title, "href": relative(after.out, out)},
            "base": "",
            "style": "",
            "root": "../" * out.count("/"),
            "assets": version(self.font),
            "search": f"assets/search-{self.lang}.js",
            "home": home,
            "languages": [
                {
                    "language": HTML_LANGUAGES.get(lang, lang),
                    "name": NAMES[lang],
                    "current": lang == self.lang,
                    "twin": lang in twins,
                    "href": relative(twins[lang].out if lang in twins else f"{s.home(lang)}index.html", out),
                }
                for lang in s.spoken
            ],
            "nav": self._nav(out),
        }

    def render(self, context: Mapping[str, Any], body: str, headings: tuple[Heading, ...]) -> str:
        """The whole page."""
        toc = [h for h in headings if 1 < h.level <= DEEPEST]
        return str(self._template.render(context, body=body, toc=toc, say=self._said)) + "\n"

    def lost(self) -> str:
        """The page for addresses where nothing is. It is shown at any depth, so its links start from the site's own root;
        and from a disk, or where it was not built for, so its style stands in it."""
        page = Page("404.md", self.lang, "404.md", "", self._said.lost_title, self.lang)
        context = self.context(page) | {
            "base": urlsplit(self.settings.base_url).path or "/",
            "canonical": "",
            **inlined(self.font),
        }
        return self.render(context, f"<h1>{escape(page.title)}</h1>\n<p>{escape(self._said.lost)}</p>", ())

    def _nav(self, out: str) -> str:
        """The contents as this page shows them. Pages of one folder share all but the mark of the page itself."""
        folder = posixpath.dirname(out)
        if folder not in self._navs:
            nodes = self._shown(self.root, out)["children"]
            self._navs[folder] = str(self._environment.get_template("site/nav.j2").render(nodes=nodes)).strip()
        own = f'<a href="{escape(posixpath.basename(out))}">'
        return self._navs[folder].replace(own, f'<a aria-current="page"{own[2:]}', 1)

    def _shown(self, node: Node, out: str) -> dict[str, Any]:
        folder = node.folder
        return {
            "title": node.title,
            "href": relative(node.page.out, out) if node.page else None,
            "open": folder is not None and f"{posixpath.dirname(out)}/".startswith(f"{folder}/"),
            "children": [self._shown(child, out) for child in node.children if child.folder or child.listed]
            if node.listed
            else [],
        }


def words_of(environment: Any) -> Words:
    """What rendered Markdown says for itself, in the language of the templates."""
    said = environment.get_template("words/site.j2").make_module({})
    return Words({kind: str(said.admonition(kind)) for kind in ADMONITIONS}, str(said.anchor()))


def address(base_url: str, out: str) -> str:
    """Where a page stands on the web; empty where nobody said it."""
    return f"{base_url}{out.removesuffix('index.html')}" if base_url else ""
