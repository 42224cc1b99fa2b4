"""Expressions with their values in one line."""

from __future__ import annotations

import pytest

from explain.embed.inline import split_inline


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2", ("x**2", [])),
        ("2*dot(x, x); x=[0, 1, 2, 3]", ("2*dot(x, x)", ["x=[0, 1, 2, 3]"])),
        (" einsum('i;j', a) ; a=1;b=2; ", ("einsum('i;j', a)", ["a=1", "b=2"])),
        ("f([1;2])", ("f([1;2])", [])),
    ],
)
def test_split(text: str, expected: tuple[str, list[str]]) -> None:
    assert split_inline(text) == expected
