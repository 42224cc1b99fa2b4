"""Where an error is shown: carets under the very characters, whatever they are."""

from __future__ import annotations

import pytest

from explain.errors import InputError, Place

MARKED = [  # text, start, end, what is shown
    ("2*tahn(x)", 2, 6, "  2*tahn(x)\n    ^^^^"),
    ("a +\n b + c", 9, 10, "   b + c\n       ^"),
    ("x", 1, 2, "  x\n   ^"),
    ("数据+y", 3, 4, "  数据+y\n       ^"),
    ("数据+y", 0, 2, "  数据+y\n  ^^^^"),
    ("\tx y", 3, 4, "   x y\n     ^"),
    ("", 0, 0, "  \n  ^"),
]


@pytest.mark.parametrize(("text", "start", "end", "shown"), MARKED)
def test_carets(text: str, start: int, end: int, shown: str) -> None:
    assert Place(text, start, end).marked() == shown


@pytest.mark.parametrize("start", [0, 30, 150, 290])
def test_long_lines_are_cut_around_the_place(start: int) -> None:
    text = "".join(chr(97 + k % 26) for k in range(300))
    line, carets = Place(text, start, start + 5).marked().split("\n")
    assert len(line) <= 104
    at = carets.index("^")
    assert line[at : at + 5] == text[start : start + 5]


def test_an_error_says_where_what_and_what_would_work() -> None:
    error = InputError("unknown function 'tahn'", Place("tahn(x)", 0, 4), "did you mean 'tanh'?")
    assert str(error) == "expression: unknown function 'tahn'\n  tahn(x)\n  ^^^^\ndid you mean 'tanh'?"
    assert error.exit_code == 2
