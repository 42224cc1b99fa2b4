"""The arrays that forward gives an op's formula: positions that were picked, factors that the program does not look at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.tape.record import Tape


def given_arrays(tape: Tape, k: int, exact: Mapping[int, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The arrays that application ``k`` gives its formula: positions as recorded, numbers from the ``exact`` values."""
    applied = tape.applied[k]

    def given(values: Mapping[int, Any]) -> dict[str, Any]:
        outputs = tuple(values.get(i, tape.values[i].array) for i in applied.outputs)
        y = outputs if len(outputs) > 1 else outputs[0]
        ins = [values.get(i, tape.values[i].array) for i in applied.inputs]
        return applied.op.given(y, *ins, **applied.options)

    found = given({})
    return given(exact) if any(np.asarray(a).dtype.kind == "f" for a in found.values()) else found
