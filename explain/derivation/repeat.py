"""Steps that do the same under other names: derived once, renamed for the others, and folded where a loop repeats them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from typing import Any

from sympy import Expr, Integer

from explain.calculus.namespace import Place, place_name
from explain.calculus.symbols import Entry, TensorName, substitute
from explain.derivation.given import given_arrays
from explain.derivation.later import lazily
from explain.derivation.model import Alike, Fold, Formula, Matrix
from explain.derivation.steps import Group
from explain.tape.record import Tape

LONGEST_PERIOD = 64
UNNAMED = re.compile(r"u_\d+$")
PLACED = re.compile(r"(?<=\[)\d+(?=\])|(?<=\.)\d+(?=\.)")
FEWEST_TURNS = 3
FORMS = ("{}", "bar({})", "d({})")
"""What stands in formulas for a tensor: itself, its adjoint, its change."""
OF = re.compile(r"^(?:bar|d)\((.*)\)$", re.DOTALL)
"""The tensor that an adjoint or a change belongs to."""


def positions(tape: Tape, group: Group) -> tuple[int, ...]:
    """Where a step reads constants: the ``t`` of ``x[t]``."""
    return tuple([part for k in group.applied for part in _index(tape, k) if _is_open(tape, k, part)])


def opened_options(tape: Tape, group: Group, k: int) -> dict[str, Any]:
    """The options of a step's application, with the positions at which it reads constants left open."""
    options = dict(tape.applied[k].options)
    before = sum(_is_open(tape, j, part) for j in group.applied if j < k for part in _index(tape, j))
    numbers = count(before)
    if _index(tape, k):
        options["index"] = tuple([Place(p, next(numbers)) if _is_open(tape, k, p) else p for p in _index(tape, k)])
    return options


def _index(tape: Tape, k: int) -> tuple[Any, ...]:
    applied = tape.applied[k]
    return applied.options["index"] if applied.op.name == "index" else ()


def _is_open(tape: Tape, k: int, part: Any) -> bool:
    """Whether a part of an index is a position that other turns of a loop may have otherwise. Where gradients go to what is
    read, formulas depend on it; and a position from the end is a difference."""
    return isinstance(part, int) and part >= 0 and not tape.values[tape.applied[k].inputs[0]].requires_grad


def signature(tape: Tape, group: Group, at_any: bool = False) -> Hashable | None:
    """What a step does, whatever its names are, and with ``at_any`` wherever it reads constants; None for steps that refer
    to index arrays of their own."""
    inner: dict[int, Any] = {i: ("in", k) for k, i in enumerate(group.inputs)}
    parts: list[Any] = [group.whole, tuple([tape.values[i].shape for i in group.inputs])]
    for n, k in enumerate(group.applied):
        a = tape.applied[k]
        if given_arrays(tape, k) or a.op.kind == "custom":
            return None
        wiring = tuple([inner.get(i) or ("number", repr((tape.values[i].number, tape.values[i].entries))) for i in a.inputs])
        options = opened_options(tape, group, k) if at_any else a.options
        parts.append((a.op.name, repr(options), wiring))
        inner |= {i: ("made", n, slot) for slot, i in enumerate(a.outputs)}
    parts.append((inner[group.output], tape.values[group.output].shape))
    return tuple(parts)


class Renamed:
    """From the names of one step to those of another that does the same."""

    def __init__(self, old: Sequence[str], new: Sequence[str], at: Sequence[int] = ()) -> None:
        self.pairs = tuple([(a, b) for a, b in zip(old, new, strict=True) if a != b])
        self.at = tuple(at)

    @cached_property
    def names(self) -> dict[Any, Any]:
        """The names that stand for others, those of adjoints and changes too, and the positions that were left open."""
        names = {TensorName(form.format(a)): TensorName(form.format(b)) for a, b in self.pairs for form in FORMS}
        return names | {Entry(place_name(k)): Integer(p) for k, p in enumerate(self.at)}

    @property
    def back(self) -> Renamed:
        """From the names of the other step to those of the one."""
        return Renamed([b for _, b in self.pairs], [a for a, _ in self.pairs])

    def expr(self, e: Expr | None) -> Any:
        """A formula to be evaluated or carried on."""
        return substitute(e, self.names) if e is not None and self._concerns(e) else e

    def _concerns(self, e: Expr) -> bool:
        spoken_of = mentioned(e)
        return any(a in spoken_of for a, _ in self.pairs) or any(
            place_name(k).name in spoken_of for k in range(len(self.at))
        )

    def written(self, e: Expr | None) -> Any:
        """A formula whose parts stay where they stand."""
        return None if e is None else substitute(e, self.names, as_written=True)

    def shown(self, f: Formula | None) -> Any:
        """A formula as it stands on the page, made when it is asked for."""
        if f is None:
            return None
        make = {"e": lambda: self.written(f.e)}
        return lazily(Formula, make, letters=f.letters, origin=Alike(f, self.pairs, self.at))

    def matrix(self, m: Matrix | None) -> Matrix | None:
        """A matrix form, made when it is asked for."""
        return (
            None if m is None else lazily(Matrix, {"tree": lambda: self.tree(m.tree)}, origin=Alike(m, self.pairs, self.at))
        )

    def tree(self, tree: Any) -> Any:
        """The tree of a matrix form."""
        if isinstance(tree, tuple):
            return tuple([self.tree(part) for part in tree])
        if isinstance(tree, Expr):
            return self.names.get(tree, tree) if isinstance(tree, TensorName) else substitute(tree, self.names, True)
        if not is_dataclass(tree) or isinstance(tree, type):
            return tree
        return replace(tree, **{f.name: self.tree(getattr(tree, f.name)) for f in fields(tree) if f.init})


@lru_cache(4096)
def mentioned(e: Expr) -> frozenset[str]:
    """The tensors that a formula speaks of, of adjoints and changes what they belong to."""
    return frozenset([OF.sub(r"\1", t.name) for t in e.atoms(TensorName)])


def all_folds(keys: Sequence[Hashable]) -> tuple[Fold, ...]:
    """Where steps repeat, and where they do so within the first turn of what repeats."""
    found: list[Fold] = []
    for f in folds(keys):
        start = f.first - 1
        inside = all_folds(keys[start : start + f.period])
        found += [f, *(replace(inner, first=start + inner.first) for inner in inside)]
    return tuple(found)


def folds(keys: Sequence[Hashable]) -> tuple[Fold, ...]:
    """Where steps repeat: at each place the period that goes on for longest, of several the shortest."""
    known: dict[Hashable, int] = {}
    numbers = [-1 - k if key is None else known.setdefault(key, len(known)) for k, key in enumerate(keys)]
    found = []
    k = 0
    while k < len(numbers):
        best: Fold | None = None
        for period in range(1, min(LONGEST_PERIOD, (len(numbers) - k) // FEWEST_TURNS) + 1):
            count = _turns(numbers, k, period)
            if count >= FEWEST_TURNS and (best is None or count * period > best.count * best.period):
                best = Fold(k + 1, period, count)
        if best is None:
            k += 1
        else:
            found.append(best)
            k += best.period * best.count
    return tuple(found)


def _turns(numbers: Sequence[int], start: int, period: int) -> int:
    count = 1
    while numbers[start : start + period] == numbers[start + count * period : start + (count + 1) * period]:
        count += 1
    return count


def likeness(tape: Tape, group: Group, x: int, names: dict[int, str]) -> Hashable:
    """What the turns of a loop have in common: operations in the same place on values of the same names and shapes, and
    which of these values the link goes back to."""
    parts: list[Any] = []
    for k in group.applied:
        a = tape.applied[k]
        parts.append((a.op.name, a.place, tuple([tape.values[i].shape for i in a.inputs])))
    called = tuple([base_name(names[i]) for i in (group.output, x, *group.inputs)])
    route = _into_a_list(tape, group, x)
    return (*parts, called, group.inputs.index(x) if route is None else route)


def _into_a_list(tape: Tape, group: Group, x: int) -> Hashable | None:
    """What happens to an input before it becomes one of many in a list; None if it does not. Where in the list it stands
    makes no difference."""
    route: list[Hashable] = []
    reached = {x}
    for k in group.applied:
        a = tape.applied[k]
        if reached.isdisjoint(a.inputs):
            continue
        if a.op.rule == "join":
            return tuple(route)
        route.append((a.op.name, a.place, repr(a.options), [i in reached for i in a.inputs].index(True)))
        reached.update(a.outputs)
    return None


def base_name(name: str) -> str:
    """The name without the number of its turn: ``b^(3)`` is a ``b``, ``u_7`` a ``u``, and of several in a list or a module,
    ``Ws[2]`` and ``net.2.weight``, without that of its place there."""
    return PLACED.sub("", UNNAMED.sub("u", name.partition("^(")[0]))
