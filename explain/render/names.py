"""Names of tensors as mathematics writes them: letters, Greek letters, subscripts, bars."""

from __future__ import annotations

import re
from dataclasses import dataclass

WRAPPED = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
NUMBERED = re.compile(r"(.*\D)(\d+)", re.DOTALL)

_LOWER = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho - sigma"
_LOWER += " tau upsilon phi chi psi omega"
GREEK = {word: chr(0x3B1 + k) for k, word in enumerate(_LOWER.split()) if word != "-"}
GREEK |= {word.capitalize(): chr(ord(letter) - 32) for word, letter in GREEK.items()}
GREEK |= {"varepsilon": "ε", "varphi": "φ"}

_COMMANDS = {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"}
TEX_GREEK = {word: "\\" + word for word in GREEK if word in _COMMANDS or (word.islower() and word != "omicron")}
TEX_LETTERS = {GREEK[word]: tex for word, tex in TEX_GREEK.items() if not word.startswith("var")}


@dataclass(frozen=True)
class Name:
    """A name taken apart. ``wrapper``: bar, d or an op's name, with ``inner``; else ``base`` with ``subscripts``."""

    text: str
    wrapper: str = ""
    inner: Name | None = None
    base: str = ""
    subscripts: tuple[str, ...] = ()


def split_name(name: str) -> Name:
    """Take a name apart: ``W1`` and ``u_1`` have a subscript, ``y_pred`` too, ``bar(z)`` is a wrapped ``z``."""
    wrapped = WRAPPED.fullmatch(name)
    if wrapped:
        return Name(name, wrapper=wrapped[1], inner=split_name(wrapped[2]))
    if name.endswith("_") and name[:-1] in GREEK:
        return Name(name, base=name[:-1])
    pieces = name.split("_")
    if not all(pieces) or "." in name:
        return Name(name, base=name)
    numbered = NUMBERED.fullmatch(pieces[0])
    if numbered:
        pieces[:1] = [numbered[1], numbered[2]]
    return Name(name, base=pieces[0], subscripts=tuple(pieces[1:]))
