"""The file of recorded samples: what PyTorch answered to some of its own sample inputs, to be asked again without it.

Text (JSON) says what was called; the entries of all arrays lie one behind the other in one array per dtype.
``python -m tests.oracle.record_op_db`` writes it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explain.tape.dtypes import BY_NAME
from explain.tape.tensor import Tensor
from tests.oracle.outcome import OURS, Outcome

PATH = Path(__file__).parents[1] / "ops" / "recorded.npz"
ARRAYS = ("gradients", "seconds")


@dataclass
class Recorded:
    """A call and what PyTorch made of it. ``kind``: which of the op's samples it stands for."""

    label: str
    name: str
    kind: str
    arguments: Any  # [input, args, kwargs], encoded
    outcome: Outcome


class Pool:
    """The arrays of a recording, one behind the other."""

    def __init__(self, given: dict[str, Any] | None = None) -> None:
        self.arrays = given or {}
        self.parts: dict[str, list[Any]] = {}
        self.sizes: dict[str, int] = {}

    def put(self, array: Any) -> dict[str, Any]:
        """Keep an array with its strides; returns its place."""
        array = np.asarray(array)
        steps = [s // array.itemsize for s in array.strides]
        plain = array.flags.c_contiguous
        memory = (
            array.ravel()
            if plain
            else np.lib.stride_tricks.as_strided(array, (_span(array.shape, steps),), (array.itemsize,))
        )
        key, start = array.dtype.name, self.sizes.get(array.dtype.name, 0)
        self.parts.setdefault(key, []).append(memory.copy())
        self.sizes[key] = start + memory.size
        place = {"a": key, "at": start, "shape": list(array.shape)}
        return place if plain else {**place, "strides": steps}

    def get(self, place: dict[str, Any]) -> Any:
        """A copy of the array at a place."""
        shape, steps = tuple(place["shape"]), place.get("strides")
        size = _span(shape, steps) if steps else int(np.prod(shape))
        memory = self.arrays[place["a"]][place["at"] : place["at"] + size].copy()
        if steps is None:
            return memory.reshape(shape)
        return np.lib.stride_tricks.as_strided(memory, shape, [s * memory.itemsize for s in steps])

    def whole(self) -> dict[str, Any]:
        """One array per dtype."""
        return {key: np.concatenate(parts) for key, parts in self.parts.items()}


def _span(shape: Any, steps: Any) -> int:
    return 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if all(shape) else 0


def encode(value: Any, pool: Pool) -> Any:
    """An argument of our engine as JSON. Raises TypeError for what it cannot hold."""
    if isinstance(value, Tensor):
        return {"tensor": pool.put(value.array), "needs": value.requires_grad}
    if isinstance(value, np.ndarray):
        return {"array": pool.put(value)}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [encode(part, pool) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[key, encode(part, pool)] for key, part in value.items()]}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if value is ...:
        return {"ellipsis": None}
    if type(value).__name__ == "PairwiseDistance":
        return {"pairwise": [value.p, value.eps, value.keepdim]}
    if repr(value).startswith("torch."):
        return {"torch": repr(value).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value  # JSON as Python writes it has inf and nan
    raise TypeError(f"{type(value).__name__} cannot be recorded")


def decode(value: Any, pool: Pool, leaves: list[Any]) -> Any:
    """What ``encode`` was given; tensors that require gradients are added to ``leaves``."""
    if not isinstance(value, dict):
        return value
    ((key, inner), *more) = value.items()
    if key == "tensor":
        tensor = OURS.make(pool.get(inner), more[0][1])
        if tensor.requires_grad:
            leaves.append(tensor)
        return tensor
    if key == "array":
        return pool.get(inner)
    if key in ("list", "tuple"):
        made = [decode(part, pool, leaves) for part in inner]
        return made if key == "list" else tuple(made)
    if key == "dict":
        return {name: decode(part, pool, leaves) for name, part in inner}
    if key == "torch":
        return BY_NAME[inner] if inner in BY_NAME else getattr(OURS.names, inner)
    return {
        "slice": lambda: slice(*inner), "ellipsis": lambda: ..., "pairwise": lambda: OURS.names.nn.PairwiseDistance(*inner),
    }[key]()  # fmt: skip


def save(samples: list[Recorded], pool: Pool, notes: dict[str, Any]) -> None:
    """Write the file."""
    rows = []
    for sample in samples:
        own = dict(vars(sample.outcome))
        own["raised"] = own["raised"].partition(":")[0]  # of errors, only the type is compared
        for key in ("results", "compared"):
            own[key] = [encode(part, pool) for part in own[key]]
        for key in ARRAYS:
            own[key] = None if own[key] is None else [g if g is None else pool.put(g) for g in own[key]]
        rows.append({**vars(sample), "outcome": own})
    text = zlib.compress(json.dumps({"notes": notes, "samples": rows}, separators=(",", ":")).encode(), 9)
    np.savez_compressed(PATH, text=np.frombuffer(text, np.uint8), **pool.whole())


def load() -> tuple[list[Recorded], Pool, dict[str, Any]]:
    """Read the file: the samples, their arrays, and what the recording says of itself."""
    with np.load(PATH) as file:
        arrays = {key: file[key] for key in file.files}
    pool = Pool(arrays)
    whole = json.loads(zlib.decompress(arrays.pop("text").tobytes()))
    return list(_samples(whole["samples"], pool)), pool, whole["notes"]


def _samples(rows: list[Any], pool: Pool) -> Iterator[Recorded]:
    for row in rows:
        own = row.pop("outcome")
        for key in ("results", "compared"):
            own[key] = [decode(part, pool, []) for part in own[key]]
        for key in ARRAYS:
            own[key] = None if own[key] is None else [g if g is None else pool.get(g) for g in own[key]]
        yield Recorded(**row, outcome=Outcome(**own))
