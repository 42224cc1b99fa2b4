"""The signs that a page uses and a learner may meet there for the first time, each with the words' key that explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sympy import Eq, Expr

from explain.calculus.matrix_tree import MHadamard, MOnes, MPower, MUnit
from explain.calculus.symbols import Index, Indicator, walk_preorder
from explain.derivation.model import Formula
from explain.render.matrices import subtrees
from explain.render.typeset import Typesetter

DELTA = Formula(Indicator(Eq(Index("i"), Index("j"), evaluate=False)))
ORDER = ("delta", "bracket", "times", "ones", "unit", "part")


class Noting:
    """A typesetter that notes which signs it sets: by the key of their words, as they are set the first time."""

    def __init__(self, typesetter: Typesetter) -> None:
        self.typesetter = typesetter
        self.seen: dict[str, dict[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.typesetter, name)

    def told(self) -> list[dict[str, str]]:
        """What a reader has to be told."""
        return [{"kind": kind, **self.seen[kind]} for kind in ORDER if kind in self.seen]

    def formula(self, f: Formula) -> str:
        """One entry of something."""
        self._look(f.e)
        return self.typesetter.formula(f)

    def matrix(self, tree: Any, numbers: Mapping[str, str] | None = None) -> str:
        """A matrix form."""
        for part in subtrees(tree):
            if isinstance(part, MHadamard) or (isinstance(part, MPower) and part.rank):
                self._note("times", self.typesetter.times)
            elif isinstance(part, MOnes):
                self._note("ones", self.typesetter.ones)
            elif isinstance(part, MUnit) and "unit" not in self.seen:
                self._note("unit", self.typesetter.matrix(part))
        return self.typesetter.matrix(tree, numbers)

    def contribution(self, name: str, via: str, letters: Sequence[str]) -> str:
        """One of several contributions to an adjoint."""
        found = self.typesetter.contribution(name, via, letters)
        if "part" not in self.seen:
            whole = self.typesetter.contribution(name, via, ())
            self._note("part", whole, x=self.typesetter.name(f"bar({name})"), z=self.typesetter.name(via))
        return found

    def _note(self, kind: str, sign: str, **others: str) -> None:
        self.seen.setdefault(kind, {"sign": sign, **others})

    def _look(self, e: Expr) -> None:
        if "delta" in self.seen and "bracket" in self.seen:
            return
        has_delta, bracket = _brackets(e)
        if has_delta and "delta" not in self.seen:
            self._note("delta", self.typesetter.formula(DELTA))
        if bracket is not None and "bracket" not in self.seen:
            self._note("bracket", self.typesetter.formula(Formula(bracket)))


@lru_cache(8_192)
def _brackets(e: Expr) -> tuple[bool, Expr | None]:
    """Whether a formula holds a delta, and the first other bracket in it."""
    found = [part for part in walk_preorder(e) if isinstance(part, Indicator)]
    deltas = [b for b in found if isinstance(b.condition, Eq) and all(isinstance(a, Index) for a in b.condition.args)]
    return bool(deltas), next((b for b in found if b not in deltas), None)
