"""The exponential of a matrix, its condition and rank; inverses and solutions over several axes; torch's older names."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, numpy_dtype, plain_array
from explain.ops.decompositions import SYMMETRIC, TALL
from explain.ops.linalg import LinAlgError, refuse_not_square
from explain.ops.registry import block, composite

TERMS = 18
"""Of the series, where the matrix is scaled down to a norm of at most 1/2: the next one is below float64's precision."""
A = np.array([[2.0, 0.5], [-1.0, 1.5]])


def _halvings(a: Any) -> int:
    """How often all matrices must be halved to have a norm of at most 1/2."""
    size = float(np.max(np.sum(np.abs(a), axis=-1), initial=0.0))
    return max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0


def exponential(a: Any) -> Any:
    """e^A by its series, for A halved so often that it is small, squared as often."""
    count = _halvings(a)
    small = a / a.dtype.type(2**count)
    term = found = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for k in range(1, TERMS):
        term = term @ small / a.dtype.type(k)
        found = found + term
    for _ in range(count):
        found = found @ found
    return found


def moving(a: Any) -> Any:
    """How e^A moves: K[…, i, j, k, l] = ∂(e^A)_ij / ∂A_kl, from the derivative of every step of ``exponential``."""
    n = a.shape[-1]
    batch = a.shape[:-2]
    count = _halvings(a)
    small = (a / 2**count)[..., None, None, :, :]
    direction = np.eye(n * n).reshape(n, n, n, n) / 2**count
    term = np.broadcast_to(np.eye(n), (*batch, 1, 1, n, n))
    found, change = term, np.zeros((*batch, n, n, n, n))
    moved = np.zeros((*batch, n, n, n, n))
    for k in range(1, TERMS):
        moved = (moved @ small + term @ direction) / k
        term = term @ small / k
        found, change = found + term, change + moved
    for _ in range(count):
        change = found @ change + change @ found
        found = found @ found
    return np.moveaxis(change, (-4, -3), (-2, -1))


@block
class MatrixExp(Op):
    """Y = e^A = I + A + A²/2 + A³/6 + …"""

    name = "matrix_exp"
    functions = ("matrix_exp", "linalg.matrix_exp")
    methods = ("matrix_exp",)
    kind = "differential"
    rule = "matrix_exp"
    uses = ("a",)
    backward_name = "LinalgMatrixExpBackward0"
    samples = (Sample((A / 4,)), Sample((np.stack([A, A.T - 1]),)))

    def forward(self, a: Any) -> Any:
        refuse_not_square("linalg.matrix_exp", a)
        return np.array(exponential(a))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        return {"K": moving(np.asarray(ins[0], np.float64))}

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        # the upper right block of the exponential of [[Aᵀ, G], [0, Aᵀ]] is what G becomes
        n, turned = a.shape[-1], xp.mT(a)
        zeros = np.zeros(tuple(a.shape), numpy_dtype(a))
        whole = xp.cat(xp.cat(turned, g, dim=-1), xp.cat(zeros, turned, dim=-1), dim=-2)
        corner = (Ellipsis, slice(0, n), slice(n, 2 * n))
        return (xp.index(xp.matrix_exp(whole), index=corner),)

    def differential(self, s: Any, out: Any, y: Any, changes: Any, a: Any) -> Any:
        """dY = Σ over p, q of A^p dA A^q / (p + q + 1)!, which is linear in dA: its factors are K."""
        *batch, i, j = out
        k, l = s.index(a.shape[-2]), s.index(a.shape[-1])
        return (s.total(s.given("K")[(*batch, i, j, k, l)] * changes[0][(*batch, k, l)], k, l),)

    def equation(self, s: Any, out: Any, y: Any, a: Any) -> Any:
        """One entry of A Y − Y A, which is zero."""
        *batch, i, j = out
        k = s.index(a.shape[-1])
        return s.total(a[(*batch, i, k)] * y[(*batch, k, j)], k) - s.total(y[(*batch, i, k)] * a[(*batch, k, j)], k)


def _cond(xp: Any, a: Any, *, p: Any = None) -> Any:
    """The condition number: the norm of A times that of its inverse."""
    if p in (None, 2, -2):
        sizes = xp.svdvals(a)
        large, small = xp.index(sizes, index=(Ellipsis, 0)), xp.index(sizes, index=(Ellipsis, -1))
        return xp.div(small, large) if p == -2 else xp.div(large, small)
    refuse_not_square("linalg.cond", a)
    return xp.mul(xp.matrix_norm(a, ord=p), xp.matrix_norm(xp.inv(a), ord=p))


def _matrix_rank(xp: Any, a: Any, *, tol: Any = None, hermitian: bool = False, atol: Any = None, rtol: Any = None) -> Any:
    """How many singular values are not all but zero."""
    values = plain_array(a)
    if values.ndim < 2:
        raise RuntimeError("linalg.matrix_rank: The input tensor A must have at least 2 dimensions.")
    sizes = np.abs(np.linalg.eigvalsh(values)) if hermitian else np.linalg.svd(values, compute_uv=False)
    top = np.max(sizes, axis=-1, keepdims=True, initial=0.0)
    least, absolute, relative = (_bound(b) for b in (tol, atol, rtol))
    if least is None:
        usual = 0.0 if absolute is not None and np.any(absolute) else max(values.shape[-2:]) * np.finfo(values.dtype).eps
        least = np.maximum(0.0 if absolute is None else absolute, top * (usual if relative is None else relative))
    return np.count_nonzero(sizes > least, axis=-1) if sizes.ndim > 1 else np.int64(np.count_nonzero(sizes > least))


def _bound(given: Any) -> Any:
    """A bound for the singular values of every matrix, or None."""
    return None if given is None else np.asarray(plain_array(given) if hasattr(given, "shape") else given)[..., None]


def _tensorinv(xp: Any, a: Any, *, ind: int = 2) -> Any:
    """The inverse of the map from the last axes to the first ``ind`` ones."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, rest = tuple(a.shape[:ind]), tuple(a.shape[ind:])
    n = math.prod(rest)
    if math.prod(first) != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{n} != {math.prod(first)}"
        )
    return xp.reshape(xp.inv(xp.reshape(a, shape=(n, n))), shape=(*rest, *first))


def _tensorsolve(xp: Any, a: Any, b: Any, *, dims: Any = None) -> Any:
    """The X whose product with A over the last axes is B."""
    if dims is not None:
        moved = [d % a.ndim for d in dims]
        a = xp.permute(a, dims=(*(k for k in range(a.ndim) if k not in moved), *moved))
    rest = tuple(a.shape[b.ndim :])
    n = math.prod(rest)
    if math.prod(b.shape) != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but "
            f"got {n} != {math.prod(b.shape)}"
        )
    found = xp.solve(xp.reshape(a, shape=(n, n)), xp.reshape(b, shape=(n,)))
    return xp.reshape(found, shape=rest)


def _cholesky_inverse(xp: Any, factor: Any, *, upper: bool = False) -> Any:
    """(L Lᵀ)⁻¹ from L."""
    return xp.cholesky_solve(np.eye(factor.shape[-1], dtype=numpy_dtype(factor)), factor, upper=upper)


def _triangular_solve(
    xp: Any, b: Any, a: Any, *, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """The solution, and the matrix itself."""
    turned, side = (xp.mT(a), not upper) if transpose else (a, upper)
    return xp.solve_triangular(turned, b, upper=side, unitriangular=unitriangular), xp.clone(a)


def _old_cholesky(xp: Any, a: Any, *, upper: bool = False) -> Any:
    """``linalg.cholesky`` under its older name."""
    warnings.warn(
        "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a future PyTorch release.\n"
        "L = torch.cholesky(A)\nshould be replaced with\nL = torch.linalg.cholesky(A)\nand\n"
        "U = torch.cholesky(A, upper=True)\nshould be replaced with\nU = torch.linalg.cholesky(A).mH\n"
        "This transform will produce equivalent results for all valid (symmetric positive definite) inputs.",
        stacklevel=4,
    )
    return xp.cholesky(a, upper=upper)


def _old_qr(xp: Any, a: Any, *, some: bool = True) -> Any:
    """``linalg.qr`` under its older name."""
    return xp.qr(a, mode="reduced" if some else "complete")


def _info(a: Any, bad: bool) -> Any:
    return np.full(tuple(a.shape[:-2]), int(bad), np.int32)[()]


def _checked(name: str) -> Any:
    """The op with a number that says whether it worked, in place of an error."""

    def compose(xp: Any, a: Any, *, check_errors: bool = False, upper: bool | None = None) -> Any:
        options = {} if upper is None else {"upper": upper}
        try:
            return getattr(xp, name)(a, **options), _info(a, False)
        except LinAlgError:
            if check_errors:
                raise
            return xp.mul(a, math.nan), _info(a, True)

    return compose


def _solve_ex(xp: Any, a: Any, b: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """``solve`` with a number that says whether it worked, in place of an error."""
    try:
        return xp.solve(a, b, left=left), _info(a, False)
    except LinAlgError:
        if check_errors:
            raise
        return xp.mul(b, math.nan), _info(a, True)


_ONE = (Sample((A,)),)
_FACTOR = np.array([[2.0, 0.0], [0.5, 1.5]])
composite(
    "cond", _cond, functions=("linalg.cond",), samples=_ONE,
    grad_fn=lambda shapes, options: "SqueezeBackward1" if options.get("p") in (None, 2, -2) else "",
)  # fmt: skip
composite("matrix_rank", _matrix_rank, functions=("linalg.matrix_rank",), samples=(Sample((TALL,)),))
composite(
    "tensorinv",
    _tensorinv,
    grad_fn="ReshapeAliasBackward0",
    functions=("linalg.tensorinv",),
    samples=(Sample((A,), {"ind": 1}),),
)
composite("tensorsolve", _tensorsolve, functions=("linalg.tensorsolve",), numbers=(), samples=(Sample((A, (2,))),))
composite(
    "cholesky_inverse", _cholesky_inverse, grad_fn="CholeskyInverseBackward0",
    functions=("cholesky_inverse",), methods=("cholesky_inverse",),
    samples=(Sample((_FACTOR,)),),
)  # fmt: skip
composite(
    "triangular_solve", _triangular_solve, grad_fn="TriangularSolveBackward0",
    functions=("triangular_solve",), methods=("triangular_solve",), numbers=(),
    fields=("solution", "cloned_coefficient"), samples=(Sample(((2, 3), A)),),
)  # fmt: skip
composite(
    "old_cholesky", _old_cholesky, grad_fn="CholeskyBackward0",
    functions=("cholesky",), methods=("cholesky",), samples=(Sample((SYMMETRIC,)),)
)  # fmt: skip
composite("old_qr", _old_qr, functions=("qr",), methods=("qr",), fields=("Q", "R"), samples=(Sample((TALL,)),))
composite("inv_ex", _checked("inv"), functions=("linalg.inv_ex",), fields=("inverse", "info"), samples=_ONE)
composite(
    "cholesky_ex", _checked("cholesky"), functions=("linalg.cholesky_ex",), fields=("L", "info"),
    samples=(Sample((SYMMETRIC,)),),
)  # fmt: skip
composite(
    "solve_ex", _solve_ex, functions=("linalg.solve_ex",), fields=("result", "info"), numbers=(),
    samples=(Sample((A, (2, 1))),),
)  # fmt: skip
