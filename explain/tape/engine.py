"""The backward walk: a heap of nodes by rank, the latest first, so no recursion and exactly PyTorch's order.

A node runs once, after all its consumers, with the sum of what they sent. In an ordinary backward cotangents are numpy
arrays; under ``create_graph`` they are tensors and the same rules run again on the tape.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from explain.ops.base import Unsaved, numpy_dtype
from explain.ops.registry import NUMERIC, REGISTRY
from explain.tape.apply import TAPED, apply
from explain.tape.dtypes import BY_NUMPY
from explain.tape.inplace import write
from explain.tape.modes import enable_grad, state
from explain.tape.node import FREED, Node
from explain.tape.tensor import Tensor, wrap

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)
MODIFIED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: [{kind} {shape}]"
    "{made} is at version {now}; expected version {then} instead. Hint: enable anomaly detection to find the operation "
    "that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False)."
)
Target = tuple[Node | Tensor, int]
Roots = list[tuple[Tensor, Any]]


def backward(
    roots: Roots,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    wanted: dict[Target, Any] | None = None,
) -> None:
    """Walk back from ``roots``, pairs of (tensor, cotangent).

    With ``wanted`` None gradients are accumulated in the leaves' ``.grad``. Else nothing is accumulated, only nodes on a
    way to a wanted end run, and the total cotangent of each end, (``tensor.gradient_node()``, ``tensor.slot``), is stored.
    Raises torch's RuntimeErrors.
    """
    needed = None if wanted is None else _on_the_way(roots, wanted)
    if create_graph:
        with enable_grad():  # a gradient of a gradient needs the graph of the rules' own operations
            _walk(roots, retain_graph, True, wanted, needed)
    else:
        _walk(roots, retain_graph, False, wanted, needed)


def _walk(
    roots: Roots, retain_graph: bool, create_graph: bool, wanted: dict[Target, Any] | None, needed: set[Any] | None
) -> None:
    xp = TAPED if create_graph else NUMERIC
    recorder = state.recorder
    pending: dict[Node, Any] = {}
    leaves: dict[Any, Any] = {}
    heap: list[tuple[int, Node]] = []

    for tensor, g in roots:
        if create_graph and not isinstance(g, Tensor):
            g = wrap(g)
        if tensor.node is None:
            leaves[tensor] = leaves[tensor] + g if tensor in leaves else g
        else:
            _send(pending, heap, tensor.node, tensor.slot, g)

    while heap:
        node = heappop(heap)[1]
        g = pending.pop(node)
        if recorder is not None:
            recorder.arrived(node, g)
        op, parents, needs, saved = node.op, node.parents, node.needs, node.saved
        if needed is not None:
            _catch(wanted, node, g)
            parents = tuple([p if p in needed else None for p in parents])
            needs = tuple([p is not None for p in parents])
            if True not in needs:
                continue
        if saved is None and op.broadcasts:
            gradients = op.vjp(xp, needs, g, None, *parents, **node.options)  # the rule reads none of the inputs
        else:
            ins, y = _saved_values(node, create_graph)
            gradients = op.vjp(xp, needs, g, y, *ins, **node.options)
            if saved is not None and not retain_graph:
                node.saved = FREED
                node.result = None
        slots = node.slots
        for k, parent in enumerate(parents):
            if parent is None:
                continue
            gk = gradients[k]
            if gk is None:
                continue
            if not node.exact:
                gk = _conformed(xp, gk, parent, slots[k] if slots else 0)
            if recorder is not None:
                recorder.sent(node, k, gk)
            if parent.__class__ is not Node:
                leaves[parent] = leaves[parent] + gk if parent in leaves else gk
            elif parent in pending or parent.outputs > 1:
                _send(pending, heap, parent, slots[k] if slots else 0, gk)
            else:
                pending[parent] = gk
                heappush(heap, (parent.rank, parent))

    for leaf, g in leaves.items():
        if recorder is not None:
            recorder.arrived(leaf, g)
        if wanted is None:
            _accumulate(leaf, g)
        elif (leaf, 0) in wanted:
            wanted[leaf, 0] = g


def _conformed(xp: Any, g: Any, end: Node | Tensor, slot: int) -> Any:
    """The cotangent summed to the shape and cast to the dtype of where it goes."""
    if isinstance(end, Tensor):
        shape, dtype = end.array.shape, end.array.dtype
    elif end.outputs == 1:
        shape, dtype = end.shape, end.dtype
    else:
        shape, dtype = end.shape[slot], end.dtype[slot]
    if g.shape != shape:
        g = xp.sum_to(g, shape=shape)
    return _cast(xp, g, dtype)


def _cast(xp: Any, t: Any, dtype: np.dtype) -> Any:
    return t if numpy_dtype(t) == dtype else xp.to(t, dtype=dtype)


def _send(pending: dict[Node, Any], heap: list[tuple[int, Node]], node: Node, slot: int, g: Any) -> None:
    if node not in pending:
        pending[node] = [None] * node.outputs if node.outputs > 1 else None
        heappush(heap, (node.rank, node))
    if node.outputs > 1:
        parts = pending[node]
        parts[slot] = g if parts[slot] is None else parts[slot] + g
    else:
        pending[node] = g if pending[node] is None else pending[node] + g


def _catch(wanted: dict[Target, Any] | None, node: Node, g: Any) -> None:
    for slot, part in enumerate(g if isinstance(g, list) else (g,)):
        if wanted is not None and (node, slot) in wanted:
            wanted[node, slot] = part


def _on_the_way(roots: Roots, wanted: dict[Target, Any]) -> set[Any]:
    """The nodes and leaves through which a cotangent from the roots can come to a target."""
    seen: set[Node] = set()
    todo: list[Any] = [tensor.node for tensor, _ in roots]
    while todo:
        node = todo.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            todo += node.parents
    found: set[Any] = {end for end, _ in wanted}
    for node in sorted(seen, key=lambda n: -n.rank):  # parents before those who read them
        if node not in found and not found.isdisjoint(node.parents):
            found.add(node)
    found.discard(None)
    return found


def _saved_values(node: Node, as_tensors: bool) -> tuple[list[Any], Any]:
    """The inputs and the output as the rule gets them. Raises torch's errors if one was freed or modified in place."""
    saved = node.saved
    if saved is FREED:
        raise RuntimeError(SECOND_BACKWARD)
    ins: list[Any] = []
    op = node.op
    unread = op.broadcasts
    for k, value in enumerate(saved or (None,) * len(node.parents)):
        if value is None:
            meta = None if unread else node.metas[k]
            ins.append(None if meta is None else Unsaved(*meta))
        elif isinstance(value, Tensor):
            memory = value.memory
            if memory is not None and memory.count != node.versions[k]:
                raise _modified(value.array, memory.count, node.versions[k], value.node)
            found = value if as_tensors else value.array
            if not node.exact and unread and op.promotion != "keep" and value.array.dtype.kind != "b":
                found = _cast(TAPED if as_tensors else NUMERIC, found, node.dtype)
            ins.append(found)
        else:
            ins.append(value.item() if as_tensors and unread else value)
    if node.result is None:
        return ins, None
    values, memory, then = node.result
    if node.outputs == 1:
        if memory.count != then:
            raise _modified(values, memory.count, then, node)
        return ins, wrap(values, node) if as_tensors else values
    if as_tensors:
        return ins, tuple([wrap(v, node if v.dtype.kind == "f" else None, k) for k, v in enumerate(values)])
    return ins, values


def _modified(values: Any, now: int, then: int, producer: Node | None) -> RuntimeError:
    dtype = BY_NUMPY[values.dtype]
    kind = "CPUBoolType" if dtype.name == "bool" else f"torch.{dtype.legacy}Tensor"
    made = f", which is output 0 of {producer.name().rstrip('0123456789').removesuffix('Backward')}," if producer else ""
    return RuntimeError(MODIFIED.format(kind=kind, shape=list(values.shape), made=made, now=now, then=then))


def _accumulate(leaf: Tensor, g: Any) -> None:
    old = leaf.gradient
    if isinstance(g, Tensor):
        leaf.gradient = apply(REGISTRY["copied"], (g,)) if old is None else apply(REGISTRY["add"], (old, g))
    elif old is None:
        # a copy, as .grad never aliases other memory
        leaf.gradient = wrap(g.copy() if g.__class__ is np.ndarray else g)
    else:
        write(old, old.array + g)
