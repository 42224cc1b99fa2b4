"""One expression: the text is read, checked word by word against what is known, and never evaluated as Python.

What the checked tree holds, and nothing else: names; numbers, strings, True, False, None; lists and tuples; the
operators of the op library, comparisons of two; calls of its functions (``Call`` of a ``Name``, module prefixes such as
``torch.`` already taken off) and of its methods (``Call`` of an ``Attribute``); its attributes, and ``.values`` and
``.indices`` of results with two parts; indexing by integers, slices, None, ``...``, lists and names; named options.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from explain.errors import InputError, Place
from explain.ops import ATTRIBUTES, FUNCTIONS, METHODS
from explain.program import known
from explain.program.arithmetic import LARGEST
from explain.program.reading import Reading, read

SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@", ast.FloorDiv: "//",
    ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Lt: "<",
    ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip

_REFUSED: dict[type[ast.AST], tuple[str, str | None]] = {
    ast.Lambda: ("a lambda", "Write the expression itself, without lambda"),
    ast.ListComp: ("a comprehension", "Operations work on all entries at once: write x**2 for the squares"),
    ast.SetComp: ("a comprehension", "Operations work on all entries at once: write x**2 for the squares"),
    ast.DictComp: ("a comprehension", "Operations work on all entries at once: write x**2 for the squares"),
    ast.GeneratorExp: ("a comprehension", "Operations work on all entries at once: write sum(x**2)"),
    ast.JoinedStr: ("an f-string", "Only plain strings are read, such as reduction='sum'"),
    ast.NamedExpr: ("the assignment :=", 'Values are given by --at, such as --at "x=[1, 2]"'),
    ast.Await: ("await", "Leave it out"),
    ast.Yield: ("yield", "Leave it out"),
    ast.YieldFrom: ("yield", "Leave it out"),
    ast.Starred: ("a starred argument", "Write the arguments one by one"),
    ast.Dict: ("a dictionary", "Options are written by name, such as sum(x, dim=0)"),
    ast.Set: ("a set", "Lists are written with [ ]"),
    ast.IfExp: ("a choice by if … else", "Write where(condition, a, b)"),
}
_OPERATOR_HINTS = {
    "^": "Powers are written with **, such as x**2",
    "//": "Division is written with a single /",
    "is": "Write == to compare",
    "is not": "Write != to compare",
}


@dataclass(frozen=True)
class Expression:
    """A checked expression. Two are equal if their texts are.

    ``tree``: as the module says. ``names``: the free names in order of first appearance. ``constants``: those of
    ``pi``, ``inf``, ``nan`` that appear; each is an ordinary free name if a value of that name is given.
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: tuple[str, ...] = field(compare=False)
    constants: tuple[str, ...] = field(compare=False, repr=False)
    reading: Reading = field(compare=False, repr=False)
    firsts: dict[str, Place] = field(compare=False, repr=False)

    def place(self, node: ast.AST) -> Place:
        """Where a node of the tree stands in the text."""
        return self.reading.place(node)

    def words(self, node: ast.AST) -> str:
        """A node of the tree as the author wrote it."""
        return self.reading.words(node)

    def first(self, name: str) -> Place:
        """Where a free name stands first."""
        return self.firsts[name]


def parse(text: str, source: str = "expression") -> Expression:
    """Read one expression. Raises InputError, with the place and what would work, for everything it does not know.
    ``source``: what the text is called in messages."""
    reading = read(text, source=source)
    check = _Check(reading)
    tree = check.read(reading.tree)
    firsts: dict[str, Place] = {}
    for place, name in sorted(((reading.place(node), node.id) for node in check.free), key=lambda pair: pair[0].start):
        firsts.setdefault(name, place)
    names = tuple(name for name in firsts if name not in known.CONSTANTS)
    constants = tuple(name for name in firsts if name in known.CONSTANTS)
    return Expression(text, tree, names, constants, reading, firsts)


class _Check:
    """Walks the tree once, refuses what is not known, takes module prefixes off, collects the free names."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.free: list[ast.Name] = []
        called = {id(node.func) for node in ast.walk(reading.tree) if isinstance(node, ast.Call)}
        self.alone = {node.id for node in ast.walk(reading.tree) if isinstance(node, ast.Name) and id(node) not in called}

    def read(self, node: Any) -> Any:
        reader = _READERS.get(type(node))
        if reader is None:
            what, hint = _REFUSED.get(type(node), (f"this ({type(node).__name__})", None))
            raise self.fault(node, f"{what} is not part of expressions", hint)
        return reader(self, node)

    def fault(self, where: ast.AST | Place, message: str, hint: str | None = None) -> InputError:
        return InputError(message, where if isinstance(where, Place) else self.reading.place(where), hint)

    def attribute_place(self, node: ast.Attribute) -> Place:
        end = self.reading.span(node)[1]
        start = self.reading.text.rfind(".", 0, end) + 1
        blanks = len(self.reading.text[start:end]) - len(self.reading.text[start:end].lstrip())
        return Place(self.reading.text, start + blanks, end, self.reading.source)

    # leaves

    def constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if isinstance(value, complex | bytes):
            kind = "complex numbers" if isinstance(value, complex) else "bytes"
            raise self.fault(node, f"{kind} are not part of expressions")
        if isinstance(value, int) and value > LARGEST:
            raise self.fault(node, "this whole number is too large for 64 bits", "Write it with an exponent, such as 1e20")
        return node

    def name(self, node: ast.Name) -> ast.expr:
        written = self.reading.words(node)
        for sign, plain in (("ᵀ", ".T"), ("·", "*")):
            if sign in written:
                start = self.reading.span(node)[0] + written.index(sign)
                place = Place(self.reading.text, start, start + 1, self.reading.source)
                raise self.fault(place, f"the character {sign} is not read", f"Write {plain} instead of {sign}")
        if node.id.startswith("_"):
            raise self.fault(node, f"'{node.id}': names that begin with an underscore are not read", "Choose another name")
        if node.id in known.MODULES - {"nn"}:
            raise self.fault(node, f"'{node.id}' is a module, not a value", f"Its functions are called: {node.id}.exp(x)")
        self.free.append(node)
        return node

    # structure

    def sequence(self, node: ast.List | ast.Tuple) -> ast.expr:
        for k, part in enumerate(node.elts):
            node.elts[k] = self.read(part)
        return node

    def unary(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not | ast.Invert):
            start = self.reading.span(node)[0]
            word = "not" if isinstance(node.op, ast.Not) else "~"
            place = Place(self.reading.text, start, start + len(word), self.reading.source)
            raise self.fault(place, f"'{word}' is not part of expressions", "Write the opposite comparison, such as x <= 0")
        node.operand = self.read(node.operand)
        return node

    def binary(self, node: ast.BinOp) -> ast.expr:
        sign = SIGNS[type(node.op)]
        if sign not in known.OPERATORS:
            place = self.reading.sign(node.left, node.right, sign)
            raise self.fault(place, f"'{sign}' is not an operation here", _OPERATOR_HINTS.get(sign))
        node.left, node.right = self.read(node.left), self.read(node.right)
        return node

    def boolean(self, node: ast.BoolOp) -> ast.expr:
        word = "and" if isinstance(node.op, ast.And) else "or"
        place = self.reading.sign(node.values[0], node.values[1], word)
        raise self.fault(place, f"'{word}' is not part of expressions", "Conditions are joined by &: (x > 0) & (x < 1)")

    def compare(self, node: ast.Compare) -> ast.expr:
        operands = [node.left, *node.comparators]
        signs = [SIGNS[type(op)] for op in node.ops]
        if len(signs) > 1:
            place = self.reading.sign(operands[1], operands[2], signs[1].split()[0])
            a, b, c = (self.reading.words(operand) for operand in operands[:3])
            hint = f"Join two comparisons by &: ({a} {signs[0]} {b}) & ({b} {signs[1]} {c})"
            if "&" in a + b + c or len(hint) > 100:
                hint = "Put parentheses around each comparison: (x > 0) & (x < 1)"
            raise self.fault(place, "comparisons are made two by two", hint)
        if signs[0] not in known.OPERATORS:
            place = self.reading.sign(node.left, node.comparators[0], signs[0].split()[0])
            raise self.fault(place, f"'{signs[0]}' is not an operation here", _OPERATOR_HINTS.get(signs[0]))
        node.left, node.comparators = self.read(node.left), [self.read(node.comparators[0])]
        return node

    def subscript(self, node: ast.Subscript) -> ast.expr:
        node.value, node.slice = self.read(node.value), self.read(node.slice)
        return node

    def slice(self, node: ast.Slice) -> ast.expr:
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                setattr(node, part, self.read(getattr(node, part)))
        return node

    # names of the library

    def attribute(self, node: ast.Attribute) -> ast.expr:
        self.refuse_private(node)
        parts = _dotted(node)
        if parts and parts[0] in known.MODULES:
            prefix, name = self.module(node, parts)
            if name in known.CONSTANTS:
                found = ast.copy_location(ast.Name(name, ast.Load()), node)
                self.free.append(found)
                return found
            if name in FUNCTIONS:
                raise self.fault(node, f"'{prefix}.{name}' is a function", f"It is called: {prefix}.{name}(x)")
            message, hint = known.about_function(name, False)
            raise self.fault(self.attribute_place(node), message.replace("function", "name"), hint)
        if node.attr not in ATTRIBUTES and node.attr not in known.PARTS:
            message, hint = known.about_attribute(node.attr)
            raise self.fault(self.attribute_place(node), message, hint)
        node.value = self.read(node.value)
        return node

    def refuse_private(self, node: ast.Attribute) -> None:
        if node.attr.startswith("_"):
            message = f"'{node.attr}': names that begin with an underscore are not read"
            raise self.fault(self.attribute_place(node), message)

    def module(self, node: ast.Attribute, parts: list[str]) -> tuple[str, str]:
        prefix, name = ".".join(parts[:-1]), parts[-1]
        if prefix not in known.PREFIXES:
            hint = "Functions are written with or without torch., F., torch.linalg."
            raise self.fault(node, f"unknown name '{prefix}.{name}'", hint)
        return prefix, name

    def call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute):
            self.refuse_private(node.func)
            parts = _dotted(node.func)
            if parts and (parts[0] in known.MODULES or (parts[:-1] == ["F"] and _is_functional(node, parts[-1]))):
                _, name = self.module(node.func, parts)
                if name not in FUNCTIONS:
                    message, hint = known.about_function(name, False)
                    raise self.fault(self.attribute_place(node.func), message, hint)
                node.func = ast.copy_location(ast.Name(name, ast.Load()), node.func)
            else:
                if node.func.attr not in METHODS:
                    message, hint = known.about_method(node.func.attr)
                    raise self.fault(self.attribute_place(node.func), message, hint)
                node.func.value = self.read(node.func.value)
        elif not isinstance(node.func, ast.Name):
            number = isinstance(node.func, ast.Constant | ast.BinOp | ast.UnaryOp)
            hint = f"A product is written {self.reading.words(node.func)}*(…)" if number else "Call functions by their names"
            raise self.fault(node.func, "this is not a function", hint if len(hint) < 80 else None)
        elif node.func.id.startswith("_"):
            raise self.fault(node.func, f"'{node.func.id}': names that begin with an underscore are not read")
        elif node.func.id not in FUNCTIONS:
            raise self.fault(node.func, *known.about_function(node.func.id, node.func.id in self.alone))
        for k, part in enumerate(node.args):
            node.args[k] = self.read(part)
        seen: set[str] = set()
        for option in node.keywords:
            if option.arg is None:
                raise self.fault(option, "options in a dictionary are not part of expressions", "Write them one by one")
            if option.arg in seen:
                raise self.fault(option, f"the option '{option.arg}' is given twice")
            seen.add(option.arg)
            option.value = self.read(option.value)
        return node


_READERS: dict[type[ast.AST], Callable[[_Check, Any], ast.expr]] = {
    ast.Constant: _Check.constant, ast.Name: _Check.name, ast.List: _Check.sequence, ast.Tuple: _Check.sequence,
    ast.UnaryOp: _Check.unary, ast.BinOp: _Check.binary, ast.BoolOp: _Check.boolean, ast.Compare: _Check.compare,
    ast.Subscript: _Check.subscript, ast.Slice: _Check.slice, ast.Attribute: _Check.attribute, ast.Call: _Check.call,
}  # fmt: skip


def _dotted(node: ast.Attribute) -> list[str]:
    """The parts of ``a.b.c``, or nothing if it begins with something else than a name."""
    parts = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name):
        return []
    return [value.id, *reversed(parts)]


def _is_functional(node: ast.Call, name: str) -> bool:
    """Whether ``F.name(…)`` calls torch.nn.functional, not a method of a matrix called F: by how it is called."""
    if name not in FUNCTIONS:
        return name not in METHODS
    if name not in METHODS:
        return True
    return bool(node.args) and not _is_number(node.args[0]) and known.takes(name, len(node.args))


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Tuple | ast.List):
        return all(map(_is_number, node.elts))
    return isinstance(node, ast.Constant)
