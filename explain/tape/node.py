"""The graph of the tape: one Node per operation that somebody may want to differentiate.

An edge of the graph leads to the Node that made an input, or to the input itself where that is a leaf.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from explain.ops.base import NO_OPTIONS, Op

if TYPE_CHECKING:
    from explain.tape.tensor import Tensor

SAVED_INFERENCE = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation "
    "tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use "
    "`torch.no_grad()` instead of `torch.inference_mode()`."
)
next_rank = count(-1, -1).__next__


class Freed:
    """Marks saved values that backward has freed."""


FREED: Any = Freed()


class Version:
    """How often the memory of a tensor was written in place; shared by all its views.

    ``views``: weak references to the views that in-place writes must keep up to date, None while there are none; dead ones
    are thrown out when there are more than ``limit``. ``recorded``: weak references to a recorder's traces of this memory.
    ``kin``: the counts of other tensors in the same memory that count for themselves (``.data``). ``foreign``: an array that
    is no tensor lies in this memory too, and writes to it are seen by nobody.
    """

    count = 0
    views: list[Any] | None = None
    limit = 16
    recorded: list[Any] | None = None
    kin: WeakSet[Version] | None = None
    foreign = False

    def relative(self) -> Version:
        """A count for a tensor in the same memory that counts for itself."""
        if self.kin is None:
            self.kin = WeakSet((self,))
        other = Version()
        other.kin = self.kin
        self.kin.add(other)
        return other


class InferenceVersion(Version):
    """The memory of a tensor made in inference mode: nobody counts there, so nothing of it can be saved for backward."""

    @property
    def count(self) -> int:
        """Asked for only by who wants to save the tensor. Raises torch's RuntimeError."""
        raise RuntimeError(SAVED_INFERENCE)

    @count.setter
    def count(self, value: int) -> None:
        raise RuntimeError(SAVED_INFERENCE)


class Node:
    """One operation in the graph, seen from backward.

    ``parents``: per input where its cotangent goes, a Node, a leaf, or None; ``needs``: per input whether there is one.
    ``slots``: which output of its parent each input is; None if each is the first. ``metas``: per input (shape, dtype),
    None for Python numbers; entrywise rules never ask, so there any true value will do.
    ``saved``: per input the saved tensor or number, None where the rule does not read it; FREED after backward; None as
    a whole if the rule reads neither inputs nor output. ``versions``: the version of each saved tensor when it was saved.
    ``result``: the output that the rule reads, as (array or tuple of arrays, Version, its count then).
    ``shape``, ``dtype``: of the output; for an op with several ``outputs`` tuples of them.
    ``exact``: no input was promoted and cotangents come in the inputs' own shapes, so none needs to be summed or cast.
    ``untracked``: the operand of a pair that is differentiated by nobody, or per input of an op with more; with its version
    if its memory had one. Only who tells the history of a result wants it.
    ``hooks``: functions of the program's own that see what comes and goes, None if there are none.
    ``face``: a weak reference to the object that the program sees, once it looked.
    ``rank``: falls with every new node, so a heap serves the latest first, as PyTorch does.
    """

    op: Op
    parents: tuple[Node | Tensor | None, ...]
    needs: tuple[bool, ...]
    shape: Any
    dtype: Any
    metas: tuple[Any, ...]
    rank: int
    # what most nodes have in common stands in the class: storing it in each would take a fifth of an operation's time
    options: dict[str, Any] = NO_OPTIONS
    slots: tuple[int, ...] | None = None
    saved: Any = None
    versions: tuple[int, ...] = (0, 0)
    result: Any = None
    outputs: int = 1
    exact: bool = True
    untracked: Any = None
    hooks: Any = None
    face: Any = None
    called: str = ""  # torch's name of the node of a function that here is made of several ops

    def name(self) -> str:
        """Torch's name of this backward node."""
        if self.called:
            return self.called
        shapes = tuple([meta and (meta[0] if isinstance(meta, tuple) else ()) for meta in self.metas])
        return self.op.grad_fn(shapes, self.options)

    def __repr__(self) -> str:
        return f"<{self.name().rpartition('::')[2]} object at {id(self):#x}>"
