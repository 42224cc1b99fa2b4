"""The witnesses of one derivation, compared: formulas evaluated, differences taken, the numbers of the tape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np

from explain.calculus.evaluate import evaluate
from explain.derivation import check
from explain.derivation.check import FORMULA
from explain.derivation.links import bar
from explain.derivation.model import Check
from explain.derivation.plan import Plan
from explain.derivation.pullback import pull_back_whole, walk_back
from explain.derivation.replay import Replay, differences
from explain.derivation.request import Request
from explain.derivation.values import NamedValues, dtype_of, numbers
from explain.errors import CannotDerive
from explain.tape.trace import Sent

FINER = (8.0, 1.0, 1 / 8, 1 / 64, 1 / 512, 1 / 4096)
"""Steps that differences are tried with where the usual one does not agree with the tape."""


class Witnesses:
    """Everything that can be asked about the truth of one derivation. ``replay``: the tape in float64."""

    def __init__(self, request: Request, plan: Plan) -> None:
        self.r = request
        self.plan = plan
        self.tape = request.tape
        self.replay = Replay(request.tape, request.output)
        self.values = NamedValues(request, plan, self.replay)
        self._special: dict[int, list[tuple[str, int]]] = {}

    def sent_in(self, applied: Iterable[int]) -> list[Sent]:
        """What some applications sent back, in the order they did."""
        found = sorted([one for k in applied for one in self._sent_by.get(k, ())], key=itemgetter(0))
        return [s for _, s in found]

    @cached_property
    def _sent_by(self) -> dict[int, list[tuple[int, Sent]]]:
        found: dict[int, list[tuple[int, Sent]]] = {}
        for place, s in enumerate(self.r.backward.sent if self.r.backward else ()):
            found.setdefault(s.applied, []).append((place, s))
        return found

    def of_gradient(self, leaf: int, value: Any, planned: Any) -> tuple[Check, ...]:
        own = dtype_of(self.tape.values[leaf].array)
        on_the_way = [i for k in self.replay.dependents(leaf) for i in self.tape.applied[k].outputs]
        dtype = self.coarsest(leaf, *on_the_way)
        checks = self._of_gradient(leaf, value, planned, dtype)
        return checks if dtype == own else tuple([in_dtype(c, dtype) for c in checks])

    def coarsest(self, *ids: int) -> str:
        """The floating dtype among the values that has the fewest digits: no check can ask for more."""
        dtypes = {dtype_of(self.tape.values[i].array) for i in ids}
        return max(dtypes & FORMULA.keys(), key=FORMULA.__getitem__, default="float64")

    def _of_gradient(self, leaf: int, value: Any, planned: Any, dtype: str) -> tuple[Check, ...]:
        reason = self.barred(leaf)
        if reason in ("hooked", "written"):
            return tuple([Check(name, "not_applicable", None, reason) for name in ("formula", "differences")])
        largest = self._largest_sent if self.r.backward else check.largest([value])
        floor = check.rounding_floor(dtype, [largest, self.tape.values[self.r.output].array * 0 + 1])
        formula = self._formula_check(leaf, value, planned, dtype, floor)
        if reason is not None:
            return (formula, Check("differences", "not_applicable", None, reason))
        return (formula, self._differences(leaf, value, dtype, floor))

    @cached_property
    def _largest_sent(self) -> float:
        return check.largest([s.cotangent for s in self.r.backward.sent]) if self.r.backward else 0.0

    def barred(self, leaf: int) -> str | None:
        """Why what arrives at a leaf is not the derivative, by the program's own will: a hook replaced a cotangent on the
        way, values were overwritten in between, or a custom Function sent something else."""
        hooked = self.r.backward.hooked if self.r.backward else ()
        if self.r.stale:
            return "written"
        after = {leaf, *(i for k in self.replay.dependents(leaf) for i in self.tape.applied[k].outputs)}
        if after & set(hooked):
            return "hooked"
        return "decreed" if any(not b.agrees for i, b in self.r.blocks.items() if i in after) else None

    @cached_property
    def seed(self) -> Any:
        """The cotangent that everything is tried with: the one that was sent back, for a whole Jacobian a random one."""
        if self.r.backward is not None:
            return self.r.backward.seed
        return np.random.default_rng(1).normal(size=np.shape(self.tape.values[self.r.output].array))

    def _pulled(self, rows: Any) -> Any:
        """The gradient for the seed: what the tape computed, or its Jacobian's rows weighted by the seed."""
        if self.r.mode != "jacobian":
            return rows
        return np.tensordot(self.seed, np.asarray(rows, np.float64), np.ndim(self.seed))

    def _in_float64(self, leaf: int) -> Any:
        """The gradient by the ops' own vjp rules, run in float64: the tape without the rounding of its dtype."""
        return pull_back_whole(self.tape, self.replay.values, self.r.output, self.seed, leaf)

    def _rerun(self, leaf: int, value: Any, dtype: str, floor: float) -> Check:
        """Whether the recorded tape, run again as it is and in its own dtype, gives what the program got."""
        seed = np.asarray(self.seed).astype(np.asarray(self.tape.values[self.r.output].array).dtype)
        again = walk_back(self.tape, self.r.output, seed[()], [leaf]).gradients.get(leaf, 0.0)
        return check.judged("formula", *check.gap_and_scale(again, value), FORMULA[dtype], floor)

    def _formula_check(self, leaf: int, value: Any, planned: Any, dtype: str, floor: float) -> Check:
        try:
            found = [self._by_steps(leaf)]
            closed = None
            if planned is not None:
                target = [*numbers(self.plan.out_rows), *numbers(self.plan.targets[leaf])]
                closed = evaluate(planned.raw, self.values.arrays, target)
                found.append(self._pulled(closed))
        except CannotDerive as problem:
            return Check("formula", "not_applicable", None, "cannot_derive", {"what": problem.message})
        special = self.special_kinds(leaf)
        first = check.formula_check(self._pulled(value), found, dtype, floor, special)
        if first.status == "ok" and self.r.mode == "jacobian" and closed is not None:  # every row, not only their sum
            first = check.formula_check(value, [closed], dtype, floor, special)
        if first.status != "failed" or dtype == "float64":
            return first
        again = check.formula_check(self._in_float64(leaf), found, "float64", 0.0, special)
        return check.in_float64(first, again, self._rerun(leaf, self._pulled(value), dtype, floor))

    def _by_steps(self, leaf: int) -> Any:
        """The gradient from the steps' formulas alone, each fed with the one before: no number of the tape's backward."""
        if leaf not in self._adjoints:
            raise CannotDerive("no step ends at this leaf")
        return self._adjoints[leaf]

    @cached_property
    def _adjoints(self) -> dict[int, Any]:
        found: dict[int, Any] = {self.r.output: np.asarray(self.seed, np.float64)}
        for planned in self.plan.steps:
            link = planned.link
            if (link.like or link).contracted is None:
                raise link.problem or CannotDerive(f"{link.step.name}: no formula")
            first = link.like or link
            arrays = self.values.in_place_of(first.step, link.step)
            arrays[bar(first.step.name).name] = found[link.step.group.output]
            part = evaluate(first.contracted, arrays, numbers(link.target))
            found[link.input] = part if link.input not in found else found[link.input] + part
        return found

    def _differences(self, leaf: int, value: Any, dtype: str, floor: float) -> Check:
        special = self.special_kinds(leaf)
        value, seed = self._pulled(value), self.seed
        first = check.differences_check(value, differences(self.replay, leaf, seed), dtype, floor, special)
        if first.status != "failed":
            return first
        finer = differences(self.replay, leaf, seed, FINER)
        first = check.differences_check(value, finer, dtype, floor, special)
        if first.status != "failed" or dtype == "float64":
            return first
        again = check.differences_check(self._in_float64(leaf), finer, "float64", 0.0, special)
        return check.in_float64(first, again, self._rerun(leaf, value, dtype, floor))

    @cached_property
    def _ran_into_infinity(self) -> bool:
        """A value or a cotangent on the way was not finite in the tape's own precision."""
        arrays = [v.array for v in self.tape.values]
        arrays += [s.cotangent for s in self.r.backward.sent] if self.r.backward else []
        floats = [a for a in map(np.asarray, arrays) if a.dtype.kind == "f"]
        return not all(np.all(np.isfinite(a)) for a in floats)

    def special_kinds(self, leaf: int) -> list[str]:
        found = ["not_finite"] if self._ran_into_infinity else []
        for k in self.replay.dependents(leaf):
            found += [kind for kind, _ in self.special_at(k)]
            if k in self._of_backward and self._guards(k):
                found.append("pole")
        return found

    @cached_property
    def _of_backward(self) -> set[int]:
        """The applications that a backward made, to be differentiated again."""
        return {k for group in self.plan.groups if group.whole == "gradient" for k in group.applied}

    def _guards(self, k: int) -> bool:
        """Whether a choice between two values stands at the very point that it was made for: where something is 0."""
        applied = self.tape.applied[k]
        source = self.tape.values[applied.inputs[0]].source
        if applied.op.name != "where" or source is None or self.tape.applied[source[0]].op.name != "equal":
            return False
        return bool(np.any(self.tape.values[applied.inputs[0]].array))

    def special_at(self, k: int) -> list[tuple[str, int]]:
        """The kinks, ties and poles that an application met, and at how many entries."""
        if k not in self._special:
            self._special[k] = self._special_at(k)
        return self._special[k]

    def _special_at(self, k: int) -> list[tuple[str, int]]:
        applied = self.tape.applied[k]
        ins = [np.asarray(self.tape.values[i].array) for i in applied.inputs]
        hits = []
        for kind, mask in applied.op.special.items():
            count = int(np.count_nonzero(mask(*ins, **applied.options)))
            if count:
                hits.append((kind, count))
        return hits


def in_dtype(c: Check, dtype: str) -> Check:
    """The check, which says that it was made with the digits of another dtype than its tensor's."""
    return replace(c, details={**c.details, "dtype": dtype})
