"""Copies of a tensor with a part replaced: select_scatter, slice_scatter, diagonal_scatter, index_put, put."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Sample, Shape, axes, plain_array
from explain.ops.registry import composite
from explain.ops.splitting import at_axis, one_axis


def _places(shape: Shape) -> Any:
    """Every position of a tensor, counted row by row, in the tensor's shape."""
    return np.arange(math.prod(shape)).reshape(shape)


def _replaced(xp: Any, x: Any, src: Any, positions: Any) -> Any:
    if tuple(src.shape) != positions.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(positions.shape)}"
        )
    return xp.written(x, src, positions=positions)


def _select_scatter(xp: Any, x: Any, src: Any, *, dim: int, index: int) -> Any:
    axis = one_axis("select", dim, tuple(x.shape))
    n = x.shape[axis]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(x.shape)} at dimension {dim}")
    return _replaced(xp, x, src, _places(tuple(x.shape))[at_axis(axis, index)])


def _slice_scatter(
    xp: Any, x: Any, src: Any, *, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    (axis,) = axes(dim, x.ndim)
    part = _places(tuple(x.shape))[at_axis(axis, slice(start, end, step))]
    return _replaced(xp, x, src, part)


def _diagonal_scatter(xp: Any, x: Any, src: Any, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    part = np.diagonal(_places(tuple(x.shape)), offset, dim1, dim2)
    return _replaced(xp, x, src, part)


for _name, _compose, _options in (
    ("select_scatter", _select_scatter, {"dim": 0, "index": 1}),
    ("slice_scatter", _slice_scatter, {"dim": 0, "start": 1}),
    ("diagonal_scatter", _diagonal_scatter, {}),
):
    _part = {"select_scatter": (2,), "slice_scatter": (1, 2), "diagonal_scatter": (2,)}[_name]
    composite(
        _name, _compose, functions=(_name,), methods=(_name,), samples=(Sample(((2, 2), _part), _options),),
        grad_fn="".join(map(str.capitalize, _name.split("_"))) + "Backward0",
    )  # fmt: skip


def _index_put_bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = ("x", "indices", "values", "accumulate")
    given = {**dict(zip(names, args, strict=False)), **{{"input": "x"}.get(k, k): v for k, v in kwargs.items()}}
    if not {"x", "indices", "values"} <= given.keys() <= set(names):
        raise NoMatch("index_put() takes a tensor, indices and values")
    return (given.pop("x"), given.pop("values")), {**given, "indices": tuple(given["indices"])}


def _index_put(xp: Any, x: Any, values: Any, *, indices: Any, accumulate: bool = False) -> Any:
    if values.dtype != x.dtype:
        raise RuntimeError("Index put requires the source and destination dtypes match")
    index = tuple([slice(None) if i is None else plain_array(i) for i in indices])
    positions = np.asarray(_places(tuple(x.shape))[index])
    if tuple(values.shape) != positions.shape:
        values = xp.expand(values, shape=positions.shape)
    if not accumulate:
        return xp.written(x, values, positions=positions, indexed=True)
    return xp.add(x, _arrived(xp, values, positions, tuple(x.shape)))


def _arrived(xp: Any, values: Any, positions: Any, shape: Shape) -> Any:
    row = xp.put_at(xp.reshape(values, shape=(positions.size,)), positions.reshape(-1), shape=(math.prod(shape),))
    return xp.reshape(row, shape=shape)


composite(
    "index_put_of", _index_put, functions=("index_put",), methods=("index_put",), bind=_index_put_bind, in_place=True,
    samples=(Sample(((3,), (2,)), {"indices": (np.array([0, 2]),)}),),
)  # fmt: skip


def _put(xp: Any, x: Any, index: Any, source: Any, *, accumulate: bool = False) -> Any:
    if source.dtype != x.dtype:
        raise RuntimeError(f"put_(): self and source expected to have the same dtype, but got {x.dtype} and {source.dtype}")
    where = plain_array(index)
    if where.dtype != np.int64:
        raise RuntimeError("put_(): Expected a long tensor for index")
    count = math.prod(x.shape)
    if where.size != math.prod(source.shape):
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{math.prod(source.shape)}, index.numel() = {where.size}"
        )
    if where.size and (where.min() < -count or where.max() >= count):
        raise IndexError(f"out of range: tried to access index {where.max()} on a tensor of {count} elements.")
    positions = (where % max(1, count)).reshape(-1)
    values = xp.reshape(source, shape=(positions.size,))
    if accumulate:
        return xp.add(x, _arrived(xp, values, positions, tuple(x.shape)))
    return xp.written(x, values, positions=positions, indexed=True)


composite(
    "put", _put, grad_fn="PutBackward0", functions=("put",), methods=("put",), reads_values=(1,), in_place=True,
    samples=(Sample(((3,), np.array([0, 2]), (2,))),),
)  # fmt: skip
