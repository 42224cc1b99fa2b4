"""Notebooks: ``%load_ext explain``, then ``%explain EXPRESSION`` on a line and ``%%explain`` over a cell of a program.

While the extension is loaded, what tensors of ``explain.torch`` do in the notebook is recorded, so that ``explain.derive``
knows the lines of the cells and values that were overwritten since.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from explain.derivation.boxed import run
from explain.derivation.expression import run_expression
from explain.derivation.live import record
from explain.derivation.model import Run
from explain.embed.inline import split_inline
from explain.errors import ExplainError, InputError
from explain.program.expression import parse
from explain.program.values import Given, as_given, parse_given, parse_value
from explain.render.document import CHOICES, render_cell, render_run
from explain.tape.tensor import Tensor

_recordings: list[AbstractContextManager[Any]] = []


@dataclass(frozen=True)
class Shown:
    """A run as a notebook shows it, with the options that were asked for."""

    run: Run
    options: dict[str, Any]

    def _repr_html_(self) -> str:
        return render_cell(self.run, **self.options)

    def _repr_markdown_(self) -> str:
        return render_run(self.run, "md", dialect="myst", **self.options)

    def __repr__(self) -> str:
        return render_run(self.run, "text", **self.options)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"%explain: {message}")


def _parser(program: bool) -> _Parser:
    parser = _Parser(prog="%%explain" if program else "%explain", add_help=False)
    for option in ("detail", "show"):
        parser.add_argument(f"--{option}", choices=CHOICES[option], default=CHOICES[option][1 if option == "detail" else 0])
    parser.add_argument("--lang", default="en")
    parser.add_argument("--index-base", type=int, choices=(0, 1), default=1)
    parser.add_argument("--wrt", action="append")
    if program:
        parser.add_argument("--of")
        parser.add_argument("--backward", type=int)
    else:
        parser.add_argument("--v")
        parser.add_argument("expression", nargs="+")
    return parser


def explain_line(line: str, names: dict[str, Any] | None = None) -> Shown | None:
    """``%explain [OPTIONS] EXPRESSION[; NAME=VALUE …]``. Names without a value are those of the notebook (``names``)."""
    try:
        options, expression = _options_before(line)
        text, values = split_inline(expression)
        given = dict(parse_given(value) for value in values)
        given = {**_known(text, names or {}, given), **given}
        v = None if options.v is None else parse_value(options.v)
        return Shown(run_expression(text, given, v, options.wrt, {}), _looks(options))
    except ExplainError as error:
        _told(error)
        return None


def explain_cell(line: str, cell: str) -> Shown | None:
    """``%%explain [OPTIONS]`` over a cell: the program, run in its box."""
    try:
        options = _parser(program=True).parse_args(shlex.split(line))
        found = run(cell, name="cell", wrt=options.wrt, of=options.of, backward=options.backward)
        return Shown(found, _looks(options))
    except ExplainError as error:
        _told(error)
        return None


def _options_before(line: str) -> tuple[argparse.Namespace, str]:
    """The options at the beginning of a line, and the rest as it was written."""
    taken, rest = [], line.strip()
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        if "=" not in option:
            value, _, rest = rest.strip().partition(" ")
            option = f"{option}={value}"
        taken.append(option)
        rest = rest.strip()
    if not rest:
        raise InputError("%explain: there is no expression", hint="Write, for example: %explain 2*dot(x, x); x=[0, 1, 2, 3]")
    return _parser(program=False).parse_args([*taken, "--", rest]), rest


def _known(expression: str, names: dict[str, Any], given: dict[str, Given]) -> dict[str, Given]:
    """The values that the notebook has for the names of an expression: numbers, lists, arrays and our own tensors."""
    found = {}
    for name in parse(expression).names:
        value = names.get(name)
        if isinstance(value, Tensor):
            value = value.array
        if name not in given and isinstance(value, int | float | list | np.ndarray | np.generic):
            found[name] = as_given(value, name)
    return found


def _looks(options: argparse.Namespace) -> dict[str, Any]:
    return {"lang": options.lang, "detail": options.detail, "show": options.show, "index_base": options.index_base}


def _told(error: ExplainError) -> None:
    print(f"explain: {error}", file=sys.stderr)


def load(shell: Any) -> None:
    """Give the notebook its magics and begin to record."""

    def line_or_cell(line: str, cell: str | None = None) -> Shown | None:
        return explain_line(line, shell.user_ns) if cell is None else explain_cell(line, cell)

    shell.register_magic_function(line_or_cell, magic_kind="line_cell", magic_name="explain")
    if not _recordings:
        recording = record()
        recording.__enter__()
        _recordings.append(recording)


def unload(shell: Any) -> None:
    """End the recording."""
    while _recordings:
        _recordings.pop().__exit__(None, None, None)
