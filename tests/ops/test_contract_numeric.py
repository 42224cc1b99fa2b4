"""Every op keeps the numeric contract: no op needs a test of its own, it is tested as soon as it is registered."""

import copy
import itertools

import numpy as np
import pytest

from explain import tape  # noqa: F401  (fills the registry)
from explain.ops.base import Sample, broadcast_error
from explain.ops.registry import REGISTRY
from tests.ops import contract

SAMPLES = [pytest.param(op, sample, id=f"{op.name}-{k}") for op in REGISTRY.values() for k, sample in enumerate(op.samples)]
DIFFERENTIABLE = [p for p in SAMPLES if p.values[0].differentiable]
SHAPES = ((), (1,), (3,), (2, 3), (2, 1), (1, 3), (0, 3), (2, 2, 3))
PAIRS = [
    pytest.param(op, Sample((a, b), op.samples[0].options), id=f"{op.name}-{a}-{b}")
    for op in REGISTRY.values()
    if op.broadcasts and op.differentiable and len(op.tensor_names) == 2 and op.name != "fill"
    for a, b in itertools.product(SHAPES, repeat=2)
    if broadcast_error((a, b)) is None
]


@pytest.mark.parametrize(("op", "sample"), SAMPLES)
def test_forward_is_the_same_in_float32(op, sample):
    assert list(contract.forward_faults(op, sample)) == []


@pytest.mark.parametrize(("op", "sample"), DIFFERENTIABLE)
def test_rule_is_the_derivative(op, sample):
    assert list(contract.first_faults(op, sample)) == []


@pytest.mark.parametrize(("op", "sample"), DIFFERENTIABLE)
def test_tape_and_second_derivative(op, sample):
    assert list(contract.taped_faults(op, sample)) == []


@pytest.mark.parametrize(("op", "sample"), PAIRS)
def test_broadcasting_pairs(op, sample):
    if op.name == "div":
        rng = np.random.default_rng(5)
        sample = Sample((sample.inputs[0], np.asarray(rng.uniform(0.5, 2, sample.inputs[1]))))
    assert list(contract.first_faults(op, sample)) == []
    assert list(contract.taped_faults(op, sample)) == []


@pytest.mark.parametrize(
    "op", [op for op in REGISTRY.values() if op.differentiable and op.rule != "flat"], ids=lambda op: op.name
)
def test_a_rule_that_is_wrong_by_a_thousandth_is_caught(op):
    wrong = copy.copy(op)

    def vjp(xp, needs, g, y, *ins, **options):
        found = op.vjp(xp, needs, g, y, *ins, **options)
        return tuple(part * 1.001 if need else part for part, need in zip(found, needs, strict=True))

    wrong.vjp = vjp
    assert any(list(contract.first_faults(wrong, sample)) for sample in op.samples)
    assert any(list(contract.taped_faults(wrong, sample)) for sample in op.samples)


def test_a_rule_in_the_wrong_shape_or_dtype_is_caught():
    wrong = copy.copy(REGISTRY["mul"])
    wrong.vjp = lambda xp, needs, g, y, a, b: (np.float64(2) * (g * b).astype(np.float64), (g * a).sum())
    (sample, *_) = wrong.samples
    faults = "\n".join(contract.first_faults(wrong, sample))
    assert "cotangent 0 is float64 for a float32 input" in faults
    assert "cotangent 1 has shape ()" in faults


def test_a_rule_that_reads_what_it_did_not_declare_is_caught():
    wrong = copy.copy(REGISTRY["exp"])
    wrong.vjp = lambda xp, needs, g, y, x: (g * xp.exp(x),)
    with pytest.raises(TypeError):
        list(contract.first_faults(wrong, wrong.samples[0]))
