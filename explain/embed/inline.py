"""Expressions with their values in one line: ``2*dot(x, x); x=[0, 1, 2, 3]``."""

from __future__ import annotations

BRACKETS = {"(": ")", "[": "]", "{": "}"}


def split_inline(text: str) -> tuple[str, list[str]]:
    """The expression, and the values that follow it after semicolons, as ``--at`` takes them."""
    first, *rest = split_values(text)
    return first, [part for part in rest if part]


def split_values(text: str) -> list[str]:
    """The parts between semicolons that stand in no brackets and no string."""
    parts, depth, quote, start = [], 0, "", 0
    for k, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in BRACKETS:
            depth += 1
        elif c in BRACKETS.values():
            depth -= 1
        elif c == ";" and depth <= 0:
            parts.append(text[start:k].strip())
            start = k + 1
    parts.append(text[start:].strip())
    return parts
