"""The op library as a table: every op with torch's names, its formula, and per input its Jacobian and Jᵀv, derived from its
first sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explain.derivation.build import derive
from explain.derivation.calls import PREFIXES, call_of, made, main_form, printed, raises, tensor_text, title_of
from explain.derivation.model import Derivation
from explain.derivation.request import Request
from explain.errors import InputError
from explain.ops import REGISTRY, Op, Sample
from explain.ops.registry import COMPOSITES
from explain.program.known import similar
from explain.tape.apply import TAPED, apply
from explain.tape.record import Recorder, freeze, record
from explain.tape.tensor import Tensor, leaf


@dataclass(frozen=True, eq=False)
class OpEntry:
    """One op.

    ``functions``: torch's names in full; ``methods``: of tensors, with what is written without a call. ``derivative``: yes,
    none (the result jumps), refused (torch raises at backward) or same (the very tensor comes back). ``example``: the
    derivation of its first sample, one step per input; None where there is no derivative. ``parts``: of an op that is made
    of others, their names. ``title``: what it is called on a page. ``form_of``: the name of the op of which it is another
    form, its own if it is none, empty if it has no name in torch. ``program``: what the example derives, as an author writes
    it; without a derivative what comes out. ``result``: then what that is made of: truth, whole or numbers. ``instead``: ops
    that carry a gradient.
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
    title: str = ""
    form_of: str = ""
    program: str = ""
    result: str = ""
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Tried:
    """An op run on a sample: see OpEntry."""

    program: str
    result: str
    example: Derivation | None = None
    parts: tuple[str, ...] = ()


def library(names: Sequence[str] = ()) -> Iterator[OpEntry]:
    """The ops of these names (their own or torch's), all if there are none, in the order of their names.

    Raises InputError for a name that no op has.
    """
    everything = {**REGISTRY, **COMPOSITES}
    chosen = sorted({op.name for name in names for op in _called(name, everything)}) if names else sorted(everything)
    for name in chosen:
        yield entry_of(everything[name])


def op_titles() -> list[tuple[str, str, str, str, list[str], list[str]]]:
    """Of every op its name, its title, its kind, the op of which it is a form, and torch's names for it: functions in full,
    and methods. Nothing is derived."""
    everything = {**REGISTRY, **COMPOSITES}
    return [
        (name, title_of(op), op.kind, _form_of(op), list(_full(op)), list(op.methods))
        for name, op in sorted(everything.items())
    ]


def title_of_name(name: str) -> str:
    """What the op of this name is called on a page."""
    return title_of(REGISTRY.get(name) or COMPOSITES[name])


def _form_of(op: Op) -> str:
    form = main_form(op)
    return form.name if form else ""


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
    with np.errstate(all="ignore"):
        tried = _tried(op, op.samples[0])
    example = tried.example
    refused = op.not_implemented or tried.result == "refused"
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
        parts=tried.parts,
        title=title_of(op),
        form_of=_form_of(op),
        program=tried.program if main_form(op) else "",
        result=tried.result,
        instead=op.instead,
    )


def _tried(op: Op, sample: Sample) -> _Tried:
    """The op run on a sample, and its first floating output derived; with the ops that it is made of. The numbers are
    float32 and short, so that a reader can type them."""
    stream = np.random.default_rng(8)
    with record() as recorder:
        ins = []
        for k, given in enumerate(sample.inputs):
            array = np.round(stream.uniform(*op.domain, given), 2) if isinstance(given, tuple) else np.asarray(given)
            array = array.astype(np.float32) if array.dtype.kind == "f" else array
            floats = array.dtype.kind == "f" and (op.composite or op.takes_gradient(k, sample.options))
            ins.append(leaf(array[()], requires_grad=floats and (op.composite or op.in_graph)))
            recorder.name(ins[-1], _input_name(op, k, sample))
        names = [_input_name(op, k, sample) for k in range(len(ins))]
        call = call_of(op, ins, names, sample.options)
        found = op.compose(TAPED, *ins, **sample.options) if op.composite else apply(op, tuple(ins), sample.options)
        outs = found if isinstance(found, tuple | list) else (found,)
        at = next((k for k, y in enumerate(outs) if _flows(y)), None)
        refused = at is not None and any(
            a.op.not_implemented for a in freeze([recorder.trace(outs[at])], recorder.walks).tape.applied
        )
        if at is None or refused:
            result = "refused" if refused else _made_of(outs)
            return _Tried(_session(call, names, ins) if call else "", result)
        out: Tensor = outs[at]
        if not recorder.trace(out).names:
            recorder.name(out, "y")
        weight = np.round(np.random.default_rng(9).normal(size=out.array.shape), 2)
        upstream = np.asarray(weight, out.array.dtype)[()]
        out.backward(leaf(upstream))
    lines = ["import torch", "", *[made(name, t.array, t.grad is not None) for name, t in zip(names, ins, strict=True)]]
    lines += [f"y = {call}{'' if out is found else f'[{at}]'}", f"{tensor_text(upstream, before='y.backward(')})"]
    program = "\n".join(lines) if call else ""
    if raises(program):  # what torch computes in place, say
        return _Tried(_session(call, names, ins), "refused")
    return _Tried(program, "", _derived(recorder, ins, out), _parts(recorder, op))


def _session(call: str, names: Sequence[str], ins: Sequence[Tensor]) -> str:
    """What somebody types who wants to see the result of a call, and sees."""
    plain = [leaf(t.array) for t in ins]
    typed = [*(made(name, t.array) for name, t in zip(names, ins, strict=True)), call]
    return "\n".join([f">>> {line}".replace("\n", "\n... ") for line in typed] + [printed(call, names, plain)])


def _made_of(outs: Sequence[Any]) -> str:
    kinds = {np.asarray(getattr(y, "array", y)).dtype.kind for y in outs}
    return "truth" if kinds == {"b"} else "whole" if kinds <= set("biu") else "numbers"


def _flows(y: Any) -> bool:
    return isinstance(y, Tensor) and y.dtype.is_floating_point and y.requires_grad


def _input_name(op: Op, k: int, sample: Sample) -> str:
    name = op.input_name(k, sample.options) if not op.composite else "*"
    if name.isidentifier():
        return name
    return "x" if len(sample.inputs) == 1 else f"x_{k + 1}"


def _derived(recorder: Recorder, ins: list[Tensor], out: Tensor) -> Derivation:
    frozen = freeze([recorder.trace(out)], recorder.walks)
    leaves = {frozen.ids[recorder.trace(t)]: t for t in ins if t.grad is not None}
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
