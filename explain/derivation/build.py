"""From a recorded tape to a derivation: the plan (symbols) filled with this run's numbers and checks."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
from sympy import Mul

from explain.calculus.symbols import late, size
from explain.derivation import adjoints, infinity, jacobians
from explain.derivation.code import code_of
from explain.derivation.custom import opened
from explain.derivation.given import given_arrays
from explain.derivation.later import lazily
from explain.derivation.model import Check, ClosedForm, Derivation, Gradient, Let, Note, Operation, Row, Step
from explain.derivation.plan import Plan, PlannedStep, plan_for
from explain.derivation.pullback import pull_back
from explain.derivation.pushed import pushed
from explain.derivation.repeat import all_folds
from explain.derivation.request import Request
from explain.derivation.rules import COUNTS
from explain.derivation.steps import Group
from explain.derivation.values import dtype_of
from explain.derivation.witnesses import Witnesses
from explain.tape.record import Value

MEANING_STEP = 0.01


def derive(request: Request) -> Derivation:
    """The derivation of one backward call. Raises nothing for what cannot be derived: that is said in the document."""
    with np.errstate(all="ignore"):
        request = opened(request)
        return _Builder(request, plan_for(request)).derivation()


class _Builder:
    def __init__(self, request: Request, plan: Plan) -> None:
        self.r = request
        self.plan = plan
        self.tape = request.tape
        self.witnesses = Witnesses(request, plan)
        self.numbers = not request.symbolic

    def derivation(self) -> Derivation:
        steps = self._steps()
        gradients = tuple(self._gradient(leaf, steps) for leaf in self.r.wanted)
        output = self.tape.values[self.r.output]
        backward = self.r.backward
        return Derivation(
            output=self.plan.names[self.r.output],
            line=self.r.line or (output.place.line if output.place else None),
            mode=self.r.mode,
            kind=self.r.kind,
            number=self.r.number,
            call=self.r.call,
            symbolic=self.r.symbolic,
            cotangent=backward.seed if backward is not None and self.numbers else None,
            rows=self._rows(),
            steps=steps,
            gradients=gradients,
            lets=tuple(Let(p.name, p.shown, p.kind) for p in self.plan.lets),
            notes=self._notes(gradients),
            folds=all_folds([p.key for p in self.plan.steps]),
            pushed=pushed(self.witnesses) if self.numbers else None,
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
        rows += [row for name, (k, key) in self.plan.given.items() if (row := self._given(name, k, key))]
        return tuple(sorted(rows, key=lambda row: row.kind == "step"))

    def _given(self, name: str, k: int, key: str) -> Row | None:
        """An array that forward gave and formulas refer to: which positions were picked, or a factor that the program does
        not look at; None if no formula refers to it."""
        array = np.asarray(given_arrays(self.tape, k)[key])
        code = code_of(self.tape, self.tape.applied[k].outputs[0], self.plan.names)
        shown = array if self.numbers else None
        if array.dtype.kind == "f":
            used = any(step.uses(name) for step in self.plan.steps)
            return Row(name, "factor", array.shape, dtype_of(array), None, shown, None, code, None) if used else None
        kind = "mask" if key == "written" else "positions"
        return Row(name, kind, array.shape, "int64", None, shown, None, code, None)

    def _row(self, v: Value) -> Row:
        formula = self.plan.rows.get(v.id)
        if v.id in self.plan.rows:
            kind, code = "step", code_of(self.tape, v.id, self.plan.names)
        else:
            counted = np.asarray(v.array).dtype.kind in "iu" and v.shape != ()
            kind, code = ("leaf" if v.id in self.r.wanted else "positions" if counted else "given"), None
        return Row(
            name=self.plan.names[v.id],
            kind=kind,
            shape=self._shape(v),
            dtype=dtype_of(v.array),
            formula=formula,
            value=v.array if self.numbers else None,
            grad_fn=v.grad_fn,
            code=code,
            line=v.place.line if v.place else None,
            matrix=self.plan.matrices.get(v.id),
        )

    def _shape(self, v: Value) -> tuple[Any, ...]:

        return tuple(_plain(late(size(n), dict(self.r.sizes))) for n in v.shape)

    # backward

    def _steps(self) -> tuple[Step, ...]:
        sent = [self._sent(planned) for planned in self.plan.steps]
        checks = adjoints.of_steps(self.witnesses, sent)
        written = jacobians.matrices(self.witnesses) if self.numbers else [None] * len(sent)
        parts = zip(self.plan.steps, sent, checks, written, strict=True)
        return tuple([self._step(k, *part) for k, part in enumerate(parts, 1)])

    def _step(self, number: int, planned: PlannedStep, sent: adjoints.Sent, checked: Check, written: Any) -> Step:
        link, tape = planned.link, self.tape
        z, x = tape.values[link.step.group.output], tape.values[link.input]
        upstream, value = sent
        parts = ("formula", "jacobian", "product", "contracted", "matrix", "jacobian_entries")
        return lazily(
            Step,
            {part: partial(getattr, planned, part) for part in parts},
            number=number,
            line=z.place.line if z.place else None,
            code=self._code(z, link.step.group),
            output=link.step.name,
            input=link.input_name,
            rule=planned.rule.kind,
            details=self._details(planned.rule.details),
            structure=planned.structure,
            jacobian_shape=(self._shape(z), self._shape(x)),
            jacobian_matrix=written,
            upstream=upstream if self.numbers else None,
            value=value if self.numbers else None,
            operations=self._operations(planned),
            checks=(checked,),
            notes=self._special_notes(link.step.group.applied),
        )

    def _code(self, z: Value, group: Group) -> str | None:
        """The author's code of a step; of a gradient the call that asked for it."""
        if group.whole == "gradient" and z.place is not None:
            return z.place.text[z.place.start : z.place.end]
        return code_of(self.tape, z.id, self.plan.names)

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

    def _sent(self, planned: PlannedStep) -> adjoints.Sent:
        """The recorded cotangent of the step's output and what the step's edges sent to its input."""
        backward, link = self.r.backward, planned.link
        if backward is None:
            return None, None
        group = link.step.group
        upstream = backward.arrived.get(group.output)
        block = self.r.blocks.get(group.output)
        if block is not None:
            return upstream, block.sent.get(link.input)
        if upstream is not None and any(len(self.tape.applied[k].outputs) > 1 for k in group.applied):
            # what was sent is the sum over all outputs of the op; this step is about one of them
            return upstream, pull_back(self.tape, self._arrays, group, upstream, link.input)
        parts = [
            s.cotangent
            for s in self.witnesses.sent_in(group.applied)
            if self.tape.applied[s.applied].inputs[s.input] == link.input
        ]
        total = parts[0] if parts else None
        for part in parts[1:]:
            total = total + part
        return upstream, total

    @cached_property
    def _arrays(self) -> dict[int, Any]:
        return {v.id: v.array for v in self.tape.values}

    def _operations(self, planned: PlannedStep) -> tuple[Operation, ...]:
        """The nodes on the way from the step's output back to its input, and what they use that got no gradient."""
        group = planned.link.step.group
        reached, on_the_way = {planned.link.input}, set()
        for k in group.applied:
            if not reached.isdisjoint(self.tape.applied[k].inputs):
                reached.update(self.tape.applied[k].outputs)
                on_the_way.add(k)
        if len(on_the_way) < 2 or group.whole == "custom":
            return ()
        sent_by = self.witnesses.sent_in(group.applied)
        walked = {s.applied for s in sent_by} or {k for k in group.applied if self.tape.applied[k].grad_fn}
        shown, used = set(on_the_way), {i for k in on_the_way for i in self.tape.applied[k].inputs}
        for k in reversed(group.applied):
            if k not in walked and not used.isdisjoint(self.tape.applied[k].outputs):
                shown.add(k)
                used.update(self.tape.applied[k].inputs)
        inside: ChainMap[int, str] = ChainMap({}, self.plan.names)
        counter = 0
        for k in group.applied[:-1]:
            for i in self.tape.applied[k].outputs:
                if i not in inside:
                    counter += 1
                    inside[i] = f"t_{counter}"
        found = []
        for k in sorted(shown, reverse=True):
            applied = self.tape.applied[k]
            sent = tuple(
                (self._operand(inside, applied.inputs[s.input]), None, s.cotangent if self.numbers else None)
                for s in sent_by
                if s.applied == k and applied.inputs[s.input] in reached
            )
            inputs = tuple(self._operand(inside, i) for i in applied.inputs)
            code = None if applied.walk is not None else code_of(self.tape, applied.outputs[0], inside)
            found.append(Operation(applied.op.name, applied.grad_fn, inside[applied.outputs[0]], inputs, sent, code))
        return tuple(found)

    def _operand(self, names: Mapping[int, str], i: int) -> str:
        v = self.tape.values[i]
        return names[i] if v.literal is None else str(v.literal)

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
        checks = self.witnesses.of_gradient(leaf, value, planned) if reached and value is not None else ()
        rows = self.r.jacobians.get(leaf) if self.numbers else None
        return Gradient(
            wrt=name,
            shape=self._shape(v),
            dtype=dtype_of(v.array),
            value=value if self.numbers and self.r.mode != "jacobian" else None,
            grad=self.r.grads.get(leaf) if self.numbers else None,
            closed_form=closed,
            contributions=ends,
            checks=checks,
            reason=reason,
            jacobian=rows,
            before=self.r.before.get(leaf) if self.numbers else None,
            first_order=self._first_order(leaf, value) if reached and self._smooth(leaf) else None,
        )

    def _smooth(self, leaf: int) -> bool:
        """Nothing on the way, neither the mathematics nor the program, makes the gradient another thing than the slope."""
        return not self.witnesses.special_kinds(leaf) and self.witnesses.barred(leaf) is None

    def _value(self, leaf: int) -> Any:
        if self.r.mode == "jacobian":
            return self.r.jacobians.get(leaf)
        if self.r.backward is None:
            return None
        return self.r.backward.gradients.get(leaf, self.r.backward.arrived.get(leaf))  # the latter: retained

    def _why_unreached(self, v: Value) -> str:
        return "no_path" if self.tape.values[self.r.output].requires_grad else "no_derivative"

    # special points and notes

    def _special_notes(self, members: tuple[int, ...]) -> tuple[Note, ...]:
        notes = []
        for k in members if self.numbers else ():
            for kind, count in self.witnesses.special_at(k):
                notes.append(Note(kind, {"op": self.tape.applied[k].op.name, "count": count}))
        return tuple(notes)

    def _notes(self, gradients: tuple[Gradient, ...]) -> tuple[Note, ...]:
        notes = []
        for leaf, g in zip(self.r.wanted, gradients, strict=True):
            if g.reason:
                notes.append(Note(g.reason, {"x": g.wrt, "z": self.plan.names[self.r.output], "op": self._last_op()}))
            elif g.value is not None and np.size(g.value):
                if not np.all(np.isfinite(g.value)):
                    notes.append(Note("not_finite", {"x": g.wrt, **self._infinity(leaf)}))
                elif g.before is not None:
                    notes.append(Note("accumulated", {"x": g.wrt}))
        if not gradients:
            notes.append(Note("no_float_leaf"))
        return (*notes, *self._interventions())

    def _interventions(self) -> Iterator[Note]:
        """What the program itself did to the way back: cut it, replaced what came along, wrote a rule of its own."""
        tape, names = self.tape, self.plan.names
        for i, name in names.items():
            v = tape.values[i]
            if v.cut is not None:
                code = code_of(tape, i, names) if v.place else None
                yield Note(v.cut, {"x": name, "line": v.place.line if v.place else None, "code": code})
        for i in self.r.backward.hooked if self.r.backward else ():
            if i in names:
                yield Note("hooked", {"x": names[i]})
        for i in sorted(self.r.stale):
            yield Note("written", {"x": names.get(i) or tape.values[i].name or "x"})
        for i, block in self.r.blocks.items():
            if i in names and not block.agrees:
                yield Note("decreed", {"x": names[i], "op": block.name})

    def _infinity(self, leaf: int) -> Mapping[str, Any]:
        """Where the gradient of a leaf stopped being finite."""
        w = self.witnesses
        sent = self.r.backward.sent if self.r.backward else ()
        found = infinity.origin(self.tape, leaf, w.replay.dependents(leaf), sent, w.special_at)
        return infinity.details(self.tape, found, lambda i: code_of(self.tape, i, self.plan.names))

    def _last_op(self) -> str:
        """The op that stops the gradient: the last on the way that has no derivative."""
        for k in reversed(self.witnesses.replay.order):
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
        start = np.array(self.witnesses.replay.values[leaf], np.float64)
        moved = start.copy()
        moved.flat[k] += MEANING_STEP
        before = float(np.sum(seed * self.witnesses.replay.values[self.r.output]))
        after = float(np.sum(seed * self.witnesses.replay.at({leaf: moved[()] if moved.ndim == 0 else moved})))
        slope = float(np.asarray(value, np.float64).flat[k])
        place = tuple(int(n) for n in np.unravel_index(k, start.shape))
        return {
            "place": place, "from": float(start.flat[k]), "step": MEANING_STEP, "slope": slope,
            "predicted": slope * MEANING_STEP, "before": before, "after": after,
        }  # fmt: skip


def _plain(e: Any) -> Any:
    """A size as a number, or as words: m·n, m², n − 1."""
    if e.is_Integer:
        return int(e)
    words = str(e).replace("**2", "²").replace("**3", "³").replace("*", "·")
    return words.replace(" - ", " − ")
