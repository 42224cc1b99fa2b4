"""What is asked of a derivation: the recorded tape, and which gradients of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from explain.tape.record import Backward, Tape


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be derived: ``output`` and ``wanted`` are value ids. ``mode`` as in ``Derivation``. ``backward``: the
    recorded walk (None where there is none). ``jacobians``: per leaf all rows by the tape, for mode jacobian.
    ``grads``: ``.grad`` of each leaf after the walk. ``sizes``: what symbolic sizes are called, by Size symbol.
    ``symbolic``: the recorded values only stand in, no number is shown."""

    tape: Tape
    output: int
    wanted: tuple[int, ...]
    mode: str
    backward: Backward | None
    jacobians: Mapping[int, Any]
    grads: Mapping[int, Any]
    sizes: Mapping[Any, Any]
    symbolic: bool = False
