"""Formulas and matrix forms as JSON data and back: text that our own reader parses, and nested trees.

Between two of our processes a formula that repeats another one under other names is handed over as a reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from sympy import Expr

from explain.calculus import matrix_tree
from explain.calculus.reader import read_formula
from explain.calculus.symbols import Index, TensorName, walk_preorder
from explain.calculus.text import formula_text
from explain.derivation.later import lazily
from explain.derivation.model import Formula, Matrix
from explain.derivation.repeat import Renamed


class Firsts:
    """The formulas that others repeat under other names, of a document that one of our processes hands to another: there
    a repeated one is a reference, and formulas are read when somebody asks for them."""

    def __init__(self, data: Sequence[Any] = ()) -> None:
        self.data = list(data)
        self._places: dict[Any, int] = {}
        self._read: dict[int, Any] = {}

    def place(self, first: Formula | Matrix) -> int:
        """Where a formula that others repeat stands; it is put there if it is not yet."""
        if first not in self._places:
            self._places[first] = len(self.data)
            self.data.append(encode_formula(first) if isinstance(first, Formula) else encode_matrix(first))
        return self._places[first]

    def at(self, place: int) -> Any:
        """The formula or matrix form that stands there."""
        if place not in self._read:
            data = self.data[place]
            self._read[place] = decode_matrix(data, self) if "tree" in data else decode_formula(data, self)
        return self._read[place]


def _repeated(part: Formula | Matrix, firsts: Firsts | None) -> dict[str, Any] | None:
    """What repeats another part, as a reference to that one."""
    if firsts is None or part.origin is None:
        return None
    return {"like": firsts.place(part.origin.first), "names": part.origin.names, "at": part.origin.at}


def encode_formula(f: Formula | None, firsts: Firsts | None = None) -> dict[str, Any] | None:
    """A formula as its text and its letters, with the letters and sizes that the reader must be told."""
    if f is None:
        return None
    repeated = _repeated(f, firsts)
    if repeated is not None:
        return repeated
    indices = sorted({i.name for i in walk_preorder(f.e) if isinstance(i, Index)} - set(f.letters))
    return {"sympy": formula_text(f.e), "letters": list(f.letters), "bound": indices, "sizes": _sizes(f.e)}


def _sizes(e: Expr) -> list[str]:
    plain = {s for s in walk_preorder(e) if s.is_Symbol and not isinstance(s, Index | TensorName) and s.is_positive}
    return sorted(s.name for s in plain if s.is_integer)


def decode_formula(data: Mapping[str, Any] | None, firsts: Firsts | None = None) -> Formula | None:
    """The formula again, to be read later if there are ``firsts``. Raises InputError for text that is no formula."""
    if data is None:
        return None
    if firsts is None:
        return Formula(_read(data), tuple(data["letters"]))
    if "like" in data:
        return _renamed(data).shown(firsts.at(data["like"]))
    return lazily(Formula, {"e": lambda: _read(data)}, letters=tuple(data["letters"]), origin=None)


def _read(data: Mapping[str, Any]) -> Expr:
    letters = [name for name in data["letters"] if not name.isdigit()]
    return read_formula(data["sympy"], [*letters, *data["bound"]], data["sizes"])


def _renamed(data: Mapping[str, Any]) -> Renamed:
    return Renamed([old for old, _ in data["names"]], [new for _, new in data["names"]], data["at"])


def encode_tree(tree: Any) -> Any:
    """A matrix tree as nested data."""
    if tree is None or isinstance(tree, str | int | bool):
        return tree
    if isinstance(tree, tuple):
        return [encode_tree(part) for part in tree]
    if isinstance(tree, TensorName):
        return {"name": tree.name}
    if isinstance(tree, Expr):
        return {"formula": encode_formula(Formula(tree))}
    assert is_dataclass(tree)
    return {"tree": type(tree).__name__, **{f.name: encode_tree(getattr(tree, f.name)) for f in fields(tree) if f.init}}


def decode_tree(data: Any) -> Any:
    """The matrix tree again."""
    if isinstance(data, list):
        return tuple(decode_tree(part) for part in data)
    if not isinstance(data, dict):
        return data
    if "name" in data and len(data) == 1:
        return TensorName(data["name"])
    if "formula" in data and len(data) == 1:
        found = decode_formula(data["formula"])
        assert found is not None
        return found.e
    kind = getattr(matrix_tree, data["tree"])
    return kind(**{key: decode_tree(value) for key, value in data.items() if key != "tree"})


def encode_matrix(m: Matrix | None, firsts: Firsts | None = None) -> dict[str, Any] | None:
    """A matrix form as text and as nested data."""
    if m is None:
        return None
    return _repeated(m, firsts) or {"sympy": str(m.tree), "tree": encode_tree(m.tree)}


def decode_matrix(data: dict[str, Any] | None, firsts: Firsts | None = None) -> Matrix | None:
    """The matrix form again, to be read later if there are ``firsts``."""
    if data is None:
        return None
    if firsts is None:
        return Matrix(decode_tree(data["tree"]))
    if "like" in data:
        return _renamed(data).matrix(firsts.at(data["like"]))
    return lazily(Matrix, {"tree": lambda: decode_tree(data["tree"])}, origin=None)
