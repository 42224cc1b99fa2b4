"""Formulas as LaTeX that amsmath, KaTeX, MathJax and math-core all read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

from sympy import Expr, S

import explain.ops  # noqa: F401  (fills the registry)
from explain.calculus.matrix_tree import MName, Tree
from explain.calculus.symbols import Call
from explain.ops.registry import REGISTRY
from explain.render import indexing, order
from explain.render.indexing import Affine
from explain.render.matrices import Marks, MatrixPrinter, subtrees
from explain.render.names import TEX_GREEK, TEX_LETTERS, Name, once, split_name
from explain.render.order import Numeral
from explain.render.printer import ATOM, BIG, POWER, PRODUCT, SUM, Piece, Printer

FUNCTIONS = {
    name: "\\" + name
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "exp", "max", "min", "arcsin", "arccos", "arctan")
} | {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "log_softmax": r"\operatorname{log\,softmax}"}
POWERED = ("sin", "cos", "tan", "sinh", "cosh", "tanh")
ACCENTS = {"hat": r"\hat", "tilde": r"\tilde"}
TALL = (r"\frac", r"\sum", r"\prod", r"\begin", r"\left", r"\sqrt")
BIG_SIGNS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min", "logsumexp": r"\log\sum"}


@once
def latex(e: Any, index_base: int = 1) -> str:
    """The formula as LaTeX, without dollars. ``index_base``: whether indices are shown to start from 1 or 0."""
    text = LatexPrinter(index_base, e).text(e)
    return text.replace(r"\tfrac", r"\frac", 1) if S(e).is_Rational else text


def latex_name(name: str) -> str:
    """A tensor's name as LaTeX: x, W_1, \\mathrm{loss}, \\theta, \\bar z."""
    return _shown(name).text


@once
def _shown(name: str) -> _Shown:
    return _name(split_name(name))


def latex_matrix(
    tree: Tree,
    index_base: int = 1,
    numbers: Mapping[str, str] | None = None,
    sizes: Mapping[Any, Any] | None = None,
) -> str:
    """A matrix tree as LaTeX. ``numbers``: tensors shown as these texts, by name;
    ``sizes``: what to put for symbolic sizes, as in ``late``."""
    return _in_symbols(tree, index_base) if numbers is sizes is None else _matrix(tree, index_base, numbers, sizes)


@once
def _in_symbols(tree: Tree, index_base: int) -> str:
    return _matrix(tree, index_base, None, None)


def _matrix(tree: Tree, index_base: int, numbers: Mapping[str, str] | None, sizes: Mapping[Any, Any] | None) -> str:
    taken = {t.tensor.name for t in subtrees(tree) if isinstance(t, MName)}
    identity = r"\mathbf I" if "I" in taken else "I"
    return MatrixPrinter(LatexPrinter(index_base), replace(MARKS, identity=identity), numbers, sizes).text(tree)


def tall(text: str) -> bool:
    """Whether ordinary parentheses are too small for this."""
    return any(word in text for word in TALL)


def group(text: str, left: str = "(", right: str = ")") -> str:
    """The text between parentheses (or others) that fit its height."""
    return rf"\left{left} {text} \right{right}" if tall(text) else f"{left}{text}{right}"


def op_name(op: str) -> str:
    """The LaTeX name of an op as a function."""
    if op in FUNCTIONS:
        return FUNCTIONS[op]
    own = getattr(REGISTRY.get(op), "latex", "")
    return own if own and not own.startswith("^") else rf"\operatorname{{{escaped(op)}}}"


def escaped(text: str) -> str:
    """Text without characters that TeX takes as commands."""
    marks = {"_": r"\_", "#": r"\#", "%": r"\%", "&": r"\&", "$": r"\$", "{": r"\{", "}": r"\}", "~": "-", "^": "-"}
    return "".join(marks.get(c, c) for c in text.replace("\\", "/"))


class _Shown:
    """A name in LaTeX: the core that a bar goes over, its subscript, and whether indices can stand right after it."""

    def __init__(self, core: str, subscript: str = "", letter: bool = False, simple: bool = True, turn: str = "") -> None:
        self.core, self.subscript, self.letter, self.turn = core, subscript, letter, turn
        self.simple = simple and not subscript

    @property
    def head(self) -> str:
        return self.core + (f"^{{({self.turn})}}" if self.turn else "")

    @property
    def text(self) -> str:
        return self.head + lowered(self.subscript)


def _name(name: Name) -> _Shown:
    if name.inner is None:
        if name.verbatim:
            return _Shown(_verbatim(name.base), turn=name.turn)
        core = _upright(name.base) if name.latin else _word(name.base)
        subscripts = list(name.subscripts)
        letter = not core.startswith((r"\mathrm", r"\text"))
        if letter and subscripts and subscripts[0] in ACCENTS:
            core = f"{ACCENTS[subscripts.pop(0)]}{_argument(core)}"
        shown = [s if s.isdigit() else TEX_GREEK.get(s) or _upright(s) for s in subscripts]
        return _Shown(core, ",".join(shown), letter, turn=name.turn)
    inner = _name(name.inner)
    if name.wrapper == "dot":
        return _Shown(rf"\dot{_argument(inner.core)}", inner.subscript, inner.letter, inner.simple, inner.turn)
    if name.wrapper == "bar":
        over = r"\bar" if inner.letter else r"\overline"
        return _Shown(f"{over}{_argument(inner.core)}", inner.subscript, inner.letter, inner.simple, inner.turn)
    if name.wrapper == "d":
        return _Shown(rf"\mathrm{{d}}{inner.core}", inner.subscript, False, inner.letter and inner.simple, inner.turn)
    if name.wrapper == "grad":
        return _Shown(rf"\nabla {inner.text}", simple=False)
    own = getattr(REGISTRY.get(name.wrapper), "latex", "")
    if own.startswith("^"):
        base = inner.text if inner.simple else group(inner.text)
        return _Shown(base + own, simple=False)
    return _Shown(f"{op_name(name.wrapper)}({inner.text})", simple=False)


def _word(word: str) -> str:
    if word in TEX_GREEK:
        return TEX_GREEK[word]
    if word in TEX_LETTERS:
        return TEX_LETTERS[word]
    return word if len(word) == 1 and word.isascii() and word.isalpha() else _upright(word)


def _verbatim(word: str) -> str:
    if word in TEX_LETTERS or len(word) == 1:
        return _word(word)
    return rf"\mathtt{{{escaped(word)}}}" if word.isascii() else _upright(word)


def _upright(word: str) -> str:
    return rf"\mathrm{{{escaped(word)}}}" if word.isascii() else rf"\text{{{escaped(word)}}}"


def _argument(core: str) -> str:
    return f" {core}" if len(core) == 1 else f"{{{core}}}"


def lowered(text: str) -> str:
    """A subscript, with braces where it needs them."""
    return f"_{text}" if len(text) == 1 else f"_{{{text}}}" if text else ""


def raised(text: str) -> str:
    """A superscript."""
    return f"^{text}" if len(text) == 1 else f"^{{{text}}}"


def joined(factors: Sequence[str]) -> str:
    """Factors side by side; a dot only before a number."""
    text = factors[0]
    for f in factors[1:]:
        if f[0].isdigit():
            text += r" \cdot "
        else:
            text += " " if f.startswith(tuple(BIG_SIGNS.values())) else r"\,"
        text += f
    return text


class LatexPrinter(Printer):
    """Prints one formula as LaTeX."""

    dot, lnot, land, lor, mod = r"\,", r"\lnot ", r" \land ", r" \lor ", r" \bmod "
    pi, dots = r"\pi", r"\cdots"
    relations: ClassVar[dict[str, str]] = {
        "Equality": "=", "Unequality": r"\ne", "StrictGreaterThan": ">", "GreaterThan": r"\ge",
        "StrictLessThan": "<", "LessThan": r"\le",
    }  # fmt: skip

    def parens(self, text: str) -> str:
        return group(text)

    def lowered(self, text: str) -> str:
        return lowered(text)

    def letter(self, name: str) -> str:
        return latex_name(name)

    def numeral(self, n: Numeral) -> Piece:
        if n.below:
            return self.small_fraction(n), POWER
        if not n.power:
            return n.whole, ATOM
        ten = f"10^{{{n.power}}}"
        return (ten if n.whole == "1" else rf"{n.whole}\times {ten}"), PRODUCT if n.whole != "1" else POWER

    @staticmethod
    def small_fraction(n: Numeral) -> str:
        short = len(n.whole) == len(n.below) == 1
        return rf"\tfrac{n.whole}{n.below}" if short else rf"\tfrac{{{n.whole}}}{{{n.below}}}"

    def infinite(self, e: Any) -> Piece:
        if e is S.NaN:
            return r"\mathrm{nan}", ATOM
        return (r"\infty", ATOM) if e is S.Infinity else (r"-\infty", SUM)

    def named(self, name: str, indices: Sequence[Affine]) -> Piece:
        shown = _shown(name)
        if not indices:
            return shown.text, ATOM if (shown.simple or shown.subscript) and not shown.turn else POWER
        text = (shown.head if shown.simple else f"({shown.text})") + lowered(self.places(indices))
        return text, POWER if shown.turn and shown.simple else ATOM  # no power beside the number of a turn

    def places(self, indices: Sequence[Affine]) -> str:
        """Indices in a subscript, with commas unless each is one letter or digit."""
        texts = [self.affine(i) for i in indices]
        return "".join(texts) if all(len(t) == 1 for t in texts) else r",\,".join(texts)

    def product(self, e: Expr) -> Piece:
        p = order.parts(e)
        n = order.numeral(p.number)
        if not p.below:
            if p.number == 1 and len(p.factors) == 1:
                return self.piece(p.factors[0])
            coefficient = [self.numeral(n)[0]] if p.number != 1 or not p.factors else []
            factors = [*coefficient, *self.factors(p.factors, closed=False)]
            return joined(factors), POWER if len(factors) == 1 else BIG if self.open(p.factors) else PRODUCT
        above = self.side(n.whole if p.number.p != 1 or not n.below else "1", p.above, n.power)
        below = self.side(n.below or "1", p.below)
        after = self.factors(p.after, closed=False)
        fraction = rf"\frac{{{above}}}{{{below}}}"
        return joined([fraction, *after]), POWER if not after else BIG if self.open(p.after) else PRODUCT

    def open(self, factors: Sequence[Expr]) -> bool:
        """Whether the last factor reaches to the end of the term."""
        return bool(factors) and self.piece(factors[-1])[1] == BIG

    def side(self, number: str, factors: Sequence[Expr], power: int = 0) -> str:
        """One side of a fraction."""
        if number == "1" and not power and len(factors) == 1:
            return self.text(factors[0])
        shown = [self.numeral(Numeral(number, power=power))[0]] if number != "1" or power or not factors else []
        return joined([*shown, *self.factors(factors, closed=False)])

    def power(self, base: Expr, exponent: Expr) -> Piece:
        if isinstance(base, Call) and base.op in POWERED and exponent.is_Integer:
            inner = ", ".join(self.text(a) for a in base.arguments)
            return f"{op_name(base.op)}{raised(str(exponent))}{group(inner)}", POWER
        return super().power(base, exponent)

    def raised_text(self, alone: str, base: str, exponent: Expr) -> Piece:
        if exponent == S.Half:
            return rf"\sqrt{{{alone}}}", POWER
        above = self.text(exponent)
        if exponent.is_Rational and not exponent.is_Integer:
            n = order.numeral(abs(exponent))
            above = f"{n.whole}/{n.below}" if n.below else self.numeral(n)[0]
        return f"{base}{raised(above)}", POWER

    def total(self, sign: str, bound: Sequence[str], body: str) -> str:
        return f"{BIG_SIGNS[sign]}{lowered(','.join(bound))} {body}"

    def others(self, positions: Sequence[Any], bound: Sequence[str], body: str, condition: str = "") -> str:
        places = [self.affine(indexing.place(p, self.base)) for p in positions]
        one = len(places) == 1
        left, right = (texts[0] if one else f"({','.join(texts)})" for texts in (list(bound), places))
        also = rf",\ {condition}" if condition else ""
        return rf"\prod_{{{left} \ne {right}{also}}} {body}"

    def call(self, op: str, arguments: Sequence[Expr]) -> Piece:
        texts = [self.text(a) for a in arguments]
        if op == "exp":
            if "e" in self.tensors or any(word in texts[0] for word in (*TALL, "e^", r"\exp")):
                return rf"\exp{group(texts[0])}", ATOM
            return f"e{raised(texts[0])}", POWER
        if op == "abs":
            return group(texts[0], r"\lvert ", r" \rvert"), ATOM
        name = op_name(op) if op != "sigmoid" or "σ" not in self.tensors else r"\operatorname{sigmoid}"
        return f"{name}{group(', '.join(texts))}", ATOM

    def over(self, op: str, bound: Sequence[str], body: str) -> str:
        return f"{op_name(op)}{lowered(','.join(bound))}{group(body)}"

    def after(self, op: str, body: str, places: Sequence[Affine]) -> str:
        sign = getattr(REGISTRY.get(op), "latex", "")
        return f"{group(body)}{sign}{lowered(self.places(places))}"

    def cases(self, rows: Sequence[tuple[str, str]]) -> Piece:
        # a bracket right after \\ would be read as its optional argument
        shown = [("{}" + value if k and value.startswith("[") else value, c) for k, (value, c) in enumerate(rows)]
        body = r" \\ ".join(f"{value}, & {condition}" for value, condition in shown)
        return rf"\begin{{cases}} {body} \end{{cases}}", SUM

    def bracket(self, condition: str) -> str:
        return group(rf"\,{condition}\,", "[", "]")

    def kronecker(self, a: str, b: str) -> str:
        tight = len(a) == len(b) == 1
        return rf"\delta_{{{a}{b}}}" if tight else rf"\delta_{{{a},\,{b}}}"

    def floor(self, text: str) -> str:
        return rf"\lfloor {text} \rfloor"

    def softmax(self, above: Expr, below: Expr) -> Piece:
        return rf"\frac{{{self.text(above)}}}{{{self.text(below)}}}", POWER


def _beside(factors: Sequence[str]) -> str:
    text = factors[0]
    for before, f in pairwise(factors):
        wide = any(word in part for part in (before, f) for word in (r"\mathrm", r"\text", r"\operatorname"))
        text += ("" if f.startswith(("(", r"\left(")) else r"\," if wide else " ") + f
    return text


def _matrix_op(op: str) -> str:
    return FUNCTIONS.get(op) or (
        op_name(op) if op in ("sigmoid", "maximum", "minimum", "clamp_min", "clamp_max", "amax", "amin") else _roman(op)
    )


def _roman(op: str) -> str:
    return rf"\operatorname{{{escaped(op)}}}"


MARKS = Marks(
    top=r"^{\top}",
    ones=r"\mathbf 1",
    identity="I",
    unit=lambda place: rf"\mathbf e{lowered(place)}",
    rows=lambda rows: "\\begin{bmatrix}" + r" \\ ".join(" & ".join(row) for row in rows) + "\\end{bmatrix}",
    times=r" \odot ",
    over=r" \oslash ",
    raised=lambda text: rf"^{{\odot {text}}}",
    scalars=joined,
    beside=_beside,
    fraction=lambda above, below: rf"\frac{{{above}}}{{{below}}}",
    name=_matrix_op,
    along=lambda axis: rf"_{{\mathrm{{dim}}={axis}}}",
    modulus=lambda text: group(text, r"\lvert ", r" \rvert"),
)
