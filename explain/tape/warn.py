"""Torch's warnings, and those that torch gives once per process: here once per run of a program."""

from __future__ import annotations

import warnings

_said: set[str] = set()


def warn(message: str, stacklevel: int = 3) -> None:
    """A UserWarning in torch's words."""
    warnings.warn(message, UserWarning, stacklevel=stacklevel)


def once(message: str) -> None:
    """A UserWarning that is given once."""
    if message not in _said:
        _said.add(message)
        warn(message, 4)


def forget() -> None:
    """A new process begins, as far as warnings go."""
    _said.clear()
