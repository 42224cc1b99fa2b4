"""The lines of a program as a page shows them: with their numbers in the reader's text, several empty lines as one gap."""

from __future__ import annotations


def numbered_lines(code: str) -> list[tuple[int, str] | None]:
    """(number, line) of every line that says something, and None for a gap between them."""
    found: list[tuple[int, str] | None] = []
    for number, line in enumerate(code.rstrip().split("\n"), 1):
        if line.strip():
            found.append((number, line))
        elif found and found[-1] is not None:
            found.append(None)
    return found
