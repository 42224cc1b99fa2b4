"""Attention in several heads, with its projections, as one function: what ``nn.MultiheadAttention`` calls."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.attention import dropped, masked_shares
from explain.ops.base import Array, Sample, numpy_dtype, plain_array
from explain.ops.registry import composite


def _linear(xp: Any, x: Any, weight: Any, bias: Any) -> Any:
    return xp.linear(x, weight) if bias is None else xp.linear(x, weight, bias)


def _third(xp: Any, t: Any, k: int) -> Any:
    """The k-th third of stacked projections."""
    if t is None:
        return None
    size = t.shape[0] // 3
    return xp.index(t, index=(slice(k * size, (k + 1) * size),))


def _heads(xp: Any, t: Any, heads: int) -> Any:
    """(length, batch, width) as (batch and heads, length, width of a head)."""
    length, batch, width = t.shape
    return xp.transpose(xp.reshape(t, shape=(length, batch * heads, width // heads)), dim0=0, dim1=1)


class _Masks:
    """What may be seen (truth values) and what is added to the scores, of all masks together, (batch and heads, L, S)."""

    def __init__(self, heads: int) -> None:
        self.heads = heads
        self.seen: Array | None = None
        self.added: list[Any] = []

    def hide(self, hidden: Array) -> None:
        """Truth values: what is hidden."""
        self.seen = ~hidden if self.seen is None else self.seen & ~hidden

    def take(self, xp: Any, mask: Any, more: int) -> None:
        """A mask of scores, for ``more`` keys that were put after those it knows."""
        if mask is None:
            return
        if numpy_dtype(mask).kind == "b":
            self.hide(np.pad(plain_array(mask), [(0, 0)] * (len(mask.shape) - 1) + [(0, more)]))
        elif more:
            self.added.append(xp.cat(mask, np.zeros((*mask.shape[:-1], more), numpy_dtype(mask)), dim=-1))
        else:
            self.added.append(mask)

    def take_padding(self, xp: Any, mask: Any, more: int) -> None:
        """A mask of keys, (batch, S)."""
        if mask is None:
            return
        batch, size = mask.shape
        if numpy_dtype(mask).kind == "b":
            wide = np.pad(plain_array(mask), [(0, 0), (0, more)])
            self.hide(np.repeat(wide, self.heads, axis=0)[:, None, :])
            return
        wide = xp.expand(xp.reshape(mask, shape=(batch, 1, 1, size)), shape=(batch, self.heads, 1, size))
        self.take(xp, xp.reshape(wide, shape=(batch * self.heads, 1, size)), more)


def _attended(
    xp: Any,
    query: Any,
    key: Any,
    value: Any,
    out_proj_weight: Any,
    in_proj_weight: Any = None,
    in_proj_bias: Any = None,
    bias_k: Any = None,
    bias_v: Any = None,
    out_proj_bias: Any = None,
    key_padding_mask: Any = None,
    attn_mask: Any = None,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    *,
    embed_dim_to_check: int,
    num_heads: int,
    add_zero_attn: bool,
    dropout_p: float,
    training: bool = True,
    need_weights: bool = True,
    use_separate_proj_weight: bool = False,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """(what was attended to, the shares): every head attends with its own part of the projected queries, keys, values."""
    batched = len(query.shape) == 3
    if not batched:
        query, key, value = (xp.unsqueeze(t, dim=1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else xp.unsqueeze(key_padding_mask, dim=0)
    length, batch, width = query.shape
    if width != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    projected = []
    for k, t in enumerate((query, key, value)):
        weight = separate[k] if use_separate_proj_weight else _third(xp, in_proj_weight, k)
        projected.append(_linear(xp, t, weight, _third(xp, in_proj_bias, k)))
    q, keys, values = projected
    more = 0
    if bias_k is not None and bias_v is not None:
        keys, values = (
            xp.cat(t, xp.expand(b, shape=(1, batch, width)), dim=0) for t, b in ((keys, bias_k), (values, bias_v))
        )
        more += 1
    q = _heads(xp, q, num_heads)
    keys = _heads(xp, keys, num_heads) if static_k is None else static_k
    values = _heads(xp, values, num_heads) if static_v is None else static_v
    if add_zero_attn:
        nothing = np.zeros((batch * num_heads, 1, width // num_heads), numpy_dtype(q))
        keys, values = (xp.cat(t, nothing, dim=1) for t in (keys, values))
        more += 1
    masks = _Masks(num_heads)
    masks.take(xp, attn_mask, more)
    masks.take_padding(xp, key_padding_mask, more)
    scores = xp.matmul(xp.mul(q, math.sqrt(1.0 / (width // num_heads))), xp.mT(keys))
    for mask in masks.added:
        scores = xp.add(scores, mask)
    if need_weights:
        shown = scores if masks.seen is None else xp.where(masks.seen, scores, -math.inf)
        shares = xp.softmax(shown, dim=-1)
    else:
        shares = masked_shares(xp, scores, masks.seen)
    if dropout_p and training:
        shares = dropped(xp, shares, dropout_p)
    together = xp.reshape(xp.transpose(xp.matmul(shares, values), dim0=0, dim1=1), shape=(length * batch, width))
    out = _linear(xp, together, out_proj_weight, out_proj_bias)
    out = xp.reshape(out, shape=(length, batch, out.shape[1]))
    weights = None
    if need_weights:
        weights = xp.reshape(shares, shape=(batch, num_heads, length, keys.shape[1]))
        weights = xp.mean(weights, dim=1) if average_attn_weights else weights
        weights = weights if batched else xp.squeeze(weights, dim=0)
    return (out if batched else xp.squeeze(out, dim=1)), weights


composite(
    "multi_head_attention_forward",
    _attended,
    functions=("F.multi_head_attention_forward",),
    order=(
        "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v",
        "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask", "need_weights",
        "attn_mask", "use_separate_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k", "static_v",
        "average_attn_weights", "is_causal",
    ),
    samples=(
        Sample(
            ((2, 1, 2), (2, 1, 2), (2, 1, 2), (2, 2), (6, 2)),
            {"embed_dim_to_check": 2, "num_heads": 1, "add_zero_attn": False, "dropout_p": 0.0},
        ),
    ),
)  # fmt: skip
