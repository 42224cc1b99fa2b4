"""The op library as a table: every op with torch's names, its formula, and per input its Jacobian and Jᵀv, derived from its
first sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explain.derivation.build import derive
from explain.derivation.model import Derivation
from explain.derivation.request import Request
from explain.errors import InputError
from explain.ops import REGISTRY, Op, Sample
from explain.ops.registry import COMPOSITES
from explain.program.known import similar
from explain.tape.apply import TAPED, apply
from explain.tape.record import Recorder, freeze, record
from explain.tape.tensor import Tensor, leaf

PREFIXES = {"": "torch.", "F": "torch.nn.functional.", "linalg": "torch.linalg.", "special": "torch.special."}


@dataclass(frozen=True, eq=False)
class OpEntry:
    """One op.

    ``functions``: torch's names in full; ``methods``: of tensors, with what is written without a call. ``derivative``: yes,
    none (the result jumps), refused (torch raises at backward) or same (the very tensor comes back). ``example``: the
    derivation of its first sample, one step per input; None where there is no derivative. ``parts``: of an op that is made
    of others, their names.
    """

    name: str
    functions: tuple[str, ...]
    methods: tuple[str, ...]
    operator: str
    kind: str
    rule: str
    grad_fn: str | None
    special: tuple[str, ...]
    derivative: str
    example: Derivation | None
    parts: tuple[str, ...] = ()


def library(names: Sequence[str] = ()) -> Iterator[OpEntry]:
    """The ops of these names (their own or torch's), all if there are none, in the order of their names.

    Raises InputError for a name that no op has.
    """
    everything = {**REGISTRY, **COMPOSITES}
    chosen = sorted({op.name for name in names for op in _called(name, everything)}) if names else sorted(everything)
    for name in chosen:
        yield entry_of(everything[name])


def op_titles() -> list[tuple[str, str, list[str], list[str]]]:
    """Of every op its name, its kind, and torch's names for it: functions in full, and methods. Nothing is derived."""
    everything = {**REGISTRY, **COMPOSITES}
    return [(name, op.kind, list(_full(op)), list(op.methods)) for name, op in sorted(everything.items())]


def _called(name: str, everything: dict[str, Op]) -> list[Op]:
    bare = name.rpartition(".")[2]
    found = [op for op in everything.values() if name in (op.name, *_full(op), *(f"Tensor.{m}" for m in op.methods))]
    found = found or [op for op in everything.values() if bare in (op.name, *_bare(op), *op.methods)]
    if not found:
        known = [n for op in everything.values() for n in (op.name, *_bare(op), *op.methods)]
        near = similar(bare, known)
        raise InputError(f"there is no op {name!r}", hint=f"did you mean {near!r}?" if near else "explain ops lists all")
    return found


def _bare(op: Op) -> tuple[str, ...]:
    return tuple([name.rpartition(".")[2] for name in op.functions])


def _full(op: Op) -> tuple[str, ...]:
    return tuple([PREFIXES[name.rpartition(".")[0]] + name.rpartition(".")[2] for name in op.functions])


def entry_of(op: Op) -> OpEntry:
    """The row of one op."""
    parts: tuple[str, ...] = ()
    example: Derivation | None = None
    refused = bool(op.not_implemented)
    if (op.composite or op.differentiable) and op.samples:
        with np.errstate(all="ignore"):
            try:
                example, parts = _example(op, op.samples[0])
            except _Refused:
                refused = True
    return OpEntry(
        name=op.name,
        functions=_full(op),
        methods=(*op.methods, *op.attributes),
        operator=op.operator,
        kind=op.kind,
        rule=op.rule or op.kind,
        grad_fn=next((r.grad_fn for r in example.rows if r.name == example.output), None) if example else None,
        special=tuple(op.special),
        derivative="refused" if refused else "none" if example is None else "yes" if example.steps else "same",
        example=example,
        parts=parts,
    )


class _Refused(Exception):
    """One of the ops that an op is made of has no derivative in torch."""


def _example(op: Op, sample: Sample) -> tuple[Derivation | None, tuple[str, ...]]:
    """The op run on a sample, and its first floating output derived; with the ops that it is made of."""
    stream = np.random.default_rng(8)
    with record() as recorder:
        ins = []
        for k, given in enumerate(sample.inputs):
            array = stream.uniform(*op.domain, given) if isinstance(given, tuple) else np.asarray(given)
            floats = array.dtype.kind == "f" and (op.composite or op.takes_gradient(k, sample.options))
            ins.append(leaf(array[()], requires_grad=floats))
            recorder.name(ins[-1], _input_name(op, k, sample))
        found = op.compose(TAPED, *ins, **sample.options) if op.composite else apply(op, tuple(ins), sample.options)
        outs = [y for y in (found if isinstance(found, tuple | list) else (found,)) if _flows(y)]
        if not outs:
            return None, ()
        out: Tensor = outs[0]
        if any(a.op.not_implemented for a in freeze([recorder.trace(out)], recorder.walks).tape.applied):
            raise _Refused
        if not recorder.trace(out).names:
            recorder.name(out, "y")
        weight = np.random.default_rng(9).normal(size=out.array.shape)[()]
        out.backward(leaf(np.asarray(weight, out.array.dtype)[()]))
    return _derived(recorder, ins, out), _parts(recorder, op)


def _flows(y: Any) -> bool:
    return isinstance(y, Tensor) and y.dtype.is_floating_point and y.requires_grad


def _input_name(op: Op, k: int, sample: Sample) -> str:
    name = op.input_name(k, sample.options) if not op.composite else "*"
    if name.isidentifier():
        return name
    return "x" if len(sample.inputs) == 1 else f"x_{k + 1}"


def _derived(recorder: Recorder, ins: list[Tensor], out: Tensor) -> Derivation:
    frozen = freeze([recorder.trace(out)], recorder.walks)
    leaves = {frozen.ids[recorder.trace(t)]: t for t in ins if t.requires_grad and recorder.trace(t) in frozen.ids}
    return derive(
        Request(
            tape=frozen.tape,
            output=frozen.ids[recorder.trace(out)],
            wanted=tuple(leaves),
            mode="vjp",
            backward=frozen.tape.backwards[0],
            jacobians={},
            grads={i: t.grad.array for i, t in leaves.items() if t.grad is not None},
            sizes={},
        )
    )


def _parts(recorder: Recorder, op: Op) -> tuple[str, ...]:
    if not op.composite:
        return ()
    frozen = freeze([], recorder.walks)
    return tuple(dict.fromkeys(a.op.name for a in frozen.tape.applied if a.walk is None))
