"""Torch's functions made from what the ops declare: one callable per name in a namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explain.ops.base import NoMatch, Op
from explain.ops.registry import TORCH, resolve
from explain.tape.apply import call, operands
from explain.tape.inplace import in_place
from explain.tape.tensor import Tensor

METHODS_TOO = (
    "abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip "
    "cos cosh deg2rad detach erf erfc exp exp2 expm1 fill fix floor frac i0 ldexp log log10 log1p log2 logit nan_to_num neg "
    "negative index_put rad2deg reciprocal round rsqrt sin sinc sinh sqrt square tan trunc xlogy zero"
).split()
"""Methods in place that torch offers as functions, too: ``torch.exp_(x)`` is ``x.exp_()``."""


def function(namespace: str, name: str) -> Callable[..., Any]:
    """The function that torch offers as ``name`` in ``namespace`` (``""``, ``F``, ``linalg``, ``special``)."""
    table = TORCH[namespace]

    def plain(*args: Any, **kwargs: Any) -> Any:
        return call(table, name, *args, **kwargs)

    def written(*args: Any, **kwargs: Any) -> Any:
        return _in_place(table, name, *args, **kwargs)

    before = table[name][0].before_inplace if namespace == "F" else 0
    called = written if name.endswith("_") else _switched(plain, written, before) if before else plain
    called.__name__ = called.__qualname__ = name
    called.__doc__ = "\n\n".join(op.__doc__ or "" for op in table[name]) or None
    return called


def _in_place(table: dict[str, tuple[Op, ...]], name: str, *args: Any, **kwargs: Any) -> Any:
    """A call whose result is written into its first tensor. Raises torch's errors."""
    try:
        op, ins, options = resolve(table, name, *args, **kwargs)
    except NoMatch as fault:
        raise TypeError(str(fault)) from None
    first, *others = operands(op, name, ins, options, False)
    if op.may_be_unchanged and op.unchanged((first.array.shape,), options):
        return first
    return in_place(first, op, tuple(others), options)


def _switched(plain: Callable[..., Any], written: Callable[..., Any], before: int) -> Callable[..., Any]:
    """A function with torch's option ``inplace`` behind its other arguments."""

    def called(*args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        if len(args) == before + 1:
            *args, inplace = args  # type: ignore[assignment]
        return (written if inplace else plain)(*args, **kwargs)

    return called


def functions(namespace: str) -> dict[str, Callable[..., Any]]:
    """All functions of a namespace that ops declare, by name."""
    found = {name: function(namespace, name) for name in TORCH[namespace]}
    if not namespace:
        found |= {f"{name}_": getattr(Tensor, f"{name}_") for name in METHODS_TOO}
    return found
