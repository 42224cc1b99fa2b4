"""Products of vectors and matrices under torch's other names: with a tensor added, of several factors, over chosen axes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, Shape, axes, broadcast_error, numpy_dtype, word
from explain.ops.linalg import Dot, refuse_not_square
from explain.ops.registry import block, composite, register


class AddProduct(Op):
    """y = β · input + α · (a product of the two others), the input repeated where it is smaller."""

    kind = "contraction"
    rule = "add_product"
    promotion = "match"
    uses = ("", "b", "a")
    in_place = True

    def __init__(self, name: str, equation: str, shapes: tuple[Shape, Shape], y: Shape, words: tuple[str, ...]) -> None:
        self.name = name
        self.functions = self.methods = (name,)
        self.backward_name = f"{name.capitalize()}Backward0"
        left, self.output = equation.split("->")
        self.a, self.b = left.split(",")
        self._words = words
        self.samples = (
            Sample((y, *shapes)), Sample((y[-1:], *shapes), {"beta": 0.5, "alpha": -2}), Sample(((), *shapes), {"alpha": 3}),
        )  # fmt: skip
        super().__init__()

    def forward(self, x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        for t, subscripts, said in zip((a, b), (self.a, self.b), self._words, strict=True):
            if t.ndim != len(subscripts):
                raise RuntimeError(said.format(rank=t.ndim))
        for t in (a, b):
            if t.dtype != x.dtype:
                raise RuntimeError(f"self and mat2 must have the same dtype, but got {word(x.dtype)} and {word(t.dtype)}")
        product = np.einsum(f"{self.a},{self.b}->{self.output}", a, b, optimize=True)
        if np.broadcast_shapes(x.shape, product.shape) != product.shape:
            raise ValueError("the input is larger")  # shape_error says it in torch's words
        product = product * x.dtype.type(alpha)
        return product if beta == 0 else x * x.dtype.type(beta) + product

    def shape_error(self, shapes: tuple[Shape, ...], options: Any) -> Exception | None:
        x, a, b = shapes
        left, right = dict(zip(self.a, a, strict=True)), dict(zip(self.b, b, strict=True))
        if "b" in left and left["b"] != right["b"]:
            return RuntimeError(f"batch1 and batch2 must have same number of batches, got {left['b']} and {right['b']}")
        if "j" in left and "j" in right and left["j"] != right["j"]:
            if len(b) == 1:
                return RuntimeError(f"size mismatch, got input ({a[0]}), mat ({a[0]}x{a[1]}), vec ({b[0]})")
            if len(b) == 2:
                return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {b[0]}x{b[1]})")
            return RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}]."
            )
        sizes = left | right
        return expand_error(x, tuple([sizes[letter] for letter in self.output]))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        back_x = back_a = back_b = None
        if needs[0]:
            back_x = xp.sum_to(g * beta, shape=tuple(x.shape))
        if needs[1]:
            back_a = xp.einsum(g, b, equation=f"{self.output},{self.b}->{self.a}") * alpha
        if needs[2]:
            back_b = xp.einsum(a, g, equation=f"{self.a},{self.output}->{self.b}") * alpha
        return back_x, back_a, back_b

    def formula(self, s: Any, out: Any, x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        sizes = dict(zip(self.a, a.shape, strict=True)) | dict(zip(self.b, b.shape, strict=True))
        places = dict(zip(self.output, out, strict=True))
        bound = {letter: s.index(n) for letter, n in sizes.items() if letter not in places}
        places |= bound
        entries = [t[tuple([places[letter] for letter in own])] for t, own in ((a, self.a), (b, self.b))]
        product = s.total(s.product(entries), *bound.values())
        product = product if alpha == 1 else s.literal(alpha) * product
        return product if beta == 0 else (x.at(out) if beta == 1 else s.literal(beta) * x.at(out)) + product


def expand_error(shape: Shape, target: Shape) -> Exception | None:
    """PyTorch's error for a shape that cannot be repeated to the target, or None if it can."""
    tail = target[len(target) - len(shape) :]
    for k in reversed(range(len(tail))):
        if shape[k] not in (1, tail[k]):
            return RuntimeError(
                f"The expanded size of the tensor ({tail[k]}) must match the existing size ({shape[k]}) at non-singleton "
                f"dimension {k + len(target) - len(tail)}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}"
            )
    return None


_MATRICES = ("mat1 must be a matrix, got {rank}-D tensor", "mat2 must be a matrix, got {rank}-D tensor")
_BATCHES = ("batch1 must be a 3D tensor", "batch2 must be a 3D tensor")
register(AddProduct("addmm", "ij,jk->ik", ((2, 3), (3, 2)), (2, 2), _MATRICES))
register(
    AddProduct("addmv", "ij,j->i", ((2, 3), (3,)), (2,),
               tuple([f"vector + matrix @ vector expected, got 1, {ranks}" for ranks in ("{rank}, 1", "2, {rank}")]))
)  # fmt: skip
register(AddProduct("addbmm", "bij,bjk->ik", ((2, 2, 3), (2, 3, 2)), (2, 2), _BATCHES))
register(AddProduct("baddbmm", "bij,bjk->bik", ((2, 2, 3), (2, 3, 2)), (2, 2, 2), _BATCHES))
register(
    AddProduct("addr", "i,j->ij", ((2,), (3,)), (2, 3),
               ("addr: Expected 1-D argument vec1, but got {rank}-D", "addr: Expected 1-D argument vec2, but got {rank}-D"))
)  # fmt: skip


@block
class Vdot(type(Dot)):  # type: ignore[misc]
    """The dot product, under the name that it has for complex numbers."""

    name = "vdot"
    functions = methods = ("vdot",)
    backward_name = "VdotBackward0"


@block
class Cross(Op):
    """y = a × b along an axis of length 3: y_i = a_{i+1} b_{i+2} − a_{i+2} b_{i+1}, places counted in a circle."""

    name = "cross"
    functions = ("linalg.cross",)
    kind = "contraction"
    rule = "cross"
    promotion = "match"
    uses = ("b", "a")
    numbers = ()
    backward_name = "LinalgCrossBackward0"
    samples = (Sample(((3,), (3,))), Sample(((2, 3), (1, 3))), Sample(((3, 2), (3, 2)), {"dim": 0}))

    def forward(self, a: Any, b: Any, *, dim: int = -1) -> Any:
        if a.ndim != b.ndim:
            raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
        (axis,) = axes(dim, a.ndim)
        if (a.shape[axis], b.shape[axis]) != (3, 3):
            raise RuntimeError(
                f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[axis]} and {b.shape[axis]}"
            )
        if a.dtype.kind == "b":
            raise NotImplementedError("\"cross\" not implemented for 'Bool'")
        return np.cross(a, b, axis=axis)

    def shape_error(self, shapes: tuple[Shape, ...], options: Any) -> Exception | None:
        return broadcast_error(shapes)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any, *, dim: int = -1) -> Any:
        back_a = xp.sum_to(xp.cross(b, g, dim=dim), shape=tuple(a.shape)) if needs[0] else None
        back_b = xp.sum_to(xp.cross(g, a, dim=dim), shape=tuple(b.shape)) if needs[1] else None
        return back_a, back_b

    def formula(self, s: Any, out: Any, a: Any, b: Any, *, dim: int = -1) -> Any:
        (axis,) = axes(dim, a.ndim)

        def turned(x: Any, by: int) -> Any:
            return x.at((*out[:axis], s.remainder(out[axis] + by, x.shape[axis]), *out[axis + 1 :]))

        return turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1)


def _cross(xp: Any, a: Any, b: Any, *, dim: int | None = None) -> Any:
    """``linalg.cross``, along the first axis of length 3 if none is given."""
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or "
            "simply use torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a "
            "future release.",
            stacklevel=4,
        )
        if 3 not in a.shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = list(a.shape).index(3)
    return xp.cross(a, b, dim=dim)


_ROWS = (Sample(((2, 3), (2, 3)), {"dim": 1}),)
composite("cross_of_any", _cross, functions=("cross",), methods=("cross",), numbers=(), samples=_ROWS)


def _inner(xp: Any, a: Any, b: Any) -> Any:
    """Dot products of the last axes."""
    if not a.ndim or not b.ndim:
        return xp.mul(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a.shape)} and {list(b.shape)}"
        )
    rows, columns = _letters(a.ndim - 1), _letters(b.ndim - 1, a.ndim - 1)
    return xp.einsum(a, b, equation=f"{rows}Z,{columns}Z->{rows}{columns}")


def _letters(count: int, first: int = 0) -> str:
    return "".join(chr(ord("a") + first + k) for k in range(count))


def _tensordot(xp: Any, a: Any, b: Any, *, dims: Any = 2, out: None = None) -> Any:
    """The sum over ``dims``: so many last axes of a with first ones of b, or two lists of axes."""
    if hasattr(dims, "tolist"):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        pairs = [(k - dims, k) for k in range(dims)]
    else:
        of_a, of_b = ([d] if isinstance(d, int) else list(d) for d in dims)
        if len(of_a) != len(of_b):
            raise RuntimeError("both dimension lists should have same length")
        pairs = list(zip(of_a, of_b, strict=True))
    names_a, names_b = list(_letters(a.ndim)), list(_letters(b.ndim, a.ndim))
    for p, q in pairs:
        (i,), (j,) = axes(p, a.ndim), axes(q, b.ndim)
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {p} and second has size "
                f"{b.shape[j]} in dim {q}"
            )
        names_b[j] = names_a[i]
    left = [n for n in names_a if n not in names_b]
    right = [n for n in names_b if n not in names_a]
    return xp.einsum(a, b, equation=f"{''.join(names_a)},{''.join(names_b)}->{''.join(left + right)}")


def _vecdot(xp: Any, a: Any, b: Any, *, dim: int = -1) -> Any:
    """The sums of products along an axis."""
    return xp.sum(xp.mul(a, b), dim=dim)


def _multi_dot(xp: Any, *tensors: Any) -> Any:
    """The product of several matrices, in the order that costs least; a vector may stand first and last."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for k, t in enumerate(tensors):
        if k in (0, len(tensors) - 1) and t.ndim not in (1, 2):
            which = "first" if k == 0 else "last"
            raise RuntimeError(f"multi_dot(): the {which} tensor must be 1D or 2D but got {t.ndim}D")
        if 0 < k < len(tensors) - 1 and t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D but got {t.ndim}D")
        if numpy_dtype(t) != numpy_dtype(tensors[0]):
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {word(numpy_dtype(tensors[0]))} and "
                f"tensor {k} {word(numpy_dtype(t))}"
            )
    first, last = tensors[0].shape, tensors[-1].shape
    sizes = [1 if len(first) == 1 else first[0], *(t.shape[0] for t in tensors[1:]), 1 if len(last) == 1 else last[-1]]
    for k in range(len(tensors) - 1):
        if tensors[k].shape[-1] != tensors[k + 1].shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {k} and {k + 1} with shapes {list(tensors[k].shape)} and "
                f"{list(tensors[k + 1].shape)} cannot be multiplied"
            )
    return _in_order(xp, tensors, sizes)


def _in_order(xp: Any, tensors: tuple[Any, ...], sizes: list[int]) -> Any:
    """The product by the cheapest parentheses: the best split of every run of factors, shorter runs first."""
    n = len(tensors)
    cost = {(k, k): (0, k) for k in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        if i == j:
            return tensors[i]
        k = cost[i, j][1]
        return xp.matmul(product(i, k), product(k + 1, j))

    return product(0, n - 1)


def _matrix_power(xp: Any, a: Any, *, n: int) -> Any:
    """Aⁿ by squaring; of the inverse for a negative n."""
    refuse_not_square("linalg.matrix_power", a)
    if n == 0:
        eye = np.broadcast_to(np.eye(a.shape[-1], dtype=numpy_dtype(a)), tuple(a.shape))
        return xp.where(np.ones(tuple(a.shape), bool), eye, a)  # nothing flows back, but it is of the graph
    if n < 0:
        return _matrix_power(xp, xp.inv(a), n=-n)
    found: Any = None
    while True:
        if n % 2:
            found = a if found is None else xp.matmul(found, a)
        n //= 2
        if not n:
            return found
        a = xp.matmul(a, a)


def _chain_matmul(xp: Any, *tensors: Any) -> Any:
    """``multi_dot`` of matrices, which stand one by one."""
    for t in tensors:
        if t.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {t.ndim}, expected 2 instead.")
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot "
        "instead, which accepts a list of two or more tensors rather than multiple parameters.",
        stacklevel=4,
    )
    return tensors[0] if len(tensors) == 1 else _multi_dot(xp, *tensors)


_PAIR = (Sample(((2, 3), (2, 3))),)
_CHAIN = (Sample(((2, 3), (3, 4), (4, 1))),)
composite("inner", _inner, functions=("inner",), methods=("inner",), numbers=(), samples=_PAIR)
composite("tensordot", _tensordot, functions=("tensordot",), numbers=(), samples=_PAIR)
composite("vecdot", _vecdot, functions=("linalg.vecdot",), numbers=(), samples=_PAIR)
composite("multi_dot", _multi_dot, grad_fn="ViewBackward0", functions=("linalg.multi_dot",), listed=True, samples=_CHAIN)
composite("chain_matmul", _chain_matmul, grad_fn="ViewBackward0", functions=("chain_matmul",), samples=_CHAIN)
composite(
    "matrix_power", _matrix_power, functions=("matrix_power", "linalg.matrix_power"), methods=("matrix_power",),
    samples=(Sample((np.array([[2.0, 0.5], [-1.0, 1.5]]),), {"n": 3}),),
)  # fmt: skip
