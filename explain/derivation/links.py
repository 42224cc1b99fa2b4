"""What a derivation is made of as mathematics: the formula of each step, and the Jacobian and Jᵀv of each way back.

Indices are raw here: ``z`` of a step's output, ``t`` of what it goes back to. Letters come in last.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Mul, S, Tuple

from explain.calculus.symbols import Entry, Index, Single, TensorName, Total, Transform, size
from explain.derivation.later import Lazily
from explain.derivation.steps import Group
from explain.errors import CannotDerive
from explain.tape.record import Tape

Bind = tuple[Index, Any]


def bar(name: str) -> TensorName:
    """The adjoint of a tensor: ∂out/∂name."""
    return TensorName(f"bar({name})")


def places(prefix: str, numbers: Sequence[int]) -> tuple[Bind, ...]:
    """Indices for every axis of a tensor."""
    return tuple(((Single if n == 1 else Index)(f"{prefix}{k}"), size(n)) for k, n in enumerate(numbers))


def just_indices(binds: Sequence[Bind]) -> tuple[Index, ...]:
    """The indices without their sizes."""
    return tuple(i for i, _ in binds)


def renaming(old: Sequence[Any], new: Sequence[Any]) -> dict[Any, Any]:
    """The substitution of indices by indices (or positions); plain numbers stay."""
    return {i: j for i, j in zip(old, new, strict=True) if isinstance(i, Index)}


@dataclass(frozen=True, eq=False)
class StepFormula(Lazily):
    """One step as mathematics: one entry of its output at ``out``, evaluated and as written.

    ``differential``: per input name, one entry of the change of the output for a change ``d(input)``, where the op is
    given by a differential rule; then ``formula`` is the entry of the op's own name, unless it has a formula besides.
    ``written`` is None for what has no formula at all (a comparison, argmax). ``signature``: equal for steps that do the
    same; ``like``: the first of them, for all others. Turns of a loop that read constants at positions ``at`` of their own
    are all like one that leaves these open.
    """

    group: Group
    name: str
    out: tuple[Bind, ...]
    formula: Expr
    written: Expr | None
    differential: dict[str, Expr]
    signature: Hashable | None = None
    like: StepFormula | None = None
    at: tuple[int, ...] = ()

    @property
    def stays(self) -> bool:
        """Its name is not replaced by its formula: it has none, or is best known by its name (a softmax)."""
        first = self.like or self
        return not self.has_formula or bool(first.differential) or isinstance(first.formula, Transform)

    @property
    def has_formula(self) -> bool:
        """Whether there is one: a comparison or argmax has none."""
        return (self.like or self).written is not None

    @property
    def doing(self) -> Hashable:
        """Equal for steps that do the same to the same."""
        first = self.like or self
        as_first = first.group.inputs == self.group.inputs and not self.at
        return (first.formula, first.out) if as_first else (first, self.group.inputs, self.at)


@dataclass(frozen=True, eq=False)
class Link(Lazily):
    """One link of the chain rule, in raw indices: the target's are ``target``, the output's ``out``.

    ``jacobian``: ∂ output / ∂ input; ``contracted``: Jᵀv with the adjoint's name as v; both in the output's language.
    ``problem``: why there are none. ``exact`` is the Jᵀv before the output's name was put in. ``decreed``: what goes back is
    not Jᵀv but what the author of a custom Function wrote. ``like``: the first link that does the same, for all others.
    """

    step: StepFormula
    input: int
    input_name: str
    target: tuple[Bind, ...]
    jacobian: Expr | None
    contracted: Expr | None
    exact: Expr | None
    problem: CannotDerive | None = None
    decreed: bool = False
    like: Link | None = None

    @property
    def differentiated(self) -> tuple[Expr, TensorName]:
        """What is differentiated by what: the step's formula by its input, or its differential by the input's change."""
        return differentiated(self.step, self.input_name)


def differentiated(step: StepFormula, name: str) -> tuple[Expr, TensorName]:
    """What is differentiated by what, of a step by one of its inputs."""
    if name in step.differential:
        return step.differential[name], TensorName(f"d({name})")
    return step.formula, TensorName(name)


def named_result(tape: Tape, group: Group, names: dict[int, str]) -> str:
    """What the result of an op without a formula of its entries is called: inv(A)."""
    applied = tape.applied[group.applied[-1]]
    which = applied.outputs.index(group.output)
    word = applied.op.fields[which] if applied.op.fields else applied.op.name
    return f"{word}({names[applied.inputs[0]]})"


def written_product(link: Link) -> Expr | None:
    """Jᵀv with its sum written out: Σ over the output's indices of the upstream times the Jacobian."""
    if link.jacobian is None:
        return None
    upstream = Entry(bar(link.step.name), *just_indices(link.step.out))
    if link.jacobian.is_zero:
        return S.Zero
    term = Mul(upstream, link.jacobian, evaluate=False)
    return Total(term, *(Tuple(i, n) for i, n in link.step.out if isinstance(i, Index)))
