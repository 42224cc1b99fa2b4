"""Where a formula in LaTeX may be broken into lines, and about how wide it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf

TOKENS = re.compile(
    r"\\begin\{|\\end\{|\\(?:left|right)(?![a-z])\\?[.|<>]?|[{}()\[\]]"
    r"|(?P<relation> = | \\approx )|(?P<sign> \+ | - | \\odot )|(?P<factor>(?<=[)}\]]) (?=\\sum|\\begin\{bmatrix))"
)
TALL = re.compile(r"\\(left|right)([()])")
"""Parentheses as high as what they hold."""
NO_FACTOR = re.compile(
    r"(?:\\t?frac\{\d+\}\{\d+\}|\\sqrt\{\d+\}|\\(?:sum|prod|max|min|operatorname\{[^{}]*\})(?:_\{[^{}]*\})?)$"
)
"""What a sum or a matrix is not parted from: a number, another sum, an operator that is applied to it."""
SHORT = 18
"""Signs of parentheses, with what they hold, that are not broken."""


def sides(tex: str) -> list[str]:
    """The formula cut before each = or ≈ that stands in no bracket, with the first relation in its first part."""
    return _cut(tex, [at for kind, at, depth in _places(tex) if kind == "relation" and not depth][1:])


def terms(tex: str, most: float = inf) -> list[str]:
    """The formula cut before each +, − or ⊙ that stands in no bracket; a part with more than ``most`` signs is cut
    before the sums and matrices that are a factor in it, and inside its parentheses where they are long, the outer ones
    first."""
    signs = [
        (at, (depth, kind == "factor")) for kind, at, depth in _places(tex) if kind == "sign" or _is_factor(kind, tex[:at])
    ]
    cuts: list[int] = []
    for level in sorted({(0, False), *(level for _, level in signs)}):
        wide = [(a, b) for a, b in _spans(tex, cuts) if level == (0, False) or width(tex[a:b]) > most]
        cuts = sorted([*cuts, *(at for at, of in signs if of == level and any(a < at < b for a, b in wide))])
    return _cut(tex, cuts)


def continued(part: str) -> str:
    """A further part at the beginning of a line: an empty group before a sign keeps it between two things, and a dot says
    that what begins with a sum or a matrix is a factor of what stands above."""
    factor = part.lstrip()
    return rf"{{}} \cdot {factor}" if factor.startswith((r"\sum", r"\begin{bmatrix}")) else f"{{}}{part}"


def width(tex: str) -> int:
    """About how many signs wide a formula is: of a matrix its widest row counts once, with its brackets."""
    flat = re.sub(
        r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}",
        lambda m: f"[{max(m[1].split(chr(92) * 2), key=len).replace('&', ',,')}]",
        tex,
    )
    flat = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: max(m[1], m[2], key=len), flat)
    flat = re.sub(r"\\(?:mathrm|text|bar|overline|operatorname|left|right|big|Bigl|Bigr)\b", "", flat)
    flat = re.sub(r"\\[a-zA-Z]+", "x", flat)
    return len(re.sub(r"[{}_^\\ ]", "", flat))


def _is_factor(kind: str, before: str) -> bool:
    """Whether it is a sum or a matrix that stands behind a factor."""
    return kind == "factor" and NO_FACTOR.search(before) is None


def _places(tex: str) -> Iterator[tuple[str, int, int]]:
    """The signs that stand in no bracket but long parentheses: their kind, where they begin, in how many parentheses."""
    around: list[tuple[str, int]] = []
    ends: dict[int, int] = {}
    found: list[tuple[str, int, list[int]]] = []
    for token in TOKENS.finditer(tex):
        word = token[0]
        if token.lastgroup:
            if all(bracket in ("(", "\\left") for bracket, _ in around):
                found.append((token.lastgroup, token.start(), [start for _, start in around]))
        elif word == "\\begin{":
            around += [(word, 0), ("{", 0)]  # the brace around its name closes at once
        elif word == "\\end{":
            around[-1:] = [("{", 0)]
        elif word.startswith("\\left") or word in "{([":
            around.append((word, token.start()))
        elif around:
            ends[around.pop()[1]] = token.end()
    for kind, at, starts in found:
        if all(width(tex[start : ends.get(start)]) > SHORT for start in starts):
            yield kind, at, len(starts)


def _spans(tex: str, cuts: list[int]) -> list[tuple[int, int]]:
    return list(zip([0, *cuts], [*cuts, len(tex)], strict=True))


def _cut(tex: str, cuts: list[int]) -> list[str]:
    return [_standing(tex[a:b]) for a, b in _spans(tex, cuts)]


def _standing(part: str) -> str:
    """A part in which high parentheses that were parted from their other half have a height of their own."""
    alone: list[re.Match[str]] = []
    for token in TALL.finditer(part):
        if token[1] == "right" and alone and alone[-1][1] == "left":
            alone.pop()
        else:
            alone.append(token)
    for token in reversed(alone):
        part = f"{part[: token.start()]}\\Bigg{token[1][0]}{token[2]}{part[token.end() :]}"
    return part
