"""Determinants and their logarithms: the derivative of each is an inverse."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample
from explain.ops.linalg import refuse_not_square
from explain.ops.registry import block

SQUARE = (
    Sample((np.array([[2.0, 0.5], [-1.0, 1.5]]),)),
    Sample((np.array([[[2.0, 0.5], [-1.0, 1.5]], [[3.0, 0.3], [0.2, 2.0]]]),)),
)


def _turned_inverse(xp: Any, a: Any, singular: Any) -> Any:
    """A⁻ᵀ, with the identity in place of matrices that have no inverse."""
    if np.any(singular):
        a = xp.where(np.asarray(singular)[..., None, None], np.eye(a.shape[-1], dtype=getattr(a.dtype, "numpy", a.dtype)), a)
    return xp.mT(xp.inv(a))


def _over_matrix(xp: Any, g: Any) -> Any:
    """A number for each matrix, spread over its entries."""
    return xp.unsqueeze(xp.unsqueeze(g, dim=-1), dim=-1)


def _values(t: Any) -> Any:
    return np.asarray(getattr(t, "array", t))


class OfMatrix(Op):
    """One number made of a square matrix, a reduction over its two axes."""

    kind = "normalisation"
    of_matrices = True
    samples: tuple[Sample, ...] = SQUARE
    said = ""  # how torch's messages call it

    def checked(self, a: Any) -> Any:
        """The matrices. Raises torch's errors."""
        refuse_not_square(self.said or self.name, a)
        return a

    def formula(self, s: Any, out: Any, a: Any) -> Any:
        return s.reduction(self.name, *whole_matrix(s, a, out))


def whole_matrix(s: Any, a: Any, batch: Any) -> tuple[Any, Any, Any]:
    """(an entry of the matrix at two new indices, the row index, the column index)."""
    i, j = s.index(a.shape[-2]), s.index(a.shape[-1])
    return a[(*batch, i, j)], i, j


@block
class Det(OfMatrix):
    """y = det A."""

    name = "det"
    functions = ("det", "linalg.det")
    methods = ("det",)
    rule = "det"
    said = "linalg.det"
    uses = ("a y",)
    latex = r"\det"
    backward_name = "LinalgDetBackward0"
    special = MappingProxyType({"pole": lambda a: np.linalg.det(a) == 0})

    def forward(self, a: Any) -> Any:
        return np.linalg.det(self.checked(a)).astype(a.dtype)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        # for a matrix of determinant 0 torch sends back 0
        return (_over_matrix(xp, g * y) * _turned_inverse(xp, a, _values(y) == 0),)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """∂ det A / ∂A_kl = det A · (A⁻¹)_lk (Jacobi)."""
        return y * s.transform("inv", body, bound, position[::-1])


class _Logarithm(OfMatrix):
    """A logarithm of the determinant: its derivative is the inverse, transposed."""

    special = Det.special

    def logarithm(self, a: Any) -> Any:
        """(the determinant's sign, the logarithm of its size)."""
        sign, size = np.linalg.slogdet(self.checked(a))
        return sign.astype(a.dtype)[()], size.astype(a.dtype)[()]

    def pulled(self, xp: Any, g: Any, size: Any, a: Any) -> Any:
        """The cotangent for an upstream of the logarithm; infinite where the determinant is 0."""
        singular = np.isneginf(_values(size))
        if np.any(singular):
            g = xp.where(singular, math.inf, g)
        return _over_matrix(xp, g) * _turned_inverse(xp, a, singular)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """∂ log|det A| / ∂A_kl = (A⁻¹)_lk."""
        return s.transform("inv", body, bound, position[::-1])


@block
class LogDet(_Logarithm):
    """y = log det A, nan where the determinant is negative."""

    name = "logdet"
    functions = methods = ("logdet",)
    rule = "logdet"
    uses = ("a y",)
    latex = r"\log\det"
    backward_name = "WhereBackward0"

    def forward(self, a: Any) -> Any:
        sign, size = self.logarithm(a)
        return np.where(sign < 0, a.dtype.type(math.nan), size)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        return (self.pulled(xp, g, y, a),)


@block
class LogAbsDet(_Logarithm):
    """y = log |det A|."""

    name = "logabsdet"
    rule = "logdet"
    said = "linalg.slogdet"
    uses = ("a y",)
    latex = r"\log\lvert\det\rvert"
    backward_name = "LinalgSlogdetBackward0"

    def forward(self, a: Any) -> Any:
        return self.logarithm(a)[1]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        return (self.pulled(xp, g, y, a),)


class SignAndLog(_Logarithm):
    """The sign of the determinant, which does not move, and the logarithm of its size."""

    outputs = 2
    fields = ("sign", "logabsdet")
    rule = "slogdet"
    said = "linalg.slogdet"
    uses = ("a y",)
    backward_name = "LinalgSlogdetBackward0"

    def forward(self, a: Any) -> Any:
        return self.logarithm(a)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any) -> Any:
        if g[1] is None:
            return (np.zeros(tuple(a.shape), getattr(a.dtype, "numpy", a.dtype)),)
        return (self.pulled(xp, g[1], y[1], a),)

    def formula(self, s: Any, out: Any, a: Any) -> Any:
        entry, i, j = whole_matrix(s, a, out)
        return s.function("sign", s.reduction("det", entry, i, j)), s.reduction("logabsdet", entry, i, j)


@block
class LinalgSlogdet(SignAndLog):
    """``torch.linalg.slogdet``."""

    name = "linalg_slogdet"
    functions = ("linalg.slogdet",)


@block
class Slogdet(SignAndLog):
    """``torch.slogdet``: the same, whose result has a name of its own."""

    name = "slogdet"
    functions = methods = ("slogdet",)
