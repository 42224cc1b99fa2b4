"""What the LaTeX printer and the terminal printer have in common: the parts of a formula and where parentheses go.

A piece is text with the tightness of its outermost operator; whoever puts it into something tighter adds parentheses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sympy import Expr, Mul, S, Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Not, Or

from explain.calculus.rules import says_itself
from explain.calculus.symbols import (
    Call,
    Digit,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    plain_sum,
    walk_preorder,
)
from explain.render import indexing, order
from explain.render.indexing import Affine, Multiple
from explain.render.names import GREEK
from explain.render.order import Numeral

SUM, NEGATIVE, BIG, PRODUCT, POWER, ATOM = range(6)
Piece = tuple[str, int]


def entry_key(name: str, place: Sequence[Any]) -> str:
    """Under which an entry at a fixed place stands among the numbers that are put in for names; a tensor without axes
    under its name."""
    return f"{name}[{','.join(map(str, place))}]" if place else name


class Printer:
    """Prints one formula. ``base``: the number that indices are shown to start from."""

    plus, minus, dot, lnot, land, lor, mod = " + ", " - ", "*", "not ", " and ", " or ", " mod "
    pi, dots = "π", "…"
    relations: ClassVar[dict[str, str]] = {}

    def __init__(self, base: int, e: Any = S.Zero) -> None:
        self.base = base
        self.numbers: Mapping[str, str] = {}
        self.tensors = {GREEK.get(t.name, t.name) for t in walk_preorder(S(e)) if isinstance(t, TensorName)}

    # what the two printers do in their own way

    def parens(self, text: str) -> str:
        """The text in parentheses."""
        return f"({text})"

    def numeral(self, n: Numeral) -> Piece:
        """A positive number on its own."""
        raise NotImplementedError

    def named(self, name: str, indices: Sequence[Affine]) -> Piece:
        """An entry of a tensor, or a tensor without axes."""
        raise NotImplementedError

    def letter(self, name: str) -> str:
        """An index or a size."""
        raise NotImplementedError

    def product(self, e: Expr) -> Piece:
        """A product or quotient, whose sign is printed elsewhere."""
        raise NotImplementedError

    def power(self, base: Expr, exponent: Expr) -> Piece:
        """A power that is not a quotient."""
        return self.raised_text(self.text(base), self.inside(base, ATOM), exponent)

    def raised_text(self, alone: str, base: str, exponent: Expr) -> Piece:
        """A power: the base's text on its own and as a base."""
        raise NotImplementedError

    def total(self, sign: str, bound: Sequence[str], body: str) -> str:
        """A big operator (sum, prod, max, min, logsumexp) over bound indices."""
        raise NotImplementedError

    def others(self, positions: Sequence[Any], bound: Sequence[str], body: str, condition: str = "") -> str:
        """The product over all positions but one, of those that meet the condition."""
        raise NotImplementedError

    def call(self, op: str, arguments: Sequence[Expr]) -> Piece:
        """A function applied."""
        raise NotImplementedError

    def over(self, op: str, bound: Sequence[str], body: str) -> str:
        """An op of its own name over bound indices."""
        raise NotImplementedError

    def after(self, op: str, body: str, places: Sequence[Affine]) -> str:
        """An entry of what an op makes of a matrix, given by one of its entries, with the op's sign after it."""
        raise NotImplementedError

    def cases(self, rows: Sequence[tuple[str, str]]) -> Piece:
        """Alternatives with their conditions."""
        raise NotImplementedError

    def bracket(self, condition: str) -> str:
        """1 where the condition holds."""
        raise NotImplementedError

    def kronecker(self, a: str, b: str) -> str:
        """1 where two indices are equal."""
        raise NotImplementedError

    def floor(self, text: str) -> str:
        """The whole part."""
        raise NotImplementedError

    def softmax(self, above: Expr, below: Expr) -> Piece:
        """A softmax as a quotient."""
        raise NotImplementedError

    # expressions

    def text(self, e: Any) -> str:
        """The formula on its own."""
        return self.piece(S(e))[0]

    def inside(self, e: Any, level: int) -> str:
        """The formula in something that binds as tightly as ``level``."""
        return self.wrapped(self.piece(e), level)

    def wrapped(self, piece: Piece, level: int) -> str:
        """The piece, in parentheses if it binds less tightly."""
        text, own = piece
        return text if own >= level else self.parens(text)

    def piece(self, e: Any) -> Piece:
        """The formula with the tightness of its outermost operator."""
        if isinstance(e, Entry):
            known = entry_key(e.tensor.name, e.indices)
            if known in self.numbers:
                return self.given(known)
            return self.named(e.tensor.name, [indexing.place(i, self.base) for i in e.indices])
        if e.is_Rational and not e < 0:
            return self.numeral(order.numeral(e))
        if e.is_Number and not e.is_Rational:
            return self.infinite(e)
        if e is S.Pi:
            return self.pi, ATOM
        if isinstance(e, Index | Digit):
            value = indexing.affine(indexing.shifted(e, self.base))
            return self.affine(value, spaced=True), ATOM if isinstance(value.atom, Index) else SUM
        if isinstance(e, Symbol):
            return self.letter(e.name), ATOM
        if e.is_Add:
            return self.sum(e), SUM
        if e.is_Mul or e.is_Rational or e is S.ComplexInfinity or (e.is_Pow and e.exp.is_Rational and e.exp < 0):
            if order.is_negative(e):
                return self.minus.strip() + self.wrapped(self.product(e), BIG), NEGATIVE
            return self.product(e)
        if e.is_Pow:
            return self.power(*e.args)
        return self.function(e)

    def given(self, name: str) -> Piece:
        """A tensor that is shown as its value."""
        text = self.numbers[name]
        return text, NEGATIVE if text[0] in "-−" else ATOM

    def infinite(self, e: Any) -> Piece:
        """An infinity, or nan."""
        raise NotImplementedError

    def function(self, e: Any) -> Piece:
        """What has a name of its own."""
        if isinstance(e, Total):
            return self.big("sum", e)
        if isinstance(e, Reduction):
            if e.op in order.BIG_REDUCTIONS:
                return self.big(order.BIG_REDUCTIONS[e.op], e)
            if order.is_of_whole_matrix(e):
                return self.over(e.op, (), self.text(Entry(e.body.tensor, *e.body.indices[:-2]))), ATOM
            written = order.written_out(e)
            return self.piece(written) if written else (self.over(e.op, self.letters(e.bound), self.text(e.body)), ATOM)
        if isinstance(e, Transform):
            return self.transform(e)
        if isinstance(e, Call):
            return self.call(e.op, e.arguments)
        if isinstance(e, Indicator):
            found = indexing.delta(e.condition, self.base)
            if found and "δ" not in self.tensors:
                return self.kronecker(*(self.letter(i.name) for i in found)), ATOM
            return self.bracket(self.condition(e.condition)), ATOM
        if isinstance(e, Where):
            condition, then, otherwise = e.args
            rows = [(then, condition), (otherwise, indexing.opposite(condition))]
            return self.cases([(self.text(value), self.condition(c)) for value, c in rows])
        return self.condition(e), SUM

    def big(self, sign: str, e: Total | Reduction) -> Piece:
        """A sum, product, maximum or log of a sum of exponentials."""
        body, condition = order.restricted(e)
        body = order.chained(body, e.bound)
        shown = self.text(Call("exp", body)) if sign == "logsumexp" else self.inside(body, BIG)
        bound = [self.bound_index(i, n, body) for i, n in e.limits] if condition is None else [self.condition(condition)]
        return self.total(sign, bound, shown), BIG

    def bound_index(self, i: Index, n: Expr, body: Expr) -> str:
        """A bound index; with its range where no axis says it, because entries beside it are read (``x[i + 1]``)."""
        letter = self.letter(i.name)
        if not order.is_shifted(body, i):
            return letter
        le = self.relations["LessThan"]
        return f"{self.base} {le} {letter} {le} {self.text(plain_sum([n, S(self.base - 1)]))}"

    def transform(self, e: Transform) -> Piece:
        """One entry of what an op makes of entries along axes."""
        if e.op == "softmax":
            return self.softmax(Call("exp", order.at_position(e)), Total(Call("exp", e.body), *e.limits))
        if e.op == "prod_others":
            body, condition = order.restricted(e)
            upto = "" if condition is None else self.condition(condition)
            return self.others(e.positions, self.letters(e.bound), self.inside(body, BIG), upto), BIG
        if says_itself(e.op) and order.is_of_whole_matrix(e):
            return self.piece(Entry(TensorName(f"{e.op}({e.body.tensor.name})"), *e.body.indices[:-2], *e.positions))
        if says_itself(e.op):
            return self.after(e.op, self.text(e.body), [indexing.place(p, self.base) for p in e.positions]), ATOM
        written = order.written_out(e)
        if written:
            return self.piece(written)
        whole = self.over(e.op, self.letters(e.bound), self.text(e.body))
        where = self.equalities(e.bound, e.positions)
        return f"{self.bracket(whole)}{self.lowered(where)}", ATOM

    def lowered(self, text: str) -> str:
        """A subscript."""
        raise NotImplementedError

    def equalities(self, bound: Sequence[Index], positions: Sequence[Any]) -> str:
        """Where bound indices stand: k = j, l = m + 1."""
        pairs = zip(bound, positions, strict=True)
        return ", ".join(f"{self.letter(i.name)}={self.affine(indexing.place(p, self.base))}" for i, p in pairs)

    def letters(self, bound: Sequence[Index]) -> list[str]:
        """The bound indices' letters."""
        return [self.letter(i.name) for i in bound]

    def sum(self, e: Expr) -> str:
        """Terms with their signs."""
        text = ""
        for term in order.shortened(order.terms(e)):
            if term is None:
                text += self.plus + self.dots
                continue
            negative = order.is_negative(term)
            positive = Mul(S.NegativeOne, term, evaluate=False) if negative else term
            shown = self.wrapped(self.product(positive) if negative else self.piece(positive), BIG)
            if text:
                text += (self.minus if negative else self.plus) + shown
            else:
                text = (self.minus.strip() if negative else "") + shown
        return text

    def factors(self, es: Sequence[Expr], closed: bool) -> list[str]:
        """Factors as text; a sum at the very end goes without parentheses unless something follows (``closed``)."""
        pieces = [self.piece(e) for e in es]
        last = len(pieces) - 1
        return [
            text if level >= POWER or (level == BIG and k == last and not closed) else self.parens(text)
            for k, (text, level) in enumerate(pieces)
        ]

    # indices and conditions

    def affine(self, a: Affine, spaced: bool = False) -> str:
        """An index expression."""
        plus, minus = (self.plus, self.minus) if spaced else (self.plus.strip(), self.minus.strip())
        alone = len(a.terms) == 1 and a.terms[0][0] == 1 and a.constant == 0 and a.below == 1
        shown = [(n, self.atom(t, not alone, spaced)) for n, t in a.terms]
        found = [(n < 0, ("" if abs(n) == 1 else str(abs(n))) + t) for n, t in shown]
        if a.constant or not found:
            number = (a.constant < 0, str(abs(a.constant)))
            found.insert(0 if found and found[0][0] and a.constant > 0 else len(found), number)
        text = "".join((minus if negative else plus if k else "") + t for k, (negative, t) in enumerate(found))
        text = text.strip() if not spaced or not found[0][0] else minus.strip() + text[len(minus) :]
        if a.below == 1:
            return text
        return (text if len(found) == 1 else f"({text})") + f"/{a.below}"

    def atom(self, t: Any, joined: bool, spaced: bool) -> str:
        """An atom of an index expression; ``joined`` to others."""
        if isinstance(t, Multiple):
            single = len(t.of.terms) == 1 and t.of.constant == 0
            of = self.atom(t.of.terms[0][1], True, spaced) if single else self.parens(self.affine(t.of, spaced))
            return self.inside(t.sizes, PRODUCT) + self.dot + of
        if isinstance(t, Digit):
            text = self.digit(t)
            return f"({text})" if joined else text
        if isinstance(t, Symbol):
            return self.letter(t.name)
        return self.text(t) if isinstance(t, Entry) or not t.has(Index) else self.as_shown(t)

    def as_shown(self, e: Any) -> str:
        """An index expression of another kind, whose letters are those that are shown already."""
        base, self.base = self.base, 0
        text = self.inside(e, POWER)
        self.base = base
        return text

    def digit(self, d: Digit) -> str:
        """⌊p / stride⌋ mod n; ``p`` is in shown letters already."""
        flat, stride, modulus = d.args
        inner = indexing.affine(flat)
        text = self.affine(inner)
        single = len(inner.terms) + (inner.constant != 0) == 1 and inner.below == 1
        single = single and not any(isinstance(t, Multiple) for _, t in inner.terms)
        if stride == 1:
            whole = text if single else f"({text})"
        else:
            whole = self.floor(f"{text if single else f'({text})'}/{self.inside(stride, ATOM)}")
        return whole + self.mod + self.inside(modulus, ATOM)

    def condition(self, c: Any) -> str:
        """A condition, without brackets."""
        if isinstance(c, Relational):
            if indexing.about_indices(c):
                left, kind, right = indexing.related(c, self.base)
                a, b = self.affine(left, spaced=True), self.affine(right, spaced=True)
                return f"{a} {self.relations[kind.__name__]} {b}"
            a, b = (self.text(side) for side in c.args)
            return f"{a} {self.relations[type(c).__name__]} {b}"
        if isinstance(c, Holds):
            return ("" if c.args[1] == S.true else self.lnot) + self.inside(c.args[0], ATOM)
        if isinstance(c, Not):
            inner = self.condition(c.args[0])
            return self.lnot + (inner if isinstance(c.args[0], Holds) else self.parens(inner))
        if isinstance(c, And | Or):
            return (self.land if isinstance(c, And) else self.lor).join(self.parens(self.condition(a)) for a in c.args)
        raise TypeError(f"{type(c).__name__} is not part of a formula")
