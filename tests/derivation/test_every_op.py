"""A page for every op on every sample: derived, checked, rendered in every format, and read back. Generic: a new op is
found here by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from explain.calculus.evaluate import evaluate, evaluate_each
from explain.derivation.build import derive
from explain.derivation.custom import opened
from explain.derivation.links import bar
from explain.derivation.model import Run
from explain.derivation.plan import TANGENT, plan_for
from explain.derivation.request import Request
from explain.derivation.values import numbers
from explain.derivation.witnesses import Witnesses
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


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_formulas_at_several_values_at_once(op: Op, sample: Sample) -> None:
    """As the turns of a loop are evaluated: the same as at one after the other."""
    request, _ = asked(op, sample, 0)
    plan = plan_for(opened(request))
    own = Witnesses(request, plan).values.arrays
    sets = [{name: moved(array, by) for name, array in own.items()} for by in (0.0, 0.01, -0.02)]
    for planned in plan.steps:
        link = planned.link
        stream = np.random.default_rng(5)
        others = {TANGENT.name: link.target, bar(link.step.name).name: link.step.out}
        for at in sets:
            at |= {name: stream.normal(size=[n for _, n in numbers(binds)]) for name, binds in others.items()}
        stacks = {name: np.stack([np.asarray(at[name]) for at in sets]) for name in sets[0]}
        formulas = (
            (planned.forward, link.step.out),
            (link.jacobian, (*link.step.out, *link.target)),
            (link.contracted, link.target),
        )
        for e, binds in formulas:
            assert e is not None
            found = evaluate_each(e, {}, stacks, numbers(binds))
            for at, one in zip(sets, found, strict=True):
                np.testing.assert_allclose(one, evaluate(e, at, numbers(binds)), rtol=1e-12, atol=1e-13)


def moved(array: Any, by: float) -> Any:
    """Other numbers of the same kind."""
    a = np.asarray(array)
    return a * (1 + by * np.arange(1, a.size + 1).reshape(a.shape) / a.size) if a.dtype.kind == "f" else a


def asked(op: Op, sample: Sample, which: int) -> tuple[Request, int]:
    """The request for the gradients of one output of the op, and how many outputs there are that gradients flow through."""
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
    return Request(
        tape=tape,
        output=frozen.ids[recorder.trace(out)],
        wanted=tuple(leaves),
        mode="vjp",
        backward=tape.backwards[0],
        jacobians={},
        grads={i: t.grad.array for i, t in leaves.items() if t.grad is not None},
        sizes={},
    ), len(outs)


def page(op: Op, sample: Sample, which: int) -> int:
    """The page of one output of the op, checked. Returns how many outputs there are that gradients flow through."""
    request, count = asked(op, sample, which)
    run = Run(op.name, "expression", (), (derive(request),))
    assert run.ok, [c for g in run.derivation.gradients for c in g.checks]
    for g in run.derivation.gradients:
        checks = {c.name: c.status for c in g.checks}
        assert (g.closed_form is not None or op.name in LONG) and checks["formula"] == "ok" == checks["differences"]
    for format in ("md", "text"):
        assert "✗" not in run.render(format)
    assert Run.from_json(run.to_json()).to_json() == run.to_json()
    return count
