"""Formulas that authors state: ``3/2*(x+2)``, ``2*A.T@(A@x - b)``, ``[[2*x_0, 0], [0, 1]]``, read and evaluated.

They are expressions over the names of a program: a name is the whole tensor, so that an entrywise formula speaks of the
entry at each position. Besides, ``x_0_1`` is the entry ``x[0, 1]`` where no name of this form exists, lists hold formulas,
and what people write in sympy and NumPy is understood: ``Rational(3, 2)``, ``Abs``, ``eye(3)``, ``ones_like(x)``,
``x.shape[0]``.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from explain.errors import InputError
from explain.ops import FUNCTIONS
from explain.program import known
from explain.program.evaluate import value_of
from explain.program.expression import Expression, parse
from explain.program.reading import Reading, read
from explain.program.roles import Use, role_of
from explain.program.values import parse_value

ENTRY = re.compile(r"(?P<name>[^\W\d]\w*?)(?P<places>(?:_\d+)+)$")
WRAPPERS = frozenset({"Matrix", "array", "tensor", "ImmutableMatrix", "Array"})
SYMPY = {"Abs": "abs", "Max": "maximum", "Min": "minimum", "ln": "log", "Transpose": "transpose", "Trace": "trace",
         "Inverse": "inv", "onehot": "one_hot", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
         "re": "real"}  # fmt: skip
LIKE = {"ones_like": 1, "zeros_like": 0}


@dataclass(frozen=True, eq=False)
class Stated:
    """A formula that was read. ``parts``: an expression, or a tuple of formulas, one per entry. ``names``: the program's
    names in it. ``made``: arrays, and lists of formulas, that stand in it under names of our own. ``dotted``: names of our
    own for names such as ``fc.weight``, which expressions have no words for."""

    text: str
    parts: Expression | tuple[Stated, ...]
    names: frozenset[str]
    made: Mapping[str, Any] = field(default_factory=dict)
    dotted: Mapping[str, str] = field(default_factory=dict)

    def at(self, arrays: Mapping[str, Any]) -> np.ndarray:
        """The formula in float64 where the program's names have these values. Raises OperationError for shapes that do not
        fit, InputError for parts of unlike shapes."""
        arrays = {**arrays, **{own: arrays[name] for own, name in self.dotted.items()}}
        if isinstance(self.parts, Expression):
            made = {name: made.at(arrays) if isinstance(made, Stated) else made for name, made in self.made.items()}
            return value_of(self.parts, {**arrays, **made})
        rows = [part.at(arrays) for part in self.parts]
        if len({row.shape for row in rows}) > 1:
            shapes = " and ".join(dict.fromkeys(str(list(row.shape)) for row in rows))
            raise InputError(f"the parts of the list {self.text} have different shapes: {shapes}")
        return np.array(rows, np.float64)


def read_stated(text: str, arrays: Mapping[str, Any], source: str = "claim") -> Stated:
    """Read a formula. ``arrays``: the program's names with their values (for their shapes). Raises InputError, with the
    place, for what is not a formula and for names that the program does not have."""
    names = sorted((name for name in arrays if not name.isidentifier()), key=len, reverse=True)
    dotted = {f"dotted{k}": name for k, name in enumerate(names) if name in text}
    written = text
    for own, name in dotted.items():
        written = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", own, written)
    values = {name: value for name, value in arrays.items() if name.isidentifier()}
    reading = read(written, source=source)
    found = _stated(reading, reading.tree, {**values, **{own: arrays[name] for own, name in dotted.items()}})
    return replace(found, names=frozenset(dotted.get(name, name) for name in found.names), dotted=dotted)


def _stated(reading: Reading, tree: ast.expr, arrays: Mapping[str, Any]) -> Stated:
    wrapped = isinstance(tree, ast.Call) and len(tree.args) == 1 and not tree.keywords
    if wrapped and _last_name(tree.func) in WRAPPERS:  # type: ignore[attr-defined]
        tree = tree.args[0]  # type: ignore[attr-defined]
    words = reading.words(tree)
    if isinstance(tree, ast.List | ast.Tuple):
        if not tree.elts:
            raise InputError("the list is empty: it needs a formula for every entry", reading.place(tree))
        parts = tuple([_stated(reading, part, arrays) for part in tree.elts])
        return Stated(words, parts, frozenset().union(*(part.names for part in parts)))
    rewriting = _Rewriting(reading, arrays)
    again = ast.fix_missing_locations(rewriting.visit(tree))
    expression = parse(ast.unparse(again) if rewriting.changed else words, reading.source)
    for name in expression.names:
        if name not in arrays and name not in rewriting.made:
            place = next((reading.place(n) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name), None)
            near = known.similar(name, arrays)
            hint = f"did you mean '{near}'?" if near else f"There are: {', '.join(sorted(arrays)) or 'none'}"
            raise InputError(f"the formula names '{name}', which is no tensor and no number here", place, hint)
    inside = (made.names for made in rewriting.made.values() if isinstance(made, Stated))
    names = frozenset(expression.names).intersection(arrays).union(*inside)
    return Stated(words, expression, names, rewriting.made)


class _Rewriting(ast.NodeTransformer):
    """What sympy and NumPy say otherwise, in the words of expressions. ``made``: arrays that had no name."""

    def __init__(self, reading: Reading, arrays: Mapping[str, Any]) -> None:
        self.reading = reading
        self.arrays = arrays
        self.made: dict[str, Any] = {}
        self.changed = False

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.arrays or node.id in known.CONSTANTS:
            return node
        entry = ENTRY.match(node.id)
        if entry and entry["name"] in self.arrays:
            return self.entry(node, entry["name"], [int(k) for k in entry["places"][1:].split("_")])
        if node.id == "E":
            return self.put(ast.Constant(math.e))
        if node.id == "oo":
            return self.put(ast.Name("inf", ast.Load()))
        return node

    def entry(self, node: ast.Name, name: str, places: list[int]) -> ast.expr:
        shape = np.shape(self.arrays[name])
        if len(places) != len(shape) or any(k >= n for k, n in zip(places, shape, strict=True)):
            raise self.no_entry(node, name, places)
        index = ast.Tuple([ast.Constant(k) for k in places], ast.Load()) if len(places) > 1 else ast.Constant(places[0])
        return self.put(ast.Subscript(ast.Name(name, ast.Load()), index, ast.Load()))

    def no_entry(self, node: ast.AST, name: str, places: list[int]) -> InputError:
        shape = list(np.shape(self.arrays[name]))
        words = f"{name}[{', '.join(map(str, places))}] ({'_'.join([name, *map(str, places)])})"
        return InputError(f"there is no entry {words}: {name} has the shape {shape}", self.reading.place(node))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node.left, node.right = self.operand(node.left), self.operand(node.right)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        node.operand = self.operand(node.operand)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.operand(node.value)
        return node

    def operand(self, node: ast.expr) -> ast.expr:
        """A list to compute with stands for the tensor of its entries."""
        return self.listed(node) if isinstance(node, ast.List | ast.Tuple) else self.visit(node)

    def listed(self, node: ast.expr) -> ast.expr:
        return self.name_for(_stated(self.reading, node, self.arrays))

    def name_for(self, made: Any) -> ast.expr:
        own = f"made{len(self.made)}"
        self.made[own] = made
        return self.put(ast.Name(own, ast.Load()))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = _last_name(node.func)
        if name in WRAPPERS and len(node.args) == 1 and isinstance(node.args[0], ast.List | ast.Tuple):
            return self.listed(node.args[0])
        if name == "Rational" and len(node.args) == 2:
            return self.put(ast.BinOp(self.visit(node.args[0]), ast.Div(), self.visit(node.args[1])))
        if name in ("Rational", "Integer", "Float", "S") and name not in self.arrays and len(node.args) == 1:
            return self.put(self.visit(node.args[0]))
        if name in LIKE and len(node.args) == 1 and not node.keywords:
            zero = ast.BinOp(self.visit(node.args[0]), ast.Mult(), ast.Constant(0))
            return self.put(ast.BinOp(zero, ast.Add(), ast.Constant(LIKE[name])))
        if name in ("eye", "Identity", "ones", "zeros", "full", "arange", "linspace") and name not in FUNCTIONS:
            return self.maker(node, "eye" if name == "Identity" else name)
        if name == "len" and len(node.args) == 1:
            return self.put(ast.Constant(self.shape(node.args[0])[0]))
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("numel", "size", "dim") and self.is_known(node):
            shape = self.shape(node.func.value)
            k = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
            if node.func.attr == "size" and isinstance(k, int):
                return self.put(ast.Constant(self.size(node.func.value, k)))
            if not node.args:
                return self.put(ast.Constant(len(shape) if node.func.attr == "dim" else int(np.prod(shape))))
        if isinstance(node.func, ast.Name) and name in SYMPY and name not in FUNCTIONS:
            node.func = self.put(ast.Name(SYMPY[name], ast.Load()))
        product = self.dot(node)
        if product is not None:
            return product
        ops = FUNCTIONS.get(node.func.id, ()) if isinstance(node.func, ast.Name) else ()
        one = bool(ops) and not any(op.variadic for op in ops)
        node.func = self.visit(node.func) if isinstance(node.func, ast.Attribute) else node.func
        node.args = [
            self.operand(part) if one and role_of(node, k).use is Use.TENSOR else self.visit(part)
            for k, part in enumerate(node.args)
        ]
        for option in node.keywords:
            option.value = self.visit(option.value)
        return node

    def dot(self, node: ast.Call) -> ast.expr | None:
        """NumPy's ``dot``, as a function or as a method, is the product of matrices too; torch's is of vectors only."""
        parts = list(node.args)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "dot" and _last_name(node.func) != "dot":
            parts.insert(0, node.func.value)
        elif _last_name(node.func) != "dot":
            return None
        if len(parts) != 2 or node.keywords:
            return None
        return self.put(ast.BinOp(self.operand(parts[0]), ast.MatMult(), self.operand(parts[1])))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        of = node.value
        k = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(of, ast.Attribute) and of.attr == "shape" and isinstance(k, int):
            return self.put(ast.Constant(self.size(of.value, k)))
        return self.generic_visit(node)  # type: ignore[return-value]

    def is_known(self, node: ast.Call) -> bool:
        return isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and (
            node.func.value.id in self.arrays
        )  # fmt: skip

    def shape(self, node: ast.expr) -> tuple[int, ...]:
        if not isinstance(node, ast.Name) or node.id not in self.arrays or not np.shape(self.arrays[node.id]):
            raise InputError("sizes are read of names only, such as len(x) and x.shape[0]", self.reading.place(node))
        return np.shape(self.arrays[node.id])

    def size(self, node: ast.expr, axis: int) -> int:
        shape = self.shape(node)
        if not -len(shape) <= axis < len(shape):
            raise InputError(f"there is no axis {axis} in the shape {list(shape)}", self.reading.place(node))
        return shape[axis]

    def maker(self, node: ast.Call, name: str) -> ast.expr:
        node.func = ast.Name(name, ast.Load())
        node.args = [self.visit(part) for part in node.args]
        given = parse_value(ast.unparse(ast.fix_missing_locations(node)), self.reading.source)
        return self.name_for(given.array.astype(np.float64))

    def put(self, node: Any) -> Any:
        self.changed = True
        return node


def _last_name(node: ast.expr) -> str:
    """``array`` of ``np.array`` and of ``array``; nothing of what is no module's name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value  # type: ignore[assignment]
        if isinstance(root, ast.Name) and root.id in {*known.MODULES, "sympy", "sp"}:
            return node.attr
    return ""
