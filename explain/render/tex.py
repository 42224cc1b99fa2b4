"""LaTeX: sentences with code and formulas in them, escaped for pdflatex; chains of equations broken into lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from explain.render.breaks import continued, sides, terms, width
from explain.render.hypertext import PARTS, bare, inline
from explain.render.listing import numbered_lines

WIDEST = 78
"""About so many signs of a formula fit on a line."""
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "\\textquotedbl{}",
}  # fmt: skip
SIGNS = {
    "⟨": r"$\langle$", "⟩": r"$\rangle$", "ᵀ": r"$^{\top}$", "·": r"$\cdot$", "×": r"$\times$", "→": r"$\to$",
    "←": r"$\leftarrow$", "≈": r"$\approx$", "≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$", "−": "$-$", "–": "--", "—": "---",
    "…": r"\ldots{}", "✓": r"$\checkmark$", "✗": r"$\times$", "∂": r"$\partial$", "Σ": r"$\Sigma$", "∞": r"$\infty$",
    "⋮": r"$\vdots$", "⊙": r"$\odot$", "⊘": r"$\oslash$", "½": r"$\frac12$", "²": "$^2$", "³": "$^3$",
    "“": "``", "”": "''", "‘": "`", "’": "'", "∈": r"$\in$", "√": r"$\surd$", "∇": r"$\nabla$", "°": r"$^\circ$",
    "\u00a0": "~", "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "⌈": r"$\lceil$", "⌉": r"$\rceil$", "∑": r"$\sum$", "ℓ": r"$\ell$",
    "±": r"$\pm$", "∘": r"$\circ$", "⊤": r"$\top$", "ₙ": "$_n$", "ᵢ": "$_i$", "ⱼ": "$_j$", "α": r"$\alpha$",
}  # fmt: skip
SIGNS |= {chr(0x2080 + k): f"$_{k}$" for k in range(10)}
SIGNS |= dict(zip("⁰¹⁴⁵⁶⁷⁸⁹⁻", (f"$^{{{s}}}$" for s in "01456789-"), strict=True))
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau upsilon phi "
    "chi psi omega"
).split()
SIGNS |= {chr(0x3B1 + k): rf"$\{name}$" if name != "omicron" else "o" for k, name in enumerate(GREEK)}
SIGNS |= {chr(0x391 + GREEK.index(n)): rf"$\{n.capitalize()}$" for n in
          ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "phi", "psi", "omega", "upsilon")}  # fmt: skip
ACCENTS = {"\u0304": r"\=", "\u0307": r"\."}
"""Marks over the character before them, where Unicode has no character for the two together."""
ACCENTED = re.compile(r"[\u00c0-\u017f]")
CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


def escaped(text: str) -> str:
    """The text for pdflatex; a character that no font here has is given by its number."""
    if text.isascii():
        return text.translate(ASCII)
    found: list[str] = []
    for c in unicodedata.normalize("NFC", text):
        letter, *mark = list(unicodedata.normalize("NFD", c))
        if c in ACCENTS and found:
            found.append(rf"{ACCENTS[c]}{{{found.pop()}}}")
        elif len(mark) == 1 and mark[0] in ACCENTS:  # ȳ
            found.append(rf"{ACCENTS[mark[0]]}{{{_character(letter)}}}")
        else:
            found.append(_character(c))
    return "".join(found)


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    if c in SIGNS:
        return SIGNS[c]
    if " " <= c < "\x7f" or c == "\n" or CHINESE.match(c) or ACCENTED.match(c):
        return c
    return rf"{{\tiny U+{ord(c):04X}}}"


ASCII = {k: _character(chr(k)) for k in range(128)}


def unicode_signs() -> str:
    """What the preamble of somebody's document needs, so that pdflatex knows the signs of our sentences and listings."""
    known = [(sign, tex.strip("$")) for sign, tex in SIGNS.items() if tex.startswith("$")]
    return "\n".join(rf"\DeclareUnicodeCharacter{{{ord(sign):04X}}}{{\ensuremath{{{tex}}}}}" for sign, tex in known)


def code(text: str) -> str:
    """Code in a line; it may break after its punctuation."""
    return rf"\texttt{{{_broken(escaped(text))}}}"


def _broken(text: str) -> str:
    return re.sub(r"([(,=]|\\_|\.(?=[A-Za-z]))(?=\S)", r"\1\\allowbreak{}", text.replace(" ", r"\ \allowbreak{}"))


@lru_cache(8_192)
def prose(text: str) -> str:
    """A sentence as LaTeX: formulas in dollars, what stands in backticks as code, the rest escaped."""
    found, at = [], 0
    for part in PARTS.finditer(text):
        found.append(escaped(text[at : part.start()]))
        found.append(f"${part[1]}$" if part[1] is not None else code(part[2] or part[3]))
        at = part.end()
    return "".join([*found, escaped(text[at:])])


@lru_cache(1_024)
def block(text: str) -> str:
    """Lines of output or code, every blank kept; long lines go on indented."""
    return "\n".join(_line(line) for line in text.split("\n"))


@lru_cache(1_024)
def listing(code: str) -> str:
    """A program with its line numbers; several empty lines are one gap."""
    found = []
    for item in numbered_lines(code):
        if item is None:
            found.append(r"\codegap")
        else:
            found.append(rf"\numberedline{{{item[0]}}}{{{_spaced(item[1])}}}")
    return "\n".join(found)


def _line(line: str) -> str:
    return rf"\codeline{{{_spaced(line)}}}" if line.strip() else r"\codegap"


def _spaced(line: str) -> str:
    """The line with all its blanks, and places where it may be broken."""
    stripped = line.lstrip(" ")
    return r"\ " * (len(line) - len(stripped)) + _broken(escaped(stripped))


@lru_cache(8_192)
def display(tex: str) -> str:
    """A formula on lines of its own. What is too long is broken before its relations, and a side that is still too long
    before its signs; what is then too wide for the page is made smaller."""
    lines: list[str] = []
    for side in sides(tex) if width(tex) > WIDEST else [tex]:
        first, *others = terms(side, WIDEST) if width(side) > WIDEST else [side]
        if not lines:
            lines.append(first)
        elif len(lines) == 1 and width(lines[0] + first) <= WIDEST:
            lines[0] += first
        else:
            lines.append(f"&{first.strip()}")
        for term in others:
            if width(lines[-1] + term) <= WIDEST:
                lines[-1] += term
            else:
                lines.append(rf"&\quad {continued(term.strip())}")
    if len(lines) == 1:
        return rf"\fitted{{{tex}}}"
    body = " \\\\\n".join([lines[0].replace(" = ", " &= ", 1), *lines[1:]])
    return "\\fitted{\\begin{aligned}\n" + body + "\n\\end{aligned}}"


FILTERS: dict[str, Callable[..., Any]] = {
    "prose": prose, "inline": inline, "displayed": display, "code_block": block, "numbered": listing, "bare": bare,
    "escaped": escaped,
}  # fmt: skip
