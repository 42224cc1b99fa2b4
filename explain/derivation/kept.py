"""Which steps closed forms speak of by the names that the program gave them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from explain.calculus.quotients import Quotient, quotient
from explain.calculus.symbols import Call, Reduction, Total
from explain.derivation.links import StepFormula
from explain.tape.record import Tape


class KeptNames:
    """Of the steps of one derivation those whose names stay where a formula is written out."""

    def __init__(self, tape: Tape, names: dict[int, str], steps: Sequence[StepFormula]) -> None:
        self.tape = tape
        self.names = names
        self.steps = steps

    def has(self, step: StepFormula) -> bool:
        """A function that the program gave a name, of something with a sum in it (p = σ(X w)) or not called by its own name
        there (p = 1/(1 + exp(−z))), or a share of a sum: derivatives speak of p."""
        if not self.tape.values[step.group.output].names:
            return False
        first = step.like or step
        if not isinstance(first.formula, Call):
            return step.name in self.shares
        return not isinstance(first.written, Call) or step.group.output in self._with_sums

    @cached_property
    def shares(self) -> dict[str, Quotient]:
        """The steps that divide a tensor by a sum or a norm of it: e/Σe, x/‖x‖."""
        makers = {step.name: step for step in self.steps}
        found = {}
        for step in self.steps:
            if step.like is not None and step.like.name not in found:
                continue
            share = quotient(step.name, tuple(i for i, _ in step.out), step.formula)
            if share is None or share.below.tensor.name not in makers:
                continue
            maker = makers[share.below.tensor.name]
            if maker.formula.has(Total) and [self.names[i] for i in maker.group.inputs] == [share.tensor.name]:
                found[step.name] = share
        return found

    @cached_property
    def _with_sums(self) -> set[int]:
        """The results of steps in which, or on the way to which, entries are added up."""
        found: set[int] = set()
        for step in self.steps:
            if (step.like or step).formula.has(Total, Reduction) or not found.isdisjoint(step.group.inputs):
                found.add(step.group.output)
        return found
