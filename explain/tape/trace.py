"""What a recorder knows while a program runs: every tensor's present value with its history, as long as somebody needs it.

A ``Trace`` leads to the ``Call`` that made it, and a call to the traces it read: the history hangs on the tensors and dies
with them, like the graph itself. ``freeze`` turns what one walk back needs into plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import ref

import numpy as np

from explain.errors import Place
from explain.ops.base import Op


class Trace:
    """The present value of one tensor, or a number or array that took part.

    ``array``: its entries when it was made (never written to later). ``number``: the literal if it is a Python number, or a
    nameless tensor of one. ``identity``: whether it is a nameless identity matrix.
    ``names``: what the program called it, in that order. ``source`` and ``slot``: the call that made it and which output
    it is, None for what the program brought in or cut off. ``origin``: of a detached value the name it had. ``order``
    rises with every trace and call. ``cut``: how the way back to what it was computed from was cut, if it was: detach or
    no_grad. ``derivative``: of the result of a differentiable gradient which walk gave it, and by
    what it was differentiated.
    """

    __slots__ = (
        "__weakref__", "array", "cut", "derivative", "grad_fn", "identity", "is_leaf", "names", "number", "order", "origin",
        "owner", "place", "requires_grad", "slot", "source",
    )  # fmt: skip

    array: Any
    number: int | float | None
    identity: bool
    names: list[str]
    place: Place | None
    requires_grad: bool
    is_leaf: bool
    source: Call | None
    slot: int
    grad_fn: str | None
    origin: str | None
    cut: str | None
    order: int
    owner: Any
    derivative: tuple[Walk, Trace] | None


class Call:
    """One op application. ``outputs``: weak references to the traces it made; ``results``: the arrays of all outputs if
    there are several. ``walk``: the walk in which it ran, where a gradient is differentiable itself."""

    __slots__ = ("grad_fn", "inputs", "op", "options", "order", "outputs", "place", "results", "walk")

    op: Op
    inputs: tuple[Trace, ...]
    outputs: tuple[ref[Trace], ...]
    results: tuple[Any, ...] | None
    options: dict[str, Any]
    place: Place | None
    grad_fn: str | None
    order: int
    walk: Walk | None


@dataclass(eq=False)
class Walk:
    """One backward call while it runs and after.

    ``roots``: where it started, with the seeds. ``wanted``: the traces whose gradients were asked for, None for all leaves.
    ``kind``: backward or grad. ``before``: what ``.grad`` of the leaves held. ``sent``: (call, input, cotangent) in the
    order walked. ``arrived``: the total at each trace. ``gradients``: the own contribution per leaf or wanted trace.
    ``hooked``: traces whose cotangent a hook replaced. ``retained``: computed tensors that kept their gradient. ``stale``:
    traces whose values were overwritten unseen before they were read. Of a Jacobian or Hessian there are the ``rows``
    instead, per wanted trace, of a product J u its ``tangents`` and the ``product``. ``order``: when it began.
    """

    kind: str
    roots: list[tuple[Trace, Any]]
    wanted: list[Trace] | None
    place: Place | None
    create_graph: bool = False
    before: dict[Trace, Any] = field(default_factory=dict)
    after: dict[Trace, Any] = field(default_factory=dict)
    sent: list[tuple[Call, int, Any]] = field(default_factory=list)
    arrived: dict[Trace, Any] = field(default_factory=dict)
    gradients: dict[Trace, Any] = field(default_factory=dict)
    hooked: list[Trace] = field(default_factory=list)
    retained: list[Trace] = field(default_factory=list)
    stale: list[Trace] = field(default_factory=list)
    rows: dict[Trace, Any] = field(default_factory=dict)
    tangents: list[Any] | None = None
    product: Any = None
    order: int = 0

    def cut(self) -> frozenset[Trace]:
        """Computed tensors that were differentiated by, as far as nothing behind them was: their history says nothing."""
        chosen = set(self.wanted or ())
        computed = [t for t in chosen if t.source is not None]
        return frozenset([t for t in computed if len(chosen) == 1 or not _behind(t) & chosen])


def _behind(trace: Trace) -> set[Trace]:
    """All that a tensor was computed from."""
    found: set[Trace] = set()
    todo = list(trace.source.inputs) if trace.source is not None else []
    while todo:
        t = todo.pop()
        if t not in found:
            found.add(t)
            todo += t.source.inputs if t.source is not None else ()
    return found


# frozen


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor or number that took part, frozen: see ``Trace``. ``source``: (application, output). ``entries``: what all
    entries of a nameless array are, or "eye" of an identity matrix, where formulas say that in place of a name.

    ``derivative``: (id of the output, id of what it was differentiated by) where the value is itself a gradient."""

    id: int
    array: Any
    number: int | float | None = None
    entries: int | float | Literal["eye"] | None = None
    names: tuple[str, ...] = ()
    place: Place | None = None
    requires_grad: bool = False
    is_leaf: bool = True
    source: tuple[int, int] | None = None
    grad_fn: str | None = None
    origin: str | None = None
    cut: str | None = None
    derivative: tuple[int, int] | None = None

    @property
    def name(self) -> str | None:
        """What the program called it first, None if it has no name."""
        return self.names[0] if self.names else None

    @property
    def literal(self) -> int | float | Literal["eye"] | None:
        """What formulas say in place of a name: a number, or "eye"; None where they say the name."""
        return self.number if self.entries is None else self.entries

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return np.shape(self.array)


@dataclass(frozen=True, eq=False)
class Applied:
    """One op application: ``inputs`` and ``outputs`` are value ids, ``options`` the op's keyword options. ``walk``: which
    of several walks it belongs to, None for the program's own."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    place: Place | None
    grad_fn: str | None
    walk: int | None = None


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
    hooked: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Tape:
    """All that one derivation needs. ``values[k].id == k``; ``applied`` stands in the order it ran."""

    values: tuple[Value, ...]
    applied: tuple[Applied, ...]
    backwards: tuple[Backward, ...]


@dataclass(frozen=True, eq=False)
class Frozen:
    """A tape and the ids that traces have in it."""

    tape: Tape
    ids: dict[Trace, int]


def freeze(ends: Iterable[Trace], walks: Sequence[Walk] = (), given: frozenset[Trace] = frozenset()) -> Frozen:
    """The history of ``ends`` as a tape, with the walks that started from them. ``given``: traces whose own history is left
    out."""
    traces, calls = _history([*ends, *(t for walk in walks for t, _ in walk.roots)], given)
    ordered = sorted(traces, key=lambda t: t.order)
    ids = {t: k for k, t in enumerate(ordered)}
    applied_ids = {call: k for k, call in enumerate(calls)}
    walk_ids = {walk: k for k, walk in enumerate(dict.fromkeys(c.walk for c in calls if c.walk is not None))}
    fillers: list[Value] = []
    applied = []
    for k, call in enumerate(calls):
        outputs = []
        for slot, reference in enumerate(call.outputs):
            trace = reference()
            if trace is not None and trace in ids:
                outputs.append(ids[trace])
            else:  # nobody reads it, but the op's formula may want to know what all outputs were
                array = call.results[slot] if call.results else None
                fillers.append(Value(len(ordered) + len(fillers), array, source=(k, slot)))
                outputs.append(fillers[-1].id)
        inputs = tuple([ids[t] for t in call.inputs])
        walk = None if call.walk is None else walk_ids[call.walk]
        applied.append(Applied(call.op, inputs, tuple(outputs), call.options, call.place, call.grad_fn, walk))
    arrays = {t for call in calls for t in call.inputs if t.number is not None and _as_array(t, call)}
    letters = {t for call in calls for t in call.inputs if (t in arrays or t.identity) and not _by_entries(t, call)}
    values = [_value(t, ids, applied_ids, t in given, t not in arrays, t not in letters) for t in ordered]
    backwards = tuple([_backward(walk, ids, applied_ids) for walk in walks])
    return Frozen(Tape((*values, *fillers), tuple(applied), backwards), ids)


def _history(ends: Iterable[Trace], given: frozenset[Trace]) -> tuple[set[Trace], list[Call]]:
    traces: set[Trace] = set()
    calls: set[Call] = set()
    todo = list(ends)
    while todo:
        trace = todo.pop()
        if trace in traces:
            continue
        traces.add(trace)
        if trace.derivative is not None and trace not in given:
            walk, wrt = trace.derivative
            todo += [wrt, *(root for root, _ in walk.roots)]  # a gradient is told by what it is the gradient of
        if trace.source is not None and trace not in given and trace.source not in calls:
            calls.add(trace.source)
            todo += trace.source.inputs
    return traces, sorted(calls, key=lambda c: c.order)


def _as_array(t: Trace, call: Call) -> bool:
    """Whether an op needs to know more of a tensor of one literal than the literal: it sums over its entries or moves them,
    or computes in a finer dtype, in which 0.1 as float32 is another number."""
    if not isinstance(t.array, np.ndarray | np.generic):
        return False
    made = call.outputs[0]()
    finer = made is not None and made.array.dtype.kind == "f" and made.array.dtype.itemsize > t.array.dtype.itemsize
    return (np.ndim(t.array) > 0 and not call.op.broadcasts) or (finer and float(np.ravel(t.array)[0]) != t.number)


def _by_entries(t: Trace, call: Call) -> bool:
    """Whether an op's formula asks for one entry after the other and takes each as a number."""
    exact = t.identity or float(np.ravel(t.array)[0]) == t.number
    return exact and (call.op.broadcasts or call.op.kind == "contraction") and hasattr(call.op, "formula")


def _value(t: Trace, ids: dict[Trace, int], applied: dict[Call, int], given: bool, literal: bool, by_entries: bool) -> Value:
    """``literal``: it may stand as a number; where an op sums over its entries or moves them it is an array.
    ``by_entries``: its entries may stand as numbers even there."""
    derivative = None
    if t.derivative is not None and not given:
        walk, wrt = t.derivative
        if len(walk.roots) == 1 and walk.roots[0][0] in ids and wrt in ids:
            derivative = (ids[walk.roots[0][0]], ids[wrt])
    return Value(
        id=ids[t],
        array=t.array,
        number=t.number if literal else None,
        entries=("eye" if t.identity else None if literal else t.number) if by_entries else None,
        names=tuple(t.names),
        place=t.place,
        requires_grad=t.requires_grad,
        is_leaf=t.is_leaf,
        source=None if t.source is None or given else (applied[t.source], t.slot),
        grad_fn=t.grad_fn,
        origin=t.origin,
        cut=t.cut,
        derivative=derivative,
    )


def _backward(walk: Walk, ids: dict[Trace, int], applied: dict[Call, int]) -> Backward:
    ((output, seed),) = walk.roots
    return Backward(
        output=ids[output],
        seed=seed,
        sent=tuple([Sent(applied[call], k, g) for call, k, g in walk.sent if call in applied]),
        arrived={ids[t]: g for t, g in walk.arrived.items() if t in ids},
        gradients={ids[t]: g for t, g in walk.gradients.items() if t in ids},
        hooked=tuple([ids[t] for t in walk.hooked if t in ids]),
    )


def calls_of(walk: Walk) -> list[Call]:
    """The operations that a walk went back over, in the order they ran."""
    return _history([t for t, _ in walk.roots], frozenset())[1]


def structure_of(walk: Walk) -> int:
    """A number that two walks share if they ran the same operations in the same places on tensors of the same names and
    shapes: steps of a training loop."""
    ends = [t for t, _ in walk.roots] + list(walk.wanted or ())
    cut = walk.cut()
    place: dict[Trace, int] = {}
    parts: list[Any] = [walk.kind, walk.place]
    todo = ends[::-1]
    while todo:  # in the order in which inputs stand: when a leaf was last written to does not count
        t = todo.pop()
        if t in place:
            parts.append(place[t])
            continue
        place[t] = len(place)
        known = (t.number, t.identity, t.names[0] if t.names else None, t.origin, t.requires_grad, t.is_leaf)
        parts.append((np.shape(t.array), getattr(getattr(t.array, "dtype", None), "char", None), *known))
        if t in cut:
            continue
        if t.derivative is not None:
            whole, wrt = t.derivative
            todo += [wrt, *(root for root, _ in whole.roots)]
        call = t.source
        if call is not None:
            options = tuple([(key, _plain(value)) for key, value in call.options.items() if not _picks(call, key)])
            parts.append((call.op.name, t.slot, options, call.place))
            todo += call.inputs[::-1]
    return hash(tuple(parts))


def _picks(call: Call, option: str) -> bool:
    """Whether an option says which entries of a constant are read: the batch ``X[k]`` is another in every turn."""
    return option == "index" and call.op.name == "index" and not call.inputs[0].requires_grad


def _plain(value: Any) -> Any:
    return np.shape(value) if isinstance(value, np.ndarray) else repr(value)
