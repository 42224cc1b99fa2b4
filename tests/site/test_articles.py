"""Articles, guides and gallery: every program of the seeds stands in the article of its subject, in both languages, as
something that runs; and both languages have the same programs, options and formulas. That they are right, the site's build
checks."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from explain.embed.scan import scan

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
SEEDS: list[dict[str, Any]] = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "tests" / "seeds").glob("*.json"))
]
ARTICLES = {"s000": "gradients", "s001": "autograd", "s002": "computing", "s003": "vector-functions", "s004": "mechanism"}
LANGUAGES = ("en", "zh")
FENCE = re.compile(r"^```explain[^\n]*\n.*?^```$", re.M | re.S)
OPTION = re.compile(r"#\| *([\w-]+): *(.*)")
HAN = re.compile(r"[\u4e00-\u9fff]")


class Block:
    """A fence of a page: its options and its code, with the code of those that it continues."""

    def __init__(self, info: str, body: str, named: dict[str, Block]) -> None:
        self.options: list[tuple[str, str]] = [(n, v) for word in info.split() for n, _, v in [word.partition("=")]]
        lines = body.splitlines()
        while lines and (option := OPTION.match(lines[0])):
            self.options.append((option[1], option[2]))
            lines.pop(0)
        self.own = "\n".join(lines)
        said = dict(self.options)
        self.code = f"{named[said['after']].code}\n{self.own}" if "after" in said else self.own
        self.claims = [value for name, value in self.options if name == "claim"]
        if "name" in said:
            named[said["name"]] = self


def blocks(page: Path) -> list[Block]:
    named: dict[str, Block] = {}
    found = scan(page.read_text(encoding="utf-8"))
    return [Block(block.info, block.body, named) for block in found if not block.inline]


def plain(code: str) -> str:
    """The program without comments and layout."""
    return ast.dump(ast.parse(code))


def pages(lang: str) -> list[Path]:
    """All pages, by their place below the language."""
    return sorted(p.relative_to(SITE / lang) for p in (SITE / lang).rglob("*.md"))


def gallery() -> list[Path]:
    return [page for page in pages("en") if page.parts[0] == "gallery" and page.name != "index.md"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("document", ARTICLES)
def test_every_seed_program_is_in_its_article(document: str, lang: str) -> None:
    found = {plain(block.code) for block in blocks(SITE / lang / "articles" / f"{ARTICLES[document]}.md")}
    wanted = {seed["id"]: plain(seed["program"]) for seed in SEEDS if seed["id"].startswith(document)}
    assert len(wanted) > 10
    assert [name for name, program in wanted.items() if program not in found] == []


def test_no_seed_is_of_no_article() -> None:
    assert {seed["id"][:4] for seed in SEEDS} == set(ARTICLES)


@pytest.mark.parametrize("article", ARTICLES.values())
def test_the_formulas_of_an_article_are_claimed(article: str) -> None:
    assert sum(len(block.claims) for block in blocks(SITE / "en" / "articles" / f"{article}.md")) >= 3


@pytest.mark.parametrize("page", gallery(), ids=str)
def test_a_page_of_the_gallery_claims_its_formula(page: Path) -> None:
    assert any(" wrt " in claim for block in blocks(SITE / "en" / page) for claim in block.claims)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_gallery_lists_every_page(lang: str) -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (SITE / lang / "gallery" / "index.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.name for page in gallery()]
    assert len(listed) >= 24


@pytest.mark.parametrize("page", pages("en"), ids=str)
def test_twin_pages_run_the_same(page: Path) -> None:
    en, zh = (blocks(SITE / lang / page) for lang in LANGUAGES)
    assert [block.options for block in zh] == [block.options for block in en]
    assert [plain(block.own) for block in zh] == [plain(block.own) for block in en]


def test_every_page_has_its_twin() -> None:
    assert pages("en") == pages("zh")


@pytest.mark.parametrize("page", pages("zh"), ids=str)
def test_chinese_pages_are_in_chinese(page: Path) -> None:
    text = FENCE.sub("", (SITE / "zh" / page).read_text(encoding="utf-8"))
    assert HAN.search(text.partition("---\n")[2].partition("---\n")[0]), "the title, too"
    assert len(HAN.findall(text)) > 50
