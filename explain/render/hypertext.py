"""HTML: sentences with code and formulas in them, MathML, highlighted code."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from html import escape
from typing import Any

from explain.errors import ExplainError
from explain.render.breaks import continued, sides, terms, width
from explain.render.listing import numbered_lines

OPEN, CLOSE = "\ue000", "\ue001"
"""Around a formula in a sentence, until the sentence is set: no sentence holds these characters."""
PARTS = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}|`` (.+?) ``|`([^`]+)`", re.DOTALL)
AFTER = re.compile(r"[,.;:!?)\]，。；：、！？）》」”]+")
"""Punctuation that no line may begin with; browsers know that of words, but not of formulas."""
WIDE = 28
"""In signs: what fits on a telephone. Where there is more room, a browser breaks later or not at all."""
LONG = 20
"""Characters of a name that a cell of a table holds in one line."""
MACROS = {"substack": r"\begin{gathered}#1\end{gathered}"}


def inline(tex: str) -> str:
    """A formula as it stands in a sentence that ``prose`` will set."""
    return f"{OPEN}{tex}{CLOSE}"


@lru_cache(8_192)
def prose(text: str) -> str:
    """A sentence as HTML: formulas as MathML, what stands in backticks as code, the rest escaped."""
    found, at = [], 0
    for part in PARTS.finditer(text):
        found.append(escape(text[at : part.start()], quote=False))
        at = part.end()
        if part[1] is None:
            found.append(f"<code>{escape(part[2] or part[3], quote=False)}</code>")
            continue
        *first, last = map(mathml, parts(part[1]))
        if after := AFTER.match(text, at):
            last, at = joined(last, after[0]), after.end()
        found.append("<wbr>".join([*first, last]))
    found.append(escape(text[at:], quote=False))
    return "".join(found)


def joined(formula: str, punctuation: str) -> str:
    """A formula with what must stand on the same line."""
    return f'<span class="joined">{formula}{punctuation}</span>'


def mathml(tex: str, display: bool = False) -> str:
    """A formula as MathML, with its LaTeX as annotation. Raises ExplainError for what is no formula: a fault of ours."""
    return _converted(tex, display)


def parts(tex: str) -> list[str]:
    """The parts of a wide formula between which a line may be broken: before = and ≈, in a wide part before its + and −
    and ⊙, and in a term that is still wide before those inside of its parentheses."""
    if width(tex) <= WIDE:
        return [tex]
    first, *others = [part for side in sides(tex) for part in ([side] if width(side) <= WIDE else terms(side, WIDE))]
    return [first, *map(continued, others)]


@lru_cache(8_192)
def displayed(tex: str) -> str:
    """A formula on a line of its own. A wide one is set in parts, between which a browser may break the line."""
    found = [mathml(part, True) for part in parts(tex)]
    whole = "<wbr>".join(found)
    return whole if len(found) == 1 else whole.replace('<math display="block">', '<math displaystyle="true">')


@cache
def _converter() -> Any:
    import math_core

    return math_core.LatexToMathML(fancy_error=False, macros=MACROS, annotation=True)


@lru_cache(20_000)
def _converted(tex: str, display: bool) -> str:
    import math_core

    try:
        found = str(_converter().convert_with_local_state(tex, displaystyle=display))
    except math_core.LatexError as error:
        raise ExplainError(f"a formula cannot be set as MathML ({error}): {tex}") from None
    return found.replace("&ApplyFunction;", "\u2061").replace(">⊙</mo>", ' largeop="false">⊙</mo>')


@lru_cache(1_000)
def highlighted(code: str) -> str:
    """Python code with its words marked by classes; lines as they are."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(code, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True)))


def numbered(code: str) -> list[dict[str, Any] | None]:
    """The lines of a program with their numbers, highlighted; None for a gap."""
    lines = highlighted(code).split("\n")
    return [item and {"number": item[0], "html": lines[item[0] - 1]} for item in numbered_lines(code)]


def breaking(name: str) -> str:
    """A long name in camel case as HTML, with places where a line may be broken."""
    text = escape(name, quote=False)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "<wbr>", text) if len(name) > LONG else text


def bare(text: str) -> str:
    """A sentence without its marks: for the title of a window."""
    return text.replace(OPEN, "").replace(CLOSE, "").replace("`", "")


FILTERS: dict[str, Callable[..., Any]] = {
    "prose": prose, "inline": inline, "displayed": displayed, "highlighted": highlighted,
    "numbered": numbered, "bare": bare, "breaking": breaking,
}  # fmt: skip
