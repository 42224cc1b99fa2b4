"""The numbers behind the names in the formulas of one derivation."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Expr

from explain.calculus.evaluate import evaluate, evaluate_each
from explain.calculus.namespace import place_name
from explain.calculus.symbols import Index, numeric_size
from explain.derivation.given import given_arrays
from explain.derivation.links import Bind, StepFormula, named_result
from explain.derivation.plan import Plan
from explain.derivation.replay import Replay
from explain.derivation.request import Request
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

    def in_place_of(self, first: StepFormula, step: StepFormula) -> ChainMap[str, Any]:
        """``arrays`` for the formulas of the step that a step is like: under the names there the values here."""
        pairs = zip(self._names(first, step), self._sources(step), strict=True)
        return ChainMap({name: self._array(source) for name, source in pairs}, self.arrays)

    def at_each(
        self, e: Expr, first: StepFormula, steps: Sequence[StepFormula], target: tuple[Bind, ...], **fixed: Any
    ) -> Iterator[tuple[range, np.ndarray]]:
        """A formula of ``first`` at the values of each of the steps that are like it, several at a time: which of them, and
        an array with an axis for them before those of ``target``. ``fixed``: what else the formula speaks of."""
        places = numbers(target)
        sources = dict(zip(self._names(first, steps[0]), zip(*map(self._sources, steps), strict=True), strict=True))
        common = self.arrays | fixed | {name: self._array(found[0]) for name, found in sources.items()}
        changing = {name: found for name, found in sources.items() if len(set(found)) > 1}
        if not changing:
            whole = evaluate(e, common, places)
            yield from ((range(k, k + 1), whole[None]) for k in range(len(steps)))
            return
        length = sum(np.size(common[name]) for name in changing) + int(np.prod([n for _, n in places], dtype=int))
        at_once = max(1, AT_ONCE // max(1, length))
        for start in range(0, len(steps), at_once):
            some = range(start, min(start + at_once, len(steps)))
            stacks = {name: np.stack([self._array(found[k]) for k in some]) for name, found in changing.items()}
            yield some, evaluate_each(e, common, stacks, places)

    def _names(self, first: StepFormula, step: StepFormula) -> list[str]:
        """What the formulas of ``first`` speak of, as far as it differs from step to step."""
        members = (first.group.output, *first.group.inputs)
        return [*(self.plan.names[i] for i in members), *(place_name(k).name for k in range(len(step.at)))]

    def _sources(self, step: StepFormula) -> list[str | int]:
        """What stands for these in a step: names of its own, and positions."""
        return [*(self.plan.names[i] for i in (step.group.output, *step.group.inputs)), *step.at]

    def _array(self, source: str | int) -> Any:
        return self.arrays[source] if isinstance(source, str) else np.int64(source)


def numbers(binds: tuple[Bind, ...]) -> list[tuple[Index, int]]:
    """Indices with the numbers of entries that they run over."""
    return [(i, numeric_size(n)) for i, n in binds]


def dtype_of(array: Any) -> str:
    """Torch's name of an array's dtype."""
    return BY_NUMPY[np.asarray(array).dtype].name
