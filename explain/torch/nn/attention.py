"""Attention and transformer layers, made of their parts."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from explain.torch.creation import empty, full, zeros
from explain.torch.nn import init
from explain.torch.nn.build import functional
from explain.torch.nn.layers import Dropout, LayerNorm, Linear
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer; torch prints it under this name inside of attention."""


class MultiheadAttention(Module):
    """softmax(Q Kᵀ / √d) V in several heads."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if add_bias_kv or add_zero_attn or (kdim or embed_dim) != embed_dim or (vdim or embed_dim) != embed_dim:
            raise NotImplementedError("MultiheadAttention with add_bias_kv, add_zero_attn, kdim or vdim is not served here")
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.head_dim = embed_dim // num_heads
        self.in_proj_weight = Parameter(empty(3 * embed_dim, embed_dim, dtype=dtype))
        if bias:
            self.in_proj_bias = Parameter(empty(3 * embed_dim, dtype=dtype))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        init.xavier_uniform_(self.in_proj_weight)
        if bias:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Any:
        """(what was attended to, the weights)."""
        batched = query.ndim == 3
        q, k, v = (t if batched else t.unsqueeze(1 if not self.batch_first else 0) for t in (query, key, value))
        if self.batch_first:
            q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        linear, d = functional("linear"), self.embed_dim
        biases = self.in_proj_bias.chunk(3) if self.in_proj_bias is not None else (None,) * 3
        weights = self.in_proj_weight.chunk(3)
        q, k, v = (linear(t, w, b) for t, w, b in zip((q, k, v), weights, biases, strict=True))
        heads = [t.reshape(t.shape[0], t.shape[1] * self.num_heads, self.head_dim).transpose(0, 1) for t in (q, k, v)]
        scores = (heads[0] * math.sqrt(1.0 / self.head_dim)) @ heads[1].mT
        scores = self._masked(scores, attn_mask, key_padding_mask, q.shape[1])
        shares = functional("softmax")(scores, -1)
        if self.dropout and self.training:
            shares = functional("dropout")(shares, self.dropout, True)
        out = (shares @ heads[2]).transpose(0, 1).reshape(q.shape[0], q.shape[1], d)
        out = self.out_proj(out)
        if self.batch_first:
            out = out.transpose(0, 1)
        shown = None
        if need_weights:
            shown = shares.reshape(q.shape[1], self.num_heads, *shares.shape[1:])
            shown = shown.mean(1) if average_attn_weights else shown
            shown = shown if batched else shown.squeeze(0)
        return (out if batched else out.squeeze(0 if self.batch_first else 1)), shown

    def _masked(self, scores: Any, attn_mask: Any, padding: Any, batch: int) -> Any:
        lowest = -math.inf
        if attn_mask is not None:
            mask = attn_mask
            scores = scores.masked_fill(mask, lowest) if mask.array.dtype.kind == "b" else scores + mask
        if padding is not None:
            wide = padding.reshape(batch, 1, 1, -1).expand(batch, self.num_heads, 1, padding.shape[-1])
            wide = wide.reshape(batch * self.num_heads, 1, -1)
            scores = scores.masked_fill(wide, lowest) if padding.array.dtype.kind == "b" else scores + wide
        return scores


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer net, each with a shortcut and a layer norm."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[..., Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, dtype=dtype)
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.norm_first = norm_first
        self.activation = activation if callable(activation) else functional(activation)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """The same shape again."""
        x = src
        if self.norm_first:
            x = x + self._attended(self.norm1(x), src_mask, src_key_padding_mask)
            return x + self._fed_forward(self.norm2(x))
        x = self.norm1(x + self._attended(x, src_mask, src_key_padding_mask))
        return self.norm2(x + self._fed_forward(x))

    def _attended(self, x: Any, mask: Any, padding: Any) -> Any:
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask)[0])

    def _fed_forward(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    """Encoder layers one after the other."""

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None, **options: Any) -> None:
        super().__init__()
        from explain.torch.nn.containers import ModuleList

        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = None) -> Any:
        """The same shape again."""
        for one in self.layers:
            src = one(src, mask, src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


class Transformer(Module):
    """Only its mask is served; the layers are ``TransformerEncoderLayer``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("nn.Transformer as a whole is not served here; its encoder layers are")

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """Minus infinity above the diagonal, zero elsewhere."""
        return full((sz, sz), -math.inf, dtype=dtype).triu(1) if sz else zeros(0, 0)
