"""Names of tensors as mathematics writes them: letters, Greek letters, subscripts, bars."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache, wraps
from types import NoneType
from typing import Any, TypeVar

from sympy import Basic, Symbol

from explain.derivation.model import Derivation, Formula, Matrix
from explain.render.folding import hidden

F = TypeVar("F", bound=Callable[..., Any])
WRAPPED = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
TURNED = re.compile(r"(.+)\^\((\d+)\)", re.DOTALL)
FIELDS = ("name", "inputs", "output", "shape")  # of a document, where names stand as texts
PLAIN = (str, int, float, dict, NoneType)
"""What holds no names but its own."""
NUMBERED = re.compile(r"(.*\D)(\d+)", re.DOTALL)

FUNCTIONS = frozenset({"log", "exp", "sin", "cos", "tan", "sqrt", "max", "min", "det", "arg", "lim"})
"""With a subscript such a name would read as the function: log_q as the logarithm to the base q."""

_LOWER = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho - sigma"
_LOWER += " tau upsilon phi chi psi omega"
GREEK = {word: chr(0x3B1 + k) for k, word in enumerate(_LOWER.split()) if word != "-"}
GREEK |= {word.capitalize(): chr(ord(letter) - 32) for word, letter in GREEK.items()}
GREEK |= {"varepsilon": "ε", "varphi": "φ"}
LATIN = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo")  # Greek letters that look like these

_COMMANDS = {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"}
TEX_GREEK = {word: "\\" + word for word in GREEK if word in _COMMANDS or (word.islower() and word != "omicron")}
TEX_LETTERS = {GREEK[word]: tex for word, tex in TEX_GREEK.items() if not word.startswith("var")}


ONE_OF_MANY = re.compile(r"([A-Za-z])([ijkn])")
"""A letter and an index: what a loop calls an entry, ``for xi, yi in zip(x, y)``."""


@dataclass(frozen=True)
class Name:
    """A name taken apart. ``wrapper``: bar, d or an op's name, with ``inner``; else ``base`` with ``subscripts``;
    ``verbatim``: to be printed letter by letter; ``latin``: no Greek letter, though it is called so; ``turn``: which
    of several values of one name it is, ``b^(2)``."""

    text: str
    wrapper: str = ""
    inner: Name | None = None
    base: str = ""
    subscripts: tuple[str, ...] = ()
    verbatim: bool = False
    latin: bool = False
    turn: str = ""


@dataclass(frozen=True)
class Spelled:
    """Names of a page that are printed ``verbatim``, and those that are no Greek letters, but ``latin`` ones."""

    verbatim: frozenset[str] = frozenset()
    latin: frozenset[str] = frozenset()


_SPELLED: ContextVar[Spelled] = ContextVar("_SPELLED", default=Spelled())  # noqa: B039 - it is frozen


@contextmanager
def distinct(names: Iterable[str]) -> Iterator[None]:
    """While it lasts, those of the names that would be printed alike (``x1`` and ``x_1``, ``theta`` and ``θ``) are
    printed verbatim, and ``xi`` beside ``x`` or ``yi`` is printed like ``yi``. ``names``: all of a page, wrapped ones
    (``bar(x1)``) too."""
    alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
    before = _SPELLED.set(Spelled())
    try:
        for name in map(_innermost, map(split_name, names)):
            alike[_appearance(name)].add(name.text)
        verbatim = frozenset().union(*(found for found in alike.values() if len(found) > 1))
        _SPELLED.set(Spelled(verbatim, _entries({text for found in alike.values() for text in found}) - verbatim))
        yield
    finally:
        _SPELLED.reset(before)


def once(function: F) -> F:
    """The function with what it gave before remembered: a formula stands on a page several times, and in every language.
    What it gives may depend on its arguments and on which names are ``distinct``."""

    @lru_cache(8192)
    def known(spelled: Spelled, *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    @wraps(function)
    def remembered(*arguments: Any, **options: Any) -> Any:
        return known(_SPELLED.get(), *arguments, **options)

    return remembered  # type: ignore[return-value]


def names_in(part: Any) -> set[str] | frozenset[str]:
    """The names in a document, or in anything in it: tensors, sizes, indices; of a part that repeats another one those of
    its own, for all others stand in that one. Those of the steps that a loop repeats stand in the forward table."""
    if isinstance(part, Basic):
        return _symbols(part)
    if isinstance(part, tuple | list):
        return set().union(*map(names_in, part))
    if isinstance(part, Formula | Matrix) and part.origin is not None:
        return {own for _, own in part.origin.names}
    found: set[str] = set()
    for name in _fields(part.__class__):
        value = getattr(part, name)
        if name == "steps" and isinstance(part, Derivation):
            left_out = hidden(part)
            value = tuple([step for step in value if step.number not in left_out])
        if name in FIELDS:
            found.update(text for text in (value if isinstance(value, tuple) else (value,)) if isinstance(text, str))
        if not isinstance(value, PLAIN):
            found |= names_in(value)
    return found


@lru_cache
def _fields(kind: Any) -> tuple[str, ...]:
    """What a part of a document holds; nothing if it is none."""
    return tuple([f.name for f in fields(kind)]) if is_dataclass(kind) else ()


@lru_cache(8192)
def _symbols(e: Basic) -> frozenset[str]:
    return frozenset(s.name for s in e.atoms(Symbol))


def _entries(names: set[str]) -> frozenset[str]:
    """The Greek words among the names that are rather a letter and an index: ``xi`` where there is a ``yi`` or an ``x``.
    They are not set with a subscript, for x with an i is any entry of x, and this is one of them."""
    others = {m[2] for m in map(ONE_OF_MANY.fullmatch, names - GREEK.keys()) if m}
    words = (m for m in map(ONE_OF_MANY.fullmatch, names & GREEK.keys()) if m)
    return frozenset(m[0] for m in words if m[1] in names or m[2] in others)


def _innermost(name: Name) -> Name:
    return name if name.inner is None else _innermost(name.inner)


def _appearance(name: Name) -> tuple[str, ...]:
    """What a reader sees of a name."""
    return tuple(GREEK.get(part, part).translate(LATIN) for part in (name.base, *name.subscripts, f"^{name.turn}"))


def split_name(name: str) -> Name:
    """Take a name apart: ``W1`` and ``u_1`` have a subscript, ``y_pred`` too, ``bar(z)`` is a wrapped ``z``."""
    wrapped = WRAPPED.fullmatch(name)
    if wrapped:
        return Name(name, wrapper=wrapped[1], inner=split_name(wrapped[2]))
    turned = TURNED.fullmatch(name)
    if turned:
        return replace(split_name(turned[1]), text=name, turn=turned[2])
    spelled = _SPELLED.get()
    if name in spelled.verbatim or name in spelled.latin:
        return Name(name, base=name, verbatim=name in spelled.verbatim, latin=name in spelled.latin)
    if name.endswith("_") and name[:-1] in GREEK:
        return Name(name, base=name[:-1])
    pieces = name.split("_")
    if not all(pieces) or "." in name or (len(pieces) > 1 and pieces[0] in FUNCTIONS):
        return Name(name, base=name)
    numbered = NUMBERED.fullmatch(pieces[0])
    if numbered:
        pieces[:1] = [numbered[1], numbered[2]]
    return Name(name, base=pieces[0], subscripts=tuple(pieces[1:]))
