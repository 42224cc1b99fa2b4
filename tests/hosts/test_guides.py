"""The guides of the hosts: both languages say the same code, and no block of a page costs its host much."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from explain.embed.cache import Cache
from explain.embed.core import Embedder
from explain.embed.options import OPTIONS
from explain.embed.page import Page
from tests.hosts.guides import SITE, snippets

HOSTS = sorted(path.stem for path in (SITE / "en" / "guides" / "hosts").glob("*.md") if path.stem != "index")


@pytest.mark.parametrize("host", HOSTS)
def test_both_languages_have_the_same_snippets(host: str) -> None:
    assert snippets(host, "en") == snippets(host, "zh")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_overview_has_every_host_and_every_option(lang: str) -> None:
    text = (SITE / lang / "guides" / "embedding.md").read_text("utf-8")
    assert all(f"(hosts/{host}.md)" in text for host in HOSTS)
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == list(OPTIONS)


@pytest.mark.parametrize("format", ["html", "md", "tree"])
def test_a_block_that_is_kept_costs_less_than_two_milliseconds(tmp_path: Path, format: str) -> None:
    embedder = Embedder(Cache(tmp_path))
    body = "#| at: A=[[1,2],[3,4]]; x=[1,1]; b=[1,0]\n#| claim: out wrt x = 2*A.T@(A@x - b)\nsum((A@x - b)**2)"
    times = []
    for _ in range(30):
        page = Page(embedder, "page.md", format=format)
        start = time.perf_counter()
        page.block(body, line=2)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.002
