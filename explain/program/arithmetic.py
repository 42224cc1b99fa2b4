"""Arithmetic of Python numbers as an author means it: exact, with guards against results that would never end."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

LARGEST = 2**63 - 1
Number = int | float

_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
    "//": operator.floordiv, "%": operator.mod, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


class Impossible(Exception):
    """Two numbers have no such result: ``message`` says why, ``hint`` what would work."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def combine(sign: str, a: Number, b: Number) -> Number:
    """``a sign b`` as an int, float or bool. Raises Impossible."""
    if sign not in _PLAIN:
        hint = "The product of numbers is written with *" if sign == "@" else None
        if sign == "&" and isinstance(a, bool) and isinstance(b, bool):
            return a and b
        raise Impossible(f"unsupported operand type(s) for {sign}: '{type(a).__name__}' and '{type(b).__name__}'", hint)
    whole = isinstance(a, int) and isinstance(b, int)
    if sign == "**" and whole and abs(a) > 1 and b * math.log2(abs(a)) > 1024:
        raise Impossible(f"{_short(a)}**{_short(b)} is too large")
    try:
        result = _PLAIN[sign](a, b)
    except ZeroDivisionError:
        raise Impossible("division by zero") from None
    except OverflowError:
        raise Impossible("the result is too large") from None
    if isinstance(result, complex):
        raise Impossible("a negative number has no real power with a fraction as its exponent")
    if isinstance(result, int) and abs(result) > LARGEST:
        raise Impossible("this whole number is too large for 64 bits", "Write one number with a point, such as 2.0**70")
    return result


def _short(number: Number) -> str:
    text = str(number)
    return text if len(text) < 20 else f"{text[:5]}…"
