"""Reading a formula from text: Python's own parser, then a short list of what may stand in a formula.

Nothing is ever evaluated: no name is looked up, no attribute fetched, no function called. Sums and products are built
as ``late`` builds them (flat, numbers multiplied, nothing else rewritten), so that text written by ``formula_text``
reads back to an equal formula.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from sympy import Eq, Expr, Ge, Gt, Le, Lt, Ne, Pow, S, Symbol, Tuple
from sympy.logic.boolalg import And, Not, Or

import explain.ops  # noqa: F401  (fills the registry)
from explain.calculus import symbols
from explain.calculus.symbols import (
    Call,
    Digit,
    Entry,
    Holds,
    Index,
    Indicator,
    Reduction,
    TensorName,
    Total,
    Transform,
    Where,
    is_plain_number,
    plain_sum,
    product,
)
from explain.errors import InputError, Place
from explain.ops.entrywise import Elementwise
from explain.ops.registry import REGISTRY

RELATIONS: dict[type[ast.cmpop], Any] = {ast.Eq: Eq, ast.NotEq: Ne, ast.Gt: Gt, ast.GtE: Ge, ast.Lt: Lt, ast.LtE: Le}
OWN = ("Sum", "sqrt", "Indicator", "Holds", "Where", "Digit")
NAMES = ("bar", "d")
LARGEST = 4096
"""How many bits a power of two numbers may have."""


def read_formula(text: str, indices: Collection[str], sizes: Collection[str] = (), source: str = "formula") -> Expr:
    """Read a formula. ``indices``: names of the free indices; ``sizes``: names of symbolic axis lengths; all other
    names are tensors. ``source``: what the text is called in messages. Raises InputError, with the place, for the rest.
    """
    return _Reader(text, frozenset(indices), frozenset(sizes), source).read()


def size_symbol(name: str) -> Symbol:
    """The symbol of an axis length that has no number."""
    return Symbol(name, integer=True, positive=True)


class _Reader:
    def __init__(self, text: str, indices: frozenset[str], sizes: frozenset[str], source: str) -> None:
        self.text = text
        self.indices = indices
        self.sizes = sizes
        self.source = source
        self.start = len(text) - len(text.lstrip())
        self.lines = text[self.start :].splitlines(keepends=True)
        self.own: dict[str, Callable[[ast.Call, frozenset[str]], Any]] = {
            "Sum": self.total, "sqrt": self.root, "Indicator": self.indicator, "Where": self.where,
            "Digit": self.digit, "float": self.infinite, "tensor": self.scalar, "bar": self.scalar, "d": self.scalar,
        }  # fmt: skip

    def read(self) -> Expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text[self.start :], mode="eval")
            return self.expression(tree.body, self.indices)
        except SyntaxError as error:
            self.refuse_syntax(error)
        except (ValueError, RecursionError, MemoryError, OverflowError):
            raise InputError("this is too long or too deeply nested for a formula", self.whole()) from None

    # places and refusals

    def whole(self) -> Place:
        return Place(self.text, self.start, len(self.text.rstrip()), self.source)

    def offset(self, line: int, column: int) -> int:
        """Python counts columns in bytes."""
        before = sum(len(text) for text in self.lines[: line - 1])
        inside = self.lines[line - 1].encode()[:column] if line <= len(self.lines) else b""
        return self.start + before + len(inside.decode(errors="ignore"))

    def place(self, node: ast.expr) -> Place:
        end = self.offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return Place(self.text, self.offset(node.lineno, node.col_offset), end, self.source)

    def refuse(self, node: ast.expr, message: str, hint: str | None = None) -> NoReturn:
        raise InputError(message, self.place(node), hint)

    def refuse_syntax(self, error: SyntaxError) -> NoReturn:
        if not self.text.strip():
            raise InputError("there is no formula", Place(self.text, 0, len(self.text), self.source)) from None
        at = min(self.start + sum(len(text) for text in self.lines[: (error.lineno or 1) - 1]), len(self.text))
        at = min(at + max((error.offset or 1) - 1, 0), len(self.text))
        raise InputError("this does not read as a formula", Place(self.text, at, at + 1, self.source)) from None

    # expressions

    def expression(self, node: ast.expr, scope: frozenset[str]) -> Any:
        if isinstance(node, ast.BinOp):
            return self.arithmetic(node, scope)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return product([S.NegativeOne, self.expression(node.operand, scope)])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return self.expression(node.operand, scope)
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Subscript):
            return self.entry(node, scope)
        if isinstance(node, ast.Name):
            return self.symbol(node, scope)
        if isinstance(node, ast.Attribute):
            return Entry(TensorName(self.tensor(node)))
        if isinstance(node, ast.Call):
            return self.call(node, scope)
        if isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            hint = "write Indicator(i == j) for 1 where i = j, else 0"
            self.refuse(node, "a condition cannot be a number here", hint)
        self.refuse(node, "this is not part of a formula")

    def arithmetic(self, node: ast.BinOp, scope: frozenset[str]) -> Any:
        if isinstance(node.op, ast.Pow):
            return self.power(node, self.expression(node.left, scope), self.expression(node.right, scope))
        additive = isinstance(node.op, ast.Add | ast.Sub)
        if not additive and not isinstance(node.op, ast.Mult | ast.Div):
            hint = "write ** for a power" if isinstance(node.op, ast.BitXor) else "a formula has + - * / and **"
            self.refuse(node, "this operator is not part of a formula", hint)
        kinds: Any = (ast.Add, ast.Sub) if additive else (ast.Mult, ast.Div)
        spine: list[tuple[ast.operator, ast.expr]] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp) and isinstance(first.op, kinds):
            spine.append((first.op, first.right))
            first = first.left
        parts = [self.expression(first, scope)]
        for op, right in reversed(spine):
            part = self.expression(right, scope)
            if isinstance(op, ast.Sub):
                part = product([S.NegativeOne, part])
            elif isinstance(op, ast.Div):
                part = self.inverse(node, part)
            parts.append(part)
        return plain_sum(parts) if additive else product(parts)

    def power(self, node: ast.expr, base: Any, exponent: Any) -> Any:
        if not (is_plain_number(base) and is_plain_number(exponent)):
            return Pow(base, exponent, evaluate=False)
        if base.is_Rational and exponent.is_Rational and not base.is_zero:
            digits = max(abs(base.p), base.q, 2).bit_length()
            if abs(exponent) * digits > LARGEST or exponent.q > LARGEST:
                self.refuse(node, "this number is too large for a formula")
        elif not exponent.is_Rational or abs(exponent) > 64:
            return Pow(base, exponent, evaluate=False)
        value = Pow(base, exponent)
        return Pow(base, exponent, evaluate=False) if value.has(S.ImaginaryUnit) else value

    def inverse(self, node: ast.expr, e: Any) -> Any:
        if e.is_Pow and not is_plain_number(e) and e.exp.is_Number and e.exp > 0:
            return Pow(e.base, -e.exp, evaluate=False)
        return self.power(node, e, S.NegativeOne)

    def constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return symbols.number(node.value)
        self.refuse(node, "this is not part of a formula")

    def symbol(self, node: ast.Name, scope: frozenset[str]) -> Any:
        if node.id in scope:
            return Index(node.id)
        return size_symbol(node.id) if node.id in self.sizes else Entry(TensorName(node.id))

    def entry(self, node: ast.Subscript, scope: frozenset[str]) -> Any:
        name = TensorName(self.tensor(node.value))
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for p in places:
            if isinstance(p, ast.Slice | ast.Starred):
                self.refuse(node, "a formula speaks of one entry: no slices", "write one index per axis, x[i, 0]")
        return Entry(name, *(self.expression(p, scope) for p in places))

    def tensor(self, node: ast.expr) -> str:
        """The name of a tensor: x, fc1.weight, bar(z), inv(A), tensor('any text')."""
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            return f"{self.tensor(node.value)}.{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
            (inner,) = node.args
            if node.func.id != "tensor":
                return f"{node.func.id}({self.tensor(inner)})"
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                return inner.value
        self.refuse(node, "only a tensor has entries", "write x[i, j] for an entry of x")

    # functions

    def call(self, node: ast.Call, scope: frozenset[str]) -> Any:
        if not isinstance(node.func, ast.Name):
            self.refuse(node.func, "only functions of the library are called in a formula")
        name = node.func.id
        named = {"at", *(REGISTRY[name].option_defaults if name in REGISTRY else ())}
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg not in named for k in node.keywords):
            self.refuse(node, "this call is not part of a formula")
        if name in self.own:
            return self.own[name](node, scope)
        if name not in REGISTRY:
            self.unknown(node.func, name)
        if len(node.args) > 1 and all(isinstance(a, ast.Tuple) for a in node.args[1:]):
            return self.reduction(node, name, scope)
        if not isinstance(REGISTRY[name], Elementwise) or node.keywords or not node.args:
            known = f"its indices follow the body: {name}(x[i], (i, 0, 2))"
            self.refuse(node, f"{name} is not a function of numbers", known)
        return Call(name, *(self.expression(a, scope) for a in node.args))

    def unknown(self, node: ast.expr, name: str) -> NoReturn:
        known = [*OWN, *NAMES, *(op.name for op in REGISTRY.values() if isinstance(op, Elementwise))]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        self.refuse(node, f"no function is called {name!r}", f"did you mean {close[0]}?" if close else None)

    def arguments(self, node: ast.Call, count: int, form: str) -> list[ast.expr]:
        if len(node.args) != count or node.keywords:
            self.refuse(node, f"this is written {form}")
        return node.args

    def limits(self, node: ast.Call, scope: frozenset[str]) -> tuple[list[Tuple], frozenset[str]]:
        found = []
        for limit in node.args[1:]:
            low = limit.elts[1] if isinstance(limit, ast.Tuple) and len(limit.elts) == 3 else None
            if low is None or not isinstance(limit, ast.Tuple) or not isinstance(limit.elts[0], ast.Name):
                self.refuse(limit, "indices follow the body as (index, 0, last)", "for example Sum(x[i]**2, (i, 0, 2))")
            if not (isinstance(low, ast.Constant) and low.value == 0):
                self.refuse(low, "an index starts at 0")
            size = plain_sum([self.expression(limit.elts[2], scope), S.One])
            found.append(Tuple(Index(limit.elts[0].id), size))
        return found, scope.union(i.name for i, _ in found)

    def total(self, node: ast.Call, scope: frozenset[str]) -> Any:
        if len(node.args) < 2 or node.keywords:
            self.refuse(node, "a sum names its indices", "for example Sum(x[i]**2, (i, 0, 2))")
        limits, inside = self.limits(node, scope)
        return Total(self.expression(node.args[0], inside), *limits)

    def reduction(self, node: ast.Call, name: str, scope: frozenset[str]) -> Any:
        limits, inside = self.limits(node, scope)
        body = self.expression(node.args[0], inside)
        at = next((k.value for k in node.keywords if k.arg == "at"), None)
        numbers = [self.expression(k.value, scope) for k in node.keywords if k.arg != "at"]
        if at is None:
            return Reduction(name, body, *limits, *numbers)
        if not isinstance(at, ast.Tuple) or len(at.elts) != len(limits):
            self.refuse(at, "one position per index", f"for example {name}(x[j], (j, 0, 2), at=(i,))")
        return Transform(name, body, limits, [self.expression(p, scope) for p in at.elts], *numbers)

    def root(self, node: ast.Call, scope: frozenset[str]) -> Any:
        (under,) = self.arguments(node, 1, "sqrt(x)")
        return self.power(node, self.expression(under, scope), S.Half)

    def indicator(self, node: ast.Call, scope: frozenset[str]) -> Any:
        (condition,) = self.arguments(node, 1, "Indicator(i == j)")
        return Indicator(self.condition(condition, scope))

    def where(self, node: ast.Call, scope: frozenset[str]) -> Any:
        condition, then, otherwise = self.arguments(node, 3, "Where(condition, a, b)")
        return Where(self.condition(condition, scope), self.expression(then, scope), self.expression(otherwise, scope))

    def digit(self, node: ast.Call, scope: frozenset[str]) -> Any:
        return Digit(*(self.expression(a, scope) for a in self.arguments(node, 3, "Digit(p, stride, n)")))

    def infinite(self, node: ast.Call, scope: frozenset[str]) -> Any:
        (word,) = self.arguments(node, 1, 'float("inf")')
        if isinstance(word, ast.Constant) and word.value == "pi":
            return S.Pi
        if isinstance(word, ast.Constant) and word.value in ("inf", "-inf", "nan"):
            return symbols.number(float(word.value))
        self.refuse(word, 'only "pi", "inf", "-inf" and "nan" are written so')

    def scalar(self, node: ast.Call, scope: frozenset[str]) -> Any:
        return Entry(TensorName(self.tensor(node)))

    # conditions

    def condition(self, node: ast.expr, scope: frozenset[str]) -> Any:
        if isinstance(node, ast.Compare):
            sides = [self.expression(e, scope) for e in (node.left, *node.comparators)]
            found = []
            for op, a, b in zip(node.ops, sides[:-1], sides[1:], strict=True):
                if type(op) not in RELATIONS:
                    self.refuse(node, "this comparison is not part of a formula")
                found.append(RELATIONS[type(op)](a, b, evaluate=False))
            return found[0] if len(found) == 1 else And(*found)
        if isinstance(node, ast.BoolOp):
            return (And if isinstance(node.op, ast.And) else Or)(*(self.condition(v, scope) for v in node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self.condition(node.operand, scope))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Holds":
            entry, *wanted = node.args
            if wanted and not (isinstance(wanted[0], ast.Constant) and isinstance(wanted[0].value, bool)):
                self.refuse(wanted[0], "a mask is wanted True or False")
            return Holds(self.expression(entry, scope), not wanted or bool(wanted[0].value))  # type: ignore[attr-defined]
        self.refuse(node, "a condition is expected here", "for example i == j, x[i] > 0 or Holds(mask[i])")
