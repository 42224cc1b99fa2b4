"""A page for every op on every sample: derived, checked, rendered in every format, and read back. Generic: a new op is
found here by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from explain.derivation.build import derive
from explain.derivation.model import Run
from explain.derivation.request import Request
from explain.ops import REGISTRY, Op, Sample
from explain.tape.apply import apply
from explain.tape.record import freeze, record
from explain.tape.tensor import leaf

CASES = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in REGISTRY.values()
    for k, sample in enumerate(op.samples)
    if op.differentiable
]

LONG = ("svd_reduced", "qr_reduced", "pinv", "lu_packed")  # their closed forms are longer than a page: the steps show them


def drawn(op: Op, sample: Sample) -> list[Any]:
    stream = np.random.default_rng(8)
    return [stream.uniform(*op.domain, i) if isinstance(i, tuple) else i for i in sample.inputs]


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_page(op: Op, sample: Sample) -> None:
    count = page(op, sample, 0)
    for which in range(1, count):
        page(op, sample, which)


def page(op: Op, sample: Sample, which: int) -> int:
    """The page of one output of the op, checked. Returns how many outputs there are that gradients flow through."""
    with record() as recorder:
        ins = []
        for k, array in enumerate(drawn(op, sample)):
            floats = np.asarray(array).dtype.kind == "f" and op.takes_gradient(k, sample.options)
            ins.append(leaf(np.asarray(array)[()], requires_grad=floats))
            recorder.name(ins[-1], f"x{k}")
        out = apply(op, tuple(ins), sample.options)
        outs = [y for y in (out if isinstance(out, tuple) else (out,)) if y.dtype.is_floating_point]
        out = outs[which]
        v = leaf(np.random.default_rng(9).normal(size=out.array.shape)[()])
        out.backward(v)
    frozen = freeze([recorder.trace(out)], recorder.walks)
    tape = frozen.tape
    leaves = {frozen.ids[recorder.trace(t)]: t for t in ins if t.requires_grad}
    request = Request(
        tape=tape,
        output=frozen.ids[recorder.trace(out)],
        wanted=tuple(leaves),
        mode="vjp",
        backward=tape.backwards[0],
        jacobians={},
        grads={i: t.grad.array for i, t in leaves.items() if t.grad is not None},
        sizes={},
    )
    run = Run(op.name, "expression", (), (derive(request),))
    assert run.ok, [c for g in run.derivation.gradients for c in g.checks]
    for g in run.derivation.gradients:
        checks = {c.name: c.status for c in g.checks}
        assert (g.closed_form is not None or op.name in LONG) and checks["formula"] == "ok" == checks["differences"]
    for format in ("md", "text"):
        assert "✗" not in run.render(format)
    assert Run.from_json(run.to_json()).to_json() == run.to_json()
    return len(outs)
