"""Forward mode: a product J u, carried through the steps' Jacobians and compared with what the program got."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.calculus.evaluate import evaluate
from explain.derivation import check
from explain.derivation.model import Check, Pushed
from explain.derivation.plan import TANGENT
from explain.derivation.replay import ROUNDINGS, STEP, Differences
from explain.derivation.values import dtype_of, numbers
from explain.derivation.witnesses import Witnesses
from explain.errors import CannotDerive


def pushed(witnesses: Witnesses) -> Pushed | None:
    """The product that the program asked for, with its checks; None if it asked for none."""
    request, names = witnesses.r, witnesses.plan.names
    if request.tangents is None or request.product is None:
        return None
    changes: dict[int, Any] = {i: np.asarray(u, np.float64)[()] for i, u in request.tangents.items()}
    given = tuple(changes)
    try:
        _push(witnesses, changes)
        problem = None
    except CannotDerive as found:
        problem = found
    dtype = dtype_of(request.product)
    floor = check.rounding_floor(dtype, list(changes.values()))
    special = sorted({kind for i in given if i in witnesses.plan.targets for kind in witnesses.special_kinds(i)})
    if problem is None:
        formula = check.formula_check(request.product, [changes[request.output]], dtype, floor, special)
    else:
        formula = Check("formula", "not_applicable", None, "cannot_derive", {"what": problem.message})
    differences = check.differences_check(request.product, _along(witnesses, given), dtype, floor, special)
    shown = {names[i]: a for i, a in changes.items() if i in names and i != request.output}
    return Pushed(shown, request.product, (formula, differences))


def _push(witnesses: Witnesses, changes: dict[int, Any]) -> None:
    """ẏ = Σ (∂y/∂x) ẋ over the inputs of every value, from the inputs to the output. The steps stand in the order of
    backward, in which everything that a value is used for comes before what it was made of."""
    tape, request = witnesses.tape, witnesses.r
    for planned in reversed(witnesses.plan.steps):
        link = planned.link
        made = link.step.group.output
        if planned.forward is None:
            raise link.problem or CannotDerive(f"{link.step.name}: no formula")
        tangent = changes.get(link.input, np.zeros(np.shape(tape.values[link.input].array)))
        part = evaluate(planned.forward, witnesses.values.arrays | {TANGENT.name: tangent}, numbers(link.step.out))
        changes[made] = changes[made] + part if made in changes else part
    if request.output not in changes:
        changes[request.output] = np.zeros(np.shape(request.product))


def _along(witnesses: Witnesses, given: tuple[int, ...]) -> Differences:
    """Central and one-sided differences of every entry of the output, along the change of all inputs together."""
    replay, tangents = witnesses.replay, witnesses.r.tangents
    assert tangents is not None
    moving = [i for i in given if i in replay.values]
    largest = max((float(np.max(np.abs(tangents[i]), initial=0.0)) for i in moving), default=0.0)
    reach = max((float(np.max(np.abs(replay.values[i]), initial=1.0)) for i in moving), default=1.0)
    h = STEP * max(1.0, reach) / (largest or 1.0)

    def at(t: float) -> np.ndarray:
        moved = {i: (replay.values[i] + t * np.asarray(tangents[i], np.float64))[()] for i in moving}
        return np.asarray(replay.at(moved), np.float64).ravel()

    below, middle, above = at(-h), at(0.0), at(h)
    noise = ROUNDINGS * np.maximum(np.abs(middle), np.max(np.abs(middle), initial=0.0)) / h
    return Differences(
        np.arange(middle.size), (above - below) / (2 * h), (middle - below) / h, (above - middle) / h, noise, ()
    )
