"""From a recorded tape to a derivation: the plan (symbols) filled with this run's numbers and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Mul

from explain.calculus.evaluate import evaluate
from explain.calculus.symbols import Index, late, numeric_size, size
from explain.derivation import check
from explain.derivation.code import code_of
from explain.derivation.model import Check, ClosedForm, Derivation, Gradient, Let, Note, Operation, Row, Step
from explain.derivation.plan import TANGENT, Plan, PlannedStep, plan_for
from explain.derivation.pullback import pull_back, pull_back_whole
from explain.derivation.replay import Replay, differences
from explain.derivation.rules import COUNTS
from explain.derivation.symbolic import Bind, bar, given_arrays
from explain.errors import CannotDerive
from explain.tape.dtypes import BY_NUMPY
from explain.tape.record import Backward, Tape, Value

SMALL = 6
"""A Jacobian with at most this many entries on either side is written out with its numbers."""
MEANING_STEP = 0.01
FINER = (8.0, 1.0, 1 / 8, 1 / 64, 1 / 512, 1 / 4096)
"""Steps that differences are tried with where the usual one does not agree with the tape."""
DIRECTIONS = 2
"""How many random changes u the adjoint identity is tried with."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be derived: ``output`` and ``wanted`` are value ids. ``mode`` as in ``Derivation``. ``backward``: the
    recorded walk (None where there is none). ``jacobians``: per leaf all rows by the tape, for mode jacobian.
    ``grads``: ``.grad`` of each leaf after the walk. ``sizes``: what symbolic sizes are called, by Size symbol.
    ``symbolic``: the recorded values only stand in, no number is shown."""

    tape: Tape
    output: int
    wanted: tuple[int, ...]
    mode: str
    backward: Backward | None
    jacobians: Mapping[int, Any]
    grads: Mapping[int, Any]
    sizes: Mapping[Any, Any]
    symbolic: bool = False


def derive(request: Request) -> Derivation:
    """The derivation of one backward call. Raises nothing for what cannot be derived: that is said in the document."""
    plan = plan_for(request.tape, request.output, request.wanted, request.mode, request.sizes)
    with np.errstate(all="ignore"):
        return _Builder(request, plan).derivation()


class _Builder:
    def __init__(self, request: Request, plan: Plan) -> None:
        self.r = request
        self.plan = plan
        self.tape = request.tape
        self.replay = Replay(request.tape, request.output)
        self.numbers = not request.symbolic

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The values of all names in formulas, in float64 where they are floating."""
        found: dict[str, Any] = {}
        for i, name in self.plan.names.items():
            found[name] = self.replay.values.get(i, self.tape.values[i].array)
        for name, (k, key) in self.plan.given.items():
            found[name] = given_arrays(self.tape, k)[key]
        for group in self.plan.groups:
            last = self.tape.applied[group.applied[-1]]
            if hasattr(last.op, "differential"):
                found[f"{last.op.name}({self.plan.names[last.inputs[0]]})"] = found[self.plan.names[group.output]]
        if self.plan.seed:
            assert self.r.backward is not None
            found[self.plan.seed] = np.asarray(self.r.backward.seed, np.float64)
        for let in self.plan.lets:
            found[let.name] = evaluate(let.raw, found, _numbers(let.place))
        return found

    def derivation(self) -> Derivation:
        steps = tuple(self._step(k + 1, p) for k, p in enumerate(self.plan.steps))
        gradients = tuple(self._gradient(leaf, steps) for leaf in self.r.wanted)
        output = self.tape.values[self.r.output]
        backward = self.r.backward
        return Derivation(
            output=self.plan.names[self.r.output],
            line=output.place.line if output.place else None,
            mode=self.r.mode,
            symbolic=self.r.symbolic,
            cotangent=backward.seed if backward is not None and self.numbers else None,
            rows=self._rows(),
            steps=steps,
            gradients=gradients,
            lets=tuple(Let(p.name, p.shown, p.kind) for p in self.plan.lets),
            notes=self._notes(gradients),
            edges=tuple((self.plan.names[i], self.plan.names[g.output]) for g in self.plan.groups for i in g.inputs),
        )

    # forward

    def _rows(self) -> tuple[Row, ...]:
        seen: set[int] = set()
        for group in self.plan.groups:
            for i in (*group.inputs, group.output):
                seen.add(i)
        rows = [self._row(self.tape.values[i]) for i in sorted(seen)]
        if not self.plan.groups:
            rows.append(self._row(self.tape.values[self.r.output]))
        rows += [self._positions(name, k, key) for name, (k, key) in self.plan.given.items()]
        return tuple(sorted(rows, key=lambda row: row.kind == "step"))

    def _positions(self, name: str, k: int, key: str) -> Row:
        """An index array that forward gave and formulas refer to: which positions were picked."""
        array = np.asarray(given_arrays(self.tape, k)[key])
        code = code_of(self.tape, self.tape.applied[k].outputs[0], self.plan.names)
        shown = array if self.numbers else None
        return Row(name, "positions", array.shape, "int64", None, shown, None, code, None)

    def _row(self, v: Value) -> Row:
        formula = self.plan.rows.get(v.id)
        if v.id in self.plan.rows:
            kind, code = "step", code_of(self.tape, v.id, self.plan.names)
        else:
            kind, code = ("leaf" if v.id in self.r.wanted else "given"), None
        return Row(
            name=self.plan.names[v.id],
            kind=kind,
            shape=self._shape(v),
            dtype=_dtype(v.array),
            formula=formula,
            value=v.array if self.numbers else None,
            grad_fn=v.grad_fn,
            code=code,
            line=v.place.line if v.place else None,
        )

    def _shape(self, v: Value) -> tuple[Any, ...]:

        return tuple(_plain(late(size(n), dict(self.r.sizes))) for n in v.shape)

    # backward

    def _step(self, number: int, planned: PlannedStep) -> Step:
        link, tape = planned.link, self.tape
        z, x = tape.values[link.step.group.output], tape.values[link.input]
        upstream, value = self._sent(planned)
        return Step(
            number=number,
            line=z.place.line if z.place else None,
            code=code_of(tape, z.id, self.plan.names),
            output=link.step.name,
            input=link.input_name,
            rule=planned.rule.kind,
            details=self._details(planned.rule.details),
            formula=planned.formula,
            jacobian=planned.jacobian,
            structure=planned.structure,
            jacobian_shape=(self._shape(z), self._shape(x)),
            jacobian_matrix=self._jacobian_matrix(planned, z, x),
            product=planned.product,
            contracted=planned.contracted,
            matrix=planned.matrix,
            upstream=upstream if self.numbers else None,
            value=value if self.numbers else None,
            operations=self._operations(planned),
            checks=(self._adjoint(planned, upstream, value),),
            notes=self._special_notes(link.step.group.applied),
        )

    def _details(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a sentence: counts as numbers (or products of symbolic sizes), shapes as they are called."""
        found: dict[str, Any] = {}
        for key, value in details.items():
            if key in COUNTS:
                found[key] = _plain(Mul(*(late(size(n), dict(self.r.sizes)) for n in value)))
            elif key in ("shape", "out_shape"):
                found[key] = tuple(_plain(late(size(n), dict(self.r.sizes))) for n in value)
            else:
                found[key] = value
        return found

    def _sent(self, planned: PlannedStep) -> tuple[Any, Any]:
        """The recorded cotangent of the step's output and what the step's edges sent to its input."""
        backward, link = self.r.backward, planned.link
        if backward is None:
            return None, None
        parts = [
            s.cotangent
            for s in backward.sent
            if s.applied in link.step.group.applied and self.tape.applied[s.applied].inputs[s.input] == link.input
        ]
        total = parts[0] if parts else None
        for part in parts[1:]:
            total = total + part
        return backward.arrived.get(link.step.group.output), total

    def _jacobian_matrix(self, planned: PlannedStep, z: Value, x: Value) -> Any:
        link = planned.link
        rows, columns = int(np.size(z.array)), int(np.size(x.array))
        if link.jacobian is None or max(rows, columns) > SMALL or not self.numbers:
            return None
        whole = evaluate(link.jacobian, self.arrays, [*_numbers(link.step.out), *_numbers(link.target)])
        return whole.reshape(rows, columns)

    def _operations(self, planned: PlannedStep) -> tuple[Operation, ...]:
        group = planned.link.step.group
        if len(group.applied) < 2:
            return ()
        inside: dict[int, str] = dict(self.plan.names)
        counter = 0
        for k in group.applied[:-1]:
            for i in self.tape.applied[k].outputs:
                if i not in inside:
                    counter += 1
                    inside[i] = f"t_{counter}"
        found = []
        for k in reversed(group.applied):
            applied = self.tape.applied[k]
            sent = tuple(
                (self._operand(inside, applied.inputs[s.input]), None, s.cotangent if self.numbers else None)
                for s in (self.r.backward.sent if self.r.backward else ())
                if s.applied == k
            )
            inputs = tuple(self._operand(inside, i) for i in applied.inputs)
            code = code_of(self.tape, applied.outputs[0], inside)
            found.append(Operation(applied.op.name, applied.grad_fn, inside[applied.outputs[0]], inputs, sent, code))
        return tuple(found)

    def _operand(self, names: dict[int, str], i: int) -> str:
        number = self.tape.values[i].number
        return names[i] if number is None else repr(number)

    # gradients

    def _gradient(self, leaf: int, steps: tuple[Step, ...]) -> Gradient:
        v = self.tape.values[leaf]
        name = self.plan.names.get(leaf, v.name or "")
        ends = tuple(s.number for s in steps if s.input == name)
        planned = self.plan.closed.get(leaf)
        closed = ClosedForm(planned.index, planned.matrix, planned.names) if planned else None
        value = self._value(leaf)
        reached = leaf in self.plan.targets
        reason = None if reached else self._why_unreached(v)
        checks = self._checks(leaf, value, planned) if reached and value is not None else ()
        rows = self.r.jacobians.get(leaf) if self.numbers else None
        return Gradient(
            wrt=name,
            shape=self._shape(v),
            dtype=_dtype(v.array),
            value=value if self.numbers and self.r.mode != "jacobian" else None,
            grad=self.r.grads.get(leaf) if self.numbers else None,
            closed_form=closed,
            contributions=ends,
            checks=checks,
            reason=reason,
            jacobian=rows,
            first_order=self._first_order(leaf, value) if reached and not self._special_kinds(leaf) else None,
        )

    def _value(self, leaf: int) -> Any:
        if self.r.mode == "jacobian":
            return self.r.jacobians.get(leaf)
        return self.r.backward.gradients.get(leaf) if self.r.backward else None

    def _why_unreached(self, v: Value) -> str:
        return "no_path" if self.tape.values[self.r.output].requires_grad else "no_derivative"

    def _checks(self, leaf: int, value: Any, planned: Any) -> tuple[Check, ...]:
        dtype = _dtype(self.tape.values[leaf].array)
        sent = [s.cotangent for s in self.r.backward.sent] if self.r.backward else [value]
        floor = check.rounding_floor(dtype, [*sent, self.tape.values[self.r.output].array * 0 + 1])
        return (self._formula_check(leaf, value, planned, dtype, floor), self._differences(leaf, value, dtype, floor))

    def _in_float64(self, leaf: int) -> Any:
        """The gradient by the ops' own vjp rules, run in float64: the tape without the rounding of its dtype."""
        assert self.r.backward is not None
        return pull_back_whole(self.tape, self.replay.values, self.r.output, self.r.backward.seed, leaf)

    def _formula_check(self, leaf: int, value: Any, planned: Any, dtype: str, floor: float) -> Check:
        problems = [p.problem for p in self.plan.steps if p.problem is not None]
        try:
            found = [self._by_steps(leaf)] if self.r.mode != "jacobian" else []
            if planned is not None:
                target = [*_numbers(self.plan.out_rows), *_numbers(self.plan.targets[leaf])]
                found.append(evaluate(planned.raw, self.arrays, target))
        except CannotDerive as problem:
            problems.append(problem)
            found = []
        if problems and not found:
            return Check("formula", "not_applicable", None, "cannot_derive", {"what": problems[0].message})
        special = self._special_kinds(leaf)
        first = check.formula_check(value, found, dtype, floor, special)
        if first.status != "failed" or dtype == "float64" or self.r.backward is None:
            return first
        return check.in_float64(first, check.formula_check(self._in_float64(leaf), found, "float64", 0.0, special))

    def _by_steps(self, leaf: int) -> Any:
        """The gradient from the steps' formulas alone, each fed with the one before: no number of the tape's backward."""
        if leaf not in self._adjoints:
            raise CannotDerive("no step ends at this leaf")
        return self._adjoints[leaf]

    @cached_property
    def _adjoints(self) -> dict[int, Any]:
        seed = self.r.backward.seed if self.r.backward is not None else 1.0
        found: dict[int, Any] = {self.r.output: np.asarray(seed, np.float64)}
        for planned in self.plan.steps:
            link = planned.link
            if link.contracted is None:
                raise link.problem or CannotDerive(f"{link.step.name}: no formula")
            arrays = self.arrays | {bar(link.step.name).name: found[link.step.group.output]}
            part = evaluate(link.contracted, arrays, _numbers(link.target))
            found[link.input] = part if link.input not in found else found[link.input] + part
        return found

    def _differences(self, leaf: int, value: Any, dtype: str, floor: float) -> Check:
        special = self._special_kinds(leaf)
        if self.r.mode == "jacobian":
            out = np.asarray(self.tape.values[self.r.output].array)
            seed = np.random.default_rng(1).normal(size=out.shape)
            value = np.tensordot(seed, np.asarray(value, np.float64), out.ndim)
        else:
            assert self.r.backward is not None
            seed = self.r.backward.seed
        first = check.differences_check(value, differences(self.replay, leaf, seed), dtype, floor, special)
        if first.status != "failed":
            return first
        finer = differences(self.replay, leaf, seed, FINER)
        first = check.differences_check(value, finer, dtype, floor, special)
        if first.status != "failed" or dtype == "float64" or self.r.backward is None:
            return first
        return check.in_float64(first, check.differences_check(self._in_float64(leaf), finer, "float64", 0.0, special))

    def _adjoint(self, planned: PlannedStep, upstream: Any, value: Any) -> Check:
        link = planned.link
        x = self.tape.values[link.input]
        if planned.problem is not None:
            return Check("adjoint", "not_applicable", None, "cannot_derive", {"what": planned.problem.message})
        if upstream is None or value is None:
            upstream, value = self._vjp_of_step(planned)
        assert planned.forward is not None
        stream = np.random.default_rng(2)
        pairs = []
        for _ in range(DIRECTIONS):
            u = stream.normal(size=np.shape(x.array))
            pairs.append((u, evaluate(planned.forward, self.arrays | {TANGENT.name: u}, _numbers(link.step.out))))
        members = link.step.group.applied
        inside = [s.cotangent for s in self.r.backward.sent if s.applied in members] if self.r.backward else []
        floor = check.rounding_floor(_dtype(x.array), [upstream, *inside])
        first = check.adjoint_check(upstream, pairs, value, _dtype(x.array), floor)
        if first.status != "failed" or _dtype(x.array) == "float64":
            return first
        v, sent = self._vjp_of_step(planned)
        return check.in_float64(first, check.adjoint_check(v, pairs, sent, "float64", 0.0))

    def _vjp_of_step(self, planned: PlannedStep) -> tuple[Any, Any]:
        """The step's vjp rules run on a random cotangent in float64, where no backward was recorded."""

        group = planned.link.step.group
        v = np.random.default_rng(3).normal(size=np.shape(self.tape.values[group.output].array))
        return v, pull_back(self.tape, self.replay.values, group, v, planned.link.input)

    # special points and notes

    @cached_property
    def _ran_into_infinity(self) -> bool:
        """A value or a cotangent on the way was not finite in the tape's own precision."""
        arrays = [v.array for v in self.tape.values]
        arrays += [s.cotangent for s in self.r.backward.sent] if self.r.backward else []
        floats = [a for a in map(np.asarray, arrays) if a.dtype.kind == "f"]
        return not all(np.all(np.isfinite(a)) for a in floats)

    def _special_kinds(self, leaf: int) -> list[str]:
        found = ["not_finite"] if self._ran_into_infinity else []
        for k in self.replay.dependents(leaf):
            found += [kind for kind, _ in self._special_at(k)]
        return found

    def _special_at(self, k: int) -> list[tuple[str, int]]:
        applied = self.tape.applied[k]
        ins = [np.asarray(self.tape.values[i].array) for i in applied.inputs]
        hits = []
        for kind, mask in applied.op.special.items():
            count = int(np.count_nonzero(mask(*ins, **applied.options)))
            if count:
                hits.append((kind, count))
        return hits

    def _special_notes(self, members: tuple[int, ...]) -> tuple[Note, ...]:
        notes = []
        for k in members if self.numbers else ():
            for kind, count in self._special_at(k):
                notes.append(Note(kind, {"op": self.tape.applied[k].op.name, "count": count}))
        return tuple(notes)

    def _notes(self, gradients: tuple[Gradient, ...]) -> tuple[Note, ...]:
        notes = []
        for g in gradients:
            if g.reason:
                notes.append(Note(g.reason, {"x": g.wrt, "z": self.plan.names[self.r.output], "op": self._last_op()}))
            elif g.value is not None and np.size(g.value):
                if not np.all(np.isfinite(g.value)):
                    notes.append(Note("not_finite", {"x": g.wrt, "code": self._first_infinity() or g.wrt}))
                elif g.grad is not None and not np.array_equal(g.grad, g.value):
                    notes.append(Note("accumulated", {"x": g.wrt}))
        if not gradients:
            notes.append(Note("no_float_leaf"))
        return tuple(notes)

    def _first_infinity(self) -> str | None:
        """The code of the first step whose result is not finite; None if a cotangent is the first that is not."""
        for applied in self.tape.applied:
            for i in applied.outputs:
                array = np.asarray(self.tape.values[i].array)
                if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
                    return code_of(self.tape, i, self.plan.names)
        return None

    def _last_op(self) -> str:
        """The op that stops the gradient: the last on the way that has no derivative."""
        for k in reversed(self.replay.order):
            if not self.tape.applied[k].op.differentiable:
                return self.tape.applied[k].op.name
        return ""

    def _first_order(self, leaf: int, value: Any) -> dict[str, Any] | None:
        """Raise one entry by a little: what the gradient says, and what the output really does, in float64."""
        if (
            not self.numbers
            or self.r.mode == "jacobian"
            or value is None
            or not np.size(value)
            or not np.all(np.isfinite(value))
        ):
            return None
        assert self.r.backward is not None
        seed = np.asarray(self.r.backward.seed, np.float64)
        k = int(np.argmax(np.abs(value)))
        start = np.array(self.replay.values[leaf], np.float64)
        moved = start.copy()
        moved.flat[k] += MEANING_STEP
        before = float(np.sum(seed * self.replay.values[self.r.output]))
        after = float(np.sum(seed * self.replay.at(leaf, moved[()] if moved.ndim == 0 else moved)))
        slope = float(np.asarray(value, np.float64).flat[k])
        place = tuple(int(n) for n in np.unravel_index(k, start.shape))
        return {
            "place": place, "from": float(start.flat[k]), "step": MEANING_STEP, "slope": slope,
            "predicted": slope * MEANING_STEP, "before": before, "after": after,
        }  # fmt: skip


def _numbers(binds: tuple[Bind, ...]) -> list[tuple[Index, int]]:
    return [(i, numeric_size(n)) for i, n in binds]


def _dtype(array: Any) -> str:
    return BY_NUMPY[np.asarray(array).dtype].name


def _plain(e: Any) -> Any:
    """A size as a number, or as words: m·n, m², n − 1."""
    if e.is_Integer:
        return int(e)
    words = str(e).replace("**2", "²").replace("**3", "³").replace("*", "·")
    return words.replace(" - ", " − ")
