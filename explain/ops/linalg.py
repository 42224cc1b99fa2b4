"""Linear algebra: dot products, matrix products of all ranks, the inverse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, broadcast_error, numpy_dtype, word
from explain.ops.registry import block, register


@block
class Dot(Op):
    """y = the sum of a_i b_i."""

    name = "dot"
    functions = methods = ("dot",)
    kind = "contraction"
    rule = "dot"
    promotion = "match"
    uses = ("b", "a")
    backward_name = "DotBackward0"
    samples = (Sample(((3,), (3,))),)

    def forward(self, a: Any, b: Any) -> Any:
        if a.ndim != 1 or b.ndim != 1:
            raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
        if a.dtype.kind == "b":
            raise NotImplementedError("\"dot\" not implemented for 'Bool'")
        if a.shape != b.shape:
            raise _dot_error(a.shape, b.shape)
        return a.dot(b)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
        return needs[0] and g * b, needs[1] and g * a

    def formula(self, s: Any, out: Any, a: Any, b: Any) -> Any:
        i = s.index(a.shape[0])
        return s.total(a[i] * b[i], i)


def _dot_error(a: Shape, b: Shape) -> Exception:
    return RuntimeError(
        f"inconsistent tensor size, expected tensor [{a[0]}] and src [{b[0]}] to have the same number of elements, but got "
        f"{a[0]} and {b[0]} elements respectively"
    )


class Matmul(Op):
    """The matrix product of torch.matmul: vectors, matrices, and batches of matrices with broadcasting."""

    name = "matmul"
    functions: tuple[str, ...] = ("matmul", "linalg.matmul")
    methods = ("matmul",)
    operator = "@"
    kind = "contraction"
    rule = "matmul"
    promotion = "match"
    uses = ("b", "a")
    backward_name = "MmBackward0"
    samples = tuple(
        Sample(pair)
        for pair in (
            ((2, 3), (3, 4)), ((2, 3), (3,)), ((3,), (3, 2)), ((3,), (3,)), ((2, 2, 3), (2, 3, 2)), ((2, 2, 3), (3, 2)),
            ((2, 3), (4, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((1, 3), (3, 1)),
            ((0, 3), (3, 2)),
        )
    )  # fmt: skip

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        ranks = tuple(len(shape or ()) for shape in shapes)
        names: dict[tuple[int, ...], str] = {
            (2, 2): "MmBackward0",
            (2, 1): "MvBackward0",
            (1, 2): "SqueezeBackward4",
            (1, 1): "DotBackward0",
        }
        return names.get(ranks, "UnsafeViewBackward0")

    def forward(self, a: Any, b: Any) -> Any:
        if a.ndim == 1 == b.ndim and a.shape == b.shape:
            return a.dot(b)
        if a.ndim == 0 or b.ndim == 0:
            raise ValueError("no product of numbers")  # shape_error says it in torch's words
        if a.dtype.kind == "b":
            raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
        return a @ b

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        a, b = shapes
        if not a or not b:
            return RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {len(a)}D and {len(b)}D")
        if len(a) == 1 == len(b):
            return _dot_error(a, b)
        rows = math.prod(a[:-1])
        if len(b) == 1:
            return RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{a[-1]}), vec ({b[0]})")
        if len(b) == 2:
            return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a[-1]} and {b[0]}x{b[1]})")
        if a[-1] != b[-2]:
            batch = broadcast_error((a[:-2], b[:-2]))
            count = 0 if batch else math.prod(np.broadcast_shapes(a[:-2], b[:-2]))
            return batch or RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{count}, {a[-1]}] but got: "
                f"[{count}, {b[-2]}]."
            )
        return broadcast_error((a[:-2], b[:-2]))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any) -> Any:
        back_a = back_b = None
        rank_a, rank_b = a.ndim, b.ndim
        if rank_a == 1 == rank_b:
            return needs[0] and g * b, needs[1] and g * a
        # a lone vector is a row on the left, a column on the right
        if needs[0]:
            column = xp.unsqueeze(b, dim=-1) if rank_b == 1 else b
            rows = xp.unsqueeze(g, dim=-1) if rank_b == 1 else xp.unsqueeze(g, dim=-2) if rank_a == 1 else g
            back_a = xp.matmul(rows, xp.mT(column))
            back_a = xp.squeeze(back_a, dim=-2) if rank_a == 1 else back_a
            if back_a.shape != a.shape:  # it served every matrix of a batch
                back_a = xp.sum_to(back_a, shape=tuple(a.shape))
        if needs[1]:
            row = xp.unsqueeze(a, dim=-2) if rank_a == 1 else a
            columns = xp.unsqueeze(g, dim=-1) if rank_b == 1 else xp.unsqueeze(g, dim=-2) if rank_a == 1 else g
            back_b = xp.matmul(xp.mT(row), columns)
            back_b = xp.squeeze(back_b, dim=-1) if rank_b == 1 else back_b
            if back_b.shape != b.shape:
                back_b = xp.sum_to(back_b, shape=tuple(b.shape))
        return back_a, back_b

    def formula(self, s: Any, out: Any, a: Any, b: Any) -> Any:
        k = s.index(a.shape[-1])
        rows = out[-2:-1] if b.ndim > 1 else out[-1:]
        columns = out[-1:] if b.ndim > 1 else ()
        rows = rows if a.ndim > 1 else ()
        batch = out[: len(out) - len(rows) - len(columns)]
        left = a.at((*batch, *rows, k)) if a.ndim > 1 else a[k]
        right = b.at((*batch, k, *columns)) if b.ndim > 1 else b[k]
        return s.total(left * right, k)


MATMUL = register(Matmul())


class _Ranked(Matmul):
    """The matrix product under a name that takes certain ranks only."""

    operator = ""
    ranks: tuple[int, int]

    def __init__(self) -> None:
        self.functions = self.methods = (self.name,)
        super().__init__()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return self.backward_name

    def forward(self, a: Any, b: Any) -> Any:
        if (a.ndim, b.ndim) != self.ranks:
            raise self.rank_error(a, b)
        return super().forward(a, b)

    def rank_error(self, a: Any, b: Any) -> Exception:
        """Torch's words for wrong ranks."""
        raise NotImplementedError


@block
class Mm(_Ranked):
    """The product of two matrices."""

    name = "mm"
    ranks = (2, 2)
    samples = (Sample(((2, 3), (3, 2))),)

    def rank_error(self, a: Any, b: Any) -> Exception:
        return RuntimeError("self must be a matrix" if a.ndim != 2 else "mat2 must be a matrix")


@block
class Mv(_Ranked):
    """The product of a matrix and a vector."""

    name = "mv"
    ranks = (2, 1)
    backward_name = "MvBackward0"
    samples = (Sample(((2, 3), (3,))),)

    def rank_error(self, a: Any, b: Any) -> Exception:
        if not a.ndim:
            return IndexError("Dimension specified as 0 but tensor has no dimensions")
        return RuntimeError(f"vector + matrix @ vector expected, got 1, {a.ndim}, {b.ndim}")


@block
class Bmm(_Ranked):
    """The products of two batches of matrices, one by one."""

    name = "bmm"
    ranks = (3, 3)
    backward_name = "BmmBackward0"
    samples = (Sample(((2, 2, 3), (2, 3, 2))),)

    def rank_error(self, a: Any, b: Any) -> Exception:
        return RuntimeError("batch1 must be a 3D tensor" if a.ndim != 3 else "batch2 must be a 3D tensor")

    def forward(self, a: Any, b: Any) -> Any:
        if a.ndim == b.ndim == 3 and (b.shape[0], b.shape[1]) != (a.shape[0], a.shape[2]):
            raise RuntimeError(
                f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {a.shape[2]}] but got: "
                f"[{b.shape[0]}, {b.shape[1]}]."
            )
        return super().forward(a, b)


class LinAlgError(RuntimeError):
    """A matrix that has no inverse or no such factors; torch's class is called ``_LinAlgError``."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"


def refuse_not_square(name: str, a: Any) -> None:
    """Raise torch's errors for what is no batch of square matrices of floating point numbers."""
    refuse_no_matrix(name, a)
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )


def refuse_no_matrix(name: str, a: Any) -> None:
    """Raise torch's errors for what is no batch of matrices of floating point numbers."""
    dtype = numpy_dtype(a)
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if dtype.kind != "f":
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {word(dtype)}")


@block
class Inverse(Op):
    """Y = A⁻¹, given by what it does: A Y = I. Its derivative comes from differentiating that equation."""

    name = "inv"
    functions = ("inverse", "linalg.inv")
    methods = ("inverse",)
    of_matrices = True
    kind = "differential"
    rule = "inv"
    uses = ("y",)
    latex = "^{-1}"
    backward_name = "LinalgInvExBackward0"
    samples = (
        Sample((np.array([[2.0, 0.5], [-1.0, 1.5]]),)),
        Sample((np.array([[[2.0, 0.5], [-1.0, 1.5]], [[1.0, 0.3], [0.2, -2.0]]]),)),
    )

    def forward(self, a: Any) -> Any:
        refuse_not_square("linalg.inv", a)
        try:
            return np.linalg.inv(a)
        except np.linalg.LinAlgError:
            where, pivot = _first_zero_pivot(a)
            batch = f"(Batch element {where}): " if a.ndim > 2 else ""
            raise LinAlgError(
                f"linalg.inv: {batch}The diagonal element {pivot} is zero, the inversion could not be completed because the "
                "input matrix is singular."
            ) from None

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        back = xp.mT(y)
        return (-xp.matmul(back, xp.matmul(g, back)),)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any) -> Any:
        """One entry of dY for a change dA: from dA Y + A dY = 0, dY = −Y dA Y."""
        *batch, i, j = out
        k, l = s.index(y.shape[-1]), s.index(y.shape[-1])
        return (-s.total(y[(*batch, i, k)] * changes[0][(*batch, k, l)] * y[(*batch, l, j)], k, l),)

    def equation(self, s: Any, out: Any, y: Any, a: Any) -> Any:
        """One entry of A Y − I, which is zero."""
        *batch, i, j = out
        k = s.index(y.shape[-1])
        return s.total(a[(*batch, i, k)] * y[(*batch, k, j)], k) - s.indicator(s.equal(i, j))

    def slopes_of_transform(self, s: Any, y: Any, at: Any, other: Any, body: Any, bound: Any) -> tuple[Any, Any]:
        """∂Y_ij/∂A_kl = −Y_ik Y_lj."""
        (i, j), (k, l) = y.positions, other
        return 0, -s.transform("inv", body, bound, (i, k)) * s.transform("inv", body, bound, (l, j))


def _first_zero_pivot(a: Any) -> tuple[int, int]:
    """(matrix, 1-based position) of the first zero pivot of an LU decomposition with row exchanges, as torch reports it."""
    for where, matrix in enumerate(a.reshape(-1, *a.shape[-2:])):
        work = matrix.astype(np.float64)
        for k in range(len(work)):
            pivot = k + int(np.argmax(np.abs(work[k:, k])))
            if abs(work[pivot, k]) <= 1e-300:
                return where, k + 1
            work[[k, pivot]] = work[[pivot, k]]
            work[k + 1 :] -= np.outer(work[k + 1 :, k] / work[k, k], work[k])
    return 0, a.shape[-1]
