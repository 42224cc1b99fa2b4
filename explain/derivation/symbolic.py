"""The way back through the steps of a derivation: per link its Jacobian and Jᵀv, and the closed form of every gradient.

Depends on the structure of the tape only (ops, options, shapes, names), never on the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Add, Expr, Mul, Pow
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
from explain.calculus.hoist import settled
from explain.calculus.masks import over_masks
from explain.calculus.symbols import (
    UNIT,
    Entry,
    TensorName,
    numeric_size,
    substitute,
)
from explain.derivation.formulas import StepFormulas
from explain.derivation.kept import KeptNames
from explain.derivation.later import changed
from explain.derivation.links import Bind, Link, StepFormula, bar, differentiated, just_indices, places, renaming
from explain.derivation.repeat import Renamed
from explain.derivation.steps import Group
from explain.errors import CannotDerive
from explain.tape.record import Tape

CARRIED = 250
"""How large an upstream closed form may grow (in parts) before the next step starts again from the adjoint's name."""
SHOWN = 45
"""How large a closed form may be (in parts) to be shown with all names of steps expanded."""
READABLE = 120
"""How large a closed form in the steps' names may be to be shown at all: beyond it the steps say more."""


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
        self._links: dict[Hashable, Link] = {}
        self._carries: dict[Hashable, Expr | None] = {}
        self.formulas = StepFormulas(tape, groups, names)
        self.steps = self.formulas.steps
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
        return Symbolic(tuple(self.steps), tuple(links), closed, targets, rows, self.formulas.given)

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
        to = self.formulas.renamed(link.step.group, step.group, step.at)
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
        formula, variable = differentiated(step, name)
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
        masks = self.formulas.masks.values()
        told, contracted = over_masks(told, masks, (*target, *step.out)), over_masks(contracted, masks, target)
        return Link(step, x, name, target, told, contracted, exact)

    def _carried(self, link: Link, upstream: Expr | None, first_of_rows: bool, rows: tuple[Bind, ...]) -> Expr | None:
        """The gradient at the link's input, from the closed form at its output; what a loop repeats is carried once."""
        if link.like is None or upstream is None or first_of_rows or self.kept.shares:
            return self._carried_anew(link, upstream, first_of_rows, rows)
        numbers, others = sift(Mul.make_args(upstream), _is_number, binary=True)
        factor, rest = Mul(*numbers), Mul(*others)
        to = Renamed(self.formulas.names_in(link.step.group), [f"~{k}" for k in range(1 + len(link.step.group.inputs))])
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
