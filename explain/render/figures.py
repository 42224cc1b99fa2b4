"""Numbers and arrays as a page shows them: at most four decimals, no trailing zeros, ≈ where rounded.

The same value looks the same everywhere on a page. Only ``.grad`` is echoed the way PyTorch prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

DECIMALS = 4
EDGE = 3
MOST = 6
LARGE, SMALL = 1e6, 1e-4


def number(value: Any) -> str:
    """A number with at most four decimals; scientific (``1.5e-07``) where that would lose it."""
    x = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return str(int(x)) if isinstance(x, int) else _decimal(x)


@lru_cache(8192)
def _decimal(x: float) -> str:
    if not isfinite(x):
        return "nan" if x != x else "inf" if x > 0 else "-inf"
    if x != 0 and not SMALL <= abs(x) < LARGE:
        mantissa, exponent = f"{x:.{DECIMALS}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    text = f"{x:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def is_exact(value: Any, dtype: str | None = None) -> bool:
    """The shown digits are the whole value, to the precision of its dtype, or of the one it was made of."""
    a = np.asarray(value)
    if a.dtype.kind != "f":
        return True
    tolerance = float(np.finfo(dtype or a.dtype).eps) * 4
    return all(not np.isfinite(x) or abs(float(number(x)) - float(x)) <= tolerance * abs(float(x)) for x in shown(a))


def shown(a: np.ndarray) -> Iterator[Any]:
    """The entries that an abbreviated array shows."""
    for axis in range(a.ndim):
        if a.shape[axis] > MOST:
            a = np.concatenate([a.take(range(EDGE), axis), a.take(range(-EDGE, 0), axis)], axis)
    return iter(a.ravel())


def constant(a: np.ndarray) -> bool:
    """All entries are the same number, and there are several."""
    return a.size > 1 and bool(np.all(a == a.ravel()[0]))


def cells(a: np.ndarray) -> list[list[str]]:
    """Rows of texts for a vector (as a column) or matrix; ``…`` stands for what is left out."""
    matrix = a.reshape(-1, 1) if a.ndim == 1 else a
    if max(matrix.shape) <= MOST:
        return [[number(entry) for entry in row] for row in matrix.tolist()]
    rows: list[list[str]] = []
    for r in _some(matrix.shape[0]):
        if r is None:
            rows.append(["…"] * len(list(_some(matrix.shape[1]))))
        else:
            rows.append(["…" if c is None else number(matrix[r, c]) for c in _some(matrix.shape[1])])
    return rows


def _some(n: int) -> Iterator[int | None]:
    if n <= MOST:
        yield from range(n)
        return
    yield from range(EDGE)
    yield None
    yield from range(n - EDGE, n)


def latex_array(value: Any) -> str:
    """A number, or a matrix; a vector is a column. More than two axes: a list of matrices, abbreviated."""
    a = np.asarray(value)
    if a.ndim == 0:
        return latex_number(a)
    if a.size == 0:
        return "[\\,]"
    if a.ndim > 2:
        parts = ["\\cdots" if k is None else latex_array(a[k]) for k in _some(a.shape[0])]
        return "\\Bigl[" + ",\\ ".join(parts) + "\\Bigr]"
    rows = cells(a)
    lines = []
    for row in rows:
        if set(row) == {"…"}:
            lines.append(" & ".join(["\\vdots"] * len(row)))
        else:
            lines.append(" & ".join("\\cdots" if t == "…" else _tex(t) for t in row))
    return "\\begin{bmatrix}" + " \\\\ ".join(lines) + "\\end{bmatrix}"


def latex_number(value: Any) -> str:
    """A number in LaTeX."""
    return _tex(number(value))


def _tex(text: str) -> str:
    if text in ("inf", "-inf"):
        return text.replace("inf", "\\infty")
    if text == "nan":
        return "\\mathrm{nan}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}\\times 10^{{{exponent}}}"
    return text


def plain_array(value: Any) -> str:
    """A number, or nested brackets in one line: ``[[1, 2], [3, 4]]``, abbreviated with ``…``."""
    a = np.asarray(value)
    if a.ndim == 0:
        return number(a)
    return "[" + ", ".join("…" if k is None else plain_array(a[k]) for k in _some(a.shape[0])) + "]"
