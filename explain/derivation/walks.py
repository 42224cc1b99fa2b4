"""From a backward call that was recorded to what is asked of a derivation."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.derivation.request import Request
from explain.ops.registry import REGISTRY
from explain.tape.record import Frozen, Recorder, Trace, Walk, freeze
from explain.tape.trace import Call

JACOBIANS = ("jacobian", "hessian", "jvp")


def request_of(walk: Walk, recorder: Recorder, number: int | None = None) -> Request:
    """The request for one recorded walk. ``number``: which of the program's walks it is."""
    if len(walk.roots) > 1:
        walk = _joined(walk, recorder)
    wanted = wanted_of(walk)
    jacobian = walk.kind in JACOBIANS
    frozen = freeze([walk.roots[0][0], *wanted], [] if jacobian else [walk], walk.cut())
    ids = frozen.ids
    output, seed = walk.roots[0]
    return Request(
        tape=frozen.tape,
        output=ids[output],
        wanted=tuple([ids[t] for t in wanted]),
        mode="jacobian" if jacobian else _mode(output, seed),
        backward=frozen.tape.backwards[0] if frozen.tape.backwards else None,
        jacobians={ids[t]: rows for t, rows in walk.rows.items()},
        grads=_grads(walk, wanted, frozen),
        sizes={},
        kind=walk.kind,
        number=number,
        line=walk.place.line if walk.place else None,
        call=walk.place.text[walk.place.start : walk.place.end] if walk.place else None,
        before={ids[t]: before for t, before in walk.before.items() if before is not None and t in ids},
        stale=frozenset([ids[t] for t in walk.stale if t in ids]),
        tangents=None if walk.tangents is None else dict(zip((ids[t] for t in wanted), walk.tangents, strict=True)),
        product=walk.product,
    )


def wanted_of(walk: Walk) -> list[Trace]:
    """What a walk differentiated by, each once: as the program gave it, or in the order in which it was made."""
    if walk.wanted is not None:
        return list(dict.fromkeys(walk.wanted))
    return sorted({*walk.gradients, *walk.retained}, key=lambda t: t.order)


def _mode(output: Trace, seed: Any) -> str:
    whole = np.size(output.array) == 1 and bool(np.all(np.asarray(seed) == 1))
    return "gradient" if whole else "vjp"


def _grads(walk: Walk, wanted: list[Trace], frozen: Frozen) -> dict[int, Any]:
    """What ``.grad`` (of ``autograd.grad``: the result) of each wanted trace is after the walk."""
    found: dict[int, Any] = {}
    for t in wanted:
        g = walk.gradients.get(t, walk.arrived.get(t))
        if g is None:
            continue
        before = walk.before.get(t) if walk.kind == "backward" else None
        found[frozen.ids[t]] = g if before is None else (before + g)
    return found


def _joined(walk: Walk, recorder: Recorder) -> Walk:
    """A walk from several outputs as one from the number that it is the gradient of: l = Σ ⟨v, y⟩, with that sum recorded
    as if the program had computed it."""
    total: Trace | None = None
    sent: list[tuple[Call, int, Any]] = []
    one = np.float64(1)
    for output, seed in walk.roots:
        product = _applied(recorder, "mul", (output, _constant(recorder, seed)), output.array * seed)
        whole = _applied(recorder, "sum", (product,), np.sum(product.array)) if np.ndim(product.array) else product
        sent.append((product.source, 0, np.asarray(seed)))  # type: ignore[arg-type]
        if whole is not product:
            sent.append((whole.source, 0, np.ones_like(product.array)))  # type: ignore[arg-type]
        if total is None:
            total = whole
            continue
        total = _applied(recorder, "add", (total, whole), total.array + whole.array)
        sent += [(total.source, k, one) for k in (0, 1)]  # type: ignore[misc]
    assert total is not None
    total.names = ["l"]
    joined = Walk(walk.kind, [(total, np.ones_like(total.array)[()])], walk.wanted, walk.place, walk.create_graph)
    joined.before, joined.gradients, joined.hooked, joined.retained = walk.before, walk.gradients, walk.hooked, walk.retained
    joined.stale = walk.stale
    joined.sent = [*sent, *walk.sent]
    joined.arrived = dict(walk.arrived)
    for call, k, g in sent:
        trace = call.inputs[k]
        joined.arrived.setdefault(trace, g)
    joined.arrived[total] = one
    return joined


def _constant(recorder: Recorder, array: Any) -> Trace:
    trace = recorder.constant(array)
    trace.names = ["v"]
    return trace


def _applied(recorder: Recorder, name: str, inputs: tuple[Trace, ...], array: Any) -> Trace:
    return recorder.computed(REGISTRY[name], inputs, array)
