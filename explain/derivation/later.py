"""Parts of frozen data that are made when somebody asks for them: most of what a loop repeats is never looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

L = TypeVar("L", bound="Lazily")


class Lazily:
    """A frozen dataclass some of whose fields may be made at the first look, and kept. Such fields have no default."""

    def __getattr__(self, name: str) -> Any:
        make = vars(self).get("_later", {}).get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        found = vars(self)[name] = make()
        return found


def lazily(kind: type[L], later: dict[str, Callable[[], Any]], **now: Any) -> L:
    """A part of a kind. ``later``: how some of its fields are made, ``now``: all others."""
    assert _fields(kind) == later.keys() | now.keys()  # type: ignore[arg-type]
    assert not any(hasattr(kind, name) for name in later), "a default would be taken for what was made"
    part = object.__new__(kind)
    vars(part).update(now, _later=later)
    return part


def changed(part: L, later: dict[str, Callable[[], Any]], **now: Any) -> L:
    """A part with other fields: ``later`` as they are asked for, ``now`` at once. What stays is not looked at."""
    kept = {name: getattr(part, name) for name in _fields(type(part)) - later.keys() - now.keys()}  # type: ignore[arg-type]
    return lazily(type(part), later, **kept, **now)


@cache
def _fields(kind: Any) -> frozenset[str]:
    return frozenset(f.name for f in fields(kind))
