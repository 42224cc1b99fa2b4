"""A program from its text to a finished document: run it, derive every backward call, say what went wrong."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from explain.derivation.build import derive
from explain.derivation.course import course
from explain.derivation.model import Derivation, Note, Repeat, Run, Tensor
from explain.derivation.request import Request
from explain.derivation.walks import request_of, wanted_of
from explain.errors import InputError
from explain.program.mistakes import kind_of, kind_of_warning
from explain.program.paste import read_program
from explain.program.refusal import Refusal
from explain.program.session import Group, OutOfTime, Ran, Session, TooMuchPrinted
from explain.program.source import Source
from explain.tape.dtypes import BY_NUMPY
from explain.tape.record import Walk
from explain.tape.tensor import Tensor as Live

LIMITS: dict[type[BaseException], str] = {
    OutOfTime: "time", TooMuchPrinted: "output", RecursionError: "recursion", MemoryError: "memory",
}  # fmt: skip
LONGEST_VALUE = 10_000
DEEPEST_VALUE = 8
MOST_VALUES = 100_000
"""Python values are told up to so many entries in a list or characters in a text, levels, and parts in all."""


def run_program(
    text: str,
    *,
    name: str = "program",
    trusted: bool = False,
    backward: int | None = None,
    wrt: Sequence[str] | None = None,
    of: str | None = None,
) -> Run:
    """The document of a program, which runs in this very process.

    ``backward``: the number of the only call to derive; ``wrt``: the only names to derive by; ``of``: the output, for a
    program that asks for no gradient itself. Raises InputError for a text that is no program.
    """
    ran = run_source(read_program(text, name), trusted=trusted, backward=backward)
    return ran if isinstance(ran, Run) else document(ran, backward=backward, wrt=wrt, of=of)


def run_source(
    source: Source, *, trusted: bool = False, backward: int | None = None, timeout: float | None = None
) -> Ran | Run:
    """What a program did; already the document where it was refused before it began. ``timeout`` in seconds."""
    try:
        return Session(source, trusted=trusted, select=backward, timeout=timeout).run()
    except Refusal as refusal:
        error = _refused(source, refusal, None)
        return Run(source.text, source.form, (), (), outcome="refused", error=error, code=source.code)


def document(ran: Ran, *, backward: int | None = None, wrt: Sequence[str] | None = None, of: str | None = None) -> Run:
    """The document of a program that ran."""
    found: list[Derivation] = []
    outcome, error = ran.outcome, _error(ran)
    groups = _chosen(ran, backward)
    if wrt is not None:
        groups = _by(groups, wrt) if groups or of is None else groups
    try:
        for group in groups:
            found.append(_derivation(group, ran, wrt))
            if group.last is not None and backward is None:
                last = derive(_request(group.last, group.rows[-1].number, ran, wrt))
                if not last.ok:  # the first of a loop stands for all, unless one of them is wrong
                    found.append(last)
        if not found and of is not None:
            found.append(_asked(ran, of, wrt))
    except OutOfTime as over:  # what is derived by now is told
        outcome = "bounded"
        error = {"type": type(over).__name__, "message": "", "line": None, "kind": "limit_derivation", "details": {}}
    derivations = tuple(found)
    return Run(
        source=ran.source.text,
        form=ran.source.form,
        given=(),
        derivations=derivations,
        tensors=tuple([_tensor(key, t) for key, t in ran.tensors.items()]),
        outcome=outcome,
        stdout=ran.stdout,
        echo=tuple([{"line": line, "text": words, "last_in_cell": last} for line, words, last in ran.echo]),
        warnings=tuple([_warning(*given) for given in ran.warnings]),
        values=_values(ran.values),
        error=error,
        notes=_notes(ran, derivations),
        code=ran.source.code,
    )


def _chosen(ran: Ran, backward: int | None) -> list[Group]:
    if backward is None:
        return list(ran.groups)
    count = sum(len(group.rows) for group in ran.groups)
    found = [group for group in ran.groups if group.number == backward]
    if not found:
        raise InputError(f"--backward {backward}: the program asks for gradients {count} time{'s' * (count != 1)}")
    return found


def _by(groups: list[Group], wrt: Sequence[str]) -> list[Group]:
    """The calls that differentiate by one of the names. Raises InputError for a name that none differentiates by."""
    names = [(group, [name for t in wanted_of(group.first) for name in t.names]) for group in groups]
    known = list(dict.fromkeys(name for _, own in names for name in own))
    for name in wrt:
        if name not in known:
            hint = f"There are: {', '.join(known)}" if known else None
            raise InputError(f"--wrt {name}: the program differentiates by nothing of this name", hint=hint)
    return [group for group, own in names if set(own) & set(wrt)]


def _derivation(group: Group, ran: Ran, wrt: Sequence[str] | None) -> Derivation:
    found = derive(_request(group.first, group.number, ran, wrt))
    found = replace(found, notes=(*found.notes, *course(group)))
    if len(group.rows) < 2:
        return found
    rows = tuple([Repeat(row.number, row.line, row.output, row.gradients) for row in group.rows])
    return replace(found, repeats=rows)


def _request(walk: Walk, number: int, ran: Ran, wrt: Sequence[str] | None) -> Request:
    request = request_of(walk, ran.recorder, number)
    if wrt is None:
        return request
    values = request.tape.values
    return replace(request, wanted=tuple([i for i in request.wanted if set(values[i].names) & set(wrt)]))


def _asked(ran: Ran, of: str, wrt: Sequence[str] | None) -> Derivation:
    """The derivation of a tensor that the program left, which it never called backward on."""
    from explain.derivation.direct import derivation_of

    if of not in ran.tensors:
        raise InputError(f"--of {of}: the program left no tensor of this name", hint=f"There are: {', '.join(ran.tensors)}")
    for name in wrt or ():
        if name not in ran.tensors:
            raise InputError(
                f"--wrt {name}: the program left no tensor of this name", hint=f"There are: {', '.join(ran.tensors)}"
            )
    leaves = None if wrt is None else [ran.tensors[key] for key in wrt]
    return derivation_of(ran.tensors[of], leaves)


# what is told of the run


def _tensor(name: str, t: Live) -> Tensor:
    return Tensor(
        name=name,
        dtype=BY_NUMPY[t.array.dtype].name,
        shape=tuple(t.array.shape),
        value=t.array,
        requires_grad=t.requires_grad,
        is_leaf=t.is_leaf,
        grad_fn=t.node.name().rpartition("::")[2] if t.node is not None else None,
        grad=t.gradient.array if t.gradient is not None else None,
    )


def _values(found: dict[str, Any]) -> dict[str, Any]:
    """Python values as JSON data, those that would be too much left out."""
    left = MOST_VALUES

    def told(value: Any, depth: int = 0) -> Any:
        nonlocal left
        left -= 1
        if value is None or isinstance(value, bool | str):
            return value[:LONGEST_VALUE] if isinstance(value, str) else value
        if isinstance(value, int):
            return int(value) if abs(value) < 2**63 else f"<int of {value.bit_length()} bits>"
        if isinstance(value, float | np.floating):
            x = float(value)
            return x if np.isfinite(x) else "nan" if x != x else "inf" if x > 0 else "-inf"
        if isinstance(value, np.generic | np.ndarray) and value.size <= LONGEST_VALUE:
            return told(value.tolist(), depth)
        if isinstance(value, Live) and value.array.size <= LONGEST_VALUE:
            return told(value.array.tolist(), depth)
        holds = isinstance(value, list | tuple | set | frozenset | dict) and len(value) <= LONGEST_VALUE
        if holds and depth < DEEPEST_VALUE and left > 0:
            if isinstance(value, dict):
                return {str(key)[:LONGEST_VALUE]: told(part, depth + 1) for key, part in value.items()}
            return [told(part, depth + 1) for part in value]
        return f"<{type(value).__name__}>"

    return {key: told(value) for key, value in found.items()}


def _warning(category: str, message: str, line: int | None) -> dict[str, Any]:
    return {"category": category, "message": message, "line": line, "kind": kind_of_warning(message), "details": {}}


def _error(ran: Ran) -> dict[str, Any] | None:
    error = ran.error
    if error is None:
        return None
    if isinstance(error, Refusal):
        return _refused(ran.source, error, ran.line)
    if ran.outcome == "bounded":
        kind = next((key for limit, key in LIMITS.items() if isinstance(error, limit)), "time")
        words = str(error)
        line = _loop_around(ran.source.code, ran.line) if kind == "time" else ran.line
        return {"type": type(error).__name__, "message": words, "line": line, "kind": f"limit_{kind}", "details": {}}
    kind, details = kind_of(error, [*ran.tensors, *ran.values])
    message = error.message if isinstance(error, InputError) else str(error)
    message = message.replace("explain.torch", "torch")  # a program knows our modules by torch's names
    return {"type": type(error).__name__, "message": message, "line": ran.line, "kind": kind, "details": details}


def _loop_around(code: str, line: int | None) -> int | None:
    """The line of the outermost loop that a line stands in: where in its turn the clock struck is chance."""
    loops = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.For | ast.While))
    around = [node.lineno for node in loops if line is not None and node.lineno <= line <= (node.end_lineno or line)]
    return min(around, default=line)


def _refused(source: Source, refusal: Refusal, line: int | None) -> dict[str, Any]:
    place = None
    node = refusal.node
    if node is not None and hasattr(node, "lineno"):
        found = source.place(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        line, place = found.line, [found.start, found.end]
    details = {**refusal.details, "place": place}
    return {"type": "Refusal", "message": "", "line": line, "kind": f"refused_{refusal.key}", "details": details}


def _notes(ran: Ran, derivations: tuple[Derivation, ...]) -> tuple[Note, ...]:
    notes = [Note("skipped", {"line": line, "code": text}) for line, text in ran.source.skipped]
    notes += [Note("inert", {"module": module}) for module in ran.inert]
    if ran.outcome == "ok" and not derivations and not ran.groups:
        notes.append(Note("no_backward", {}))
    return tuple(notes)
