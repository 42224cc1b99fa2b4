"""Mathematics in one notation or another: the same calls give LaTeX or terminal text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from explain.calculus.symbols import Entry, Index, TensorName
from explain.derivation.model import Formula
from explain.render import figures
from explain.render.latex import MARKS as LATEX
from explain.render.latex import latex, latex_matrix, latex_name
from explain.render.plain import MARKS as PLAIN
from explain.render.plain import plain, plain_matrix, plain_name

SIZE_NAME = re.compile(r"[^\W\d]\w*")
TEX_SIZES = str.maketrans({"·": r"\,", "²": "^2", "³": "^3", "−": "-"})


class Typesetter(Protocol):
    """Everything a page sets that is mathematics. All methods return text of the notation."""

    base: int
    dots: str  # what stands for lines left out
    more: str  # what stands for terms left out
    times: str  # entry by entry
    ones: str  # a vector of ones
    ell: str  # the number ⟨v, y⟩ that a given cotangent makes of a tensor
    most_substituted: int  # a line with numbers in place of names is shown for at most so many entries

    def formula(self, f: Formula) -> str:
        """One entry of something."""

    def entry(self, name: str, letters: Sequence[str]) -> str:
        """An entry of a tensor at letters, or the tensor if there are none."""

    def name(self, name: str) -> str:
        """A tensor."""

    def contribution(self, name: str, via: str, letters: Sequence[str]) -> str:
        """The part of a tensor's adjoint that arrives through one of the tensors it was used in."""

    def partial(self, above: str, below: str) -> str:
        """∂above / ∂below, both already set."""

    def matrix(self, tree: Any, numbers: Mapping[str, str] | None = None) -> str:
        """A matrix form; tensors in ``numbers`` stand as those texts."""

    def array(self, value: Any) -> str:
        """A number, vector or matrix."""

    def equation(self, sides: Sequence[str], rounded: bool = False) -> str:
        """Sides joined by =, the last by ≈ if it is rounded."""

    def size(self, shape: Sequence[Any]) -> str:
        """Sizes joined by ×."""


class Latex:
    """LaTeX, as Markdown and HTML take it."""

    dots = r"&\;\;\vdots"
    more = r"\cdots"
    times = LATEX.times.strip()
    ones = LATEX.ones
    ell = r"\ell"
    most_substituted = 24

    def __init__(self, base: int = 1) -> None:
        self.base = base

    def formula(self, f: Formula) -> str:
        return latex(f.e, self.base)

    def entry(self, name: str, letters: Sequence[str]) -> str:
        return latex(_entry(name, letters), self.base)

    def name(self, name: str) -> str:
        return latex_name(name)

    def contribution(self, name: str, via: str, letters: Sequence[str]) -> str:
        whole = rf"{latex_name(f'bar({name})')}\big\vert_{{{latex_name(via)}}}"
        return whole if not letters else rf"{self.entry(f'bar({name})', letters)}\big\vert_{{{latex_name(via)}}}"

    def partial(self, above: str, below: str) -> str:
        return rf"\frac{{\partial {above}}}{{\partial {below}}}"

    def matrix(self, tree: Any, numbers: Mapping[str, str] | None = None) -> str:
        return latex_matrix(tree, self.base, numbers)

    def array(self, value: Any) -> str:
        return figures.latex_array(value)

    def equation(self, sides: Sequence[str], rounded: bool = False) -> str:
        return _joined(sides, r" \approx " if rounded else " = ")

    def size(self, shape: Sequence[Any]) -> str:
        return r" \times ".join(
            SIZE_NAME.sub(lambda name: latex_name(name[0]), size).translate(TEX_SIZES) for size in _sizes(shape)
        )


class Plain:
    """One-line Unicode for terminals."""

    dots = "⋮"
    more = "…"
    times = PLAIN.times.strip()
    ones = PLAIN.ones
    ell = "ℓ"
    most_substituted = 12

    def __init__(self, base: int = 1) -> None:
        self.base = base

    def formula(self, f: Formula) -> str:
        return plain(f.e, self.base)

    def entry(self, name: str, letters: Sequence[str]) -> str:
        return plain(_entry(name, letters), self.base)

    def name(self, name: str) -> str:
        return plain_name(name)

    def contribution(self, name: str, via: str, letters: Sequence[str]) -> str:
        return f"{self.entry(f'bar({name})', letters)}|{plain_name(via)}"

    def partial(self, above: str, below: str) -> str:
        return f"∂{above}/∂{below}"

    def matrix(self, tree: Any, numbers: Mapping[str, str] | None = None) -> str:
        return plain_matrix(tree, self.base, numbers)

    def array(self, value: Any) -> str:
        return figures.plain_array(value)

    def equation(self, sides: Sequence[str], rounded: bool = False) -> str:
        return _joined(sides, " ≈ " if rounded else " = ")

    def size(self, shape: Sequence[Any]) -> str:
        return "×".join(_sizes(shape))


def _sizes(shape: Sequence[Any]) -> list[str]:
    """The sizes as texts; one that is a sum stands in parentheses beside others."""
    texts = [str(n) for n in shape]
    return [f"({t})" if " " in t and len(texts) > 1 else t for t in texts]


def _joined(sides: Sequence[str], last: str) -> str:
    kept = [side for k, side in enumerate(sides) if k == 0 or side != sides[k - 1]]
    return " = ".join(kept) if len(kept) < 2 else " = ".join(kept[:-1]) + last + kept[-1]


def _entry(name: str, letters: Sequence[str]) -> Any:
    return Entry(TensorName(name), *(int(letter) if letter.isdigit() else Index(letter) for letter in letters))
