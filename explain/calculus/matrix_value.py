"""Matrix trees in numbers, and the check that a tree says the same as the index formula it was read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Basic, Eq, Expr, S

from explain.calculus.evaluate import evaluate
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
from explain.calculus.symbols import (
    Binding,
    Digit,
    Entry,
    Holds,
    Index,
    Size,
    TensorName,
    Transform,
    numeric_size,
    walk_preorder,
)
from explain.ops.entrywise import Elementwise
from explain.ops.registry import REGISTRY

Bind = tuple[Index, Any]

DRAWS = ((-2.0, 2.0), (0.3, 2.0), (-0.9, 0.9))  # logarithms want positive entries, inverse functions small ones
TOLERANCE = 1e-9
LARGEST = 12  # axes of random arrays
LARGEST_OWN = 64  # where the formula needs its own sizes

_COMPARE: dict[str, Callable[..., Any]] = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal,
}  # fmt: skip


def evaluate_tree(
    tree: Tree, arrays: Mapping[str, Any], rank: int | None = None, sizes: Mapping[Size, int] | None = None
) -> np.ndarray:
    """The tree in float64, in the tensor's own shape: ``rank`` axes (the tree's own rank if None).

    ``arrays``: the tensors by name. ``sizes``: numbers to put for sizes instead of their own.
    """
    rank = tree.rank if rank is None else rank
    with np.errstate(all="ignore"):
        found = _Run(arrays, sizes or {}).value(tree)
    return found if rank == 2 else found.reshape(found.shape[:1] if rank else ())


@dataclass(frozen=True)
class _Run:
    """One evaluation. Every value is an array of two axes."""

    arrays: Mapping[str, Any]
    sizes: Mapping[Size, int]

    def value(self, tree: Tree) -> np.ndarray:
        return np.asarray(_VALUES[type(tree)](self, tree), np.float64)

    def number(self, e: Expr) -> float:
        return float(evaluate(resized(e, self.sizes), self.arrays))

    def length(self, e: Expr) -> int:
        return numeric_size(resized(S(e), self.sizes))

    def name(self, t: MName) -> Any:
        found = np.asarray(self.arrays[t.tensor.name], np.float64)
        return found if t.axes == 2 else found.reshape(-1, 1)

    def unit(self, t: MUnit) -> Any:
        return (np.arange(self.length(t.size)) == self.number(t.position))[:, None]

    def one_hot(self, t: MOneHot) -> Any:
        return self.value(t.classes) == np.arange(self.length(t.width))

    def call(self, t: MCall) -> Any:
        # plain numbers stay without axes: an op may treat an option unlike an array
        arguments = [np.float64(self.number(a.e)) if isinstance(a, MScalar) else self.value(a) for a in t.arguments]
        op = REGISTRY[t.op]
        entries, options = op.sorted_arguments(arguments) if isinstance(op, Elementwise) else (arguments, {})
        return op.forward(*entries, **{key: float(value) for key, value in options.items()})

    def reduce(self, t: MReduce) -> Any:
        over = (0, 1) if t.axis is None else (t.axis,)
        axes = {} if REGISTRY[t.op].of_matrices else {"dim": over}
        return np.reshape(REGISTRY[t.op].forward(self.value(t.of), **axes), (-1, 1))

    def scale(self, t: MScale) -> Any:
        found = self.number(t.scalar) * self.value(t.of)
        for tree in t.by:
            found = found * self.value(tree)
        return found

    def product(self, t: MProduct) -> Any:
        *rest, found = (self.value(f) for f in t.factors)
        for matrix in reversed(rest):
            found = matrix @ found
        return found

    def power(self, t: MPower) -> Any:
        exponent = self.number(t.exponent)
        return np.power(self.value(t.of), int(exponent) if exponent == int(exponent) else exponent)

    def chain(self, parts: Sequence[Tree], combine: Callable[..., Any]) -> Any:
        found = self.value(parts[0])
        for part in parts[1:]:
            found = combine(found, self.value(part))
        return found


_VALUES: dict[type, Callable[[_Run, Any], Any]] = {
    MName: _Run.name,
    MScalar: lambda run, t: [[run.number(t.e)]],
    MOnes: lambda run, t: np.ones((run.length(t.size), 1)),
    MUnit: _Run.unit,
    MEntries: lambda run, t: [[run.number(e) for e in row] for row in t.rows],
    MIdentity: lambda run, t: np.eye(run.length(t.size)),
    MOneHot: _Run.one_hot,
    MCall: _Run.call,
    MTransform: lambda run, t: REGISTRY[t.op].forward(run.value(t.of), dim=(t.axis,)),
    MReduce: _Run.reduce,
    MDiag: lambda run, t: np.diag(run.value(t.of)[:, 0]),
    MDiagonal: lambda run, t: np.diagonal(run.value(t.of))[:, None],
    MTrace: lambda run, t: [[np.trace(run.value(t.of))]],
    MWhere: lambda run, t: np.where(run.value(t.condition) != 0, run.value(t.then), run.value(t.otherwise)),
    MNot: lambda run, t: run.value(t.of) == 0,
    MCompare: lambda run, t: _COMPARE[t.relation](run.value(t.left), run.value(t.right)),
    MTranspose: lambda run, t: run.value(t.of).T,
    MProduct: _Run.product,
    MHadamard: lambda run, t: run.chain(t.factors, np.multiply),
    MScale: _Run.scale,
    MSum: lambda run, t: run.chain(t.terms, np.add),
    MPower: _Run.power,
}


def resized(e: Any, sizes: Mapping[Size, int]) -> Any:
    """The expression with other numbers for its sizes."""
    return e.xreplace({n: Size(f"n{k}") for n, k in sizes.items()}) if sizes else e


def agrees(
    tree: Tree, e: Expr, target: Sequence[Bind], shapes: Mapping[TensorName, Sequence[Any]], own_sizes: bool = False
) -> bool:
    """Whether tree and index formula have the same entries, at random arrays of small sizes, one per symbolic size; of the
    formula's own sizes with ``own_sizes``.

    False too where no arrays can be drawn: a tree that was not tried is not shown.
    """
    nodes = list(walk_preorder(e))
    sizes = {} if own_sizes else _small_sizes(nodes, target, shapes)
    e = resized(e, sizes)
    places = [(i, numeric_size(resized(S(n), sizes))) for i, n in target]
    arrays = _Arrays(e, places, {t: [resized(S(n), sizes) for n in shape] for t, shape in shapes.items()})
    if not arrays.complete:
        return False
    seen = False
    for number, (low, high) in enumerate(DRAWS):
        drawn = arrays.draw(np.random.default_rng(number), low, high)
        wanted = evaluate(e, drawn, places)
        try:
            found = evaluate_tree(tree, drawn, len(places), sizes)
        except (ValueError, KeyError, IndexError, RuntimeError):  # its shapes or names do not fit together
            return False
        if found.shape != wanted.shape:
            return False
        # a mask before a pole is 0 in the formula and nan as a product: such entries are left to the other draws
        finite = np.isfinite(wanted) & np.isfinite(found)
        scale = max(1.0, float(np.max(np.abs(wanted[finite]), initial=0.0)))
        if not np.allclose(found[finite], wanted[finite], rtol=TOLERANCE, atol=TOLERANCE * scale):
            return False
        seen |= bool(finite.all())
    return seen


def _small_sizes(nodes: Sequence[Basic], target: Sequence[Bind], shapes: Mapping[TensorName, Any]) -> dict[Size, int]:
    """A small number for every symbolic size, all different; the sizes' own where digits depend on their products."""
    found = {n for n in nodes if isinstance(n, Size)}
    for n in [*(n for _, n in target), *(n for shape in shapes.values() for n in shape)]:
        found |= {s for s in S(n).free_symbols if isinstance(s, Size)}
    if any(isinstance(n, Digit) for n in nodes):
        return {}
    places = [int(i) for n in nodes if isinstance(n, Entry) for i in n.indices if i.is_Integer]
    least = max([2, *(p + 1 for p in places)])
    if least + len(found) > LARGEST:
        return {}
    return {n: least + k for k, n in enumerate(sorted(found, key=lambda n: n.value))}


class _Arrays:
    """The shapes that the entries of a formula ask for, and random arrays of those shapes."""

    def __init__(self, e: Expr, target: Sequence[tuple[Index, int]], shapes: Mapping[TensorName, Sequence[Any]]) -> None:
        self.known = shapes
        self.lengths: dict[Index, int] = dict(target)
        self.shapes: dict[TensorName, list[int]] = {}
        self.positions: dict[TensorName, int] = {}
        self.masks: set[TensorName] = set()
        self.complete = True
        self._visit(e)
        self.complete &= all(n <= LARGEST_OWN for shape in self.shapes.values() for n in shape)

    def _visit(self, e: Any) -> None:
        if isinstance(e, Entry):
            self._entry(e)
        elif isinstance(e, Eq):
            for j, other in (e.args, e.args[::-1]):
                if j in self.lengths or j.is_Integer:
                    self._position(other, self._extent(j))
        elif isinstance(e, Transform):
            for p, (_, n) in zip(e.positions, e.limits, strict=True):
                self._position(p, numeric_size(n))
        elif isinstance(e, Holds) and isinstance(e.args[0], Entry):
            self.masks.add(e.args[0].tensor)
        outer = self.lengths
        if isinstance(e, Binding):  # a bound name may run over another axis elsewhere
            self.lengths = {**outer, **{i: numeric_size(n) for i, n in e.limits}}
        for a in e.args:
            self._visit(a)
        self.lengths = outer

    def draw(self, stream: np.random.Generator, low: float, high: float) -> dict[str, np.ndarray]:
        """Arrays by name: integers where they say positions, truth values where they are masks."""
        found: dict[str, np.ndarray] = {}
        for t, shape in self.shapes.items():
            if t in self.positions:
                found[t.name] = stream.integers(0, max(1, self.positions[t]), shape)
            elif t in self.masks:
                found[t.name] = stream.random(shape) < 0.5
            else:
                found[t.name] = stream.uniform(low, high, shape)
        return found

    def _entry(self, entry: Entry) -> None:
        known = self.known.get(entry.tensor)
        shape = self.shapes.setdefault(entry.tensor, [0] * len(entry.indices))
        if len(shape) != len(entry.indices):
            self.complete = False
            return
        for axis, i in enumerate(entry.indices):
            extent = numeric_size(known[axis]) if known is not None else self._extent(i)
            if extent is None:
                self.complete = False
                return
            shape[axis] = max(shape[axis], extent)
            self._position(i, extent)

    def _extent(self, i: Any) -> int | None:
        """How long an axis must be for this index; None if that cannot be told."""
        if i in self.lengths:
            return self.lengths[i]
        return numeric_size(i) + 1 if all(isinstance(n, Size) for n in i.free_symbols) else None

    def _position(self, e: Any, extent: int | None) -> None:
        if isinstance(e, Entry) and extent is not None:
            self.positions[e.tensor] = min(extent, self.positions.get(e.tensor, extent))
