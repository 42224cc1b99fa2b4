"""Quotients by the name that they have: e_i/u, spread over a product with other factors and sums, is p_i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Add, Expr, Mul

from explain.calculus.express import matched
from explain.calculus.symbols import Call, Entry, Index, TensorName, Total, rebuild, substitute


@dataclass(frozen=True, eq=False)
class Quotient:
    """The tensor ``name`` whose entry at ``out`` is above/below. ``above``: an entry of ``tensor``, or a function of one."""

    name: TensorName
    out: tuple[Any, ...]
    tensor: TensorName
    above: Expr
    below: Entry

    def put_into(self, e: Any) -> Any:
        """The formula with the name wherever a product is divided as the quotient is."""
        if not (e.args and e.has(self.tensor) and e.has(self.below.tensor)):
            return e
        e = rebuild(e, [self.put_into(a) for a in e.args])
        return self._in_product(e) if e.is_Mul else e

    def _in_product(self, e: Expr) -> Expr:
        for divisor in self._divisors(e.args):
            for f in e.args:
                taken = self._divided(f, divisor)
                if taken is not None:
                    return self.put_into(e / f * divisor * taken)
        for f in e.args:
            divisor, named = self._at(f)
            if named is not None:
                for whole in e.args:
                    if whole.is_Add and all(divisor in self._divisors(Mul.make_args(term)) for term in whole.args):
                        return self.put_into(e / f / whole * named * Add(*(term * divisor for term in whole.args)))
        return e

    def _divisors(self, factors: Sequence[Expr]) -> list[Expr]:
        """What of the quotient's divisor a product is divided by."""
        powers = [f for f in factors if f.is_Pow and f.exp.is_Integer and f.exp < 0]
        return [f.base for f in powers if isinstance(f.base, Entry) and f.base.tensor == self.below.tensor]

    def _at(self, f: Expr) -> tuple[Any, Any]:
        """The divisor and the quotient for an entry of the dividend; (None, None) for another factor."""
        indices = matched(self.above, f, self.out)
        if indices is None:
            return None, None
        places = {i: j for i, j in zip(self.out, indices, strict=True) if isinstance(i, Index)}
        return substitute(self.below, places), Entry(self.name, *indices)

    def _divided(self, f: Expr, divisor: Expr) -> Expr | None:
        """A factor divided by ``divisor`` in terms of the name, None if it is not what the name divides."""
        below, named = self._at(f)
        if named is not None:
            return named if below == divisor else None
        if not f.has(self.tensor):
            return None
        if isinstance(f, Total):
            body = self._divided(f.body, divisor) if not divisor.has(*f.bound) else None
            return None if body is None else Total(body, *f.limits)
        if f.is_Mul:
            for k, g in enumerate(f.args):
                taken = self._divided(g, divisor)
                if taken is not None:
                    return Mul(*f.args[:k], taken, *f.args[k + 1 :])
        if f.is_Add:
            terms = [self._divided(term, divisor) for term in f.args]
            return None if None in terms else Add(*terms)
        return None


def quotient(name: str, out: Sequence[Any], formula: Expr) -> Quotient | None:
    """The quotient that a formula at the indices ``out`` is, of an entry there or a function of it, by an entry; None if it
    is something else."""
    if not (formula.is_Mul and len(formula.args) == 2):
        return None
    above, power = sorted(formula.args, key=lambda f: f.is_Pow)
    inner = above.arguments[0] if isinstance(above, Call) else above
    if not (power.is_Pow and power.exp == -1 and isinstance(power.base, Entry) and isinstance(inner, Entry)):
        return None
    if inner.indices != tuple(out):
        return None
    return Quotient(TensorName(name), tuple(out), inner.tensor, above, power.base)
