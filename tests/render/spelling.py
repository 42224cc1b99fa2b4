"""Printed formulas in one spelling: the terminal's signs become those of LaTeX, and names of tensors stand as «name»."""

from __future__ import annotations

import re
from collections.abc import Mapping

LOWER = dict(zip("₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋", "0123456789aehijklmnoprstuvx+-", strict=True))
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
SIGNS = {
    "·": r" \cdot ", "−": "-", "Σ": r"\sum", "Π": r"\prod", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", " mod ": r"\bmod ", "^⊙": r"^\odot ", "⊙": r"\odot ", "⊘": r"\oslash ", "𝟏": r"\mathbf 1",
    "ᵀ": r"^{\top}", "√": r"\sqrt", "σ(": r"\sigma(", "∞": r"\infty ", "¬": r"\lnot ", "δ": r"\delta",
}  # fmt: skip
"""Signs of the terminal, in the spelling of LaTeX."""


def spelled(text: str, names: Mapping[str, str]) -> str:
    """The text in one notation. ``names``: the tensors by what is printed for them."""
    longest_first = sorted(names, key=len, reverse=True)
    found, k = "", 0
    while k < len(text):
        name = next((n for n in longest_first if text.startswith(n, k) and _stands_alone(text, n, k)), None)
        found += text[k] if name is None else f"«{names[name]}»"
        k += 1 if name is None else len(name)
    if "\\" in text:
        found = re.sub(r"(?<!\\)\\[, ]|\\left(?![a-z])|\\right(?![a-z])|\{\}", " ", found)
        return found.replace(r"\tfrac", r"\frac").replace(r"\lvert", "|").replace(r"\rvert", "|").strip()
    for sign, tex in SIGNS.items():
        found = found.replace(sign, tex)
    found = re.sub(f"[{''.join(LOWER)}]+", lambda m: "_{" + "".join(LOWER[c] for c in m[0]) + "}", found)
    return re.sub(f"[{''.join(RAISED)}]+", lambda m: "^{" + "".join(RAISED[c] for c in m[0]) + "}", found)


def _stands_alone(text: str, name: str, k: int) -> bool:
    """Whether the name is not a part of a word there."""
    before, after = text[k - 1 : k], text[k + len(name) : k + len(name) + 1]
    in_word = name[0].isalpha() and (before == "\\" or (before.isascii() and before.isalpha()))
    goes_on = name[-1].isascii() and name[-1].isalpha() and after.isascii() and after.isalpha()
    return not in_word and not goes_on


def closing(s: str, opening: int) -> int:
    """Where what opens here is closed."""
    pairs = {"{": "}", "[": "]", "(": ")"}
    depth = 0
    for k in range(opening, len(s)):
        depth += (s[k] == s[opening]) - (s[k] == pairs[s[opening]])
        if depth == 0:
            return k
    raise AssertionError(f"{s[opening]} is not closed: {s}")
