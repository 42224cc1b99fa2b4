"""The graph of the tape: one Node per operation that somebody may want to differentiate."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from explain.ops.base import Op

if TYPE_CHECKING:
    from explain.tape.tensor import Tensor

next_sequence = count(1).__next__


class Freed:
    """Marks saved values that backward has freed."""


FREED: Any = Freed()


class Version:
    """How often the memory of a tensor was written in place; shared by all its views."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Node:
    """One operation in the graph, seen from backward.

    ``parents``: per input the node that made it (a leaf's accumulating node for leaves), None where no gradient flows.
    ``slots``: which output of its parent each input is. ``metas``: per input (shape, dtype), None for Python numbers.
    ``saved``: per input the saved tensor or number, None where the rule does not read it; FREED after backward; None as
    a whole if the rule reads nothing. ``versions``: the version of each saved tensor when it was saved, then of y.
    ``result``: the output that the rule reads, as (array or tuple of arrays, Version). ``leaf``: for an accumulating node.
    """

    __slots__ = (
        "__weakref__", "leaf", "metas", "op", "options", "out_metas", "parents", "result", "saved", "sequence", "slots",
        "versions",
    )  # fmt: skip

    op: Op
    options: dict[str, Any]
    parents: tuple[Node | None, ...]
    slots: tuple[int, ...] | None
    metas: tuple[Any, ...]
    out_metas: tuple[Any, ...]
    saved: Any
    versions: tuple[int, ...]
    result: Any
    sequence: int
    leaf: Tensor | None

    def name(self) -> str:
        """Torch's name of this backward node."""
        if self.leaf is not None:
            return "torch::autograd::AccumulateGrad"
        return self.op.grad_fn(tuple(meta and meta[0] for meta in self.metas), self.options)

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Per input (node, output index), (None, 0) where no gradient flows, as in torch."""
        slots = self.slots or (0,) * len(self.parents)
        return tuple((p, k if p is not None else 0) for p, k in zip(self.parents, slots, strict=True))

    def __repr__(self) -> str:
        return f"<{self.name().rpartition('::')[2]} object at {id(self):#x}>"


def accumulating(leaf: Tensor) -> Node:
    """The node at which a leaf's gradient arrives."""
    node = Node.__new__(Node)
    node.leaf = leaf
    node.parents = ()
    node.saved = node.slots = node.result = None
    node.versions = ()
    node.metas = ()
    node.options = {}
    node.out_metas = ((leaf.data.shape, leaf.data.dtype),)
    node.sequence = -next_sequence()  # below every operation: it is ready when all its consumers have run
    return node
