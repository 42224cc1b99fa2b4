"""The backward walk: a heap of nodes by falling sequence number, so no recursion and exactly PyTorch's order.

A node runs once, after all its consumers, with the sum of what they sent. In an ordinary backward cotangents are numpy
arrays; under ``create_graph`` they are tensors and the same rules run again on the tape.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from explain.ops.base import NUMERIC, REGISTRY, Unsaved
from explain.tape import modes
from explain.tape.dtypes import BY_NUMPY
from explain.tape.node import FREED, Node
from explain.tape.tensor import TAPED, Tensor, apply, wrap

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)
NOT_SCALAR = "grad can be implicitly created only for scalar outputs"
NO_GRAPH = "element 0 of tensors does not require grad and does not have a grad_fn"


def seed_for(output: Tensor, gradient: Tensor | None) -> Any:
    """The cotangent that backward starts from. Raises torch's errors for a missing or ill-shaped one."""
    if not output.requires_grad:
        raise RuntimeError(NO_GRAPH)
    data = output.data
    if gradient is None:
        if data.size != 1:
            raise RuntimeError(NOT_SCALAR)
        return data.dtype.type(1) if data.ndim == 0 else np.ones(data.shape, data.dtype)
    if not isinstance(gradient, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient.data.shape != data.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has a shape of {output.shape}."
        )
    return gradient.data if gradient.data.dtype is data.dtype else gradient.data.astype(data.dtype)


def backward(
    roots: list[tuple[Tensor, Any]],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    wanted: dict[tuple[Node, int], Any] | None = None,
) -> None:
    """Walk back from ``roots``, pairs of (tensor, cotangent).

    With ``wanted`` None gradients are accumulated in the leaves' ``.grad``; else nothing is accumulated, and the
    cotangents arriving at the (node, output) keys are stored in it. Raises torch's RuntimeErrors.
    """
    if create_graph:
        # a gradient of a gradient needs the graph of the rules' own operations
        with modes.enable_grad():
            _walk(roots, retain_graph, True, wanted)
    elif modes.state.recorder is None:
        _walk(roots, retain_graph, False, wanted)
    else:
        with np.errstate(all="ignore"):
            _walk(roots, retain_graph, False, wanted)


def _walk(
    roots: list[tuple[Tensor, Any]], retain_graph: bool, create_graph: bool, wanted: dict[tuple[Node, int], Any] | None
) -> None:
    xp = TAPED if create_graph else NUMERIC
    recorder = modes.state.recorder
    pending: dict[Node, Any] = {}
    heap: list[tuple[int, Node]] = []

    def send(node: Node, slot: int, g: Any) -> None:
        if len(node.out_metas) > 1:
            if node not in pending:
                pending[node] = [None] * len(node.out_metas)
                heappush(heap, (-node.sequence, node))
            old = pending[node][slot]
            pending[node][slot] = g if old is None else old + g
        elif node in pending:
            pending[node] = pending[node] + g
        else:
            pending[node] = g
            heappush(heap, (-node.sequence, node))

    for tensor, g in roots:
        send(tensor.gradient_node(), tensor.slot, wrap(g) if create_graph and not isinstance(g, Tensor) else g)

    while heap:
        node = heappop(heap)[1]
        g = pending.pop(node)
        if wanted is not None:
            for slot, part in enumerate(g if isinstance(g, list) else (g,)):
                if (node, slot) in wanted:
                    wanted[node, slot] = part
        if recorder is not None:
            recorder.arrived(node, g)
        if node.leaf is not None:
            if wanted is None:
                _accumulate(node.leaf, g)
            continue
        if node.saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        op = node.op
        if not hasattr(op, "vjp"):
            raise RuntimeError(f"derivative for aten::{op.name} is not implemented")
        parents = node.parents
        needs = tuple([p is not None for p in parents])
        ins, y = saved_values(node, create_graph)
        gradients = op.vjp(xp, needs, g, y, *ins, **node.options)
        slots = node.slots
        for k, parent in enumerate(parents):
            if parent is None:
                continue
            gk = gradients[k]
            if gk is None:
                continue
            shape, dtype = node.metas[k]
            if gk.shape != shape:
                gk = xp.sum_to(gk, shape=shape)
            if gk.dtype is not dtype and gk.dtype != (BY_NUMPY[dtype] if create_graph else dtype):
                gk = xp.to(gk, dtype=dtype)
            if recorder is not None:
                recorder.sent(node, k, gk)
            send(parent, slots[k] if slots else 0, gk)
        if not retain_graph and node.saved is not None:
            node.saved = FREED
            node.result = None


def saved_values(node: Node, as_tensors: bool) -> tuple[list[Any], Any]:
    """The inputs and the output as the rule gets them. Raises torch's error if one was modified in place since."""
    op, ins = node.op, []
    versions = node.versions
    saved = node.saved or (None,) * len(node.parents)
    for k, value in enumerate(saved):
        if value is None:
            meta = node.metas[k]
            ins.append(None if op.broadcasts or meta is None else Unsaved(*meta))
        elif isinstance(value, Tensor):
            if value.version.count != versions[k]:
                _raise_modified(value, versions[k])
            ins.append(value if as_tensors else value.data)
        else:
            ins.append(value)
    if node.result is None:
        return ins, None
    arrays, version, expected = node.result
    if version.count != expected:
        _raise_modified(Tensor.view_of(arrays[0], version), expected, node)
    if not as_tensors:
        return ins, arrays[0] if op.outputs == 1 else arrays
    outs = [wrap(a, node, k) if a.dtype.kind == "f" else wrap(a) for k, a in enumerate(arrays)]
    return ins, outs[0] if op.outputs == 1 else tuple(outs)


def _raise_modified(tensor: Tensor, expected: int, producer: Node | None = None) -> None:
    node = producer or tensor.node
    made = f", which is output 0 of {node.name().removesuffix('0').removesuffix('Backward')}," if node else ""
    if producer:
        made = f", which is output 0 of {producer.name()},"
    kind = BY_NUMPY[tensor.data.dtype].legacy
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{kind}Tensor {list(tensor.data.shape)}]{made} is at version {tensor.version.count}; expected version "
        f"{expected} instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
        "with torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )


def _accumulate(leaf: Tensor, g: Any) -> None:
    if isinstance(g, Tensor):
        leaf.grad = apply(REGISTRY["clone"], (g,)) if leaf.grad is None else leaf.grad + g
    elif leaf.grad is None:
        leaf.grad = wrap(np.array(g, leaf.data.dtype))  # a copy: .grad never aliases another tensor's memory
    else:
        grad = leaf.grad
        if grad.requires_grad:
            leaf.grad = wrap(grad.data + g)
        else:
            grad.write(grad.data + g)
