"""A terminal page for an output whose encoding lacks the signs of mathematics: ``d out/d x_i = 2*x_i``."""

from __future__ import annotations

import re
import unicodedata

from explain.render.names import GREEK
from explain.render.plain import ACCENTS, LOWER, RAISED

SIGNS = {
    "∂": "d ", "Σ": "sum", "Π": "prod", "√": "sqrt", "·": "*", "−": "-", "–": "-", "—": "-", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "~=", "×": "x", "⊙": ".*", "⊘": "./", "ᵀ": ".T", "𝟏": "1", "∞": "inf", "→": "->", "⟨": "<",
    "⟩": ">", "⌊": "floor(", "⌋": ")", "¬": "not ", "∧": "and", "∨": "or", "∇": "grad ", "ℓ": "l", "…": "...", "⋮": ":",
    "✓": "ok", "✗": "FAILED", "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip
LETTERS = {letter: word for word, letter in GREEK.items() if not word.startswith("var")}
OVER = {mark: name for name, mark in ACCENTS.items()}
ACCENTED = re.compile(f"(\\w)([{''.join(OVER)}])([₀-₉]*)")
TURN = re.compile(f"⁽([{''.join(RAISED.values())}]+)⁾")


def carried(text: str, encoding: str | None) -> str:
    """The text as it is if the encoding has all its signs; else with every sign of mathematics in ASCII."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return in_ascii(text)
    return text


def in_ascii(text: str) -> str:
    """The text with signs of mathematics, Greek letters, lowered and raised letters written in ASCII."""
    found = "".join(unicodedata.normalize("NFD", c) if c.isalpha() else c for c in text)
    found = ACCENTED.sub(lambda m: f"{OVER[m[2]]}({m[1]}{m[3]})", found)
    found = TURN.sub(lambda m: f"^({_read(m[1], RAISED)})", found)
    found = re.sub(f"[{''.join(LOWER.values())}]+", lambda m: _joined("_", _read(m[0], LOWER)), found)
    found = re.sub(f"[{''.join(RAISED.values())}]+", lambda m: "^" + _read(m[0], RAISED), found)
    return "".join(SIGNS.get(c) or LETTERS.get(c, c) for c in found)


def _read(text: str, table: dict[str, str]) -> str:
    back = {sign: c for c, sign in table.items()}
    return "".join(back[c] for c in text)


def _joined(mark: str, text: str) -> str:
    """A subscript; in brackets where it is a sum."""
    return f"{mark}{text}" if text.isalnum() else f"[{text}]"
