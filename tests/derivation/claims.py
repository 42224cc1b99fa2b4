"""Formulas that authors state, compared with what was derived: at the program's values and at random ones.

A formula is an expression over entries: a name stands for the entry at each position, with broadcasting; ``x_0_1`` is one
entry; a nested list gives the entries one by one. A *mutant* is a formula with one typical mistake in it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from explain.calculus.evaluate import evaluate
from explain.calculus.symbols import Index
from explain.derivation.model import Derivation, Formula, Gradient

Formulas = Any  # an expression's tree, or nested lists of them
ENTRY = re.compile(r"(?P<name>[A-Za-z]\w*?)(?P<places>(?:_\d+)+)$")
FUNCTIONS: dict[str, Callable[..., Any]] = {"sqrt": np.sqrt, "exp": np.exp, "log": np.log, "Rational": Fraction}
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b, ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: np.asarray(a, np.float64) ** np.float64(b),
}  # fmt: skip


def parse(formula: Any) -> Formulas:
    if isinstance(formula, list):
        return [parse(part) for part in formula]
    return ast.parse(formula, mode="eval").body


def value(formula: Formulas, names: Mapping[str, Any]) -> np.ndarray:
    """The formula at these values of the names."""
    if isinstance(formula, list):
        return np.array([value(part, names) for part in formula])
    return np.asarray(_value(formula, names), np.float64)


def _value(e: ast.expr, names: Mapping[str, Any]) -> Any:
    match e:
        case ast.Constant(number):
            return number
        case ast.UnaryOp(ast.USub(), of):
            return -_value(of, names)
        case ast.BinOp(left, op, right):
            a, b = _value(left, names), _value(right, names)
            return OPERATORS[type(op)](*(float(v) if isinstance(v, Fraction) else v for v in (a, b)))
        case ast.Call(ast.Name(function), arguments):
            found = FUNCTIONS[function](*(_value(a, names) for a in arguments))
            return float(found) if isinstance(found, Fraction) else found
        case ast.Name(name):
            if name in names:
                return np.asarray(names[name], np.float64)
            entry = ENTRY.match(name)
            assert entry, f"{name}: no such name in the program"
            return np.asarray(names[entry["name"]], np.float64)[tuple(map(int, entry["places"][1:].split("_")))]
    raise AssertionError(f"a claim says {ast.dump(e)}")


def names_in(formula: Formulas) -> set[str]:
    if isinstance(formula, list):
        return set().union(*map(names_in, formula))
    return {part.id for part in ast.walk(formula) if isinstance(part, ast.Name)} - set(FUNCTIONS)


# what was derived


def values_of(d: Derivation, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all names in a derivation where its leaves have these values: by the formulas on its page alone."""
    found: dict[str, Any] = {}
    for row in d.rows:
        if row.kind == "step" and row.formula is not None:
            found[row.name] = entries(row.formula, found, [int(n) for n in row.shape])
        else:
            found[row.name] = leaves.get(row.name, row.value)
    for let in d.lets:
        source = next(r for r in d.rows if r.name in str(let.formula.e))
        found[let.name] = entries(let.formula, found, [int(n) for n in source.shape])
    return found


def entries(f: Formula, names: Mapping[str, Any], shape: list[int]) -> np.ndarray:
    """A formula evaluated at every position; a letter that is a digit stands for an axis of length 1."""
    own = [n for n, letter in zip(shape, f.letters, strict=True) if not letter.isdigit()]
    letters = [letter for letter in f.letters if not letter.isdigit()]
    return evaluate(f.e, dict(names), list(zip(map(Index, letters), own, strict=True))).reshape(shape)


def derived(d: Derivation, g: Gradient, leaves: Mapping[str, Any]) -> np.ndarray | None:
    """The closed form of a gradient (of a Jacobian: all its rows) where the leaves have these values."""
    if g.closed_form is None:
        return None
    names = values_of(d, leaves)
    if d.cotangent is not None:
        names |= {name: np.asarray(d.cotangent, np.float64) for name in ("v", "v_1") if name not in names}
    out = [] if d.mode != "jacobian" else [int(n) for n in next(r for r in d.rows if r.name == d.output).shape]
    return entries(g.closed_form.index, names, [*out, *(int(n) for n in g.shape)])


# mistakes


def mutants(formula: Formulas) -> Iterator[tuple[str, Formulas]]:
    """The formula with a typical mistake: another sign, a factor, a missing term, a neighbour's entry, transposed."""
    yield "sign", mapped(formula, lambda e: ast.UnaryOp(ast.USub(), e))
    yield "factor", mapped(formula, lambda e: ast.BinOp(ast.Constant(2), ast.Mult(), e))
    for name, change in (("missing term", _without_a_term), ("neighbour", _neighbour)):
        changed = mapped(formula, lambda e, change=change: change(e) or e)  # type: ignore[misc]
        if text(changed) != text(formula):
            yield name, changed
    if isinstance(formula, list) and all(isinstance(row, list) for row in formula) and len(formula) == len(formula[0]):
        turned = [list(column) for column in zip(*formula, strict=True)]
        if text(turned) != text(formula):
            yield "transposed", turned


def mapped(formula: Formulas, change: Callable[[ast.expr], ast.expr]) -> Formulas:
    return [mapped(part, change) for part in formula] if isinstance(formula, list) else change(formula)


def text(formula: Formulas) -> str:
    return str([text(part) for part in formula]) if isinstance(formula, list) else ast.unparse(formula)


def _without_a_term(e: ast.expr) -> ast.expr | None:
    """The first sum in the formula without its last term."""
    if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Add):
        return e.left
    return _in_parts(e, _without_a_term)


def _neighbour(e: ast.expr) -> ast.expr | None:
    """The first entry in the formula replaced by its neighbour."""
    entry = ENTRY.match(e.id) if isinstance(e, ast.Name) else None
    if entry:
        *before, last = entry["places"][1:].split("_")
        return ast.Name("_".join([entry["name"], *before, str(1 - int(last) if int(last) < 2 else int(last) - 1)]))
    return _in_parts(e, _neighbour)


def _in_parts(e: ast.expr, change: Callable[[ast.expr], ast.expr | None]) -> ast.expr | None:
    """The expression with the first of its parts changed that can be."""
    for name, old in ast.iter_fields(e):
        for k, part in enumerate(old if isinstance(old, list) else [old]):
            new = change(part) if isinstance(part, ast.expr) else None
            if new is None:
                continue
            fields = {**dict(ast.iter_fields(e)), name: [*old[:k], new, *old[k + 1 :]] if isinstance(old, list) else new}
            return type(e)(**fields)
    return None
