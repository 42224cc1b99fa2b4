"""Where one step of a derivation ends: the tape's applications grouped the way a person derives.

A run of entrywise operations is one step. A contraction takes its affine tail (``X @ W + b``) along; a nonlinearity
after it is a step of its own. A sum or mean closes a step and takes a short entrywise argument (``mean((p - y)**2)``).
Everything else that has a name of its own (softmax, norm, a loss, a choice, an inverse) stands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType

from explain.tape.record import Applied, Tape, Value

SHORT_ARGUMENT = 2
LONGEST_RUN = 8
AFFINE = {"add": (0, 1), "sub": (0, 1), "neg": (0,), "mul": (0, 1), "div": (0,)}
"""Ops that are affine in an input, with the positions of such inputs."""
NO_BLOCKS: Mapping[int, tuple[int, ...]] = MappingProxyType({})
LARGEST_CONE = 32
MOST_SHARED = 4
"""A gradient is one step up to so many operations, of whose results so many are used more than once."""
UNREADABLE_INSIDE = ("reshape", "view", "flatten")
"""Index maps whose formulas need digits: readable alone, not inside another formula."""


@dataclass(frozen=True)
class Group:
    """One step's part of the tape: ``applied`` (indices, in order), the value it ends in, the values it starts from.
    ``whole``: it is one thing whatever it is made of: a gradient, computed to be differentiated again, or a custom
    Function."""

    applied: tuple[int, ...]
    output: int
    inputs: tuple[int, ...]
    whole: str = ""


@dataclass
class _Size:
    """What a group under construction holds: its applications, how many are entrywise, whether a heavy op is inside."""

    members: list[int]
    entrywise: int = 0
    heavy: bool = False
    closed: bool = False  # only index maps may follow


def needed(tape: Tape, output: int) -> list[int]:
    """The applications that the output depends on, in the order they ran."""
    found: set[int] = set()
    todo = [output]
    while todo:
        source = tape.values[todo.pop()].source
        if source is not None and source[0] not in found:
            found.add(source[0])
            todo += tape.applied[source[0]].inputs
    return sorted(found)


def grouped(
    tape: Tape,
    output: int,
    ends: frozenset[int] = frozenset(),
    fused: bool = True,
    blocks: Mapping[int, tuple[int, ...]] = NO_BLOCKS,
) -> list[Group]:
    """The steps that lead to ``output``, in the order they ran. ``ends``: values that must not lie inside of a step.
    ``fused``: a gradient that was computed to be differentiated again is one step, whatever its own steps were.
    ``blocks``: applications that are one step because they are one function of the program's own, by their result."""
    order = needed(tape, output)
    uses = Counter(i for k in order for i in set(tape.applied[k].inputs))
    sizes: dict[int, _Size] = {}
    inner: set[int] = set()
    cones = _cones(tape, order, output, ends) if fused else {}
    custom: dict[int, list[int]] = {}
    for inside in blocks.values():
        members = sorted(set(inside) & set(order))
        if members:
            custom[members[-1]] = members
    cones |= custom
    covered = {m for members in cones.values() for m in members}
    for k in order:
        if k in covered - cones.keys():
            continue
        if k in cones:
            sizes[k] = _Size(cones[k], heavy=True, closed=True)
            inner.update(tape.applied[m].outputs[0] for m in cones[k] if m != k)
        else:
            sizes[k] = _grow(tape, k, uses, sizes, inner, ends)
    groups = []
    for k in order:
        applied = tape.applied[k]
        if any(v in inner for v in applied.outputs):
            continue
        for out in applied.outputs:
            if out == output or out in uses:
                whole = "custom" if k in custom else "gradient" if k in cones else ""
                groups.append(_group(tape, sorted(sizes[k].members), out, inner, whole))
    return groups


def _cones(tape: Tape, order: list[int], output: int, ends: frozenset[int]) -> dict[int, list[int]]:
    """Of the operations that ran in a differentiable walk those that lead to one of its results and to nothing else, by
    the operation that they end in."""
    users: dict[int, list[int]] = {}
    for k in order:
        for i in set(tape.applied[k].inputs):
            users.setdefault(i, []).append(k)
    end_of: dict[int, int] = {}
    shared: Counter[int] = Counter()
    for k in reversed(order):
        applied = tape.applied[k]
        if applied.walk is None:
            continue
        (*_, v) = applied.outputs
        inside = v != output and v not in ends and not tape.values[v].names and len(applied.outputs) == 1
        found = {end_of.get(u) if tape.applied[u].walk == applied.walk else None for u in users.get(v, ())}
        (end,) = found if len(found) == 1 else (None,)
        end_of[k] = k if end is None or not inside or not hasattr(applied.op, "formula") else end
        shared[end_of[k]] += len(users.get(v, ())) > 1 and end_of[k] != k
    cones: dict[int, list[int]] = {}
    for k, end in end_of.items():
        cones.setdefault(end, []).append(k)
    readable = (
        len(members) > 1 and len(members) <= LARGEST_CONE and shared[end] <= MOST_SHARED
        and all(hasattr(tape.applied[k].op, "formula") for k in members)
        for end, members in cones.items()
    )  # fmt: skip
    return {end: sorted(members) for (end, members), good in zip(cones.items(), readable, strict=True) if good}


def _grow(tape: Tape, k: int, uses: Counter[int], sizes: dict[int, _Size], inner: set[int], ends: frozenset[int]) -> _Size:
    """The group that ends in application ``k``: itself and the groups of those inputs that belong to it."""
    applied = tape.applied[k]
    kind = _kind(applied)
    size = _Size([k], entrywise=int(kind == "entrywise"), heavy=kind == "heavy", closed=kind in ("alone",))
    for position, i in enumerate(applied.inputs):
        value = tape.values[i]
        if value.name is not None or value.source is None or uses[i] != 1 or applied.inputs.count(i) != 1 or i in ends:
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
    if hasattr(applied.op, "differential"):  # it speaks of its inputs by their names
        return False
    if below.closed or lower == "alone" or source.op.name in UNREADABLE_INSIDE or not hasattr(source.op, "formula"):
        return False
    if kind == "entrywise":
        if size.entrywise + below.entrywise > LONGEST_RUN:
            return False
        return not below.heavy or (not size.heavy and _is_affine_tail(tape, applied, position, source))
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


def _group(tape: Tape, members: list[int], output: int, inner: set[int], whole: str) -> Group:
    inputs: list[int] = []
    for k in members:
        for i in tape.applied[k].inputs:
            if i not in inner and i not in inputs and tape.values[i].literal is None:
                inputs.append(i)
    return Group(tuple(members), output, tuple(inputs), whole)


def unused_name(base: str, taken: Container[str]) -> str:
    """The name, with a number if it is taken; one that ends in a number counts on: p0 is followed by p1."""
    stem = base.rstrip("0123456789")
    numbers = count(int(base[len(stem) :])) if stem != base else count(1)
    following = (f"{stem}{k}" if stem != base else f"{base}_{k}" for k in numbers)
    return base if base not in taken else next(name for name in following if name not in taken)


def named(tape: Tape, groups: list[Group], output: int) -> dict[int, str]:
    """A display name for every value that a step starts from or ends in: the author's, else u_1, u_2, … for what was
    computed and c_1, c_2, … for what was given (c if it is the only one), else out.

    Several values of one name (``b = b * 2``) are b^(1), b^(2), …; the one that has the name at the end is just b. So are
    several that the program never named and an op has a word for, as the masks of dropout.
    """
    shown = list(dict.fromkeys(i for group in groups for i in (*group.inputs, group.output)))
    names = _authors_names(tape, [*shown, *([] if output in shown else [output])], output)
    taken = {name for v in tape.values for name in v.names} | set(names.values())
    counter = 0

    def unused(base: str) -> str:
        found = unused_name(base, taken)
        taken.add(found)
        return found

    constants = _Constants(taken)
    called: dict[str, dict[int, None]] = {}
    for group in groups:
        for i in (*group.inputs, group.output):
            value: Value = tape.values[i]
            if i in names or i in constants.met or any(i in values for values in called.values()):
                continue
            if value.derivative is not None and _gradient_of(tape, value) not in taken:
                names[i] = unused(_gradient_of(tape, value))
            elif i == output:
                names[i] = unused("out")
            elif value.origin is not None:
                names[i] = unused(f"detach({value.origin})")
            elif value.source is None:
                word = _word_for(tape, group, i)
                if len(word) > 1:
                    called.setdefault(word, {})[i] = None
                else:
                    constants.met.append(i)
            else:
                counter += 1
                while f"u_{counter}" in taken:
                    counter += 1
                names[i] = unused(f"u_{counter}")
    for word, values in called.items():
        several = len(values) > 1 and word not in taken
        names |= {i: unused(f"{word}^({k})" if several else word) for k, i in enumerate(values, 1)}
    names |= constants.names()
    if output not in names:
        names[output] = unused("out")
    return names


class _Constants:
    """Values that neither the program nor an op has a word for. A letter with a number would look like an entry of what has
    that letter alone, so they have a letter to themselves."""

    def __init__(self, taken: set[str]) -> None:
        letters = {name.split("_")[0] for name in taken}
        self.letter = next((letter for letter in "ckdefghmnpqrst" if letter not in letters), "const")
        self.met: list[int] = []

    def names(self) -> dict[int, str]:
        """Letters for all that were met, numbered if they are several."""
        several = len(self.met) > 1
        return {i: f"{self.letter}_{k}" if several else self.letter for k, i in enumerate(self.met, 1)}


def _gradient_of(tape: Tape, value: Value) -> str:
    """The name of a value that is a gradient: that of what it is the gradient of."""
    assert value.derivative is not None
    names = tape.values[value.derivative[0]].names
    return f"grad({names[-1] if names else 'out'})"


def _authors_names(tape: Tape, shown: list[int], output: int) -> dict[int, str]:
    chosen = {}
    for i in shown:
        names_of = tape.values[i].names
        if names_of:  # what was computed goes by the name that backward was called with
            chosen[i] = names_of[-1 if i == output and tape.values[i].source is not None else 0]
    of: dict[str, list[int]] = {}
    for i in sorted(chosen):
        of.setdefault(chosen[i], []).append(i)
    names: dict[int, str] = {}
    for name, values in of.items():
        holder = max(v.id for v in tape.values if name in v.names)
        for k, i in enumerate(values):
            names[i] = name if len(values) == 1 or (i == holder and values[-1] == i) else f"{name}^({k + 1})"
    return names


def _word_for(tape: Tape, group: Group, value: int) -> str:
    """What an op calls an input that the program never named: the mask of dropout."""
    for k in group.applied:
        applied = tape.applied[k]
        if value in applied.inputs:
            position = applied.inputs.index(value)
            if position < len(applied.op.tensor_names):
                return applied.op.tensor_names[position]
    return ""
