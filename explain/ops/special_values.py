"""Numbers of special functions in float64: the error function and its relatives, gamma functions, Bessel functions.

All take arrays and give arrays. Where a series converges slowly, recurrences first shift the argument to where an
asymptotic expansion is exact to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

Values = Callable[..., Any]
SHIFTED = 10.0
"""From here on the expansions in Bernoulli numbers below are exact to the last digit."""
FARTHEST = -1e4
"""How far left of 0 an argument of zeta may lie: it is shifted step by step."""
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
"""B₂, B₄, B₆ …"""


def in_own_dtype(values: Values) -> Values:
    """The function in the dtype of its first argument, computed in float64; a number for a number."""

    def function(x: Any, *others: Any) -> Any:
        found = values(np.asarray(x, np.float64), *(np.asarray(t, np.float64) for t in others))
        return np.asarray(found).astype(x.dtype)[()]

    return function


def _by_entry(function: Callable[[float], float]) -> Values:
    """A function of the standard library at every entry."""
    everywhere = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(everywhere(x), np.float64)


# the error function

erf = _by_entry(math.erf)
erfc = _by_entry(math.erfc)
ASYMPTOTIC = 8.0


def erfcx(x: Any) -> Any:
    """e^{x²} erfc(x), also where erfc alone is too small to be told from 0."""
    large = x > ASYMPTOTIC
    z = np.where(large, x, ASYMPTOTIC)
    term, total = np.ones_like(z), np.ones_like(z)
    for n in range(1, 20):
        term = -term * (2 * n - 1) / (2 * z * z)
        total = total + term
    near = np.where(large, 0.0, x)
    return np.where(large, total / (z * math.sqrt(math.pi)), np.exp(near * near) * erfc(near))


def _erf_solved(y: Any, q: Any) -> Any:
    """The x ≥ 0 with erf(x) = y and erfc(x) = q, where y + q = 1: a good guess, improved by Halley's method."""
    a = 0.147  # Winitzki's approximation, good to 0.002
    log = np.log(q * (2 - q))
    half = 2 / (math.pi * a) + log / 2
    x = np.sqrt(np.sqrt(half * half - log / a) - half)
    for _ in range(3):
        residual = np.where(y < 0.5, erf(x) - y, q - erfc(x))
        newton = residual * (math.sqrt(math.pi) / 2) * np.exp(x * x)
        x = np.where(residual == 0, x, x - newton / (1 + x * newton))
    return np.where(q == 0, np.inf, np.where(y == 0, 0.0, x))


def erfinv(y: Any) -> Any:
    """The inverse of erf: infinite at ±1, nan beyond."""
    size = np.abs(y)
    return np.copysign(np.where(size <= 1, _erf_solved(size, 1 - size), np.nan), y)


def ndtr(x: Any) -> Any:
    """The share of a normal distribution below x."""
    return erfc(-x * math.sqrt(0.5)) / 2


def ndtri(p: Any) -> Any:
    """The inverse of ndtr."""
    tail = 2 * np.minimum(p, 1 - p)
    found = math.sqrt(2) * _erf_solved(1 - tail, tail)
    return np.where((p >= 0) & (p <= 1), np.copysign(found, p - 0.5), np.nan)


def log_ndtr(x: Any) -> Any:
    """The logarithm of ndtr, also where ndtr is too small to be told from 0."""
    t = x * math.sqrt(0.5)
    low = np.minimum(t, -0.5)
    return np.where(t < -0.5, np.log(erfcx(-low) / 2) - low * low, np.log1p(-erfc(np.maximum(t, -0.5)) / 2))


# gamma functions


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # at 0, -1, -2 … and beyond the largest float
        return math.inf


lgamma = _by_entry(_lgamma)


def digamma(x: Any) -> Any:
    """The derivative of lgamma; nan at negative whole numbers, infinite at 0."""
    left = x < 0
    z = np.where(left, 1 - x, x)
    shift = np.zeros_like(z)
    for _ in range(int(SHIFTED)):
        low = z < SHIFTED
        shift = shift - np.where(low, 1 / z, 0.0)
        z = np.where(low, z + 1, z)
    series = sum(b / (2 * k * z ** (2 * k)) for k, b in enumerate(BERNOULLI, 1))
    right = np.where(np.isinf(z), z, np.log(z) - 0.5 / z - series) + shift
    whole = np.where(left & (x == np.floor(x)), np.nan, 0.0)
    reflected = right - math.pi / np.tan(math.pi * (x - np.floor(x))) + whole
    return np.where(left, reflected, np.where(x == 0, np.copysign(np.inf, -x), right))


def zeta(s: Any, q: Any) -> Any:
    """Hurwitz's zeta, the sum of (q + k)^{-s} over k = 0, 1, 2 …: a few terms, then Euler's and Maclaurin's expansion."""
    s, q = np.broadcast_arrays(s, q)
    outside = ~(q > FARTHEST)
    z, total = np.where(outside, SHIFTED, q), np.zeros(q.shape)
    while np.any(z < SHIFTED):
        low = z < SHIFTED
        total = total + np.where(low, z**-s, 0.0)
        z = np.where(low, z + 1, z)
    series = z ** (1 - s) / (s - 1) + z**-s / 2
    term = s * z ** (-s - 1)
    for k, b in enumerate(BERNOULLI, 1):
        series = series + b * term / math.factorial(2 * k)
        term = term * (s + 2 * k - 1) * (s + 2 * k) / (z * z)
    found = np.where(np.isinf(q) & (s > 1), 0.0, total + series)
    whole = q == np.floor(q)
    found = np.where(q <= 0, np.where(whole, np.inf, np.where(s == np.floor(s), found, np.nan)), found)
    return np.where(s == 1, np.inf, np.where((s < 1) | outside, np.nan, found))


def polygamma(n: int, x: Any) -> Any:
    """The n-th derivative of digamma."""
    if n == 0:
        return digamma(x)
    return (-1) ** (n + 1) * math.factorial(n) * zeta(np.float64(n + 1), x)


# Bessel functions

BESSEL_LARGE = 100.0


@cache
def _angles() -> tuple[Any, Any]:
    """Nodes and weights of the trapezoidal rule on [0, π], which is exact to the last digit for |x| ≤ 100."""
    nodes = np.linspace(0, math.pi, 65)
    weights = np.full(65, 1 / 64)
    weights[[0, -1]] /= 2
    return nodes, weights


def bessel_scaled(order: int, x: Any) -> Any:
    """e^{-|x|} I_n(x) for the modified Bessel function of order n = 0 or 1.

    From I₀(x) = (1/π) ∫ e^{x cos θ} dθ and I₁(x) = (x/π) ∫ e^{x cos θ} sin² θ dθ; from 100 on by asymptotic series.
    """
    nodes, weights = _angles()
    size = np.abs(x)
    near = np.minimum(size, BESSEL_LARGE)
    inside = np.exp(near[..., None] * (np.cos(nodes) - 1)) @ (weights * np.sin(nodes) ** (2 * order)) * near**order
    far = np.maximum(size, BESSEL_LARGE)
    term, series = np.ones_like(far), np.ones_like(far)
    for k in range(1, 12):
        term = -term * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * far)
        series = series + term
    found = np.where(size <= BESSEL_LARGE, inside, series / np.sqrt(2 * math.pi * far))
    found = np.where(np.isnan(x), x, found)
    return np.copysign(found, x) if order else found


def bessel(order: int, x: Any) -> Any:
    """The modified Bessel function I_n(x) of order n = 0 or 1."""
    return np.exp(np.abs(x)) * bessel_scaled(order, x)
