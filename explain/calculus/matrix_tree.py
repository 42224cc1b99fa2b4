"""A small matrix language: trees that say a formula without indices.

Every tree is a matrix inside: a vector is a column (n × 1), a number is 1 × 1. ``str`` gives numpy-like text, for
tests and for a stable order of terms; pages typeset the tree themselves. Entrywise parts broadcast a 1 × 1 part only; a
vector in a matrix's place is spread out with a column or a row of ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from sympy import Expr, S, Symbol

from explain.calculus.symbols import Entry, TensorName
from explain.calculus.text import formula_text

Extent = tuple[Expr, Expr]

SUM, TERM, POWER, ATOM = range(4)  # how tightly a tree's text binds


@dataclass(frozen=True)
class Tree:
    """Base of all trees. ``shape``: rows and columns as symbolic sizes."""

    binds: ClassVar[int] = ATOM
    entrywise: ClassVar[bool] = False
    word: ClassVar[str] = ""

    @property
    def shape(self) -> Extent:
        """Rows and columns; for an entrywise tree those that its parts are spread over."""
        shapes = [part.shape for part in self.parts()]
        rows = next((s[0] for s in shapes if s[0] != 1), S.One)
        return rows, next((s[1] for s in shapes if s[1] != 1), S.One)

    @property
    def rank(self) -> int:
        """0 for a number, 1 for a column, 2 for a matrix (a row is a matrix of one row)."""
        rows, columns = self.shape
        return 2 if columns != 1 else 1 if rows != 1 else 0

    def parts(self) -> Iterator[Tree]:
        """The trees directly inside."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, Tree):
                yield value
            elif isinstance(value, tuple):
                yield from (v for v in value if isinstance(v, Tree))

    @cached_property
    def cost(self) -> int:
        """How many transposes stand in the tree: the way it is turned is chosen by this."""
        return sum(part.cost for part in self.parts())

    @cached_property
    def text(self) -> str:
        """The tree in numpy-like syntax; here, for the many that look like a function of their parts."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        word = values.pop("op", self.word)
        return f"{word}({', '.join(_text(v) for v in values.values() if v is not None)})"

    def __str__(self) -> str:
        return self.text

    def inside(self, binds: int) -> str:
        """The text as part of something that binds as tightly as ``binds`` or tighter."""
        return self.text if self.binds > binds else f"({self.text})"


# leaves


@dataclass(frozen=True)
class MName(Tree):
    """A tensor of at most two axes. ``extent``: its rows and columns."""

    tensor: TensorName
    axes: int
    extent: Extent

    @property
    def shape(self) -> Extent:
        return self.extent

    @cached_property
    def text(self) -> str:
        return self.tensor.name


@dataclass(frozen=True)
class MScalar(Tree):
    """A number: an expression without free index. In an entrywise sum it stands for itself at every place."""

    e: Expr

    @property
    def binds(self) -> int:  # type: ignore[override]
        return SUM if self.e.is_Add else TERM if self.e.is_Mul or (self.e.is_Rational and not self.e.is_Integer) else POWER

    @property
    def shape(self) -> Extent:
        return S.One, S.One

    @cached_property
    def text(self) -> str:
        return _text(self.e)


@dataclass(frozen=True)
class MOnes(Tree):
    """A column of ones."""

    word: ClassVar[str] = "ones"
    size: Expr

    @property
    def shape(self) -> Extent:
        return self.size, S.One


@dataclass(frozen=True)
class MUnit(Tree):
    """A basis vector: 1 at ``position`` (counted from 0), 0 elsewhere."""

    word: ClassVar[str] = "e"
    position: Expr
    size: Expr

    @property
    def shape(self) -> Extent:
        return self.size, S.One


@dataclass(frozen=True)
class MIdentity(Tree):
    """The identity matrix."""

    word: ClassVar[str] = "eye"
    size: Expr

    @property
    def shape(self) -> Extent:
        return self.size, self.size


@dataclass(frozen=True)
class MEntries(Tree):
    """A matrix written out: its rows, each a tuple of numbers (expressions without free index)."""

    rows: tuple[tuple[Expr, ...], ...]

    @property
    def shape(self) -> Extent:
        return S(len(self.rows)), S(len(self.rows[0]))

    @cached_property
    def text(self) -> str:
        rows = [[formula_text(e) for e in row] for row in self.rows]
        listed = [row[0] if self.shape[1] == 1 else f"[{', '.join(row)}]" for row in rows]
        return f"[{', '.join(listed)}]"


# functions that are written with parentheses


@dataclass(frozen=True)
class MOneHot(Tree):
    """A row per class: 1 in the column that ``classes`` (a column) names."""

    word: ClassVar[str] = "onehot"
    classes: Tree
    width: Expr

    @property
    def shape(self) -> Extent:
        return self.classes.shape[0], self.width


@dataclass(frozen=True)
class MCall(Tree):
    """An entrywise op applied as a function."""

    entrywise: ClassVar[bool] = True
    op: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True)
class MTransform(Tree):
    """An op that maps the entries along ``axis`` to as many: axis 1 is row by row, 0 column by column."""

    op: str
    of: Tree
    axis: int


@dataclass(frozen=True)
class MReduce(Tree):
    """A reduction with a name of its own: along ``axis``, giving a column; over everything if None."""

    op: str
    of: Tree
    axis: int | None

    @property
    def shape(self) -> Extent:
        return (S.One if self.axis is None else self.of.shape[1 - self.axis]), S.One


@dataclass(frozen=True)
class MDiag(Tree):
    """The diagonal matrix of a column."""

    word: ClassVar[str] = "diag"
    of: Tree

    @property
    def shape(self) -> Extent:
        return self.of.shape[0], self.of.shape[0]


@dataclass(frozen=True)
class MDiagonal(Tree):
    """The diagonal of a square matrix, as a column."""

    word: ClassVar[str] = "diagonal"
    of: Tree

    @property
    def shape(self) -> Extent:
        return self.of.shape[0], S.One


@dataclass(frozen=True)
class MTrace(Tree):
    """The trace of a square matrix."""

    word: ClassVar[str] = "trace"
    of: Tree

    @property
    def shape(self) -> Extent:
        return S.One, S.One


@dataclass(frozen=True)
class MWhere(Tree):
    """Entrywise one of two, by a condition (a tree of zeros and ones)."""

    word: ClassVar[str] = "where"
    entrywise: ClassVar[bool] = True
    condition: Tree
    then: Tree
    otherwise: Tree


@dataclass(frozen=True)
class MNot(Tree):
    """The entrywise opposite of a condition."""

    word: ClassVar[str] = "not"
    entrywise: ClassVar[bool] = True
    of: Tree


@dataclass(frozen=True)
class MCompare(Tree):
    """Entrywise 1 where the relation holds, else 0. ``relation``: ``==``, ``!=``, ``>``, ``>=``, ``<`` or ``<=``."""

    entrywise: ClassVar[bool] = True
    relation: str
    left: Tree
    right: Tree

    @cached_property
    def text(self) -> str:
        return f"[{self.left} {self.relation} {self.right}]"


# arithmetic


@dataclass(frozen=True)
class MTranspose(Tree):
    """The transpose; of a column, a row. Made by ``transposed``, which pushes it inwards."""

    of: Tree

    @property
    def shape(self) -> Extent:
        rows, columns = self.of.shape
        return columns, rows

    @cached_property
    def cost(self) -> int:
        return 1 + self.of.cost

    @cached_property
    def text(self) -> str:
        return f"{self.of.inside(POWER)}.T"


@dataclass(frozen=True)
class MProduct(Tree):
    """The matrix product, at least two factors."""

    binds: ClassVar[int] = TERM
    factors: tuple[Tree, ...]

    @property
    def shape(self) -> Extent:
        return self.factors[0].shape[0], self.factors[-1].shape[1]

    @cached_property
    def text(self) -> str:
        return "@".join(f.inside(TERM) for f in self.factors)


@dataclass(frozen=True)
class MHadamard(Tree):
    """The entrywise product, at least two factors. A power with a negative exponent divides."""

    binds: ClassVar[int] = TERM
    entrywise: ClassVar[bool] = True
    factors: tuple[Tree, ...]

    @cached_property
    def text(self) -> str:
        return _divided(list(self.factors), "")


@dataclass(frozen=True)
class MScale(Tree):
    """A number times a tree: ``scalar`` (no free index), and ``by``, trees that are numbers, such as xᵀy."""

    binds: ClassVar[int] = TERM
    scalar: Expr
    of: Tree
    by: tuple[Tree, ...] = ()

    @property
    def shape(self) -> Extent:
        return self.of.shape

    @cached_property
    def text(self) -> str:
        whole = self.of.text if self.of.binds == TERM and not isinstance(self.of, MScale) else self.of.inside(TERM)
        rest = _divided(list(self.by), whole) if self.by else whole
        if self.scalar == 1:
            return rest
        return f"-{rest}" if self.scalar == -1 else f"{MScalar(self.scalar).inside(SUM)}*{rest}"


@dataclass(frozen=True)
class MSum(Tree):
    """The sum of at least two terms; a subtracted term is an ``MScale`` with a negative number."""

    binds: ClassVar[int] = SUM
    entrywise: ClassVar[bool] = True
    terms: tuple[Tree, ...]

    @cached_property
    def text(self) -> str:
        texts = [t.inside(SUM) for t in self.terms]
        return texts[0] + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in texts[1:])


@dataclass(frozen=True)
class MPower(Tree):
    """Entrywise power: of a number, just its power."""

    binds: ClassVar[int] = POWER
    entrywise: ClassVar[bool] = True
    of: Tree
    exponent: Expr

    @cached_property
    def text(self) -> str:
        exponent = _text(self.exponent)
        plain = self.exponent.is_Symbol or (self.exponent.is_Integer and self.exponent >= 0)
        return f"{self.of.inside(POWER)}**{exponent if plain else f'({exponent})'}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, Expr):
        value = value.xreplace({a: Symbol(formula_text(a)) if a.indices else a.tensor for a in value.atoms(Entry)})
    return str(value)


def _divided(factors: list[Tree], last: str) -> str:
    """The product in text: powers with negative numbers as exponents go below the bar."""
    below = [f for f in factors if isinstance(f, MPower) and f.exponent.is_Number and f.exponent < 0]
    above = [f.inside(TERM) for f in factors if f not in below] + ([last] if last else [])
    under = [(f.of if f.exponent == -1 else MPower(f.of, -f.exponent)).inside(TERM) for f in below]
    return "/".join(["*".join(above) or "1", *under])
