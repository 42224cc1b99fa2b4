"""Torch's functions made from what the ops declare: one callable per name in a namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explain.ops.registry import TORCH
from explain.tape.apply import call


def function(namespace: str, name: str) -> Callable[..., Any]:
    """The function that torch offers as ``name`` in ``namespace`` (``""``, ``F``, ``linalg``, ``special``)."""
    table = TORCH[namespace]

    def called(*args: Any, **kwargs: Any) -> Any:
        return call(table, name, *args, **kwargs)

    called.__name__ = called.__qualname__ = name
    called.__doc__ = "\n\n".join(op.__doc__ or "" for op in table[name]) or None
    return called


def functions(namespace: str) -> dict[str, Callable[..., Any]]:
    """All functions of a namespace that ops declare, by name."""
    return {name: function(namespace, name) for name in TORCH[namespace]}
