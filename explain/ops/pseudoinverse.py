"""The pseudoinverse, and least squares by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, numpy_dtype, plain_array, word
from explain.ops.decompositions import TALL
from explain.ops.linalg import refuse_no_matrix, refuse_not_square
from explain.ops.registry import block, composite


@block
class Pinv(Op):
    """Y = A⁺: of all Y that bring A Y nearest to I, the smallest; (AᵀA)⁻¹ Aᵀ where the columns are independent."""

    name = "pinv"
    kind = "differential"
    rule = "pinv"
    uses = ("a y",)
    latex = "^{+}"
    backward_name = "LinalgPinvBackward0"
    samples = (Sample((TALL,)), Sample((TALL.T,)), Sample((np.stack([TALL, TALL + 0.5]),)))

    def forward(self, a: Any, *, rtol: float | None = None, atol: float = 0.0, hermitian: bool = False) -> Any:
        refuse_no_matrix("linalg.pinv", a)
        if hermitian:
            refuse_not_square("linalg.eigh", a)
            a = np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2)
        if not a.size:
            return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
        u, sizes, vh = np.linalg.svd(a, full_matrices=False)
        usual = max(a.shape[-2:]) * np.finfo(a.dtype).eps if not np.any(atol) else 0.0
        below = np.maximum(np.asarray(atol), sizes[..., :1] * np.asarray(usual if rtol is None else rtol))
        inverse = np.where(sizes > below, 1 / np.where(sizes == 0, 1, sizes), 0).astype(a.dtype)
        return np.swapaxes(vh, -1, -2) @ (inverse[..., None] * np.swapaxes(u, -1, -2))

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, a: Any, *, rtol: Any = None, atol: float = 0.0, hermitian: bool = False
    ) -> Any:
        turned, up = xp.mT(y), xp.mT(g)
        back = -xp.matmul(turned, xp.matmul(g, turned))
        left = xp.matmul(up, xp.matmul(y, turned))
        right = xp.matmul(turned, xp.matmul(y, up))
        back = back + left - xp.matmul(a, xp.matmul(y, left))
        back = back + right - xp.matmul(xp.matmul(right, y), a)
        return (back,)

    def differential(
        self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, rtol: Any = None, atol: float = 0.0, hermitian: bool = False
    ) -> Any:
        """dY = −Y dA Y + Y Yᵀ dAᵀ (I − A Y) + (I − Y A) dAᵀ Yᵀ Y."""
        (da,) = changes
        *batch, i, j = out
        rows, columns = a.shape[-2], a.shape[-1]

        def row() -> Any:
            return s.index(rows)

        def column() -> Any:
            return s.index(columns)

        def of(t: Any, p: Any, q: Any) -> Any:
            return t[(*batch, p, q)]

        k, p = column(), row()
        first = s.total(of(y, i, p) * of(da, p, k) * of(y, k, j), p, k)
        k, p = column(), row()
        second = s.total(of(y, i, p) * of(y, k, p) * of(da, j, k), p, k)
        k, p, q, m = column(), row(), row(), column()
        second = second - s.total(of(y, i, p) * of(y, k, p) * of(da, q, k) * of(a, q, m) * of(y, m, j), p, k, q, m)
        p, k = row(), column()
        third = s.total(of(da, p, i) * of(y, k, p) * of(y, k, j), p, k)
        q, m, p, k = row(), column(), row(), column()
        third = third - s.total(of(y, i, q) * of(a, q, m) * of(da, p, m) * of(y, k, p) * of(y, k, j), q, m, p, k)
        return (-first + second + third,)

    def equation(
        self, s: Any, out: Any, y: Any, a: Any, *, rtol: Any = None, atol: float = 0.0, hermitian: bool = False
    ) -> Any:
        """One entry of Y A Y − Y, which is zero."""
        *batch, i, j = out
        p, k = s.index(a.shape[-2]), s.index(a.shape[-1])
        return s.total(y[(*batch, i, p)] * a[(*batch, p, k)] * y[(*batch, k, j)], p, k) - y[out]


def _pinv(xp: Any, a: Any, *, rcond: Any = None, hermitian: bool = False, atol: Any = None, rtol: Any = None) -> Any:
    """``torch.linalg.pinv`` with torch's names for the bound below which singular values count as 0."""
    bound = rcond if rtol is None else rtol
    bound = plain_array(bound)[..., None] if hasattr(bound, "shape") else bound
    least = 0.0 if atol is None else plain_array(atol)[..., None] if hasattr(atol, "shape") else atol
    return xp.pinv(a, rtol=bound, atol=least, hermitian=hermitian)


def _pinverse(xp: Any, a: Any, *, rcond: float = 1e-15) -> Any:
    """``torch.pinverse``, whose bound is smaller."""
    return xp.pinv(a, rtol=rcond)


def _lstsq(xp: Any, a: Any, b: Any, *, rcond: Any = None, driver: str = "gelsy") -> Any:
    """The X that makes ‖A X − B‖ smallest, with the squares that are left, the rank, and the singular values."""
    refuse_no_matrix("torch.linalg.lstsq", a)
    dtype = numpy_dtype(a)
    if numpy_dtype(b) != dtype:
        raise RuntimeError(
            f"torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype {word(dtype)} and "
            f"other's dtype {word(numpy_dtype(b))}"
        )
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and tuple(b.shape) == tuple(a.shape[:-1]))
    right = xp.unsqueeze(b, dim=-1) if vector else b
    if right.shape[-2] != a.shape[-2]:
        raise RuntimeError(f"torch.linalg.lstsq: input.size(-2) should match other.size(-{1 if vector else 2})")
    x = xp.matmul(xp.pinv(a, rtol=rcond), right)
    rows, columns = a.shape[-2:]
    sizes = np.linalg.svd(plain_array(a), compute_uv=False)
    bound = max(rows, columns) * np.finfo(dtype).eps if rcond is None else rcond
    rank = np.count_nonzero(sizes > bound * sizes.max(axis=-1, keepdims=True, initial=0.0), axis=-1)
    rest = xp.sum(xp.square(xp.sub(xp.matmul(a, x), right)), dim=-2)
    if rows <= columns or driver == "gelsy" or (driver != "gels" and not np.all(rank == columns)):
        rest = xp.index(xp.flatten(rest), index=(slice(0, 0),))  # torch tells no squares, but of the graph
    found = xp.squeeze(x, dim=-1) if vector else x
    values = sizes if driver in ("gelss", "gelsd") else np.zeros(0, dtype)
    return found, rest, np.asarray(rank, np.int64)[()] if driver != "gels" else np.zeros(0, np.int64), values


_SAMPLES = (Sample((TALL,)),)
composite("linalg_pinv", _pinv, functions=("linalg.pinv",), samples=_SAMPLES)
composite("pinverse", _pinverse, functions=("pinverse",), methods=("pinverse",), samples=_SAMPLES)
composite(
    "lstsq", _lstsq, grad_fn="LinalgLstsqBackward0",
    functions=("linalg.lstsq",), fields=("solution", "residuals", "rank", "singular_values"), numbers=(),
    samples=(Sample((TALL, (3, 2))),),
)  # fmt: skip
