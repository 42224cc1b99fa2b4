"""The page around the derivations: the program, what it printed, what went wrong, what a reader should know."""

from __future__ import annotations

import re
from typing import Any

from explain.derivation.model import Run
from explain.errors import Place
from explain.render.typeset import Typesetter
from explain.render.view import View, derivation_view, note_view

MOST_LINES = 40
"""So many lines of what a program printed are shown."""
FENCE = "```"
NO_VALUE = re.compile(r"<[\w. ]+ at 0x[0-9a-f]+>$")
"""The echo of something that has no value to show: what ``torch.manual_seed(0)`` returns."""


def run_view(run: Run, t: Typesetter) -> View:
    """The whole page."""
    program = run.form not in ("expression", "derivation")
    derivations = [derivation_view(d, t) for d in run.derivations]
    return {
        "source": run.source,
        "program": program,
        "listing": _listing(run) if program else None,
        "form": run.form,
        "given": list(run.given),
        "ok": run.ok,
        "outcome": run.outcome,
        "printed": _cut(run.stdout),
        "echo": [{"line": e["line"], "text": e["text"]} for e in run.echo if not NO_VALUE.match(e["text"])],
        "warnings": [dict(w) for w in run.warnings],
        "error": None if run.error is None else _error(run),
        "notes": [note_view(n, t) for n in run.notes],
        "several": len(derivations) != 1,
        "derivations": derivations,
    }


def _listing(run: Run) -> View:
    """The program's lines with their numbers in the reader's own text, and a fence that no line of it closes."""
    lines = run.code.rstrip().split("\n")
    width = len(str(len(lines)))
    shown, gap = [], True
    for number, line in enumerate(lines, 1):
        if line.strip():
            shown.append(f"{number:>{width}}  {line}")
            gap = False
        elif not gap:
            shown.append("")
            gap = True
    longest = max((len(line) - len(line.lstrip("`")) for line in lines), default=0)
    return {"text": "\n".join(shown).rstrip(), "fence": "`" * max(len(FENCE), longest + 1)}


def _cut(text: str) -> View | None:
    """What was printed, its middle left out if it is long."""
    if not text.strip():
        return None
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= MOST_LINES:
        return {"head": "\n".join(lines), "left_out": 0, "tail": ""}
    half = MOST_LINES // 2
    left = len(lines) - 2 * half
    return {"head": "\n".join(lines[:half]), "left_out": left, "tail": "\n".join(lines[-half:])}


def _error(run: Run) -> dict[str, Any]:
    """What the program raised, or why it did not run: with the line of the text, marked where the place is known."""
    error: dict[str, Any] = dict(run.error or {})
    line, place = error["line"], error["details"].get("place")
    lines = run.code.split("\n")
    code = lines[line - 1].strip() if line and line <= len(lines) else None
    return {**error, "code": code, "marked": Place(run.source, *place).marked() if place else None}
