"""Formulas as one line of Python-like text, which ``reader`` reads back to an equal formula.

``3/2*(x[i, j] + 2)``, ``2*x[k]**3/sqrt(Sum(x[i]**4, (i, 0, 2)))``, ``bar(z)[i, j]``, ``Indicator(i == t[j])``. Factors
and terms stand in the formula's own order, except that a constant may move to the front of a sum.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from functools import lru_cache
from typing import Any

from sympy import Expr, Pow, Rational, S
from sympy.core.relational import Relational
from sympy.core.symbol import Symbol
from sympy.logic.boolalg import And, Not, Or

from explain.calculus.rules import options_of
from explain.calculus.symbols import (
    Binding,
    Call,
    Digit,
    Entry,
    Holds,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    plain_sum,
    walk_preorder,
)

SUM, PRODUCT, POWER, ATOM = range(4)
RELATIONS = {"Equality": "==", "Unequality": "!=", "StrictGreaterThan": ">", "GreaterThan": ">=", "StrictLessThan": "<"}
RELATIONS["LessThan"] = "<="
WRAPPED = re.compile(r"(\w+)\((.*)\)", re.DOTALL)


@lru_cache(8_192, typed=True)
def formula_text(e: Any) -> str:
    """The formula as text that ``read_formula`` reads back. Takes formulas in final form, as ``late`` leaves them."""
    return _Writer(e).at(e, SUM)


def is_plain_name(name: str) -> bool:
    """A name that Python's parser gives back as it is; dots are allowed (``fc1.weight``)."""
    return unicodedata.normalize("NFKC", name) == name and all(
        part.isidentifier() and not keyword.iskeyword(part) for part in name.split(".")
    )


class _Writer:
    def __init__(self, e: Any) -> None:
        symbols = (s for s in walk_preorder(e) if isinstance(s, Symbol) and not isinstance(s, TensorName))
        self.taken = {s.name for s in symbols}

    def at(self, e: Any, level: int) -> str:
        """The text, in parentheses if it binds less than ``level``."""
        text, own = self.write(e)
        return text if own >= level else f"({text})"

    def listed(self, es: Any) -> str:
        return ", ".join(self.at(e, SUM) for e in es)

    def write(self, e: Any) -> tuple[str, int]:
        """The text and how tightly it binds."""
        if isinstance(e, Entry):
            return self.entry(e), ATOM
        if e.is_Rational:
            return str(e), (PRODUCT if e.q != 1 or e < 0 else ATOM)
        if e.is_Number or e is S.Pi:
            return f'float("{"pi" if e is S.Pi else float(e)}")', ATOM
        if e is S.ComplexInfinity:
            return "1/0", PRODUCT
        if e.is_Symbol:
            return e.name, ATOM
        if e.is_Add:
            return self.sum(e), SUM
        if e.is_Mul:
            negative, text = self.product(e)
            return ("-" if negative else "") + text, PRODUCT
        if e.is_Pow:
            return self.power(e)
        return self.named(e), ATOM

    def entry(self, e: Entry) -> str:
        name = self.name(e.tensor.name)
        if e.indices:
            return f"{name}[{self.listed(e.indices)}]"
        hidden = e.tensor.name in self.taken or ("(" in name and name.split("(")[0] not in ("bar", "d", "tensor"))
        return f"tensor({e.tensor.name!r})" if hidden else name

    def name(self, name: str) -> str:
        if is_plain_name(name):
            return name
        wrapped = WRAPPED.fullmatch(name)
        if wrapped and is_plain_name(wrapped[1]) and wrapped[1] != "tensor":
            return f"{wrapped[1]}({self.name(wrapped[2])})"
        return f"tensor({name!r})"

    def sum(self, e: Expr) -> str:
        terms = list(e.args)
        if terms[-1].is_Rational and terms[-1] > 0 and self.term(terms[0])[0]:
            terms.insert(0, terms.pop())  # 1 - y**2
        text = ""
        for term in terms:
            negative, body = self.term(term)
            if text:
                text += f" - {body}" if negative else f" + {body}"
            else:
                text = f"-{body}" if negative else body
        return text

    def term(self, e: Any) -> tuple[bool, str]:
        """A term of a sum: whether it is subtracted, and its text without that sign."""
        if e.is_Rational and e < 0:
            return True, str(-e)
        if e.is_Mul:
            return self.product(e)
        return False, self.at(e, PRODUCT)

    def product(self, e: Expr) -> tuple[bool, str]:
        factors = list(e.args)
        coefficient = Rational(1)
        if factors[0].is_Rational:
            coefficient = factors.pop(0)
        negative = bool(coefficient < 0)
        text = "" if abs(coefficient) == 1 else str(abs(coefficient))
        for f in factors:
            below = self.denominator(f)
            if below is not None:
                text = f"{text or 1}/{below}"
            else:
                # a number further back would be moved to the front by the reader: kept apart by parentheses at least
                body = self.at(f, ATOM if f.is_Number else POWER)
                text = f"{text}*{body}" if text else body
        return negative, text or "1"

    def denominator(self, e: Expr) -> str | None:
        """What to write after a division sign for this factor, or None if it is written as it stands."""
        if e is S.ComplexInfinity:
            return "0"
        if not (e.is_Pow and e.exp.is_Rational and e.exp < 0) or (e.base.is_Pow and e.base.exp.is_Number):
            return None
        if e.exp == -1:
            return self.at(e.base, POWER)
        return self.at(Pow(e.base, -e.exp, evaluate=False), POWER)

    def power(self, e: Expr) -> tuple[str, int]:
        below = self.denominator(e)
        if below is not None:
            return f"1/{below}", PRODUCT
        base, exponent = e.args
        if exponent == S.Half:
            return f"sqrt({self.at(base, SUM)})", ATOM
        return f"{self.at(base, ATOM)}**{self.at(exponent, ATOM)}", POWER

    def named(self, e: Any) -> str:
        """What is written as a function of a name."""
        if isinstance(e, Total):
            return f"Sum({self.at(e.body, SUM)}, {self.limits(e)})"
        if isinstance(e, Reduction):
            return f"{e.op}({self.at(e.body, SUM)}, {self.limits(e)}{self.numbers(e)})"
        if isinstance(e, Transform):
            positions = "".join(f"{self.at(p, SUM)}, " for p in e.positions)
            positions = positions[:-1] if len(e.positions) == 1 else positions[:-2]
            return f"{e.op}({self.at(e.body, SUM)}, {self.limits(e)}, at=({positions}){self.numbers(e)})"
        if isinstance(e, Call):
            return f"{e.op}({self.listed(e.arguments)})"
        if isinstance(e, Indicator):
            return f"Indicator({self.condition(e.condition)})"
        if isinstance(e, Where):
            return f"Where({self.condition(e.args[0])}, {self.listed(e.args[1:])})"
        if isinstance(e, Digit):
            return f"Digit({self.listed(e.args)})"
        return self.condition(e)

    def numbers(self, e: Reduction | Transform) -> str:
        return "".join(f", {name}={self.at(n, SUM)}" for name, n in options_of(e).items())

    def limits(self, e: Binding) -> str:
        return ", ".join(f"({i.name}, 0, {self.at(plain_sum([n, S.NegativeOne]), SUM)})" for i, n in e.limits)

    def condition(self, e: Any) -> str:
        if isinstance(e, Relational):
            return f"{self.at(e.args[0], SUM)} {RELATIONS[type(e).__name__]} {self.at(e.args[1], SUM)}"
        if isinstance(e, Holds):
            wanted = "" if e.args[1] == S.true else ", False"
            return f"Holds({self.at(e.args[0], SUM)}{wanted})"
        if isinstance(e, Not):
            inner = self.condition(e.args[0])
            return f"not ({inner})" if isinstance(e.args[0], And | Or) else f"not {inner}"
        if isinstance(e, And | Or):
            word = " and " if isinstance(e, And) else " or "
            return word.join(f"({self.condition(a)})" for a in e.args)
        raise TypeError(f"{type(e).__name__} is not part of a formula")
