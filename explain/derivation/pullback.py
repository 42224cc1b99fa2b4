"""The ops' own vjp rules run over a tape that is plain data: for a cotangent that no recorded backward has sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from explain.derivation.steps import Group, needed
from explain.ops.base import numpy_dtype
from explain.ops.registry import NUMERIC
from explain.tape.record import Backward, Sent, Tape

Values = dict[int, Any]


def pull_back(tape: Tape, values: Values, group: Group, v: Any, wanted: int) -> Any:
    """Jᵀv of a step by its ops' own rules, at ``values``: the cotangent that reaches the input ``wanted``."""
    v = np.asarray(v).astype(np.asarray(values[group.output]).dtype)[()]
    sent, _ = _walked(tape, values, group.applied, group.output, v, lambda i: i in group.inputs)
    total: Any = np.zeros(np.shape(values[wanted]))
    for s in sent:
        if tape.applied[s.applied].inputs[s.input] == wanted:
            total = total + s.cotangent
    return total


def pull_back_whole(tape: Tape, values: Values, output: int, v: Any, wanted: int) -> Any:
    """Jᵀv from ``output`` to ``wanted`` by all ops' own rules in float64."""
    everything = tuple(needed(tape, output))
    inputs = tuple({i for k in everything for i in tape.applied[k].inputs if tape.values[i].source is None})
    return pull_back(tape, values, Group(everything, output, inputs), v, wanted)


def walk_back(tape: Tape, output: int, seed: Any, wanted: Sequence[int]) -> Backward:
    """The backward call that nobody made: from ``output`` with the cotangent ``seed``, in the tape's own dtypes."""
    values = {v.id: v.array for v in tape.values}
    sent, arrived = _walked(tape, values, needed(tape, output), output, seed, lambda i: False, _tracked)
    return Backward(output, seed, tuple(sent), arrived, {i: arrived[i] for i in wanted if i in arrived})


def _walked(
    tape: Tape, values: Values, order: Sequence[int], output: int, v: Any, is_end: Callable[[int], bool],
    flows: Callable[[Tape, int], bool] | None = None,
) -> tuple[list[Sent], Values]:  # fmt: skip
    """What every application in ``order`` sends, the last first, and the totals. From an end nothing goes on. ``flows``:
    whether a gradient is sent to a value."""
    flows = flows or _smooth
    arrived: Values = {output: v}
    sent = []
    for k in reversed(order):
        applied = tape.applied[k]
        upstream = [None if is_end(i) and i != output else arrived.get(i) for i in applied.outputs]
        if all(g is None for g in upstream) or not applied.op.differentiable:
            continue
        several = len(applied.outputs) > 1
        outputs = tuple([values[i] for i in applied.outputs])
        ins = [_operand(tape, values, i, outputs[0]) for i in applied.inputs]
        needs = tuple([flows(tape, i) for i in applied.inputs])
        found = applied.op.vjp(
            NUMERIC, needs, upstream if several else upstream[0], outputs if several else outputs[0], *ins,
            **applied.options,
        )  # fmt: skip
        for position, (i, need, g) in enumerate(zip(applied.inputs, needs, found, strict=True)):
            if not need or g is None:
                continue
            g = _conformed(g, values[i])
            sent.append(Sent(k, position, g))
            arrived[i] = g if i not in arrived else arrived[i] + g
    return sent, arrived


def _operand(tape: Tape, values: Values, i: int, y: Any) -> Any:
    """An input as the rule gets it: a Python number in the dtype of the result."""
    return values[i] if tape.values[i].number is None else np.asarray(values[i]).astype(numpy_dtype(y))[()]


def _conformed(g: Any, x: Any) -> Any:
    if np.shape(g) != np.shape(x):
        g = NUMERIC.sum_to(np.asarray(g), shape=np.shape(x))
    dtype = numpy_dtype(x)
    return g if numpy_dtype(g) == dtype else np.asarray(g).astype(dtype)[()]


def _tracked(tape: Tape, i: int) -> bool:
    return tape.values[i].requires_grad


def _smooth(tape: Tape, i: int) -> bool:
    """Whether a gradient can go through a value: a floating one that no jump made."""
    value = tape.values[i]
    smooth = value.source is None or tape.applied[value.source[0]].op.differentiable
    return value.number is None and np.asarray(value.array).dtype.kind == "f" and smooth
