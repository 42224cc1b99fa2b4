"""The numbers behind the names in the formulas of one derivation."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Expr

from explain.calculus.evaluate import evaluate, evaluate_each
from explain.calculus.symbols import Index, numeric_size
from explain.derivation.plan import Plan
from explain.derivation.replay import Replay
from explain.derivation.request import Request
from explain.derivation.steps import Group
from explain.derivation.symbolic import Bind, given_arrays, named_result
from explain.tape.dtypes import BY_NUMPY

AT_ONCE = 1 << 14
"""How many numbers of different steps are taken together: enough for the small steps of long loops, whose cost is to begin
an evaluation, and no more memory than one large step takes anyway."""


class NamedValues:
    """What the names in the formulas of a plan stand for. ``replay``: the tape in float64."""

    def __init__(self, request: Request, plan: Plan, replay: Replay) -> None:
        self.r = request
        self.plan = plan
        self.replay = replay

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The values of all names in formulas, in float64 where they are floating."""
        tape = self.r.tape
        found: dict[str, Any] = {}
        for i, name in self.plan.names.items():
            found[name] = self.replay.values.get(i, tape.values[i].array)
        for name, (k, key) in self.plan.given.items():
            found[name] = given_arrays(tape, k, self.replay.values)[key]
        for group in self.plan.groups:
            last = tape.applied[group.applied[-1]]
            if hasattr(last.op, "differential") and not hasattr(last.op, "formula"):
                found[named_result(tape, group, self.plan.names)] = found[self.plan.names[group.output]]
        if self.plan.seed:
            assert self.r.backward is not None
            found[self.plan.seed] = np.asarray(self.r.backward.seed, np.float64)
        for let in self.plan.lets:
            found[let.name] = evaluate(let.raw, found, numbers(let.place))
        return found

    def in_place_of(self, first: Group, group: Group) -> ChainMap[str, Any]:
        """``arrays`` for the formulas of the step that a step is like: under the names there the values here."""
        pairs = zip(_members(first), _members(group), strict=True)
        return ChainMap({self.plan.names[a]: self.arrays[self.plan.names[b]] for a, b in pairs}, self.arrays)

    def at_each(
        self, e: Expr, first: Group, groups: Sequence[Group], target: tuple[Bind, ...], **fixed: Any
    ) -> Iterator[tuple[range, np.ndarray]]:
        """A formula of ``first`` at the values of each of the steps that are like it, several at a time: which of them, and
        an array with an axis for them before those of ``target``. ``fixed``: what else the formula speaks of."""
        places = numbers(target)
        lines = list(zip(*map(_members, groups), strict=True))
        names = [self.plan.names[i] for i in _members(first)]
        common = self.arrays | fixed
        common |= {a: self.arrays[self.plan.names[line[0]]] for a, line in zip(names, lines, strict=True)}
        changing = {a: line for a, line in zip(names, lines, strict=True) if len(set(line)) > 1}
        if not changing:
            found = evaluate(e, common, places)
            yield from ((range(k, k + 1), found[None]) for k in range(len(groups)))
            return
        length = sum(np.size(common[a]) for a in changing) + int(np.prod([n for _, n in places], dtype=int))
        at_once = max(1, AT_ONCE // max(1, length))
        for start in range(0, len(groups), at_once):
            parts = {a: line[start : start + at_once] for a, line in changing.items()}
            stacks = {a: np.stack([self.arrays[self.plan.names[i]] for i in part]) for a, part in parts.items()}
            some = range(start, min(start + at_once, len(groups)))
            yield some, evaluate_each(e, common, stacks, places)


def _members(group: Group) -> tuple[int, ...]:
    return (group.output, *group.inputs)


def numbers(binds: tuple[Bind, ...]) -> list[tuple[Index, int]]:
    """Indices with the numbers of entries that they run over."""
    return [(i, numeric_size(n)) for i, n in binds]


def dtype_of(array: Any) -> str:
    """Torch's name of an array's dtype."""
    return BY_NUMPY[np.asarray(array).dtype].name
