"""Where the blocks of a text stand: explain fences and ``{explain: …}`` in Markdown, explain directives and roles in
reStructuredText. For hosts that see lines and have no tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

OPENING = "{explain:"
FENCE = re.compile(r"(?P<indent>[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*)(?P<marks>`{3,}|~{3,}|:{3,})[ \t]*(?P<info>[^`\n]*)$")
HOLDER = re.compile(r"[ \t>]*(?:[-*+][ \t]|\d+[.)][ \t]|!!!|\?\?\?|===|:|\[\^)")
"""Lines under which indented text is no code: list items, admonitions, tabs, definitions, footnotes."""
OURS = re.compile(r"(?:explain|(?P<directive>\{\.?explain\}))(?=\s|$)(?P<rest>.*)$")
OPTION = re.compile(r"\s*:([\w-]+):(?:\s+(.*))?$")
DIRECTIVE = re.compile(r"([ \t]*)\.\.[ \t]+explain::[ \t]*(.*)$")
ROLE = re.compile(r":explain:`([^`]+)`")
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block: ``text[start:end]`` of the page, whole lines without the end of the last one. ``line``: of the first line of
    ``body``. ``indent``: what stands before its first line. ``inline``: it stands in a line, and has no ``info``."""

    body: str
    line: int
    start: int
    end: int
    info: str = ""
    indent: str = ""
    inline: bool = False


def scan(text: str, form: str = "md") -> list[Block]:
    """The blocks of a page, in their order. ``form``: md or rst. Code that shows how a block is written is none."""
    return list(_scan_rst(text) if form == "rst" else _scan_md(text))


def _scan_md(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    starts = _starts(lines)
    k = prose = 0
    while k < len(lines):
        match = FENCE.match(lines[k])
        last = k
        if lines[k].rfind("<!--") > lines[k].rfind("-->"):
            last = next((n for n in range(k + 1, len(lines)) if "-->" in lines[n]), len(lines) - 1)
        elif match is not None and (match["marks"][0] != ":" or OURS.match(match["info"])) and _stands(lines, k):
            last = _closing(lines, k, match["marks"])
        if last > k or match is not None:
            yield from _in_lines(text, starts[prose], starts[k])
            ours = OURS.match(match["info"].strip()) if match is not None and last > k else None
            if match is not None and ours is not None:
                body = [_outdented(line, len(match["indent"])) for line in lines[k + 1 : last]]
                info, line = ours["rest"].strip(), k + 2
                if ours["directive"]:
                    options = list(takewhile(OPTION.match, body))
                    first = [info] if info else []
                    body, info, line = [*_marked(options), *first, *body[len(options) :]], "", line - len(first)
                end = starts[min(last + 1, len(lines))] - 1
                yield Block("\n".join(body), line, starts[k], end, info, match["indent"])
            prose = last + 1
        k = last + 1
    yield from _in_lines(text, starts[min(prose, len(lines))], len(text))


def _scan_rst(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    starts = _starts(lines)
    k = 0
    while k < len(lines):
        match = DIRECTIVE.match(lines[k])
        if match is None:
            for role in ROLE.finditer(lines[k]):
                yield Block(role[1], k + 1, starts[k] + role.start(), starts[k] + role.end(), inline=True)
            k += 1
            continue
        last = k
        for n in range(k + 1, len(lines)):
            if lines[n].strip() and _indent(lines[n]) <= len(match[1]):
                break
            last = n if lines[n].strip() else last
        inner = [lines[n] for n in range(k + 1, last + 1)]
        margin = min((_indent(line) for line in inner if line.strip()), default=0)
        body = [line[margin:] for line in inner]
        options = list(takewhile(OPTION.match, body))
        first = [match[2].strip()] if match[2].strip() else []
        body = [*_marked(options), *first, *body[len(options) :]]
        yield Block("\n".join(body), k + 2 - len(first), starts[k], starts[last + 1] - 1, indent=match[1])
        k = last + 1


def _in_lines(text: str, start: int, end: int) -> Iterator[Block]:
    """``{explain: …}`` up to the brace that closes it, outside of code."""
    at = start
    while (found := text.find(OPENING, at, end)) >= 0:
        code = next((c for c in CODE.finditer(text, at, end) if c.start() < found < c.end()), None)
        stop = code.end() if code else closing_brace(text, found, end)
        if stop is None:
            return
        if code is None:
            body = text[found + len(OPENING) : stop - 1].strip()
            yield Block(body, text.count("\n", 0, found) + 1, found, stop, inline=True)
        at = stop


def closing_brace(text: str, start: int, end: int) -> int | None:
    """Where the braces that open at ``start`` are closed: the place after the last one."""
    depth = 0
    for at in range(start, end):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return None


def _starts(lines: Sequence[str]) -> list[int]:
    """Where each line begins; the last item is where one after the last would."""
    found = [0]
    for line in lines:
        found.append(found[-1] + len(line) + 1)
    return found


def _stands(lines: Sequence[str], k: int) -> bool:
    """Whether an indented fence is a fence, and not a line of indented code."""
    mine = _indent(lines[k])
    if mine < 4:
        return True
    for line in reversed(lines[:k]):
        if line.strip() and _indent(line) < mine:
            mine = _indent(line)
            if HOLDER.match(line):
                return True
    return False


def _closing(lines: Sequence[str], k: int, marks: str) -> int:
    closing = re.compile(rf"[ \t>]*{re.escape(marks[0])}{{{len(marks)},}}[ \t]*$")
    return next((n for n in range(k + 1, len(lines)) if closing.match(lines[n])), len(lines))


def _outdented(line: str, columns: int) -> str:
    before = line[:columns]
    return line[columns:] if not before.strip(" \t>") else line.lstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _marked(options: Sequence[str]) -> list[str]:
    """Options in a directive's own form, as a fence has them."""
    return [OPTION.sub(r"#| \1: \2", line) for line in options]
