"""Building matrix trees: transposes pushed inwards, products flat, factors and terms in a stable, readable order.

The vertices of facts are indices: a ``Placed`` tree knows which index runs along its rows and which along its columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from sympy import Expr, Integer, Mul, Pow, S

from explain.calculus import symbols
from explain.calculus.matrix_tree import (
    MDiag,
    MDiagonal,
    MHadamard,
    MIdentity,
    MName,
    MOnes,
    MPower,
    MProduct,
    MScalar,
    MScale,
    MSum,
    MTrace,
    MTransform,
    MTranspose,
    Tree,
)
from explain.calculus.symbols import Index, TensorName

Axes = tuple[Index, ...]


@dataclass(frozen=True)
class Placed:
    """``number`` · scalars to their powers · ``by``, trees that are numbers · ``tree``, whose rows and columns run over
    ``axes``: none (then there is no tree), one (a column) or two."""

    number: Expr = S.One
    scalars: dict[Expr, Expr] = field(default_factory=dict)
    by: tuple[Tree, ...] = ()
    tree: Tree | None = None
    axes: Axes = ()

    @cached_property
    def scalar(self) -> Expr:
        """The number and the scalars as one expression, in which no number is multiplied into a sum."""
        return symbols.product([self.number, *(Pow(b, n) for b, n in self.scalars.items())])

    @cached_property
    def whole(self) -> Tree:
        """Everything as one tree, over ``axes``."""
        if self.tree is None and not self.by:
            return MScalar(self.scalar)
        of, by = (self.by[-1], self.by[:-1]) if self.tree is None else (self.tree, self.by)
        return of if self.scalar == 1 and not by else MScale(self.scalar, of, by)

    @property
    def negative(self) -> Placed:
        """Minus the same."""
        return Placed(-self.number, self.scalars, self.by, self.tree, self.axes)

    def with_tree(self, tree: Tree | None) -> Placed:
        """The same scalars before another tree."""
        return Placed(self.number, self.scalars, self.by, tree, self.axes if tree is not None else ())

    def over(self, axes: Axes, sizes: dict[Index, Any]) -> Placed:
        """The same over more axes or the other way round; what has no axes stays (it broadcasts)."""
        if self.tree is None or axes == self.axes:
            return self
        if len(self.axes) == 2:
            tree = transposed(self.tree)
        elif self.axes[0] == axes[0]:
            tree = product(self.tree, MTranspose(MOnes(sizes[axes[1]])))
        else:
            tree = product(MOnes(sizes[axes[0]]), transposed(self.tree))
        return Placed(self.number, self.scalars, self.by, tree, axes)


def _spread(terms: list[Placed], target: Sequence[tuple[Index, Any]]) -> list[Placed]:
    """The terms with numbers as columns or matrices of ones. Where all terms are entrywise and the numbers plain, as in
    ``1 − y²``, they stay: they broadcast, as entrywise functions do."""
    if not any(t.by or not t.scalar.is_number or (t.tree is not None and _contracts(t.tree)) for t in terms):
        return terms
    axes, sizes = zip(*target, strict=True)
    ones = product(MOnes(S(sizes[0])), *(MTranspose(MOnes(S(n))) for n in sizes[1:]))
    return [t if t.tree is not None else Placed(t.number, t.scalars, t.by, ones, axes) for t in terms]


def _contracts(tree: Tree) -> bool:
    return isinstance(tree, MProduct) or any(map(_contracts, tree.parts()))


def transposed(tree: Tree) -> Tree:
    """The transpose, pushed inwards where that leaves no more transposes than there were."""
    if isinstance(tree, MTranspose):
        return tree.of
    if isinstance(tree, MIdentity | MDiag) or tree.shape == (1, 1):
        return tree
    if isinstance(tree, MProduct):
        return MProduct(tuple(transposed(f) for f in reversed(tree.factors)))
    if isinstance(tree, MScale):
        return MScale(tree.scalar, transposed(tree.of), tree.by)
    if isinstance(tree, MTransform) and isinstance(tree.of, MTranspose):
        return MTransform(tree.op, tree.of.of, 1 - tree.axis)
    if tree.entrywise:
        turned = _rebuilt(tree)
        if isinstance(turned, MSum) and isinstance(tree, MSum) and set(turned.terms) == set(tree.terms):
            return tree  # A + Aᵀ
        if turned.cost <= tree.cost:
            return turned
    return MTranspose(tree)


def _rebuilt(tree: Tree) -> Tree:
    given: dict[str, Any] = {}
    for f in fields(tree):
        value = getattr(tree, f.name)
        if isinstance(value, Tree):
            value = transposed(value)
        elif isinstance(value, tuple):
            value = tuple(transposed(v) if isinstance(v, Tree) else v for v in value)
        given[f.name] = value
    return type(tree)(**given)


def product(*factors: Tree) -> Tree:
    """The matrix product: flat, without identities."""
    flat: list[Tree] = []
    for f in factors:
        flat.extend(f.factors if isinstance(f, MProduct) else (f,))
    kept = [f for f in flat if not isinstance(f, MIdentity)]
    return MProduct(tuple(kept)) if len(kept) > 1 else kept[0] if kept else flat[0]


def _turned(tree: Tree) -> Tree:
    """A sum of rows as the transpose of a sum, where that is shorter."""
    turned = _rebuilt(tree) if tree.entrywise else tree
    return MTranspose(turned) if turned.cost + 1 < tree.cost else tree


def without_minus(tree: Tree) -> Tree | None:
    """Minus the tree, by turning a difference inside around (b − a for a − b); None if there is none to turn."""
    if isinstance(tree, MSum):
        signs = [isinstance(t, MScale) and t.scalar.could_extract_minus_sign() for t in tree.terms]
        if not any(signs) or any(isinstance(t, MScalar) for t in tree.terms):
            return None
        turned = [_minus(t) for t in tree.terms]
        return MSum(
            (
                *(t for t, s in zip(turned, signs, strict=True) if s),
                *(t for t, s in zip(turned, signs, strict=True) if not s),
            )
        )
    if isinstance(tree, MTranspose):
        inner = without_minus(tree.of)
        return None if inner is None else MTranspose(inner)
    if isinstance(tree, MProduct | MHadamard):
        for k, f in enumerate(tree.factors):
            inner = without_minus(f)
            if inner is not None:
                return type(tree)((*tree.factors[:k], inner, *tree.factors[k + 1 :]))
    return None


def _minus(tree: Tree) -> Tree:
    if not isinstance(tree, MScale):
        return MScale(S.NegativeOne, tree)
    if tree.scalar == -1 and not tree.by:
        return tree.of
    return MScale(symbols.product([S.NegativeOne, tree.scalar]), tree.of, tree.by)


def contains(tree: Tree, names: Collection[TensorName]) -> bool:
    """Whether one of the tensors stands in the tree."""
    if isinstance(tree, MName):
        return tree.tensor in names
    return any(contains(part, names) for part in tree.parts())


class Layout:
    """Builders that need to know the sizes of indices and which tensors are written last."""

    def __init__(self, sizes: dict[Index, Any], last: Collection[TensorName]) -> None:
        self.sizes = sizes
        self.last = last

    def aligned(self, parts: Sequence[Placed]) -> tuple[list[Placed], Axes]:
        """All parts over the union of their axes, turned the way that needs the fewest transposes."""
        axes: Axes = ()
        for part in sorted(parts, key=lambda part: -len(part.axes)):
            axes += tuple(i for i in part.axes if i not in axes)
        if len(axes) > 2:
            raise NoForm
        turns = [axes, axes[::-1]] if len(axes) == 2 else [axes]
        tried = [[part.over(turn, self.sizes) for part in parts] for turn in turns]
        costs = [sum(part.tree.cost for part in found if part.tree is not None) for found in tried]
        best = costs.index(min(costs))
        return tried[best], turns[best]

    def hadamard(self, trees: Sequence[Tree]) -> Tree:
        """The entrywise product of trees of one shape: own slopes first, names after, the tensors in ``last`` last."""
        flat: list[Tree] = []
        for t in trees:
            flat.extend(t.factors if isinstance(t, MHadamard) else (t,))
        flat = [t for t in flat if not isinstance(t, MOnes)] or flat[:1]
        flat.sort(key=lambda t: (contains(t, self.last), _divides(t), isinstance(t, MName), t.text))
        return MHadamard(tuple(flat)) if len(flat) > 1 else flat[0]

    def dot(self, columns: Sequence[Tree]) -> Tree:
        """The sum over the entries of an entrywise product of columns."""
        whole = self.hadamard(columns)
        if isinstance(whole, MDiagonal):
            return MTrace(whole.of)
        if isinstance(whole, MPower) and whole.exponent == 2:
            return product(transposed(whole.of), whole.of)
        if not isinstance(whole, MHadamard):
            return _shorter(product(MTranspose(MOnes(whole.shape[0])), whole))
        # a plain name makes the shortest row
        row = next((f for f in whole.factors if isinstance(f, MName)), whole.factors[0])
        rest = list(whole.factors)
        rest.remove(row)
        return _shorter(product(transposed(row), self.hadamard(rest)))

    def total(self, terms: Sequence[Placed], target: Sequence[tuple[Index, Any]] | None = None) -> Placed:
        """The sum: common scalars in front, like terms merged, what is added before what is subtracted.

        ``target``: the sum is the whole formula, over these indices and sizes. Then common matrices go in front too, and a
        number is spread with ones; inside, the author's way stays.
        """
        number, scalars, by, rest = _common([part for t in terms for part in _opened(t)])
        if target:
            rest = _spread(rest, target)
        placed, axes = self.aligned(rest)
        kept = _merged(placed)
        if not kept:
            raise NoForm  # everything cancels: the index form says so better
        if all(t.number.is_negative for t in kept):
            number = -number
            kept = [t.negative for t in kept]
        if len(kept) == 1:
            return multiplied([Placed(number, scalars, by), kept[0]])
        if all(t.tree is None for t in kept):  # what had axes has cancelled
            return Placed(number, scalars, (*by, self._sum(kept)))
        return Placed(number, scalars, by, self._factored(kept) if target is not None else self._sum(kept), axes)

    def _sum(self, terms: Sequence[Placed]) -> Tree:
        return MSum(tuple(t.whole for t in sorted(terms, key=self._order)))

    def _factored(self, terms: Sequence[Placed]) -> Tree:
        """The sum with a first or last matrix, or an entrywise factor, that all terms share put outside."""
        terms = _merged([part for t in terms for part in _opened(t)])
        if len(terms) < 2:
            return terms[0].whole if terms else MScalar(S.Zero)
        trees = [t.tree for t in terms if t.tree is not None]
        if len(trees) == len(terms):
            lists = [_factors(t) for t in trees]
            if all(len(factors) > 1 for factors in lists):
                if len({factors[0] for factors in lists}) == 1:
                    inner = [t.with_tree(product(*fs[1:])) for t, fs in zip(terms, lists, strict=True)]
                    if not (_mirrored(inner) and isinstance(lists[0][0], MName)):
                        return product(lists[0][0], _turned(self._factored(inner)))
                if len({factors[-1] for factors in lists}) == 1:
                    inner = [t.with_tree(product(*fs[:-1])) for t, fs in zip(terms, lists, strict=True)]
                    if not (_mirrored(inner) and isinstance(lists[0][-1], MName)):
                        return product(_turned(self._factored(inner)), lists[0][-1])
            parts = [list(t.factors) if isinstance(t, MHadamard) else [t] for t in trees]
            shared = [f for f in dict.fromkeys(parts[0]) if all(f in own for own in parts)]
            if shared:
                for own in parts:
                    for f in shared:
                        own.remove(f)
                inner = [t.with_tree(self.hadamard(own) if own else None) for t, own in zip(terms, parts, strict=True)]
                if all(t.tree is None for t in inner):
                    return MScale(S.One, self.hadamard(shared), (self._sum(inner),))
                return self.hadamard([*shared, self._factored(inner)])
        return self._sum(terms)

    def _order(self, term: Placed) -> tuple[Any, ...]:
        tree = term.whole
        spread = isinstance(tree, MProduct) and any(_is_ones(f) for f in tree.factors)
        constant = term.tree is None or all(_is_ones(f) for f in _factors(term.tree))
        # a transpose counts as a late letter: A x before Aᵀ x
        return bool(term.number.is_negative), constant, spread, tree.text.replace(".T", "~T")


def multiplied(parts: Sequence[Placed]) -> Placed:
    """The product of parts of which at most one has axes."""
    number, scalars, by = Mul(*(p.number for p in parts)), {}, []  # type: tuple[Expr, dict[Expr, Expr], list[Tree]]
    for p in parts:
        for base, exponent in p.scalars.items():
            scalars[base] = scalars.get(base, S.Zero) + exponent
        by += p.by
    with_axes = next((p for p in parts if p.tree is not None), Placed())
    scalars = {b: n for b, n in scalars.items() if n != 0}
    return Placed(number, scalars, tuple(sorted(by, key=str)), with_axes.tree, with_axes.axes)


class NoForm(Exception):
    """There is no matrix form with at most two axes (or none that is known)."""


def _divides(tree: Tree) -> bool:
    return isinstance(tree, MPower) and bool(tree.exponent.is_negative)


def _factors(tree: Tree) -> tuple[Tree, ...]:
    return tree.factors if isinstance(tree, MProduct) else (tree,)


def _is_ones(tree: Tree) -> bool:
    return isinstance(tree, MOnes) or (isinstance(tree, MTranspose) and isinstance(tree.of, MOnes))


def _shorter(tree: Tree) -> Tree:
    """A product that is a number, read from the end that needs fewer transposes."""
    if not isinstance(tree, MProduct):
        return tree
    back = MProduct(tuple(transposed(f) for f in reversed(tree.factors)))
    return back if back.cost < tree.cost else tree


def _mirrored(terms: Sequence[Placed]) -> bool:
    """Whether a matrix and its transpose are among the terms: A x + Aᵀ x reads better than (A + Aᵀ) x, of a plain x."""
    trees = {t.tree for t in terms}
    return any(t.tree is not None and transposed(t.tree) in trees for t in terms)


def _merged(terms: Sequence[Placed]) -> list[Placed]:
    """Like terms added, nothings left out."""
    found: dict[tuple[Any, ...], Placed] = {}
    for t in terms:
        key = (frozenset(t.scalars.items()), t.by, t.tree)
        old = found.get(key)
        found[key] = Placed(t.number + (old.number if old else 0), t.scalars, t.by, t.tree, t.axes)
    return [t for t in found.values() if not t.number.is_zero]


def _opened(term: Placed) -> list[Placed]:
    """The terms of a sum that stands in a sum with nothing, or only a sign, before it."""
    if not isinstance(term.tree, MSum) or abs(term.number) != 1 or term.scalars or term.by:
        return [term]
    found = []
    for tree in term.tree.terms:
        scalar: Expr = tree.scalar if isinstance(tree, MScale) else tree.e if isinstance(tree, MScalar) else S.One
        by: tuple[Tree, ...] = tree.by if isinstance(tree, MScale) else ()
        of: Tree | None = None if isinstance(tree, MScalar) else tree.of if isinstance(tree, MScale) else tree
        if of is not None and of.rank == 0:
            by = (*by, of)
            of = None
        number, rest = scalar.as_coeff_Mul(rational=True)
        scalars = {rest: S.One} if rest != 1 else {}
        found.append(Placed(term.number * number, scalars, by, of, term.axes if of is not None else ()))
    return found


def _common(terms: Sequence[Placed]) -> tuple[Expr, dict[Expr, Expr], tuple[Tree, ...], list[Placed]]:
    """What all terms have in common (number, scalars, trees that are numbers), and the terms without it."""
    first = terms[0]
    scalars: dict[Expr, Expr] = {}
    for base in first.scalars:
        exponents = [t.scalars.get(base, S.Zero) for t in terms]
        if all(n == exponents[0] for n in exponents):
            scalars[base] = exponents[0]
        elif all(n.is_number and n > 0 for n in exponents):
            scalars[base] = min(exponents)
        elif all(n.is_number and n < 0 for n in exponents):
            scalars[base] = max(exponents)
    by = tuple(b for b in dict.fromkeys(first.by) if all(b in t.by for t in terms))
    number = S.One
    numbers = [t.number for t in terms]
    # 6x + 3 stays as its author wrote it; 2Ax − 2b is 2(Ax − b)
    if all(n.is_Rational for n in numbers) and all(t.tree is not None or t.by for t in terms):
        top = bottom = S.Zero
        for n in numbers:
            top, bottom = Integer(top).gcd(Integer(n.p)), Integer(bottom).gcd(Integer(n.q))
        number = top / bottom if top else S.One
    rest = []
    for t in terms:
        left = {b: n - scalars.get(b, S.Zero) for b, n in t.scalars.items()}
        own = list(t.by)
        for b in by:
            own.remove(b)
        rest.append(Placed(t.number / number, {b: n for b, n in left.items() if n != 0}, tuple(own), t.tree, t.axes))
    return number, scalars, by, rest
