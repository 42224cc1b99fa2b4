"""Parts of formulas under names of their own: the softmax of a plain tensor is P, defined in a where-line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr

from explain.calculus.rules import says_itself
from explain.calculus.symbols import Entry, Index, Reduction, TensorName, Transform, rebuild
from explain.derivation.links import Bind, just_indices, places
from explain.derivation.model import Formula
from explain.tape.record import Tape

NAMES_OF_PARTS = {
    "softmax": "P",
    "prod_others": "R",
    "standardised": "N",
    "deviation": "s",
    "rms_normalised": "N",
    "root_mean_square": "s",
    "std": "s",
}
"""Letters for parts of formulas that deserve a name of their own."""


@dataclass(frozen=True, eq=False)
class PlannedLet:
    """A named part of formulas: its entry at ``place`` (indices with sizes), as shown and as evaluated."""

    name: str
    kind: str
    place: tuple[Bind, ...]
    raw: Expr
    shown: Formula


class Lets:
    """The parts of one plan that got names. ``unused``: a name like the one given that nothing else has. ``show``: a formula
    as a page shows it, over its free indices."""

    def __init__(
        self, tape: Tape, names: dict[int, str], unused: Callable[[str], str], show: Callable[[Expr, Sequence[Any]], Formula]
    ) -> None:
        self.tape, self.names, self._unused, self._show = tape, names, unused, show
        self._found: dict[Expr, PlannedLet] = {}

    def __iter__(self) -> Iterator[PlannedLet]:
        return iter(self._found.values())

    def put_into(self, e: Expr) -> Expr:
        """Softmax (and the like) of a plain tensor under a name of its own: P, defined in a where-line."""
        if not e.args:
            return e
        if (
            isinstance(e, Transform | Reduction)
            and isinstance(e.body, Entry)
            and (e.op in NAMES_OF_PARTS or says_itself(e.op))
        ):
            return self._let(e)
        return rebuild(e, [self.put_into(a) for a in e.args])

    def _let(self, e: Transform | Reduction) -> Expr:
        body: Any = e.body
        whole = isinstance(e, Reduction)
        positions = dict(zip(e.bound, e.positions if isinstance(e, Transform) else e.bound, strict=True))
        others = [i for i in body.indices if i not in positions]
        if len(others) + len(positions) != len(body.indices) or any(i.has(*positions) for i in others):
            return e
        place = tuple(Index(f"q{k}") for k in range(len(body.indices)))
        axes = list(zip(body.indices, place, strict=True))
        held = [(i, q) for i, q in axes if not (whole and i in positions)]  # a reduction has no axis where it adds up
        at = [q for i, q in axes if i in positions]
        ordered = sorted(e.limits, key=lambda limit: body.indices.index(limit[0]))
        if says_itself(e.op) and tuple(ordered) != e.limits:
            return e  # of the transpose
        inside, numbers = Entry(body.tensor, *(i if i in positions else q for i, q in axes)), e.numbers
        key = Reduction(e.op, inside, *ordered, *numbers) if whole else Transform(e.op, inside, ordered, at, *numbers)
        if key not in self._found:
            shape = self._shape_of(body.tensor)
            if shape is None:
                return e
            sizes = [n for _, n in places("q", shape)]
            name = self._unused(f"{e.op}({body.tensor.name})" if says_itself(e.op) else NAMES_OF_PARTS[e.op])
            binds = tuple((q, n) for q, n in zip(place, sizes, strict=True) if q in [p for _, p in held])
            shown = self._show(key, just_indices(binds))
            self._found[key] = PlannedLet(name, e.op, binds, key, shown)
        return Entry(TensorName(self._found[key].name), *(positions.get(i, i) for i, _ in held))

    def _shape_of(self, tensor: TensorName) -> tuple[int, ...] | None:
        for i, name in self.names.items():
            if name == tensor.name:
                return self.tape.values[i].shape
        return None
