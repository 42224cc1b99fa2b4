"""The page around the derivations: the program, what it printed, what went wrong, what a reader should know."""

from __future__ import annotations

import re
from typing import Any

from explain.derivation.model import Run
from explain.errors import Place
from explain.render.claims import claim_text
from explain.render.listing import numbered_lines
from explain.render.picture import picture
from explain.render.step import View, note_view
from explain.render.typeset import Typesetter
from explain.render.view import derivation_view

MOST_LINES = 40
"""So many lines of what a program printed are shown."""
FENCE = "```"
NO_VALUE = re.compile(r"<[\w. ]+ at 0x[0-9a-f]+>$")
"""The echo of something that has no value to show: what ``torch.manual_seed(0)`` returns."""


def run_view(run: Run, t: Typesetter, detail: str = "normal", pictures: bool = False, prefix: str = "") -> View:
    """The whole page. ``pictures``: with the places of everything in the graphs' drawings. ``prefix``: of the anchors'
    names, where several pages stand in one."""
    program = run.form not in ("expression", "derivation")
    derivations = [derivation_view(d, t, detail) for d in run.derivations]
    for number, (d, view) in enumerate(zip(run.derivations, derivations, strict=True), 1):
        view["id"] = f"{prefix}{number}"
        view["picture"] = picture(d) if pictures else None
    _count_turns(derivations)
    _explain_signs_once(derivations)
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
        "claims": [{"claim": claim_text(c), "ok": c.ok, "verdict": c.verdict, "reason": c.reason} for c in run.claims],
        "several": len(derivations) != 1,
        "derivations": derivations,
    }


def _explain_signs_once(derivations: list[View]) -> None:
    """What a sign means is said where it occurs for the first time."""
    told: set[str] = set()
    for d in derivations:
        d["signs"] = [s for s in d["signs"] if s["kind"] not in told]
        told |= {s["kind"] for s in d["signs"]}


def _count_turns(derivations: list[View]) -> None:
    """Which of several calls in the same place each is, for its heading; a folded one stands for many already."""
    for d in derivations:
        same = [other for other in derivations if all(other[key] == d[key] for key in ("line", "call", "kind", "mode"))]
        d["turn"] = same.index(d) + 1 if len(same) > 1 and not any(other["calls"] for other in same) else None
        d["turns"] = len(same)
        others = [other for other in derivations if all(other[key] == d[key] for key in ("line", "call"))]
        d["part"] = None
        if len({(other["kind"], other["mode"], other["output"]) for other in others}) > 1 and d["turn"] is None:
            d["part"] = "gradient" if d["mode"] != "jacobian" else "hessian" if d["kind"] == "hessian" else "jacobian"


def _listing(run: Run) -> View:
    """The program's lines with their numbers in the reader's own text, and a fence that no line of it closes."""
    lines = numbered_lines(run.code)
    width = len(str(run.code.rstrip().count("\n") + 1))
    text = "\n".join("" if item is None else f"{item[0]:>{width}}  {item[1]}" for item in lines)
    longest = max((len(item[1]) - len(item[1].lstrip("`")) for item in lines if item), default=0)
    return {"text": text, "fence": "`" * max(len(FENCE), longest + 1), "code": run.code.rstrip()}


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
