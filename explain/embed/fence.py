"""A block of a text that asks for a derivation: its options, its claims, and the program or expression itself.

Options stand at the head of the block, a line ``#| name: value`` each, or in its first line: ``explain detail=brief``. One
that may be given more than once takes several values between semicolons too.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from explain.embed.inline import split_inline, split_values
from explain.embed.options import OPTIONS, Options, read_options
from explain.embed.place import BlockError, Where

OPTION = re.compile(r"\s*#\|\s*([\w-]+)\s*[:=]\s*(.*)$")
BADLY = re.compile(r"\s*#\|(.*)$")
CLAIM = re.compile(r"(?P<of>.*?)(?:\s+(?:wrt|by|关于)\s+(?P<wrt>[^=]+?))?\s*=(?!=)\s*(?P<formula>.+)$", re.S)
PROGRAMS = ("of", "backward", "after")
"""Options that only a program has."""


@dataclass(frozen=True)
class Statement:
    """A claim of an author with its line in the text: the derivative of ``of`` by ``wrt`` (None: the value of ``of``)."""

    of: str
    wrt: str | None
    formula: str
    line: int

    def __str__(self) -> str:
        return f"{self.of}{f' wrt {self.wrt}' if self.wrt else ''} = {self.formula}"


@dataclass(frozen=True)
class Fence:
    """A block that was read. ``text``: what runs. ``kind``: expression or program. ``source``: the text it stands in,
    ``line``: of the first line of ``text`` there. ``options``: all but the claims."""

    text: str
    kind: str
    options: Options
    claims: tuple[Statement, ...]
    source: str
    line: int

    def option(self, name: str) -> str | None:
        """The value of an option that is given once; None if it is not given."""
        values = self.options.get(name, ())
        return values[-1] if values else None

    @property
    def place(self) -> str:
        """``file:line`` of the block's text."""
        return str(Where(self.source, self.line))


def read_fence(
    body: str,
    info: str = "",
    *,
    source: str,
    line: int,
    given: Iterable[tuple[str, str, int]] = (),
    defaults: Mapping[str, str] | None = None,
) -> Fence:
    """Read a block. ``info``: what follows the word ``explain`` in the line above it. ``line``: of the first line of
    ``body`` in ``source``. ``given``: options that the host has read itself, each with its line. ``defaults``: options that
    hold where the block says nothing. Raises BlockError, with file and line."""
    head, above = Where(source, line), Where(source, max(line - 1, 1))
    found = read_options(_info(info, above), above)
    claims: list[Statement] = []
    lines = body.split("\n")
    k = 0
    while k < len(lines) and (BADLY.match(lines[k]) or not lines[k].strip()):
        here = Where(source, line + k)
        match = OPTION.match(lines[k])
        if match is None and lines[k].strip():
            raise BlockError(here, "an option is written #| name: value")
        if match is not None:
            given = (*given, (match[1], match[2], line + k))
        k += 1
    for name, values, at in given:
        here = Where(source, at)
        for value in _several(name, values):
            read = read_options([(name, value)], here)
            claims.extend(read_claim(claim, here) for claim in read.pop("claim", ()))
            found = _joined(found, read, here)
    claims.extend(read_claim(value, above) for value in found.pop("claim", ()))
    text = "\n".join(lines[k:]).rstrip()
    if not text.strip():
        raise BlockError(head, "the block is empty", hint="Write an expression, such as sum(x**2), or a program")
    return fence_of(text, found, tuple(claims), source, line + k, defaults)


def fence_of(
    text: str,
    options: Options,
    claims: tuple[Statement, ...],
    source: str,
    line: int,
    defaults: Mapping[str, str] | None = None,
) -> Fence:
    """A block whose options are read already."""
    found = {name: (value,) for name, value in (defaults or {}).items()} | dict(options)
    kind = _kind(text, found)
    place = Where(source, line)
    if kind == "expression":
        text, values = split_inline(text.strip())
        found["at"] = (*found.get("at", ()), *values)
    for name in PROGRAMS if kind == "expression" else ("at", "shape", "v"):
        if found.get(name):
            other = "a program" if kind == "expression" else "an expression"
            raise BlockError(place, f"the option '{name}' belongs to {other}")
    return Fence(text, kind, {name: v for name, v in found.items() if v}, claims, source, line)


def read_claim(text: str, where: Where) -> Statement:
    """``out wrt x = 2*x``, or ``out = …`` for the value. Raises BlockError."""
    match = CLAIM.match(text.strip())
    if match is None or not match["of"].strip():
        raise BlockError(where, f"a claim is written OUT wrt X = FORMULA, not '{text.strip()}'")
    return Statement(
        match["of"].strip(), match["wrt"].strip() if match["wrt"] else None, match["formula"].strip(), where.line
    )


def _info(info: str, where: Where) -> list[tuple[str, str]]:
    info = info.strip().removeprefix("{").removesuffix("}").strip()
    try:
        words = shlex.split(info)
    except ValueError:
        raise BlockError(where, f"the options of the first line are not closed: {info}") from None
    pairs = []
    for word in words:
        name, sign, value = word.partition("=")
        if not sign and name != "expect-error":
            raise BlockError(where, f"an option is written name=value, not '{word}'")
        pairs.append((name, value))
    return pairs


def _several(name: str, text: str) -> list[str]:
    """The values that stand in one option."""
    option = OPTIONS.get(name.replace("_", "-"))
    if option is None or not option.several:
        return [text]
    values = [value for line in text.split("\n") for value in split_values(line)]
    return [value for value in values if value] or [""]


def _joined(found: dict[str, tuple[str, ...]], more: Options, where: Where) -> dict[str, tuple[str, ...]]:
    """Options of the first line and of the lines after it."""
    pairs = [(name, v) for options in (found, more) for name, values in options.items() for v in values]
    return read_options(pairs, where)


def _kind(text: str, options: Options) -> str:
    """An expression is one expression over names that calls for no gradient itself; everything else is a program."""
    if any(name in options for name in PROGRAMS):
        return "program"
    if any(name in options for name in ("at", "shape", "v")):
        return "expression"
    try:
        tree = ast.parse(split_inline(text.strip())[0].strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "program"
    functions = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    if not any(isinstance(n, ast.Name) and id(n) not in functions for n in ast.walk(tree)):
        return "program"  # nothing in it can change
    called = {
        n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", "")
        for n in ast.walk(tree)
        if isinstance(n, ast.Call)
    }
    return "program" if called & {"backward", "print", "grad", "jacobian", "hessian"} else "expression"
