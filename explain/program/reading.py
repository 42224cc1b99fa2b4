"""Text to a syntax tree, with places in the reader's own text. Shared by expressions and by values.

Python's parser reads, nothing runs. Whatever the parser cannot take is told in words of our own (``syntax``).
"""

from __future__ import annotations

import ast
import unicodedata
import warnings
from dataclasses import dataclass, field

from explain.errors import InputError, Place
from explain.program import syntax

MAX_LENGTH = 10_000
MAX_DEPTH = 150
_PROGRAM = "For longer computations use a program of several lines: explain run FILE"
_FILE = "Long lists go into a file: save them by numpy.save and write @file.npy"
_LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.operator)


@dataclass(frozen=True)
class Reading:
    """A stretch of ``text`` that was read as ``tree``; ``start`` is where the stretch begins.

    ``source`` says in the reader's words which text it is: ``expression``, ``--at x``.
    """

    text: str
    source: str
    start: int
    tree: ast.expr = field(compare=False, repr=False)
    lines: tuple[tuple[int, str], ...] = field(compare=False, repr=False)  # per line its offset in text, its characters

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The character offsets of a node in ``text``, end exclusive."""
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def place(self, node: ast.AST) -> Place:
        """Where a node stands."""
        return Place(self.text, *self.span(node), self.source)

    def words(self, node: ast.AST) -> str:
        """A node as the reader wrote it."""
        start, end = self.span(node)
        return self.text[start:end]

    def sign(self, left: ast.AST, right: ast.AST, sign: str) -> Place:
        """Where the operator between two operands stands."""
        begin = self.span(left)[1]
        start = max(begin, self.text.find(sign, begin, self.span(right)[0]))
        return Place(self.text, start, start + len(sign), self.source)

    def _offset(self, line: int, column: int) -> int:
        offset, characters = self.lines[line - 1]
        if characters.isascii():
            return offset + column
        return offset + len(characters.encode()[:column].decode(errors="ignore"))  # ast counts bytes of UTF-8


def read(
    text: str, *, source: str = "expression", start: int = 0, length: int = MAX_LENGTH, depth: int = MAX_DEPTH
) -> Reading:
    """Read ``text[start:]`` as one Python expression (its tree only). Raises InputError for everything else.

    ``length`` and ``depth`` are the limits; the walks over the tree are recursive, so depth is what the stack allows.
    """
    if len(text) - start > length:
        message = f"{source}: {len(text) - start:,} characters are too long; the limit is {length:,}"
        raise InputError(message, hint=_PROGRAM if source == "expression" else _FILE)
    piece = _plain_spaces(text, start, source)
    start += len(piece) - len(piece.lstrip())
    piece = piece.strip()
    if not piece:
        what = "the expression is empty" if source == "expression" else "there is no value"
        example = 'For example: "sum(x**2)"' if source == "expression" else 'For example: "x=[1, 2, 3]"'
        raise InputError(what if source == "expression" else f"{source}: {what}", hint=example)
    try:
        with warnings.catch_warnings():  # the parser warns about odd literals; those are refused further on
            warnings.simplefilter("ignore")
            tree = ast.parse(piece, mode="eval").body
    except SyntaxError as error:
        raise syntax.diagnose(text, start, piece, source, error) from None
    except (RecursionError, MemoryError):
        raise _too_deep(source, depth) from None
    _refuse_deep(tree, source, depth)
    lines = []
    offset = start
    for line in piece.split("\n"):
        lines.append((offset, line))
        offset += len(line) + 1
    return Reading(text, source, start, tree, tuple(lines))


def _too_deep(source: str, limit: int) -> InputError:
    """The error for more nesting than is read. It has no place: the line would fill the screen."""
    message = f"{source}: parentheses, operators or calls are nested more than {limit} deep"
    return InputError(message, hint=_PROGRAM if source == "expression" else _FILE)


def _refuse_deep(tree: ast.expr, source: str, limit: int) -> None:
    waiting: list[tuple[ast.AST, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > limit:
            raise _too_deep(source, limit)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, _LEAVES):
                waiting.append((child, depth + 1))


def _plain_spaces(text: str, start: int, source: str) -> str:
    """The stretch with all blanks plain, character for character. Raises InputError for what cannot be printed."""
    piece = text[start:].replace("\r\n", " \n").replace("\r", "\n")
    if piece.isascii() and piece.replace("\n", "").replace("\t", "").isprintable():
        return piece
    out = []
    for offset, character in enumerate(piece):
        kind = unicodedata.category(character)
        if character in "\n\t":
            out.append(character)
        elif kind.startswith("Z") or character in "\f\v\ufeff\u200b\u200c\u200d\u2060":
            out.append(" ")
        elif kind.startswith("C"):
            place = Place(text, start + offset, start + offset + 1, source)
            raise InputError(
                f"the character U+{ord(character):04X} cannot be read", place, "Delete it, or type the line anew"
            )
        else:
            out.append(character)
    return "".join(out)
