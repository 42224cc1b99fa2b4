"""What a claim is about: the gradients and values of a program or an expression that have the names it gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from explain.derivation.claims import RESULT, Claim, Part, Target, judge
from explain.derivation.custom import opened
from explain.derivation.direct import request_for
from explain.derivation.model import Verdict
from explain.derivation.request import Request
from explain.derivation.walks import request_of
from explain.errors import InputError
from explain.program.evaluate import Traced, traced_value
from explain.program.expression import parse
from explain.program.session import Ran
from explain.tape.record import freeze, recording
from explain.tape.tensor import Tensor


def judge_program(ran: Ran, claims: Iterable[Claim]) -> tuple[Verdict, ...]:
    """What becomes of formulas that are stated of a program that ran. Raises InputError for a name that the program did not
    leave and for a formula that cannot be read."""
    return tuple([judge(claim, _targets(ran, claim)) for claim in claims])


def judge_expression(
    traced: Traced, request: Request, wanted: Mapping[str, int], claims: Iterable[Claim]
) -> tuple[Verdict, ...]:
    """The same of an expression. ``request``: what was derived of it; ``wanted``: the ids of the names that it was
    differentiated by."""
    return tuple([judge(claim, [_of_expression(traced, request, wanted, claim)]) for claim in claims])


def _of_expression(traced: Traced, request: Request, wanted: Mapping[str, int], claim: Claim) -> Target:
    text = traced.expression.text.strip()
    sizes = {str(name): n.value for n, name in request.sizes.items() if name.is_Symbol}
    if claim.of not in ("", RESULT, text) or claim.of in traced.inputs:
        raise InputError(f"the claim is of '{claim.of}': the value of the expression is called {RESULT}")
    if claim.wrt is None:
        return Target((_part(request, None),), sizes)
    if claim.wrt not in wanted:
        hint = f"It is differentiated by {', '.join(wanted) or 'nothing'}"
        raise InputError(f"the claim is by '{claim.wrt}': the expression is not differentiated by it", hint=hint)
    return Target((_part(request, wanted[claim.wrt]),), sizes)


def _targets(ran: Ran, claim: Claim) -> list[Target]:
    """Of a derivative: the gradients that the program took itself, and what ``.grad`` added up to after each; where there
    are none, the one that it could have taken."""
    names = _numbers(ran)
    if claim.wrt is None:
        return [Target((_part(_value_request(ran, claim.of), None),), names)]
    found: list[Target] = []
    sums: tuple[Part, ...] = ()
    for walk in (w for group in ran.groups for w in (group.first, group.last) if w is not None):
        request = request_of(walk, ran.recorder)
        values = request.tape.values
        if (claim.of and claim.of not in _called(request)) or walk.tangents is not None:
            continue
        for i in request.wanted:
            if claim.wrt in values[i].names:
                part = _part(request, i)
                found.append(Target((part,), names))
                if walk.kind == "backward":
                    sums = (*sums, part) if i in request.before else (part,)
                    if len(sums) > 1:
                        found.append(Target(sums, names))
    if not found or (claim.of in ran.tensors and claim.wrt in ran.tensors and ran.tensors[claim.of].array.size > 1):
        found.append(_untaken(ran, claim.of, claim.wrt, names))
    return found


def _untaken(ran: Ran, of: str, wrt: str, names: Mapping[str, Any]) -> Target:
    """The gradient or the Jacobian that the program could have asked for."""
    if not of:
        raise InputError(f"the program takes no derivative by '{wrt}' itself", hint="Say of what the claim is")
    request = request_for(_tensor(ran, of), [_tensor(ran, wrt)])
    return Target((_part(request, request.wanted[0]),), names)


def _part(request: Request, wrt: int | None) -> Part:
    """One gradient with custom Functions opened: whether each is what its forward's derivative is, is then known."""
    return Part(opened(request), wrt)


def _called(request: Request) -> set[str]:
    """The names of what was differentiated: its own, and in ``jacobian(f, x)`` the function's."""
    own = set(request.tape.values[request.output].names)
    if request.call and "(" in request.call:
        own |= {part.strip() for part in request.call.partition("(")[2].split(",")[:1]}
    return own


def _numbers(ran: Ran) -> dict[str, Any]:
    """All numbers and tensors that the program left, by name."""
    tensors = {name: t.array for name, t in ran.tensors.items()}
    return {name: v for name, v in ran.values.items() if isinstance(v, int | float | np.generic | np.ndarray)} | tensors


def _value_request(ran: Ran, of: str) -> Request:
    if of not in ran.tensors and isinstance(ran.values.get(of), int | float | list | np.generic | np.ndarray):
        raise InputError(f"the claim is of '{of}', which is a plain number: there is nothing to compare it with")
    trace = ran.recorder.trace(_tensor(ran, of))
    frozen = freeze([trace])
    return Request(frozen.tape, frozen.ids[trace], (), "none", None, {}, {}, {})


def _tensor(ran: Ran, text: str) -> Tensor:
    """A tensor that the program left, or what an expression of such is."""
    if text in ran.tensors:
        return ran.tensors[text]
    known = ", ".join(ran.tensors) or "none"
    if text.isidentifier():
        raise InputError(f"the claim names '{text}': the program left no tensor of this name", hint=f"There are: {known}")
    expression = parse(text, "claim")
    missing = [name for name in expression.names if name not in ran.tensors]
    if missing:
        raise InputError(f"the claim names '{missing[0]}': the program left no tensor of this name",
                         expression.first(missing[0]), f"There are: {known}")  # fmt: skip
    with recording(ran.recorder):
        found = traced_value(expression, {name: ran.tensors[name] for name in expression.names}, ran.recorder)
    if not isinstance(found, Tensor):
        raise InputError(f"the claim is of '{text}', which is a plain number")
    return found
