"""The graph of a derivation as a picture's view: what stands on each node, where it lies, which step an edge is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from explain.derivation.model import Derivation, Row
from explain.render import figures, folding
from explain.render.graph import drawn
from explain.render.plain import plain_name
from explain.render.tex import escaped

View = dict[str, Any]
MOST_NODES = 60
"""A larger graph is a list: as a picture nobody could read it."""
LONGEST = 24
"""Characters of a line on a node; longer values are given by their shape."""
BARRED = re.compile(r"bar\(([^()]+)\)")
"""The adjoint of a name that is no single letter, as plain text has it."""
CHARACTER, LINE, PADDING = 7.4, 17.0, 9.0
"""Width and height of a character of 12 px, and the room around the text of a node."""


def picture(d: Derivation) -> View | None:
    """Nodes and wires with their places; None if there is nothing to draw or too much."""
    rows = [r for r in folding.rows(d.rows) if isinstance(r, Row) and r.kind not in ("positions", "mask")]
    names = {r.name for r in rows}
    edges = [(a, b) for a, b in d.edges if a in names and b in names]
    if not edges or len(rows) > MOST_NODES or len(rows) != len(d.rows) - _set_apart(d):
        return None
    adjoints = _adjoints(d)
    lines = {r.name: _lines(r, adjoints) for r in rows}
    sizes = {
        name: (
            2 * PADDING + CHARACTER * max(len(BARRED.sub(r"\1", text)) for text in texts),
            2 * PADDING + LINE * len(texts) - 4,
        )
        for name, texts in lines.items()
    }
    drawing = drawn(sizes, edges)
    steps = {(s.input, s.output): s.number for s in d.steps}
    nodes = []
    for r in rows:
        box = drawing.boxes[r.name]
        kind = "output" if r.name == d.output else r.kind
        texts = [
            {"parts": _parts(text), "x": box.x + box.width / 2, "y": box.y + PADDING + 11 + LINE * k}
            for k, text in enumerate(lines[r.name])
        ]
        nodes.append(
            {"name": r.name, "kind": kind, "lines": texts, "code": r.code, "line": r.line, "grad_fn": r.grad_fn,
             "tex": [_in_latex(text) for text in lines[r.name]], "x": box.x, "y": box.y, "width": box.width,
             "height": box.height}
        )  # fmt: skip
    wires = [
        {"path": _path(w.points), "tikz": _tikz(w.points), "step": steps.get((w.source, w.target)),
         "from": plain_name(w.source), "to": plain_name(w.target)}
        for w in drawing.wires
    ]  # fmt: skip
    return {"width": drawing.width, "height": drawing.height, "nodes": nodes, "wires": wires}


def _set_apart(d: Derivation) -> int:
    return sum(r.kind in ("positions", "mask") for r in d.rows)


def _adjoints(d: Derivation) -> Mapping[str, Any]:
    """What arrived at each tensor in all, by name."""
    found: dict[str, Any] = {}
    if d.cotangent is not None:
        found[d.output] = d.cotangent
    for s in d.steps:
        if s.value is not None:
            found[s.input] = s.value if s.input not in found else found[s.input] + s.value
    return found


def _lines(r: Row, adjoints: Mapping[str, Any]) -> list[str]:
    name = plain_name(r.name)
    found = [name if r.value is None else _told(name, r.value)]
    if r.name in adjoints:
        found.append(_told(plain_name(f"bar({r.name})"), adjoints[r.name]))
    return found


def _parts(text: str) -> list[str]:
    """A line on a node in three: what stands before a name of several letters that is barred, the name, what comes after."""
    return BARRED.split(text, maxsplit=1) if BARRED.search(text) else [text, "", ""]


def _in_latex(text: str) -> str:
    before, name, after = map(escaped, _parts(text))
    return before + (rf"\ensuremath{{\overline{{\mbox{{{name}}}}}}}" if name else "") + after


def _told(name: str, value: Any) -> str:
    """``x = [1, 2]``; of a long value its shape: ``x: 3×4``, ``x: (3,)``, for a 3 alone would be a value."""
    a = np.asarray(value)
    sign = "=" if figures.is_exact(a) else "≈"
    whole = f"{name} {sign} {figures.plain_array(a)}"
    if len(whole) <= LONGEST or not a.ndim:
        return whole
    return f"{name}: {'×'.join(map(str, a.shape)) if a.ndim > 1 else a.shape}"


def _tikz(points: tuple[tuple[float, float], ...]) -> str:
    """The same curve for TikZ."""
    x, y = points[0]
    parts = [f"({x:.1f},{y:.1f})"]
    for x2, y2 in points[1:]:
        middle = (x + x2) / 2
        parts.append(f".. controls ({middle:.1f},{y:.1f}) and ({middle:.1f},{y2:.1f}) .. ({x2:.1f},{y2:.1f})")
        x, y = x2, y2
    return " ".join(parts)


def _path(points: tuple[tuple[float, float], ...]) -> str:
    """A smooth curve through the points, level at each of them."""
    x, y = points[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for x2, y2 in points[1:]:
        middle = (x + x2) / 2
        parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
        x, y = x2, y2
    return "".join(parts)
