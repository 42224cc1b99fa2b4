"""Notebooks: ``%load_ext explain``, then ``%explain EXPRESSION`` on a line and ``%%explain`` over a cell of a program.

While the extension is loaded, what tensors of ``explain.torch`` do in the notebook is recorded, so that ``explain.derive``
knows the lines of the cells and values that were overwritten since.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from explain.derivation.live import record
from explain.derivation.model import Run
from explain.embed.configuration import configuration
from explain.embed.core import Problem, continued, refused
from explain.embed.fence import Fence, read_fence
from explain.embed.findings import findings
from explain.embed.running import run_fence
from explain.errors import ExplainError
from explain.program.expression import parse
from explain.program.values import Given, as_given
from explain.render.document import closed_forms, render_cell, render_run
from explain.tape.tensor import Tensor

OPTION = re.compile(r"""--([\w-]+)(?:=|\s+)("[^"]*"|'[^']*'|\S+)\s*""")
BARE = re.compile(r"--([\w-]+)\s*$")

_recordings: list[AbstractContextManager[Any]] = []


@dataclass(frozen=True)
class Shown:
    """A run as a notebook shows it, with the options that were asked for, and what is wrong with it."""

    run: Run
    options: dict[str, Any]
    problems: tuple[Problem, ...] = ()

    def _repr_html_(self) -> str:
        return render_cell(self.run, **self.options)

    def _repr_markdown_(self) -> str:
        return render_run(self.run, "md", dialect="mkdocs", **self.options)  # pandoc and Jupyter know no labels of MyST

    def _repr_latex_(self) -> str:
        return closed_forms(self.run, self.options["index_base"])

    def __repr__(self) -> str:
        return render_run(self.run, "text", **self.options)


class CellError(ExplainError):
    """A block with a fault: its cell fails, and so does a notebook that is executed; it is told without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass
class Session:
    """The blocks of a notebook: a cell may continue one that ran before it."""

    fences: list[Fence] = field(default_factory=list)

    def line(self, text: str, names: dict[str, Any] | None = None, source: str = "%explain") -> Shown:
        """``%explain [--OPTION VALUE …] EXPRESSION[; NAME=VALUE …]``. Names without a value are those of the notebook
        (``names``). Raises CellError."""
        return self._shown(*_options_before(text), source, 1, names or {})

    def cell(self, line: str, cell: str, source: str = "cell") -> Shown:
        """``%%explain [--OPTION VALUE …]`` over a cell: the program, run in its box. Options may stand at its head, too, in
        lines that begin with ``#|``. Raises CellError."""
        given, rest = _options_before(line)
        return self._shown(given, cell, source, 2, {}, rest)

    def _shown(
        self, given: Sequence[tuple[str, str]], body: str, source: str, line: int, names: dict[str, Any], info: str = ""
    ) -> Shown:
        fence = Fence(body, "", {}, (), source, line)
        try:
            configured = configuration(Path.cwd())
            placed = [(name, value, 1) for name, value in given]
            fence = read_fence(body, info, source=source, line=line, given=placed, defaults=configured.defaults)
            before = continued(fence, self.fences)
            run = run_fence(fence, before, timeout=configured.timeout, known=_known(fence, names))
        except ExplainError as error:
            raise CellError(str(refused(fence, error, "text").problems[0])) from None
        self.fences = [one for one in self.fences if one.option("name") != fence.option("name")] + [fence]
        problems, claims = findings(run, fence, sum(f.text.count("\n") + 1 for f in before))
        found = [Problem(source, fence.line + offset, words) for offset, words in problems]
        found += [Problem(source, fence.claims[k].line, words, k) for k, words in claims]
        return Shown(run, self._looks(fence), tuple(found))

    def _looks(self, fence: Fence) -> dict[str, Any]:
        return {
            "lang": fence.option("lang") or "en",
            "detail": fence.option("detail") or "normal",
            "show": fence.option("show") or "all",
            "index_base": int(fence.option("index-base") or 1),
            "embedded": "cell",
        }


def _options_before(line: str) -> tuple[list[tuple[str, str]], str]:
    """The options at the beginning of a line, and the rest as it was written."""
    taken, rest = [], line.strip()
    while match := OPTION.match(rest) or BARE.match(rest):
        value = match[2].strip("\"'") if match.re is OPTION else ""
        taken.append((match[1], value))
        rest = rest[match.end() :]
    return taken, rest


def _known(fence: Fence, names: dict[str, Any]) -> dict[str, Given]:
    """The values that the notebook has for the names of an expression: numbers, lists, arrays and our own tensors."""
    if fence.kind != "expression" or not names:
        return {}
    found = {}
    for name in parse(fence.text).names:
        value = names.get(name)
        if isinstance(value, Tensor):
            value = value.array
        if isinstance(value, int | float | list | np.ndarray | np.generic):
            found[name] = as_given(value, name)
    return found


def load(shell: Any) -> None:
    """Give the notebook its magics and begin to record."""
    session = Session()

    def line_or_cell(line: str, cell: str | None = None) -> Shown | None:
        source = f"In [{len(shell.user_ns.get('In', ' ')) - 1}]"  # the last of IPython's list of inputs is this cell
        shown = session.line(line, shell.user_ns, source) if cell is None else session.cell(line, cell, source)
        if not shown.problems:
            return shown
        _display(shown)
        raise CellError("\n".join(map(str, shown.problems)))

    shell.register_magic_function(line_or_cell, magic_kind="line_cell", magic_name="explain")
    if not _recordings:
        recording = record()
        recording.__enter__()
        _recordings.append(recording)


def _display(shown: Shown) -> None:
    from IPython.display import display

    display(shown)


def unload(shell: Any) -> None:
    """End the recording."""
    while _recordings:
        _recordings.pop().__exit__(None, None, None)
