"""The graph behind a matrix form: indices as vertices, eliminated one by one; and scalars split into their factors."""

from __future__ import annotations

from typing import Any

from sympy import Expr, S

from explain.calculus.matrix_layout import Axes, Layout, NoForm, Placed, multiplied, product, transposed
from explain.calculus.matrix_tree import MDiag, MOnes, Tree
from explain.calculus.symbols import UNIT, Index, Size, is_plain_number, late


class Graph:
    """Indices with their weights (columns) and edges (matrices)."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.weights: dict[Index, list[Tree]] = {}
        self.edges: dict[frozenset[Index], Placed] = {}
        self.counted: list[Placed] = []  # numbers that eliminated vertices left

    def add(self, tree: Tree, axes: Axes) -> None:
        """One more factor; two matrices between the same vertices are one entrywise product."""
        if len(axes) == 1:
            self.weights.setdefault(axes[0], []).append(tree)
            return
        key = frozenset(axes)
        new = Placed(tree=tree, axes=axes)
        if key in self.edges:
            parts, axes = self.layout.aligned([self.edges[key], new])
            new = Placed(tree=self.layout.hadamard([p.whole for p in parts]), axes=axes)
        self.edges[key] = new

    def degree(self, vertex: Index) -> int:
        """How many edges meet there."""
        return sum(vertex in key for key in self.edges)

    def _matrix(self, rows: Index, columns: Index) -> Tree:
        edge = self.edges.pop(frozenset((rows, columns)))
        assert edge.tree is not None
        return edge.tree if edge.axes == (rows, columns) else transposed(edge.tree)

    def eliminate(self, vertex: Index) -> None:
        """Sum over a vertex. Raises NoForm for three edges and more."""
        near = [i for key in self.edges if vertex in key for i in key if i != vertex]
        columns = self.weights.pop(vertex, [])
        n = S(self.layout.sizes[vertex])
        if len(near) > 2:
            raise NoForm
        if not near:
            self.counted.append(Placed(by=(self.layout.dot(columns),)) if columns else multiplied([scalar_part(n)]))
        elif len(near) == 1:
            column = self.layout.hadamard(columns) if columns else MOnes(n)
            self.add(product(self._matrix(near[0], vertex), column), (near[0],))
        else:
            middle = [MDiag(self.layout.hadamard(columns))] if columns else []
            left, right = self._matrix(near[0], vertex), self._matrix(vertex, near[1])
            self.add(product(left, *middle, right), (near[0], near[1]))

    def rest(self) -> Placed:
        """What is left on the free vertices, at most two."""
        left = set(self.weights).union(*self.edges)
        if len(left) > 2:
            raise NoForm
        if not self.edges:
            columns = [(i, self.layout.hadamard(trees)) for i, trees in self.weights.items()]
            if not columns:
                return Placed()
            if len(columns) == 1:
                return Placed(tree=columns[0][1], axes=(columns[0][0],))
            (i, u), (j, v) = columns
            return Placed(tree=product(u, transposed(v)), axes=(i, j))
        (edge,) = self.edges.values()
        assert edge.tree is not None
        scaled = [MDiag(self.layout.hadamard(self.weights[i])) if i in self.weights else None for i in edge.axes]
        return Placed(tree=product(*(t for t in (scaled[0], edge.tree, scaled[1]) if t is not None)), axes=edge.axes)


def scalar_part(f: Expr) -> Placed:
    """A factor without free indices."""
    if f == UNIT or (f.is_Pow and f.base == UNIT):
        return Placed()
    if f.is_Mul:
        return multiplied([scalar_part(a) for a in f.args])
    if f.is_Rational:
        return Placed(f)
    if f.is_Pow and not is_plain_number(f):
        return Placed(scalars={plain_scalar(f.base): plain_scalar(f.exp)})
    return Placed(scalars={plain_scalar(f): S.One})


def plain_scalar(e: Any) -> Any:
    """The expression without UNIT, its sizes kept as symbols."""
    e = S(e)
    return late(e, {n: n for n in e.free_symbols if isinstance(n, Size)}) if e.has(UNIT) else e
