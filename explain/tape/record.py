"""Recording: what ran, under which names, and every cotangent that backward sent, as frozen data for a derivation.

Inside ``with record() as recorder`` every op application is kept in order. ``recorder.tape()`` freezes it. Only this
mode keeps values; the plain tape frees them as backward goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explain.errors import Place
from explain.ops.base import Op
from explain.tape import modes
from explain.tape.node import Node, Version
from explain.tape.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor or number that took part.

    ``array``: its entries when it was made (never written to later). ``number``: the literal if it is a Python number.
    ``source``: the application that made it and which output it is, None for what the program brought in.
    """

    id: int
    array: Any
    number: int | float | None = None
    name: str | None = None
    place: Place | None = None
    requires_grad: bool = False
    is_leaf: bool = True
    source: tuple[int, int] | None = None
    grad_fn: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return np.shape(self.array)


@dataclass(frozen=True, eq=False)
class Applied:
    """One op application: ``inputs`` and ``outputs`` are value ids, ``options`` the op's keyword options."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    place: Place | None
    grad_fn: str | None


@dataclass(frozen=True, eq=False)
class Sent:
    """One edge of backward: application ``applied`` sent ``cotangent`` to its ``input``-th input."""

    applied: int
    input: int
    cotangent: Any


@dataclass(frozen=True, eq=False)
class Backward:
    """One backward call: the output's value id, the seed, all edges in the order walked, the total that arrived at each
    value, and each leaf's own contribution to ``.grad`` in this call."""

    output: int
    seed: Any
    sent: tuple[Sent, ...]
    arrived: dict[int, Any]
    gradients: dict[int, Any]


@dataclass(frozen=True, eq=False)
class Tape:
    """Everything that was recorded. ``values[k].id == k``; ``applied`` stands in the order it ran."""

    values: tuple[Value, ...]
    applied: tuple[Applied, ...]
    backwards: tuple[Backward, ...]


@dataclass
class _Walk:
    output: int
    seed: Any
    sent: list[Sent] = field(default_factory=list)
    arrived: dict[int, Any] = field(default_factory=dict)
    gradients: dict[int, Any] = field(default_factory=dict)


class Recorder:
    """Collects; ``place`` is where in the reader's text the next application stands."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self._values: list[dict[str, Any]] = []
        self._ids: dict[int, int] = {}
        self._alive: list[Tensor] = []
        self._in_memory: dict[Version, list[int]] = {}
        self._applied: list[Applied] = []
        self._nodes: dict[Node, int] = {}
        self._walk: _Walk | None = None
        self._backwards: list[Backward] = []

    def value_id(self, tensor: Any) -> int:
        """The id of a tensor's present value; tensors (and arrays) not seen before enter as given from outside."""
        key = id(tensor)
        if key not in self._ids or not isinstance(tensor, Tensor):
            return self._enter(tensor)
        return self._ids[key]

    def name(self, tensor: Tensor, name: str) -> None:
        """The program calls this tensor ``name`` (its first name stays)."""
        known = self._values[self.value_id(tensor)]
        known["name"] = known["name"] or name

    def _enter(self, thing: Any, source: tuple[int, int] | None = None) -> int:
        number = thing if isinstance(thing, int | float) else None
        tensor = isinstance(thing, Tensor)
        found = {
            "id": len(self._values),
            "array": thing.array if tensor else thing,
            "number": number,
            "name": None,
            "place": self.place,
            "requires_grad": tensor and thing.tracked,
            "is_leaf": not tensor or thing.is_leaf,
            "source": source,
            "grad_fn": thing.node.name() if tensor and thing.node is not None else None,
        }
        self._values.append(found)
        if tensor:
            self._ids[id(thing)] = found["id"]
            self._alive.append(thing)
            self._in_memory.setdefault(thing.version, []).append(found["id"])
        return found["id"]

    def before_write(self, tensor: Tensor) -> None:
        """The memory of ``tensor`` is about to be overwritten: what was recorded from it is kept as copies."""
        for value in self._in_memory.pop(tensor.version, ()):
            self._values[value]["array"] = np.array(self._values[value]["array"])

    def replaced(self, tensor: Tensor, result: Tensor) -> None:
        """``tensor`` was written in place and now stands for ``result``, which was recorded; it keeps its name."""
        before = self._values[self.value_id(tensor)]
        after = self._values[self.value_id(result)]
        after["name"] = before["name"]
        after["requires_grad"] = tensor.tracked
        after["is_leaf"] = tensor.is_leaf
        after["grad_fn"] = tensor.node.name() if tensor.node is not None else None
        self._ids[id(tensor)] = after["id"]

    def applied(
        self, op: Op, ins: tuple[Any, ...], arrays: list[Any], options: dict[str, Any], outs: tuple[Any, ...], node: Any
    ) -> None:
        """An op ran. A number is recorded as its literal, an array as it is."""
        inputs = tuple(self.value_id(t) for t in ins)
        index = len(self._applied)
        outputs = tuple(self._enter(t, (index, k)) for k, t in enumerate(outs))
        if node is not None:
            self._nodes[node] = index
        self._applied.append(Applied(op, inputs, outputs, options, self.place, node and node.name()))

    def backward_begins(self, output: Tensor, seed: Any) -> None:
        """A backward call starts from ``output`` with the cotangent ``seed``."""
        self._walk = _Walk(self.value_id(output), seed.array if isinstance(seed, Tensor) else seed)

    def arrived(self, end: Node | Tensor, g: Any) -> None:
        """The total cotangent ``g`` of a leaf or of a node's output (a list for several outputs) is complete."""
        walk = self._walk
        if walk is None:
            return
        if isinstance(end, Tensor):
            leaf = self.value_id(end)
            walk.arrived[leaf] = walk.gradients[leaf] = np.array(_data(g))
        elif end in self._nodes:
            outputs = self._applied[self._nodes[end]].outputs
            for value, part in zip(outputs, g if isinstance(g, list) else [g], strict=True):
                if part is not None:
                    walk.arrived[value] = np.array(_data(part))

    def sent(self, node: Node, position: int, g: Any) -> None:
        """A node's rule gave the cotangent ``g`` for its input at ``position``."""
        if self._walk is not None and node in self._nodes:
            self._walk.sent.append(Sent(self._nodes[node], position, np.array(_data(g))))

    def backward_ends(self) -> None:
        """The backward call is done."""
        walk, self._walk = self._walk, None
        if walk is not None:
            self._backwards.append(Backward(walk.output, walk.seed, tuple(walk.sent), walk.arrived, walk.gradients))

    def tape(self) -> Tape:
        """All that was recorded so far, frozen."""
        return Tape(tuple(Value(**v) for v in self._values), tuple(self._applied), tuple(self._backwards))


def _data(g: Any) -> Any:
    return g.array if isinstance(g, Tensor) else g


@contextmanager
def record() -> Iterator[Recorder]:
    """Record everything that tensors of this thread do inside the block. Floating-point warnings are silent inside."""
    recorder = Recorder()
    before, modes.state.recorder = modes.state.recorder, recorder
    try:
        with np.errstate(all="ignore"):
            yield recorder
    finally:
        modes.state.recorder = before
