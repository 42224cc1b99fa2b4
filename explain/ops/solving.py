"""Linear systems: the solution of A X = B, for any square A and for triangular ones, and from a Cholesky factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, broadcast_error, word
from explain.ops.linalg import LinAlgError, refuse_no_matrix, refuse_not_square
from explain.ops.registry import block

A = np.array([[2.0, 0.5], [-1.0, 1.5]])
BATCH = np.array([[[2.0, 0.5], [-1.0, 1.5]], [[1.0, 0.3], [0.2, -2.0]]])
LOWER = np.array([[2.0, 0.7], [-1.0, 1.5]])
NEGLIGIBLE = 1e-3
"""Of the largest entry: what may stand where a matrix is meant to be triangular or symmetric."""


def refuse_other_dtypes(name: str, a: Any, b: Any) -> None:
    """Raise torch's error for operands of two dtypes."""
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {word(a.dtype)} and B of type "
            f"{word(b.dtype)} instead"
        )


def transposed(a: Any) -> Any:
    """The arrays' matrices transposed."""
    return np.swapaxes(a, -1, -2)


class Solving(Op):
    """The X of an equation that is linear in it."""

    kind = "differential"
    promotion = "match"
    uses = ("a y", "a")


@block
class Solve(Solving):
    """X = A⁻¹ B, the solution of A X = B; of X A = B where A does not stand on the ``left``. B may be one vector."""

    name = "solve"
    functions = ("linalg.solve",)
    rule = "solve"
    backward_name = "LinalgSolveExBackward0"
    samples = (
        Sample((A, (2, 3))), Sample((A, (2,))), Sample((A, (3, 2)), {"left": False}), Sample((BATCH, (2, 2, 1))),
        Sample((A, (2, 2, 1))),
    )  # fmt: skip

    @staticmethod
    def is_vector(a: Shape, b: Shape) -> bool:
        """Whether b is one vector per matrix."""
        return len(b) == 1 or (len(a) - 1 == len(b) and a[:-1] == b)

    def forward(self, a: Any, b: Any, *, left: bool = True) -> Any:
        refuse_not_square("linalg.solve", a)
        refuse_other_dtypes("linalg.solve", a, b)
        vector = self.is_vector(a.shape, b.shape)
        if vector and not left:
            raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In "
                               "this case linalg.solve is equivalent to B / A.squeeze(-1)")  # fmt: skip
        columns = b[..., None] if vector else b
        if columns.ndim < 2 or columns.shape[-2 if left else -1] != a.shape[-1]:
            raise RuntimeError(
                "linalg.solve: Incompatible shapes of A and B for the equation "
                f"{'AX = B' if left else 'XA = B'} ({a.shape[-2]}x{a.shape[-1]} and {columns.shape[-2]}x{columns.shape[-1]})"
            )
        try:
            x = np.linalg.solve(a, columns) if left else transposed(np.linalg.solve(transposed(a), transposed(columns)))
        except np.linalg.LinAlgError:
            place = ""
            if a.ndim > 2:
                singular = np.linalg.det(a).reshape(-1) == 0
                place = f"(Batch element {int(np.argmax(singular))}): "
            raise LinAlgError(
                f"torch.linalg.solve: {place}The solver failed because the input matrix is singular."
            ) from None
        return x[..., 0] if vector else np.ascontiguousarray(x)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error((shapes[0][:-2], shapes[1][:-2]))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any, *, left: bool = True) -> Any:
        vector = self.is_vector(tuple(a.shape), tuple(b.shape))
        if vector:
            g = xp.unsqueeze(g, dim=-1)
        back_b = xp.solve(xp.mT(a), g, left=left)
        back_a = None
        if needs[0]:
            y = xp.unsqueeze(y, dim=-1) if vector else y
            back_a = -(xp.matmul(back_b, xp.mT(y)) if left else xp.matmul(xp.mT(y), back_b))
            back_a = xp.sum_to(back_a, shape=tuple(a.shape))
        if needs[1]:
            back_b = xp.squeeze(back_b, dim=-1) if vector else back_b
            back_b = xp.sum_to(back_b, shape=tuple(b.shape))
        return back_a, back_b

    def formula(self, s: Any, out: Any, a: Any, b: Any, *, left: bool = True) -> Any:
        return self._times_inverse(s, out, a, b, b, left)

    def _times_inverse(self, s: Any, out: Any, a: Any, b: Any, right: Any, left: bool) -> Any:
        """One entry of A⁻¹ R, or of R A⁻¹, for a right side R of b's shape."""
        k = s.index(a.shape[-1])
        if self.is_vector(a.numbers, b.numbers):
            *batch, i = out
            return s.total(inverse_entry(s, a, batch, i, k) * right.at((*batch, k)), k)
        *batch, i, j = out
        if left:
            return s.total(inverse_entry(s, a, batch, i, k) * right.at((*batch, k, j)), k)
        return s.total(right.at((*batch, i, k)) * inverse_entry(s, a, batch, k, j), k)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any, b: Any, *, left: bool = True) -> Any:
        """From dA X + A dX = dB: dX = A⁻¹ (dB − dA X)."""
        da, db = changes
        k, l = s.index(a.shape[-1]), s.index(a.shape[-1])
        by_b = self._times_inverse(s, out, a, b, db, left)
        if self.is_vector(a.numbers, b.numbers):
            *batch, i = out
            return -s.total(inverse_entry(s, a, batch, i, k) * da.at((*batch, k, l)) * y[(*batch, l)], k, l), by_b
        *batch, i, j = out
        if left:
            by_a = s.total(inverse_entry(s, a, batch, i, k) * da.at((*batch, k, l)) * y[(*batch, l, j)], k, l)
        else:
            by_a = s.total(y[(*batch, i, k)] * da.at((*batch, k, l)) * inverse_entry(s, a, batch, l, j), k, l)
        return -by_a, by_b


def inverse_entry(s: Any, a: Any, batch: Any, i: Any, j: Any) -> Any:
    """One entry of A⁻¹, of the matrix that broadcasting meets at ``batch``."""
    p, q = s.index(a.shape[-1]), s.index(a.shape[-1])
    return s.transform("inv", a.at((*batch, p, q)), (p, q), (i, j))


@block
class SolveTriangular(Solving):
    """X = A⁻¹ B where A is one triangle of the matrix given, perhaps with ones on its diagonal."""

    name = "solve_triangular"
    functions = ("linalg.solve_triangular",)
    rule = "solve_triangular"
    backward_name = "LinalgSolveTriangularBackward0"
    samples = (
        Sample((LOWER, (2, 3)), {"upper": False}), Sample((LOWER, (2, 1)), {"upper": True, "unitriangular": True}),
        Sample((LOWER, (1, 2)), {"upper": True, "left": False}),
    )  # fmt: skip

    @staticmethod
    def triangle(a: Any, upper: bool, unit: bool) -> Any:
        """The matrix that is meant."""
        found = np.triu(a, 1 if unit else 0) if upper else np.tril(a, -1 if unit else 0)
        return found + np.eye(a.shape[-1], dtype=a.dtype) if unit else found

    @staticmethod
    def counts(n: int, upper: bool, unit: bool) -> Any:
        """Where entries of A count."""
        whole = np.ones((n, n), bool)
        return np.triu(whole, 1 if unit else 0) if upper else np.tril(whole, -1 if unit else 0)

    def forward(self, a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
        name = "linalg.solve_triangular"
        refuse_not_square(name, a)
        refuse_other_dtypes("linalg.solve_triangular", a, b)
        refuse_no_matrix(name, b)
        if b.shape[-2 if left else -1] != a.shape[-1]:
            raise RuntimeError(
                f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
                f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
            )
        matrix = self.triangle(a, upper, unitriangular)
        if np.any(np.diagonal(matrix, axis1=-2, axis2=-1) == 0):
            with np.errstate(all="ignore"):
                inverse = _back_substituted(matrix, np.eye(a.shape[-1], dtype=a.dtype), upper)
            return inverse @ b if left else b @ inverse
        if left:
            return np.linalg.solve(matrix, b)
        return np.ascontiguousarray(transposed(np.linalg.solve(transposed(matrix), transposed(b))))

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error((shapes[0][:-2], shapes[1][:-2]))

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        a: Any,
        b: Any,
        *,
        upper: bool,
        left: bool = True,
        unitriangular: bool = False,
    ) -> Any:
        back_b = xp.solve_triangular(xp.mT(a), g, upper=not upper, left=left, unitriangular=unitriangular)
        back_a = None
        if needs[0]:
            back_a = -(xp.matmul(back_b, xp.mT(y)) if left else xp.matmul(xp.mT(y), back_b))
            back_a = xp.where(self.counts(a.shape[-1], upper, unitriangular), back_a, 0.0)
            back_a = xp.sum_to(back_a, shape=tuple(a.shape))
        return back_a, needs[1] and xp.sum_to(back_b, shape=tuple(b.shape))

    def formula(
        self, s: Any, out: Any, a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
    ) -> Any:
        return self._times_inverse(s, out, a, b, upper, left, unitriangular)

    def _times_inverse(self, s: Any, out: Any, a: Any, right: Any, upper: bool, left: bool, unit: bool) -> Any:
        *batch, i, j = out
        k = s.index(a.shape[-1])
        if left:
            return s.total(self._inverse_entry(s, a, batch, i, k, upper, unit) * right.at((*batch, k, j)), k)
        return s.total(right.at((*batch, i, k)) * self._inverse_entry(s, a, batch, k, j, upper, unit), k)

    def _inverse_entry(self, s: Any, a: Any, batch: Any, i: Any, j: Any, upper: bool, unit: bool) -> Any:
        p, q = s.index(a.shape[-1]), s.index(a.shape[-1])
        inside = (p < q if unit else p <= q) if upper else (p > q if unit else p >= q)
        body = a.at((*batch, p, q)) * s.indicator(inside)
        return s.transform("inv", body + s.indicator(s.equal(p, q)) if unit else body, (p, q), (i, j))

    def differential(
        self, s: Any, out: Any, y: Any, changes: Any, a: Any, b: Any, *, upper: bool, left: bool = True,
        unitriangular: bool = False,
    ) -> Any:  # fmt: skip
        """As for any matrix; entries of A outside of the triangle do not count."""
        da, db = changes
        *batch, i, j = out
        k, l = s.index(a.shape[-1]), s.index(a.shape[-1])
        inside = (k < l if unitriangular else k <= l) if upper else (k > l if unitriangular else k >= l)
        change = da.at((*batch, k, l)) * s.indicator(inside)
        if left:
            by_a = s.total(self._inverse_entry(s, a, batch, i, k, upper, unitriangular) * change * y[(*batch, l, j)], k, l)
        else:
            by_a = s.total(y[(*batch, i, k)] * change * self._inverse_entry(s, a, batch, l, j, upper, unitriangular), k, l)
        return -by_a, self._times_inverse(s, out, a, db, upper, left, unitriangular)


def _back_substituted(matrix: Any, b: Any, upper: bool) -> Any:
    """The solution row by row, with the infinities of a zero on the diagonal."""
    n = matrix.shape[-1]
    x = np.zeros(np.broadcast_shapes(matrix.shape, b.shape), matrix.dtype)
    for i in reversed(range(n)) if upper else range(n):
        x[..., i, :] = (b[..., i, :] - (matrix[..., i, None, :] @ x)[..., 0, :]) / matrix[..., i, i, None]
    return x


@block
class CholeskySolve(Solving):
    """X = (L Lᵀ)⁻¹ B, from the factor L of a positive definite matrix (or U, for Uᵀ U)."""

    name = "cholesky_solve"
    functions = methods = ("cholesky_solve",)
    rule = "cholesky_solve"
    numbers = ()
    uses = ("factor", "y factor")
    backward_name = "CholeskySolveBackward0"
    samples = (
        Sample(((2, 3), np.array([[2.0, 0.0], [0.5, 1.5]]))),
        Sample(((2, 1), np.array([[2.0, 0.5], [0.0, 1.5]])), {"upper": True}),
    )

    @staticmethod
    def factor(given: Any, upper: bool) -> Any:
        """The factor that is meant. Torch reads one triangle, but sends gradients to the other one, too: where that is
        all but zero, as in every factor that was computed, it counts here as well."""
        triangle = np.triu(given) if upper else np.tril(given)
        rest = np.max(np.abs(given - triangle), initial=0.0)
        return given if rest <= NEGLIGIBLE * np.max(np.abs(triangle), initial=0.0) else triangle

    def forward(self, b: Any, factor: Any, *, upper: bool = False) -> Any:
        for t, said in ((b, "b"), (factor, "u")):
            if t.ndim < 2:
                raise RuntimeError(f"{said} should have at least 2 dimensions, but has {t.ndim} dimensions instead")
        if factor.shape[-1] != factor.shape[-2]:
            raise RuntimeError(
                f"A must be batches of square matrices, but they are {factor.shape[-2]} by {factor.shape[-1]} matrices"
            )
        if b.shape[-2] != factor.shape[-1]:
            raise RuntimeError(
                "Incompatible matrix sizes for cholesky_solve: each A matrix is "
                f"{factor.shape[-1]} by {factor.shape[-1]} but each b matrix is {b.shape[-2]} by {b.shape[-1]}"
            )
        half = self.factor(factor, upper)
        other = transposed(half)
        return np.linalg.solve(other @ half if upper else half @ other, b)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error((shapes[0][:-2], shapes[1][:-2]))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, b: Any, factor: Any, *, upper: bool = False) -> Any:
        back_b = xp.cholesky_solve(g, factor, upper=upper)
        back_factor = None
        if needs[1]:
            both = xp.matmul(back_b, xp.mT(y))
            both = both + xp.mT(both)
            back_factor = -(xp.matmul(factor, both) if upper else xp.matmul(both, factor))
            back_factor = xp.sum_to(back_factor, shape=tuple(factor.shape))
        return needs[0] and xp.sum_to(back_b, shape=tuple(b.shape)), back_factor

    def formula(self, s: Any, out: Any, b: Any, factor: Any, *, upper: bool = False) -> Any:
        return self._solved(s, out, factor, b, upper)

    def _solved(self, s: Any, out: Any, factor: Any, right: Any, upper: bool) -> Any:
        *batch, i, j = out
        k = s.index(factor.shape[-1])
        return s.total(self._inverse_entry(s, factor, batch, i, k, upper) * right.at((*batch, k, j)), k)

    @staticmethod
    def _inverse_entry(s: Any, factor: Any, batch: Any, i: Any, k: Any, upper: bool) -> Any:
        """One entry of (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹."""
        m = s.index(factor.shape[-1])
        first, second = ((i, m), (k, m)) if upper else ((m, i), (m, k))
        return s.total(inverse_entry(s, factor, batch, *first) * inverse_entry(s, factor, batch, *second), m)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, b: Any, factor: Any, *, upper: bool = False) -> Any:
        """From (dL Lᵀ + L dLᵀ) X + L Lᵀ dX = dB."""
        db, df = changes
        *batch, i, j = out
        p, q, m = (s.index(factor.shape[-1]) for _ in range(3))
        row = self._inverse_entry(s, factor, batch, i, p, upper)
        if upper:
            change = df.at((*batch, m, p)) * factor.at((*batch, m, q))
            change = change + factor.at((*batch, m, p)) * df.at((*batch, m, q))
        else:
            change = df.at((*batch, p, m)) * factor.at((*batch, q, m))
            change = change + factor.at((*batch, p, m)) * df.at((*batch, q, m))
        return self._solved(s, out, factor, db, upper), -s.total(row * change * y[(*batch, q, j)], p, q, m)
