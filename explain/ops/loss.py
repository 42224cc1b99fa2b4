"""What losses have in common: one number per entry or per row, then their mean, their sum, or none of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from explain.ops.optional import WithOptional

REDUCTIONS = ("mean", "sum", "none")
LEGACY = ("size_average", "reduce")
"""How torch's reductions were spelled before ``reduction``; still taken, with a warning."""
ADD: Any = np.add


class Loss(WithOptional):
    """A loss with torch's option ``reduction``."""

    kind = "loss"

    def adjust(self, given: dict[str, Any]) -> None:
        given["reduction"] = reduction_of(given.get("reduction", "mean"), *(given.pop(name, None) for name in LEGACY))


def reduction_of(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction that is meant, also by the older options. Raises torch's ValueError for one that does not exist."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        message = f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead."
        warnings.warn(message, stacklevel=6)
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(losses: Any, reduction: str) -> Any:
    """The losses' mean or sum, or the losses."""
    if reduction == "none":
        return losses
    total = ADD.reduce(losses, axis=None)
    return total / losses.dtype.type(losses.size) if reduction == "mean" else total


def composed(xp: Any, losses: Any, reduction: str) -> Any:
    """The same, of losses that are made of ops."""
    return losses if reduction == "none" else xp.mean(losses) if reduction == "mean" else xp.sum(losses)


def shared(g: Any, count: int, reduction: str) -> Any:
    """The upstream as every one of ``count`` losses gets it."""
    return g / count if reduction == "mean" and count else g


def formula_of_reduction(
    s: Any, out: Sequence[Any], sizes: Sequence[Any], reduction: str, loss: Callable[[tuple[Any, ...]], Any]
) -> Any:
    """The mean or sum of ``loss`` over positions that run through ``sizes``, or one loss."""
    if reduction == "none":
        return loss(tuple(out))
    rows = tuple([s.index(n) for n in sizes])
    total = s.total(loss(rows), *rows)
    return total / s.count(*rows) if reduction == "mean" else total
