"""Linear algebra: dot products, matrix products of all ranks, the inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, block, broadcast_error


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


@block
class Matmul(Op):
    """The matrix product of torch.matmul: vectors, matrices, and batches of matrices with broadcasting."""

    name = "matmul"
    functions = ("matmul", "mm", "mv", "bmm")
    methods = ("matmul", "mm", "mv", "bmm")
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
        names = {(2, 2): "MmBackward0", (2, 1): "MvBackward0", (1, 2): "SqueezeBackward4", (1, 1): "DotBackward0"}
        return names.get(ranks, "UnsafeViewBackward0")

    def forward(self, a: Any, b: Any) -> Any:
        if a.ndim == 1 == b.ndim and a.shape == b.shape:
            return a.dot(b)
        return a @ b

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        a, b = shapes
        if not a or not b:
            return RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {len(a)}D and {len(b)}D")
        if len(a) == 1 == len(b):
            return _dot_error(a, b)
        if len(b) == 1:
            rows = "x".join(map(str, a[-2:]))
            return RuntimeError(f"size mismatch, got input ({a[-2]}), mat ({rows}), vec ({b[0]})")
        inner = a[-1] if a else 0
        if inner != b[-2]:
            first = "x".join(map(str, a if len(a) > 1 else (1, *a)))
            return RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({first} and {'x'.join(map(str, b[-2:]))})"
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
        if needs[1]:
            row = xp.unsqueeze(a, dim=-2) if rank_a == 1 else a
            columns = xp.unsqueeze(g, dim=-1) if rank_b == 1 else xp.unsqueeze(g, dim=-2) if rank_a == 1 else g
            back_b = xp.matmul(xp.mT(row), columns)
            back_b = xp.squeeze(back_b, dim=-1) if rank_b == 1 else back_b
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


@block
class Inverse(Op):
    """Y = A⁻¹, given by what it does: A Y = I. Its derivative comes from differentiating that equation."""

    name = "inv"
    functions = ("inv", "inverse")
    methods = ("inverse",)
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
        if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
            raise RuntimeError(
                "linalg.inv: A must be batches of square matrices, "
                f"but they are {' by '.join(map(str, a.shape[-2:]))} matrices"
            )
        try:
            return np.linalg.inv(a)
        except np.linalg.LinAlgError:
            raise RuntimeError(
                "linalg.inv: The diagonal element "
                f"{_first_zero_pivot(a)} is zero, the inversion could not be completed because the input matrix is singular."
            ) from None

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        back = xp.mT(y)
        return (-xp.matmul(back, xp.matmul(g, back)),)

    def differential(self, s: Any, out: Any, y: Any, a: Any, da: Any) -> Any:
        """One entry of dY for a change dA: from dA Y + A dY = 0, dY = −Y dA Y."""
        *batch, i, j = out
        k, l = s.index(y.shape[-1]), s.index(y.shape[-1])
        return -s.total(y[(*batch, i, k)] * da[(*batch, k, l)] * y[(*batch, l, j)], k, l)

    def equation(self, s: Any, out: Any, y: Any, a: Any) -> Any:
        """One entry of A Y − I, which is zero."""
        *batch, i, j = out
        k = s.index(y.shape[-1])
        return s.total(a[(*batch, i, k)] * y[(*batch, k, j)], k) - s.indicator(s.equal(i, j))


def _first_zero_pivot(a: Any) -> int:
    """The 1-based position of the first zero pivot of an LU decomposition with row exchanges, as torch reports it."""
    for matrix in a.reshape(-1, *a.shape[-2:]):
        work = matrix.astype(np.float64)
        for k in range(len(work)):
            pivot = k + int(np.argmax(np.abs(work[k:, k])))
            if abs(work[pivot, k]) <= 1e-300:
                return k + 1
            work[[k, pivot]] = work[[pivot, k]]
            work[k + 1 :] -= np.outer(work[k + 1 :, k] / work[k, k], work[k])
    return len(a)
