"""Hooks: functions of the program's own that see cotangents on their way and may replace them.

Hooks of a computed tensor hang on its graph node, by output; hooks of a leaf on the leaf itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import ref

from explain.tape.modes import no_grad
from explain.tape.node import Node
from explain.tape.tensor import Tensor, wrap

Hook = Callable[[Any], Any]
_ids = count()


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again; as a block it does so at the end."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.hooks = hooks
        self.id = next(_ids)

    def remove(self) -> None:
        """The hook is called no more."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<torch.utils.hooks.RemovableHandle object at {id(self):#x}>"


class Hooks:
    """The hooks of a node: ``tensors`` per output, ``retained`` the tensors that keep their gradient, ``before`` and
    ``after`` the node's own."""

    def __init__(self) -> None:
        self.tensors: dict[int, dict[int, Hook]] = {}
        self.retained: dict[int, ref[Tensor]] = {}
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Callable[..., Any]] = {}


class LeafHooks:
    """The hooks of a leaf: before its gradient is accumulated, and after."""

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}


hooked_leaves = 0
"""How many leaves were ever given hooks: as long as it is none, no walk looks out for them."""


def _added(hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def hooks_of(node: Node) -> Hooks:
    """The hooks of a node, made when first asked for."""
    if node.hooks is None:
        node.hooks = Hooks()
    return node.hooks


def leaf_hooks(tensor: Tensor) -> LeafHooks | None:
    """The hooks of a leaf, None if it has none."""
    return tensor.__dict__.get("_leaf_hooks")


def _leaf_hooks_made(tensor: Tensor) -> LeafHooks:
    global hooked_leaves
    found = leaf_hooks(tensor)
    if found is None:
        found = tensor.__dict__["_leaf_hooks"] = LeafHooks()
        hooked_leaves += 1
    return found


def register_hook(tensor: Tensor, hook: Hook) -> RemovableHandle:
    """``Tensor.register_hook``: the hook sees the total cotangent of the tensor, and may return another.

    Raises torch's RuntimeError for a tensor without gradients.
    """
    if not tensor.tracked:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if tensor.node is None:
        return _added(_leaf_hooks_made(tensor).before, hook)
    return _added(hooks_of(tensor.node).tensors.setdefault(tensor.slot, {}), hook)


def register_post_accumulate_grad_hook(tensor: Tensor, hook: Hook) -> RemovableHandle:
    """``Tensor.register_post_accumulate_grad_hook``: called with the leaf when its ``.grad`` is complete."""
    if not tensor.tracked:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if tensor.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return _added(_leaf_hooks_made(tensor).after, hook)


def retain_grad(tensor: Tensor) -> None:
    """``Tensor.retain_grad``: a computed tensor keeps its gradient in ``.grad`` too. Raises torch's RuntimeError."""
    if not tensor.tracked:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if tensor.node is not None:
        hooks_of(tensor.node).retained[tensor.slot] = ref(tensor)


def retains_grad(tensor: Tensor) -> bool:
    """Whether a computed tensor keeps its gradient."""
    hooks = None if tensor.node is None else tensor.node.hooks
    kept = None if hooks is None else hooks.retained.get(tensor.slot)
    return kept is not None and kept() is tensor


def register_node_prehook(node: Node, hook: Hook) -> RemovableHandle:
    """``Node.register_prehook``: sees, and may replace, the cotangents of the node's outputs."""
    return _added(hooks_of(node).before, hook)


def register_node_hook(node: Node, hook: Callable[..., Any]) -> RemovableHandle:
    """``Node.register_hook``: sees, and may replace, what the node sends to its inputs."""
    return _added(hooks_of(node).after, hook)


def asked(hook: Callable[..., Any], *given: Any, graph: bool) -> Any:
    """Call a hook; what it computes is differentiable only under create_graph (``graph``)."""
    if graph:
        return hook(*given)
    with no_grad():
        return hook(*given)


def called(hooks: dict[int, Hook], g: Any) -> tuple[Any, bool]:
    """The cotangent after the hooks, and whether one of them replaced it. Raises torch's errors for what is no gradient.

    ``g``: an array, or a tensor under create_graph.
    """
    replaced = False
    for hook in list(hooks.values()):
        given = g if isinstance(g, Tensor) else wrap(g)
        found = asked(hook, given, graph=given is g)
        if found is None:
            g = g if isinstance(g, Tensor) else given.array  # the hook may have written to it
            continue
        if not isinstance(found, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(found).__name__}'")
        if found.array.shape != given.array.shape:
            raise RuntimeError(f"hook '{getattr(hook, '__name__', '<hook>')}' has changed the size of value")
        replaced = True
        g = found if isinstance(g, Tensor) else found.array
    return g, replaced


def before_rule(hooks: Hooks, g: Any, several: bool) -> tuple[Any, list[int]]:
    """The cotangents of a node's outputs after all hooks, and the outputs whose cotangent one replaced."""
    parts = list(g) if several else [g]
    replaced = []
    for slot, part in enumerate(parts):
        if part is not None and slot in hooks.tensors:
            parts[slot], changed = called(hooks.tensors[slot], part)
            replaced += [slot] * changed
    for slot, reference in hooks.retained.items():
        tensor = reference()
        if tensor is not None and parts[slot] is not None:
            keep_gradient(tensor, parts[slot])
    for hook in list(hooks.before.values()):
        found = asked(hook, tuple([_as_tensor(part) for part in parts]), graph=any(isinstance(p, Tensor) for p in parts))
        if found is not None:
            parts = [_as_given(new, old) for new, old in zip(_listed(found), parts, strict=True)]
            replaced += range(len(parts))
    return (parts if several else parts[0]), replaced


def after_rule(hooks: Hooks, sent: Any, g: Any) -> Any:
    """What a node sends to its inputs after the node's own hooks."""
    parts = [None if part is None or part is False else part for part in sent]
    for hook in list(hooks.after.values()):
        arrived = tuple([_as_tensor(part) for part in (g if isinstance(g, list) else [g])])
        graph = any(isinstance(part, Tensor) for part in parts)
        found = asked(hook, tuple([_as_tensor(part) for part in parts]), arrived, graph=graph)
        if found is not None:
            parts = [_as_given(new, old) for new, old in zip(_listed(found), parts, strict=True)]
    return parts


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple | list) else [found]


def _as_tensor(part: Any) -> Any:
    return part if part is None or isinstance(part, Tensor) else wrap(part)


def _as_given(new: Any, old: Any) -> Any:
    return new if new is None or isinstance(old, Tensor) else new.array


def keep_gradient(tensor: Tensor, g: Any) -> None:
    """Add a cotangent to what a computed tensor holds in ``.grad``."""
    old = tensor.gradient
    if isinstance(g, Tensor):
        tensor.gradient = g if old is None else old + g
    else:
        tensor.gradient = wrap(g.copy() if old is None else old.array + g)


def warn_of_error(name: str, place: str) -> None:
    """Torch's warning of anomaly mode: where in forward the node that failed was made."""
    message = f"Error detected in {name}. Traceback of forward call that caused the error:\n{place}"
    warnings.warn(message, UserWarning, stacklevel=2)
