"""The history of a result that nobody recorded, told afterwards from its graph: forward runs again, node by node.

An ordinary graph keeps no values but those that a rule reads; leaves, constants and the operations themselves are there, so
all others can be computed again. What was overwritten since cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from explain.errors import CannotDerive
from explain.tape.apply import apply
from explain.tape.modes import no_grad
from explain.tape.node import Node
from explain.tape.record import Recorder, recording
from explain.tape.tensor import Tensor, wrap
from explain.tape.trace import Call, Trace

CHANGED = "a value on the way was overwritten after it was used"
RECORD = "Run the computation inside `with explain.record():`, which keeps what each step saw."


@dataclass(frozen=True, eq=False)
class History:
    """``output``: the trace of the result; ``made``: by node and slot; ``leaves``: by leaf; ``given``: by the id of a tensor
    that took part without a gradient. ``recorder`` owns them all."""

    output: Trace
    made: dict[tuple[Node, int], Trace]
    leaves: dict[Tensor, Trace]
    given: dict[int, Trace]
    recorder: Recorder

    def of(self, tensor: Tensor) -> Trace | None:
        """The trace of a tensor that took part; None if it did not."""
        if tensor.node is not None:
            return self.made.get((tensor.node, tensor.slot))
        return self.leaves.get(tensor) or self.given.get(id(tensor))


def history_of(out: Tensor) -> History:
    """The history of ``out``, as if it had been recorded, without places. Raises CannotDerive where a value is lost."""
    recorder = Recorder()
    again = _Again(recorder)
    with recording(recorder), recorder.uncut(), no_grad():
        for node in _ordered(out):
            again.run(node)
        stands = again.tensor(out.node if out.node is not None else out, out.slot)
        trace = recorder.trace(stands)
    if not np.array_equal(np.asarray(stands.array), np.asarray(out.array), equal_nan=out.array.dtype.kind == "f"):
        raise CannotDerive(CHANGED, hint=RECORD)
    made = {key: recorder.trace(t) for key, t in again.made.items()}
    leaves = {leaf: recorder.trace(t) for leaf, t in again.leaves.items()}
    given = {key: recorder.trace(t) for key, t in again.given.items()}
    return History(trace, made, leaves, given, recorder)


class _Again:
    """Runs nodes again. ``made``, ``leaves``, ``given``: the tensors that stand for the program's own."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.made: dict[tuple[Node, int], Tensor] = {}
        self.leaves: dict[Tensor, Tensor] = {}
        self.given: dict[int, Tensor] = {}

    def run(self, node: Node) -> None:
        if not node.op.repeatable:
            raise CannotDerive(f"{node.op.name}: its forward ran without being recorded", hint=RECORD)
        ins = tuple([self._input(node, k) for k in range(len(node.parents))])
        outs = apply(node.op, ins, node.options)
        call: Call | None = None
        for slot, t in enumerate(outs if isinstance(outs, tuple) else (outs,)):
            trace = self.recorder.trace(t)
            if t.array.dtype.kind == "f":
                trace.requires_grad, trace.is_leaf, trace.grad_fn = True, False, node.name()
            call = trace.source or call
            self.made[node, slot] = t
        if call is not None:
            call.grad_fn = node.name()

    def tensor(self, end: Any, slot: int) -> Tensor:
        if isinstance(end, Node):
            return self.made[end, slot]
        table, key = (self.leaves, end) if end.tracked else (self.given, id(end))
        if key not in table:
            table[key] = t = wrap(end.array)  # type: ignore[index]
            self.recorder.trace(t).requires_grad = end.tracked
        return table[key]  # type: ignore[index]

    def _input(self, node: Node, k: int) -> Any:
        parent = node.parents[k]
        if parent is not None:
            return self.tensor(parent, node.slots[k] if node.slots else 0)
        kept = node.untracked[k] if isinstance(node.untracked, tuple) else node.untracked
        if not isinstance(kept, Tensor):
            return kept
        if kept.memory is not None and kept.memory.count:
            raise CannotDerive(CHANGED, hint=RECORD)
        return self.tensor(kept, 0)


def _ordered(out: Tensor) -> list[Node]:
    """All nodes behind a result, in the order they ran."""
    found: set[Node] = set()
    todo = [out.node] if out.node is not None else []
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [p for p in node.parents if isinstance(p, Node)]
    return sorted(found, key=lambda n: -n.rank)
