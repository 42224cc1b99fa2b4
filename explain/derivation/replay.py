"""The recorded tape run again in float64, with chosen inputs moved: the third witness, central differences.

Everything else stays as recorded: masks, indices, class targets, random draws. What was an integer or a truth value is
never recomputed, so a choice made once stays made.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from explain.derivation.steps import needed
from explain.tape.record import Tape

ALL_ENTRIES = 256
SOME_ENTRIES = 64
MOST_OPERATIONS, FEWEST_ENTRIES = 100_000, 8
"""Of a long loop so few entries are tried that they take no more operations, but never fewer entries than that."""
DIRECTIONS = 3
ROUNDINGS = 4 * float(np.finfo(np.float64).eps)  # of the output, relative to the size of its terms
STEP = 6e-6  # near the cube root of the float64 epsilon: where truncation and rounding of a central difference balance


class Replay:
    """The applications that ``output`` depends on, ready to run again. ``values``: every value in float64."""

    def __init__(self, tape: Tape, output: int) -> None:
        self.output = output
        self._tape = tape
        self.order = needed(tape, output)
        self.values: dict[int, Any] = {}
        for k in self.order:
            for i in tape.applied[k].inputs:
                if tape.values[i].source is None:
                    self.values[i] = _as_float64(tape.values[i].array)
        if tape.values[output].source is None:
            self.values[output] = _as_float64(tape.values[output].array)
        self._run(self.order, self.values)

    def _run(self, order: list[int], values: dict[int, Any]) -> None:
        for k in order:
            applied = self._tape.applied[k]
            if applied.op.name == "to":
                values[applied.outputs[0]] = values[applied.inputs[0]]
                continue
            found = applied.op.forward(*(values[i] for i in applied.inputs), **applied.options)
            for i, y in zip(applied.outputs, found if isinstance(found, tuple) else (found,), strict=True):
                recorded = self._tape.values[i].array
                values[i] = y if np.asarray(recorded).dtype.kind == "f" else recorded

    def dependents(self, *leaves: int) -> list[int]:
        """The applications whose result changes with these values."""
        touched, found = set(leaves), []
        for k in self.order:
            if touched & set(self._tape.applied[k].inputs):
                found.append(k)
                touched |= set(self._tape.applied[k].outputs)
        return found

    def decides_alike(self, values: dict[int, Any]) -> bool:
        """Run everything again on ``values``, which are completed. Whether all that is no floating number (masks, positions,
        counts) would come out as recorded, where it stays so anyway."""
        self._run(self.order, values)
        for k in self.order:
            applied = self._tape.applied[k]
            if all(np.asarray(self._tape.values[i].array).dtype.kind == "f" for i in applied.outputs):
                continue
            found = applied.op.forward(*(values[i] for i in applied.inputs), **applied.options)
            for i, y in zip(applied.outputs, found if isinstance(found, tuple) else (found,), strict=True):
                recorded = self._tape.values[i].array
                if np.asarray(recorded).dtype.kind != "f" and not np.array_equal(y, recorded):
                    return False
        return True

    def at(self, moved: Mapping[int, Any], order: list[int] | None = None) -> Any:
        """The output with some values at other entries. ``order``: their dependents, if already known."""
        values = {**self.values, **moved}
        self._run(self.dependents(*moved) if order is None else order, values)
        return values[self.output]


def _as_float64(array: Any) -> Any:
    a = np.asarray(array)
    return (
        a[()] if a.dtype.kind in "b" or (a.dtype.kind in "iu" and not isinstance(array, int)) else a.astype(np.float64)[()]
    )


@dataclass(frozen=True, eq=False)
class Differences:
    """Central differences of ⟨v, y⟩ by the entries of one leaf.

    ``entries``: flat positions tried; ``central``, ``left``, ``right``: the differences there; ``noise``: what rounding of
    the output may do to them. ``directions``: triples (unit direction, central difference along it, its noise), where not
    all entries were tried.
    """

    entries: np.ndarray
    central: np.ndarray
    left: np.ndarray
    right: np.ndarray
    noise: np.ndarray
    directions: tuple[tuple[np.ndarray, float, float], ...]

    @property
    def complete(self) -> bool:
        """All entries were tried."""
        return not self.directions


def differences(replay: Replay, leaf: int, v: Any, scales: tuple[float, ...] = (1.0,)) -> Differences:
    """Central and one-sided differences of ⟨v, output⟩ by the entries of ``leaf``, in float64.

    ``scales``: factors on the step. With several, the two neighbouring steps that agree best are taken per entry, and by how
    much they differ counts as noise: near a pole the usual step is too wide.
    """
    start = np.array(replay.values[leaf], np.float64)
    order = replay.dependents(leaf)
    weight = np.asarray(v, np.float64)

    def value(moved: np.ndarray) -> float:
        return float(np.sum(weight * replay.at({leaf: moved[()] if moved.ndim == 0 else moved}, order)))

    middle = value(start)
    magnitude = float(np.sum(np.abs(weight * replay.values[replay.output])))
    stream = np.random.default_rng(0)
    some = min(SOME_ENTRIES, max(FEWEST_ENTRIES, MOST_OPERATIONS // max(1, 2 * len(order))))
    everything = start.size <= (some if some < SOME_ENTRIES else ALL_ENTRIES)
    entries = np.arange(start.size) if everything else np.sort(stream.choice(start.size, some, replace=False))
    rows = []
    for k in entries:
        x = float(start.flat[k])
        tried = []
        for scale in scales:
            h = STEP * scale * max(1.0, abs(x))
            up, down = start.copy(), start.copy()
            up.flat[k] = x + h
            down.flat[k] = x - h
            above, below = value(up), value(down)
            slopes = ((above - below) / (2 * h), (middle - below) / h, (above - middle) / h)
            tried.append((*slopes, ROUNDINGS * magnitude / h))
        rows.append(_best(tried))
    central, left, right, noise = np.array(rows, np.float64).reshape(-1, 4).T
    directions = []
    for _ in range(0 if everything else DIRECTIONS):
        d = stream.normal(size=start.shape)
        d /= math.sqrt(float(np.sum(d * d)))
        h = STEP * max(1.0, math.sqrt(float(np.sum(start * start))))
        slope = (value(start + h * d) - value(start - h * d)) / (2 * h)
        directions.append((d, slope, ROUNDINGS * magnitude / h))
    return Differences(entries, central, left, right, noise, tuple(directions))


def _best(tried: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """Of differences with ever smaller steps the one that agrees best with its neighbour, the gap added to its noise."""
    best = tried[0]
    smallest = math.inf
    for one, other in itertools.pairwise(tried):
        gap = abs(one[0] - other[0]) + other[3]
        if gap < smallest:
            smallest, best = gap, (other[0], other[1], other[2], gap)
    return best
