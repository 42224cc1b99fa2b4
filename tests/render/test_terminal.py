"""Lines of a terminal page: broken at spaces and beside wide characters, in columns."""

from __future__ import annotations

import pytest

from explain.errors import columns
from explain.render.terminal import wrapped

WRAPPED = [
    ("a bb ccc dddd", 8, "a bb ccc\ndddd"),
    ("  one two three", 9, "  one two\n  three"),
    ("- one two three", 9, "- one two\n  three"),
    ("averyveryverylongword b", 8, "averyveryverylongword\nb"),
    ("梯度是一个向量。", 10, "梯度是一个\n向量。"),
    ("梯度是一个。向量", 10, "梯度是一\n个。向量"),
    ("由 out 回到 x。", 10, "由 out 回\n到 x。"),
    ("", 10, ""),
]


@pytest.mark.parametrize(("text", "wide", "shown"), WRAPPED)
def test_wrapped(text: str, wide: int, shown: str) -> None:
    assert wrapped(text, wide) == shown
    assert all(columns(line) <= wide or " " not in line.strip() for line in shown.splitlines())
