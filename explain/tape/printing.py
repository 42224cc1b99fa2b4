"""Arrays printed as PyTorch 2.13 prints tensors, to the letter.

The arrays are numpy's, of any shape and of dtype bool, uint8, int8 to int64, float16 to float64, complex64 or
complex128. The layout is that of PyTorch's default print options: 4 decimals, lines of 80 characters, at most 1000
elements in full, else the first and last 3 along every dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass
class Options:
    """Torch's print options. ``edge``: how many entries of a long dimension are shown at either end, ``full``: how many
    entries are printed all, ``scientific``: None where the numbers decide."""

    precision: int = 4
    full: float = 1000
    edge: int = 3
    line: int = 80
    scientific: bool | None = None


PROFILES = {"default": Options(), "short": Options(precision=2, edge=2), "full": Options(full=math.inf)}
options = Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed from now on, as ``torch.set_printoptions``."""
    global options
    if profile is not None:
        options = replace(PROFILES[profile])
    given: dict[str, Any] = {"precision": precision, "full": threshold, "edge": edgeitems, "line": linewidth}
    options = replace(options, **{key: value for key, value in given.items() if value is not None}, scientific=sci_mode)


# What a reader of the numbers guesses without being told: the default dtypes and those that show themselves.
_EVIDENT = {"float32", "complex64", "int64", "bool"}


def tensor_repr(
    array: np.ndarray | np.generic, *, grad_fn: str | None = None, requires_grad: bool = False, head: str = "tensor"
) -> str:
    """The whole text of a tensor that holds ``array`` (any shape and dtype), such as ``tensor([1., 2.])``.

    ``grad_fn`` is the name of the tensor's node (``AddBackward0``), or None for a leaf; ``requires_grad`` is said of
    leaves only. ``head`` is the name of the tensor's class; continuation lines are indented to its bracket.
    """
    array = np.asarray(array)
    indent = len(head) + 1
    suffixes = []
    if array.size == 0 and array.ndim != 1:
        suffixes.append(f"size={array.shape}")
    if array.dtype.name not in (_EVIDENT if array.size else {"float32"}):
        suffixes.append(f"dtype=torch.{array.dtype.name}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")

    text = f"{head}({entries(array, indent)}"
    # PyTorch counts ", " behind the entries twice, but not behind a suffix that opened a line.
    column = len(text) - (text.rfind("\n") + 1) + 2
    for suffix in suffixes:
        if column + len(suffix) + 2 > options.line:
            text += f",\n{' ' * indent}{suffix}"
            column = indent + len(suffix)
        else:
            text += f", {suffix}"
            column += len(suffix) + 2
    return text + ")"


def entries(array: np.ndarray | np.generic, indent: int = len("tensor(")) -> str:
    """What stands between ``tensor(`` and the suffixes: the number of a 0-d array, else the numbers in brackets.

    ``indent`` is the number of characters before it on its first line; the lines after the first are indented to it.
    """
    array = np.asarray(array)
    if array.size == 0:
        return "[]"
    shown, cut = _shown(array)
    return _layout(shown, cut, indent, _style(shown))


def number_texts(array: np.ndarray | np.generic) -> list[str]:
    """The printed elements in row-major order, padded on the left to one width; of over 1000 elements the edges."""
    shown, _ = _shown(np.asarray(array))
    write = _style(shown).write
    return [write(number) for number in shown.ravel().tolist()]


@dataclass(frozen=True)
class _Style:
    """How the numbers of one array are written: ``write`` pads to ``width``, which wide nan, inf and -0. exceed."""

    width: int
    write: Callable[[Any], str]


def _shown(array: np.ndarray) -> tuple[np.ndarray, tuple[bool, ...]]:
    """The part of ``array`` that is printed, in its rank and dtype, and for every dimension whether it was cut."""
    edge = options.edge
    cut = tuple(array.size > options.full and length > 2 * edge for length in array.shape)
    for axis, inner in enumerate(cut):
        if inner:
            array = np.delete(array, slice(edge, -edge), axis)
    return array, cut


def _style(shown: np.ndarray) -> _Style:
    """The style that fits all of ``shown`` (any shape and dtype)."""
    if shown.dtype.kind == "c":
        return _complex_style(_style(shown.real), _style(shown.imag))
    numbers = shown.ravel().tolist()
    if shown.dtype.kind == "f":
        return _float_style([number for number in numbers if math.isfinite(number) and number])
    width = max((len(str(number)) for number in numbers), default=1)
    return _Style(width, lambda number: str(number).rjust(width))


def _complex_style(real: _Style, imaginary: _Style) -> _Style:
    """Real and imaginary parts have a style each; the imaginary part is not padded."""

    def write(number: complex) -> str:
        tail = imaginary.write(number.imag).lstrip()
        sign = "" if tail.startswith("-") else "+"
        return f"{real.write(number.real)}{sign}{tail}j"

    return _Style(real.width + imaginary.width + 1, write)


def _float_style(numbers: list[float]) -> _Style:
    """The style of an array whose nonzero finite elements, widened to float64, are ``numbers``."""
    whole = all(number.is_integer() for number in numbers)
    smallest, largest = min(map(abs, numbers), default=1.0), max(map(abs, numbers), default=1.0)
    scientific = options.scientific
    if scientific is None:
        scientific = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
    if scientific:
        form, point = f".{options.precision}e", ""
    elif whole:
        form, point = ".0f", "."
    else:
        form, point = f".{options.precision}f", ""

    def text(number: float) -> str:
        return f"{number:{form}}" + (point if math.isfinite(number) else "")

    width = max((len(text(number)) for number in numbers), default=1)
    return _Style(width, lambda number: text(number).rjust(width))


def _layout(shown: np.ndarray, cut: tuple[bool, ...], indent: int, style: _Style) -> str:
    """``shown`` (not empty) in brackets, with dots in the middle of the dimensions that were ``cut``."""
    if shown.ndim == 0:
        return style.write(shown.item())
    if shown.ndim == 1:
        items = [style.write(number) for number in shown.tolist()]
        dots = " ..."
    else:
        items = [_layout(block, cut[1:], indent + 1, style) for block in shown]
        dots = "..."
    if cut[0]:
        items.insert(options.edge, dots)
    margin = " " * (indent + 1)
    if shown.ndim > 1:
        return "[" + ("," + "\n" * (shown.ndim - 1) + margin).join(items) + "]"
    count = max(1, (options.line - indent) // (style.width + 2))
    rows = [", ".join(items[start : start + count]) for start in range(0, len(items), count)]
    return "[" + f",\n{margin}".join(rows) + "]"
