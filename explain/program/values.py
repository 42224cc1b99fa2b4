"""Values given for names: numbers, nested lists, makers such as ``randn(3, seed=0)``, files, and arithmetic of them.

Read with ``ast`` and a whitelist like expressions; nothing is evaluated as Python.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from explain.errors import InputError, Place
from explain.program import known, makers
from explain.program.arithmetic import LARGEST, Impossible, combine
from explain.program.expression import SIGNS
from explain.program.makers import Entries
from explain.program.reading import read

MAX_LENGTH = 1_000_000
MAX_DEPTH = 100
EXAMPLE = '--at "x=[1, 2, 3]"'


@dataclass(frozen=True, eq=False)
class Given:
    """A value for a name, not yet a tensor.

    ``array``: float64, int64 or bool entries. ``kind``: ``number`` (a float32 tensor, but integers stay integers where
    the name is an index or a class target), ``int``, ``bool``, or the dtype asked for, ``float32`` or ``float64``.
    ``text``: as written, ``name``: what it is for, empty for a lone value, ``source``: where it was written.
    """

    array: np.ndarray
    kind: str
    text: str = ""
    name: str = ""
    source: str = "value"

    @property
    def whole(self) -> bool:
        """The entries are integers or truth values."""
        return self.array.dtype.kind != "f"

    def entries(self, *, keep: bool) -> np.ndarray:
        """The tensor's entries: float32, float64, int64 or bool. ``keep``: integers stay integers."""
        if self.kind == "number":
            return self.array if keep and self.whole else self.array.astype(np.float32)
        return self.array.astype(np.float32) if self.kind == "float32" else self.array


def parse_given(text: str, option: str = "--at") -> tuple[str, Given]:
    """``x=[0, 1]`` as (name, value). Raises InputError with the place in ``text``."""
    name, start = _name_before_equals(text, option, EXAMPLE)
    source = f"{option} {name}"
    return name, replace(_parse(text, source, start), name=name)


def parse_value(text: str, source: str = "--v") -> Given:
    """A lone value. Raises InputError."""
    return _parse(text, source, 0)


def as_given(value: Any, name: str = "") -> Given:
    """A value from Python: a number, nested lists, a numpy array, text to be read, or a Given. Raises InputError."""
    source = f"value of {name}" if name else "value"
    if isinstance(value, Given):
        return replace(value, name=name)
    if isinstance(value, str):
        return replace(_parse(value, source, 0), name=name)
    try:
        array = np.asarray(value)
        entries = makers.from_array(array) if array.dtype != object else None
    except (ValueError, TypeError, OverflowError):
        entries = None
    if entries is None:
        raise InputError(f"{source}: {type(value).__name__} is not a number, a list of numbers or an array of them")
    own = isinstance(value, np.ndarray | np.generic)  # lists are numbers, arrays keep their precision
    kind = entries.kind if own or entries.kind == "bool" else "number"
    return Given(entries.array, kind, "", name, source)


def parse_shape(text: str, option: str = "--shape") -> tuple[str, tuple[str | int, ...]]:
    """``A=m,n`` as ("A", ("m", "n")): sizes are names or positive integers; ``A=`` is a scalar. Raises InputError."""
    name, start = _name_before_equals(text, option, f'{option} "A=m,n"')
    source = f"{option} {name}"
    inner = text[start:].strip()
    begin = text.index(inner, start) if inner else start
    if inner[:1] in ("(", "[") and inner[-1:] == {"(": ")", "[": "]"}[inner[0]]:
        inner, begin = inner[1:-1], begin + 1
    sizes: list[str | int] = []
    pieces = inner.split(",")
    if not pieces[-1].strip():  # "A=" and Python's "(3,)"
        pieces.pop()
    for piece in pieces:
        size = piece.strip()
        place = Place(text, begin + piece.index(size), begin + piece.index(size) + max(1, len(size)), source)
        begin += len(piece) + 1
        if size.isascii() and size.isdigit() and 0 < int(size[:20]) <= makers.MAX_ENTRIES:
            sizes.append(int(size))
        elif size.isidentifier() and not keyword.iskeyword(size) and not size.startswith("_"):
            sizes.append(unicodedata.normalize("NFKC", size))
        else:
            hint = f'For example: {option} "{name}=m,n" or {option} "{name}=2,3"'
            raise InputError(f"a size is a name or a positive whole number, not '{size}'", place, hint)
    return name, tuple(sizes)


def _name_before_equals(text: str, option: str, example: str) -> tuple[str, int]:
    """The name, and the offset behind the equals sign."""
    sign = re.search(r"[=＝]", text)
    if sign is None:
        raise InputError("name=value is expected", Place(text, 0, len(text), option), f"For example: {example}")
    name = text[: sign.start()].strip()
    start = text.index(name) if name else 0
    place = Place(text, start, max(start + len(name), start + 1), option)
    if sign.group() == "＝":
        raise InputError(
            "the character ＝ is not read", Place(text, sign.start(), sign.end(), option), "Write = instead of ＝"
        )
    if text[sign.end() : sign.end() + 1] == "=":
        raise InputError(
            "a value is given by one =", Place(text, sign.start(), sign.end() + 1, option), f"For example: {example}"
        )
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"'{name}' is not a name", place, f"For example: {example}")
    if name.startswith("_"):
        raise InputError(f"'{name}': names that begin with an underscore are not read", place)
    return unicodedata.normalize("NFKC", name), sign.end()


def _parse(text: str, source: str, start: int) -> Given:
    value = text[start:].strip()
    if value.startswith("@"):
        begin = text.index("@", start)
        entries = makers.load(makers.File(value[1:].strip(), Place(text, begin, begin + len(value), source)))
    else:
        reader = _Reader(text, source, start)
        entries = reader.entries(reader.reading.tree)
    return Given(entries.array, entries.kind, value, "", source)


class _Reader:
    """Reads one value. Inside, a value is a Python number or Entries."""

    def __init__(self, text: str, source: str, start: int) -> None:
        self.reading = read(text, source=source, start=start, length=MAX_LENGTH, depth=MAX_DEPTH)

    def fault(self, node: ast.AST, message: str, hint: str | None = None) -> InputError:
        return InputError(message, self.reading.place(node), hint)

    def entries(self, node: ast.expr) -> Entries:
        return makers.entries_of(self.value(node))

    def value(self, node: ast.expr) -> int | float | Entries:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                if isinstance(number, int) and number > LARGEST:
                    hint = "Write it with an exponent, such as 1e20"
                    raise self.fault(node, "this whole number is too large for 64 bits", hint)
                return number
            case ast.Name():
                if node.id in known.CONSTANTS:
                    return known.CONSTANTS[node.id]
                hint = "Write numbers: each name is given by itself"
                raise self.fault(node, f"'{node.id}' is not a number", known.did_you_mean(node.id, known.MAKERS) or hint)
            case ast.List() | ast.Tuple():
                return self.stack(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                inner = self.value(node.operand)
                return self.combine(node, "*", -1 if isinstance(node.op, ast.USub) else 1, inner)
            case ast.BinOp() if SIGNS[type(node.op)] in ("+", "-", "*", "/", "**"):
                return self.combine(node, SIGNS[type(node.op)], self.value(node.left), self.value(node.right))
            case ast.Call():
                return self.call(node)
            case ast.Attribute(attr="T"):
                inner = self.entries(node.value)
                return replace(inner, array=inner.array.T)
            case ast.Attribute(value=ast.Name(id=prefix)) if prefix in known.PREFIXES and node.attr in known.CONSTANTS:
                return known.CONSTANTS[node.attr]
        hint = "For example: 3, 1/3, [[1, 2], [3, 4]], ones(2, 2), randn(3, seed=0), @file.npy"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
            hint = "Powers are written with **"
        raise self.fault(node, "this is not a value", hint)

    def combine(
        self, node: ast.expr, sign: str, a: int | float | Entries, b: int | float | Entries
    ) -> int | float | Entries:
        try:
            if isinstance(a, Entries) or isinstance(b, Entries):
                return makers.combine(sign, makers.entries_of(a), makers.entries_of(b))
            return combine(sign, a, b)
        except Impossible as fault:
            raise self.fault(node, fault.message, fault.hint) from None

    def stack(self, node: ast.List | ast.Tuple) -> Entries:
        flat = _flat_numbers(node)
        if flat is not None:
            return makers.entries_of(flat)
        parts = [self.entries(part) for part in node.elts]
        self.refuse_ragged(node, parts)
        try:
            return makers.stack(parts)
        except Impossible as fault:
            raise self.fault(node, fault.message, fault.hint) from None

    def refuse_ragged(self, node: ast.List | ast.Tuple, parts: list[Entries]) -> None:
        """Torch's ValueError for rows of different lengths, with the first row that differs marked."""
        first = parts[0].array.shape
        for element, part in zip(node.elts, parts, strict=True):
            shape = part.array.shape
            if shape == first:
                continue
            lengths = [str(p.array.shape[0]) if p.array.ndim else "a number" for p in parts[:8]]
            hint = f"The rows have the lengths {', '.join(lengths)}{', …' if len(parts) > 8 else ''}"
            if len(shape) != len(first) or not first:
                got = "a number" if not shape else f"a list of {shape[0]}"
                wanted = f"expected sequence of length {first[0]} at dim 1" if first else "expected a number"
                raise self.fault(element, f"{wanted} (got {got})", hint)
            axis = next(k for k, (n, m) in enumerate(zip(first, shape, strict=True)) if n != m)
            message = f"expected sequence of length {first[axis]} at dim {axis + 1} (got {shape[axis]})"
            raise self.fault(element, message, hint if not axis else None)

    def call(self, node: ast.Call) -> int | float | Entries:
        arguments: list[Any] = []
        prefix = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(node.func, ast.Name):
            name = node.func.id
        elif isinstance(node.func, ast.Attribute) and isinstance(prefix, ast.Name) and prefix.id in known.MODULES:
            name = node.func.attr
        elif isinstance(node.func, ast.Attribute):
            name = f".{node.func.attr}"
            arguments.append(self.entries(node.func.value))
        else:
            raise self.fault(node.func, "this is not a function")
        if name not in makers.MAKERS:
            plain = sorted(maker for maker in makers.MAKERS if maker.startswith(".") == name.startswith("."))
            hint = known.did_you_mean(name, plain) or f"There are: {', '.join(plain)}"
            word = "method" if name.startswith(".") else "function"
            raise self.fault(node.func, f"unknown {word} '{name.removeprefix('.')}' in a value", hint)
        arguments += [self.argument(part) for part in node.args]
        options: dict[str, Any] = {}
        for option in node.keywords:
            if option.arg == "requires_grad":
                raise self.fault(
                    option, "requires_grad is not part of a value", "Which names are differentiated is said by --wrt"
                )
            if option.arg is None or option.arg in options:
                raise self.fault(option, "options are written by name, each once")
            options[option.arg] = self.argument(option.value)
        try:
            return makers.MAKERS[name](*arguments, **options)
        except Impossible as fault:
            raise self.fault(node, fault.message, fault.hint) from None
        except (TypeError, ValueError, OverflowError):
            raise self.fault(node, f"{name.removeprefix('.')}() does not take these arguments", makers.usage(name)) from None

    def argument(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return makers.File(node.value, self.reading.place(node))
        dtype = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if dtype in makers.KINDS:
            return makers.KINDS[dtype]
        if isinstance(node, ast.Tuple | ast.List) and not node.elts:
            return makers.entries_of([])
        return self.value(node)


def _flat_numbers(node: ast.List | ast.Tuple) -> list[int | float] | None:
    """The entries of a list of plain literals, read at one go: long lists are mostly that."""
    numbers: list[int | float] = []
    for part in node.elts:
        sign = 1
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
            part, sign = part.operand, -1
        number = part.value if isinstance(part, ast.Constant) else None
        if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) >= LARGEST:
            return None
        numbers.append(sign * number)
    return numbers
