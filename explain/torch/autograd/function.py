"""``torch.autograd.Function``: a forward of the program's own with a backward of the program's own.

The tape sees one operation whose rule is the author's ``backward``. What the forward computed is kept beside it while
somebody records, so that a derivation can say what the true derivative is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import NO_OPTIONS, Op
from explain.ops.registry import REGISTRY
from explain.tape.apply import TAPED
from explain.tape.modes import enable_grad, no_grad, state
from explain.tape.node import FREED, Node, next_rank
from explain.tape.record import Recorder, Trace, freeze
from explain.tape.saved import SECOND_BACKWARD, modified
from explain.tape.tensor import Tensor, alias, wrap
from explain.tape.trace import Tape
from explain.tape.views import mark_view

Ids = tuple[int | None, ...]
NO_BACKWARD = (
    "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
)
LEGACY = (
    "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with "
    "static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
)


class FunctionCtx:
    """What ``forward`` leaves for ``backward``."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._saved: list[Tensor | None] = []
        self._versions: list[int] = []
        self._outputs: dict[int, Tensor] = {}
        self._node: Node | None = None
        self.non_differentiable: tuple[Tensor, ...] = ()
        self.dirty_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward. What they are is looked at when forward is done."""
        self._saved = list(tensors)

    def finished(self) -> None:
        """Forward is done. Raises torch's TypeError if it saved anything else than tensors."""
        for k, t in enumerate(self._saved):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument {k} is of type {type(t).__name__}")
        self._versions = [0 if t is None else t._version for t in self._saved]

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was saved. Raises torch's RuntimeErrors if it was freed or written to since."""
        if self._node is not None and self._node.saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        found = []
        for t, then in zip(self._saved, self._versions, strict=True):
            if t is not None:
                t = self._outputs.get(id(t), t)
                if t._version != then:
                    raise modified(t.array, t._version, then, t.node)
            found.append(t)
        return tuple(found)

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """These outputs get no gradient."""
        self.non_differentiable = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """These inputs were written to in place."""
        self.dirty_tensors = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients come as zeros (the default) or as None."""
        self.materialize_grads = value


class CustomOp(Op):
    """One application of a Function as an operation. ``inner``: while somebody records, what its forward computed, as a tape
    with the ids of the inputs and outputs in it; ``decree``: the same of its backward, with the ids of the upstreams, of
    the gradients that it gave, and of the inputs and outputs as far as it read them. ``seen``: their traces."""

    kind = rule = "custom"
    tensor_names: tuple[str, ...] = ()
    variadic = True
    special: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, function: type[Function], ctx: FunctionCtx, tensors: tuple[bool, ...], count: int) -> None:
        # an op of one moment, not of the library: none of Op's bookkeeping
        self.name = function.__name__
        self.backward_name = f"{function.__name__}Backward"
        self.function = function
        self.ctx = ctx
        self.tensors = tensors  # per argument whether it is a tensor
        self.outputs = count
        self.option_defaults = {}
        self.reads_result = False
        self.inner: tuple[Tape, tuple[int, ...], tuple[int, ...]] | None = None
        self.decree: tuple[Tape, tuple[int, ...], Ids, Ids, Ids] | None = None
        self.seen: tuple[list[Trace], list[Trace]] = ([], [])

    @property
    def repeatable(self) -> bool:  # type: ignore[override]
        """What forward computed was recorded."""
        return self.inner is not None

    def forward(self, *arrays: Any) -> Any:
        """What forward computed, again, for other entries of the inputs: the recorded operations one by one."""
        if self.inner is None:
            raise RuntimeError(f"{self.name}: nothing was recorded")
        tape, given, outputs = self.inner
        values: dict[int, Any] = {v.id: v.array for v in tape.values if v.source is None}
        values.update(zip(given, arrays, strict=True))
        for applied in tape.applied:
            found = applied.op.forward(*(values[i] for i in applied.inputs), **applied.options)
            values.update(zip(applied.outputs, found if isinstance(found, tuple) else (found,), strict=True))
        results = tuple([values[i] for i in outputs])
        return results if self.outputs > 1 else results[0]

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, *ins: Any) -> Any:
        """The author's backward."""
        function, ctx, node = self.function, self.ctx, self.ctx._node
        assert node is not None
        backward = function.__dict__.get("backward") or getattr(function, "vjp", None) or function.backward
        upstream = [self._upstream(part, k, node) for k, part in enumerate(g if self.outputs > 1 else [g])]
        graph = xp is TAPED
        with enable_grad() if graph else no_grad():
            recorder = state.recorder
            if recorder is None:
                found = _call(backward, ctx, upstream)
            else:
                with recorder.uncut():
                    found = _call(backward, ctx, upstream)
        results = self._checked(found, node)
        if recorder is not None:
            self.decree = self._frozen(recorder, upstream, results)
        return tuple([r if r is None or graph else r.array for r in results])

    def _upstream(self, part: Any, k: int, node: Node) -> Any:
        if part is not None:
            return part if isinstance(part, Tensor) else wrap(part)
        if not self.ctx.materialize_grads:
            return None
        shape, dtype = (node.shape[k], node.dtype[k]) if self.outputs > 1 else (node.shape, node.dtype)
        return wrap(np.zeros(shape, dtype)[()])

    def _checked(self, found: Any, node: Node) -> list[Any]:
        """The author's gradients, one per input. Raises torch's errors for what fits no input."""
        given = list(found) if isinstance(found, tuple) else [found]
        expected = len(self.tensors)
        while len(given) > expected and given[-1] is None:
            given.pop()
        if len(given) != expected:
            raise RuntimeError(
                f"function {self.backward_name} returned an incorrect number of gradients (expected {expected}, got "
                f"{len(given)})"
            )
        for k, (g, tensor) in enumerate(zip(given, self.tensors, strict=True)):
            if g is not None and not isinstance(g, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(g).__name__})")
            if g is not None and not tensor:
                raise RuntimeError(
                    f"function {self.backward_name} returned a gradient different from None at position {k + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        results: list[Any] = []
        own = [(k, g) for k, (g, tensor) in enumerate(zip(given, self.tensors, strict=True)) if tensor]
        for (k, g), parent, meta in zip(own, node.parents, node.metas, strict=True):
            if parent is None or g is None:
                results.append(None)
                continue
            shape = meta[0]
            if g.array.shape != shape and not _sums_to(g.array.shape, shape):
                raise RuntimeError(
                    f"Function {self.backward_name} returned an invalid gradient at index {k} - got {list(g.array.shape)} "
                    f"but expected shape compatible with {list(shape)}"
                )
            results.append(g)
        return results

    def _frozen(self, recorder: Recorder, given: list[Any], results: list[Any]) -> Any:
        starts = [recorder.trace(t) for t in given if t is not None]
        ends = [None if t is None else recorder.trace(t) for t in results]
        before = frozenset([*starts, *self.seen[0], *self.seen[1]])
        frozen = freeze([*starts, *(t for t in ends if t is not None)], given=before)
        ids = [tuple([None if t is None else frozen.ids.get(t) for t in part]) for part in (starts, ends, *self.seen)]
        return frozen.tape, *ids

    def complete(self, options: Any) -> dict[str, Any]:
        """There are no options."""
        return {}


def _sums_to(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(given, shape) == given
    except ValueError:
        return False


def _call(backward: Any, ctx: FunctionCtx, upstream: list[Any]) -> Any:
    return backward(ctx, *upstream)


class Function:
    """Base of the program's own differentiable functions, as ``torch.autograd.Function``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(LEGACY)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """To be written by the program."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> Any:
        """To be written by the program, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """To be written by the program."""
        raise NotImplementedError(NO_BACKWARD)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward without a graph, and put one node of this Function's name in the graph. Raises torch's errors."""
        ctx = FunctionCtx()
        tensors = [a for a in args if isinstance(a, Tensor)]
        needs = tuple([isinstance(a, Tensor) and a.tracked for a in args])
        ctx.needs_input_grad = needs
        recorder = state.recorder
        inputs = [recorder.trace(t) for t in tensors] if recorder is not None else []
        with no_grad():
            if recorder is None:
                out = cls._run(ctx, args)
            else:
                with recorder.uncut():
                    out = cls._run(ctx, args)
        ctx.finished()
        outs = list(out) if isinstance(out, tuple) else [out]
        if not (state.grad_enabled and any(needs)) or not any(isinstance(t, Tensor) for t in outs):
            return out
        results = [t for t in outs if isinstance(t, Tensor)]
        op = CustomOp(cls, ctx, tuple([isinstance(a, Tensor) for a in args]), len(results))
        node = _node(op, tensors, results)
        ctx._node = node
        made: dict[int, Tensor] = {}
        for slot, t in enumerate(results):
            fresh = _output(t, node, slot, ctx, tensors)
            made[id(t)] = fresh
            ctx._outputs[id(t)] = fresh
        if recorder is not None:
            ends = [recorder.trace(t) for t in results]
            frozen = freeze([*inputs, *ends], given=frozenset(inputs))
            op.inner = (frozen.tape, tuple([frozen.ids[t] for t in inputs]), tuple([frozen.ids[t] for t in ends]))
            fresh_ones = tuple([made[id(t)] for t in results])
            recorder.applied(op, tuple(tensors), [], {}, fresh_ones, node)
            op.seen = (inputs, [recorder.trace(t) for t in fresh_ones])
        final = [made.get(id(t), t) if isinstance(t, Tensor) else t for t in outs]
        return tuple(final) if isinstance(out, tuple) else final[0]

    @classmethod
    def _run(cls, ctx: FunctionCtx, args: tuple[Any, ...]) -> Any:
        if cls.setup_context is Function.setup_context:
            return cls.forward(ctx, *args)
        out = cls.forward(*args)
        cls.setup_context(ctx, args, out)
        return out


def _node(op: CustomOp, tensors: list[Tensor], results: list[Tensor]) -> Node:
    node = Node()
    node.op = op
    node.options = NO_OPTIONS
    node.parents = tuple([(t.node or t) if t.tracked else None for t in tensors])
    node.needs = tuple([t.tracked for t in tensors])
    node.slots = tuple([t.slot for t in tensors])
    node.metas = tuple([(t.array.shape, t.array.dtype) for t in tensors])
    node.rank = next_rank()
    node.exact = False
    node.saved = () if op.ctx._saved else None
    node.outputs = len(results)
    shapes, dtypes = tuple([t.array.shape for t in results]), tuple([t.array.dtype for t in results])
    node.shape, node.dtype = (shapes, dtypes) if len(results) > 1 else (shapes[0], dtypes[0])
    return node


def _output(t: Tensor, node: Node, slot: int, ctx: FunctionCtx, inputs: list[Tensor]) -> Tensor:
    """An output as the program gets it: with the node, and never the very input."""
    differentiable = t.array.dtype.kind == "f" and not any(t is other for other in ctx.non_differentiable)
    if any(t is dirty for dirty in ctx.dirty_tensors):
        t.node, t.slot, t.tracked = node, slot, True
        return t
    if any(t is given for given in inputs):
        alias(t)
        made = wrap(t.array.view(), node, slot)
        mark_view(made, t, REGISTRY["index"], (), {"index": (Ellipsis,)})
        return made
    made = wrap(t.array, node if differentiable else None, slot)
    made.memory = t.memory
    return made
