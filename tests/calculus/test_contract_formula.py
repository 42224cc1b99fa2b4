"""Every op's formula against its own forward and vjp: the two witnesses agree on every sample, at random values.

Generic over the registry: a new op is found here and needs no test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from explain.calculus import rules, walk
from explain.calculus.evaluate import evaluate
from explain.calculus.namespace import Namespace, Operand, bare, plain_exponents, tensor_operand
from explain.calculus.symbols import Entry, Index, Reduction, TensorName, Transform, size
from explain.ops.base import Op, Sample
from explain.ops.entrywise import Elementwise
from explain.ops.registry import NUMERIC, REGISTRY

TIGHT = 1e-10


def drawn(op: Op, sample: Sample, seed: int = 3) -> list[Any]:
    """Random float64 inputs for the shapes of a sample; arrays are taken as they are."""
    stream = np.random.default_rng(seed)
    return [stream.uniform(*op.domain, i)[()] if isinstance(i, tuple) else i[()] for i in sample.inputs]


def cases() -> list[Any]:
    return [
        pytest.param(op, sample, id=f"{op.name}-{k}")
        for op in REGISTRY.values()
        for k, sample in enumerate(op.samples)
        if op.differentiable
    ]


def is_float(x: Any) -> bool:
    return np.asarray(x).dtype.kind == "f"


class Case:
    """One op on one sample: numbers, symbols, and the formula of one of its outputs."""

    def __init__(self, op: Op, sample: Sample, which: int = 0) -> None:
        self.op, self.options = op, op.complete(sample.options)
        self.ins = drawn(op, sample)
        self.varied = [is_float(a) and op.takes_gradient(k, self.options) for k, a in enumerate(self.ins)]
        y = op.forward(*self.ins, **self.options)
        self.y = y if isinstance(y, tuple) else (y,)
        self.names = [TensorName(f"a{k}") for k in range(len(self.ins))]
        self.given = {k: np.asarray(v) for k, v in op.given(y, *self.ins, **self.options).items()}
        self.arrays = {n.name: a for n, a in zip(self.names, self.ins, strict=True)} | self.given | {"y": self.y[which]}
        self.which = which
        self.out = tuple((Index(f"o{k}"), size(n)) for k, n in enumerate(np.shape(self.y[which])))
        self.arrays |= {f"y{m}": part for m, part in enumerate(self.y)}
        self.arrays["g"] = np.random.default_rng(5).normal(size=np.shape(self.y[which]))

    def namespace(self, as_written: bool = False) -> Namespace:
        given = {k: tensor_operand(TensorName(k), v.shape, as_written) for k, v in self.given.items()}
        s = Namespace(as_written, given)
        s.declare(tuple(i for i, _ in self.out), [n for _, n in self.out])
        return s

    def operands(self, as_written: bool = False) -> list[Operand]:
        return [tensor_operand(n, np.shape(a), as_written) for n, a in zip(self.names, self.ins, strict=True)]

    def formula(self, as_written: bool = False) -> Any:
        indices = tuple(i for i, _ in self.out)
        s = self.namespace(as_written)
        options = self.options if self.op.outputs else self.options | {"which": self.which}
        found = self.op.formula(s, indices, *self.operands(as_written), **options)
        return plain_exponents(bare(found[self.which] if isinstance(found, tuple) else found))

    def differential(self, k: int) -> Any:
        op: Any = self.op
        y, options = self.results()
        changes = [tensor_operand(TensorName(f"change{m}"), np.shape(a), False) for m, a in enumerate(self.ins)]
        found = op.differential(self.namespace(), tuple(i for i, _ in self.out), y, changes, *self.operands(), **options)
        return plain_exponents(bare(found[k]))

    def results(self) -> tuple[Any, dict[str, Any]]:
        """The operands of all outputs, and the options, with which output is meant if there are several."""
        if len(self.y) == 1:
            return tensor_operand(TensorName("y"), np.shape(self.y[0]), False), dict(self.options)
        found = tuple(tensor_operand(TensorName(f"y{m}"), np.shape(part), False) for m, part in enumerate(self.y))
        return found, self.options | {"which": self.which}

    def target(self) -> list[tuple[Index, int]]:
        return [(i, n) for (i, _), n in zip(self.out, np.shape(self.y[self.which]), strict=True)]


def each_output(op: Op, sample: Sample) -> Iterator[Case]:
    """One case for each output that gradients flow through."""
    first = Case(op, sample)
    yield first
    yield from (Case(op, sample, k) for k, y in enumerate(first.y) if k and is_float(y))


@pytest.mark.parametrize("as_written", [False, True])
@pytest.mark.parametrize(("op", "sample"), cases())
def test_forward_equals_formula(op: Op, sample: Sample, as_written: bool) -> None:
    for case in each_output(op, sample):
        y = case.y[case.which]
        if hasattr(op, "equation"):
            name, options = case.results()
            equation = op.equation(case.namespace(), tuple(i for i, _ in case.out), name, *case.operands(), **options)
            found, expected = evaluate(equation, case.arrays, case.target()), np.zeros(np.shape(y))
        else:
            found, expected = evaluate(case.formula(as_written), case.arrays, case.target()), y
        np.testing.assert_allclose(found, expected, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize(
    ("op", "sample"),
    [p for p in cases() if hasattr(p.values[0], "definition") and not isinstance(p.values[0], Elementwise)],
)
def test_what_an_op_is_defined_as_has_its_values(op: Op, sample: Sample) -> None:
    case = Case(op, sample)
    formula = plain_exponents(case.formula())
    kept = [e for e in formula.atoms(Reduction, Transform) if hasattr(REGISTRY[e.op], "definition")]
    assert kept or op.name == "mean", "its formula is a sum already"
    for e in kept:
        spelled = formula.xreplace({e: plain_exponents(rules.spelled_out(e))})
        found = evaluate(spelled, case.arrays, case.target())
        np.testing.assert_allclose(found, case.y[case.which], rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize(("op", "sample"), cases())
def test_vjp_equals_derived_formula(op: Op, sample: Sample) -> None:
    for case in each_output(op, sample):
        _vjp_equals_derived_formula(op, case)


def _vjp_equals_derived_formula(op: Op, case: Case) -> None:
    g = case.arrays["g"][()]
    upstream = g if len(case.y) == 1 else [g if k == case.which else None for k in range(len(case.y))]
    y = case.y[0] if op.outputs == 1 else case.y
    needs = tuple(case.varied)
    told = op.vjp(NUMERIC, needs, upstream, y, *case.ins, **case.options)
    indices = tuple(i for i, _ in case.out)
    for k, (a, cotangent) in enumerate(zip(case.ins, told, strict=True)):
        if not needs[k]:
            continue
        target = tuple((Index(f"t{m}"), size(n)) for m, n in enumerate(np.shape(a)))
        variable = TensorName(f"change{k}") if hasattr(op, "differential") else case.names[k]
        formula = case.differential(k) if hasattr(op, "differential") else case.formula()
        derived = walk.vjp(formula, case.out, Entry(TensorName("g"), *indices), variable, target)
        shape = np.shape(a)
        found = evaluate(derived, case.arrays, [(i, n) for (i, _), n in zip(target, shape, strict=True)])
        expected = NUMERIC.sum_to(np.asarray(cotangent), shape=shape) if np.shape(cotangent) != shape else cotangent
        np.testing.assert_allclose(found, expected, rtol=TIGHT, atol=TIGHT, err_msg=f"input {k}: {derived}")


@pytest.mark.parametrize(("op", "sample"), cases())
def test_jacobian_and_jvp_are_adjoint(op: Op, sample: Sample) -> None:
    """⟨v, J u⟩ = ⟨Jᵀ v, u⟩, and the explicit Jacobian applied to u is J u."""
    if hasattr(op, "differential") and not hasattr(op, "formula"):
        pytest.skip("its formula is the differential itself")
    for case in each_output(op, sample):
        _jacobian_and_jvp_are_adjoint(case)


def _jacobian_and_jvp_are_adjoint(case: Case) -> None:
    stream = np.random.default_rng(9)
    for k, a in enumerate(case.ins):
        if not case.varied[k]:
            continue
        u = stream.normal(size=np.shape(a))
        target = tuple((Index(f"t{m}"), size(n)) for m, n in enumerate(np.shape(a)))
        numbers = [(i, n) for (i, _), n in zip(target, np.shape(a), strict=True)]
        arrays = case.arrays | {"u": u}
        forward = evaluate(walk.jvp(case.formula(), case.names[k], TensorName("u")), arrays, case.target())
        jacobian = evaluate(walk.jacobian(case.formula(), case.out, case.names[k], target), arrays, case.target() + numbers)
        applied = np.tensordot(jacobian, u, u.ndim)
        np.testing.assert_allclose(forward, applied, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize(
    "op",
    [op for op in REGISTRY.values() if isinstance(op, Elementwise) and any(map(callable, op.slopes))],
    ids=lambda op: op.name,
)
def test_stated_slopes_are_the_derivatives_of_the_definition(op: Op) -> None:
    rules.check_slopes(op.name)
