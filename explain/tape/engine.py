"""The backward walk: a heap of nodes by rank, the latest first, so no recursion and exactly PyTorch's order.

A node runs once, after all its consumers, with the sum of what they sent. In an ordinary backward cotangents are numpy
arrays; under ``create_graph`` they are tensors and the same rules run again on the tape.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from explain.ops.registry import NUMERIC, REGISTRY
from explain.tape import hooks as hooking
from explain.tape.apply import TAPED, apply
from explain.tape.inplace import write
from explain.tape.modes import enable_grad, state
from explain.tape.node import FREED, Node
from explain.tape.saved import cast, saved_values
from explain.tape.tensor import Tensor, wrap

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
    anomaly = state.anomaly
    pending: dict[Node, Any] = {}
    leaves: dict[Any, Any] = {}
    heap: list[tuple[int, Node]] = []
    # a leaf with hooks is served as soon as its last consumer has run, which only a count of its uses can tell
    awaited = _uses_of_hooked_leaves(roots, needed) if hooking.hooked_leaves else None

    for tensor, g in roots:
        if create_graph and not isinstance(g, Tensor):
            g = wrap(g)
            if recorder is not None:
                recorder.started(g)
        if tensor.node is None:
            leaves[tensor] = leaves[tensor] + g if tensor in leaves else g
        else:
            _send(pending, heap, tensor.node, tensor.slot, g)
    node = None
    try:
        while heap:
            node = heappop(heap)[1]
            g = pending.pop(node)
            if node.hooks is not None:
                g, replaced = hooking.before_rule(node.hooks, g, node.outputs > 1)
                if recorder is not None:
                    recorder.hooked(node, replaced)
                    recorder.retained(node, node.hooks.retained)
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
                ins, y = saved_values(node, create_graph)
                gradients = op.vjp(xp, needs, g, y, *ins, **node.options)
                if saved is not None and not retain_graph:
                    node.saved = FREED
                    node.result = None
            if anomaly:
                _refuse_nan(node, gradients)
            if node.hooks is not None and node.hooks.after:
                gradients = hooking.after_rule(node.hooks, gradients, g)
            slots = node.slots
            for k, parent in enumerate(parents):
                if parent is None:
                    continue
                gk = gradients[k]
                if gk is None:
                    if awaited is not None and parent in awaited:
                        _one_less(parent, awaited, leaves, wanted, recorder)
                    continue
                if not node.exact:
                    gk = _conformed(xp, gk, parent, slots[k] if slots else 0)
                if recorder is not None:
                    recorder.sent(node, k, gk)
                if parent.__class__ is not Node:
                    leaves[parent] = leaves[parent] + gk if parent in leaves else gk
                    if awaited is not None and parent in awaited:
                        _one_less(parent, awaited, leaves, wanted, recorder)
                elif parent in pending or parent.outputs > 1:
                    _send(pending, heap, parent, slots[k] if slots else 0, gk)
                else:
                    pending[parent] = gk
                    heappush(heap, (parent.rank, parent))
    except BaseException:
        if wanted is None:  # leaves that were complete before the error keep what they got
            waiting = _behind([node, *pending])
            for leaf, g in leaves.items():
                if leaf not in waiting:
                    _accumulate(leaf, g)
        raise

    for leaf, g in leaves.items():
        _serve(leaf, g, wanted, recorder)


def _serve(leaf: Tensor, g: Any, wanted: dict[Target, Any] | None, recorder: Any) -> None:
    """A leaf's cotangent is complete: its hooks see it, then it is accumulated, or handed to who asked for it."""
    hooks = hooking.leaf_hooks(leaf) if hooking.hooked_leaves else None
    if hooks is not None and hooks.before:
        g, replaced = hooking.called(hooks.before, g)
        if replaced and recorder is not None:
            recorder.hooked(leaf, [0])
    if recorder is not None:
        recorder.arrived(leaf, g)
    if wanted is not None:
        if (leaf, 0) in wanted:
            wanted[leaf, 0] = g
        return
    _accumulate(leaf, g)
    if hooks is not None:
        for hook in list(hooks.after.values()):
            hook(leaf)


def _one_less(
    leaf: Any, awaited: dict[Any, int], leaves: dict[Any, Any], wanted: dict[Target, Any] | None, recorder: Any
) -> None:
    awaited[leaf] -= 1
    if not awaited[leaf] and leaf in leaves:
        _serve(leaf, leaves.pop(leaf), wanted, recorder)


def _uses_of_hooked_leaves(roots: Roots, needed: set[Any] | None) -> dict[Any, int]:
    """How many cotangents will come to each leaf that has hooks."""
    uses: dict[Any, int] = {}
    seen: set[Node] = set()
    todo = [tensor.node for tensor, _ in roots if tensor.node is not None]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for parent in node.parents:
            if parent is None or (needed is not None and parent not in needed):
                continue
            if isinstance(parent, Node):
                todo.append(parent)
            elif hooking.leaf_hooks(parent) is not None:
                uses[parent] = uses.get(parent, 0) + 1
    return uses


def _behind(nodes: list[Any]) -> set[Any]:
    """All nodes and leaves that cotangents from ``nodes`` would still have come to."""
    found: set[Any] = set()
    todo = [node for node in nodes if node is not None]
    while todo:
        node = todo.pop()
        for parent in node.parents:
            if parent is not None and parent not in found:
                found.add(parent)
                if isinstance(parent, Node):
                    todo.append(parent)
    return found


def _refuse_nan(node: Node, gradients: Any) -> None:
    """Torch's error of anomaly mode."""
    for k, g in enumerate(gradients):
        if g is None or g is False or node.parents[k] is None:
            continue
        if np.any(np.isnan(np.asarray(g.array if isinstance(g, Tensor) else g))):
            name = node.name()
            hooking.warn_of_error(name, getattr(node, "made_at", "") or "")
            raise RuntimeError(f"Function '{name}' returned nan values in its {k}th output.")


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
    return cast(xp, g, dtype)


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


def _accumulate(leaf: Tensor, g: Any) -> None:
    old = leaf.gradient
    if isinstance(g, Tensor):
        leaf.gradient = apply(REGISTRY["copied"], (g,)) if old is None else apply(REGISTRY["add"], (old, g))
    elif old is None:
        # a copy, as .grad never aliases other memory
        leaf.gradient = wrap(g.copy() if g.__class__ is np.ndarray else g)
    else:
        write(old, old.array + g)
