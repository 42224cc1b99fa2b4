"""Recording: what ran, under which names, and every cotangent that backward sent.

Inside ``with record() as recorder`` every op application is kept, as long as the tensors that came from it live. Only this
mode keeps values; the plain tape frees them as backward goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from weakref import ref

import numpy as np

from explain.errors import Place
from explain.ops.base import Op
from explain.tape import modes
from explain.tape.node import FREED, Node
from explain.tape.tensor import Tensor
from explain.tape.trace import Applied, Backward, Call, Frozen, Sent, Tape, Trace, Value, Walk, freeze

__all__ = ["Applied", "Backward", "Frozen", "Recorder", "Sent", "Tape", "Trace", "Value", "Walk", "freeze", "record"]


class Recorder:
    """Collects. ``place`` is where in the reader's text the next application stands; ``locate`` finds it where it is not
    known beforehand. ``walks``: the backward calls so far; ``keep`` decides what becomes of each."""

    def __init__(self, locate: Callable[[], Place | None] | None = None) -> None:
        self.place: Place | None = None
        self.locate = locate or (lambda: self.place)
        self.walks: list[Walk] = []
        self.keep: Callable[[Walk], None] = self.walks.append
        self._walk: Walk | None = None
        self._last: Walk | None = None
        self._sent_to: dict[int, Trace] = {}
        self._silent = self._uncut = 0
        self._next = count().__next__

    def now(self) -> int:
        """A number that rises with everything that happens."""
        return self._next()

    # traces

    def trace(self, thing: Any) -> Trace:
        """The trace of a tensor's present value; what was not seen before enters as brought in by the program."""
        if not isinstance(thing, Tensor):
            return self._made(thing)
        try:
            trace: Trace = thing.record
        except AttributeError:
            return self._found(thing) or self._entered(thing)
        if trace.owner is not self:
            return self._found(thing) or self._entered(thing)
        if trace.array is thing.array or _same_number(trace.array, thing.array):
            return trace
        again = self._entered(thing)  # written to behind the tape's back, through .data or an array
        again.names = list(trace.names)
        return again

    def name(self, tensor: Tensor, name: str) -> None:
        """The program calls this tensor ``name``."""
        trace = self.trace(tensor)
        if name not in trace.names:
            trace.names.append(name)
            trace.number, trace.identity = None, False
        if not trace.requires_grad and trace.source is not None and not self._uncut:
            trace.source = None  # a constant under a name of its own: nobody asks how it was computed

    def path(self, parameter: Tensor, path: str) -> None:
        """A module under a name holds the parameter: ``net.fc.weight`` goes before ``fc.weight`` and ``weight``."""
        names = self.trace(parameter).names
        if not names or path.endswith(f".{names[0]}"):
            names.insert(0, path)

    def _made(self, thing: Any) -> Trace:
        trace = Trace()
        trace.array = thing
        trace.number = thing if isinstance(thing, int | float) and not isinstance(thing, np.generic) else None
        trace.identity = False
        trace.names = []
        trace.place = None
        trace.requires_grad = False
        trace.is_leaf = True
        trace.source = trace.grad_fn = trace.origin = trace.cut = trace.derivative = None
        trace.slot = 0
        trace.order = self._next()
        trace.owner = self
        return trace

    def constant(self, array: Any) -> Trace:
        """The trace of an array that no tensor holds."""
        return self._made(array)

    def computed(self, op: Op, inputs: tuple[Trace, ...], array: Any) -> Trace:
        """The trace of a result that nobody computed on the tape: an op of one output on traces."""
        trace = self._made(array)
        trace.requires_grad, trace.is_leaf = True, False
        call = Call()
        call.op, call.inputs, call.options, call.place = op, inputs, {}, None
        call.grad_fn, call.order, call.walk, call.results = None, self._next(), None, None
        call.outputs = (ref(trace),)
        trace.source = call
        trace.order = self._next()
        return trace

    def _entered(self, tensor: Tensor) -> Trace:
        foreign = tensor.memory is not None and tensor.memory.foreign
        trace = self._made(np.array(tensor.array)[()] if foreign else tensor.array)
        trace.place = self.locate()
        trace.requires_grad = tensor.tracked
        trace.is_leaf = tensor.node is None
        trace.grad_fn = tensor.node.name() if tensor.node is not None else None
        literal = getattr(tensor, "literal", None)
        if literal is not None and not tensor.tracked and np.size(tensor.array):
            if literal == "eye":
                trace.identity = bool(np.array_equal(tensor.array, np.eye(*tensor.array.shape)))
            elif np.all(tensor.array == literal):
                trace.number = literal
        tensor.record = trace
        version = tensor.version
        if version.recorded is None:
            version.recorded = []
        version.recorded.append(ref(trace))
        return trace

    def _found(self, tensor: Tensor) -> Trace | None:
        """The trace of another tensor that stands for the same result: a saved output as a rule gets it back."""
        call: Call | None = getattr(tensor.node, "call", None)
        if call is None:
            return None
        trace = call.outputs[tensor.slot]()
        if trace is None or trace.owner is not self or not _same_entries(trace.array, tensor.array):
            return None
        tensor.record = trace
        return trace

    def before_write(self, tensor: Tensor) -> None:
        """The memory of ``tensor`` is about to be overwritten: what was recorded from it is kept as copies."""
        version = tensor.version
        for seen in version.kin or (version,):
            if seen.recorded is None:
                continue
            for reference in seen.recorded:
                trace = reference()
                if trace is not None:
                    trace.array = np.array(trace.array)[()]
            seen.recorded = None

    def same(self, tensor: Tensor, source: Tensor) -> None:
        """``tensor`` is what the program knows as ``source``: it goes by its names, stands where that was made, and
        nobody cut it off."""
        known, trace = self.trace(source), self.trace(tensor)
        trace.names = list(known.names) or ([known.origin] if known.origin else [])
        trace.cut = None
        if trace.source is None:
            trace.place = known.place

    def replaced(self, tensor: Tensor, result: Tensor) -> None:
        """``tensor`` was written in place and now stands for ``result``, which was recorded; it keeps its names."""
        before, after = self.trace(tensor), self.trace(result)
        after.names = list(before.names)
        after.requires_grad = tensor.tracked
        after.is_leaf = tensor.node is None
        after.grad_fn = tensor.node.name() if tensor.node is not None else None
        after.array = tensor.array
        if after.is_leaf:
            after.source = None  # an optimizer's step: a leaf has no history
        tensor.record = after
        version = tensor.version
        version.recorded = [*(version.recorded or ()), ref(after)]

    def detached(self, tensor: Tensor, source: Tensor) -> None:
        """``tensor`` holds the values of ``source`` without its history."""
        before = self.trace(source)
        trace = self._entered(tensor)
        trace.origin = before.names[0] if before.names else before.origin
        trace.cut = "detach" if before.requires_grad else None

    def applied(
        self, op: Op, ins: tuple[Any, ...], arrays: list[Any], options: dict[str, Any], outs: tuple[Any, ...], node: Any
    ) -> None:
        """An op ran. A number is recorded as its literal, an array as it is."""
        call = Call()
        call.op = op
        call.inputs = tuple([self.trace(t) for t in ins])
        call.options = options
        call.place = self.locate()
        call.grad_fn = node and node.name()
        call.order = self._next()
        call.walk = self._walk
        traces = [self._entered(t) for t in outs]
        # without a gradient although an input has one: no_grad, and what came before is of no consequence
        cut = op.differentiable and node is None and any(t.requires_grad for t in call.inputs) and not self._uncut
        for slot, trace in enumerate(traces):
            trace.place = call.place
            trace.source = None if cut else call
            trace.cut = "no_grad" if cut else None
            trace.slot = slot
        call.outputs = tuple([ref(t) for t in traces])
        call.results = tuple([t.array for t in traces]) if len(traces) > 1 else None
        if node is not None:
            node.call = call

    # walks

    @contextmanager
    def silently(self) -> Iterator[None]:
        """Walks inside the block are not kept: they are part of something that is reported as a whole."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    @contextmanager
    def uncut(self) -> Iterator[None]:
        """Inside the block history is kept although no gradients are recorded: the forward of a custom Function."""
        self._uncut += 1
        try:
            yield
        finally:
            self._uncut -= 1

    def backward_begins(
        self, kind: str, roots: list[tuple[Tensor, Any]], wanted: list[Tensor] | None, create_graph: bool
    ) -> Walk | None:
        """A backward call starts from ``roots``, pairs of a tensor and its cotangent. Returns the walk if it is kept."""
        if self._silent:
            return None
        seeds = [(self.trace(t), _data(seed)) for t, seed in roots]
        asked = None if wanted is None else [self.trace(t) for t in wanted]
        self._sent_to.clear()
        self._walk = Walk(kind, seeds, asked, self.locate(), create_graph, order=self._next())
        return self._walk

    def started(self, seed: Tensor) -> None:
        """A differentiable walk starts from this cotangent, which nobody gave: the number 1."""
        if seed.array.size == 1:
            self.trace(seed).number = 1

    def arrived(self, end: Node | Tensor, g: Any) -> None:
        """The total cotangent ``g`` of a leaf or of a node's output (a list for several outputs) is complete."""
        walk = self._walk
        if walk is None:
            return
        if isinstance(end, Tensor):
            leaf = self._sent_to.get(id(end)) or self.trace(end)
            walk.arrived[leaf] = walk.gradients[leaf] = np.array(_data(g))
            if leaf not in walk.before:
                walk.before[leaf] = None if end.gradient is None else np.array(end.gradient.array)
            return
        call = getattr(end, "call", None)
        if call is None:
            return
        walk.stale += _overwritten(end, call)
        for reference, part in zip(call.outputs, g if isinstance(g, list) else [g], strict=True):
            trace = reference()
            if part is not None and trace is not None:
                walk.arrived[trace] = np.array(_data(part))

    def sent(self, node: Node, position: int, g: Any) -> None:
        """A node's rule gave the cotangent ``g`` for its input at ``position``."""
        call = getattr(node, "call", None)
        if self._walk is not None and call is not None:
            self._walk.sent.append((call, position, np.array(_data(g))))
            parent = node.parents[position]
            if isinstance(parent, Tensor):  # as it was when it was used, whatever was written to it since
                self._sent_to[id(parent)] = call.inputs[position]

    def hooked(self, end: Node | Tensor, slots: list[int]) -> None:
        """Hooks replaced the cotangents of a leaf, or of these outputs of a node."""
        walk = self._walk
        if walk is None:
            return
        if isinstance(end, Tensor):
            walk.hooked.append(self.trace(end))
            return
        call = getattr(end, "call", None)
        traces = [call.outputs[slot]() for slot in slots] if call is not None else []
        walk.hooked += [t for t in traces if t is not None]

    def retained(self, node: Node, slots: Iterable[int]) -> None:
        """These outputs of a node keep their gradients in ``.grad``."""
        call = getattr(node, "call", None)
        if self._walk is not None and call is not None:
            self._walk.retained += [t for slot in slots if (t := call.outputs[slot]()) is not None]

    def backward_ends(self, targets: list[tuple[Tensor, Any]]) -> None:
        """The backward call is done. ``targets``: what was differentiated by, with the gradients that came out."""
        walk, self._walk = self._walk, None
        if walk is None:
            return
        for wrt, g in targets:
            if g is not None:
                walk.gradients[self.trace(wrt)] = np.array(_data(g))
        self._last = walk
        self.keep(walk)

    def results(self, results: list[tuple[Tensor, Tensor | None]]) -> None:
        """The tensors that the walk just ended gave to the program: gradients that may be differentiated again."""
        walk, self._last = self._last, None
        if walk is not None and walk.create_graph:
            for wrt, g in results:
                if g is not None:
                    self.trace(g).derivative = (walk, self.trace(wrt))

    def reported(
        self,
        kind: str,
        output: Tensor,
        by: list[Tensor],
        rows: list[Tensor] | None,
        tangents: Any = None,
        product: Any = None,
    ) -> None:
        """A Jacobian (or Hessian, or a product J u) of ``output`` was computed: ``rows`` per tensor in ``by``."""
        if self._silent:
            return
        wanted = [self.trace(t) for t in by]
        walk = Walk(kind, [(self.trace(output), None)], wanted, self.locate(), order=self._next())
        if rows is not None:
            walk.rows = {t: np.array(r.array) for t, r in zip(wanted, rows, strict=True)}
        if tangents is not None and product is not None:
            walk.tangents = [np.array(t.array) for t in tangents]
            walk.product = np.array(product.array)
        self.keep(walk)

    def backward_failed(self) -> None:
        """The backward call raised: nothing of it is kept."""
        self._walk = None


def _data(g: Any) -> Any:
    return g.array if isinstance(g, Tensor) else g


def _same_number(a: Any, b: Any) -> bool:
    """Whether a fresh 0-d result is the same number as before: it became an array when somebody looked into it."""
    return np.ndim(a) == 0 == np.ndim(b) and (bool(a == b) or bool(a != a and b != b))


def _overwritten(node: Node, call: Call) -> list[Trace]:
    """The inputs and the result of a call whose rule now reads other entries than the call did."""
    found = []
    if node.saved and node.saved is not FREED:
        for value, trace in zip(node.saved, call.inputs, strict=False):
            if isinstance(value, Tensor) and not _same_entries(value.array, trace.array):
                found.append(trace)
    if node.result is not None and node.outputs == 1:
        result = call.outputs[0]()
        if result is not None and not _same_entries(node.result[0], result.array):
            found.append(result)
    return found


def _same_entries(a: Any, b: Any) -> bool:
    return a is b or (np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


@contextmanager
def record(locate: Callable[[], Place | None] | None = None) -> Iterator[Recorder]:
    """Record everything that tensors of this thread do inside the block. Floating-point warnings are silent inside."""
    recorder = Recorder(locate)
    with recording(recorder):
        yield recorder


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Go on with a recorder inside the block."""
    before, modes.state.recorder = modes.state.recorder, recorder
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        modes.state.recorder = before
