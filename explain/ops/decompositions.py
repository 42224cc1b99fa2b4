"""Decompositions of matrices: Cholesky, QR, eigenvalues of symmetric matrices, singular values.

The factors have no formula of their entries. How they move with the matrix follows from differentiating the equation
that they satisfy; where an op does not return all factors that this takes, ``given`` computes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, numpy_dtype, plain_array
from explain.ops.linalg import LinAlgError, refuse_no_matrix, refuse_not_square
from explain.ops.registry import block, composite
from explain.ops.solving import NEGLIGIBLE, inverse_entry, transposed

SYMMETRIC = np.array([[2.0, 0.5], [0.5, 1.5]])
BATCH = np.array([[[2.0, 0.5], [0.5, 1.5]], [[3.0, -1.0], [-1.0, 2.0]]])
TALL = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.3]])


def symmetric(a: Any, upper: bool = False) -> Any:
    """The symmetric matrix that is meant. Torch reads one triangle, but sends gradients to both: where both agree, up to
    what differences move, their mean is taken, whose derivative that is."""
    other = transposed(a)
    if np.max(np.abs(a - other), initial=0.0) <= NEGLIGIBLE * np.max(np.abs(a), initial=0.0):
        return (a + other) * a.dtype.type(0.5)
    half = np.triu(a) if upper else np.tril(a)
    return half + transposed(np.triu(half, 1) if upper else np.tril(half, -1))


def _mean_of_both(xp: Any, back: Any) -> Any:
    """A cotangent of a symmetric matrix, shared by its two triangles."""
    return (back + xp.mT(back)) * 0.5


@block
class Cholesky(Op):
    """The lower triangular L with L Lᵀ = A; or its transpose."""

    name = "cholesky"
    functions = ("linalg.cholesky",)
    kind = "differential"
    rule = "cholesky"
    uses = ("y",)
    backward_name = "LinalgCholeskyExBackward0"
    samples = (Sample((SYMMETRIC,)), Sample((BATCH,)), Sample((SYMMETRIC,), {"upper": True}))

    def forward(self, a: Any, *, upper: bool = False) -> Any:
        refuse_not_square("linalg.cholesky", a)
        whole = symmetric(a, upper)
        try:
            y = np.linalg.cholesky(whole)
        except np.linalg.LinAlgError:
            where, minor = _not_positive(whole)
            batch = f"(Batch element {where}): " if a.ndim > 2 else ""
            raise LinAlgError(
                f"linalg.cholesky: {batch}The factorization could not be completed because the input is not "
                f"positive-definite (the leading minor of order {minor} is not positive-definite)."
            ) from None
        return transposed(y).copy() if upper else y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
        if upper:
            g, y = xp.mT(g), xp.mT(y)
        n = y.shape[-1]
        inner = xp.matmul(xp.mT(y), g)
        weights = np.tri(n) - 0.5 * np.eye(n)
        inner = xp.mul(inner, weights.astype(numpy_dtype(y)))
        left = xp.solve_triangular(xp.mT(y), inner, upper=True)
        return (_mean_of_both(xp, xp.solve_triangular(y, left, upper=False, left=False)),)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, upper: bool = False) -> Any:
        """From dL Lᵀ + L dLᵀ = dA: dL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ keeps the lower triangle and half the diagonal."""
        *batch, i, j = out
        n = a.shape[-1]
        k, p, q = (s.index(n) for _ in range(3))
        if upper:  # what is said of L holds of the transpose
            i, j = j, i
        factor = y[(*batch, k, i)] if upper else y[(*batch, i, k)]
        half = s.indicator(k > j) + s.indicator(s.equal(k, j)) * s.number(1) / 2

        def inverse(row: Any, column: Any) -> Any:
            place = (column, row) if upper else (row, column)
            return inverse_entry(s, y, batch, *place)

        change = (changes[0][(*batch, p, q)] + changes[0][(*batch, q, p)]) / 2
        return (s.total(factor * half * inverse(k, p) * change * inverse(j, q), k, p, q),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, upper: bool = False) -> Any:
        """One entry of L Lᵀ − A, which is zero."""
        *batch, i, j = out
        k = s.index(a.shape[-1])
        first, second = ((k, i), (k, j)) if upper else ((i, k), (j, k))
        return s.total(y[(*batch, *first)] * y[(*batch, *second)], k) - a[(*batch, i, j)]


def _not_positive(a: Any) -> tuple[int, int]:
    """(matrix, order of its first leading minor that is not positive)."""
    for where, matrix in enumerate(a.reshape(-1, *a.shape[-2:])):
        for order in range(1, len(matrix) + 1):
            if not np.linalg.det(matrix[:order, :order]) > 0:
                return where, order
    return 0, a.shape[-1]


@block
class Eigh(Op):
    """Eigenvalues, rising, and eigenvectors (columns) of a symmetric matrix: A = V diag(λ) Vᵀ."""

    name = "eigh"
    functions = ("linalg.eigh",)
    fields = ("eigenvalues", "eigenvectors")
    letters = ("lambda", "V")
    outputs = 2
    kind = "differential"
    rule = "eigh"
    uses = ("y",)
    backward_name = "LinalgEighBackward0"
    samples = (Sample((SYMMETRIC,)), Sample((BATCH,)), Sample((SYMMETRIC,), {"UPLO": "U"}))

    def forward(self, a: Any, *, UPLO: str = "L") -> Any:
        refuse_not_square("linalg.eigh", a)
        if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
            raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
        values, vectors = np.linalg.eigh(symmetric(a, UPLO.upper() == "U"))
        return values, vectors

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return dict(zip(self.letters, self.forward(*ins, **options), strict=True))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, *, UPLO: str = "L") -> Any:
        values, vectors = y
        inner: Any = None
        if g[1] is not None:
            n = a.shape[-1]
            apart = xp.unsqueeze(values, dim=-2) - xp.unsqueeze(values, dim=-1)
            turned = xp.matmul(xp.mT(vectors), g[1])
            skew = (turned - xp.mT(turned)) * 0.5
            inner = xp.where(np.eye(n, dtype=bool), 0.0, skew / xp.where(np.eye(n, dtype=bool), 1.0, apart))
        back: Any = None
        if g[0] is not None:
            back = xp.matmul(vectors * xp.unsqueeze(g[0], dim=-2), xp.mT(vectors))
        if inner is not None:
            turn = xp.matmul(xp.matmul(vectors, inner), xp.mT(vectors))
            back = turn if back is None else back + turn
        return (back,)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, UPLO: str = "L", which: int) -> Any:
        """dλ_j = v_jᵀ dA v_j; dv_j = Σ_{k≠j} v_k (v_kᵀ dA v_j)/(λ_j − λ_k)."""
        values, vectors = y
        *batch, j = out if which == 0 else (*out[:-2], out[-1])
        n = a.shape[-1]
        p, q = s.index(n), s.index(n)
        change = (changes[0][(*batch, p, q)] + changes[0][(*batch, q, p)]) / 2
        if which == 0:
            return (s.total(vectors[(*batch, p, j)] * change * vectors[(*batch, q, j)], p, q),)
        i, k = out[-2], s.index(n)
        moved = vectors[(*batch, p, k)]
        gap = s.where(s.unequal(k, j), 1 / (values[(*batch, j)] - values[(*batch, k)]), 0)
        return (s.total(vectors[(*batch, i, k)] * gap * moved * change * vectors[(*batch, q, j)], k, p, q),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, UPLO: str = "L", which: int) -> Any:
        """One entry of A V − V diag(λ), or of its diagonal in the basis V, which is zero."""
        values, vectors = y
        *batch, j = out if which == 0 else (*out[:-2], out[-1])
        p, q = s.index(a.shape[-1]), s.index(a.shape[-1])
        if which == 0:
            turned = s.total(vectors[(*batch, p, j)] * a[(*batch, p, q)] * vectors[(*batch, q, j)], p, q)
            return turned - values[(*batch, j)]
        return s.total(a[(*batch, out[-2], q)] * vectors[(*batch, q, j)], q) - values[(*batch, j)] * vectors[out]


@block
class Svd(Op):
    """A = U diag(S) Vᵀ: singular values, falling, and vectors; U and Vᵀ with as many vectors as there are values."""

    name = "svd_reduced"
    fields = ("U", "S", "Vh")
    letters = ("U", "S", "Vh")
    outputs = 3
    kind = "differential"
    rule = "svd"
    uses = ("y",)
    backward_name = "LinalgSvdBackward0"
    samples = (Sample((TALL,)), Sample((np.stack([TALL.T, 2 * TALL.T + 0.5]),)))

    def forward(self, a: Any) -> Any:
        refuse_no_matrix("linalg.svd", a)
        return tuple(np.linalg.svd(a, full_matrices=False))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return dict(zip(self.letters, self.forward(*ins), strict=True))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        u, sizes, vh = y
        rows, columns, n = a.shape[-2], a.shape[-1], sizes.shape[-1]
        column, row = xp.unsqueeze(sizes, dim=-2), xp.unsqueeze(sizes, dim=-1)
        eye = np.eye(n, dtype=bool)
        apart = xp.where(eye, 1.0, (column - row) * (column + row))
        back: Any = None
        if g[1] is not None:
            back = xp.matmul(u * xp.unsqueeze(g[1], dim=-2), vh)

        def added(part: Any) -> Any:
            return part if back is None else back + part

        if g[0] is not None:
            turned = xp.matmul(xp.mT(u), g[0])
            inner = (turned - xp.mT(turned)) / apart * column
            back = added(xp.matmul(xp.matmul(u, inner), vh))
            if rows > n:
                back = added(xp.matmul((g[0] - xp.matmul(u, turned)) / column, vh))
        if g[2] is not None:
            turned = xp.matmul(vh, xp.mT(g[2]))
            inner = (turned - xp.mT(turned)) / apart * row
            back = added(xp.matmul(xp.matmul(u, inner), vh))
            if columns > n:
                back = added(xp.matmul(u, (g[2] - xp.matmul(xp.mT(turned), vh)) / row))
        return (back,)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, which: int) -> Any:
        """dσ_j = u_jᵀ dA v_j; for the vectors see ``_vector``."""
        u, sizes, vh = y
        rows, columns = a.shape[-2], a.shape[-1]
        if which == 1:
            *batch, j = out
            p, q = s.index(rows), s.index(columns)
            return (s.total(u[(*batch, p, j)] * changes[0][(*batch, p, q)] * vh[(*batch, j, q)], p, q),)
        *batch, first, second = out
        place, j = (first, second) if which == 0 else (second, first)

        def left(i: Any, k: Any) -> Any:
            return u[(*batch, i, k)] if which == 0 else vh[(*batch, k, i)]

        def right(i: Any, k: Any) -> Any:
            return vh[(*batch, k, i)] if which == 0 else u[(*batch, i, k)]

        def change(i: Any, m: Any) -> Any:
            return changes[0][(*batch, i, m) if which == 0 else (*batch, m, i)]

        sizes_own = (rows, columns) if which == 0 else (columns, rows)
        return (self._vector(s, batch, place, j, left, right, change, sizes, sizes_own),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, which: int) -> Any:
        """One entry of A V − U S, of Uᵀ A V − S or of Uᵀ A − S Vᵀ, which is zero."""
        u, sizes, vh = y
        *batch, j = out[:-1] if which == 2 else (*out[:-2], out[-1]) if which == 0 else out
        p, q = s.index(a.shape[-2]), s.index(a.shape[-1])
        if which == 0:
            return s.total(a[(*batch, out[-2], q)] * vh[(*batch, j, q)], q) - sizes[(*batch, j)] * u[out]
        if which == 2:
            return s.total(u[(*batch, p, j)] * a[(*batch, p, out[-1])], p) - sizes[(*batch, j)] * vh[out]
        return s.total(u[(*batch, p, j)] * a[(*batch, p, q)] * vh[(*batch, j, q)], p, q) - sizes[out]

    @staticmethod
    def _vector(
        s: Any, batch: Any, place: Any, j: Any, left: Any, right: Any, change: Any, sizes: Any, own: tuple[Any, Any]
    ) -> Any:
        """du_j = Σ_{k≠j} u_k (σ_j u_kᵀ dA v_j + σ_k v_kᵀ dAᵀ u_j)/(σ_j² − σ_k²), and what leaves the span of all u_k."""
        k, p, q = s.index(sizes.shape[-1]), s.index(own[0]), s.index(own[1])
        sj, sk = sizes[(*batch, j)], sizes[(*batch, k)]
        gap = s.where(s.unequal(k, j), 1 / (sj**2 - sk**2), 0)
        moved = sj * left(p, k) * change(p, q) * right(q, j) + sk * right(q, k) * change(p, q) * left(p, j)
        found = s.total(left(place, k) * gap * moved, k, p, q)
        if own[0] == sizes.shape[-1]:
            return found
        p, q, m, k = s.index(own[0]), s.index(own[1]), s.index(own[0]), s.index(sizes.shape[-1])
        inside = s.total(left(place, k) * left(m, k) * change(m, q) * right(q, j), k, m, q)
        q = s.index(own[1])
        return found + (s.total(change(place, q) * right(q, j), q) - inside) / sj


@block
class Qr(Op):
    """A = Q R with orthonormal columns Q and an upper triangle R; as many columns as the shorter side."""

    name = "qr_reduced"
    fields = ("Q", "R")
    letters = ("Q", "R")
    outputs = 2
    kind = "differential"
    rule = "qr"
    uses = ("y",)
    backward_name = "LinalgQrBackward0"
    samples = (Sample((TALL,)), Sample((np.array([[2.0, 0.5], [-1.0, 1.5]]),)))

    def forward(self, a: Any) -> Any:
        refuse_no_matrix("linalg.qr", a)
        return tuple(np.linalg.qr(a, mode="reduced"))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return dict(zip(self.letters, self.forward(*ins), strict=True))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        (q, r), (back_q, back_r) = y, g
        n = q.shape[-1]
        if a.shape[-1] > n:  # wide: R = [R₁ R₂] with R₂ = Qᵀ A₂
            rest = (Ellipsis, slice(None), slice(n, None))
            first = (Ellipsis, slice(None), slice(0, n))
            back_rest: Any = None
            if back_r is not None:
                upstream = xp.index(back_r, index=rest)
                back_rest = xp.matmul(q, upstream)
                part = xp.matmul(xp.matmul(q, xp.index(r, index=rest)), xp.mT(upstream))
                back_q = part if back_q is None else back_q + part
            start = self._tall(
                xp, q, xp.index(r, index=first), back_q, None if back_r is None else xp.index(back_r, index=first)
            )
            if back_rest is None:
                back_rest = xp.mul(xp.matmul(q, xp.index(r, index=rest)), 0.0)
            return (xp.cat(start, back_rest, dim=-1),)
        return (self._tall(xp, q, r, back_q, back_r),)

    @staticmethod
    def _tall(xp: Any, q: Any, r: Any, back_q: Any, back_r: Any) -> Any:
        """The cotangent for A = Q R with a square R: (Q̄ + Q (M + Mᵀ − diag M)) R⁻ᵀ with M = triu(R̄ Rᵀ − Q̄ᵀ Q) …"""
        n = r.shape[-1]
        inner: Any = None
        if back_r is not None:
            inner = xp.matmul(back_r, xp.mT(r))
        if back_q is not None:
            part = xp.matmul(xp.mT(q), back_q)
            inner = -part if inner is None else inner - part
        half = np.triu(np.ones((n, n))) - 0.5 * np.eye(n)
        inner = xp.mul(inner, half.astype(numpy_dtype(q)))
        back = xp.matmul(q, inner + xp.mT(inner))
        back = back if back_q is None else back + back_q
        return xp.solve_triangular(xp.mT(r), back, upper=False, left=False)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, *, which: int) -> Any:
        """From dA = dQ R + Q dR: with C = Qᵀ dA R⁻¹ and Ω its strict lower triangle less the transpose of that,
        dQ = Q Ω + (dA R⁻¹ − Q C) and dR = (C − Ω) R. Of a square R."""
        q, r = y
        *batch, i, j = out
        rows, n = a.shape[-2], a.shape[-1]

        def solved(p: Any, column: Any) -> Any:
            """One entry of dA R⁻¹."""
            m = s.index(n)
            return s.total(changes[0][(*batch, p, m)] * inverse_entry(s, r, batch, m, column), m)

        def inner(row: Any, column: Any) -> Any:
            p = s.index(rows)
            return s.total(q[(*batch, p, row)] * solved(p, column), p)

        k = s.index(n)
        if which == 0:
            turn = s.indicator(k > j) * inner(k, j) - s.indicator(k < j) * inner(j, k)
            found = s.total(q[(*batch, i, k)] * (turn - inner(k, j)), k)
            return (found + solved(i, j),)
        rest = inner(i, k) - s.indicator(i > k) * inner(i, k) + s.indicator(i < k) * inner(k, i)
        return (s.total(rest * r[(*batch, k, j)], k),)

    def equation(self, s: Any, out: Any, y: Any, a: Any, *, which: int) -> Any:
        """One entry of Q R − A, or of Qᵀ A − R, which is zero."""
        q, r = y
        *batch, i, j = out
        k = s.index(r.shape[-1] if which == 0 else a.shape[-2])
        if which == 0:
            return s.total(q[(*batch, i, k)] * r[(*batch, k, j)], k) - a[out]
        return s.total(q[(*batch, k, i)] * a[(*batch, k, j)], k) - r[out]


def _eigvalsh(xp: Any, a: Any, *, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric matrix."""
    return xp.eigh(a, UPLO=UPLO)[0]


def _svdvals(xp: Any, a: Any) -> Any:
    """The singular values."""
    return xp.svd_reduced(a)[1]


def _full(xp: Any, q: Any, count: int) -> Any:
    """Orthonormal columns, and further ones up to ``count``: nothing flows through these."""
    values = plain_array(q)
    if count == values.shape[-1]:
        return q
    whole = np.linalg.svd(values, full_matrices=True)[0]
    return xp.cat(q, whole[..., values.shape[-1] :], dim=-1)


def _svd(xp: Any, a: Any, *, full_matrices: bool = True) -> Any:
    """U, S and Vᵀ; with full matrices, U and V are square."""
    u, sizes, vh = xp.svd_reduced(a)
    if full_matrices:
        u = _full(xp, u, a.shape[-2])
        vh = vh if vh.shape[-2] == a.shape[-1] else xp.mT(_full(xp, xp.mT(vh), a.shape[-1]))
    return u, sizes, vh


def _old_svd(xp: Any, a: Any, *, some: bool = True, compute_uv: bool = True) -> Any:
    """``torch.svd``: V in place of Vᵀ."""
    u, sizes, vh = _svd(xp, a, full_matrices=not some)
    if not compute_uv:
        u, vh = (np.zeros((*a.shape[:-2], n, n), numpy_dtype(a)) for n in (a.shape[-2], a.shape[-1]))
    return u, sizes, xp.mT(vh)


def _qr(xp: Any, a: Any, *, mode: str = "reduced") -> Any:
    """Q and R, reduced or complete, or R alone."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    q, r = xp.qr_reduced(a)
    if mode == "complete" and a.shape[-2] > a.shape[-1]:
        rest = np.zeros((*a.shape[:-2], a.shape[-2] - a.shape[-1], a.shape[-1]), numpy_dtype(a))
        return _full(xp, q, a.shape[-2]), xp.cat(r, rest, dim=-2)
    return (np.zeros(0, numpy_dtype(a)) if mode == "r" else q), r


_SAMPLES = (Sample((TALL,)),)
composite("eigvalsh", _eigvalsh, functions=("linalg.eigvalsh",), samples=(Sample((SYMMETRIC,)),))
composite("svdvals", _svdvals, functions=("linalg.svdvals",), samples=_SAMPLES)
composite("svd", _svd, grad_fn="LinalgSvdBackward0", functions=("linalg.svd",), fields=("U", "S", "Vh"), samples=_SAMPLES)
composite("old_svd", _old_svd, functions=("svd",), methods=("svd",), fields=("U", "S", "V"), samples=_SAMPLES)
composite("qr", _qr, functions=("linalg.qr",), fields=("Q", "R"), samples=_SAMPLES)
