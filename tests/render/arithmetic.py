"""What read formulas compute with: numbers, matrices, and vectors of ones of any length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Env = dict[str, float]
Value = Callable[[Env], Any]


class Ones:
    """A vector of ones whose length what stands beside it says; ``row``: transposed."""

    def __init__(self, row: bool = False) -> None:
        self.row = row


def constant(x: Any) -> Value:
    """The same for all letters."""
    return lambda env: x


def plain(x: Any) -> Any:
    """Ones beside a sum or in a quotient: they broadcast."""
    return 1.0 if isinstance(x, Ones) else x


def transposed(value: Value) -> Value:
    """Rows as columns."""

    def found(env: Env) -> Any:
        x = value(env)
        return Ones(not x.row) if isinstance(x, Ones) else np.transpose(x)

    return found


def raised(value: Value, exponent: Value) -> Value:
    """A power, entry by entry."""

    def found(env: Env) -> Any:
        return np.float64(1) * value(env) ** exponent(env)

    return found


def product(factors: list[tuple[str, Value, bool]], env: Env) -> Any:
    """Factors from left to right; a bracket of 0 makes 0 of whatever stands beside it."""
    for _, value, bracket in factors:
        if bracket and np.ndim(zero := value(env)) == 0 and zero == 0:
            return 0.0
    found: Any = None
    for sign, value, _ in factors:
        x = value(env)
        found = x if found is None else combined(sign, found, x)
    return found


def combined(sign: str, a: Any, b: Any) -> Any:
    """Two factors: a number times anything, or a product of matrices."""
    if sign == r"\bmod":
        return a % b
    if sign in ("/", r"\oslash"):
        return plain(a) / plain(b)
    if isinstance(a, Ones) or isinstance(b, Ones):
        if isinstance(a, Ones) and isinstance(b, Ones):
            return 1.0  # ones in every place: they broadcast
        if isinstance(a, Ones) and np.ndim(b):
            return np.sum(b, axis=0, keepdims=True) if a.row else 1.0 * b
        if isinstance(b, Ones) and np.ndim(a):
            return 1.0 * a if b.row else np.sum(a, axis=1, keepdims=True)
        return a if isinstance(a, Ones) and b == 1 else (1.0 * plain(a)) * plain(b)
    if sign == r"\odot" or not np.ndim(a) or not np.ndim(b) or 1 in (np.size(a), np.size(b)):
        return a * b
    return a @ b
