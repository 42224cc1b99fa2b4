"""Attention: softmax(Q Kᵀ/√d) V, with masks, made of its parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Array, Sample, numpy_dtype, plain_array, word
from explain.ops.random import default_generator
from explain.ops.registry import composite

NAMES = {"d": "double", "f": "float", "e": "c10::Half", "l": "long int", "q": "long int", "i": "int", "?": "bool"}


def _check(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    dtypes = [numpy_dtype(t) for t in (query, key, value)]
    if len(set(dtypes)) > 1:
        shown = [NAMES.get(d.char, word(d)) for d in dtypes]
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {shown[0]} key.dtype: {shown[1]} "
            f"and value.dtype: {shown[2]} instead."
        )
    ranks = [len(t.shape) for t in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {ranks[0]} key.dim: "
            f"{ranks[1]} and value.dim: {ranks[2]} instead."
        )
    if attn_mask is not None and numpy_dtype(attn_mask).kind not in "bf":
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{NAMES.get(numpy_dtype(attn_mask).char, '')} and  query.dtype: {NAMES.get(dtypes[0].char, '')} instead."
        )


def masked_shares(xp: Any, scores: Any, seen: Array | None) -> Any:
    """The softmax of the scores along the last axis, over what is seen; a row that sees nothing gives nothing."""
    if seen is None:
        return xp.softmax(scores, dim=-1)
    shape = np.broadcast_shapes(tuple(scores.shape), seen.shape)
    rows = np.broadcast_to(seen, shape).any(axis=-1, keepdims=True)
    if rows.all():
        return xp.softmax(xp.where(seen, scores, -math.inf), dim=-1)
    shares = xp.softmax(xp.where(rows, xp.where(seen, scores, -math.inf), 0.0), dim=-1)
    return xp.where(rows, shares, 0.0)


def dropped(xp: Any, x: Any, p: float) -> Any:
    """Entries dropped with probability p, the others scaled."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    shape = tuple(x.shape)
    keep = (default_generator.uniform53(math.prod(shape)) < 1 - p).reshape(shape)
    return xp.dropout(x, keep, p=p)


def _repeated_heads(xp: Any, t: Any, heads: int) -> Any:
    """Each head of keys or values for several heads of queries."""
    shape = tuple(t.shape)
    times = heads // shape[-3]
    wide = xp.expand(xp.unsqueeze(t, dim=-3), shape=(*shape[:-2], times, *shape[-2:]))
    return xp.reshape(wide, shape=(*shape[:-3], heads, *shape[-2:]))


def _attention(
    xp: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    *,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(scale · Q Kᵀ + mask) V; a mask of truth values says what is seen, one of numbers is added."""
    _check(query, key, value, attn_mask)
    if enable_gqa:
        key, value = (_repeated_heads(xp, t, tuple(query.shape)[-3]) for t in (key, value))
    width = query.shape[-1]
    factor = (1 / math.sqrt(width) if width else 1.0) if scale is None else scale
    scores = xp.mul(xp.matmul(query, xp.mT(key)), float(factor))
    seen: Array | None = None
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        seen = np.tri(query.shape[-2], key.shape[-2], dtype=bool)
    elif attn_mask is not None and numpy_dtype(attn_mask).kind == "b":
        seen = plain_array(attn_mask)
    elif attn_mask is not None:
        scores = xp.add(scores, attn_mask)
        values = plain_array(scores)
        if np.isneginf(values).all(axis=-1).any():
            seen = ~np.isneginf(values)
    shares = masked_shares(xp, scores, seen)
    if dropout_p:
        shares = dropped(xp, shares, dropout_p)
    return xp.matmul(shares, value)


composite(
    "scaled_dot_product_attention",
    _attention,
    functions=("F.scaled_dot_product_attention",),
    order=("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
    samples=(Sample(((2, 3), (2, 3), (2, 3))), Sample(((2, 3), (2, 3), (2, 3)), {"is_causal": True})),
)
