"""Sums over the positions where a mask is true, as sums over all positions with a bracket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Tuple

from explain.calculus.hoist import Bind, hoisted
from explain.calculus.symbols import FRESH, Entry, Index, Indicator, TensorName, Total, rebuild, walk_preorder


@dataclass(frozen=True, eq=False)
class Masked:
    """A mask by the arrays of positions where it is true, one per axis. ``sizes``: of its axes; ``holds``: the condition
    that it is true at an index."""

    positions: tuple[TensorName, ...]
    sizes: tuple[Any, ...]
    holds: Callable[[tuple[Index, ...]], Any]


def over_masks(e: Any, masks: Iterable[Masked], free: Sequence[Bind]) -> Any:
    """The formula with Σ_k f(p[k]), over the positions p of a mask, as Σ_i f(i)·[mask_i]. ``free``: the indices that are
    not bound, with their sizes."""
    for mask in masks:
        if e.has(*mask.positions):
            e = _over(e, mask, tuple(free))
    return e


def _over(e: Any, mask: Masked, free: tuple[Bind, ...]) -> Any:
    if not e.args:
        return e
    inner = (*free, *e.limits) if isinstance(e, Total) else free
    e = rebuild(e, [_over(a, mask, inner) for a in e.args])
    if not isinstance(e, Total):
        return e
    for k, n in e.limits:
        body = _everywhere(e.body, k, mask)
        if body is not None:
            indices = tuple(FRESH() for _ in mask.sizes)
            at = {Entry(p, k): i for p, i in zip(mask.positions, indices, strict=True)}
            limits = [limit for limit in e.limits if limit != Tuple(k, n)]
            limits += [Tuple(i, n) for i, n in zip(indices, mask.sizes, strict=True)]
            return hoisted((body.xreplace(at), Indicator(mask.holds(indices))), limits, free)
    return e


def _everywhere(body: Expr, k: Index, mask: Masked) -> Expr | None:
    """The body if it depends on ``k`` by all positions p[k] of the mask and by nothing else."""
    found = {part for part in walk_preorder(body) if isinstance(part, Entry) and part.tensor in mask.positions}
    wanted = {Entry(p, k) for p in mask.positions}
    return body if wanted <= found and not body.xreplace({part: part.tensor for part in wanted}).has(k) else None
