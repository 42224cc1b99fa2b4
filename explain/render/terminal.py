"""What templates for the terminal need: width of text, wrapping, tables, colour."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from explain.errors import columns as width

WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60"
OPENING, CLOSING = "（《「“", "。，；：、）！？》」”"
UNIT = re.compile(rf"\s*[{OPENING}]*(?:[^\s{WIDE}]+|[{WIDE}])[{CLOSING}]*")
"""What is never broken: a word, or one wide character, with the punctuation that opens or closes it."""
PAINT = {"bold": "1", "dim": "2", "red": "31", "green": "32"}


def filters(columns: int, color: bool) -> dict[str, Callable[..., str]]:
    """The filters of the text templates for a terminal of so many columns."""
    found: dict[str, Callable[..., str]] = {name: _paint(code if color else "") for name, code in PAINT.items()}
    found["width"] = lambda text: width(text)  # type: ignore[assignment, return-value]
    found["wrapped"] = lambda text: wrapped(text, columns)
    found["line"] = lambda text, lead=4: broken(str(text), columns, " " * lead)
    found["after"] = lambda text, head: after(str(text), str(head), columns)
    found["table"] = lambda rows, say, tell, lines: table(rows, say, tell, columns, lines)
    found["calls_table"] = lambda calls, tell, output: calls_table(calls, tell, output, columns)
    return found


def _paint(code: str) -> Callable[[str], str]:
    return (lambda text: f"\033[{code}m{text}\033[0m") if code else (lambda text: str(text))


def wrapped(text: str, columns: int) -> str:
    """A paragraph broken at ``columns``, its further lines indented like its first. Lines break at spaces and beside wide
    characters, never before closing punctuation."""
    lead = text[: len(text) - len(text.lstrip())]
    indent = lead + ("  " if text.lstrip().startswith("- ") else "")
    lines, current, used = [], lead, width(lead)
    for unit in UNIT.findall(text.strip()):
        taken = width(unit)
        if used + taken > columns and current.strip():
            lines.append(current.rstrip())
            current = indent + unit.lstrip()
            used = width(current)
        else:
            current += unit
            used += taken
    return "\n".join([*lines, current.rstrip()])


def after(text: str, head: str, columns: int) -> str:
    """What stands behind a heading, or in lines of its own where both do not fit into one."""
    return f"   {text}" if width(head) + 3 + width(text) <= columns else "\n" + broken(text, columns, "  ")


BREAKS = (
    re.compile(r" (?=[=≈→] )|(?<=;) "),
    re.compile(r" (?=[+−] )"),
    re.compile(r" (?=[⊙⊘] )"),
    re.compile(r"(?=·)"),
    re.compile(r"(?<=,) "),
    re.compile(r" "),
)
"""Where a line of mathematics may be broken: best between the sides of an equation, then between terms, then factors."""


def broken(text: str, columns: int, lead: str) -> str:
    """A line of mathematics after ``lead``; if it is too long, broken before an operator, as far outside of parentheses as
    can be, its further lines indented by four more."""
    lines = []
    indent = lead
    while width(indent + text) > columns and (at := _break(text, columns - len(indent))):
        lines.append(indent + text[:at].rstrip())
        text, indent = text[at:].lstrip(), lead + "    "
    return "\n".join([*lines, indent + text])


def _break(text: str, room: int) -> int:
    """The best place to break within ``room`` columns: not near the beginning, outermost, by the operator, the last one."""
    depth, depths, used = 0, [], 0
    for c in text:
        if used > room:
            break
        depth -= c in ")]⌋}"
        depths.append(depth)
        depth += c in "([⌊{"
        used += width(c)
    best: tuple[bool, int, int, int] | None = None
    for rank, pattern in enumerate(BREAKS):
        for found in pattern.finditer(text, 1):
            at = found.start()
            if at >= len(depths):
                break
            if not text[:at].strip():
                continue
            key = (3 * at >= room, -depths[at], -rank, at)
            best = key if best is None or key > best else best
    return best[3] if best else 0


def table(rows: list[dict[str, Any]], say: Any, tell: Any, columns: int, lines: bool) -> str:
    """The forward table: name, shape, one entry, value, grad_fn, in aligned columns; values last if they are long.
    ``lines``: with the numbers of the program's lines before all."""
    cells = []
    for r in rows:
        if "left_out" in r:
            cells.append([" " * 5 * lines + "⋮", "", str(tell.rows_left_out(r["left_out"])), "", ""])
            continue
        kind = r["kind"]
        words = {"leaf": say.leaf, "given": say.given, "positions": say.positions, "mask": say.mask, "factor": say.factor}
        entry = str(words[kind]()) if kind in words else r["entry"] or r["code"] or ""
        value = r["value"]
        shown = "" if value is None else str(say.all(value["text"])) if value["all"] else value["text"]
        name = (f"{r['line'] or '':>3}  " if lines else "") + r["name"]
        cells.append([name, str(say.scalar()) if r["scalar"] else r["shape"], entry, shown, r["grad_fn"] or ""])
    widths = _widths(cells)
    if sum(widths) + 14 <= columns:
        return _aligned(cells)
    found = []
    for name, shape, entry, value, grad_fn in cells:
        head = f"    {_padded(name, widths[0])}  {_padded(shape, widths[1])}  "
        lead = " " * width(head)
        told = broken(entry, columns, lead)
        if grad_fn:
            beside = width(told.rsplit("\n", 1)[-1]) + 2 + width(grad_fn) <= columns
            told += f"  {grad_fn}" if beside else f"\n{lead}    {grad_fn}"
        found.append(head + told.lstrip())
        if value:
            found.append(broken(f"= {value}", columns, " " * width(head)))
    return "\n".join(found)


def calls_table(calls: dict[str, Any], tell: Any, output: str, columns: int) -> str:
    """The table of a loop's calls; where it is too wide, each gradient stands on a line of its own under its call."""
    head = [str(tell.call()), str(tell.line()), output]
    rows = [
        ["…", "", ""] if r is None else [str(r["number"]), str(r["line"] or ""), r["output"] or ""] for r in calls["rows"]
    ]
    sent = [[""] * len(calls["names"]) if r is None else r["gradients"] for r in calls["rows"]]
    whole = _aligned([[*head, *calls["names"]], *([*a, *b] for a, b in zip(rows, sent, strict=True))])
    if max(map(width, whole.split("\n"))) <= columns:
        return whole
    first, *lines = _aligned([head, *rows]).split("\n")
    for line, gradients in zip(lines, sent, strict=True):
        first += f"\n{line}"
        for name, value in zip(calls["names"], gradients, strict=True):
            first += "\n" + broken(f"{name} = {value}", columns, " " * 8) if value else ""
    return first


def _widths(cells: list[list[str]]) -> list[int]:
    return [max(width(row[k]) for row in cells) for k in range(len(cells[0]))]


def _aligned(cells: list[list[str]]) -> str:
    widths = _widths(cells)
    return "\n".join("    " + "  ".join(_padded(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def _padded(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))
