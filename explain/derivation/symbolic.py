"""The symbolic side of a derivation: per step its formula, Jacobian and Jᵀv, and the closed form of every gradient.

Depends on the structure of the tape only (ops, options, shapes, names), never on the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sympy import Add, Expr, Mul, Pow, S, Tuple
from sympy.utilities.iterables import sift

from explain.calculus import walk
from explain.calculus.brackets import merged
from explain.calculus.express import (
    as_sigmoids,
    cancelled,
    expand_entries,
    in_terms_of,
    rehoisted,
    weight,
    without_constants,
)
from explain.calculus.guards import unguarded
from explain.calculus.hoist import picked, settled
from explain.calculus.masks import Masked, over_masks
from explain.calculus.namespace import (
    Namespace,
    Operand,
    bare,
    identity_operand,
    number_operand,
    plain_exponents,
    tensor_operand,
)
from explain.calculus.symbols import (
    UNIT,
    Entry,
    Index,
    Single,
    TensorName,
    Total,
    Transform,
    numeric_size,
    size,
    substitute,
)
from explain.derivation.given import given_arrays
from explain.derivation.kept import KeptNames
from explain.derivation.later import Lazily, changed
from explain.derivation.repeat import FEWEST_TURNS, Renamed, opened_options, positions, signature
from explain.derivation.steps import Group, unused_name
from explain.errors import CannotDerive
from explain.tape.record import Tape

Bind = tuple[Index, Any]
CARRIED = 250
"""How large an upstream closed form may grow (in parts) before the next step starts again from the adjoint's name."""
SHOWN = 45
"""How large a closed form may be (in parts) to be shown with all names of steps expanded."""
READABLE = 120
"""How large a closed form in the steps' names may be to be shown at all: beyond it the steps say more."""


def bar(name: str) -> TensorName:
    """The adjoint of a tensor: ∂out/∂name."""
    return TensorName(f"bar({name})")


def places(prefix: str, numbers: Sequence[int]) -> tuple[Bind, ...]:
    """Indices for every axis of a tensor."""
    return tuple(((Single if n == 1 else Index)(f"{prefix}{k}"), size(n)) for k, n in enumerate(numbers))


def just_indices(binds: Sequence[Bind]) -> tuple[Index, ...]:
    """The indices without their sizes."""
    return tuple(i for i, _ in binds)


def renaming(old: Sequence[Any], new: Sequence[Any]) -> dict[Any, Any]:
    """The substitution of indices by indices (or positions); plain numbers stay."""
    return {i: j for i, j in zip(old, new, strict=True) if isinstance(i, Index)}


@dataclass(frozen=True, eq=False)
class StepFormula(Lazily):
    """One step as mathematics: one entry of its output at ``out``, evaluated and as written.

    ``differential``: per input name, one entry of the change of the output for a change ``d(input)``, where the op is
    given by a differential rule; then ``formula`` is the entry of the op's own name, unless it has a formula besides.
    ``written`` is None for what has no formula at all (a comparison, argmax). ``signature``: equal for steps that do the
    same; ``like``: the first of them, for all others. Turns of a loop that read constants at positions ``at`` of their own
    are all like one that leaves these open.
    """

    group: Group
    name: str
    out: tuple[Bind, ...]
    formula: Expr
    written: Expr | None
    differential: dict[str, Expr]
    signature: Hashable | None = None
    like: StepFormula | None = None
    at: tuple[int, ...] = ()

    @property
    def stays(self) -> bool:
        """Its name is not replaced by its formula: it has none, or is best known by its name (a softmax)."""
        first = self.like or self
        return first.written is None or bool(first.differential) or isinstance(first.formula, Transform)

    @property
    def doing(self) -> Hashable:
        """Equal for steps that do the same to the same."""
        first = self.like or self
        as_first = first.group.inputs == self.group.inputs and not self.at
        return (first.formula, first.out) if as_first else (first, self.group.inputs, self.at)


@dataclass(frozen=True, eq=False)
class Link(Lazily):
    """One link of the chain rule, in raw indices: the target's are ``target``, the output's ``out``.

    ``jacobian``: ∂ output / ∂ input; ``contracted``: Jᵀv with the adjoint's name as v; both in the output's language.
    ``problem``: why there are none. ``exact`` is the Jᵀv before the output's name was put in. ``decreed``: what goes back is
    not Jᵀv but what the author of a custom Function wrote. ``like``: the first link that does the same, for all others.
    """

    step: StepFormula
    input: int
    input_name: str
    target: tuple[Bind, ...]
    jacobian: Expr | None
    contracted: Expr | None
    exact: Expr | None
    problem: CannotDerive | None = None
    decreed: bool = False
    like: Link | None = None

    @property
    def differentiated(self) -> tuple[Expr, TensorName]:
        """What is differentiated by what: the step's formula by its input, or its differential by the input's change."""
        return _differentiated(self.step, self.input_name)


def _differentiated(step: StepFormula, name: str) -> tuple[Expr, TensorName]:
    if name in step.differential:
        return step.differential[name], TensorName(f"d({name})")
    return step.formula, TensorName(name)


@dataclass(frozen=True, eq=False)
class Symbolic:
    """All steps and links in the order backward walks them, and per leaf its gradient in the steps' names.

    ``closed``: per value id the gradient formula (None where some step cannot be derived or it grew too large).
    ``given``: names of index arrays that forward gave: (application, key) by name. ``rows``: indices of the output's
    entry, free in ``closed`` where a Jacobian is derived.
    """

    steps: tuple[StepFormula, ...]
    links: tuple[Link, ...]
    closed: dict[int, Expr | None]
    targets: dict[int, tuple[Bind, ...]]
    rows: tuple[Bind, ...]
    given: dict[str, tuple[int, str]]


class Deriver:
    """Derives the symbolic side of one backward call. ``decree(group, x, target)``: the formula of what a custom Function
    sends to its input ``x`` in place of Jᵀv, None if it has none, False for steps that send Jᵀv."""

    def __init__(
        self, tape: Tape, groups: list[Group], names: dict[int, str], decree: Callable[..., Any] = lambda *_: False
    ) -> None:
        self.tape = tape
        self.decree = decree
        self.names = names
        self.groups = groups
        self.given: dict[str, tuple[int, str]] = {}
        self._given_names: dict[int, dict[str, TensorName]] = {}
        self.masks: dict[int, Masked] = {}
        self._taken = set(names.values())
        self._steps: dict[Hashable, StepFormula] = {}
        self._links: dict[Hashable, Link] = {}
        self._carries: dict[Hashable, Expr | None] = {}
        self._open = self._reading_by_turns()
        self.steps = [self._step(g) for g in groups]
        self.kept = KeptNames(tape, names, self.steps)

    def links_and_closed(self, output: int, flows: set[int], seed: Expr, as_rows: bool) -> Symbolic:
        """Walk back from ``output``. ``flows``: value ids that gradients flow through. ``seed``: the cotangent at the
        output's indices; with ``as_rows`` the output's indices stay free and the closed forms are Jacobians."""
        rows = places("o", self.tape.values[output].shape) if as_rows else ()
        closed: dict[int, Expr | None] = {}
        targets: dict[int, tuple[Bind, ...]] = {}
        out_target = places("t", self.tape.values[output].shape)
        parts: dict[int, list[Expr | None]] = {output: [seed]}
        targets[output] = out_target
        links: list[Link] = []
        for step in reversed(self.steps):
            z = step.group.output
            if z not in parts or not self.tape.values[z].requires_grad:
                continue
            closed[z] = _summed(parts[z])
            for x in step.group.inputs:
                if x not in flows:
                    continue
                link = self._link(step, x)
                links.append(link)
                targets[x] = link.target
                parts.setdefault(x, []).append(self._carried(link, closed[z], z == output and as_rows, rows))
        closed |= {x: _summed(found) for x, found in parts.items() if x not in closed}
        return Symbolic(tuple(self.steps), tuple(links), closed, targets, rows, self.given)

    # one step

    def names_in(self, group: Group) -> list[str]:
        """The names in the formulas of a step."""
        return [self.names[i] for i in (group.output, *group.inputs)]

    def _step(self, group: Group) -> StepFormula:
        at = self._open.get(group.output, ())
        key = signature(self.tape, group, bool(at))
        step = self._steps.get(key) if key is not None else None
        if step is None:
            step = replace(self._new_step(group), signature=key)
            if key is not None and not step.differential:
                self._steps[key] = step
            if not at:
                return step
        to = self.renamed(step.group, group, at)
        later = {"formula": lambda: to.expr(step.formula), "written": lambda: to.written(step.written)}
        return changed(step, later, group=group, name=self.names[group.output], like=step, at=at)

    def renamed(self, first: Group, group: Group, at: tuple[int, ...]) -> Renamed:
        """From the formulas of a step to those of one that does the same, and reads constants at ``at``."""
        return Renamed(self.names_in(first), self.names_in(group), at)

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

    # one link

    def _link(self, step: StepFormula, x: int) -> Link:
        key = (step.signature, step.group.inputs.index(x))
        if step.signature is None or step.group.output == x or step.differential:
            return self._new_link(step, x)
        link = self._links.get(key)
        if link is None:
            first = step.like if step.at and step.like is not None else step
            link = self._new_link(first, first.group.inputs[step.group.inputs.index(x)])
            if not link.decreed:
                self._links[key] = link
            if first is step:
                return link
        to = self.renamed(link.step.group, step.group, step.at)
        later = {
            "jacobian": lambda: to.expr(link.jacobian),
            "contracted": lambda: to.expr(link.contracted),
            "exact": lambda: to.expr(link.exact),
        }
        return changed(link, later, step=step, input=x, input_name=self.names[x], like=link)

    def _new_link(self, step: StepFormula, x: int) -> Link:
        name = self.names[x]
        target = places("t", self.tape.values[x].shape)
        upstream = Entry(bar(step.name), *just_indices(step.out))
        formula, variable = _differentiated(step, name)
        decreed = self.decree(step.group, x, target)
        if decreed is None:
            problem = CannotDerive(f"{step.group.whole}: the backward of {name} has no formula")
            return Link(step, x, name, target, None, None, None, problem, True)
        try:
            jacobian = as_sigmoids(walk.jacobian(formula, step.out, variable, target))
            exact = as_sigmoids(walk.vjp(formula, step.out, upstream, variable, target))
        except CannotDerive as problem:
            return Link(step, x, name, target, None, None, None, problem)
        if decreed is not False:
            return Link(step, x, name, target, jacobian, decreed, decreed, None, True)
        told = in_terms_of(jacobian, step.formula, just_indices(step.out), TensorName(step.name))
        contracted = in_terms_of(exact, step.formula, just_indices(step.out), TensorName(step.name))
        masks = self.masks.values()
        told, contracted = over_masks(told, masks, (*target, *step.out)), over_masks(contracted, masks, target)
        return Link(step, x, name, target, told, contracted, exact)

    def _carried(self, link: Link, upstream: Expr | None, first_of_rows: bool, rows: tuple[Bind, ...]) -> Expr | None:
        """The gradient at the link's input, from the closed form at its output; what a loop repeats is carried once."""
        if link.like is None or upstream is None or first_of_rows or self.kept.shares:
            return self._carried_anew(link, upstream, first_of_rows, rows)
        numbers, others = sift(Mul.make_args(upstream), _is_number, binary=True)
        factor, rest = Mul(*numbers), Mul(*others)
        to = Renamed(self.names_in(link.step.group), [f"~{k}" for k in range(1 + len(link.step.group.inputs))])
        key = link.like, link.step.at, to.expr(rest)
        if key not in self._carries:
            self._carries[key] = to.expr(self._carried_anew(link, rest, False, rows))
        found = to.back.expr(self._carries[key])
        return None if found is None else walk.canonical(factor * found)

    def _carried_anew(self, link: Link, upstream: Expr | None, first_of_rows: bool, rows: tuple[Bind, ...]) -> Expr | None:
        step = link.step
        if (link.like or link).exact is None or upstream is None:
            return None
        formula, variable = link.differentiated
        if link.decreed:
            return self._carried_by_decree(link, upstream, first_of_rows)
        if first_of_rows:
            free = renaming(just_indices(step.out), just_indices(rows))
            found = walk.jacobian(substitute(formula, free), rows, variable, link.target)
        else:
            arriving = places("t", [numeric_size(n) for _, n in step.out])
            at_out = renaming(just_indices(arriving), just_indices(step.out))
            found = walk.vjp(formula, step.out, substitute(upstream, at_out), variable, link.target, rows)
        found = in_terms_of(as_sigmoids(found), step.formula, just_indices(step.out), TensorName(step.name))
        for share in self.kept.shares.values():
            found = share.put_into(found)
        found = merged(cancelled(found))
        return found if weight(found) <= CARRIED else None

    @staticmethod
    def _carried_by_decree(link: Link, upstream: Expr, first_of_rows: bool) -> Expr | None:
        """The author's formula with the upstream put in; for the rows of a Jacobian there is none."""
        if first_of_rows or link.exact is None:
            return None
        out = link.step.out
        arriving = places("t", [numeric_size(n) for _, n in out])
        named = bar(link.step.name)
        at_out = substitute(upstream, renaming(just_indices(arriving), just_indices(out)))
        return walk.canonical(expand_entries(link.exact, named, at_out, just_indices(out)))

    # closed forms

    def expanded(self, e: Expr, most: int = 2 * SHOWN) -> Expr:
        """The formula with the names of all steps replaced by their formulas, down to what the program was given, or until
        it has more than ``most`` parts."""
        for step in reversed(self.steps):
            if not e.has(TensorName(step.name)) or step.stays or self.kept.has(step):
                continue
            e = self.replaced(e, step)
            if weight(e) > most:
                return e
        return e

    @staticmethod
    def replaced(e: Expr, step: StepFormula) -> Expr:
        """The formula with one step's entries replaced by the step's formula."""
        name = TensorName(step.name)
        if not e.has(name):
            return e
        put_in = settled(expand_entries(e, name, step.formula, just_indices(step.out)))
        return walk.canonical(merged(without_constants(rehoisted(put_in))))


def _summed(parts: Sequence[Expr | None]) -> Expr | None:
    """The sum of what arrives along several edges; None if one of them has no formula, or the sum is too large."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or len(parts) == 1:
        return parts[0] if len(parts) == 1 else None
    found = walk.canonical(merged(with_one_unit(Add(*known))))
    return found if weight(found) <= CARRIED else None


def _is_number(factor: Expr) -> bool:
    return bool(factor.is_Number) or factor.as_base_exp()[0] == UNIT


def with_one_unit(whole: Expr) -> Expr:
    """The sum without the difference between terms in which unlike many numbers met, where that makes it shorter."""
    powers = {p: UNIT for p in whole.atoms(Pow) if p.base == UNIT}
    alike = Add(*(part.xreplace(powers) for part in Add.make_args(whole)))
    return alike if len(Add.make_args(alike)) < len(Add.make_args(whole)) else whole


def named_result(tape: Tape, group: Group, names: dict[int, str]) -> str:
    """What the result of an op without a formula of its entries is called: inv(A)."""
    applied = tape.applied[group.applied[-1]]
    which = applied.outputs.index(group.output)
    word = applied.op.fields[which] if applied.op.fields else applied.op.name
    return f"{word}({names[applied.inputs[0]]})"


def written_product(link: Link) -> Expr | None:
    """Jᵀv with its sum written out: Σ over the output's indices of the upstream times the Jacobian."""
    if link.jacobian is None:
        return None
    upstream = Entry(bar(link.step.name), *just_indices(link.step.out))
    if link.jacobian.is_zero:
        return S.Zero
    term = Mul(upstream, link.jacobian, evaluate=False)
    return Total(term, *(Tuple(i, n) for i, n in link.step.out if isinstance(i, Index)))
