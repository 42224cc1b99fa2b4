"""Where a formula in LaTeX may be broken into lines, and about how wide it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf

TOKENS = re.compile(
    r"\\begin\{|\\end\{|\\(?:left|right)(?![a-z])\\?[.|<>]?|[{}()\[\]]"
    r"|(?P<relation> = | \\approx )|(?P<sign> \+ | - | \\odot )"
)


def sides(tex: str) -> list[str]:
    """The formula cut before each = or ≈ that stands in no bracket, with the first relation in its first part."""
    return _cut(tex, [at for kind, at, depth in _places(tex) if kind == "relation" and not depth][1:])


def terms(tex: str, most: float = inf) -> list[str]:
    """The formula cut before each +, − or ⊙ that stands in no bracket; a part with more than ``most`` signs is cut
    inside its parentheses too, the outer ones first."""
    signs = [(at, depth) for kind, at, depth in _places(tex) if kind == "sign"]
    cuts: list[int] = []
    for level in sorted({depth for _, depth in signs}):
        wide = [(a, b) for a, b in _spans(tex, cuts) if not level or width(tex[a:b]) > most]
        cuts = sorted([*cuts, *(at for at, depth in signs if depth == level and any(a < at < b for a, b in wide))])
    return _cut(tex, cuts)


def width(tex: str) -> int:
    """About how many signs wide a formula is: of a matrix its widest row counts once."""
    flat = re.sub(
        r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", lambda m: max(m[1].split(r"\\"), key=len).replace("&", "  "), tex
    )
    flat = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: max(m[1], m[2], key=len), flat)
    flat = re.sub(r"\\(?:mathrm|text|bar|overline|operatorname|left|right|big|Bigl|Bigr)\b", "", flat)
    flat = re.sub(r"\\[a-zA-Z]+", "x", flat)
    return len(re.sub(r"[{}_^\\ ]", "", flat))


def _places(tex: str) -> Iterator[tuple[str, int, int]]:
    """The signs that stand in no bracket but parentheses: their kind, where they begin, in how many parentheses."""
    around: list[str] = []
    for token in TOKENS.finditer(tex):
        word = token[0]
        if token.lastgroup:
            if all(bracket == "(" for bracket in around):
                yield token.lastgroup, token.start(), len(around)
        elif word == "\\begin{":
            around += [word, "{"]  # the brace around its name closes at once
        elif word == "\\end{":
            around[-1:] = ["{"]
        elif word.startswith("\\left") or word in "{([":
            around.append(word)
        elif word.startswith("\\right") or word in "})]":
            del around[-1:]


def _spans(tex: str, cuts: list[int]) -> list[tuple[int, int]]:
    return list(zip([0, *cuts], [*cuts, len(tex)], strict=True))


def _cut(tex: str, cuts: list[int]) -> list[str]:
    return [tex[a:b] for a, b in _spans(tex, cuts)]
