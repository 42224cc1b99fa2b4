"""Matrix trees as text, once for LaTeX and terminals alike: ``2 Aᵀ(A x − b)``, ``6 y ⊙ z̄``.

What differs between the two is a ``Marks`` record; scalars and names are printed by the formula printer given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr, S

from explain.calculus.matrix_tree import (
    MCall,
    MCompare,
    MDiag,
    MDiagonal,
    MEntries,
    MHadamard,
    MIdentity,
    MName,
    MNot,
    MOneHot,
    MOnes,
    MPower,
    MProduct,
    MReduce,
    MScalar,
    MScale,
    MSum,
    MTrace,
    MTransform,
    MTranspose,
    MUnit,
    MWhere,
    Tree,
)
from explain.calculus.symbols import TensorName, late, product, walk_preorder
from explain.render import indexing, order
from explain.render.order import Numeral
from explain.render.printer import ATOM, NEGATIVE, POWER, PRODUCT, SUM, Piece, Printer

ONE = MScalar(S.One)
UNARY = {MDiag: "diag", MDiagonal: "diagonal", MTrace: "tr"}
RELATIONS = {
    "==": "Equality", "!=": "Unequality", ">": "StrictGreaterThan", ">=": "GreaterThan", "<": "StrictLessThan",
    "<=": "LessThan",
}  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """How one of the two writes what only matrices have."""

    top: str  # after a transposed matrix
    ones: str
    identity: str
    unit: Callable[[str], str]  # the basis vector at a position
    rows: Callable[[Sequence[Sequence[str]]], str]  # a matrix written out
    times: str  # entrywise
    over: str  # entrywise
    raised: Callable[[str], str]  # entrywise exponent
    scalars: Callable[[Sequence[str]], str]  # numbers side by side
    beside: Callable[[Sequence[str]], str]  # matrices side by side
    fraction: Callable[[str, str], str]
    name: Callable[[str], str]  # an op as a function
    along: Callable[[int], str]  # after the op's name: along which axis
    modulus: Callable[[str], str]  # absolute value


def subtrees(tree: Tree) -> Iterator[Tree]:
    """The tree and all trees in it."""
    yield tree
    for part in tree.parts():
        yield from subtrees(part)


def is_upstream(tree: Tree) -> bool:
    """Whether an adjoint or tangent stands in the tree."""
    for t in subtrees(tree):
        parts = (t.e,) if isinstance(t, MScalar) else (t.scalar,) if isinstance(t, MScale) else ()
        if isinstance(t, MEntries):
            parts = tuple([e for row in t.rows for e in row])
        names = [t.tensor] if isinstance(t, MName) else [n for e in parts for n in walk_preorder(e)]
        if any(isinstance(n, TensorName) and order.is_upstream(n) for n in names):
            return True
    return False


class MatrixPrinter:
    """Prints one matrix tree. ``numbers``: texts of tensors shown as their values. ``sizes``: what to put for sizes."""

    def __init__(
        self, printer: Printer, marks: Marks, numbers: Mapping[str, str] | None, sizes: Mapping[Any, Any] | None
    ) -> None:
        self.printer, self.marks, self.sizes = printer, marks, dict(sizes or {})
        printer.numbers = numbers or {}

    def text(self, tree: Tree) -> str:
        """The tree on its own."""
        return self.piece(tree)[0]

    def inside(self, tree: Tree, level: int) -> str:
        """The tree in something that binds as tightly as ``level``."""
        return self.printer.wrapped(self.piece(tree), level)

    def final(self, e: Expr) -> Any:
        """A scalar with its sizes' numbers."""
        return late(e, self.sizes)

    def piece(self, tree: Tree) -> Piece:
        """The tree with the tightness of its outermost operator."""
        m, p = self.marks, self.printer
        if isinstance(tree, MName):
            if tree.tensor.name in p.numbers:
                return p.given(tree.tensor.name)
            return p.named(tree.tensor.name, [])
        if isinstance(tree, MScalar):
            return p.piece(self.final(tree.e))
        if isinstance(tree, MOnes):
            return m.ones, ATOM
        if isinstance(tree, MIdentity):
            return m.identity, ATOM
        if isinstance(tree, MUnit):
            return m.unit(p.affine(indexing.place(self.final(tree.position), p.base))), ATOM
        if isinstance(tree, MEntries):
            return m.rows([[p.piece(self.final(e))[0] for e in row] for row in tree.rows]), ATOM
        if isinstance(tree, MTranspose):
            return self.inside(tree.of, ATOM) + m.top, POWER
        if isinstance(tree, MProduct):
            return m.beside([self.inside(f, POWER) for f in tree.factors]), PRODUCT
        if isinstance(tree, MHadamard):
            return self.hadamard(tree)
        if isinstance(tree, MScale):
            return self.scale(tree)
        if isinstance(tree, MSum):
            return self.sum(tree), SUM
        if isinstance(tree, MPower):
            return self.power(tree)
        return self.function(tree), ATOM

    def function(self, tree: Tree) -> str:
        """What is written with a name and parentheses, or in brackets."""
        m, p = self.marks, self.printer
        if isinstance(tree, MCompare):
            relation = p.relations[RELATIONS[tree.relation]]
            return p.bracket(f"{self.text(tree.left)} {relation} {self.text(tree.right)}")
        if isinstance(tree, MNot):
            return p.bracket(p.lnot + self.inside(tree.of, ATOM))
        if isinstance(tree, MCall) and tree.op == "abs":
            return m.modulus(self.text(tree.arguments[0]))
        if isinstance(tree, MCall):
            name, parts = m.name(tree.op), tree.arguments
        elif isinstance(tree, MTransform):
            matrix = all(n != 1 for n in tree.of.shape)
            name, parts = m.name(tree.op) + (m.along(0) if matrix and tree.axis == 0 else ""), (tree.of,)
        elif isinstance(tree, MReduce):
            name, parts = m.name(tree.op) + ("" if tree.axis is None else m.along(tree.axis)), (tree.of,)
        elif isinstance(tree, MWhere):
            name, parts = m.name("where"), (tree.condition, tree.then, tree.otherwise)
        elif isinstance(tree, MOneHot):
            name, parts = m.name("onehot"), (tree.classes,)
        else:
            name, parts = m.name(UNARY[type(tree)]), tuple(tree.parts())
        return name + p.parens(", ".join(self.text(part) for part in parts))

    def power(self, tree: MPower) -> Piece:
        exponent = self.final(tree.exponent)
        if tree.rank == 0:
            if exponent.is_Number and exponent < 0:
                return self.marks.fraction("1", self.denominator(tree)), POWER
            return self.scalar_power(tree, exponent)
        if exponent == 2 and isinstance(tree.of, MName):
            base = self.inside(tree.of, POWER)
            return f"{base}{self.marks.times}{base}", PRODUCT
        text = self.printer.text(exponent)
        if exponent.is_Rational and not exponent.is_Integer:
            text = str(exponent)
        return self.inside(tree.of, ATOM) + self.marks.raised(text), POWER

    def scalar_power(self, tree: MPower, exponent: Any) -> Piece:
        return self.printer.raised_text(self.text(tree.of), self.inside(tree.of, ATOM), exponent)

    def denominator(self, tree: MPower) -> str:
        """What stands below the bar for a power with a negative number as its exponent."""
        exponent = -self.final(tree.exponent)
        if exponent == 1:
            return self.text(tree.of)
        return self.piece(MPower(tree.of, exponent))[0]

    def divides(self, tree: Tree) -> bool:
        """A power with a negative number as its exponent."""
        return isinstance(tree, MPower) and bool(tree.exponent.is_Number and tree.exponent < 0)

    def hadamard(self, tree: MHadamard) -> Piece:
        numbers = tuple(f for f in tree.factors if f.rank == 0)
        if numbers:
            rest = tuple(f for f in tree.factors if f.rank)
            whole = MHadamard(rest) if len(rest) > 1 else rest[0] if rest else ONE
            return self.scale(MScale(S.One, whole, numbers))
        above = [f for f in tree.factors if not self.divides(f)]
        ordered = sorted(above, key=is_upstream)
        text = self.marks.times.join(self.inside(f, POWER) for f in ordered) or "1"
        for f in tree.factors:
            if isinstance(f, MPower) and self.divides(f):
                exponent = -self.final(f.exponent)
                text += self.marks.over + self.inside(f.of if exponent == 1 else MPower(f.of, exponent), POWER)
        return text, PRODUCT

    def scale(self, tree: MScale) -> Piece:
        p = self.printer
        tree = self.merged(tree)
        if not tree.by and (tree.of == ONE or tree.scalar == 1):
            return p.piece(self.final(tree.scalar)) if tree.of == ONE else self.piece(tree.of)
        parts = order.parts(self.final(tree.scalar))
        n = order.numeral(parts.number)
        upstream = [f for f in parts.factors if order.rank(f) >= order.UPSTREAM]
        before = p.factors([f for f in parts.factors if f not in upstream], closed=True)
        before += [self.inside(t, POWER) for t in tree.by if not self.divides(t)]
        constants = p.factors(parts.below, closed=True)
        below = [self.denominator(t) for t in tree.by if isinstance(t, MPower) and self.divides(t)]
        constant = not below and all(f.is_number for f in parts.below)
        below = constants + below
        after = p.factors(upstream, closed=True)
        whole = [] if tree.of == ONE else [self.inside(tree.of, PRODUCT)]
        if below and not constant:
            if n.whole != "1" or n.power:
                before.insert(0, p.numeral(Numeral(n.whole, power=n.power))[0])
            if n.below:
                below.insert(0, p.numeral(Numeral(n.below))[0])
            if not before and whole:
                above, rest = [self.text(tree.of)], after
            elif not is_upstream(tree.of):
                above, rest = [*before, *whole], after
            else:
                above, rest = before, [*after, *whole]
            if not above:
                above, rest = after or ["1"], []
            factors = [self.marks.fraction(self.marks.scalars(above), self.marks.scalars(below)), *rest]
        else:
            coefficient = [p.numeral(n)[0]] if parts.number != 1 else []
            if below:
                below += [p.numeral(Numeral(n.below))[0]] if n.below else []
                numerator = p.numeral(Numeral(n.whole, power=n.power))[0]
                coefficient = [self.marks.fraction(numerator, self.marks.scalars(below))]
            factors = [*coefficient, *before, *whole, *after]
            if is_upstream(tree.of):
                factors = [*coefficient, *before, *after, *whole]
        text = self.marks.scalars(factors)
        if parts.negative:
            return p.minus.strip() + text, NEGATIVE
        return text, POWER if len(factors) == 1 and below else PRODUCT

    def merged(self, tree: MScale) -> MScale:
        """The same with one number in front: what is scaled is neither scaled itself nor a number without a name."""
        scalars, by, of = [tree.scalar], list(tree.by), [tree.of]
        numbers: list[Tree] = []
        whole: list[Tree] = []
        while by or of:
            is_whole = not by
            t = of.pop(0) if is_whole else by.pop(0)
            if isinstance(t, MScale):
                scalars.append(t.scalar)
                by, of = [*t.by, *by], of
                (of if is_whole else by).insert(0, t.of)
            elif isinstance(t, MScalar):
                scalars.append(t.e)
            elif isinstance(t, MHadamard) and any(f.rank == 0 for f in t.factors):
                by = [f for f in t.factors if f.rank == 0] + by
                rest = tuple(f for f in t.factors if f.rank)
                of += [MHadamard(rest) if len(rest) > 1 else rest[0]] if rest else []
            else:
                (whole if is_whole and not (t.rank == 0 and self.divides(t)) else numbers).append(t)
        if not whole:
            last = sorted((t for t in numbers if not self.divides(t)), key=is_upstream)[-1:]
            numbers = [t for t in numbers if not any(t is found for found in last)]
            whole = last or [ONE]
        return MScale(product(scalars), whole[0], tuple(sorted(numbers, key=is_upstream)))

    def sum(self, tree: MSum) -> str:
        terms = list(tree.terms)
        if self.is_negative(terms[0]):
            positive = [k for k, t in enumerate(terms) if not self.is_negative(t)]
            named = [k for k in positive if not isinstance(terms[k], MScalar)]
            if positive:
                terms.insert(0, terms.pop((named or positive)[0]))
        text = ""
        for t in terms:
            shown, level = self.piece(t)
            if level == NEGATIVE:
                shown = shown[len(self.printer.minus.strip()) :]
                text += (self.printer.minus if text else self.printer.minus.strip()) + shown
            else:
                shown = self.printer.wrapped((shown, level), NEGATIVE)
                text += (self.printer.plus if text else "") + shown
        return text

    def is_negative(self, tree: Tree) -> bool:
        e = tree.scalar if isinstance(tree, MScale) else tree.e if isinstance(tree, MScalar) else S.One
        return order.is_negative(self.final(e))
