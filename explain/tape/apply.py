"""The one way an operation is applied to tensors: promote, run forward at once, add a node if somebody may want it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from explain.ops.base import NO_OPTIONS, NoMatch, Op
from explain.ops.registry import COMPOSITES, METHODS, REGISTRY, resolve
from explain.tape.dtypes import FLOAT32, FLOAT64
from explain.tape.modes import state
from explain.tape.node import InferenceVersion, Node, Version, next_rank
from explain.tape.promotion import constant, promoted
from explain.tape.results import result_type
from explain.tape.tensor import Tensor, alias, wrap
from explain.tape.views import mark_view

# what many nodes have in common is made once: less to allocate, less for the garbage collector to visit
TENSORS: Any = (((), None), ((), None))  # metas of two operands whose shapes no rule asks for
TENSOR_NUMBER: Any = (((), None), None)
NUMBERS_ALONE = frozenset("add sub subtract mul multiply div divide true_divide floor_divide where".split())
"""Functions of torch that make a tensor of numbers alone: ``torch.add(2, 3)``."""
ONE, BOTH, LEFT, RIGHT = (True,), (True, True), (True, False), (False, True)
_new_node = _new_tensor = object.__new__


def apply(op: Op, ins: tuple[Any, ...], options: dict[str, Any] = NO_OPTIONS) -> Any:
    """Run an op on tensors (and Python numbers): forward at once, a graph node if somebody may differentiate it.

    Returns a Tensor, or a tuple of them for ops with several outputs. Raises what torch raises.
    """
    if op.views:
        alias(ins[0])
    arrays = promoted(op, ins)
    try:
        y = op.forward(*arrays, **options)
    except (ValueError, IndexError):
        error = op.shape_error(tuple([np.shape(a) for a in arrays]), options)
        if error is None:
            raise
        raise error from None

    if y is arrays[0] and not op.views:
        y = y.copy()  # fresh values are nobody else's
    node = None
    memory = InferenceVersion() if state.inference else Version() if op.reads_result else None
    if (state.grad_enabled and op.in_graph) and (
        ins[0].tracked if len(ins) == 1 else any(isinstance(t, Tensor) and t.tracked for t in ins)
    ):
        node = _node(op, ins, arrays, options, y, memory)
    if op.outputs == 1:
        out = _output(y, node if y.dtype.kind == "f" else None, 0, memory)
        if op.views:
            mark_view(out, ins[0], op, tuple(arrays[1:]), options)
        outs: Any = (out,)
    else:
        outs = tuple([_output(part, node if part.dtype.kind == "f" else None, k, None) for k, part in enumerate(y)])
        if op.views:
            for k, part in enumerate(outs):
                mark_view(part, ins[0], op, tuple(arrays[1:]), options, k)
    recorder = state.recorder
    if recorder is not None:
        recorder.applied(op, ins, arrays, options, outs, node)
    if op.outputs == 1:
        return out
    return result_type(op)(outs) if op.fields else outs


def _output(data: Any, node: Node | None, slot: int, memory: Version | None) -> Tensor:
    out = _new_tensor(Tensor)
    out.array = data
    out.gradient = out.base = None
    out.node = node
    out.slot = slot
    out.tracked = node is not None
    out.memory = memory
    return out


def _node(op: Op, ins: tuple[Any, ...], arrays: list[Any], options: dict[str, Any], y: Any, memory: Any) -> Node:
    if len(ins) == 1:
        t = ins[0]
        parents: tuple[Any, ...] = (t.node or t,)
        needs: tuple[bool, ...] = ONE
        slots: Any = (t.slot,) if t.slot else None
        metas: tuple[Any, ...] = ((t.array.shape, t.array.dtype),)
    else:
        parents = tuple([(t.node or t) if isinstance(t, Tensor) and t.tracked else None for t in ins])
        needs = tuple([p is not None for p in parents])
        slots = tuple([t.slot if isinstance(t, Tensor) else 0 for t in ins])
        metas = tuple([(t.array.shape, t.array.dtype) if isinstance(t, Tensor) else None for t in ins])
    node = _new_node(Node)
    if False in needs:
        node.untracked = tuple([None if need else t for t, need in zip(ins, needs, strict=True)])
    node.op = op
    node.options = options
    node.parents = parents
    node.needs = needs
    node.slots = slots
    node.metas = metas
    node.rank = next_rank()
    keep, reads_result = op.keeps(needs)
    if reads_result:
        node.saved = ()
        node.result = (y, memory, 0)
    if keep is not None:
        node.saved = tuple(
            [(t if isinstance(t, Tensor) else a) if kept else None for t, a, kept in zip(ins, arrays, keep, strict=True)]
        )
        node.versions = tuple([version_of(t) if isinstance(t, Tensor) else 0 for t in ins])
    if op.outputs != 1 and len(y) == 1:
        (y,) = y
    if y.__class__ is not tuple:
        node.shape, node.dtype = shape, dtype = y.shape, y.dtype
    else:
        node.outputs = len(y)
        node.shape, node.dtype = tuple([part.shape for part in y]), tuple([part.dtype for part in y])
        shape, dtype = (node.shape[0], node.dtype[0]) if y else ((), None)  # an axis of size 0 has no parts
    exact = all(p is None or t.array.dtype == dtype for p, t in zip(parents, ins, strict=True))
    if exact and len(ins) > 1:
        exact = not any(isinstance(t, Tensor) and t.array is not a for t, a in zip(ins, arrays, strict=True)) and (
            not op.broadcasts or all(p is None or t.array.shape == shape for p, t in zip(parents, ins, strict=True))
        )
    node.exact = exact
    return node


def version_of(tensor: Tensor) -> int:
    """How often the tensor's memory was written, for who saves it. Raises torch's RuntimeError in inference mode."""
    return 0 if tensor.memory is None else tensor.memory.count


def apply_pair(op: Op, a: Tensor, b: Any) -> Tensor:
    """``apply`` written out for an entrywise op of a tensor with a tensor or a Python number.

    Programs consist of these, so here every microsecond counts: no lists, no loops, no option dictionaries.
    """
    left = a.array
    dtype = left.dtype
    number = False
    if isinstance(b, Tensor):
        right = b.array
        usual = right.dtype is dtype
    else:
        usual = number = b.__class__ is float or b.__class__ is int
    if not (usual and state.plain and (dtype is FLOAT32 or dtype is FLOAT64)):
        return apply(op, (a, b))
    if number:
        right = constant(b, left)
    try:
        y = op.forward(left, right)
    except ValueError:
        error = op.shape_error((left.shape, right.shape), NO_OPTIONS)
        if error is None:
            raise
        raise error from None

    out = _new_tensor(Tensor)
    out.array = y
    out.gradient = out.base = out.memory = None
    out.slot = 0
    to_a = (a.node or a) if a.tracked else None
    to_b = (b.node or b) if not number and b.tracked else None
    if (to_a is None and to_b is None) or not op.in_graph:
        out.node = None
        out.tracked = False
        return out
    out.tracked = True
    out.node = node = _new_node(Node)
    node.op = op
    node.parents = (to_a, to_b)
    node.needs = needs = LEFT if to_b is None else RIGHT if to_a is None else BOTH
    node.shape = shape = y.shape
    node.dtype = dtype
    node.rank = next_rank()
    if number:
        node.metas = TENSOR_NUMBER
        node.untracked = b
    else:
        node.metas = TENSORS
        if needs is not BOTH:
            node.untracked = b if to_b is None else a
        if left.shape != shape or right.shape != shape:
            node.exact = False
    keep, reads_result = op.keeps(needs)
    if reads_result:
        out.memory = memory = Version()
        node.saved = ()
        node.result = (y, memory, 0)
    if keep is not None:
        node.saved = (a if keep[0] else None, (right if number else b) if keep[1] else None)
        if a.memory is not None or (not number and b.memory is not None):
            node.versions = (version_of(a), 0 if number else version_of(b))
    if a.slot or (not number and b.slot):
        node.slots = (a.slot, 0 if number else b.slot)
    return out


def apply_one(op: Op, x: Tensor) -> Any:
    """``apply`` written out for an op of one tensor without options."""
    data = x.array
    dtype = data.dtype
    if op.views or op.outputs != 1 or not (state.plain and (dtype is FLOAT32 or dtype is FLOAT64)):
        return apply(op, (x,))
    y = op.forward(data)
    if y is data:
        y = data.copy()
    if not (x.tracked and op.in_graph):
        return wrap(y)
    node = _new_node(Node)
    node.op = op
    node.parents = (x.node or x,)
    node.needs = ONE
    node.shape = y.shape
    node.dtype = y.dtype
    node.rank = next_rank()
    node.metas = ((data.shape, dtype),)
    if y.dtype is not dtype:
        node.exact = False
    if x.slot:
        node.slots = (x.slot,)
    out = wrap(y, node)
    keep, reads_result = op.keeps(ONE)
    if reads_result:
        node.saved = ()
        node.result = (y, out.version, 0)
    if keep is not None:
        node.saved = (x,)
        if x.memory is not None:
            node.versions = (version_of(x),)
    return out


def call(table: dict[str, tuple[Op, ...]], name: str, *args: Any, **kwargs: Any) -> Any:
    """Call torch's function or method of this name: finds the op that takes the arguments and applies it.

    Raises TypeError, in torch's words where an operand is no tensor.
    """
    try:
        op, ins, options = resolve(table, name, *args, **kwargs)
    except NoMatch as fault:
        raise TypeError(str(fault)) from None
    tensors = operands(op, name, ins, options, table is METHODS)
    if op.may_be_unchanged and op.unchanged((tensors[0].array.shape,), options):
        return tensors[0]
    return perform(op, tensors, options)


def perform(op: Op, ins: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``apply``, also for a composite op: its parts are applied."""
    if not op.composite:
        return apply(op, ins, options)
    found = op.compose(TAPED, *ins, **options)
    if isinstance(found, tuple):
        found = tuple(map(_as_tensor, found))
    if name := op.grad_fn(tuple([t.array.shape if isinstance(t, Tensor) else None for t in ins]), op.complete(options)):
        _call_node(found, name, ins)
    return result_type(op)(found) if op.fields else _as_tensor(found)


def _call_node(found: Any, name: str, ins: tuple[Any, ...]) -> None:
    """Give the last nodes of a composite torch's name of the whole; the nodes behind them keep the names of their ops."""
    own = {id(t.node) for t in ins if isinstance(t, Tensor)}
    for part in found if isinstance(found, tuple) else (found,):
        if isinstance(part, Tensor) and part.node is not None and id(part.node) not in own:
            part.node.called = name
            if state.recorder is not None:
                state.recorder.trace(part).grad_fn = name


def _as_tensor(part: Any) -> Any:
    """A part of a composite's result: arrays are results without a derivative."""
    return wrap(part) if isinstance(part, np.ndarray | np.generic) else part


def operands(op: Op, name: str, ins: tuple[Any, ...], options: dict[str, Any], method: bool) -> tuple[Any, ...]:
    """Inputs of a call as ``apply`` takes them. Raises torch's TypeError for what is neither tensor nor number."""
    found = []
    for k, given in enumerate(ins):
        t = given.item() if isinstance(given, np.generic) else given
        number = isinstance(t, int | float) and (len(ins) > 1 if op.numbers is None else k in op.numbers)
        array = isinstance(t, np.ndarray) and (k in op.reads_values or (op.variadic and k > 0))
        if not (number or array or isinstance(t, Tensor)):
            word = "input" if k == 0 else "other" if len(ins) == 2 and op.broadcasts else op.input_name(k, options)
            place = k if method else k + 1
            raise TypeError(f"{name}(): argument '{word}' (position {place}) must be Tensor, not {type(t).__name__}")
        found.append(t)
    if len(found) > 1 and name not in NUMBERS_ALONE and all(isinstance(t, int | float) for t in found):
        kinds = ", ".join(type(t).__name__ for t in found)
        raise TypeError(f"{name}() received an invalid combination of arguments - got ({kinds})")
    return tuple(found)


class TapedNamespace:
    """``xp`` over tensors: the same names as over arrays, every call recorded in the graph."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COMPOSITES:
            return partial(COMPOSITES[name].compose, self)
        op = REGISTRY.get(name)
        if op is None:
            raise AttributeError(f"no op is called {name!r}")

        def taped(*ins: Any, **options: Any) -> Any:
            return apply(op, tuple([wrap(t) if isinstance(t, np.ndarray | np.generic) else t for t in ins]), options)

        setattr(self, name, taped)
        return taped


TAPED = TapedNamespace()
