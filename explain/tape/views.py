"""Views: tensors that look into another tensor's memory, and which of its entries they see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np

from explain.ops.base import Op
from explain.tape.modes import state
from explain.tape.tensor import Tensor

FEW = 16  # below so many views dead ones are not looked for


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """How a tensor came out of ``root``'s memory: ``op`` applied to the view ``before`` (None: to the root itself).
    ``slot``: which of its outputs, for an op that returns several views."""

    root: Tensor
    before: View | None
    op: Op
    arrays: tuple[Any, ...]
    options: dict[str, Any]
    under_no_grad: bool
    slot: int = 0

    def positions(self) -> np.ndarray:
        """For every entry of the view its position in the root, counted row by row; in the view's shape."""
        steps = []
        view: View | None = self
        while view is not None:
            steps.append(view)
            view = view.before
        root = self.root.array
        found = np.arange(root.size).reshape(root.shape)
        for step in reversed(steps):
            seen = step.op.forward(found, *step.arrays, **step.options)
            found = seen[step.slot] if isinstance(seen, tuple) else seen
        return np.asarray(found)


def mark_view(out: Tensor, source: Tensor, op: Op, arrays: tuple[Any, ...], options: dict[str, Any], slot: int = 0) -> None:
    """Make ``out``, made from ``source`` by ``op``, share its version if it shares its memory."""
    owner = source.array.base
    if out.array is source.array:
        out.array = source.array.view()
    elif out.array.base is not (source.array if owner is None else owner):
        return
    root = source if source.base is None else source.base.root
    out.memory = version = source.version
    out.base = View(root, source.base, op, arrays, options, not state.grad_enabled, slot)
    if version.views is None:
        version.views = [ref(out)]
    else:
        version.views.append(ref(out))
        if len(version.views) > version.limit:
            version.views = [view for view in version.views if view() is not None]
            version.limit = max(FEW, 2 * len(version.views))


def live_views(tensor: Tensor) -> list[Tensor]:
    """The views that still exist in the memory of ``tensor``."""
    found = [view() for view in (tensor.memory and tensor.memory.views) or ()]
    return [view for view in found if view is not None]
