"""What a site is made of: pages in Markdown with what stands in their front matter, and other files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from explain.errors import InputError
from explain.render.words import LANGUAGES
from explain.site.problems import Problem
from explain.site.settings import FILE, Settings

KEYS = ("title", "description", "order", "language", "date", "updated", "listed")
HEADING = re.compile(r"^# +(.+?)(?: +#+)?(?: +\{#[\w-]+\})? *$", re.MULTILINE)
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1`*~* *$", re.MULTILINE | re.DOTALL)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
SWITCH = {"yes": True, "true": True, "no": False, "false": False}


class Page(NamedTuple):
    """A page before it is rendered. ``path``: in SRC, with slashes; ``lang``: whose folder it stands in; ``inner``: the path
    inside that folder; ``text``: the whole file, its front matter emptied, so that lines keep their numbers; ``language``:
    what it is written in; ``listed``: whether its folder's pages stand in the contents; ``op``: of a generated page, what
    it is about; ``hidden``: only links lead to it, neither contents nor search."""

    path: str
    lang: str
    inner: str
    text: str
    title: str
    language: str
    description: str = ""
    order: float = 1e9
    date: str = ""
    updated: str = ""
    listed: bool = True
    op: str = ""
    hidden: bool = False

    @property
    def out(self) -> str:
        """The path of its HTML."""
        return f"{self.path.removesuffix('.md')}.html"


class Sources(NamedTuple):
    """Pages and other files (path to digest) in the order of their paths, and what is wrong with front matters."""

    pages: tuple[Page, ...]
    files: Mapping[str, str]
    problems: tuple[Problem, ...]
    digest: str


def read_sources(src: Path, settings: Settings, out: Path) -> Sources:
    """Everything below SRC except names that begin with a dot or an underscore, and the output folder."""
    pages: list[Page] = []
    files: dict[str, str] = {}
    problems: list[Problem] = []
    whole = hashlib.sha256()
    for path in sorted(_walk(src, out.resolve())):
        try:
            data = (src / path).read_bytes()
        except OSError as error:
            raise InputError(f"{src / path} cannot be read: {error.strerror}") from None
        digest = hashlib.sha256(data).hexdigest()
        whole.update(f"{path}\0{digest}\n".encode())
        lang = _language_of(path, settings)
        if not path.endswith(".md") or lang is None:
            if path not in (FILE, settings.math_font):
                files[path] = digest
            continue
        try:
            page, found = read_page(path, data.decode("utf-8-sig"), lang, settings.home(lang))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            problems.append(Problem(path, line, "this page is not written in UTF-8"))
            continue
        pages.append(page)
        problems += found
    return Sources(tuple(pages), files, tuple(problems), whole.hexdigest())


def _walk(src: Path, out: Path) -> Iterator[str]:
    for folder, names, files in os.walk(src):
        here = Path(folder)
        names[:] = [n for n in names if n[0] not in "._" and (here / n).resolve() != out]
        for name in files:
            if name[0] not in "._":
                yield (here / name).relative_to(src).as_posix()


def _language_of(path: str, settings: Settings) -> str | None:
    """The language of a page; None for what lies outside the folders of all languages."""
    if not settings.languages:
        return settings.language
    first, slash, _ = path.partition("/")
    return first if slash and first in settings.languages else None


def read_page(path: str, text: str, lang: str, home: str = "") -> tuple[Page, list[Problem]]:
    """A page and what is wrong with its front matter."""
    text = text.replace("\r\n", "\n")
    front, body, problems = _front_matter(path, text)
    heading = HEADING.search(FENCED.sub("", body))
    stem = path.rpartition("/")[2].removesuffix(".md")
    order = front.get("order", "")
    if order and not re.fullmatch(r"-?\d+(\.\d+)?", order):
        problems.append(Problem(path, _line_of(text, "order"), f"order is a number, not {order!r}"))
        order = ""
    for key in ("date", "updated"):
        if front.get(key) and not DATE.fullmatch(front[key]):
            problems.append(Problem(path, _line_of(text, key), f"{key} is written 2026-01-31, not {front[key]!r}"))
            front[key] = ""
    if front.get("language", lang) not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        problems.append(Problem(path, _line_of(text, "language"), f"language is one of {known}, not {front['language']!r}"))
        front["language"] = ""
    if front.get("listed", "yes") not in SWITCH:
        problems.append(Problem(path, _line_of(text, "listed"), f"listed is true or false, not {front['listed']!r}"))
        front["listed"] = "yes"
    page = Page(
        path=path,
        lang=lang,
        inner=path.removeprefix(home),
        text=body,
        title=front.get("title") or (_plain(heading[1]) if heading else stem.replace("-", " ").capitalize()),
        language=front.get("language") or lang,
        description=front.get("description", ""),
        order=float(order) if order else 1e9,
        date=front.get("date", ""),
        updated=front.get("updated", ""),
        listed=SWITCH[front.get("listed", "yes")],
    )
    return page, problems


def _front_matter(path: str, text: str) -> tuple[dict[str, str], str, list[Problem]]:
    if text.startswith("+++\n"):
        return (
            {},
            text,
            [Problem(path, 1, "front matter stands between lines --- and has lines KEY: VALUE; +++ (TOML) is not read")],
        )
    if not text.startswith("---\n"):
        return {}, text, []
    end = text.find("\n---\n", 3)
    if end < 0:
        return {}, text, [Problem(path, 1, "the front matter that begins here has no line --- that ends it")]
    found: dict[str, str] = {}
    problems = []
    last = ""
    for number, line in enumerate(text[4:end].split("\n"), 2):
        key, colon, value = line.partition(":")
        value = value.strip()
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t" or re.match(r"-(\s|$)", line):  # a list or a table, as YAML has them: part of the key above
            if last in KEYS:
                problems.append(Problem(path, number, f"{last} is one text on its own line, not {line.strip()!r} below it"))
            continue
        last = key = key.strip()
        if not colon:
            problems.append(Problem(path, number, f"front matter has lines KEY: VALUE, not {line!r}"))
        elif key not in KEYS:
            problems.append(Problem(path, number, _unknown(key), warning=True))
        else:
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
            found[key] = value[1:-1] if quoted else value
    end += len("\n---\n")
    return found, "\n" * text.count("\n", 0, end) + text[end:], problems


def _unknown(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, KEYS, 1)
    return f"front matter says {key!r}, which means nothing here; " + (
        f"did you mean {near[0]}?" if near else f"what is read: {', '.join(KEYS)}"
    )


def _line_of(text: str, key: str) -> int:
    return text.count("\n", 0, text.index(f"\n{key}:") + 1) + 1


def _plain(markdown: str) -> str:
    """A heading without its marks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").replace("*", "").replace("$", "")
