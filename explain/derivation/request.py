"""What is asked of a derivation: the recorded tape, and which gradients of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explain.tape.record import Backward, Tape


@dataclass(frozen=True, eq=False)
class Decree:
    """What the backward of a custom Function computed, as a tape: its ``upstream``; per input of the Function what was sent
    to it (``results``, pairs of ids outside and inside, None for nothing); ``known``: values inside that are values
    outside."""

    tape: Tape
    upstream: int
    results: tuple[tuple[int, int | None], ...]
    known: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class Block:
    """A custom Function: the applications of its forward, what its backward ``sent`` to each input, whether that ``agrees``
    with the derivative of its forward, and how it was computed (None: not recorded)."""

    name: str
    members: tuple[int, ...]
    sent: Mapping[int, Any]
    agrees: bool
    decree: Decree | None


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be derived: ``output`` and ``wanted`` are value ids. ``mode`` as in ``Derivation``. ``backward``: the
    recorded walk (None where there is none). ``jacobians``: per leaf all rows by the tape, for mode jacobian.
    ``grads``: ``.grad`` of each leaf after the walk. ``sizes``: what symbolic sizes are called, by Size symbol.
    ``symbolic``: the recorded values only stand in, no number is shown. ``kind``: what the program called: backward, grad,
    jacobian, hessian or jvp; derive if it called nothing; ``number``, ``line`` and ``call``: which call it was, where, in
    which words. ``before``: what ``.grad`` held before. ``blocks``: custom Functions by the value that they made.
    ``stale``: values that were overwritten behind the tape's back between forward and backward. ``tangents``, ``product``:
    of a product J u the changes of the inputs and what came out."""

    tape: Tape
    output: int
    wanted: tuple[int, ...]
    mode: str
    backward: Backward | None
    jacobians: Mapping[int, Any]
    grads: Mapping[int, Any]
    sizes: Mapping[Any, Any]
    symbolic: bool = False
    kind: str = "backward"
    number: int | None = None
    line: int | None = None
    call: str | None = None
    before: Mapping[int, Any] = field(default_factory=dict)
    blocks: Mapping[int, Block] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    tangents: Mapping[int, Any] | None = None
    product: Any = None
