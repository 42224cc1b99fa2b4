"""Which sentence belongs to a link of the chain rule: the kind of rule that it follows, with its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from explain.derivation.steps import AFFINE, Group
from explain.ops.base import axes
from explain.tape.record import Applied, Tape

COUNTS = ("n", "repeats")


@dataclass(frozen=True)
class Rule:
    """``kind``: key of the sentence; ``details``: its parameters (names; under ``COUNTS`` the sizes of axes, whose product
    is meant)."""

    kind: str
    details: dict[str, Any]


def rule_of(tape: Tape, group: Group, x: int, names: dict[int, str]) -> Rule:
    """The rule of the link from the group's output back to its input ``x``."""
    within = [tape.applied[k] for k in group.applied]
    from_x = _made_from(within, [x])
    members = [a for a in within if a.outputs[0] in from_x]  # what else is in the step does not touch it
    meets = [(a, p) for a in members for p, i in enumerate(a.inputs) if i == x]
    first, position = meets[0]
    heavy = [a for a in members if _is_heavy(a)]
    scalar = tape.values[x].shape == () == tape.values[group.output].shape
    details: dict[str, Any] = {"x": names[x], "z": names[group.output], "op": first.op.name, "uses": len(meets)}
    details["scalar"] = scalar
    details["single"] = tape.values[group.output].shape == ()
    if group.whole == "gradient":
        return Rule("derivative", details)
    if heavy and len({id(a) for a, _ in meets}) > 1 and not all(_reaches(members, a, heavy[0]) for a, _ in meets):
        return Rule("several", details)
    if len(members) == 1 or (len(heavy) == 1 and first is heavy[0] and _only_tail(members, heavy[0])):
        tail = [a for a in members if a is not first]
        details["scaled"] = any(a.op.name in ("mul", "div", "neg") for a in tail)
        return _single(tape, first, position, meets, details)
    if heavy and not _reaches(members, first, heavy[0]):
        return _tail(tape, first, x, details)
    before = [a for a in members if heavy and a is not heavy[0] and not _after(members, a, heavy[0])]
    if heavy and len(meets) > 1 and all(a.op.kind == "index" for a in before):
        return Rule("several", details)
    if heavy and heavy[0].op.kind != "reduction" and all(a.op.rule == "transpose" for a in before):
        through = next(p for p, i in enumerate(heavy[0].inputs) if i in from_x)
        details["scaled"] = any(a.op.name in ("mul", "div", "neg") for a in members if a is not heavy[0])
        details["turned"] = first.op.rule == "transpose"
        return _single(tape, heavy[0], through, meets[:1], details)
    if heavy:
        details["scaled"] = any(a.op.name in ("mul", "div", "neg") and _after(members, a, heavy[0]) for a in members)
        details["inner"] = [a.op.rule or a.op.kind for a in before]
        return Rule(f"{heavy[0].op.rule}_of", details | _counts(tape, heavy[0]))
    if all(a.op.kind == "index" for a in members):
        return Rule("index_chain", details)
    shape, out = (_without_ones(tape.values[i].shape) for i in (x, group.output))
    picks = [a for a in members if a.op.kind == "index" and not (a.op.rule == "reshape" and shape == out)]
    if picks == members[-1:] and picks[0].op.rule == "join":
        return Rule("chain_join", details | {"parts": sum(i in from_x for i in picks[0].inputs)})
    if picks:
        return Rule("chain_index", details)
    if len(meets) > 1:
        return Rule("several", details)
    if shape != out:
        return Rule("chain_broadcast", details)
    return Rule("chain", details)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape as far as entries can be told apart by it: squeezing picks nothing."""
    return tuple(n for n in shape if n != 1)


def _is_heavy(a: Applied) -> bool:
    return a.op.kind not in ("elementwise", "index", "constant")


def _only_tail(members: list[Applied], heavy: Applied) -> bool:
    return all(a is heavy or _after(members, a, heavy) for a in members)


def _made_from(members: list[Applied], values: Iterable[int]) -> set[int]:
    """The values, and all that the members of a step compute from them. Members stand in the order they ran."""
    found = set(values)
    for a in members:
        if not found.isdisjoint(a.inputs):
            found.update(a.outputs)
    return found


def _after(members: list[Applied], a: Applied, heavy: Applied) -> bool:
    """``a`` uses the result of ``heavy``, directly or not."""
    return a is not heavy and not _made_from(members, heavy.outputs).isdisjoint(a.inputs)


def _reaches(members: list[Applied], first: Applied, heavy: Applied) -> bool:
    return first is heavy or _after(members, heavy, first)


def _tail(tape: Tape, first: Applied, x: int, details: dict[str, Any]) -> Rule:
    """A link through the affine tail only: ``b`` in ``X @ W + b``."""
    if not first.op.broadcasts:
        return Rule("chain_index", details)
    shape, out = tape.values[x].shape, tape.values[first.outputs[0]].shape
    details |= {"shape": shape, "out_shape": out}
    if shape != out:
        details["repeats"] = _repeats(shape, out)
        return Rule("broadcast", details)
    return Rule(first.op.rule if first.op.name in AFFINE else "chain", details)


def _single(tape: Tape, first: Applied, position: int, meets: list[tuple[Applied, int]], details: dict[str, Any]) -> Rule:
    details |= _counts(tape, first) | {"position": position, "part": first.op.input_name(position, first.options)}
    rule = first.op.rule or first.op.kind
    if len(meets) > 1:
        return Rule("square" if rule in ("mul", "dot") else f"{first.op.kind}_twice", details)
    if rule == "matmul" and all(len(tape.values[i].shape) == 1 for i in first.inputs):
        return Rule("dot", details)
    if rule == "matmul":
        return Rule("matmul_right" if position else "matmul_left", details)
    if first.op.broadcasts and first.op.outputs == 1:
        shape, out = tape.values[first.inputs[position]].shape, tape.values[first.outputs[0]].shape
        if shape != out:
            details |= {"shape": shape, "out_shape": out, "repeats": _repeats(shape, out)}
            return Rule("broadcast" if rule in ("add", "sub") else "chain_broadcast", details)
        if rule in ("div", "pow", "sub") and position:
            return Rule(f"{rule}_second", details)
    return Rule(rule, details)


def _repeats(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of the axes along which one input entry is used again and again."""
    padded = (1,) * (len(out) - len(shape)) + shape
    return tuple(b for a, b in zip(padded, out, strict=True) if a == 1 and b != 1)


def _counts(tape: Tape, a: Applied) -> dict[str, Any]:
    """The sizes of the axes that a reduction runs over, and what other ops say of themselves."""
    shapes = tuple([tape.values[i].shape for i in a.inputs])
    if a.op.kind != "reduction":
        return a.op.details(shapes, a.options)
    shape = shapes[0]
    return {"n": tuple(shape[k] for k in axes(a.op.complete(a.options).get("dim"), len(shape)))}
