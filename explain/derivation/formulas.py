"""The formula of every step, from those of its ops: derived once for all steps that do the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sympy import Expr, S

from explain.calculus.express import as_sigmoids, rehoisted
from explain.calculus.guards import unguarded
from explain.calculus.hoist import picked
from explain.calculus.masks import Masked
from explain.calculus.namespace import (
    Namespace,
    Operand,
    bare,
    identity_operand,
    number_operand,
    plain_exponents,
    tensor_operand,
)
from explain.calculus.symbols import Entry, Index, TensorName, size
from explain.derivation.given import given_arrays
from explain.derivation.later import changed
from explain.derivation.links import Bind, StepFormula, just_indices, named_result, places
from explain.derivation.repeat import FEWEST_TURNS, Renamed, mentioned, opened_options, positions, signature
from explain.derivation.steps import Group, unused_name
from explain.tape.record import Tape


class StepFormulas:
    """The formulas of the steps of one derivation. ``given``: names of arrays that forward gave: (application, key) by name.
    ``masks``: where entries are picked by a mask, by its value id."""

    def __init__(self, tape: Tape, groups: Sequence[Group], names: dict[int, str]) -> None:
        self.tape = tape
        self.names = names
        self.groups = groups
        self.given: dict[str, tuple[int, str]] = {}
        self.masks: dict[int, Masked] = {}
        self._given_names: dict[int, dict[str, TensorName]] = {}
        self._taken = set(names.values())
        self._firsts: dict[Hashable, StepFormula] = {}
        self._open = self._reading_by_turns()
        self.steps = [self._step(group) for group in groups]

    def names_in(self, group: Group) -> list[str]:
        """The names in the formulas of a step."""
        return [self.names[i] for i in (group.output, *group.inputs)]

    def _step(self, group: Group) -> StepFormula:
        at = self._open.get(group.output, ())
        key = signature(self.tape, group, bool(at))
        step = self._firsts.get(key) if key is not None else None
        if step is None:
            step = replace(self._new_step(group), signature=key)
            if key is not None and not step.differential:
                self._firsts[key] = step
            if not at:
                return step
        to = self.renamed(step.group, group, at)
        later = {"formula": lambda: to.expr(step.formula), "written": lambda: to.written(step.written)}
        return changed(step, later, group=group, name=self.names[group.output], like=step, at=at)

    def renamed(self, first: Group, group: Group, at: tuple[int, ...]) -> Renamed:
        """From the formulas of a step to those of one that does the same, and reads constants at ``at``."""
        return Renamed(self.names_in(first), self.names_in(group), at)

    def mentioned(self, step: StepFormula) -> set[str]:
        """The tensors that the formula of a step speaks of."""
        if step.like is None:
            return set(mentioned(step.formula))
        own = dict(zip(self.names_in(step.like.group), self.names_in(step.group), strict=True))
        return {own.get(name, name) for name in mentioned(step.like.formula)}

    def _reading_by_turns(self) -> dict[int, tuple[int, ...]]:
        """The steps that read constants, each at positions of its own (``x[t]`` in a loop), by output."""
        alike: dict[Hashable, dict[int, tuple[int, ...]]] = {}
        for group in self.groups:
            at = positions(self.tape, group)
            key = signature(self.tape, group, True) if at else None
            if key is not None and not any(hasattr(self.tape.applied[k].op, "differential") for k in group.applied):
                alike.setdefault(key, {})[group.output] = at
        by_turns = [steps for steps in alike.values() if len(set(steps.values())) >= FEWEST_TURNS]
        return {output: at for steps in by_turns for output, at in steps.items()}

    def _new_step(self, group: Group) -> StepFormula:
        shape = self.tape.values[group.output].shape
        out = places("z", shape)
        indices = just_indices(out)
        name = self.names[group.output]
        last = self.tape.applied[group.applied[-1]]
        for k in group.applied:
            self._meet_mask(group, k)
        if hasattr(last.op, "differential"):
            differential = self._differential(group, name, out)
            if hasattr(last.op, "formula"):
                formula, written = (self._entry(group, group.output, indices, out, mode) for mode in (False, True))
                return StepFormula(group, name, out, plain_exponents(bare(formula)), bare(written), differential)
            entry = Entry(TensorName(named_result(self.tape, group, self.names)), *indices)
            return StepFormula(group, name, out, entry, entry, differential)
        if any(not hasattr(self.tape.applied[k].op, "formula") for k in group.applied):
            return StepFormula(group, name, out, Entry(TensorName(name), *indices), None, {})
        formula, written = (self._entry(group, group.output, indices, out, mode) for mode in (False, True))
        if any(self.tape.values[i].entries == "eye" for k in group.applied for i in self.tape.applied[k].inputs):
            formula = picked(formula, out)
        if group.whole == "gradient":  # nobody wrote it: it is what backward did, contracted
            formula = unguarded(formula)
            written = rehoisted(formula, out)
        return StepFormula(group, name, out, as_sigmoids(plain_exponents(bare(formula))), bare(written), {})

    def _namespace(self, k: int, as_written: bool, out: Sequence[Bind]) -> Namespace:
        given = {}
        for key, name in self._names_of_given(k).items():
            array = self._given_array(k, key)
            given[key] = tensor_operand(name, array.shape, as_written)
        s = Namespace(as_written, given)
        s.declare(just_indices(out), [n for _, n in out])
        return s

    def given_shape(self, k: int, key: str) -> tuple[int, ...]:
        """The sizes of an index array that application ``k`` gives."""
        return self._given_array(k, key).shape

    def _given_array(self, k: int, key: str) -> np.ndarray:
        return np.asarray(given_arrays(self.tape, k)[key])

    def _names_of_given(self, k: int) -> dict[str, TensorName]:
        if k not in self._given_names:
            found: dict[str, TensorName] = {}
            mask = self._mask_of(k)
            if mask in self.masks:  # picked by again
                positions = self.masks[mask].positions
                found = dict(zip(given_arrays(self.tape, k), positions, strict=True))
            for key in given_arrays(self.tape, k) if not found else ():
                name = unused_name(key, self._taken)
                self._taken.add(name)
                self.given[name] = (k, key)
                found[key] = TensorName(name)
            self._given_names[k] = found
        return self._given_names[k]

    def _mask_of(self, k: int) -> int | None:
        """The mask by which application ``k`` picks entries."""
        applied = self.tape.applied[k]
        if not hasattr(applied.op, "picks_by"):
            return None
        which = applied.op.picks_by(tuple(self.tape.values[i].shape for i in applied.inputs), **applied.options)
        return None if which is None else applied.inputs[which]

    def _meet_mask(self, group: Group, k: int) -> None:
        mask = self._mask_of(k)
        if mask is None or mask in self.masks:
            return
        operand = self._operand(group, mask, False)
        s = Namespace()
        self.masks[mask] = Masked(
            tuple(self._names_of_given(k).values()), operand.shape, lambda indices: s.holds(operand[indices])
        )

    def _operand(self, group: Group, value: int, as_written: bool) -> Operand:
        v = self.tape.values[value]
        if v.number is not None:
            return number_operand(v.number, as_written)
        if v.entries == "eye":
            return identity_operand(v.shape, as_written)
        if v.entries is not None:
            return number_operand(v.entries, as_written, v.shape)
        if value in group.inputs:
            return tensor_operand(TensorName(self.names[value]), v.shape, as_written)

        def entry(indices: tuple[Any, ...]) -> Any:
            out = tuple((i, size(n)) for i, n in zip(indices, v.shape, strict=True))
            return self._entry(group, value, indices, tuple(b for b in out if isinstance(b[0], Index)), as_written)

        return Operand(v.shape, entry)

    def _entry(self, group: Group, value: int, indices: tuple[Any, ...], out: Sequence[Bind], as_written: bool) -> Any:
        source = self.tape.values[value].source
        assert source is not None, "a step ends in an application"
        k, which = source
        applied = self.tape.applied[k]
        s = self._namespace(k, as_written, out)
        operands = [self._operand(group, i, as_written) for i in applied.inputs]
        options = applied.op.complete(opened_options(self.tape, group, k) if group.output in self._open else applied.options)
        if not applied.op.outputs:
            options["which"] = which
        found = applied.op.formula(s, indices, *operands, **options)
        return found[which] if isinstance(found, tuple) else found

    def _differential(self, group: Group, name: str, out: tuple[Bind, ...]) -> dict[str, Expr]:
        """Per input name, what the change of the output owes to the change of that input."""
        k = group.applied[-1]
        applied = self.tape.applied[k]
        s = self._namespace(k, False, out)
        results = []
        for i, key in zip(applied.outputs, applied.op.letters or ("y",), strict=True):
            named = i == group.output or i in self.names
            shape = self.tape.values[i].shape
            results.append(tensor_operand(TensorName(self.names[i]), shape, False) if named else s.given(key))
        ins = [self._operand(group, i, False) for i in applied.inputs]
        changes = [
            tensor_operand(TensorName(f"d({self.names[i]})"), self.tape.values[i].shape, False) for i in applied.inputs
        ]
        options = applied.op.complete(applied.options)
        y: Any = results[0]
        if len(results) > 1:
            y, options = tuple(results), options | {"which": applied.outputs.index(group.output)}
        op: Any = applied.op
        found: dict[str, Expr] = {}
        for i, part in zip(applied.inputs, op.differential(s, just_indices(out), y, changes, *ins, **options), strict=True):
            if part is not None:
                found[self.names[i]] = found.get(self.names[i], S.Zero) + plain_exponents(bare(part))
        return found
