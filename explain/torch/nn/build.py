"""Modules that are one function of ``nn.functional`` with its options: declared in a line each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from explain.ops.loss import LEGACY, reduction_of
from explain.tape.tensor import Tensor
from explain.torch.nn.module import Module

FUNCTIONAL = "explain.torch.nn.functional"


def functional(name: str) -> Callable[..., Any]:
    """A function of ``nn.functional``, looked up when it is called."""
    return getattr(importlib.import_module(FUNCTIONAL), name)


def layer(
    name: str, function: str, defaults: dict[str, Any] | None = None, *, shown: str | None = None, required: int = 0
) -> type[Module]:
    """A module class whose ``forward`` calls ``function`` with the options that its constructor took.

    ``defaults``: the options in their order; the first ``required`` must be given. ``shown``: which are printed (all, if
    None), a star after a name prints the value alone.
    """
    options = dict(defaults or {})
    places = list(options)
    names = [name for name in places if name not in LEGACY]
    printed = names if shown is None else shown.split()

    def __init__(self: Module, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        given = dict(zip(places, args, strict=False))
        if len(args) > len(places):
            raise TypeError(
                f"{name}.__init__() takes from {1 + required} to {1 + len(places)} positional arguments but {1 + len(args)} "
                "were given"
            )
        for key, value in kwargs.items():
            if key not in options:
                raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{key}'")
            given[key] = value
        missing = [key for key in names[:required] if key not in given]
        if missing:
            words = " and ".join(f"'{key}'" for key in missing)
            raise TypeError(
                f"{name}.__init__() missing {len(missing)} required positional argument{'s' * (len(missing) > 1)}: {words}"
            )
        legacy = [given.get(key) for key in LEGACY if key in options]
        if legacy != [None] * len(legacy):
            given["reduction"] = reduction_of("mean", *legacy)
        for key in names:
            value = given.get(key, options[key])
            if isinstance(value, Tensor):
                self.register_buffer(key, value)
            else:
                setattr(self, key, value)

    def forward(self: Module, *inputs: Any) -> Any:
        return functional(function)(*inputs, **{key: getattr(self, key) for key in names})

    def extra_repr(self: Module) -> str:
        parts = []
        for key in printed:
            bare = key.rstrip("*")
            if bare == "inplace" and not getattr(self, bare):
                continue
            value = getattr(self, bare)
            parts.append(f"{value}" if key.endswith("*") else f"{bare}={value!r}" if bare != "padding_mode" else "")
        return ", ".join(parts)

    doc = f"``nn.functional.{function}`` as a module."
    members = {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": doc, "__module__": __name__}
    return type(name, (Module,), members)
