"""Where lines of the source end, in the languages that put no space there."""

from __future__ import annotations

import pytest

from explain.embed.core import Embedder
from explain.site.markdown import Markdown, Words

LINES = [  # source, paragraph
    ("两行\n文字", "两行文字"),
    ("一句。\n又一句", "一句。又一句"),
    ("先说*这个*\n再说", "先说<em>这个</em>再说"),
    ("代码\n`x`", "代码\n<code>x</code>"),
    ("two\nlines", "two\nlines"),
]


@pytest.mark.parametrize(("source", "paragraph"), LINES)
def test_lines_of_chinese_join(source: str, paragraph: str) -> None:
    body = Markdown(Words({}, ""), Embedder()).body(source, "page.md", "title")
    assert f"<p>{paragraph}</p>" in body.html


def test_punctuation_stays_with_the_formula_before_it() -> None:
    body = Markdown(Words({}, ""), Embedder()).body("公式 $x$，\n再说 $y$ 与 $z$。", "page.md", "title")
    assert body.html.count('<span class="joined"><math') == 2
    assert "</math>，</span>再说 <math" in body.html and "</math> 与" in body.html and "</math>。</span></p>" in body.html
