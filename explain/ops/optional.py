"""Ops that torch calls with arguments in an order of its own, some of whose tensors may be missing: a bias, a weight."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from explain.ops.base import ARGUMENT_ALIASES, REQUIRED, TENSOR_ALIASES, NoMatch, Op, Options

LEADING = {"forward": 0, "compose": 1, "given": 1, "formula": 2, "vjp": 4}
"""The methods that take the tensors, and how many arguments stand before them."""


class WithOptional(Op):
    """An op some of whose tensors may be missing.

    Its methods are written with all tensors by position, with the default None for those that may be missing. The tape
    holds only the tensors that are there; where one is missing before one that is there, the option ``missing`` names it.
    """

    order: tuple[str, ...] = ()  # torch's order of the arguments; empty: tensors first, then the options
    c_name: str = ""  # torch's own function, as its messages call it

    def __init__(self) -> None:
        signature = inspect.signature(self.forward)
        self.optional = frozenset(p.name for p in signature.parameters.values() if p.default is None and _is_tensor(p))
        super().__init__()
        self.option_defaults["missing"] = ()
        self.order = self.order or (*self.tensor_names, *(name for name in self.option_defaults if name != "missing"))
        for name, leading in LEADING.items():
            if hasattr(self, name) and (name != "given" or type(self).given is not Op.given):
                setattr(self, name, self._filled(getattr(self, name), leading))
        self.special = {kind: self._filled(mask, 0) for kind, mask in self.special.items()}

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = self.sorted_call(args, kwargs)
        self.refuse_constants(given)
        self.adjust(given)
        there = [name for name in self.tensor_names if given.get(name) is not None]
        absent = [name for name in self.tensor_names if name not in there]
        ins = tuple([given[name] for name in there])
        options = {name: value for name, value in given.items() if name not in self.tensor_names}
        between = tuple([name for name in absent if self._stands_before(name, there)])
        if between:
            options["missing"] = between
        return ins, options

    def sorted_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name. Raises NoMatch where they do not fit."""
        if len(args) > len(self.order):
            raise NoMatch(f"{self.name}() takes at most {len(self.order)} arguments, got {len(args)}")
        given = dict(zip(self.order, args, strict=False))
        for key, value in kwargs.items():
            name = ARGUMENT_ALIASES.get(key, key) if key not in self.order else key
            if name in TENSOR_ALIASES and name not in self.order:
                name = self.tensor_names[TENSOR_ALIASES.index(name)]
            if name not in self.order or name in given:
                raise NoMatch(self._unexpected({key: value}))
            given[name] = value
        needed = [name for name in self.tensor_names if name not in self.optional]
        needed += [name for name, default in self.option_defaults.items() if default is REQUIRED]
        lost = [name for name in needed if name not in given]
        if lost:
            raise NoMatch(f"{self.name}() needs {', '.join(lost)}")
        return given

    def refuse_constants(self, given: dict[str, Any]) -> None:
        """Raise torch's error for a tensor that requires a gradient which torch has no formula for."""
        for name in self.constants:
            if getattr(given.get(name), "requires_grad", False):
                raise RuntimeError(
                    f"The function '{self.c_name or self.name}' is not differentiable with respect to argument '{name}'. "
                    "This input cannot have requires_grad True."
                )

    def input_name(self, k: int, options: Options) -> str:
        return [name for name in self.tensor_names if name not in options.get("missing", ())][k]

    def adjust(self, given: dict[str, Any]) -> None:
        """Bring the arguments of a call, by name, into the form that the op computes with. Raises torch's errors."""

    def keeps(self, needs: tuple[bool, ...]) -> tuple[tuple[bool, ...] | None, bool]:
        kept, reads_result = super().keeps((*needs, *[False] * (len(self.tensor_names) - len(needs))))
        kept = kept and kept[: len(needs)]
        return (kept if kept and any(kept) else None), reads_result

    def _stands_before(self, name: str, there: list[str]) -> bool:
        after = self.tensor_names[self.tensor_names.index(name) + 1 :]
        return any(other in there for other in after)

    def _fill(self, ins: Iterable[Any], missing: tuple[str, ...], blank: Any = None) -> tuple[Any, ...]:
        rest = iter(ins)
        return tuple([blank if name in missing else next(rest, blank) for name in self.tensor_names])

    def _filled(self, method: Callable[..., Any], leading: int) -> Callable[..., Any]:
        """The method with None for the tensors that are missing; a vjp's answers for those that are there."""

        def filled(*args: Any, missing: tuple[str, ...] = (), **options: Any) -> Any:
            return method(*args[:leading], *self._fill(args[leading:], missing), **options)

        def filled_vjp(
            xp: Any, needs: tuple[bool, ...], g: Any, y: Any, *ins: Any, missing: tuple[str, ...] = (), **options: Any
        ) -> Any:
            found = method(xp, self._fill(needs, missing, False), g, y, *self._fill(ins, missing), **options)
            there = [k for k, name in enumerate(self.tensor_names) if name not in missing][: len(ins)]
            return tuple([found[k] for k in there])

        return filled_vjp if leading == LEADING["vjp"] else filled


def _is_tensor(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.POSITIONAL_OR_KEYWORD
