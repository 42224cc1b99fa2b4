"""Where a gradient that is not finite comes from: the operation that made the first value that is not, forward or back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from explain.tape.trace import Sent, Tape


class Origin(NamedTuple):
    """``applied``: the application; ``way``: forward, where a value was the first that is not finite, or back, where a slope
    had no finite value or the numbers grew too large."""

    applied: int
    way: str


def origin(
    tape: Tape, leaf: int, path: Sequence[int], sent: Sequence[Sent], special: Callable[[int], Sequence[tuple[str, int]]]
) -> Origin | None:
    """Where the gradient of ``leaf`` stopped being finite; None where no single operation did it.

    ``path``: the applications between leaf and output, in the order they ran; ``sent``: what they sent back, in the order of
    the walk, empty where no walk was recorded; ``special``: what is special about the values that an application met."""
    back = _first_on_the_way_back(tape, leaf, path, sent)
    if back is None and not sent:
        back = next((k for k in reversed(path) if any(kind == "pole" for kind, _ in special(k))), None)
    if back is None:
        return None
    made = _source_of_infinity(tape, back)
    return Origin(back, "back") if made is None else Origin(made, "forward")


def _first_on_the_way_back(tape: Tape, leaf: int, path: Sequence[int], sent: Sequence[Sent]) -> int | None:
    """The application that first sent a cotangent towards the leaf that is not finite, though all that arrived was."""
    through = {leaf, *(i for k in path for i in tape.applied[k].outputs)}
    bad: set[int] = set()
    first = None
    for s in sent:
        value = tape.applied[s.applied].inputs[s.input]
        if _finite(s.cotangent) or value not in through:
            continue
        if first is None and bad.isdisjoint(tape.applied[s.applied].outputs):
            first = s.applied
        bad.add(value)
    return first


def _source_of_infinity(tape: Tape, k: int) -> int | None:
    """Of the values that an application met, the application that made the first that is not finite; None if all are."""
    made = None
    bad: Any = [*tape.applied[k].inputs, *tape.applied[k].outputs]
    while True:
        found = next((i for i in bad if not _finite(tape.values[i].array)), None)
        source = None if found is None else tape.values[found].source
        if source is None:
            return made
        made, bad = source[0], tape.applied[source[0]].inputs


def _finite(array: Any) -> bool:
    a = np.asarray(array)
    return a.dtype.kind != "f" or bool(np.all(np.isfinite(a)))


def details(tape: Tape, found: Origin | None, code: Callable[[int], str | None]) -> Mapping[str, Any]:
    """What a note says of it: the op, its code, the way."""
    if found is None:
        return {"op": None, "code": None, "way": "back"}
    applied = tape.applied[found.applied]
    return {"op": applied.op.name, "code": code(applied.outputs[0]), "way": found.way}
