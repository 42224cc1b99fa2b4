"""Expressions with their values in one line: ``2*dot(x, x); x=[0, 1, 2, 3]``."""

from __future__ import annotations

BRACKETS = {"(": ")", "[": "]", "{": "}"}


def split_inline(text: str) -> tuple[str, list[str]]:
    """The expression, and the values that follow it after semicolons, as ``--at`` takes them."""
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
    return parts[0], [part for part in parts[1:] if part]
