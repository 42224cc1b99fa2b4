"""Matrix forms: a table of formulas with the trees they should give, wrong trees refused, and random compositions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Expr, S, Tuple

from explain.calculus import walk
from explain.calculus.matrix import checked_matrix_form, matrix_form
from explain.calculus.matrix_layout import transposed
from explain.calculus.matrix_tree import MHadamard, MName, MProduct, Tree
from explain.calculus.matrix_value import agrees, evaluate_tree
from explain.calculus.namespace import Namespace, Operand, bare, number_operand, plain_exponents, tensor_operand
from explain.calculus.symbols import Entry, Index, Indicator, Size, TensorName, Total, size
from explain.ops import REGISTRY

UPSTREAM = TensorName("g")


@dataclass
class Node:
    """A value in a small program: its shape, its index formula, its numbers."""

    shape: tuple[int, ...]
    operand: Operand
    value: Callable[[Mapping[str, np.ndarray]], Any]

    def __add__(self, other: Any) -> Node:
        return op("add", self, other)

    def __sub__(self, other: Any) -> Node:
        return op("sub", self, other)

    def __mul__(self, other: Any) -> Node:
        return op("mul", self, other)

    def __truediv__(self, other: Any) -> Node:
        return op("div", self, other)

    def __pow__(self, other: Any) -> Node:
        return op("pow", self, other)

    def __matmul__(self, other: Any) -> Node:
        return op("matmul", self, other)

    @property
    def T(self) -> Node:
        return op("transpose", self, dim0=0, dim1=1)


def tensor(name: str, *shape: int) -> Node:
    return Node(shape, tensor_operand(TensorName(name), shape, False), lambda arrays: arrays[name])


def node(value: Any) -> Node:
    return value if isinstance(value, Node) else Node((), number_operand(value, False), lambda _: np.float64(value))


def op(name: str, *values: Any, **options: Any) -> Node:
    ins = [node(v) for v in values]
    rule = REGISTRY[name]

    def forward(arrays: Mapping[str, np.ndarray]) -> Any:
        found = rule.forward(*(v.value(arrays) for v in ins), **options)
        return found[0] if isinstance(found, tuple) else found

    samples = (np.zeros(v.shape, int) if k in rule.reads_values else np.ones(v.shape) for k, v in enumerate(ins))
    shape = np.shape(rule.forward(*samples, **options))

    def entry(out: tuple[Any, ...]) -> Expr:
        return bare(rule.formula(_space(out, shape), out, *(v.operand for v in ins), **options))

    return Node(shape, Operand(shape, entry), forward)


def _space(out: tuple[Any, ...], shape: tuple[int, ...]) -> Namespace:
    space = Namespace()
    space.declare(out, [size(n) for n in shape])
    return space


def binds(shape: tuple[int, ...], letters: str) -> tuple[tuple[Index, Any], ...]:
    return tuple((Index(letter), size(n)) for letter, n in zip(letters, shape, strict=False))


def formula(y: Node) -> tuple[Expr, tuple[tuple[Index, Any], ...]]:
    out = binds(y.shape, "ijkl")
    return plain_exponents(y.operand[tuple(i for i, _ in out)]), out


def vjp(y: Node, x: Node) -> tuple[Expr, tuple[tuple[Index, Any], ...]]:
    e, out = formula(y)
    target = binds(x.shape, "pqrs")
    (name,) = (n for n, t in TENSORS.items() if t is x)
    return walk.vjp(e, out, Entry(UPSTREAM, *(i for i, _ in out)), TensorName(name), target), target


def jacobian(y: Node, x: Node) -> tuple[Expr, tuple[tuple[Index, Any], ...]]:
    e, out = formula(y)
    target = binds(x.shape, "pqrs")
    (name,) = (n for n, t in TENSORS.items() if t is x)
    return walk.jacobian(e, out, TensorName(name), target), out + target


A, B, Q = tensor("A", 4, 3), tensor("B", 3, 4), tensor("Q", 3, 3)
X, W, Y, K, V = tensor("X", 5, 3), tensor("W", 3, 4), tensor("Y", 5, 4), tensor("K", 5, 3), tensor("V", 5, 2)
x, b, c, t, r, M = tensor("x", 3), tensor("b", 4), tensor("c", 4), tensor("t", 5), tensor("r", 1, 3), tensor("M", 5, 3)
s, D, E = tensor("s"), tensor("D", 5, 3), tensor("E", 0, 3)
TENSORS = dict(zip("ABQXWYKVxbctrMsDE", (A, B, Q, X, W, Y, K, V, x, b, c, t, r, M, s, D, E), strict=True))
SHAPES = {TensorName(n): tuple(size(k) for k in v.shape) for n, v in TENSORS.items()}


def total(v: Node, **options: Any) -> Node:
    return op("sum", v, **options)


def mean(v: Node, **options: Any) -> Node:
    return op("mean", v, **options)


def tanh(v: Node) -> Node:
    return op("tanh", v)


def softmax(v: Node, dim: int) -> Node:
    return op("softmax", v, dim=dim)


TABLE: list[tuple[Node, Node, str]] = [
    # contractions
    (X @ W, X, "g@W.T"),
    (X @ W, W, "X.T@g"),
    (A @ x, A, "g@x.T"),
    (A @ x, x, "A.T@g"),
    (x @ W, W, "x@g.T"),
    (x @ W, x, "W@g"),
    (op("dot", x, Q @ x), x, "g*(Q@x + Q.T@x)"),
    (op("dot", x, Q @ x), Q, "g*x@x.T"),
    (total((X.T @ X) ** 2), X, "4*g*X@X.T@X"),
    (total((X @ X.T) ** 2), X, "4*g*X@X.T@X"),
    (A.T @ (A @ x), x, "A.T@A@g"),
    (X.T, X, "g.T"),
    # least squares: sign and common factors
    (total((A @ x - b) ** 2), x, "2*g*A.T@(A@x - b)"),
    (total((b - A @ x) ** 2), x, "2*g*A.T@(A@x - b)"),
    (total((A @ x - b) ** 2), A, "2*g*(A@x - b)@x.T"),
    (total((A @ x - b) ** 2), b, "2*g*(b - A@x)"),
    (mean((X @ W - Y) ** 2), W, "2*g/(n4*n5)*X.T@(X@W - Y)"),
    (mean((x + 2) * (x + 2) * 3), x, "6*g/n3*(x + 2)"),
    (mean((X + 2) * (X + 2) * 3), X, "6*g/(n3*n5)*(X + 2)"),
    # activations
    (tanh(A @ x), x, "A.T@((1 - tanh(A@x)**2)*g)"),
    (tanh(X @ W), W, "X.T@((1 - tanh(X@W)**2)*g)"),
    (tanh(X @ W + c), c, "((1 - tanh(X@W + ones(n5)@c.T)**2)*g).T@ones(n5)"),
    (tanh(X @ W), X, "((1 - tanh(X@W)**2)*g)@W.T"),
    (op("sigmoid", X @ W), W, "X.T@((1 - sigmoid(X@W))*sigmoid(X@W)*g)"),
    (op("relu", X @ W), W, "X.T@([X@W > 0]*g)"),
    (op("exp", x * 2 + 1), x, "2*exp(2*x + 1)*g"),
    (W.T @ tanh(Q @ x), x, "Q.T@((1 - tanh(Q@x)**2)*(W@g))"),
    (op("maximum", x, op("neg", x)), x, "([x > -x] - [-x > x])*g"),
    # normalisations and losses
    (op("cross_entropy", X @ W, t), W, "g/n5*X.T@(softmax(X@W, 1) - onehot(t, n4))"),
    (op("cross_entropy", X @ W + c, t), c, "g/n5*(softmax(X@W + ones(n5)@c.T, 1) - onehot(t, n4)).T@ones(n5)"),
    (op("cross_entropy", X, t), X, "g/n5*(softmax(X, 1) - onehot(t, n3))"),
    (op("cross_entropy", x, s), x, "g*(softmax(x, 0) - e(s, n3))"),
    (
        op("cross_entropy", tanh(X @ W), t),
        W,
        "g/n5*X.T@((1 - tanh(X@W)**2)*softmax(tanh(X@W), 1)"
        " - diag(1 - tanh(((onehot(t, n4)@W.T)*X)@ones(n3))**2)@onehot(t, n4))",
    ),
    (softmax(x, 0), x, "softmax(x, 0)*(g - g.T@softmax(x, 0))"),
    (softmax(X, 1), X, "softmax(X, 1)*g - diag((softmax(X, 1)*g)@ones(n3))@softmax(X, 1)"),
    (op("log_softmax", X, dim=1), X, "g - diag(g@ones(n3))@softmax(X, 1)"),
    (op("logsumexp", X, dim=1), X, "diag(g)@softmax(X, 1)"),
    (softmax(X @ K.T, 1) @ V, V, "softmax(X@K.T, 1).T@g"),
    (op("norm", x), x, "g*x/(x.T@x)**(1/2)"),
    (op("norm", X), X, "g*X/(ones(n5).T@X**2@ones(n3))**(1/2)"),
    (op("norm", X, dim=1), X, "diag(g/(X**2@ones(n3))**(1/2))@X"),
    # broadcasting, sums, places
    (total(X), X, "g*ones(n5)@ones(n3).T"),
    (total(X, dim=1), X, "g@ones(n3).T"),
    (total(X, dim=0), X, "ones(n5)@g.T"),
    (total(x), x, "g*ones(n3)"),
    (total(x) ** 2, x, "2*g*(ones(n3).T@x)*ones(n3)"),
    # a number beside columns and matrices is spread with ones; where all is entrywise it broadcasts
    (op("dot", x, Q @ x) + total(x), x, "g*(Q@x + Q.T@x + ones(n3))"),
    (total((X @ W) ** 2) + total(X), X, "g*(2*X@W@W.T + ones(n5)@ones(n3).T)"),
    (total(X**2) + total(X) * total(b), X, "g*(2*X + (ones(n4).T@b)*ones(n5)@ones(n3).T)"),
    (total(X**2) + total(X), X, "g*(2*X + 1)"),
    (x * total(x), x, "(ones(n3).T@x)*g + (x.T@g)*ones(n3)"),
    (op("dot", x, x) ** 2, x, "4*g*(x.T@x)*x"),
    (X * x, x, "(X*g).T@ones(n5)"),
    (X / x, x, "-((X*g).T@ones(n5))/x**2"),
    (X + r, r, "ones(n5).T@g"),
    (X * r, r, "ones(n5).T@(X*g)"),
    (X * r, X, "g@diag(r.T)"),
    (op("index", X, index=(1,)), X, "e(1, n5)@g.T"),
    (op("index", x, index=(-1,)), x, "g*e(n3 - 1, n3)"),
    (op("dropout", X, D, p=0.25), X, "4/3*D*g"),
    (E @ W, W, "E.T@g"),
    (X - mean(X, dim=0, keepdim=True), X, "g - 1/n5*ones(n5)@ones(n5).T@g"),
    (op("max", X), X, "g*[X == max(X)]/(ones(n5).T@[X == max(X)]@ones(n3))"),
    (op("prod", X, dim=1), X, "diag(g)@prod_others(X, 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("y", "wrt", "expected"), TABLE, ids=[row[2] for row in TABLE])
def test_vjp_as_matrices(y: Node, wrt: Node, expected: str) -> None:
    e, target = vjp(y, wrt)
    tree = matrix_form(e, target, SHAPES, (UPSTREAM,))
    assert str(tree) == expected
    assert checked_matrix_form(e, target, SHAPES, (UPSTREAM,)) == tree
    assert tree is not None
    assert _error_by_differences(tree, y, wrt) < 1e-5


@pytest.mark.parametrize(
    ("y", "wrt", "expected"),
    [
        (A @ x, x, "A"),
        (tanh(x), x, "diag(1 - tanh(x)**2)"),
        (x * 2, x, "2*eye(n3)"),
        (tanh(A @ x), x, "diag(1 - tanh(A@x)**2)@A"),
        (softmax(x, 0), x, "diag(softmax(x, 0)) - softmax(x, 0)@softmax(x, 0).T"),
        (op("dot", x, Q @ x), x, "Q@x + Q.T@x"),
        (total(X, dim=1) * 0 + 1, t, None),
    ],
)
def test_jacobian_as_a_matrix(y: Node, wrt: Node, expected: str | None) -> None:
    e, target = jacobian(y, wrt)
    tree = checked_matrix_form(e, target, SHAPES)
    assert (str(tree) if tree is not None else None) == expected


def _entries(name: str, *places: Any) -> Entry:
    return Entry(TensorName(name), *places)


def _index_formulas() -> list[tuple[str, Expr, tuple[tuple[Index, Any], ...], str | None]]:
    p, q, i, j, k = (Index(letter) for letter in "pqijk")
    n3, n4, n5 = size(3), size(4), size(5)

    def of(body: Expr, *limits: tuple[Index, Expr]) -> Expr:
        return Total(body, *(Tuple(*limit) for limit in limits))

    at = _entries
    square, vector = ((p, n3), (q, n3)), ((p, n3),)
    return [
        ("inverse", -of(at("Q", i, p) * at("G", i, j) * at("Q", q, j), (i, n3), (j, n3)), square, "-Q.T@G@Q.T"),
        ("middle", of(at("A", i, p) * at("b", i) * at("W", q, i), (i, n4)), square, "A.T@diag(b)@W.T"),
        ("sylvester", of(at("Q", i, p) * at("X", i, q), (i, n3)) + of(at("Q", p, i) * at("X", i, q), (i, n3)), square,
         "Q@X + Q.T@X"),
        ("bilinear", of(at("x", i) * at("Q", i, j) * at("y", j), (i, n3), (j, n3)), (), "x.T@Q@y"),
        ("trace", of(at("Q", i, i), (i, n3)), (), "trace(Q)"),
        ("diagonal", at("Q", p, p) * at("x", p), vector, "diagonal(Q)*x"),
        ("scaled row", at("x", p) * at("Q", p, q), square, "diag(x)@Q"),
        ("both sides", at("x", p) * at("Q", q, p) * at("y", q), square, "diag(x)@Q.T@diag(y)"),
        ("delta", at("x", p) * Indicator(Eq(p, q)), square, "diag(x)"),
        ("cancelled terms", at("Q", p, q) - of(at("Q", p, i) * Indicator(Eq(i, q)), (i, n3)), square, None),
        ("gather", of(at("x", i) * Indicator(Eq(at("t", p), i)), (i, n3)), ((p, n5),), "onehot(t, n3)@x"),
        ("entry by entry", at("Q", p, q) ** 2 * at("P", q, p), square, "P.T*Q**2"),
        ("two edges and a weight of edges",
         of(at("Q", p, i) * at("P", q, i) * at("R", i, j) * at("R", j, i) * at("x", j), (i, n3), (j, n3)),
         square, "Q@diag((R.T*R)@x)@P.T"),
        ("a cycle", of(at("Q", p, i) * at("P", q, i) * at("R", i, j) * at("S", j, p), (i, n3), (j, n3)),
         square, "(Q.T*(R@S)).T@P.T"),
        ("no form: three axes", at("T", p, q, 0), square, None),
        ("no form: shifted", at("Q", p, q - 1), square, None),
        ("no form: three edges at a bound index",
         of(at("Q", p, i) * at("P", q, i) * at("R", k, i) * at("S", k, p) * at("U", k, q), (i, n3), (k, n3)), square,
         None),
        ("no form: nothing", S.Zero, square, None),
        ("distributed", of((at("Q", p, i) + at("x", q)) * at("P", i, q), (i, n3)), square,
         "Q@P + ones(n3)@((P.T@ones(n3))*x).T"),
    ]  # fmt: skip


FORMULAS = _index_formulas()


@pytest.mark.parametrize(("e", "target", "expected"), [row[1:] for row in FORMULAS], ids=[row[0] for row in FORMULAS])
def test_index_formulas(e: Expr, target: tuple[tuple[Index, Any], ...], expected: str | None) -> None:
    tree = checked_matrix_form(e, target)
    assert (str(tree) if tree is not None else None) == expected


def test_a_wrong_tree_is_refused() -> None:
    e, target = vjp(X @ W, W)
    tree = matrix_form(e, target)
    assert isinstance(tree, MProduct) and agrees(tree, e, target, {})
    assert not agrees(MProduct(tuple(reversed(tree.factors))), e, target, {})  # shapes do not fit
    assert not agrees(tree, e.xreplace({TensorName("X"): TensorName("K")}), target, {})  # another tensor
    e, target = vjp(Q @ Q, Q)
    found = matrix_form(e, target)
    assert found is not None and agrees(found, e, target, {})
    assert not agrees(transposed(found), e, target, {})


def test_a_large_formula_is_tried_at_small_sizes() -> None:
    u, w = tensor("X", 600, 784), tensor("W", 784, 10)
    e, out = formula(u @ w)
    target = ((Index("p"), size(784)), (Index("q"), size(10)))
    e = walk.vjp(e, out, Entry(UPSTREAM, *(i for i, _ in out)), TensorName("W"), target)
    assert str(checked_matrix_form(e, target)) == "X.T@g"


def test_shapes_and_ranks() -> None:
    e, target = vjp(X @ W, W)
    tree = matrix_form(e, target)
    assert tree is not None
    assert (tree.rank, tree.shape) == (2, (Size("n3"), Size("n4")))
    column = MName(TensorName("x"), 1, (Size("n3"), S.One))
    assert (column.rank, transposed(column).rank) == (1, 2)
    found = evaluate_tree(MHadamard((column, column)), {"x": np.array([1.0, 2.0, 3.0])})
    assert found.tolist() == [1.0, 4.0, 9.0]


# random programs

UNARY: list[Callable[[Node], Node]] = [
    tanh, lambda v: op("exp", v), lambda v: v**2, lambda v: op("neg", v), lambda v: v * 3 + 1, total,
    lambda v: v.T if len(v.shape) == 2 else v, lambda v: softmax(v, -1) if v.shape else v,
    lambda v: softmax(v, 0) if v.shape else v, lambda v: total(v, dim=0) if v.shape else v,
    lambda v: mean(v, dim=-1, keepdim=True) if v.shape else v, lambda v: op("logsumexp", v, dim=0) if v.shape else v,
    lambda v: op("norm", v), lambda v: op("relu", v),
]  # fmt: skip
BINARY = ("add", "sub", "mul", "matmul", "matmul")


def _random_node(stream: np.random.Generator, depth: int) -> Node:
    names = ["A", "B", "Q", "X", "W", "K", "x", "b", "r"]
    if not depth:
        return TENSORS[names[stream.integers(len(names))]]
    for _ in range(20):
        v = _random_node(stream, depth - 1)
        if stream.random() < 0.5:
            return UNARY[stream.integers(len(UNARY))](v)
        w = _random_node(stream, int(stream.integers(depth)))
        name = BINARY[stream.integers(len(BINARY))]
        if name == "matmul" and (not v.shape or not w.shape):
            continue
        try:
            return op(name, v, w)
        except ValueError:  # shapes do not fit
            continue
    return v


def _arrays(y: Node) -> dict[str, np.ndarray]:
    stream = np.random.default_rng(3)
    arrays = {n: stream.uniform(0.4, 1.6, v.shape) for n, v in TENSORS.items()}
    arrays |= {"t": np.array([0, 2, 1, 1, 0]), "s": np.array(2), "D": arrays["D"] > 1}
    arrays["g"] = stream.uniform(0.4, 1.6, y.shape)
    return arrays


def _error_by_differences(tree: Tree, y: Node, wrt: Node) -> float:
    """The tree against central differences of the program itself, relative to the largest entry."""
    arrays = _arrays(y)
    (name,) = (n for n, v in TENSORS.items() if v is wrt)
    found = evaluate_tree(tree, arrays, len(wrt.shape))
    wanted = np.zeros(wrt.shape)
    step = 1e-6
    for place in np.ndindex(*wrt.shape):
        sides = []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[place] += sign * step
            sides.append(np.sum(y.value({**arrays, name: moved}) * arrays["g"]))
        wanted[place] = (sides[0] - sides[1]) / (2 * step)
    assert found.shape == wanted.shape
    return float(np.max(np.abs(found - wanted)) / max(1.0, np.max(np.abs(wanted))))


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int) -> None:
    stream = np.random.default_rng(seed)
    given = 0
    tried = 0
    while tried < 12:
        y = _random_node(stream, int(stream.integers(1, 4)))
        e, _ = formula(y)
        present = [v for n, v in TENSORS.items() if e.has(TensorName(n))]
        if not present or len(y.shape) > 2 or not np.all(np.isfinite(y.value(_arrays(y)))):
            continue
        tried += 1
        wrt = present[stream.integers(len(present))]
        e, target = vjp(y, wrt)
        tree = matrix_form(e, target, SHAPES, (UPSTREAM,))
        if tree is None:
            continue
        given += 1
        assert agrees(tree, e, target, SHAPES), f"{tree} is not {e}"
        assert _error_by_differences(tree, y, wrt) < 1e-4, f"{tree}"
    assert given >= tried * 0.6
