"""Where one step of a derivation ends: the tape's applications grouped the way a person derives.

A run of entrywise operations is one step. A contraction takes its affine tail (``X @ W + b``) along; a nonlinearity
after it is a step of its own. A sum or mean closes a step and takes a short entrywise argument (``mean((p - y)**2)``).
Everything else that has a name of its own (softmax, norm, a loss, a choice, an inverse) stands alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from explain.tape.record import Applied, Tape, Value

SHORT_ARGUMENT = 2
LONGEST_RUN = 8
AFFINE = {"add": (0, 1), "sub": (0, 1), "neg": (0,), "mul": (0, 1), "div": (0,)}
"""Ops that are affine in an input, with the positions of such inputs."""
UNREADABLE_INSIDE = ("reshape", "view", "flatten")
"""Index maps whose formulas need digits: readable alone, not inside another formula."""


@dataclass(frozen=True)
class Group:
    """One step's part of the tape: ``applied`` (indices, in order), the value it ends in, the values it starts from."""

    applied: tuple[int, ...]
    output: int
    inputs: tuple[int, ...]


@dataclass
class _Size:
    """What a group under construction holds: its applications, how many are entrywise, whether a heavy op is inside."""

    members: list[int]
    entrywise: int = 0
    heavy: bool = False
    closed: bool = False  # only index maps may follow


def needed(tape: Tape, output: int) -> list[int]:
    """The applications that the output depends on, in the order they ran."""
    wanted, found = {output}, []
    for k in range(len(tape.applied) - 1, -1, -1):
        if wanted & set(tape.applied[k].outputs):
            found.append(k)
            wanted |= set(tape.applied[k].inputs)
    return found[::-1]


def grouped(tape: Tape, output: int) -> list[Group]:
    """The steps that lead to ``output``, in the order they ran."""
    order = needed(tape, output)
    uses = Counter(i for k in order for i in set(tape.applied[k].inputs))
    sizes: dict[int, _Size] = {}
    inner: set[int] = set()
    for k in order:
        sizes[k] = _grow(tape, k, uses, sizes, inner)
    groups = []
    for k in order:
        applied = tape.applied[k]
        if any(v in inner for v in applied.outputs):
            continue
        for out in applied.outputs:
            if out == output or any(out in tape.applied[m].inputs for m in order):
                groups.append(_group(tape, sorted(sizes[k].members), out, inner))
    return groups


def _grow(tape: Tape, k: int, uses: Counter[int], sizes: dict[int, _Size], inner: set[int]) -> _Size:
    """The group that ends in application ``k``: itself and the groups of those inputs that belong to it."""
    applied = tape.applied[k]
    kind = _kind(applied)
    size = _Size([k], entrywise=int(kind == "entrywise"), heavy=kind == "heavy", closed=kind in ("alone",))
    for position, i in enumerate(applied.inputs):
        value = tape.values[i]
        if value.name is not None or value.source is None or uses[i] != 1 or applied.inputs.count(i) != 1:
            continue
        source = value.source[0]
        below = sizes[source]
        if len(tape.applied[source].outputs) != 1 or not _belongs(
            tape, applied, kind, position, below, size, tape.applied[source]
        ):
            continue
        inner.add(i)
        size.members += below.members
        size.entrywise += below.entrywise
        size.heavy |= below.heavy
        size.closed |= below.closed
    return size


def _belongs(tape: Tape, applied: Applied, kind: str, position: int, below: _Size, size: _Size, source: Applied) -> bool:
    lower = _kind(source)
    if below.closed or lower == "alone" or source.op.name in UNREADABLE_INSIDE or not hasattr(source.op, "formula"):
        return False
    if kind == "entrywise":
        if not below.heavy:
            return size.entrywise + below.entrywise <= LONGEST_RUN
        return not size.heavy and _is_affine_tail(tape, applied, position, source)
    if kind == "index":
        return applied.op.name not in UNREADABLE_INSIDE
    if kind == "alone" or applied.op.kind == "contraction":
        return lower == "index" and not below.heavy and below.entrywise == 0
    return not below.heavy and below.entrywise <= SHORT_ARGUMENT


def _is_affine_tail(tape: Tape, applied: Applied, position: int, source: Applied) -> bool:
    """Adding something to a contraction's result, or scaling it by a number, in the shape that it has."""
    if position not in AFFINE.get(applied.op.name, ()):
        return False
    if tape.values[applied.outputs[0]].shape != tape.values[source.outputs[0]].shape:
        return False
    others = [i for k, i in enumerate(applied.inputs) if k != position]
    return applied.op.name in ("add", "sub") or all(tape.values[i].number is not None for i in others)


def _kind(applied: Applied) -> str:
    kind = applied.op.kind
    if kind == "elementwise" or (kind == "constant" and applied.op.broadcasts):
        return "entrywise"
    if kind == "index":
        return "index" if applied.op.name not in UNREADABLE_INSIDE else "alone"
    if kind == "contraction" or (kind == "reduction" and applied.op.rule in ("sum", "mean")):
        return "heavy"
    return "alone"


def _group(tape: Tape, members: list[int], output: int, inner: set[int]) -> Group:
    inputs: list[int] = []
    for k in members:
        for i in tape.applied[k].inputs:
            if i not in inner and i not in inputs and tape.values[i].number is None:
                inputs.append(i)
    return Group(tuple(members), output, tuple(inputs))


def named(tape: Tape, groups: list[Group], output: int) -> dict[int, str]:
    """A display name for every value that a step starts from or ends in: the author's, else u_1, u_2, …, else out."""
    taken = {v.name for v in tape.values if v.name}
    names: dict[int, str] = {}
    counter = 0

    def unused(base: str) -> str:
        found, k = base, 1
        while found in taken:
            found, k = f"{base}_{k}", k + 1
        taken.add(found)
        return found

    for group in groups:
        for i in (*group.inputs, group.output):
            value: Value = tape.values[i]
            if i in names:
                continue
            if value.name:
                names[i] = value.name
            elif i == output:
                names[i] = unused("out")
            elif value.source is None:
                names[i] = unused(_word_for(tape, group, i))
            else:
                counter += 1
                while f"u_{counter}" in taken:
                    counter += 1
                names[i] = unused(f"u_{counter}")
    names.setdefault(output, tape.values[output].name or unused("out"))
    return names


def _word_for(tape: Tape, group: Group, value: int) -> str:
    """What an op calls an input that the program never named: the mask of dropout."""
    for k in group.applied:
        applied = tape.applied[k]
        if value in applied.inputs:
            position = applied.inputs.index(value)
            if position < len(applied.op.tensor_names):
                return applied.op.tensor_names[position]
    return "c"
