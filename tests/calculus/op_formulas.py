"""The formulas of every op in the registry, in final form: what the printers and the reader have to cope with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from sympy import Expr, S

import explain.ops  # noqa: F401  (fills the registry)
from explain.calculus import walk
from explain.calculus.express import final, letters
from explain.calculus.namespace import Namespace, bare, plain_exponents, tensor_operand
from explain.calculus.symbols import Entry, Index, TensorName, size
from explain.ops.base import Op, Sample
from explain.ops.registry import REGISTRY

NAMES = ("x", "W1", "theta")


def _places(prefix: str, shape: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple((S.Zero if n == 1 else Index(f"{prefix}{k}"), size(n)) for k, n in enumerate(shape))


def _formulas(op: Op, sample: Sample) -> Iterator[tuple[str, Expr]]:
    stream = np.random.default_rng(0)
    ins = [stream.uniform(*op.domain, i)[()] if isinstance(i, tuple) else i[()] for i in sample.inputs]
    options = op.complete(sample.options)
    y = op.forward(*ins, **options)
    outputs = y if isinstance(y, tuple) else (y,)
    first = outputs[0]
    given = {k: np.asarray(v) for k, v in op.given(y, *ins, **options).items()}
    names = [TensorName((*NAMES, *(f"t{k}" for k in range(9)))[k]) for k in range(len(ins))]
    out = _places("o", np.shape(first))
    free = [i for i, _ in out]
    pool = letters(("p0", *(n.name for n in names)))

    def formula(as_written: bool) -> Any:
        s = Namespace(as_written, {k: tensor_operand(TensorName(k), v.shape, as_written) for k, v in given.items()})
        s.declare(tuple(free), [n for _, n in out])
        operands = [tensor_operand(n, np.shape(a), as_written) for n, a in zip(names, ins, strict=True)]
        if hasattr(op, "differential"):
            results = [tensor_operand(TensorName(f"{op.name}(x)"), np.shape(part), as_written) for part in outputs]
            changes = [
                tensor_operand(TensorName(f"d({n.name})"), np.shape(a), as_written) for n, a in zip(names, ins, strict=True)
            ]
            result = results[0] if op.outputs == 1 else tuple(results)
            one = {} if op.outputs == 1 else {"which": 0}
            return bare(op.differential(s, tuple(free), result, changes, *operands, **options, **one)[0])
        which = {} if op.outputs else {"which": 0}
        found = op.formula(s, tuple(free), *operands, **options, **which)
        return bare(found[0] if isinstance(found, tuple) else found)

    yield "written", final(formula(True), free, pool, tidy=False)[0]
    plain = plain_exponents(formula(False))
    yield "formula", final(plain, free, pool)[0]
    for name, a in zip(names, ins, strict=True):
        if np.asarray(a).dtype.kind != "f":
            continue
        target = _places("t", np.shape(a))
        both = [*free, *(i for i, _ in target)]
        upstream = Entry(TensorName("bar(loss)"), *free)
        yield "vjp", final(walk.vjp(plain, out, upstream, name, target), [i for i, _ in target], pool)[0]
        yield "jacobian", final(walk.jacobian(plain, out, name, target), both, pool)[0]
        yield "jvp", final(walk.jvp(plain, name, TensorName(f"d({name.name})")), free, pool)[0]


@cache
def op_formulas() -> tuple[tuple[str, Expr], ...]:
    """(what it is, formula) for every differentiable op on every sample; equal formulas once."""
    found: dict[Expr, str] = {}
    for op in list(REGISTRY.values()):
        for k, sample in enumerate(op.samples if op.differentiable else ()):
            for kind, e in _formulas(op, sample):
                found.setdefault(e, f"{op.name}-{k}-{kind}")
    return tuple((name, e) for e, name in found.items())
