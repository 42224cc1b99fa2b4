"""The adjoint identity of every step, ⟨v, J u⟩ = ⟨Jᵀ v, u⟩: J u from the formula against the Jᵀ v that the tape sent.

Steps that do the same, as the turns of a loop do, are evaluated together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from explain.derivation import check
from explain.derivation.check import FORMULA
from explain.derivation.model import Check
from explain.derivation.plan import TANGENT, PlannedStep, together
from explain.derivation.pullback import pull_back
from explain.derivation.values import dtype_of
from explain.derivation.witnesses import Witnesses, in_dtype

DIRECTIONS = 2
"""How many random changes u the identity is tried with."""
Sent = tuple[Any, Any]


def of_steps(witnesses: Witnesses, sent: Sequence[Sent]) -> list[Check]:
    """The check of each step of the plan. ``sent``: what arrived at its output and what it sent to its input."""
    steps = witnesses.plan.steps
    found = [_not_checked(witnesses, planned) for planned in steps]
    checked = [k for k, c in enumerate(found) if c is None]
    for first, places in together(steps, checked).items():
        pairs = [_pair(witnesses, steps[k], sent[k]) for k in places]
        gaps = _gaps(witnesses, first, [steps[k] for k in places], pairs)
        for k, pair, gap in zip(places, pairs, gaps, strict=True):
            found[k] = _judged(witnesses, steps[k], pair, gap)
    return [c for c in found if c is not None]


def _not_checked(witnesses: Witnesses, planned: PlannedStep) -> Check | None:
    """Why the identity says nothing of a step; None if it does."""
    group = planned.link.step.group
    if planned.link.decreed:
        return Check("adjoint", "not_applicable", None, "decreed")
    if planned.problem is not None:
        return Check("adjoint", "not_applicable", None, "cannot_derive", {"what": planned.problem.message})
    if witnesses.r.stale & {group.output, *group.inputs}:
        return Check("adjoint", "not_applicable", None, "written")
    return None


def _pair(witnesses: Witnesses, planned: PlannedStep, sent: Sent) -> Sent:
    return sent if sent[0] is not None and sent[1] is not None else _by_rules(witnesses, planned)


def _by_rules(witnesses: Witnesses, planned: PlannedStep) -> Sent:
    """The step's vjp rules run on a random cotangent in float64, where no backward was recorded."""
    group = planned.link.step.group
    v = np.random.default_rng(3).normal(size=np.shape(witnesses.tape.values[group.output].array))
    return v, pull_back(witnesses.tape, witnesses.replay.values, group, v, planned.link.input)


def _gaps(
    witnesses: Witnesses, first: PlannedStep, steps: Sequence[PlannedStep], pairs: Sequence[Sent]
) -> list[list[check.Gap]]:
    """By how much the two sides differ for each of the steps, in every direction. All of them do what ``first`` does."""
    assert first.forward is not None
    link, like = first.link, [planned.link.step for planned in steps]
    found: list[list[check.Gap]] = [[] for _ in steps]
    for u in _directions(np.shape(witnesses.tape.values[link.input].array)):
        changed = witnesses.values.at_each(first.forward, link.step, like, link.step.out, **{TANGENT.name: u})
        for places, pushed in changed:
            v, product = (np.stack([np.asarray(pairs[k][side], np.float64) for k in places]) for side in (0, 1))
            for k, gap in zip(places, check.adjoint_gaps(v, pushed, product, u), strict=True):
                found[k].append(gap)
    return found


def _judged(witnesses: Witnesses, planned: PlannedStep, pair: Sent, gaps: list[check.Gap]) -> Check:
    tape, link = witnesses.tape, planned.link
    members = link.step.group.applied
    dtype = witnesses.coarsest(link.input, *(i for k in members for i in tape.applied[k].outputs))
    first = check.adjoint_check(gaps, dtype, 0.0)
    if first.status == "failed":
        floor = check.rounding_floor(dtype, [pair[0], *(s.cotangent for s in witnesses.sent_in(members))])
        first = check.adjoint_check(gaps, dtype, floor)
        if first.status == "failed" and dtype != "float64":
            first = _in_float64(witnesses, planned, pair, first, dtype, floor)
    return first if dtype == dtype_of(tape.values[link.input].array) else in_dtype(first, dtype)


def _in_float64(witnesses: Witnesses, planned: PlannedStep, pair: Sent, failed: Check, dtype: str, floor: float) -> Check:
    """The check of a step whose dtype may have too few digits for it."""
    link, like = planned.link, planned.like or planned
    values = {one.id: one.array for one in witnesses.tape.values}
    rerun = pull_back(witnesses.tape, values, link.step.group, pair[0], link.input)
    same = check.judged("adjoint", *check.gap_and_scale(rerun, pair[1]), FORMULA[dtype], floor)
    (gaps,) = _gaps(witnesses, like, [planned], [_by_rules(witnesses, planned)])
    return check.in_float64(failed, check.adjoint_check(gaps, "float64", 0.0), same)


@lru_cache(256)
def _directions(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The random changes that every step with an input of this shape is tried with."""
    stream = np.random.default_rng(2)
    return tuple([stream.normal(size=shape) for _ in range(DIRECTIONS)])
