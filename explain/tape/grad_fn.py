"""A graph node as the program sees it: ``y.grad_fn``, with torch's class name, ``next_functions`` and saved values."""

from __future__ import annotations

from typing import Any
from weakref import ref

from explain.tape import hooks
from explain.tape.node import FREED, Node
from explain.tape.saved import SECOND_BACKWARD, saved_values
from explain.tape.tensor import Tensor, wrap

ARGUMENTS = ("self", "other", "value")
"""Torch's names of an op's inputs in ``_saved_…``; options have their own names."""


class GradFn:
    """The face of a node. Each has a class of torch's name for it, so that ``type(y.grad_fn).__name__`` says it."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def name(self) -> str:
        """Torch's name of this backward node."""
        return self.node.name()

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Per input (node, output index), (None, 0) where no gradient flows, as in torch."""
        node = self.node
        slots = node.slots or (0,) * len(node.parents)
        return tuple([(_face(p), k if p is not None else 0) for p, k in zip(node.parents, slots, strict=True)])

    @property
    def metadata(self) -> dict[str, Any]:
        """Free for the program's own notes."""
        return self.node.__dict__.setdefault("metadata", {})

    def register_hook(self, hook: Any) -> hooks.RemovableHandle:
        """The hook sees what the node sends to its inputs."""
        return hooks.register_node_hook(self.node, hook)

    def register_prehook(self, hook: Any) -> hooks.RemovableHandle:
        """The hook sees what comes to the node's outputs."""
        return hooks.register_node_prehook(self.node, hook)

    def __call__(self, *gradients: Tensor) -> Any:
        """Run the node's rule on cotangents, as torch lets one try it."""
        from explain.ops.registry import NUMERIC

        ins, y = saved_values(self.node, False)
        given = [g.array for g in gradients]
        found = self.node.op.vjp(
            NUMERIC, self.node.needs, given if self.node.outputs > 1 else given[0], y, *ins, **self.node.options
        )
        made = [None if g is None or g is False else wrap(g) for g in found]
        return made[0] if len(made) == 1 else tuple(made)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_saved_"):
            return self._saved(name.removeprefix("_saved_"), name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _saved(self, what: str, name: str) -> Any:
        node = self.node
        if node.saved is FREED:
            raise RuntimeError(SECOND_BACKWARD)
        names = node.op.tensor_names
        if what == "result" and node.result is not None:
            return wrap(node.result[0])
        for k, saved in enumerate(node.saved or ()):
            own = names[k] if k < len(names) else ""
            if saved is not None and what in (own, ARGUMENTS[k] if k < len(ARGUMENTS) else own):
                return saved if isinstance(saved, Tensor) or not hasattr(saved, "item") else saved.item()
            if saved is not None and what == "exponent" and node.op.name == "pow" and k == 1:
                return saved if isinstance(saved, Tensor) else saved.item() if hasattr(saved, "item") else saved
        options = node.op.complete(node.options)
        if what in options:
            return options[what]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and self.node is other.node

    def __hash__(self) -> int:
        return id(self.node)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self.node):#x}>"


class AccumulateGrad:
    """What ``next_functions`` shows where the graph ends: the leaf ``variable`` collects its gradient there."""

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def name(self) -> str:
        """Torch's name of it."""
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple[Any, ...]:
        """Nothing lies behind a leaf."""
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and self.variable is other.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


_classes: dict[str, type[GradFn]] = {}


def face(node: Node) -> GradFn:
    """The one object that the program sees of a node."""
    found = node.face and node.face()
    if found is None:
        name = node.name().rpartition("::")[2]
        kind = _classes.get(name)
        if kind is None:
            kind = _classes[name] = type(name, (GradFn,), {})
        found = kind(node)
        node.face = ref(found)  # the face holds the node, not the other way round as well
    return found


def _face(parent: Node | Tensor | None) -> Any:
    if parent is None:
        return None
    return face(parent) if isinstance(parent, Node) else AccumulateGrad(parent)
