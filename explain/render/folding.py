"""What a page leaves out because a loop repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TypeVar

from sympy import Expr

from explain.calculus.symbols import Entry, Index
from explain.derivation.model import Derivation, Fold, Row, Step
from explain.derivation.repeat import base_name, folds

T = TypeVar("T")
LONG_RUN = 5
"""Step numbers that follow each other are written as a range if there are more than so many."""
MOST_NAMES, FIRST_NAMES = 8, 3
"""Of more names that are alike only the first ones and the last are listed."""


def hidden(d: Derivation) -> frozenset[int]:
    """The numbers of the steps that only repeat: all turns of a loop but the first."""
    return frozenset(n for f in d.folds for n in range(f.first + f.period, f.first + f.period * f.count))


def steps(d: Derivation) -> list[Step | Fold]:
    """The steps that are shown, and after the first turn of each loop how it goes on."""
    ends = {f.first + f.period: f for f in d.folds}
    left_out = hidden(d)
    found: list[Step | Fold] = []
    for s in d.steps:
        if s.number in ends:
            found.append(ends[s.number])
        if s.number not in left_out:
            found.append(s)
    return found


def rows(all_rows: Sequence[Row]) -> list[Row | int]:
    """The rows of the forward table that are shown: of a loop its first and last turn, and the number of those between."""
    found: list[Row | int] = []
    keys = [(base_name(r.name), r.kind, r.line, r.shape, r.grad_fn) if r.kind != "leaf" else None for r in all_rows]
    at = 0
    for f in folds(keys):
        start, end = f.first - 1, f.first - 1 + f.period * f.count
        found += all_rows[at : start + f.period]
        if f.count > 3:
            found.append(f.period * (f.count - 2))
        else:
            found += all_rows[start + f.period : end - f.period]
        found += all_rows[end - f.period : end]
        at = end
    return found + list(all_rows[at:])


def some(names: Sequence[str]) -> list[str | None]:
    """The names of what something is made of; of many that are alike, as the tensors of a list, the first ones and the last,
    with None for those between."""
    if len(names) <= MOST_NAMES or len({base_name(name) for name in names}) > 1:
        return list(names)
    return [*names[:FIRST_NAMES], None, names[-1]]


def factor(f: Fold, d: Derivation) -> Expr | None:
    """The number that each turn multiplies the adjoint with, if that is all it does and one follows the other."""
    s, *others = d.steps[f.first - 1 : f.first - 1 + f.count * f.period]
    if f.period != 1 or s.contracted is None or any(a.input != b.output for a, b in pairwise([s, *others])):
        return None
    number, rest = s.contracted.e.as_coeff_Mul()
    letters = tuple(Index(letter) for letter in s.contracted.letters)
    same = isinstance(rest, Entry) and rest.tensor.name == f"bar({s.output})" and rest.indices == letters
    return number if same and number != 1 else None


def ranges(numbers: Sequence[int], left_out: frozenset[int] = frozenset()) -> list[str]:
    """Numbers as texts: long runs of neighbours as ``3–20``, several that are ``left_out`` between others as ``…``."""
    found: list[tuple[bool, str]] = []
    k = 0
    while k < len(numbers):
        end = k
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        if end - k >= LONG_RUN:
            found.append((False, f"{numbers[k]}–{numbers[end]}"))
            k = end + 1
            continue
        found.append((numbers[k] in left_out, str(numbers[k])))
        k += 1
    return [text for run in elided(found, itemgetter(0)) for _, text in run or [(True, "…")]]


def elided(parts: Iterable[T], is_left_out: Callable[[T], bool]) -> Iterator[list[T]]:
    """The parts in runs, an empty one for several in a row that are left out. A single one takes no more room than dots."""
    for left_out, run in groupby(parts, is_left_out):
        together = list(run)
        yield [] if left_out and len(together) > 1 else together
