"""The table of the op library as text: Markdown, terminal text or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from explain.calculus.rules import says_itself
from explain.derivation.codec_formulas import encode_formula
from explain.derivation.library import OpEntry
from explain.derivation.model import Derivation, Let, Step
from explain.errors import InputError
from explain.render.document import environment
from explain.render.names import distinct, names_in
from explain.render.step import defined, step_view
from explain.render.typeset import Latex, Plain, Typesetter

FORMATS: dict[str, Callable[[int], Typesetter]] = {"md": Latex, "text": Plain}
NAMES = (*FORMATS, "json")


def render_library(entries: Iterable[OpEntry], format: str = "text", *, lang: str = "en", index_base: int = 1) -> str:
    """The table of ops. Raises InputError for a format that it does not come in."""
    if format == "json":
        return json.dumps([_data(entry, index_base) for entry in entries], ensure_ascii=False, indent=1) + "\n"
    if format not in FORMATS:
        raise InputError(f"the table of ops comes as {', '.join(NAMES)}, not as {format}")
    t = FORMATS[format](index_base)
    rows = [op_view(entry, t) for entry in entries]
    text = environment(lang, 100, tight=format != "md").get_template(f"{format}/ops.j2").render(rows=rows, dialect="github")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"


def op_view(entry: OpEntry, t: Typesetter | None = None) -> dict[str, Any]:
    """What a page says of an op, its formulas set (in LaTeX, if nothing else is asked for)."""
    t = t or Latex(1)
    found: dict[str, Any] = {
        "name": entry.name, "functions": entry.functions, "methods": entry.methods, "operator": entry.operator,
        "kind": entry.kind, "grad_fn": entry.grad_fn, "special": entry.special, "derivative": entry.derivative,
        "parts": entry.parts, "formula": None, "steps": [], "title": entry.title, "form_of": entry.form_of, "where": [],
        "program": entry.program, "result": entry.result, "instead": entry.instead,
    }  # fmt: skip
    d = entry.example
    if d is not None and d.steps:
        with distinct(names_in(d)):
            found["steps"] = [step_view(s, d, t) for s in d.steps]
            found["where"] = [] if entry.parts else [_defined(let, t) for let in _lets(d)]
        if not entry.parts:
            found["formula"] = found["steps"][0]["formula"]
    return found


def _data(entry: OpEntry, index_base: int) -> dict[str, Any]:
    t = Latex(index_base)
    d = entry.example
    steps = d.steps if d is not None and not entry.parts else ()
    return {
        "name": entry.name, "functions": list(entry.functions), "methods": list(entry.methods),
        "operator": entry.operator, "kind": entry.kind, "rule": entry.rule, "grad_fn": entry.grad_fn,
        "special": list(entry.special), "derivative": entry.derivative, "parts": list(entry.parts),
        "formula": _formula(steps[0].formula, t) if steps else None,
        "where": {let.name: _formula(let.formula, t) for let in _lets(d)} if d is not None and steps else {},
        "inputs": [_input(s, d, t) for s in steps if d is not None],
    }  # fmt: skip


def _lets(d: Derivation) -> list[Let]:
    """The names that what goes back uses beside those of the call; not those that say what they are (A⁻¹)."""
    return [let for let in d.lets if not says_itself(let.kind)]


def _defined(let: Let, t: Typesetter) -> str:
    return defined(t.entry(let.name, let.formula.letters), let.formula, t)


def _input(s: Step, d: Derivation, t: Typesetter) -> dict[str, Any]:
    return {
        "name": s.input, "structure": s.structure, "jacobian": _formula(s.jacobian, t), "vjp": _formula(s.contracted, t),
        "matrix": None if s.matrix is None else t.matrix(s.matrix.tree),
    }  # fmt: skip


def _formula(f: Any, t: Typesetter) -> Any:
    return None if f is None else {**(encode_formula(f) or {}), "latex": t.formula(f)}
