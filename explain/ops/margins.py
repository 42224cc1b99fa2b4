"""Losses with a margin: nothing is lost where the right answer is ahead by enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import Sample
from explain.ops.loss import composed, reduction_of
from explain.ops.registry import composite

PAIR = Sample(((2, 3), (2, 3)))
SIGNS = np.array([1.0, -1.0])


def _size(t: Any) -> str:
    return f"torch.Size({list(t.shape)})"


def _margin_ranking_loss(
    xp: Any,
    input1: Any,
    input2: Any,
    target: Any,
    *,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """max(0, −t (x₁ − x₂) + margin): which of the two should be larger is said by t, 1 or −1."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {_size(input1)}, input2: {_size(input2)}, target: {_size(target)} "
        )
    ahead = xp.mul(xp.neg(target), xp.sub(input1, input2))
    return composed(xp, xp.clamp_min(xp.add(ahead, margin), 0), reduction_of(reduction, size_average, reduce))


def _hinge_embedding_loss(
    xp: Any,
    input: Any,
    target: Any,
    *,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """The distance x itself where t = 1 (alike), max(0, margin − x) where t = −1 (different)."""
    short = xp.clamp_min(xp.rsub(input, margin), 0)
    apart = xp.where(xp.not_equal(target, 1), short, 0.0)
    alike = xp.where(xp.not_equal(target, -1), input, 0.0)
    return composed(xp, xp.add(apart, alike), reduction_of(reduction, size_average, reduce))


def _cosine_embedding_loss(
    xp: Any,
    input1: Any,
    input2: Any,
    target: Any,
    *,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """1 − cos where t = 1 (alike), max(0, cos − margin) where t = −1 (different)."""
    reduction = reduction_of(reduction, size_average, reduce)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    rank = target.ndim + 1
    if not input1.ndim == input2.ndim == rank:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank}D input tensors, but found inputs with sizes {list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    tiny = 1e-12
    products, squares1, squares2 = (
        xp.sum(xp.mul(a, b), dim=target.ndim) for a, b in ((input1, input2), (input1, input1), (input2, input2))
    )
    lengths = xp.sqrt(xp.mul(xp.add(squares1, tiny), xp.add(squares2, tiny)))
    cosine = xp.div(products, lengths)
    alike = xp.where(xp.equal(target, 1), xp.rsub(cosine, 1), 0.0)
    apart = xp.where(xp.equal(target, -1), xp.clamp_min(xp.sub(cosine, margin), 0), 0.0)
    return composed(xp, xp.add(alike, apart), reduction)


def _ahead(xp: Any, distances: tuple[Any, Any], margin: float, reduction: str) -> Any:
    """max(0, margin + the distance from the positive − the distance from the negative), and the mean or sum."""
    near, far = distances
    return composed(xp, xp.clamp_min(xp.sub(xp.add(near, margin), far), 0), reduction)


def _triplet_margin_loss(
    xp: Any,
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + d(anchor, positive) − d(anchor, negative)) for distances d in the p-norm."""
    reduction = reduction_of(reduction, size_average, reduce)

    def distance(a: Any, b: Any) -> Any:
        return xp.pairwise_distance(a, b, p=p, eps=eps)

    return _triplet(xp, distance, (anchor, positive, negative), margin, swap, reduction)


def _triplet_margin_with_distance_loss(
    xp: Any,
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """The same with a distance of one's own."""
    distance = distance_function or xp.pairwise_distance
    return _triplet(xp, distance, (anchor, positive, negative), margin, swap, reduction_of(reduction))


def _triplet(
    xp: Any, distance: Callable[[Any, Any], Any], tensors: tuple[Any, Any, Any], margin: float, swap: bool, reduction: str
) -> Any:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    ranks = [t.ndim for t in tensors]
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {ranks[0]}D, positive {ranks[1]}D, and negative {ranks[2]}D inputs"
        )
    anchor, positive, negative = tensors
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = xp.minimum(far, distance(positive, negative))
    return _ahead(xp, (near, far), margin, reduction)


def _multilabel_soft_margin_loss(
    xp: Any,
    input: Any,
    target: Any,
    *,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """−(t log σ(x) + (1 − t) log σ(−x)), the mean over the classes of every row, and the mean over the rows."""
    reduction = reduction_of(reduction, size_average, reduce)
    yes = xp.mul(target, xp.logsigmoid(input))
    no = xp.mul(xp.rsub(target, 1), xp.logsigmoid(xp.neg(input)))
    losses = xp.neg(xp.add(yes, no))
    if weight is not None:
        losses = xp.mul(losses, weight)
    return composed(xp, xp.div(xp.sum(losses, dim=-1), input.shape[-1]), reduction)


_TRIPLE = (Sample(((2, 3), (2, 3), (2, 3))),)
_ROWS = (Sample(((2, 3), (2, 3), SIGNS)),)
composite(
    "margin_ranking_loss", _margin_ranking_loss, functions=("F.margin_ranking_loss",), numbers=(),
    samples=(Sample(((2,), (2,), SIGNS)),),
)  # fmt: skip
composite(
    "hinge_embedding_loss", _hinge_embedding_loss, functions=("F.hinge_embedding_loss",), numbers=(),
    samples=(Sample(((2,), SIGNS)),),
)  # fmt: skip
composite("cosine_embedding_loss", _cosine_embedding_loss, functions=("F.cosine_embedding_loss",), numbers=(), samples=_ROWS)
composite("triplet_margin_loss", _triplet_margin_loss, functions=("F.triplet_margin_loss",), numbers=(), samples=_TRIPLE)
composite(
    "triplet_margin_with_distance_loss", _triplet_margin_with_distance_loss,
    functions=("F.triplet_margin_with_distance_loss",), numbers=(), samples=_TRIPLE,
)  # fmt: skip
composite(
    "multilabel_soft_margin_loss", _multilabel_soft_margin_loss, functions=("F.multilabel_soft_margin_loss",), numbers=(),
    samples=(PAIR,),
)  # fmt: skip
