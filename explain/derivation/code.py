"""The author's code of one step: the source of its last operation, with earlier steps under their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from explain.tape.record import Tape

PICKED = re.compile(r"\)*\s*(\[\s*-?\d\s*\]|\.values|\.indices)")
"""What picks one of the results of an op with several: the name stands for the picked one."""


def code_of(tape: Tape, value: int, names: Mapping[int, str]) -> str | None:
    """The source text of the value, where every part that has a display name of its own stands under that name."""
    v = tape.values[value]
    if v.place is None:
        return None
    source, start, end = v.place.text, v.place.start, v.place.end
    parts = _named_parts(tape, value, names)
    text, at = "", start
    for left, right, name in sorted(parts):
        if left < at or right > end or (left, right) == (start, end):  # the last: the turn before in a loop
            continue
        if source[left - 1 : left] == "(" and source[right : right + 1] == ")" and left - 1 >= at and right < end:
            before = source[left - 2 : left - 1]
            if not (before.isalnum() or before in ("_", ")", "]")):  # parentheses of a part, not of a call
                left, right = left - 1, right + 1
        text += source[at:left] + name
        at = right
    return text + source[at:end]


def _named_parts(tape: Tape, value: int, names: Mapping[int, str]) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    todo = [value]
    while todo:
        source = tape.values[todo.pop()].source
        if source is None:
            continue
        for i in tape.applied[source[0]].inputs:
            part = tape.values[i]
            if part.source is None:
                continue
            if i in names and part.place is not None:
                several = len(tape.applied[part.source[0]].outputs) > 1
                chosen = PICKED.match(part.place.text, part.place.end) if several else None
                found.append((part.place.start, chosen.end() if chosen else part.place.end, names[i]))
            else:
                todo.append(i)
    return found
