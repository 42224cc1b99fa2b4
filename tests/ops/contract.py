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


def varied(op: Op, arrays: list[Any], options: Any) -> tuple[bool, ...]:
    """Which inputs are differentiated."""
    return tuple(array.dtype.kind == "f" and op.takes_gradient(k, options) for k, array in enumerate(arrays))


def outputs(out: Any) -> tuple[Any, ...]:
    """All that an op returned."""
    return out if isinstance(out, tuple) else (out,)


def weights(out: Any, seed: int) -> list[Any]:
    """A random cotangent for each output that gradients flow through, None for the others (positions)."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=y.shape).astype(y.dtype)[()] if y.dtype.kind == "f" else None for y in outputs(out)]


def weighted(weight: list[Any], out: Any) -> float:
    """The sum of all outputs' entries, weighted."""
    pairs = zip(weight, outputs(out), strict=True)
    return sum(float(np.sum(w * y)) for w, y in pairs if w is not None)


def differences(function: Callable[[Any], float], x: Any) -> Any:
    """The gradient of ``function`` by central differences."""
    found = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = np.array(x)
            moved[place] += step
            ends.append(function(moved))
        found[place] = (ends[0] - ends[1]) / (2 * STEP)
    return found


def apart(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays differ by more than the tolerance, relative to the larger one's largest entry."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return True
    return bool(a.size) and not np.max(np.abs(a - b)) <= tolerance * max(1.0, np.max(np.abs(a)), np.max(np.abs(b)))


def as_rule_gets(op: Op, arrays: list[Any], out: Any, options: Any) -> tuple[list[Any], Any]:
    """Inputs and output as a graph node hands them to the rule: what is not declared in ``uses`` is withheld."""
    keep, reads_result = op.keeps(varied(op, arrays, options))
    keep = keep or (False,) * len(arrays)
    hidden = [None if op.broadcasts else Unsaved(a.shape, a.dtype) for a in arrays]
    return [
        a if k else h for a, k, h in zip(arrays, keep, hidden, strict=True)
    ], out if reads_result or op.outputs != 1 else None


def forward_faults(op: Op, sample: Sample) -> Iterator[str]:
    """Float32 in, float32 out, with the shape and the values of float64."""
    double, single = (op.forward(*inputs(op, sample, t), **sample.options) for t in (np.float64, np.float32))
    doubles, singles = outputs(double), outputs(single)
    if isinstance(double, tuple) != (op.outputs != 1) or len(doubles) != (op.outputs or len(doubles)):
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
        needs = varied(op, arrays, sample.options)
        out = op.forward(*arrays, **sample.options)
        weight = weights(out, 1)
        zeros = [w if w is None else w * 0 for w in weight]
        ins, result = as_rule_gets(op, arrays, out, sample.options)
        found, flat = (
            op.vjp(NUMERIC, needs, g[0] if op.outputs == 1 else g, result, *ins, **sample.options) for g in (weight, zeros)
        )
        for k, need in enumerate(needs):
            if not need:
                continue
            shape = out.shape if op.broadcasts else arrays[k].shape
            if found[k].shape != shape:
                yield f"cotangent {k} has shape {found[k].shape}, should have {shape}"
                continue
            if found[k].dtype != arrays[k].dtype:
                yield f"cotangent {k} is {found[k].dtype} for a {arrays[k].dtype} input"
            if np.any(flat[k]):
                yield f"cotangent {k} is not zero for a zero upstream"
            if tolerance is not None:
                total = NUMERIC.sum_to(found[k], shape=arrays[k].shape)
                expected = differences(_at(op, sample, arrays, k, weight), arrays[k])
                if apart(total, expected, tolerance):
                    yield f"cotangent {k} is {total.tolist()}, central differences say {expected.tolist()}"


def _at(op: Op, sample: Sample, arrays: list[Any], k: int, weight: list[Any]) -> Callable[[Any], float]:
    def function(moved: Any) -> float:
        return weighted(weight, op.forward(*arrays[:k], moved, *arrays[k + 1 :], **sample.options))

    return function


def taped_faults(op: Op, sample: Sample) -> Iterator[str]:
    """The tape sends what the rule says, and second derivatives are central differences of the first."""
    arrays = inputs(op, sample)
    needs = varied(op, arrays, sample.options)

    def gradients(moved: list[Any], create_graph: bool, weight: list[Any]) -> tuple[list[Tensor], list[Tensor], list[Any]]:
        tensors = [leaf(a[()], requires_grad=need) for a, need in zip(moved, needs, strict=True)]
        leaves = [t for t in tensors if t.requires_grad]
        out = apply(op, tuple(tensors), sample.options)
        ys = [y for y, w in zip(outputs(out), weight, strict=True) if w is not None]
        upstreams = [leaf(w, requires_grad=create_graph) for w in weight if w is not None]
        return leaves, upstreams, list(grad(ys, leaves, upstreams, create_graph=create_graph))

    weight = weights(op.forward(*arrays, **sample.options), 2)
    plain = gradients(arrays, False, weight)[2]
    for k, (found, position) in enumerate(zip(plain, np.flatnonzero(needs), strict=True)):
        expected = differences(_at(op, sample, arrays, position, weight), arrays[position])
        if apart(found.array, expected):
            yield f"the tape's gradient {k} is not the one of central differences"

    leaves, upstreams, first = gradients(arrays, True, weight)
    probes = [np.random.default_rng(3 + k).normal(size=g.array.shape)[()] for k, g in enumerate(first)]
    linked = [(g, leaf(p)) for g, p in zip(first, probes, strict=True) if g.requires_grad]
    if linked:
        second = grad([g for g, _ in linked], [*leaves, *upstreams], [p for _, p in linked], allow_unused=True)
    else:
        second = (None,) * (len(leaves) + len(upstreams))

    def probed(given: list[Any], position: int) -> Callable[[Any], float]:
        def function(moved: Any) -> float:
            kept, given[position] = given[position], moved
            again = gradients(arrays, False, weight)[2]
            given[position] = kept
            return float(sum(np.sum(p * g.array) for p, g in zip(probes, again, strict=True)))

        return function

    places = [(arrays, int(k)) for k in np.flatnonzero(needs)]
    places += [(weight, k) for k, w in enumerate(weight) if w is not None]
    for (given, k), found in zip(places, second, strict=True):
        x = np.asarray(given[k])
        expected = differences(probed(given, k), x)
        if apart(np.zeros(x.shape) if found is None else found.array, expected):
            yield f"second derivative by {'input' if given is arrays else 'upstream'} {k}: {found}, should be {expected}"
