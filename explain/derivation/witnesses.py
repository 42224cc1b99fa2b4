"""The witnesses of one derivation, compared: formulas evaluated, differences taken, the numbers of the tape."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from explain.calculus.evaluate import evaluate
from explain.calculus.symbols import Index, numeric_size
from explain.derivation import check
from explain.derivation.check import FORMULA
from explain.derivation.model import Check
from explain.derivation.plan import TANGENT, Plan, PlannedStep
from explain.derivation.pullback import pull_back, pull_back_whole, walk_back
from explain.derivation.replay import Replay, differences
from explain.derivation.request import Request
from explain.derivation.steps import Group
from explain.derivation.symbolic import Bind, bar, given_arrays, named_result
from explain.errors import CannotDerive
from explain.tape.dtypes import BY_NUMPY
from explain.tape.trace import Sent

DIRECTIONS = 2
"""How many random changes u the adjoint identity is tried with."""
FINER = (8.0, 1.0, 1 / 8, 1 / 64, 1 / 512, 1 / 4096)
"""Steps that differences are tried with where the usual one does not agree with the tape."""


class Witnesses:
    """Everything that can be asked about the truth of one derivation. ``replay``: the tape in float64."""

    def __init__(self, request: Request, plan: Plan) -> None:
        self.r = request
        self.plan = plan
        self.tape = request.tape
        self.replay = Replay(request.tape, request.output)

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The values of all names in formulas, in float64 where they are floating."""
        found: dict[str, Any] = {}
        for i, name in self.plan.names.items():
            found[name] = self.replay.values.get(i, self.tape.values[i].array)
        for name, (k, key) in self.plan.given.items():
            found[name] = given_arrays(self.tape, k, self.replay.values)[key]
        for group in self.plan.groups:
            last = self.tape.applied[group.applied[-1]]
            if hasattr(last.op, "differential") and not hasattr(last.op, "formula"):
                found[named_result(self.tape, group, self.plan.names)] = found[self.plan.names[group.output]]
        if self.plan.seed:
            assert self.r.backward is not None
            found[self.plan.seed] = np.asarray(self.r.backward.seed, np.float64)
        for let in self.plan.lets:
            found[let.name] = evaluate(let.raw, found, numbers(let.place))
        return found

    def in_place_of(self, first: Group, group: Group) -> ChainMap[str, Any]:
        """``arrays`` for the formulas of the step that a step is like: under the names there the values here."""
        pairs = zip((first.output, *first.inputs), (group.output, *group.inputs), strict=True)
        return ChainMap({self.plan.names[a]: self.arrays[self.plan.names[b]] for a, b in pairs}, self.arrays)

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
        dtype = self._coarsest(leaf, *on_the_way)
        checks = self._of_gradient(leaf, value, planned, dtype)
        return checks if dtype == own else tuple([in_dtype(c, dtype) for c in checks])

    def _coarsest(self, *ids: int) -> str:
        """The floating dtype among the values that has the fewest digits: no check can ask for more."""
        dtypes = {dtype_of(self.tape.values[i].array) for i in ids}
        return max(dtypes & FORMULA.keys(), key=FORMULA.__getitem__, default="float64")

    def _of_gradient(self, leaf: int, value: Any, planned: Any, dtype: str) -> tuple[Check, ...]:
        reason = self.barred(leaf)
        if reason in ("hooked", "written"):
            return tuple([Check(name, "not_applicable", None, reason) for name in ("formula", "differences")])
        sent = [s.cotangent for s in self.r.backward.sent] if self.r.backward else [value]
        floor = check.rounding_floor(dtype, [*sent, self.tape.values[self.r.output].array * 0 + 1])
        formula = self._formula_check(leaf, value, planned, dtype, floor)
        if reason is not None:
            return (formula, Check("differences", "not_applicable", None, reason))
        return (formula, self._differences(leaf, value, dtype, floor))

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
                closed = evaluate(planned.raw, self.arrays, target)
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
            arrays = self.in_place_of(first.step.group, link.step.group)
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

    def of_step(self, planned: PlannedStep, upstream: Any, value: Any) -> Check:
        link = planned.link
        x = self.tape.values[link.input]
        if link.decreed:
            return Check("adjoint", "not_applicable", None, "decreed")
        if planned.problem is not None:
            return Check("adjoint", "not_applicable", None, "cannot_derive", {"what": planned.problem.message})
        if self.r.stale & {link.step.group.output, *link.step.group.inputs}:
            return Check("adjoint", "not_applicable", None, "written")
        if upstream is None or value is None:
            upstream, value = self._vjp_of_step(planned)
        like = planned.like or planned
        assert like.forward is not None
        arrays = self.in_place_of(like.link.step.group, link.step.group)
        pairs = []
        for u in _directions(np.shape(x.array)):
            arrays[TANGENT.name] = u
            pairs.append((u, evaluate(like.forward, arrays, numbers(link.step.out))))
        members = link.step.group.applied
        inside = [s.cotangent for s in self.sent_in(members)]
        dtype = self._coarsest(link.input, *(i for k in members for i in self.tape.applied[k].outputs))
        floor = check.rounding_floor(dtype, [upstream, *inside])
        first = check.adjoint_check(upstream, pairs, value, dtype, floor)
        if dtype != dtype_of(x.array):
            first = in_dtype(first, dtype)
        if first.status != "failed" or dtype == "float64":
            return first
        values = {one.id: one.array for one in self.tape.values}
        rerun = pull_back(self.tape, values, link.step.group, upstream, link.input)
        same = check.judged("adjoint", *check.gap_and_scale(rerun, value), FORMULA[dtype], floor)
        v, sent = self._vjp_of_step(planned)
        return check.in_float64(first, check.adjoint_check(v, pairs, sent, "float64", 0.0), same)

    def _vjp_of_step(self, planned: PlannedStep) -> tuple[Any, Any]:
        """The step's vjp rules run on a random cotangent in float64, where no backward was recorded."""

        group = planned.link.step.group
        v = np.random.default_rng(3).normal(size=np.shape(self.tape.values[group.output].array))
        return v, pull_back(self.tape, self.replay.values, group, v, planned.link.input)

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
        applied = self.tape.applied[k]
        ins = [np.asarray(self.tape.values[i].array) for i in applied.inputs]
        hits = []
        for kind, mask in applied.op.special.items():
            count = int(np.count_nonzero(mask(*ins, **applied.options)))
            if count:
                hits.append((kind, count))
        return hits


@lru_cache(256)
def _directions(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The random changes that every step with an input of this shape is tried with."""
    stream = np.random.default_rng(2)
    return tuple([stream.normal(size=shape) for _ in range(DIRECTIONS)])


def in_dtype(c: Check, dtype: str) -> Check:
    """The check, which says that it was made with the digits of another dtype than its tensor's."""
    return replace(c, details={**c.details, "dtype": dtype})


def numbers(binds: tuple[Bind, ...]) -> list[tuple[Index, int]]:
    """Indices with the numbers of entries that they run over."""
    return [(i, numeric_size(n)) for i, n in binds]


def dtype_of(array: Any) -> str:
    """Torch's name of an array's dtype."""
    return BY_NUMPY[np.asarray(array).dtype].name
