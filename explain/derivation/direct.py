"""Derivations of tensors at hand: of any graph that is there, recorded or not, without touching a ``.grad``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np

from explain.derivation.build import derive as derive_request
from explain.derivation.model import Derivation
from explain.derivation.pullback import walk_back
from explain.derivation.request import Request
from explain.errors import InputError
from explain.tape.history import history_of
from explain.tape.record import Recorder, Trace, freeze
from explain.tape.tensor import Tensor
from explain.torch.nn.module import Module

MOST_ROWS = 256
"""A result with several entries and no given cotangent is shown by its whole Jacobian up to so many rows."""


def derive(
    out: Tensor,
    wrt: Tensor | Sequence[Tensor] | None = None,
    *,
    v: Any = None,
    names: Mapping[str, Any] | None = None,
) -> Derivation:
    """Where the gradients of ``out`` come from: ``explain.derive(loss)``, ``explain.derive(out, wrt=[x])``.

    ``wrt``: the tensors to differentiate by, computed ones too; all leaves that require a gradient if None. ``v``: the
    cotangent of a result with several entries (a tensor or nested lists of its shape); without it the Jacobian is derived.
    ``names``: what tensors are called, by name; the caller's variables if None. No ``.grad`` is touched and the graph stays
    as it is. Raises InputError for what cannot be asked, CannotDerive where values on the way are lost.
    """
    if not isinstance(out, Tensor):
        raise InputError(f"derive takes a tensor of explain.torch, not {type(out).__name__}")
    found = [wrt] if isinstance(wrt, Tensor) else None if wrt is None else list(wrt)
    return derivation_of(out, found, v, names if names is not None else _variables(sys._getframe(1)))


def derivation_of(
    out: Tensor, wrt: Sequence[Tensor] | None = None, v: Any = None, names: Mapping[str, Any] | None = None
) -> Derivation:
    """See ``derive``."""
    return derive_request(request_for(out, wrt, v, names))


def request_for(
    out: Tensor, wrt: Sequence[Tensor] | None = None, v: Any = None, names: Mapping[str, Any] | None = None
) -> Request:
    """What ``derive`` asks of a derivation."""
    output, traces = _traces(out, names or {})
    reached = freeze([output])
    leaves = [t for t in reached.ids if t.requires_grad and t.source is None]
    wanted = leaves if wrt is None else [_wanted(t, traces) for t in wrt]
    if not output.requires_grad:
        raise InputError(
            "the tensor does not require a gradient: nothing on the way to it does",
            hint="Make what you want to differentiate by with requires_grad=True, before it is used.",
        )
    return _request(output, wanted, v)


def _request(output: Trace, wanted: list[Trace], v: Any) -> Request:
    given = frozenset(t for t in wanted if t.source is not None and wanted == [t])
    frozen = freeze([output, *wanted], given=given)
    tape, ids = frozen.tape, frozen.ids
    shape, dtype = np.shape(output.array), np.asarray(output.array).dtype
    by = tuple([ids[t] for t in wanted])
    if v is None and np.size(output.array) != 1:
        rows = _rows(tape, ids[output], by, shape, dtype)
        return Request(tape, ids[output], by, "jacobian", None, rows, {}, {}, kind="derive")
    seed = np.ones(shape, dtype)[()] if v is None else _cotangent(v, shape, dtype)
    backward = walk_back(tape, ids[output], seed, by)
    mode = "gradient" if v is None else "vjp"
    return Request(tape, ids[output], by, mode, backward, {}, dict(backward.gradients), {}, kind="derive")


def _cotangent(v: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    seed = np.asarray(v.array if isinstance(v, Tensor) else v, dtype)
    if seed.shape != shape:
        raise InputError(f"v weighs every entry of the result: it needs the shape {shape}, not {seed.shape}")
    return seed[()]


def _rows(tape: Any, output: int, by: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype) -> dict[int, Any]:
    count = int(np.prod(shape))
    if count > MOST_ROWS:
        raise InputError(
            f"the result has {count} entries: its Jacobian is too large to show",
            hint="Give the cotangent that is sent back, v=torch.ones_like(out), or reduce the result, out.sum().",
        )
    found: dict[int, Any] = {}
    for place in np.ndindex(shape):
        seed = np.zeros(shape, dtype)
        seed[place] = 1
        for i, g in walk_back(tape, output, seed, by).gradients.items():
            if i not in found:
                found[i] = np.zeros((*shape, *np.shape(g)), np.asarray(g).dtype)
            found[i][place] = g
    return found


# which traces


def _traces(out: Tensor, names: Mapping[str, Any]) -> tuple[Trace, Any]:
    """The trace of a result, and what gives the traces of other tensors; all under their names."""
    trace: Trace | None = getattr(out, "record", None)
    if trace is not None and (trace.source is not None or out.node is None):
        recorder: Recorder = trace.owner
        for name, tensor in _named(names):
            if getattr(tensor, "record", None) is not None and tensor.record.owner is recorder:
                recorder.name(tensor, name)
        return trace, recorder.trace
    history = history_of(out)
    for name, tensor in _named(names):
        found = history.of(tensor)
        if found is not None and name not in found.names:
            found.names.append(name)
    return history.output, history.of


def _wanted(tensor: Tensor, traces: Any) -> Trace:
    found: Trace | None = traces(tensor) if isinstance(tensor, Tensor) else None
    if found is None:
        raise InputError(
            "wrt: this tensor took no part in the result", hint="Give the very tensors that were computed with."
        )
    return found


def _named(names: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """Tensors with their names; those of a module under its name and theirs."""
    found: list[tuple[str, Tensor]] = []
    for name, value in names.items():
        if isinstance(value, Tensor):
            if not name.startswith("_"):
                found.append((name, value))
        elif isinstance(value, Module):
            found += [(f"{name}.{own}", p) for own, p in value.named_parameters()]
    return found


def _variables(frame: FrameType) -> dict[str, Any]:
    """What the caller calls things: local names first."""
    return {**frame.f_globals, **frame.f_locals}
