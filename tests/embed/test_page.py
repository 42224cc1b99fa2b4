"""The blocks of a page in their order: what they continue, their anchors, closed forms in a line, and trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explain.embed.cache import Cache
from explain.embed.core import Embedder, Problem
from explain.embed.page import Page
from explain.embed.place import BlockError

PROGRAM = "x = torch.ones(2, requires_grad=True)\ny = (x**2).sum()\ny.backward()"


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    return Embedder(Cache(tmp_path))


def test_blocks_continue_each_other_and_have_anchors(embedder: Embedder) -> None:
    page = Page(embedder, "page.md")
    first = page.block(f"#| name: start\n{PROGRAM}", line=3)
    second = page.block("#| after: start\nz = (x**3).sum()\nz.backward()", line=10)
    assert 'id="step-start-1-1"' in first.text and 'id="step-d2-1-1"' in second.text


def test_faults_are_reported_or_raised(embedder: Embedder) -> None:
    found: list[Problem] = []
    page = Page(embedder, "page.md", found.append)
    page.block("#| colour: red\nx", line=3)
    page.block("#| at: x=[1]\n#| claim: out wrt x = 3*x\nsum(x**2)", line=7)
    page.block(f"#| name: a\n{PROGRAM}", line=12)
    page.block(f"#| name: a\n{PROGRAM}", line=18)
    assert [(problem.line, problem.claim) for problem in found] == [(3, None), (8, 0), (19, None)]
    with pytest.raises(BlockError, match=r"page\.md:3: .*no option 'colour'"):
        Page(embedder, "page.md").block("#| colour: red\nx", line=3)


@pytest.mark.parametrize(("format", "part"), [("html", "<math"), ("md", "4\\,x`$"), ("tex", "4")])
def test_closed_forms_in_a_line(embedder: Embedder, format: str, part: str) -> None:
    shown = Page(embedder, "page.md", format=format).inline("2*dot(x, x); x=[0, 1]", line=1)
    assert shown.ok and part in shown.text and "\n" not in shown.text.strip()


def test_no_closed_form_is_no_text(embedder: Embedder) -> None:
    found: list[Problem] = []
    assert Page(embedder, "page.md", found.append).inline("foo(x)", line=4).text == ""
    assert found[0].line == 4


def test_a_page_as_a_tree(embedder: Embedder) -> None:
    nodes = json.loads(Page(embedder, "page.md", format="tree").block("sum(x**2); x=[1, 2]", line=1).text)
    kinds = {node[0] for node in nodes}
    assert {"math_block", "table", "rubric", "paragraph", "target", "details"} <= kinds | _inner(nodes)
    assert "html" not in kinds
    ((_, drawn, words),) = (node for node in nodes if node[0] == "picture")
    assert set(drawn) == {"html", "latex"} and drawn["html"].startswith("<figure") and words[0][0] == "paragraph"


def _inner(nodes: list[list[object]]) -> set[str]:
    found: set[str] = set()
    for kind, _, children in nodes:
        found.add(str(kind))
        if isinstance(children, list):
            found |= _inner([child for child in children if isinstance(child, list)])
    return found
