"""The vjp rules of one step run once in float64: for a cotangent that no recorded backward has sent."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.derivation.steps import Group, needed
from explain.ops.registry import NUMERIC
from explain.tape.record import Tape


def pull_back(tape: Tape, values: dict[int, Any], group: Group, v: Any, wanted: int) -> Any:
    """Jᵀv of a step by its ops' own rules, at the float64 ``values``: the cotangent that reaches the input ``wanted``."""
    arrived: dict[int, Any] = {group.output: np.asarray(v, np.float64)[()]}
    total: Any = np.zeros(np.shape(values[wanted]))
    for k in reversed(group.applied):
        applied = tape.applied[k]
        upstream = [arrived.get(i) for i in applied.outputs]
        if all(g is None for g in upstream) or not applied.op.differentiable:
            continue
        several = applied.op.outputs > 1
        outputs = tuple(values[i] for i in applied.outputs)
        ins = [values[i] for i in applied.inputs]
        needs = tuple(_flows(tape, group, i) for i in applied.inputs)
        sent = applied.op.vjp(
            NUMERIC, needs, tuple(upstream) if several else upstream[0], outputs if several else outputs[0], *ins,
            **applied.options,
        )  # fmt: skip
        for i, need, g in zip(applied.inputs, needs, sent, strict=True):
            if not need or g is None:
                continue
            shape = np.shape(values[i])
            g = g if np.shape(g) == shape else NUMERIC.sum_to(np.asarray(g), shape=shape)
            if i == wanted:
                total = total + g
            if i not in group.inputs:
                arrived[i] = g if i not in arrived else arrived[i] + g
    return total


def pull_back_whole(tape: Tape, values: dict[int, Any], output: int, v: Any, wanted: int) -> Any:
    """Jᵀv from ``output`` to ``wanted`` by all ops' own rules in float64."""
    everything = tuple(needed(tape, output))
    inputs = tuple({i for k in everything for i in tape.applied[k].inputs if tape.values[i].source is None})
    return pull_back(tape, values, Group(everything, output, inputs), v, wanted)


def _flows(tape: Tape, group: Group, i: int) -> bool:
    array = np.asarray(tape.values[i].array)
    source = tape.values[i].source
    smooth = source is None or tape.applied[source[0]].op.differentiable
    return tape.values[i].number is None and array.dtype.kind == "f" and smooth
