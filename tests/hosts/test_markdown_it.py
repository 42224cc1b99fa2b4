"""The markdown-it plugin on its own: as others use it, without a site around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from explain.embed.cache import Cache
from explain.embed.core import Embedder
from explain.errors import InputError
from explain.hosts.markdown_it import explain_plugin
from tests.hosts.guides import snippets


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    return Embedder(Cache(tmp_path))


def test_a_fence_becomes_its_derivation_and_other_fences_stay(embedder: Embedder) -> None:
    md = MarkdownIt().use(explain_plugin, embedder=embedder, show="answer", lang="zh")
    text = md.render("```explain\n#| at: x=[1,2]\nsum(x*x)\n```\n\n```py\nsum(x*x)\n```\n")
    assert "x.grad = tensor([2., 4.])" in text and '<section class="explain embedded">' in text
    assert '<code class="language-py">sum(x*x)' in text and "自动微分" in text


def test_a_formula_inside_a_sentence(embedder: Embedder) -> None:
    text = MarkdownIt().use(explain_plugin, embedder=embedder).render("It is {explain: sum(x*x); x=[1,2]} here, not {this}.")
    assert text.startswith("<p>It is <math>") and text.rstrip().endswith("</math> here, not {this}.</p>")
    assert text.count("<math") == 1


def test_blocks_continue_each_other_and_have_anchors_of_their_own(embedder: Embedder) -> None:
    first = "```explain name=a\nimport torch\nx = torch.ones(2, requires_grad=True)\n(x*x).sum().backward()\n```\n\n"
    text = (
        MarkdownIt()
        .use(explain_plugin, embedder=embedder)
        .render(f"{first}```explain after=a\n(3*x).sum().backward()\n```\n")
    )
    ids = re.findall(r' id="([^"]*)"', text)
    assert {"step-a-1-1", "step-d2-1-1"} <= set(ids) and len(ids) == len(set(ids))


FAULTS = {
    "option": ("text\n\n```explain colour=red\nsum(x)\n```\n", "no option 'colour'"),
    "claim": ("```explain\n#| at: x=[1]\n#| claim: out wrt x = 3*x\nsum(x*x)\n```\n", "page.md:3: explain: the claim"),
    "inline": ("a {explain: sum(x*)} b", "page.md:1: explain: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_raised_or_reported_never_passed_over(name: str, embedder: Embedder) -> None:
    text, words = FAULTS[name]
    with pytest.raises(InputError) as caught:
        MarkdownIt().use(explain_plugin, embedder=embedder).render(text, {"source": "page.md"})
    assert words in str(caught.value)
    found: list[object] = []
    html = MarkdownIt().use(explain_plugin, embedder=embedder, report=found.append).render(text, {"source": "page.md"})
    assert [words in str(problem) for problem in found] == [True] and html.strip()


def test_the_snippets_of_the_guide(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAIN_CACHE", str(embedder.cache.folder if embedder.cache else ""))
    known: dict[str, Any] = {}
    for language, text in snippets("markdown-it"):
        assert language == "py"
        exec(text, known)
        if "found" not in known:
            assert "tensor([2., 4.])" in known["html"] and known["html"].startswith("<p>The gradient of a square: <math")
    assert str(known["found"][0]).startswith("lesson.md:2: explain: ") and ".explain.guest" in known["css"]
