"""Where a formula in LaTeX may be broken into lines, and about how wide it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

TOKENS = re.compile(
    r"\\begin\{|\\end\{|\\(?:left|right)(?![a-z])\\?[.|<>]?|[{}()\[\]]"
    r"|(?P<relation> = | \\approx )|(?P<sign> \+ | - | \\odot )"
)


def sides(tex: str) -> list[str]:
    """The formula cut before each = or ≈ that stands in no bracket, with the first relation in its first part."""
    cuts = [at for kind, at in _places(tex) if kind == "relation"][1:]
    return _cut(tex, cuts)


def terms(tex: str) -> list[str]:
    """The formula cut before each +, − or ⊙ that stands in no bracket."""
    return _cut(tex, [at for kind, at in _places(tex) if kind == "sign"])


def width(tex: str) -> int:
    """About how many signs wide a formula is: of a matrix its widest row counts once."""
    flat = re.sub(
        r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", lambda m: max(m[1].split(r"\\"), key=len).replace("&", "  "), tex
    )
    flat = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: max(m[1], m[2], key=len), flat)
    flat = re.sub(r"\\(?:mathrm|text|bar|overline|operatorname|left|right|big|Bigl|Bigr)\b", "", flat)
    flat = re.sub(r"\\[a-zA-Z]+", "x", flat)
    return len(re.sub(r"[{}_^\\ ]", "", flat))


def _places(tex: str) -> Iterator[tuple[str, int]]:
    """The signs that stand in no bracket: their kind, and where they begin."""
    depth = 0
    for token in TOKENS.finditer(tex):
        word = token[0]
        if token.lastgroup:
            if depth == 0:
                yield token.lastgroup, token.start()
        elif word == "\\begin{":
            depth += 2  # the brace around its name, which closes at once, and itself
        elif word.startswith("\\left") or word in "{([":
            depth += 1
        elif word.startswith("\\right") or word in "})]":
            depth -= 1
        # an \end closes itself and opens the brace around its name


def _cut(tex: str, cuts: list[int]) -> list[str]:
    return [tex[a:b] for a, b in zip([0, *cuts], [*cuts, len(tex)], strict=True)]
