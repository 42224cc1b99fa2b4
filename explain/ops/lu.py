"""A = P L U: rows in another order, a lower triangle with ones on its diagonal, and an upper triangle.

``linalg.lu`` gives the factors, ``linalg.lu_factor`` both triangles in one matrix, for the solving of many systems.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Array, Op, Sample, numpy_dtype, plain_array, word
from explain.ops.linalg import LinAlgError
from explain.ops.registry import block, composite

TALL = np.array([[0.5, -1.0], [2.0, 0.3], [1.0, 2.0]])
SQUARE = np.array([[0.5, 2.0], [-1.5, 1.0]])
BATCH = np.stack([TALL.T, 2 * TALL.T + 0.25])  # no two candidates for a pivot are equal
ROWS = "rows"  # the name of the rows' order among what formulas are given


def eliminated(a: Array) -> tuple[Array, Array]:
    """Both triangles in one matrix, and for each step which row was taken, counted from 0."""
    packed = np.array(a)
    flat = packed.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])
    steps = min(a.shape[-2:])
    taken = np.zeros((len(flat), steps), np.int64)
    for matrix, rows in zip(flat, taken, strict=True):
        for k in range(steps):
            rows[k] = at = k + int(np.argmax(np.abs(matrix[k:, k])))
            matrix[[k, at]] = matrix[[at, k]]
            if matrix[k, k] != 0:
                matrix[k + 1 :, k] /= matrix[k, k]
                matrix[k + 1 :, k + 1 :] -= np.outer(matrix[k + 1 :, k], matrix[k, k + 1 :])
    return packed, taken.reshape(*a.shape[:-2], steps)


def order_of(taken: Array, count: int) -> Array:
    """Which row of A stands in each row of L U."""
    flat = taken.reshape(math.prod(taken.shape[:-1]), taken.shape[-1])
    found = np.tile(np.arange(count), (len(flat), 1))
    for rows, steps in zip(found, flat, strict=True):
        for k, at in enumerate(steps):
            rows[[k, at]] = rows[[at, k]]
    return found.reshape(*taken.shape[:-1], count)


def permutation(order: Array, dtype: np.dtype) -> Array:
    """The matrix P with P L U = A."""
    return np.swapaxes(np.eye(order.shape[-1], dtype=dtype)[order], -1, -2)


def _refuse(name: str, short: str, a: Any, pivot: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead")
    if not pivot:
        raise RuntimeError(f"{short}: LU without pivoting is not implemented on the CPU")


def _lower(xp: Any, packed: Any) -> Any:
    count = min(packed.shape[-2:])
    part = packed if packed.shape[-1] == count else xp.index(packed, index=(Ellipsis, slice(0, count)))
    return xp.add(xp.tril(part, diagonal=-1), np.eye(*part.shape[-2:], dtype=numpy_dtype(part)))


def _upper(xp: Any, packed: Any) -> Any:
    count = min(packed.shape[-2:])
    part = packed if packed.shape[-2] == count else xp.index(packed, index=(Ellipsis, slice(0, count), slice(None)))
    return xp.triu(part)


def _back(xp: Any, lower: Any, upper: Any, back_l: Any, back_u: Any, order: Array) -> Any:
    """A's cotangent from those of L and U, None where there is none.

    With B = Pᵀ A and its leading square block: dU = L⁻¹ dB − tril(M) U and dL = dB U⁻¹ − L triu(M), M = L⁻¹ dB U⁻¹.
    """
    count = lower.shape[-1]
    tall, wide = lower.shape[-2] > count, upper.shape[-1] > count
    head = (Ellipsis, slice(0, count), slice(None))
    front, rest = (Ellipsis, slice(0, count)), (Ellipsis, slice(count, None))
    top_l, first_u = (xp.index(lower, index=head) if tall else lower), (xp.index(upper, index=front) if wide else upper)

    def from_left(x: Any) -> Any:
        return xp.solve_triangular(xp.mT(top_l), x, upper=True, unitriangular=True)

    def from_right(x: Any) -> Any:
        return xp.solve_triangular(xp.mT(first_u), x, upper=False, left=False)

    inner: Any = None
    if back_u is not None:
        inner = xp.tril(-xp.matmul(back_u, xp.mT(upper)), diagonal=-1)
    if back_l is not None:
        part = xp.triu(-xp.matmul(xp.mT(lower), back_l))
        inner = part if inner is None else inner + part
    block_ = from_right(from_left(inner))
    by_u = None if back_u is None else from_left(back_u)
    by_l = None if back_l is None else from_right(back_l)
    if by_u is not None:
        block_ = block_ + (xp.index(by_u, index=front) if wide else by_u)
    if by_l is not None:
        block_ = block_ + (xp.index(by_l, index=head) if tall else by_l)
    dtype = numpy_dtype(lower)
    if wide:
        more = np.zeros((*block_.shape[:-1], upper.shape[-1] - count), dtype)
        block_ = xp.cat(block_, more if by_u is None else xp.index(by_u, index=rest), dim=-1)
    if tall:
        more = np.zeros((*block_.shape[:-2], lower.shape[-2] - count, count), dtype)
        below = (Ellipsis, slice(count, None), slice(None))
        block_ = xp.cat(block_, more if by_l is None else xp.index(by_l, index=below), dim=-2)
    return xp.matmul(permutation(order, dtype), block_)


class _Change:
    """How the factors' entries move, from entries of the factors and of their inverses."""

    def __init__(self, s: Any, batch: Any, lower: Any, upper: Any, change: Any, count: int) -> None:
        self.s, self.batch, self.lower, self.upper, self.change, self.count = s, batch, lower, upper, change, count

    def moved(self, i: Any, j: Any) -> Any:
        """One entry of dB = Pᵀ dA."""
        row = self.s.position(self.s.given(ROWS)[(*self.batch, i)])
        return self.change[(*self.batch, row, j)]

    def inner(self, i: Any, j: Any) -> Any:
        """One entry of M = L⁻¹ dB U⁻¹."""
        p, q = self.s.index(self.count), self.s.index(self.count)
        return self.s.total(self.lower.inverse(i, p) * self.moved(p, q) * self.upper.inverse(q, j), p, q)

    def of_lower(self, i: Any, j: Any) -> Any:
        """One entry of dL = dB U⁻¹ − L triu(M)."""
        s, q, k = self.s, self.s.index(self.count), self.s.index(self.count)
        kept = s.total(self.lower.entry(i, k) * s.indicator(k <= j) * self.inner(k, j), k)
        return s.total(self.moved(i, q) * self.upper.inverse(q, j), q) - kept

    def of_upper(self, i: Any, j: Any) -> Any:
        """One entry of dU = L⁻¹ dB − tril(M, −1) U."""
        s, p, k = self.s, self.s.index(self.count), self.s.index(self.count)
        kept = s.total(s.indicator(i > k) * self.inner(i, k) * self.upper.entry(k, j), k)
        return s.total(self.lower.inverse(i, p) * self.moved(p, j), p) - kept


class _Factor:
    """A triangle as an op gives it, or as it stands in the matrix with both of them (``lower`` or not)."""

    def __init__(self, s: Any, y: Any, batch: Any, count: int, lower: bool | None = None) -> None:
        self.s, self.y, self.batch, self.count, self.low = s, y, batch, count, lower

    def entry(self, i: Any, j: Any) -> Any:
        """One entry."""
        found = self.y[(*self.batch, i, j)]
        if self.low is None:
            return found
        if self.low:
            return found * self.s.indicator(i > j) + self.s.indicator(self.s.equal(i, j))
        return found * self.s.indicator(i <= j)

    def inverse(self, i: Any, j: Any) -> Any:
        """One entry of the inverse of the leading square block."""
        p, q = self.s.index(self.count), self.s.index(self.count)
        return self.s.transform("inv", self.entry(p, q), (p, q), (i, j))


@block
class Lu(Op):
    """The triangles L, with ones on its diagonal, and U of A = P L U."""

    name = "lu_triangles"
    fields = ("L", "U")
    letters = ("L", "U")
    outputs = 2
    kind = "differential"
    rule = "lu"
    uses = ("y a",)
    backward_name = "LinalgLuBackward0"
    samples = (Sample((SQUARE,)), Sample((TALL,)), Sample((BATCH,)))

    def forward(self, a: Any) -> Any:
        packed = eliminated(a)[0]
        count = min(a.shape[-2:])
        below = packed[..., :count]
        return np.tril(below, -1) + np.eye(*below.shape[-2:], dtype=a.dtype), np.triu(packed[..., :count, :])

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        (a,) = ins
        return {**dict(zip(self.letters, self.forward(a), strict=True)), ROWS: order_of(eliminated(a)[1], a.shape[-2])}

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        lower, upper = y
        back_l, back_u = g
        return (_back(xp, lower, upper, back_l, back_u, order_of(eliminated(plain_array(a))[1], a.shape[-2])),)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, which: int) -> Any:
        *batch, i, j = out
        count = min(a.numbers[-2:])
        lower, upper = (_Factor(s, part, batch, count) for part in y)
        change = _Change(s, batch, lower, upper, changes[0], count)
        return ((change.of_upper if which else change.of_lower)(i, j),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, which: int) -> Any:
        """One entry of L U − Pᵀ A, which is zero."""
        *batch, i, j = out
        lower, upper = y
        k = s.index(min(a.numbers[-2:]))
        row = s.position(s.given(ROWS)[(*batch, i)])
        return s.total(lower[(*batch, i, k)] * upper[(*batch, k, j)], k) - a[(*batch, row, j)]


@block
class LuFactor(Op):
    """Both triangles of A = P L U in one matrix, without the ones; with the row that was taken in each step, from 1."""

    name = "lu_packed"
    fields = ("LU", "pivots")
    letters = ("F", "pivots")
    outputs = 2
    kind = "differential"
    rule = "lu"
    uses = ("y",)
    backward_name = "LinalgLuFactorExBackward0"
    samples = Lu.samples

    def forward(self, a: Any) -> Any:
        packed, taken = eliminated(a)
        return packed, (taken + 1).astype(np.int32)

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        (a,) = ins
        packed, pivots = self.forward(a)
        return {"F": packed, "pivots": pivots, ROWS: order_of(pivots - 1, a.shape[-2])}

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        packed, pivots = y
        count = min(packed.shape[-2:])
        front, head = (Ellipsis, slice(0, count)), (Ellipsis, slice(0, count), slice(None))
        back_l = xp.tril(xp.index(g[0], index=front), diagonal=-1)
        back_u = xp.triu(xp.index(g[0], index=head))
        order = order_of(plain_array(pivots) - 1, packed.shape[-2])
        return (_back(xp, _lower(xp, packed), _upper(xp, packed), back_l, back_u, order),)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, which: int) -> Any:
        *batch, i, j = out
        count = min(a.numbers[-2:])
        lower, upper = (_Factor(s, y[0], batch, count, side) for side in (True, False))
        change = _Change(s, batch, lower, upper, changes[0], count)
        return (s.indicator(i > j) * change.of_lower(i, j) + s.indicator(i <= j) * change.of_upper(i, j),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, which: int) -> Any:
        """One entry of L U − Pᵀ A, which is zero."""
        *batch, i, j = out
        count = min(a.numbers[-2:])
        lower, upper = (_Factor(s, y[0], batch, count, side) for side in (True, False))
        k, row = s.index(count), s.position(s.given(ROWS)[(*batch, i)])
        return s.total(lower.entry(i, k) * upper.entry(k, j), k) - a[(*batch, row, j)]


def _lu(xp: Any, a: Any, *, pivot: bool = True) -> Any:
    """P, L and U."""
    _refuse("linalg.lu", "linalg.lu", a, pivot)
    p = permutation(order_of(eliminated(plain_array(a))[1], a.shape[-2]), numpy_dtype(a))
    return (p, *xp.lu_triangles(a))


def _factored(xp: Any, a: Any, pivot: bool, check: bool) -> tuple[Any, Any, Array]:
    _refuse("torch.lu_factor", "linalg.lu_factor", a, pivot)
    packed, pivots = xp.lu_packed(a)
    zero = np.diagonal(plain_array(packed), axis1=-2, axis2=-1) == 0
    info = np.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32)
    if check and info.any():
        where = int(np.argmax(info.reshape(-1) > 0))
        k = int(info.reshape(-1)[where])
        batch = f"(Batch element {where}): " if a.ndim > 2 else ""
        raise LinAlgError(
            f"torch.linalg.lu_factor: {batch}U[{k},{k}] is zero and using it on lu_solve would result in a division by "
            "zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)"
        )
    return packed, pivots, info[()]


def _lu_factor(xp: Any, a: Any, *, pivot: bool = True) -> Any:
    """Both triangles in one matrix, and the pivots."""
    return _factored(xp, a, pivot, True)[:2]


def _lu_factor_ex(xp: Any, a: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """The same, with the place of the first zero on the diagonal, from 1, in place of an error."""
    return _factored(xp, a, pivot, check_errors)


def _old_lu(xp: Any, a: Any, *, pivot: bool = True, get_infos: bool = False) -> Any:
    """``torch.lu``: the older name."""
    return _factored(xp, a, pivot, not get_infos)[: 3 if get_infos else 2]


def _int_pivots(name: str, pivots: Any, words: str) -> Array:
    found = plain_array(pivots)
    if found.dtype != np.int32:
        raise RuntimeError(f"{name}: {words}")
    return found.astype(np.int64) - 1


def _lu_unpack(xp: Any, packed: Any, pivots: Any, *, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """P, L and U from what ``lu_factor`` gives."""
    dtype = numpy_dtype(packed)
    p = lower = upper = np.zeros(0, dtype)
    if unpack_pivots:
        words = (
            "LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function is intended to be "
            "used with the output produced by torch.linalg.lu_factor"
        )
        p = permutation(order_of(_int_pivots("torch.lu_unpack", pivots, words), packed.shape[-2]), dtype)
    if unpack_data:
        lower, upper = _lower(xp, packed), _upper(xp, packed)
    return p, lower, upper


def _lu_solve(xp: Any, packed: Any, pivots: Any, b: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    """X of A X = B (X A = B, Aᵀ X = B) from the two triangles of A."""
    name = "linalg.lu_solve"
    if numpy_dtype(packed) != numpy_dtype(b):
        words = [word(numpy_dtype(t)) for t in (packed, b)]
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type {words[0]} and B of type {words[1]} "
            "instead"
        )
    taken = _int_pivots(name, pivots, "pivots should be a Tensor of scalar type torch.int32")
    if b.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    n = packed.shape[-1]
    if b.shape[-2 if left else -1] != n:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({packed.shape[-2]}x{n} and {b.shape[-2]}x{b.shape[-1]})"
        )
    if taken.shape[-1] != n:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    lower, upper = _lower(xp, packed), _upper(xp, packed)
    p = permutation(order_of(taken, n), numpy_dtype(packed))
    turned = np.swapaxes(p, -1, -2)
    if not left:
        b = xp.mT(b)
    if left != adjoint:  # A X = B
        inner = xp.solve_triangular(lower, xp.matmul(turned, b), upper=False, unitriangular=True)
        found = xp.solve_triangular(upper, inner, upper=True)
    else:
        inner = xp.solve_triangular(xp.mT(upper), b, upper=False)
        found = xp.matmul(p, xp.solve_triangular(xp.mT(lower), inner, upper=True, unitriangular=True))
    return found if left else xp.mT(found)


def _old_lu_solve(xp: Any, b: Any, packed: Any, pivots: Any) -> Any:
    """``torch.lu_solve``: the older name, with B first."""
    return _lu_solve(xp, packed, pivots, b)


_SAMPLES = (Sample((SQUARE,)), Sample((TALL,)))
_PACKED = np.array([[-1.5, 1.0], [-1 / 3, 7 / 3]])  # of SQUARE
_PIVOTS = np.array([2, 2], np.int32)
composite("lu", _lu, functions=("linalg.lu",), fields=("P", "L", "U"), samples=_SAMPLES)
composite("lu_factor", _lu_factor, functions=("linalg.lu_factor",), fields=("LU", "pivots"), samples=_SAMPLES)
composite(
    "lu_factor_ex", _lu_factor_ex, functions=("linalg.lu_factor_ex",), fields=("LU", "pivots", "info"), samples=_SAMPLES
)
composite("old_lu", _old_lu, functions=("lu",), methods=("lu",), samples=_SAMPLES)
composite(
    "lu_unpack", _lu_unpack,
    functions=("lu_unpack",), grad_fn="LuUnpackBackward0", fields=("P", "L", "U"), reads_values=(1,),
    samples=(Sample((_PACKED, _PIVOTS)),),
)  # fmt: skip
composite(
    "lu_solve", _lu_solve, functions=("linalg.lu_solve",), grad_fn="LinalgLuSolveBackward0", reads_values=(1,),
    samples=(Sample((_PACKED, _PIVOTS, (2, 1))),),
)  # fmt: skip
composite(
    "old_lu_solve", _old_lu_solve,
    functions=("lu_solve",), grad_fn="LinalgLuSolveBackward0", methods=("lu_solve",), reads_values=(2,),
    samples=(Sample(((2, 1), _PACKED, _PIVOTS)),),
)  # fmt: skip
