"""The numeric half of the op contract, as functions that return what is wrong: shared by the test and the test of it.

Everything is compared with central differences of ``forward`` in float64. Random entries come from the op's own domain,
so kinks and ties, which have their own tests, do not occur.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, Unsaved
from explain.ops.registry import NUMERIC
from explain.tape import Tensor, grad
from explain.tape.apply import apply
from explain.tape.tensor import leaf

STEP = 1e-5
TOLERANCE = 1e-6  # of the largest entry; central differences with this step are good to about 1e-9
FLOAT32 = 3e-5


def inputs(op: Op, sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """The sample's arrays: given ones as they are, shapes filled with random numbers of the op's domain."""
    rng = np.random.default_rng(zlib.crc32(f"{op.name}{sample}".encode()))
    found = []
    for given in sample.inputs:
        array = rng.uniform(*op.domain, given) if isinstance(given, tuple) else given
        array = np.asarray(array)
        found.append(array.astype(dtype) if array.dtype.kind == "f" else array)
    return found


def varied(op: Op, arrays: list[Any]) -> tuple[bool, ...]:
    """Which inputs are differentiated."""
    return tuple(array.dtype.kind == "f" and k not in op.reads_values for k, array in enumerate(arrays))


def floating(out: Any) -> list[Any]:
    """The outputs that gradients flow through."""
    outs = out if isinstance(out, tuple) else (out,)
    return [part for part in outs if part.dtype.kind == "f"]


def differences(function: Callable[[Any], Any], x: Any, weight: Any) -> Any:
    """The gradient of sum(weight * function(x)) by central differences."""
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = np.array(x)
            moved[place] += step
            ends.append(float(np.sum(weight * function(moved))))
        found[place] = (ends[0] - ends[1]) / (2 * STEP)
    return found


def apart(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays differ by more than the tolerance, relative to the larger one's largest entry."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return True
    return bool(a.size) and not np.max(np.abs(a - b)) <= tolerance * max(1.0, np.max(np.abs(a)), np.max(np.abs(b)))


def as_rule_gets(op: Op, arrays: list[Any], out: Any) -> tuple[list[Any], Any]:
    """Inputs and output as a graph node hands them to the rule: what is not declared in ``uses`` is withheld."""
    keep, reads_result = op.keeps(varied(op, arrays))
    keep = keep or (False,) * len(arrays)
    hidden = [None if op.broadcasts else Unsaved(a.shape, a.dtype) for a in arrays]
    return [
        a if k else h for a, k, h in zip(arrays, keep, hidden, strict=True)
    ], out if reads_result or op.outputs > 1 else None


def forward_faults(op: Op, sample: Sample) -> Iterator[str]:
    """Float32 in, float32 out, with the shape and the values of float64."""
    double, single = (op.forward(*inputs(op, sample, t), **sample.options) for t in (np.float64, np.float32))
    doubles, singles = (out if isinstance(out, tuple) else (out,) for out in (double, single))
    if len(doubles) != op.outputs:
        yield f"{len(doubles)} outputs, declared {op.outputs}"
    for d, s in zip(doubles, singles, strict=True):
        if d.shape != s.shape:
            yield f"shape {s.shape} in float32, {d.shape} in float64"
        if d.dtype.kind == "f" and op.name != "to" and (d.dtype, s.dtype) != (np.float64, np.float32):
            yield f"float64 gives {d.dtype}, float32 gives {s.dtype}"
        if apart(d, s, FLOAT32):
            yield "float32 and float64 give different values"


def first_faults(op: Op, sample: Sample) -> Iterator[str]:
    """The rule: shapes and dtypes of its cotangents, zero for zero, central differences."""
    for dtype, tolerance in ((np.float64, TOLERANCE), (np.float32, None)):
        arrays = inputs(op, sample, dtype)
        needs = varied(op, arrays)
        out = op.forward(*arrays, **sample.options)
        (y, *_) = floating(out)
        weight = np.random.default_rng(1).normal(size=y.shape).astype(y.dtype)[()]
        g = weight if op.outputs == 1 else [weight, *[None] * (op.outputs - 1)]
        ins, result = as_rule_gets(op, arrays, out)
        found = op.vjp(NUMERIC, needs, g, result, *ins, **sample.options)
        flat = op.vjp(NUMERIC, needs, g * 0 if op.outputs == 1 else [weight * 0, *g[1:]], result, *ins, **sample.options)
        for k, need in enumerate(needs):
            if not need:
                continue
            shape = y.shape if op.broadcasts else arrays[k].shape
            if found[k].shape != shape:
                yield f"cotangent {k} has shape {found[k].shape}, should have {shape}"
                continue
            if found[k].dtype != arrays[k].dtype:
                yield f"cotangent {k} is {found[k].dtype} for a {arrays[k].dtype} input"
            if np.any(flat[k]):
                yield f"cotangent {k} is not zero for a zero upstream"
            if tolerance is not None:
                total = NUMERIC.sum_to(found[k], shape=arrays[k].shape)
                expected = differences(_at(op, sample, arrays, k), arrays[k], weight)
                if apart(total, expected, tolerance):
                    yield f"cotangent {k} is {total.tolist()}, central differences say {expected.tolist()}"


def _at(op: Op, sample: Sample, arrays: list[Any], k: int) -> Callable[[Any], Any]:
    def function(moved: Any) -> Any:
        return floating(op.forward(*arrays[:k], moved, *arrays[k + 1 :], **sample.options))[0]

    return function


def taped_faults(op: Op, sample: Sample) -> Iterator[str]:
    """The tape sends what the rule says, and second derivatives are central differences of the first."""
    arrays = inputs(op, sample)
    needs = varied(op, arrays)

    def gradients(moved: list[Any], create_graph: bool, weight: Any) -> tuple[list[Tensor], Tensor, list[Any]]:
        tensors = [leaf(a[()], requires_grad=need) for a, need in zip(moved, needs, strict=True)]
        leaves = [t for t in tensors if t.requires_grad]
        out = apply(op, tuple(tensors), sample.options)
        y = out if isinstance(out, Tensor) else out[0]
        upstream = leaf(weight, requires_grad=create_graph)
        return leaves, upstream, list(grad(y, leaves, upstream, create_graph=create_graph))

    out = op.forward(*arrays, **sample.options)
    y = floating(out)[0]
    weight = np.random.default_rng(2).normal(size=y.shape)[()]
    plain = gradients(arrays, False, weight)[2]
    for k, (found, position) in enumerate(zip(plain, np.flatnonzero(needs), strict=True)):
        expected = differences(_at(op, sample, arrays, position), arrays[position], weight)
        if apart(found.array, expected):
            yield f"the tape's gradient {k} is not the one of central differences"

    leaves, upstream, first = gradients(arrays, True, weight)
    probes = [np.random.default_rng(3 + k).normal(size=g.array.shape)[()] for k, g in enumerate(first)]
    linked = [(g, leaf(p)) for g, p in zip(first, probes, strict=True) if g.requires_grad]
    if linked:
        second = grad([g for g, _ in linked], [*leaves, upstream], [p for _, p in linked], allow_unused=True)
    else:
        second = (None,) * (len(leaves) + 1)

    def probed(position: int | None) -> Callable[[Any], Any]:
        def function(moved: Any) -> Any:
            at = list(arrays)
            if position is not None:
                at[position] = moved
            again = gradients(at, False, moved if position is None else weight)[2]
            return np.float64(sum(np.sum(p * g.array) for p, g in zip(probes, again, strict=True)))

        return function

    places: list[Any] = [*(int(p) for p in np.flatnonzero(needs)), None]
    for place, found in zip(places, second, strict=True):
        x = np.asarray(weight if place is None else arrays[place])
        expected = differences(probed(place), x, 1.0)
        if apart(np.zeros(x.shape) if found is None else found.array, expected):
            yield f"second derivative by {'upstream' if place is None else f'input {place}'}: {found}, should be {expected}"
