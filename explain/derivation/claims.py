"""Formulas that authors state, held against the recorded tape: at the program's values, at random ones, and by algebra.

A claim is about a derivative (``out wrt x = …``) or about a value (``out = …``). What it is compared with is neither the
derivation nor its formulas but the tape itself, replayed in float64 with its inputs moved, and pulled back by the ops' own
rules: so a claim can be judged where no closed form is shown. Only a proof compares formulas.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from explain.derivation.model import Verdict
from explain.derivation.proof import equal_by_algebra, value_by_algebra
from explain.derivation.pullback import pull_back_whole
from explain.derivation.replay import Replay
from explain.derivation.request import Request
from explain.errors import ExplainError
from explain.program.stated import Stated, read_stated

POINTS = 12
ENOUGH = 4
"""A formula is called equal where it agrees at all random points that could be tried, and so many could."""
TOLERANCE = 1e-6
"""Relative to the largest entry, in float64."""
NEAR, WIDE = 0.2, 1.0
"""How far entries are moved, as a part of themselves. Near the program's values most choices stay as they were made."""

RESULT = "out"
"""What the value of an expression is called where it has no name."""

Point = list[dict[int, Any]]
"""The values of all parts of a target, by id."""


@dataclass(frozen=True)
class Claim:
    """A formula that somebody states: of the derivative of ``of`` by ``wrt``, or of its value where ``wrt`` is None."""

    of: str
    wrt: str | None
    formula: str


@dataclass(frozen=True, eq=False)
class Part:
    """One gradient, or with ``wrt`` None one value: the tape with what was asked of it, and the value differentiated by."""

    request: Request
    wrt: int | None


@dataclass(frozen=True, eq=False)
class Target:
    """What a claim may be about: one gradient, or several that ``.grad`` added up. ``names``: further names of the program,
    whose values stay."""

    parts: tuple[Part, ...]
    names: Mapping[str, Any]


def judge(claim: Claim, targets: Sequence[Target]) -> Verdict:
    """Whether a claim is true of one of the targets (a program may take several gradients of one name).

    Raises InputError for a formula that cannot be read.
    """
    order = ("undecided", "wrong", "equal", "proved")
    found: list[Verdict] = []
    for target in targets:
        found.append(_judged(claim, _Trial(target, claim)))
        if found[-1].verdict in ("proved", "equal"):
            return found[-1]
    return max(found, key=lambda v: order.index(v.verdict))


def _judged(claim: Claim, trial: _Trial) -> Verdict:
    stated = read_stated(claim.formula, trial.names(trial.start))

    def verdict(word: str, reason: str | None = None, **details: Any) -> Verdict:
        return Verdict(claim.of, claim.wrt, claim.formula, word, reason, details)

    wanted = trial.wanted(trial.start)
    claimed = stated.at(trial.names(trial.start))
    if not np.all(np.isfinite(wanted)):
        return verdict("undecided", "not_finite")
    if not trial.fit(claimed, wanted):
        return verdict("wrong", "shape", stated=list(claimed.shape), wanted=list(wanted.shape))
    apart = trial.apart(claimed, wanted)
    if apart is not None:
        return verdict("wrong", "here", **apart)
    if trial.decreed:
        return verdict("equal", "decreed")
    for level, moved in trial.levels(stated.names).items():
        tried, apart = _everywhere(stated, trial, level, moved)
        if apart is None and tried < ENOUGH:
            return verdict("undecided", "few_points", tried=tried)
        if apart is None and level == "all" and trial.proved(stated, claimed, wanted):
            return verdict("proved")
        if apart is None:
            signs = _with_other_signs(stated, trial, level, moved)
            if signs is not None:
                return verdict("equal" if trial.piecewise else "wrong", "signs", **signs)
            return verdict("equal", "symmetric" if level == "symmetric" else None)
    if not stated.names:
        return verdict("equal", "numbers")
    assert apart is not None
    return verdict("wrong", "elsewhere", **apart)


def _with_other_signs(stated: Stated, trial: _Trial, level: str, moved: Sequence[set[int]]) -> dict[str, Any] | None:
    """Where the formula does not agree at points whose entries have other signs than the program's: ``x*abs(x)`` is the
    square of what is positive only. Points outside the domain of the program or of the formula say nothing."""
    for point in trial.points(level, moved, mirrored=True):
        with np.errstate(all="ignore"):
            wanted, outputs = trial.wanted(point), trial.outputs(point)
            try:
                claimed = stated.at(trial.names(point))
            except ExplainError:
                continue
        if all(np.all(np.isfinite(a)) for a in (wanted, claimed, *outputs)):
            apart = trial.apart(claimed, wanted)
            if apart is not None:
                return apart
    return None


def _everywhere(stated: Stated, trial: _Trial, level: str, moved: Sequence[set[int]]) -> tuple[int, dict[str, Any] | None]:
    """At how many random points the formula agrees, and where it does not."""
    tried = 0
    for point in trial.points(level, moved):
        wanted = trial.wanted(point)
        if not np.all(np.isfinite(wanted)):
            continue
        try:
            claimed = stated.at(trial.names(point))
        except ExplainError:  # its shapes fitted at the program's own values: an op refuses these numbers
            continue
        apart = trial.apart(claimed, wanted)
        if apart is not None:
            return tried, apart
        tried += 1
    return tried, None


class _Trial:
    """A target that can be evaluated at other values of its leaves. ``start``: at the program's own."""

    def __init__(self, target: Target, claim: Claim) -> None:
        self.parts = target.parts
        self.claim = claim
        self.others = target.names
        with np.errstate(all="ignore"):
            self.replays = [Replay(part.request.tape, part.request.output) for part in target.parts]
        for part, replay in zip(self.parts, self.replays, strict=True):
            if part.wrt is not None:
                replay.values.setdefault(part.wrt, np.asarray(part.request.tape.values[part.wrt].array, np.float64)[()])
        self.start: Point = [replay.values for replay in self.replays]

    @cached_property
    def decreed(self) -> bool:
        """What flowed back is not the derivative of what was computed: only the numbers that the program got count."""
        return any(
            part.wrt is not None
            and part.request.backward is not None
            and (
                part.request.stale
                or any(applied.op.kind == "custom" for applied in part.request.tape.applied)
                or not all(block.agrees for block in part.request.blocks.values())
            )
            for part in self.parts
        )

    @cached_property
    def piecewise(self) -> bool:
        """Something on the way has kinks or ties: what holds where a choice fell so need not hold elsewhere."""
        ops = [part.request.tape.applied[k].op for part, r in zip(self.parts, self.replays, strict=True) for k in r.order]
        return any({"kink", "tie"} & op.special.keys() for op in ops)

    def outputs(self, point: Point) -> list[Any]:
        """What is differentiated, at a point."""
        return [values[part.request.output] for part, values in zip(self.parts, point, strict=True)]

    def names(self, point: Point) -> dict[str, Any]:
        """All names of the program with their values at a point."""
        found = dict(self.others)
        for part, values in zip(self.parts, point, strict=True):
            tape = part.request.tape
            if part.request.backward is not None and part.request.mode == "vjp":
                found.setdefault("v", part.request.backward.seed)
            for value in tape.values:
                if value.id in values:
                    found |= dict.fromkeys(value.names, values[value.id])
            if self.claim.of:
                found[self.claim.of] = values[part.request.output]
            elif part.wrt is not None:  # a value that is claimed to be itself says nothing
                found.setdefault(RESULT, values[part.request.output])
            if part.wrt is not None and self.claim.wrt is not None:
                found[self.claim.wrt] = values[part.wrt]
        return {name: value for name, value in found.items() if np.asarray(value).dtype.kind in "fiub"}

    def wanted(self, point: Point) -> np.ndarray:
        """The truth at a point: the gradient, all rows of a Jacobian, or the value."""
        with np.errstate(all="ignore"):
            found = [self._of(part, values) for part, values in zip(self.parts, point, strict=True)]
        return np.asarray(sum(found[1:], start=found[0]), np.float64)

    def _of(self, part: Part, values: dict[int, Any]) -> Any:
        request = part.request
        if part.wrt is None:
            return values[request.output]
        if values is self.start[0] and self.decreed and request.backward is not None:
            return request.backward.gradients[part.wrt]
        if request.mode != "jacobian":
            seed = np.ones(np.shape(values[request.output])) if request.backward is None else request.backward.seed
            return pull_back_whole(request.tape, values, request.output, seed, part.wrt)
        shape = np.shape(values[request.output])
        rows = []
        for place in np.ndindex(shape):
            seed = np.zeros(shape)
            seed[place] = 1
            rows.append(pull_back_whole(request.tape, values, request.output, seed[()], part.wrt))
        return np.array(rows).reshape((*shape, *np.shape(values[part.wrt])))

    def proved(self, stated: Stated, claimed: np.ndarray, wanted: np.ndarray) -> bool:
        """Whether the formula is the derived one by algebra."""
        (part, *more) = self.parts
        if more:
            return False
        names = self.names(self.start)
        if part.wrt is None:
            return value_by_algebra(stated, part.request, names, wanted.shape)
        pair = self._as_wanted(claimed, wanted)
        shape = wanted.shape if pair is None else pair[1].shape
        return equal_by_algebra(stated, part.request, part.wrt, names, shape, diagonal=shape != wanted.shape)

    # shapes

    @cached_property
    def _half(self) -> tuple[int, ...] | None:
        """Of the Jacobian of an entrywise function, the shape of its diagonal."""
        part = self.parts[0]
        if part.wrt is None or part.request.mode != "jacobian":
            return None
        out, by = np.shape(self.start[0][part.request.output]), np.shape(self.start[0][part.wrt])
        return out if out == by and out else None

    def _diagonal(self, jacobian: np.ndarray) -> np.ndarray | None:
        """The entries ∂yᵢ/∂xᵢ, if all others are 0."""
        half = self._half
        if half is None:
            return None
        square = jacobian.reshape(int(np.prod(half)), -1)
        if np.any(square - np.diag(np.diag(square))):
            return None
        return np.diag(square).reshape(half)

    def _as_wanted(self, stated: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Both in one shape: a formula for the entry at each position is spread. None if it does not fit."""
        half = self._half
        if half is not None and stated.shape != wanted.shape and _spreads(stated, half):
            diagonal = self._diagonal(wanted)
            if diagonal is not None:
                return np.broadcast_to(stated, half), diagonal
        return (np.broadcast_to(stated, wanted.shape), wanted) if _spreads(stated, wanted.shape) else None

    def fit(self, stated: np.ndarray, wanted: np.ndarray) -> bool:
        """Whether a formula of this shape can be meant."""
        return self._as_wanted(stated, wanted) is not None

    def apart(self, stated: np.ndarray, wanted: np.ndarray) -> dict[str, Any] | None:
        """Where the two differ most, with both numbers; None where they agree."""
        pair = self._as_wanted(stated, wanted)
        if pair is None:
            return {"place": None, "stated": float(np.max(stated)), "wanted": float(np.max(wanted))}
        a, b = pair
        scale = max(float(np.max(np.abs(a), initial=0)), float(np.max(np.abs(b), initial=0)))
        gaps = np.abs(a - b)
        if not gaps.size or np.max(gaps) <= TOLERANCE * max(scale, 1e-6):
            return None
        place = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
        whole = self._half is None and self.parts[0].request.mode == "jacobian" and self.parts[0].wrt is not None
        return {"place": [int(k) for k in place], "jacobian": whole, "stated": float(a[place]), "wanted": float(b[place])}

    # moving

    def levels(self, names: Collection[str]) -> dict[str, list[set[int]]]:
        """Which leaves are moved, per part, in the order in which it is tried: all; if a formula holds constants of the
        program as numbers, the variables and all that is behind what it names, or only the leaves that it names; at last
        with symmetric matrices that stay so, as far as they are not differentiated by."""
        everything = [self._leaves(k) for k in range(len(self.parts))]
        found = {"all": everything}
        if names:
            variables = [self._variables(k, names, behind=True) for k in range(len(self.parts))]
            named = [self._variables(k, names, behind=False) for k in range(len(self.parts))]
            if variables != everything:
                found["variables"] = variables
            if named != variables:
                found["named"] = named
            if any(self._stays_symmetric(k, i) for k, ids in enumerate(variables) for i in ids):
                found["symmetric"] = variables
        return found

    def _stays_symmetric(self, k: int, i: int) -> bool:
        return i != self.parts[k].wrt and _symmetric(self.start[k][i])

    def _leaves(self, k: int) -> set[int]:
        part, replay = self.parts[k], self.replays[k]
        used = {i for a in replay.order for i in part.request.tape.applied[a].inputs} | {part.wrt, part.request.output}
        values = part.request.tape.values
        return {
            i for i in used
            if i is not None and values[i].source is None and values[i].literal is None
            and np.asarray(values[i].array).dtype.kind == "f"
        }  # fmt: skip

    def _variables(self, k: int, names: Collection[str], behind: bool) -> set[int]:
        tape = self.parts[k].request.tape
        found: set[int] = set()
        last = {name: v.id for v in tape.values for name in v.names}  # a loop gives a name to one value after the other
        last |= {self.claim.of: self.parts[k].request.output, self.claim.wrt or "": self.parts[k].wrt or 0}
        todo = [last[name] for name in names if name in last]
        while todo:
            i = todo.pop()
            source = tape.values[i].source
            if i not in found:
                found.add(i)
                todo += tape.applied[source[0]].inputs if behind and source is not None else ()
        return {i for i in self._leaves(k) if tape.values[i].requires_grad or i in found}

    def points(self, level: str, moved: Sequence[set[int]], mirrored: bool = False) -> Iterator[Point]:
        """Random points: most of them near the program's values, so that what it decided by them stays decided. A point
        where a mask, a branch or an index would come out otherwise is left out, and one that an op refuses.
        ``mirrored``: about half of the leaves get entries of random signs."""
        stream = np.random.default_rng(0)
        for k in range(POINTS):
            drawn: dict[Any, Any] = {}  # one tensor may stand in several parts
            point: Point = []
            same = True
            for part, replay, ids in zip(self.parts, self.replays, moved, strict=True):
                values = dict(replay.values)
                for i in sorted(ids):
                    names = part.request.tape.values[i].names
                    key = (names[0], np.asarray(values[i]).tobytes()) if names else (len(point), i)
                    if key not in drawn:
                        drawn[key] = _moved(values[i], stream, WIDE if k % 3 == 2 else NEAR)
                        if mirrored and stream.random() < 0.5:
                            drawn[key] = (drawn[key] * stream.choice([-1.0, 1.0], np.shape(drawn[key])))[()]
                        if level == "symmetric" and self._stays_symmetric(len(point), i):
                            drawn[key] = (drawn[key] + np.swapaxes(drawn[key], -1, -2)) / 2
                    values[i] = drawn[key]
                with np.errstate(all="ignore"):
                    try:
                        same = same and replay.decides_alike(values)
                    except RuntimeError:  # a matrix that is singular, or not positive definite any more
                        same = False
                point.append(values)
            if same:
                yield point


def _spreads(stated: np.ndarray, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(stated.shape, shape) == shape
    except ValueError:
        return False


def _symmetric(x: Any) -> bool:
    a = np.asarray(x)
    return a.ndim >= 2 and a.shape[-1] == a.shape[-2] > 1 and bool(np.array_equal(a, np.swapaxes(a, -1, -2)))


def _moved(x: Any, stream: np.random.Generator, far: float) -> Any:
    """Other entries of the same signs; a zero becomes something small."""
    a = np.asarray(x, np.float64)
    typical = float(np.mean(np.abs(a))) if a.size and np.any(a) else 1.0
    found = a * np.exp(far * stream.uniform(-1, 1, a.shape)) + (a == 0) * far * typical * stream.uniform(-1, 1, a.shape)
    return found[()]
