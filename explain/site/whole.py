"""What is made of all pages together: the text that search looks through, the sitemap, the feed of changes, the door."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from explain.site.frame import HTML_LANGUAGES, NAMES, address
from explain.site.piece import Section
from explain.site.settings import Settings
from explain.site.sources import Page


def search_script(pages: Iterable[tuple[Page, Sequence[Section]]]) -> str:
    """The sections of all pages of a language, as a script: a page opened from a disk may load nothing else."""
    named, sections = [], []
    for number, (page, found) in enumerate(pages):
        named.append([page.out, page.title])
        sections += [[number, s.anchor, s.heading, s.text] for s in found or [Section("", "", "")]]
    data = json.dumps({"pages": named, "sections": sections}, ensure_ascii=False, separators=(",", ":"))
    return f"window.explainSearch = {data};\n"


def sitemap(pages: Sequence[Page], twins: Mapping[str, Mapping[str, Page]], base: str) -> str:
    """sitemap.xml, with the twins of every page."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">',
    ]
    for page in pages:
        changed = page.updated or page.date
        lines.append(f"<url><loc>{escape(address(base, page.out))}</loc>")
        if changed:
            lines.append(f"<lastmod>{changed}</lastmod>")
        both = twins[page.inner]
        for lang in sorted(both) if len(both) > 1 else ():
            href = escape(address(base, both[lang].out))
            lines.append(f'<xhtml:link rel="alternate" hreflang="{HTML_LANGUAGES.get(lang, lang)}" href="{href}"/>')
        lines.append("</url>")
    return "\n".join([*lines, "</urlset>", ""])


def feed(pages: Sequence[Page], lang: str, settings: Settings, path: str) -> str:
    """The feed of changes in one language: pages that say when they were written or updated, the last first."""
    dated = sorted([p for p in pages if p.date or p.updated], key=lambda p: p.path)
    dated.sort(key=lambda p: p.updated or p.date, reverse=True)
    base, title = settings.base_url, settings.titles[lang]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{HTML_LANGUAGES.get(lang, lang)}">',
        f"<title>{escape(title)}</title>",
        f"<id>{escape(base + path)}</id>",
        f'<link rel="self" href="{escape(base + path)}"/>',
        f'<link href="{escape(address(base, settings.home(lang) + "index.html"))}"/>',
        f"<updated>{(dated[0].updated or dated[0].date)}T00:00:00Z</updated>",
        f"<author><name>{escape(title)}</name></author>",
    ]
    for page in dated:
        where = escape(address(base, page.out))
        lines += [
            f"<entry><title>{escape(page.title)}</title><id>{where}</id>",
            f'<link href="{where}"/><updated>{page.updated or page.date}T00:00:00Z</updated>',
            f"<published>{page.date or page.updated}T00:00:00Z</published>",
            f"<summary>{escape(page.description)}</summary></entry>",
        ]
    return "\n".join([*lines, "</feed>", ""])


def door(settings: Settings) -> str:
    """The page in front of several languages: it leads to the reader's own, without a script to the first."""
    langs = settings.languages
    title = escape(settings.titles[langs[0]])
    links = " · ".join(
        f'<a href="{lang}/index.html" lang="{HTML_LANGUAGES.get(lang, lang)}">{NAMES[lang]}</a>' for lang in langs
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{HTML_LANGUAGES.get(langs[0], langs[0])}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n"
        "<script>\n"
        f"const known = {json.dumps(langs)};\n"
        "const wanted = navigator.languages.map((l) => l.slice(0, 2)).find((l) => known.includes(l));\n"
        'location.replace((wanted || known[0]) + "/index.html" + location.hash);\n'
        "</script>\n"
        f'<noscript><meta http-equiv="refresh" content="0; url={langs[0]}/index.html"></noscript>\n'
        f"</head>\n<body>\n<p>{links}</p>\n</body>\n</html>\n"
    )
