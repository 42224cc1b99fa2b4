"""Where blocks stand in pages: their text, their lines, and what only looks like one."""

from __future__ import annotations

import pytest

from explain.embed.fence import read_fence
from explain.embed.scan import scan

FOUND = [  # form, page, (line, body, info) of its blocks
    ("md", "a\n\n```explain detail=brief\nx**2\n```\n", [(4, "x**2", "detail=brief")]),
    ("md", "~~~~ explain\nx\n~~~\ny\n~~~~\nend", [(2, "x\n~~~\ny", "")]),
    ("md", "- item\n\n    ```explain\n    x\n      y\n    ```\n", [(4, "x\n  y", "")]),
    ("md", "!!! note\n    ```explain\n    x\n    ```\n", [(3, "x", "")]),
    ("md", "> ```explain\n> x\n> ```\n", [(2, "x", "")]),
    ("md", "1. ```explain\n   x\n   ```\n", [(2, "x", "")]),
    (
        "md",
        "```{explain}\n:detail: brief\n:claim: out wrt x = 1\nx\n```",
        [(2, "#| detail: brief\n#| claim: out wrt x = 1\nx", "")],
    ),
    ("md", ":::{explain} 2*x; x=1\n:::\n", [(1, "2*x; x=1", "")]),
    ("md", "```explain\nx", [(2, "x", "")]),
    ("md", "````md\n```explain\nx\n```\n````\n", []),
    ("md", "text\n\n    ```explain\n    x\n    ```\n", []),
    ("md", "<!--\n```explain\nx\n```\n-->\n", []),
    ("md", "```explainer\nx\n```\n```py\n{explain: x}\n```\n", []),
    (
        "md",
        "a\nb {explain: f({x}); x=1} `{explain: y}` c\n``{explain: `z`}`` {explain: w}",
        [(2, "f({x}); x=1", ""), (3, "w", "")],
    ),
    ("rst", "a\n\n.. explain::\n   :detail: brief\n\n   x**2\n\n   y\n\nb\n", [(4, "#| detail: brief\n\nx**2\n\ny", "")]),
    ("rst", "* .. explain:: x\n\na :explain:`2*x; x=1` b\n", [(3, "2*x; x=1", "")]),
    ("rst", "  .. explain:: 2*x; x=1\n  b", [(1, "2*x; x=1", "")]),
]


@pytest.mark.parametrize(("form", "page", "blocks"), FOUND)
def test_blocks_of_a_page(form: str, page: str, blocks: list[tuple[int, str, str]]) -> None:
    assert [(b.line, b.body, b.info) for b in scan(page, form)] == blocks


def test_a_block_knows_its_stretch() -> None:
    page = "before\n```explain\nx\n```\nafter {explain: y} end\n"
    assert [page[b.start : b.end] for b in scan(page)] == ["```explain\nx\n```", "{explain: y}"]


def test_the_text_of_a_page_without_a_last_line_end() -> None:
    page = "before\n```explain\nx\n```"
    (block,) = scan(page)
    assert page[block.start : block.end] == "```explain\nx\n```"


def test_several_values_in_one_option() -> None:
    fence = read_fence("#| at: x=[1, 2]; y=3\n#| claim: out wrt x = y; out = 'a;b'\nx*y", source="p", line=1)
    assert fence.options["at"] == ("x=[1, 2]", "y=3")
    assert [(str(c), c.line) for c in fence.claims] == [("out wrt x = y", 2), ("out = 'a;b'", 2)]
