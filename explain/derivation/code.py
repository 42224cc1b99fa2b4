"""The author's code of one step: the source of its last operation, with earlier steps under their names."""

from __future__ import annotations

from explain.tape.record import Tape


def code_of(tape: Tape, value: int, names: dict[int, str]) -> str | None:
    """The source text of the value, where every part that has a display name of its own stands under that name."""
    v = tape.values[value]
    if v.place is None:
        return None
    start, end = v.place.start, v.place.end
    parts = _named_parts(tape, value, names)
    text, at = "", start
    for left, right, name in sorted(parts):
        if left < at or right > end:
            continue
        text += v.place.text[at:left] + name
        at = right
    return text + v.place.text[at:end]


def _named_parts(tape: Tape, value: int, names: dict[int, str]) -> list[tuple[int, int, str]]:
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
                found.append((part.place.start, part.place.end, names[i]))
            else:
                todo.append(i)
    return found
