"""The course that a program took to a result: how often loops ran, which branches were taken."""

from __future__ import annotations

from explain.derivation.model import Note
from explain.program.instrument import Construct
from explain.program.session import Event, Group
from explain.tape.trace import calls_of


def course(group: Group) -> tuple[Note, ...]:
    """What happened between the first operation behind a result and the call that asked for its gradient."""
    walk = group.first
    calls = [(call.order, call.place.line) for call in calls_of(walk) if call.place is not None]
    if not calls or walk.place is None:
        return ()
    first, line = min(calls)
    around = [event for event in group.events if event.construct.holds(line)]
    start = _begun([event for event in around if not event.construct.holds(walk.place.line)], first)
    lines = {line for _, line in calls}
    notes = []
    for construct, events in _by_construct(group.events, start, walk.order).items():
        if construct.holds(walk.place.line):
            continue  # the call itself stands in it: a training loop
        if construct.kind == "loop" and any(construct.holds(line) for line in lines):
            notes.append(_loop(construct, events))
        elif construct.kind == "branch" and construct.binds:
            taken = sum(event.taken for event in events)
            details = {"line": construct.line, "code": construct.code, "yes": taken, "no": len(events) - taken}
            notes.append(Note("branch", details))
    return tuple(sorted(notes, key=lambda n: n.details["line"]))


def _begun(around: list[Event], first: int) -> int:
    """When the course begins: with the outermost of the loops and branches ``around`` the first operation, or with it."""
    last = {event.construct: event.order for event in around if event.order < first}
    return min(last.values(), default=first)


def _by_construct(events: tuple[Event, ...], start: int, end: int) -> dict[Construct, list[Event]]:
    """The events between two moments; of a loop also the last one before, which the first operation may have run in: it
    may stand in a function that the loop calls."""
    found: dict[Construct, list[Event]] = {}
    before: dict[Construct, Event] = {}
    for event in events:
        if event.order > end:
            continue
        if event.order >= start:
            found.setdefault(event.construct, []).append(event)
        elif event.construct.kind == "loop" and event.count[0]:
            before[event.construct] = event
    for construct, event in before.items():
        found.setdefault(construct, [event])
    return found


def _loop(construct: Construct, events: list[Event]) -> Note:
    turns = sum(event.count[0] for event in events)
    if len(events) == 1:
        return Note("loop", {"line": construct.line, "count": turns})
    return Note("loops", {"line": construct.line, "times": len(events), "count": turns})
