"""Formulas on one line of Unicode, for terminals: ``3/2·(xᵢⱼ + 2)``, ``2·xₖ³/√(Σᵢ xᵢ⁴)``, ``Σₖ Aᵢₖ·xₖ``.

On one line, not laid out in two dimensions: equations of a step stand under each other and are compared by eye, a line can
be copied, searched and piped, and it survives a narrow window. sympy's own layout takes four lines for the second of these
and shows ``Entry(x, i)`` and ``Total(Entry(x, j)**4, (j, 2))``: it knows neither entries nor sums over letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

from sympy import Expr, S

from explain.calculus.matrix_tree import Tree
from explain.render import indexing, order
from explain.render.indexing import Affine
from explain.render.matrices import Marks, MatrixPrinter
from explain.render.names import GREEK, Name, once, split_name
from explain.render.order import Numeral
from explain.render.printer import ATOM, BIG, POWER, PRODUCT, SUM, Piece, Printer

LOWER = dict(zip("0123456789aehijklmnoprstuvx+-", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋", strict=True))
RAISED = dict(zip("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", strict=True))
ACCENTS = {"bar": "\u0304", "dot": "\u0307"}
FUNCTIONS = {
    "sigmoid": "σ",
    "maximum": "max",
    "minimum": "min",
    "clamp_min": "max",
    "clamp_max": "min",
    "ndtr": "Φ",
    "logdet": "log det",
    "logabsdet": "log|det|",
}
AFTER = {"inv": "⁻¹", "pinv": "⁺"}
"""Signs after a name."""
BIG_SIGNS = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "logsumexp": "log Σ"}


@once
def plain(e: Any, index_base: int = 1) -> str:
    """The formula on one line of Unicode. ``index_base``: whether indices are shown to start from 1 or 0."""
    return PlainPrinter(index_base, e).text(e)


@once
def plain_name(name: str) -> str:
    """A tensor's name for terminals: x, W₁, loss, θ, z̄, bar(out)."""
    return _name(split_name(name))[0]


def plain_matrix(
    tree: Tree,
    index_base: int = 1,
    numbers: Mapping[str, str] | None = None,
    sizes: Mapping[Any, Any] | None = None,
) -> str:
    """A matrix tree on one line of Unicode. ``numbers``: tensors shown as these texts, by name;
    ``sizes``: what to put for symbolic sizes, as in ``late``."""
    return MatrixPrinter(PlainPrinter(index_base), MARKS, numbers, sizes).text(tree)


def _name(name: Name) -> tuple[str, bool]:
    """The name, and whether lowered indices can stand right after it."""
    if name.turn:
        text, simple = _name(replace(name, turn="", text=name.text.rpartition("^")[0]))
        return f"{text}⁽{''.join(RAISED[c] for c in name.turn)}⁾", True
    if name.inner is None:
        base = name.base if name.verbatim or name.latin else GREEK.get(name.base, name.base)
        if not name.subscripts:
            return base, base[-1] not in "_0123456789"
        if len(name.subscripts) == 1 and name.subscripts[0].isdigit():
            return base + lowered(name.subscripts[0]), False
        return name.text, name.text[-1].isalpha()
    inner, simple = _name(name.inner)
    core = inner[0]
    letter = core.isalpha() and all(c in "₀₁₂₃₄₅₆₇₈₉⁽⁾⁰¹²³⁴⁵⁶⁷⁸⁹" for c in inner[1:])
    if name.wrapper in ACCENTS and letter:
        return unicodedata.normalize("NFC", core + ACCENTS[name.wrapper]) + inner[1:], simple
    if name.wrapper == "d" and letter:
        return f"d{inner}", simple
    if name.wrapper == "grad":
        return f"∇{inner}", True
    if name.wrapper in AFTER:
        return (inner if simple else f"({inner})") + AFTER[name.wrapper], False
    return f"{name.wrapper}({inner})", True


def lowered(text: str) -> str:
    """The text in subscript letters; empty if Unicode lacks one of them."""
    return "".join(LOWER[c] for c in text) if all(c in LOWER for c in text) else ""


class PlainPrinter(Printer):
    """Prints one formula on a line."""

    minus, dot, lnot, land, lor = " − ", "·", "¬", " ∧ ", " ∨ "
    relations: ClassVar[dict[str, str]] = {
        "Equality": "=", "Unequality": "≠", "StrictGreaterThan": ">", "GreaterThan": "≥",
        "StrictLessThan": "<", "LessThan": "≤",
    }  # fmt: skip

    def lowered(self, text: str) -> str:
        return lowered(text) or f"[{text}]"

    def letter(self, name: str) -> str:
        return plain_name(name) if len(name) > 1 and "_" not in name else name

    def numeral(self, n: Numeral) -> Piece:
        if n.below:
            return f"{n.whole}/{n.below}", PRODUCT
        if not n.power:
            return n.whole, ATOM
        ten = "10" + "".join(RAISED[c] for c in str(n.power))
        return (ten, POWER) if n.whole == "1" else (f"{n.whole}·{ten}", PRODUCT)

    def infinite(self, e: Any) -> Piece:
        if e is S.NaN:
            return "nan", ATOM
        return ("∞", ATOM) if e is S.Infinity else ("−∞", SUM)

    def named(self, name: str, indices: Sequence[Affine]) -> Piece:
        shown, simple = _name(split_name(name))
        if not indices:
            return shown, ATOM if simple or not shown.endswith("⁻¹") else POWER
        texts = [self.affine(i) for i in indices]
        single = all(len(t) == 1 for t in texts) or (len(texts) == 1 and not texts[0].startswith("−"))
        low = lowered("".join(texts).replace("−", "-")) if single else ""
        if simple and low:
            return shown + low, ATOM
        separator = "," if all(len(t) == 1 for t in texts) else ", "
        return f"{shown}[{separator.join(texts)}]", ATOM

    def product(self, e: Expr) -> Piece:
        p = order.parts(e)
        n = order.numeral(p.number)
        if not p.below:
            if p.number == 1 and len(p.factors) == 1:
                return self.piece(p.factors[0])
            coefficient = [self.numeral(n)[0]] if p.number != 1 or not p.factors else []
            texts = [*coefficient, *self.factors(p.factors, closed=False)]
            is_open = bool(p.factors) and self.piece(p.factors[-1])[1] == BIG
            return "·".join(texts), BIG if is_open else PRODUCT
        above = self.factors(p.factors, closed=True)
        if n.whole != "1" or n.power or not above:
            above.insert(0, self.numeral(Numeral(n.whole, power=n.power))[0])
        below = [*([n.below] if n.below else []), *self.factors(p.below, closed=True)]
        return "·".join(above) + "/" + (below[0] if len(below) == 1 else f"({'·'.join(below)})"), PRODUCT

    def raised_text(self, alone: str, base: str, exponent: Expr) -> Piece:
        if exponent == S.Half:
            return f"√{alone}" if alone.isdigit() or alone == "π" else f"√({alone})", POWER
        if exponent.is_Integer and exponent >= 0:
            return base + "".join(RAISED[c] for c in str(exponent)), POWER
        above = self.text(exponent)
        return f"{base}^{above if above.isalnum() else f'({above})'}", POWER

    def bound(self, letters: Sequence[str]) -> str:
        """Bound indices under an operator."""
        low = lowered("".join(letters))
        return low if low and all(len(i) == 1 for i in letters) else f"[{', '.join(letters)}]"

    def total(self, sign: str, bound: Sequence[str], body: str) -> str:
        return f"{BIG_SIGNS[sign]}{self.bound(bound)} {body}"

    def others(self, positions: Sequence[Any], bound: Sequence[str], body: str, condition: str = "") -> str:
        places = [self.affine(indexing.place(p, self.base)) for p in positions]
        one = len(places) == 1
        left, right = (texts[0] if one else f"({', '.join(texts)})" for texts in (list(bound), places))
        also = f", {condition}" if condition else ""
        return f"Π[{left} ≠ {right}{also}] {body}"

    def call(self, op: str, arguments: Sequence[Expr]) -> Piece:
        inner = ", ".join(self.text(a) for a in arguments)
        if op == "abs" and "|" not in inner:
            return f"|{inner}|", ATOM
        name = FUNCTIONS.get(op, op) if op != "sigmoid" or "σ" not in self.tensors else op
        return f"{name}({inner})", ATOM

    def over(self, op: str, bound: Sequence[str], body: str) -> str:
        return f"{FUNCTIONS.get(op, op)}{self.bound(bound) if bound else ''}({body})"

    def after(self, op: str, body: str, places: Sequence[Affine]) -> str:
        return f"({body}){AFTER.get(op, op)}[{','.join(self.affine(p) for p in places)}]"

    def cases(self, rows: Sequence[tuple[str, str]]) -> Piece:
        return "{" + "; ".join(f"{value}, {condition}" for value, condition in rows) + "}", ATOM

    def bracket(self, condition: str) -> str:
        return f"[{condition}]"

    def kronecker(self, a: str, b: str) -> str:
        low = lowered(a + b) if len(a) == len(b) == 1 else ""
        return f"δ{low}" if low else f"[{a} = {b}]"

    def floor(self, text: str) -> str:
        return f"⌊{text}⌋"

    def softmax(self, above: Expr, below: Expr) -> Piece:
        return f"{self.inside(above, POWER)}/{self.inside(below, BIG)}", PRODUCT


def _beside(factors: Sequence[str]) -> str:
    text = factors[0]
    for before, f in pairwise(factors):
        text += ("" if f.startswith("(") and before.endswith("ᵀ") else " ") + f
    return text


def _fraction(above: str, below: str) -> str:
    above = f"({above})" if " " in _outside(above) else above
    below = f"({below})" if any(c in " ·/" for c in _outside(below)) else below
    return f"{above}/{below}"


def _outside(text: str) -> str:
    """What stands outside of all parentheses."""
    shown, depth = "", 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        shown += c if depth == 0 else ""
    return shown


def _rows(rows: Sequence[Sequence[str]]) -> str:
    """A matrix written out; of one column, a list."""
    listed = [", ".join(row) if len(row) == 1 else f"[{', '.join(row)}]" for row in rows]
    return f"[{', '.join(listed)}]"


MARKS = Marks(
    top="ᵀ",
    ones="𝟏",
    identity="I",
    unit=lambda place: f"e{lowered(place) or f'[{place}]'}",
    rows=_rows,
    times=" ⊙ ",
    over=" ⊘ ",
    raised=lambda text: f"^⊙{text if text.isalnum() else f'({text})'}",
    scalars="·".join,
    beside=_beside,
    fraction=_fraction,
    name=lambda op: FUNCTIONS.get(op, op),
    along=lambda axis: f"[dim={axis}]",
    modulus=lambda text: f"|{text}|" if "|" not in text else f"abs({text})",
)
