"""The numbers of the steps' Jacobians, of those that are small enough to be written out."""

from __future__ import annotations

import numpy as np

from explain.derivation.plan import PlannedStep, together
from explain.derivation.witnesses import Witnesses

LITTLE = 16
"""A Jacobian with at most this many entries on either side is written out with its numbers, the larger ones with dots."""


def matrices(witnesses: Witnesses) -> list[np.ndarray | None]:
    """Of every step of the plan its Jacobian, a row per entry of the output and a column per entry of the input; None for
    one that is large, a single number, or without a formula."""
    steps = witnesses.plan.steps
    found: list[np.ndarray | None] = [None] * len(steps)
    little = [k for k, planned in enumerate(steps) if 1 < max(_sides(witnesses, planned)) <= LITTLE]
    for first, places in together(steps, little).items():
        link = first.link.like or first.link
        if link.jacobian is None:
            continue
        like = [steps[k].link.step for k in places]
        target = (*first.link.step.out, *first.link.target)
        for some, whole in witnesses.values.at_each(link.jacobian, link.step, like, target):
            for k, one in zip(some, whole, strict=True):
                found[places[k]] = one.reshape(_sides(witnesses, steps[places[k]]))
    return found


def _sides(witnesses: Witnesses, planned: PlannedStep) -> tuple[int, int]:
    values, link = witnesses.tape.values, planned.link
    return int(np.size(values[link.step.group.output].array)), int(np.size(values[link.input].array))
