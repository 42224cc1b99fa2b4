"""Embeddings as torch calls them: rows of a table by their numbers, and bags of them added up."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from explain.ops.base import Array, Sample, numpy_dtype, plain_array
from explain.ops.indexing import Slot
from explain.ops.registry import composite

ROWS = (Slot(0, False),)


def _row_number(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if padding_idx >= rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    if padding_idx < -rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def _held(t: Any) -> Any:
    """The same values, through which nothing flows back."""
    return t.detach() if hasattr(t, "detach") else t


def _with_frequency(xp: Any, weight: Any, indices: Array) -> Any:
    """The weight, whose rows get their gradient divided by how often they are named."""
    counts = np.bincount(indices.reshape(-1), minlength=weight.shape[0])
    share = (1 / np.maximum(1, counts)).astype(numpy_dtype(weight))[:, None]
    scaled = xp.mul(weight, share)
    return xp.add(scaled, _held(xp.sub(weight, scaled)))


def _limited(weight: Any, indices: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are named, in place, so that their norm is at most ``max_norm``."""
    values = plain_array(weight)
    rows = np.unique(indices)
    sizes = np.linalg.norm(values[rows], ord=norm_type, axis=1)
    scale = np.where(sizes > max_norm, max_norm / (sizes + 1e-7), 1.0)
    values[rows] *= scale[:, None].astype(values.dtype)


def _embedding(
    xp: Any,
    x: Any,
    weight: Any,
    *,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of the weight by their numbers; the row ``padding_idx`` gets no gradient."""
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    indices = plain_array(x)
    padding = _row_number(padding_idx, weight.shape[0])
    if max_norm is not None and indices.size:
        _limited(weight, indices, max_norm, norm_type)
    if scale_grad_by_freq:
        weight = _with_frequency(xp, weight, indices)
    if padding is not None and bool((indices == padding).any()):
        here = np.arange(weight.shape[0])[:, None] == padding
        weight = xp.where(here, _held(weight), weight)
    return xp.embedding(x, weight)


def _bags(indices: Array, offsets: Array | None, include_last_offset: bool) -> tuple[Array, int]:
    """(per entry the bag that it lies in, how many bags there are)."""
    if indices.ndim == 2:
        return np.repeat(np.arange(len(indices)), indices.shape[1]), len(indices)
    assert offsets is not None
    starts = offsets[:-1] if include_last_offset else offsets
    return np.searchsorted(starts, np.arange(indices.size), side="right") - 1, len(starts)


def _embedding_bag(
    xp: Any,
    x: Any,
    weight: Any,
    offsets: Any = None,
    per_sample_weights: Any = None,
    *,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum, mean or maximum of the rows in each bag: a row of ``input``, or what lies between two ``offsets``."""
    indices = plain_array(x)
    if numpy_dtype(weight).kind in "iu" and numpy_dtype(x).kind == "f":
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=4,
        )
        x, weight = weight, x
        indices = plain_array(x)
    if indices.ndim == 2 and offsets is not None:
        raise ValueError(
            f"if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
            f"However, found offsets of type {type(offsets)}"
        )
    if indices.ndim == 1 and offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if indices.ndim not in (1, 2):
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {indices.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and tuple(per_sample_weights.shape) != indices.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have the "
            f"same shape as the input ({list(indices.shape)})"
        )
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}'). Please open a feature request on GitHub."
        )
    if offsets is not None:
        first = plain_array(offsets)
        if first.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        if first.size and first[0] != 0:
            raise RuntimeError(f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
                               f"position 0. However, got {first[0]}")  # fmt: skip
    if max_norm is not None and indices.size:
        _limited(weight, indices, max_norm, norm_type)
    if scale_grad_by_freq:
        weight = _with_frequency(xp, weight, indices)
    bag, count = _bags(indices, None if offsets is None else plain_array(offsets), include_last_offset)
    padding = _row_number(padding_idx, weight.shape[0])
    counts_there = np.ones(indices.size, bool) if padding is None else indices.reshape(-1) != padding
    rows = xp.embedding(xp.reshape(x, shape=(indices.size,)), weight)
    member = (np.arange(count)[:, None] == bag) & counts_there
    dtype = numpy_dtype(weight)
    if mode == "max":
        return _largest(xp, rows, member, dtype)
    if per_sample_weights is not None:
        rows = xp.mul(rows, xp.reshape(per_sample_weights, shape=(indices.size, 1)))
    divisor = np.maximum(1, member.sum(axis=1, keepdims=True)) if mode == "mean" else 1
    return xp.matmul((member / divisor).astype(dtype), rows)


def _largest(xp: Any, rows: Any, member: Array, dtype: Any) -> Any:
    """Per bag and column the largest entry, 0 for a bag without entries."""
    width = rows.shape[1]
    found = []
    for own in member:
        inside = np.flatnonzero(own)
        if inside.size:
            found.append(xp.max_dim(xp.index(rows, inside, index=ROWS), dim=0)[0])
        else:
            found.append(np.zeros(width, dtype))
    return xp.stack(*found, dim=0) if found else np.zeros((0, width), dtype)


composite(
    "functional_embedding",
    _embedding,
    functions=("F.embedding",),
    reads_values=(0,),
    order=("x", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
    samples=(Sample((np.array([1, 0]), (2, 2))),),
)
composite(
    "embedding_bag",
    _embedding_bag,
    grad_fn="EmbeddingBagBackward0", functions=("F.embedding_bag",),
    reads_values=(0, 2),
    order=(
        "x", "weight", "offsets", "max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse", "per_sample_weights",
        "include_last_offset", "padding_idx",
    ),
    samples=(Sample((np.array([[1, 0]]), (2, 2))),),
)  # fmt: skip
