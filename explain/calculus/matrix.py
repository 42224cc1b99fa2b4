"""Matrix form: an index formula in at most two indices read as matrix algebra, by reducing a small graph.

Indices are vertices. A factor with two of them is an edge (a matrix), a factor with one a weight (a column), a factor
without any a scalar. A sum, power or function is read as a whole and then is one factor. Bound vertices are eliminated,
those with the fewest edges first; a vertex with three edges has no matrix form. None is an honest answer; a tree that
differs from its formula in numbers is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sympy import And, Eq, Expr, Not, S, Tuple
from sympy.core.basic import Basic
from sympy.core.relational import Relational

from explain.calculus.matrix_graph import Graph, plain_scalar, scalar_part
from explain.calculus.matrix_layout import (
    Axes,
    Layout,
    NoForm,
    Placed,
    multiplied,
    product,
    transposed,
    without_minus,
)
from explain.calculus.matrix_tree import (
    MCall,
    MCompare,
    MDiagonal,
    MIdentity,
    MName,
    MNot,
    MOneHot,
    MOnes,
    MPower,
    MReduce,
    MTransform,
    MTranspose,
    MUnit,
    MWhere,
    Tree,
)
from explain.calculus.matrix_value import agrees
from explain.calculus.symbols import (
    FRESH,
    Binding,
    Call,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    relation,
)
from explain.errors import CannotDerive

Bind = tuple[Index, Any]
Shapes = Mapping[TensorName, Sequence[Any]]

TRIES = 8  # sums multiplied out, at most, where they do not fit as a whole


def matrix_form(
    e: Expr, target: Sequence[Bind], shapes: Shapes | None = None, last: Collection[TensorName] = ()
) -> Tree | None:
    """The tree whose entry at the target indices is ``e``, or None if there is none.

    ``target``: none, one or two pairs (index, size), as for ``walk.vjp``; with one the tree is a column.
    ``shapes``: sizes of tensors whose entries stand at fixed places (``X[0, j]``); not needed otherwise.
    ``last``: tensors that are written last in entrywise products (the upstream gradient).
    """
    if len(target) > 2 or e is S.Zero:
        return None
    reader = _Reader(dict(target), shapes or {}, last)
    try:
        return reader.fitted(reader.top(e, tuple(target)), tuple(target))
    except NoForm:
        return None


def checked_matrix_form(
    e: Expr, target: Sequence[Bind], shapes: Shapes | None = None, last: Collection[TensorName] = ()
) -> Tree | None:
    """``matrix_form``, refused if it differs from the index formula at random arrays (or if they cannot be drawn)."""
    tree = matrix_form(e, target, shapes, last)
    if tree is None:
        return None
    try:
        return tree if agrees(tree, e, target, shapes or {}) else None
    except CannotDerive:  # a part without a numeric meaning
        return None


class _Reader(Layout):
    def __init__(self, sizes: dict[Index, Any], shapes: Shapes, last: Collection[TensorName]) -> None:
        super().__init__(sizes, last)
        self.shapes = shapes
        self.known: dict[Basic, tuple[frozenset[Index], bool]] = {}
        self.tries = TRIES

    # what a formula is made of

    def about(self, e: Basic) -> tuple[frozenset[Index], bool]:
        """The free indices of an expression, and whether it binds any."""
        found = self.known.get(e)
        if found is None:
            found = self.known[e] = self._about(e)
        return found

    def _about(self, e: Any) -> tuple[frozenset[Index], bool]:
        if isinstance(e, Index):
            return frozenset((e,)), False
        if isinstance(e, Transform):
            inside = self.about(e.body)[0] - set(e.bound)
            return inside.union(*(self.about(p)[0] for p in e.positions)), True
        parts = [self.about(a) for a in e.args]
        free: frozenset[Index] = frozenset().union(*(f for f, _ in parts))
        return (free - set(e.bound), True) if isinstance(e, Binding) else (free, any(b for _, b in parts))

    def read(self, e: Any) -> Placed:
        """Any expression. Raises NoForm if it has no matrix form; an index formula inside a scalar is no fault."""
        free, binds = self.about(e)
        if free:
            return self._read(e)
        if not binds:
            return multiplied([scalar_part(f) for f in (e.args if e.is_Mul else (e,))])
        try:
            return self._read(e)
        except NoForm:
            return scalar_part(e)

    def top(self, e: Expr, target: tuple[Bind, ...]) -> Placed:
        """The whole formula."""
        if e.is_Mul:
            sums = [f for f in e.args if self.about(f)[0]]
            if len(sums) == 1 and sums[0].is_Add:
                return multiplied([*(self.read(f) for f in e.args if f is not sums[0]), self.top(sums[0], target)])
        if not e.is_Add:
            return self.read(e)
        return self.total([self.read(a) for a in e.args], target)

    def _read(self, e: Any) -> Placed:
        if isinstance(e, Entry):
            return self._entry(e)
        if e.is_Mul:
            return self._product(e.args, ())
        if isinstance(e, Total):
            return self._product(e.body.args if e.body.is_Mul else (e.body,), e.limits)
        if e.is_Add:
            return self.total([self.read(a) for a in e.args])
        if e.is_Pow:
            return self._power(e)
        if isinstance(e, Call):
            return self._joined([self.read(a) for a in e.arguments], lambda *parts: MCall(e.op, parts))
        if isinstance(e, Indicator):
            return self._truth(e.condition)
        if isinstance(e, Where):
            parts = [self._truth(e.args[0]), self.read(e.args[1]), self.read(e.args[2])]
            return self._joined(parts, MWhere)
        if isinstance(e, Transform | Reduction):
            return self._along(e)
        raise NoForm

    # leaves

    def _entry(self, e: Entry) -> Placed:
        known = self.shapes.get(e.tensor)
        if len(e.indices) > 2:
            raise NoForm
        for axis, i in enumerate(e.indices):
            if isinstance(i, Entry) and known is not None:  # X[i, t_i]: the product with a one-hot matrix
                j = FRESH()
                plain = Entry(e.tensor, *e.indices[:axis], j, *e.indices[axis + 1 :])
                return self._product((plain, Indicator(relation(Eq, j, i))), (Tuple(j, known[axis]),))
        if not all(isinstance(i, Index) or i.is_Integer for i in e.indices):
            raise NoForm
        places = [i for i in e.indices if isinstance(i, Index)]
        if len(places) < len(e.indices) and known is None:
            raise NoForm
        sizes = known or [self.sizes[i] for i in places]
        extent = (*(S(n) for n in sizes), *(S.One,) * (2 - len(e.indices)))
        leaf = MName(e.tensor, len(e.indices), extent)
        if len(places) == len(e.indices):
            if len(places) == 2 and places[0] == places[1]:
                return Placed(tree=MDiagonal(leaf), axes=(places[0],))
            return Placed(tree=leaf, axes=tuple(places))
        # X[0, j]: the only row of a matrix of one row, else row picked by a basis vector
        row = e.indices[0].is_Integer
        column: Tree = transposed(leaf) if row else leaf
        if column.shape[1] != 1:
            column = product(column, MUnit(e.indices[0 if row else 1], column.shape[1]))
        return Placed(tree=column, axes=tuple(places))

    def _truth(self, condition: Any) -> Placed:
        """A condition as a tree of zeros and ones."""
        if isinstance(condition, Holds):
            return self.read(condition.args[0])
        if isinstance(condition, Not):
            return self._joined([self._truth(condition.args[0])], MNot)
        if isinstance(condition, And):
            parts, axes = self.aligned([self._truth(c) for c in condition.args])
            return self._placed(self.hadamard([p.whole for p in parts]), axes)
        if not isinstance(condition, Relational):
            raise NoForm
        left, right = condition.args
        if isinstance(left, Index) or isinstance(right, Index):
            return self._place(left, right) if isinstance(condition, Eq) else self._no_form()
        relation = condition.rel_op
        return self._joined([self.read(left), self.read(right)], lambda a, b: MCompare(relation, a, b))

    def _place(self, left: Any, right: Any) -> Placed:
        """[j = …] for an index j."""
        j, other = (right, left) if isinstance(right, Index) else (left, right)
        n = S(self.sizes[j])
        if isinstance(other, Index):
            return Placed(tree=MIdentity(n), axes=(other, j)) if S(self.sizes[other]) == n else self._no_form()
        free = self.about(other)[0]
        if not free:
            return Placed(tree=MUnit(plain_scalar(other), n), axes=(j,))
        if not isinstance(other, Entry) or j in free:
            raise NoForm
        classes = self._entry(other)
        if classes.tree is None or len(classes.axes) != 1:
            raise NoForm
        return Placed(tree=MOneHot(classes.tree, n), axes=(*classes.axes, j))

    def _no_form(self) -> Placed:
        raise NoForm

    # entrywise

    def _joined(self, parts: Sequence[Placed], build: Any) -> Placed:
        """An entrywise function of the parts, each as a whole."""
        found, axes = self.aligned(parts)
        return self._placed(build(*(p.whole for p in found)), axes)

    def _placed(self, tree: Tree, axes: Axes) -> Placed:
        return Placed(tree=tree, axes=axes) if axes else Placed(by=(tree,))

    def _power(self, e: Any) -> Placed:
        base = self.read(e.base)
        if any(self.about(e.exp)):  # it has an index, free or bound
            return self._joined([base, self.read(e.exp)], lambda a, b: MCall("pow", (a, b)))
        return self._placed(MPower(base.whole, plain_scalar(e.exp)), base.axes)

    # functions along an axis

    def _along(self, e: Any) -> Placed:
        """Softmax and the like at a position, or a reduction with a name of its own."""
        if e.numbers:
            raise NoForm  # what has options has no short name
        with self._bound(e.limits):
            body = self.read(e.body)
        bound = e.bound
        if not set(bound) <= set(body.axes) or (isinstance(e, Transform) and len(bound) > 1):
            raise NoForm
        rest = tuple(i for i in body.axes if i not in bound)
        if rest:  # row by row, if that takes no more transposes than column by column
            body = min((body.over((*rest, *bound), self.sizes), body.over((*bound, *rest), self.sizes)), key=_cost)
        axis = body.axes.index(bound[0])
        if isinstance(e, Reduction):
            return self._placed(MReduce(e.op, body.whole, axis if rest else None), rest)
        (position,) = e.positions
        if not isinstance(position, Index) or position in rest:
            raise NoForm
        axes = tuple(position if i == bound[0] else i for i in body.axes)
        return Placed(tree=MTransform(e.op, body.whole, axis), axes=axes)

    # products and sums of products

    def _product(self, factors: Sequence[Any], limits: Sequence[Tuple]) -> Placed:
        try:
            with self._bound(limits):
                return self._contracted([self.read(f) for f in factors], [i for i, _ in limits])
        except NoForm:
            if not self.tries:
                raise
            self.tries -= 1
        for k, f in enumerate(factors):
            others = [*factors[:k], *factors[k + 1 :]]
            if isinstance(f, Total):  # a sum among factors: one graph with the rest
                fresh = {i: FRESH() for i in f.bound}
                inner = f.body.xreplace(fresh)
                opened = [*others, *(inner.args if inner.is_Mul else (inner,))]
                return self._product(opened, [*limits, *(Tuple(fresh[i], n) for i, n in f.limits)])
        sums = [(len(self.about(f)[0]), k) for k, f in enumerate(factors) if f.is_Add]
        if not sums:
            raise NoForm
        k = max(sums)[1]
        others = [*factors[:k], *factors[k + 1 :]]
        return self.total([self._product([*others, *(t.args if t.is_Mul else (t,))], limits) for t in factors[k].args])

    @contextmanager
    def _bound(self, limits: Sequence[Tuple]) -> Iterator[None]:
        """The sizes of bound indices, while their body is read: the same name may run over another axis elsewhere."""
        outer = dict(self.sizes)
        self.sizes.update((i, n) for i, n in limits)
        try:
            yield
        finally:
            self.sizes.clear()
            self.sizes.update(outer)

    def _contracted(self, parts: Sequence[Placed], bound: Sequence[Index]) -> Placed:
        graph = Graph(self)
        for part in parts:
            if part.tree is not None:
                graph.add(part.tree, part.axes)
        todo = list(bound)
        while todo:
            vertex = min(todo, key=graph.degree)
            todo.remove(vertex)
            graph.eliminate(vertex)
        scalars = [Placed(p.number, p.scalars, p.by) for p in parts]
        return multiplied([*scalars, *graph.counted, graph.rest()])

    # the end

    def fitted(self, found: Placed, target: tuple[Bind, ...]) -> Tree:
        """The tree over exactly the target's axes: missing ones are filled with ones."""
        axes = tuple(i for i, _ in target)
        if not set(found.axes) <= set(axes) or len(set(axes)) < len(axes):
            raise NoForm
        if found.tree is None and not found.by and not axes and self.about(found.scalar)[1]:
            raise NoForm
        tree = self._filled(found, target)
        turned = without_minus(tree) if tree is not None and found.number.is_negative else None
        if turned is not None:
            found, tree = found.negative, turned
        return found.with_tree(tree).whole

    def _filled(self, found: Placed, target: tuple[Bind, ...]) -> Tree | None:
        axes = tuple(i for i, _ in target)
        sizes = [S(n) for _, n in target]
        if found.tree is None:
            long = [MOnes(n) for n in sizes if n != 1]
            if len(long) == 2:
                return product(long[0], MTranspose(long[1]))
            return None if not long else MTranspose(long[0]) if len(axes) == 2 and sizes[0] == 1 else long[0]
        if len(axes) == 2 and len(found.axes) == 1 and sizes[1 - axes.index(found.axes[0])] == 1:
            return found.tree if found.axes[0] == axes[0] else transposed(found.tree)
        return found.over(axes, dict(target)).tree


def _cost(part: Placed) -> int:
    return part.tree.cost if part.tree is not None else 0
