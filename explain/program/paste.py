"""What people paste, as a program: scripts, Markdown with code fences, ``>>>`` and ``In [1]:`` prompts, notebooks.

The code keeps its lines: what is no code becomes an empty line, so a message about line 7 is about line 7 of the paste.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from collections.abc import Callable

from explain.errors import InputError, Place
from explain.program.source import Source

FENCE = re.compile(r"^(?P<indent>[ \t]*(?:>[ \t]?)*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)$")
CODE_INFO = ("", "python", "python3", "py", "pycon", "torch", "pytorch", "ipython", "ipython3", "pytb", "explain")
PROMPT = re.compile(r"^[ \t]*(>>>|\.\.\.)(?: (?P<code>.*)|$)")
JUPYTER = re.compile(r"^[ \t]*In ?\[[\d* ]*\]:[ \t]?")
JUPYTER_MORE = re.compile(r"^[ \t]*\.\.\.+:[ \t]?")
JUPYTER_OUT = re.compile(r"^[ \t]*Out ?\[[\d* ]*\]:")
CELL = re.compile(r"^#[ \t]*(%%|In ?\[[\d* ]*\]:?)")
MAGIC = re.compile(r"^[ \t]*([%!](?![=])|\?)|^[ \t]*[\w.]+\?{1,2}[ \t]*$")
ASSIGNED_SHELL = re.compile(r"^[ \t]*\w+[ \t]*=[ \t]*[!%]")
MAX_LENGTH = 1_000_000
EXAMPLE = (
    "A program is Python code with torch, for example:\n  x = torch.ones(2, requires_grad=True)\n  (x**2).sum().backward()"
)


def read_program(text: str, name: str = "program") -> Source:
    """The program in a text. Raises InputError where there is none, or where it is too long or no text."""
    if len(text) > MAX_LENGTH:
        raise InputError(f"{name}: {len(text):,} characters are too long; the limit is {MAX_LENGTH:,}")
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if "\0" in text:
        raise InputError(f"{name}: this is no text", hint="A program is a .py, .md, .txt or .ipynb file")
    stripped = text.lstrip()
    if stripped.startswith("{") and '"cells"' in text:
        return _notebook_file(text, name)
    lines = text.split("\n")
    if not stripped:
        raise InputError(f"{name}: there is nothing in it", hint=EXAMPLE)
    if _parses(text):
        return _made(text, name, "notebook" if any(CELL.match(line) for line in lines) else "script", lines)
    for form, pick in _FORMS:
        picked = pick(lines) if form == "fenced" or _looks_like(form, lines) else None
        if picked is not None:
            return _made(text, name, form, *picked)
    if any(MAGIC.match(line) or ASSIGNED_SHELL.match(line) for line in lines):
        return _made(text, name, "notebook-magics", lines)
    if _looks_like_prose(lines):
        message = "there is no code in this text"
        raise InputError(f"{name}: {message}", hint=f"Put code into ``` fences, or give it alone. {EXAMPLE}")
    return _made(text, name, "script", lines)


Picked = tuple[list[str], list[int], list[int]]


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _made(
    text: str, name: str, form: str, lines: list[str], shifts: list[int] | None = None, cells: list[int] | None = None
) -> Source:
    """A source out of its code lines: common indentation is taken off, magics become empty lines."""
    shifts = list(shifts or [0] * len(lines))
    cells = list(cells or [])
    skipped: list[tuple[int, str]] = []
    kept = list(lines)
    quoted = False  # a line of a text in triple quotes may look like anything
    skipping = False
    for k, line in enumerate(lines):
        if CELL.match(line) and not quoted:
            cells.append(k + 1)
            skipping = False
        if not quoted and line.lstrip().startswith("%%") and not skipping:
            skipped.append((k + 1, line.strip()))
            skipping = not line.lstrip().startswith(("%%time", "%%capture", "%%explain", "%%prun"))
            kept[k] = ""
        elif skipping:
            kept[k] = ""
        elif not quoted and (MAGIC.match(line) or ASSIGNED_SHELL.match(line)) and not _continues(lines, k):
            skipped.append((k + 1, line.strip()))
            indent = line[: len(line) - len(line.lstrip())]
            kept[k] = f"{indent}pass" if indent else ""
        quoted ^= (line.count('"""') + line.count("'''")) % 2 == 1
    margin = _margin(kept)
    if margin:
        kept = [line[margin:] if line.strip() else "" for line in kept]
        shifts = [s + margin for s in shifts]
    if skipped and form == "script":
        form = "notebook-magics"
    return Source(text, name, form, "\n".join(kept), tuple(shifts), tuple(sorted(set(cells))), tuple(skipped))


def _continues(lines: list[str], k: int) -> bool:
    """Whether line ``k`` goes on with the one before, so that a % or ! at its beginning is an operator."""
    before = lines[k - 1].rstrip() if k else ""
    return before.endswith(("\\", ",", "(", "[", "{", "+", "-", "*", "/", "="))


def _margin(lines: list[str]) -> int:
    """The indentation that all lines share."""
    text = "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return len(text.split("\n")[0]) - len(textwrap.dedent(text).split("\n")[0]) if text else 0


# forms


def _looks_like(form: str, lines: list[str]) -> bool:
    pattern = {"jupyter-prompts": JUPYTER, "repl": re.compile(r"^[ \t]*>>>( |$)")}[form]
    return any(pattern.match(line) for line in lines)


def _repl(lines: list[str]) -> Picked:
    """``>>>`` and ``...`` lines are code, all else is what a session printed."""
    kept, shifts = [], []
    for line in lines:
        found = PROMPT.match(line)
        code = (found["code"] or "") if found else ""
        kept.append(code)
        shifts.append(len(line) - len(code) if found else 0)
    return kept, shifts, []


def _jupyter(lines: list[str]) -> Picked:
    """``In [1]:`` begins a cell, ``...:`` goes on with it, ``Out[1]:`` and what follows is output."""
    kept, shifts, cells = [], [], []
    inside = False
    for k, line in enumerate(lines):
        prompt, more = JUPYTER.match(line), JUPYTER_MORE.match(line)
        if prompt:
            inside = True
            cells.append(k + 1)
        elif JUPYTER_OUT.match(line):
            inside = False
        cut = prompt or (more if inside else None)
        # a paste from a notebook's page has the prompt on the first line of a cell only, the rest is plain code
        plain = inside and not cut and any(not JUPYTER_MORE.match(other) for other in lines[k : k + 1])
        code = line[cut.end() :] if cut else line if plain else ""
        kept.append(code)
        shifts.append(cut.end() if cut else 0)
    if any(JUPYTER_MORE.match(line) for line in lines):  # a terminal session: what has no prompt was printed
        for k, line in enumerate(lines):
            if not JUPYTER.match(line) and not JUPYTER_MORE.match(line):
                kept[k], shifts[k] = "", 0
    return kept, shifts, cells


def _fenced(lines: list[str]) -> Picked | None:
    """The code fences of a Markdown text that hold Python; each is a cell."""
    kept, shifts, cells = [""] * len(lines), [0] * len(lines), []
    mark, indent, wanted = "", "", False
    for k, line in enumerate(lines):
        found = FENCE.match(line)
        if not mark:
            if found:
                info = found["info"].strip().strip("{}").split()
                mark, indent = found["mark"], found["indent"]
                wanted = (info[0].lstrip(".").lower() if info else "") in CODE_INFO
                cells += [k + 2] if wanted else []
        elif found and found["mark"].startswith(mark) and not found["info"].strip():
            mark = ""
        elif wanted:
            cut = len(indent) if line.startswith(indent) else 0
            kept[k], shifts[k] = line[cut:], cut
    if not cells:
        return None
    for start in cells:
        _take_prompts(kept, shifts, start - 1)
    return kept, shifts, cells


def _take_prompts(kept: list[str], shifts: list[int], start: int) -> None:
    """A fence that holds a session: its prompts go, and what was printed."""
    end = start
    while end < len(kept) and (kept[end] or any(kept[end : end + 2])):
        end += 1
    block = kept[start:end]
    pick = _repl if _looks_like("repl", block) else _jupyter if _looks_like("jupyter-prompts", block) else None
    if pick is not None:
        code, cuts, _ = pick(block)
        kept[start:end] = code
        shifts[start:end] = [a + b for a, b in zip(shifts[start:end], cuts, strict=True)]


_FORMS: tuple[tuple[str, Callable[[list[str]], Picked | None]], ...] = (
    ("fenced", _fenced), ("jupyter-prompts", _jupyter), ("repl", _repl),
)  # fmt: skip


def _looks_like_prose(lines: list[str]) -> bool:
    """No line of the text could be a statement of its own, except for single words."""
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return bool(code) and not any(
        re.search(r"[=()\[\]]|^\s*(import|from|def|class|for|while|with)\b|^\s*print\s+[\w'\"]", line) for line in code
    )


# notebook files


def _notebook_file(text: str, name: str) -> Source:
    """The code cells of an ``.ipynb`` file, with ``# %%`` between them."""
    try:
        document = json.loads(text)
        cells = [cell for cell in document["cells"] if cell.get("cell_type") == "code"]
        bodies = ["".join(cell["source"]) if isinstance(cell["source"], list) else cell["source"] for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        place = Place(text, error.pos, error.pos + 1, name) if isinstance(error, json.JSONDecodeError) else None
        raise InputError(f"{name}: this is not a notebook file", place) from None
    if not any(body.strip() for body in bodies):
        raise InputError(f"{name}: the notebook has no code cell")
    shown = "\n".join(f"# %%\n{body.rstrip()}" for body in bodies) + "\n"
    source = read_program(shown, name)
    return Source(shown, name, "notebook", source.code, source.shifts, source.cells, source.skipped)
