"""What torch makes of a few tensors at once: common shapes, grids, products of all pairs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Sample, Shape, broadcast_error, numpy_dtype
from explain.ops.joining import any_tensors
from explain.ops.registry import composite


def _expanded(xp: Any, x: Any, shape: Shape) -> Any:
    return xp.expand(x, shape=shape)


def _broadcast_tensors(xp: Any, *tensors: Any) -> Any:
    shapes = tuple([tuple(t.shape) for t in tensors])
    if error := broadcast_error(shapes):
        raise error
    shape = np.broadcast_shapes(*shapes)
    return tuple([_expanded(xp, t, shape) for t in tensors])


composite(
    "broadcast_tensors", _broadcast_tensors, functions=("broadcast_tensors",), bind=any_tensors,
    samples=(Sample(((2, 1), (3,))),),
)  # fmt: skip


def _broadcast_to_bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    named = {{"input": "x", "shape": "size"}.get(key, key): value for key, value in kwargs.items()}
    given = {**dict(zip(("x", "size"), args, strict=False)), **named}
    if given.keys() != {"x", "size"}:
        raise NoMatch("broadcast_to() takes a tensor and a size")
    return (given["x"],), {"size": tuple(given["size"])}


def _broadcast_to(xp: Any, x: Any, *, size: Any) -> Any:
    if len(size) < x.ndim or any(
        n not in (1, m) and m != -1 for n, m in zip(reversed(x.shape), reversed(size), strict=False)
    ):
        raise RuntimeError(
            f"The expanded size of the tensor {list(size)} must match the existing size {list(x.shape)} at non-singleton "
            "dimensions"
        )
    own = (1,) * (len(size) - x.ndim) + tuple(x.shape)
    return _expanded(xp, x, tuple(n if m == -1 else m for n, m in zip(own, size, strict=True)))


composite(
    "broadcast_to", _broadcast_to, functions=("broadcast_to",), bind=_broadcast_to_bind,
    samples=(Sample(((3,),), {"size": (2, 3)}),),
)  # fmt: skip


def _meshgrid(xp: Any, *tensors: Any, indexing: str | None = None) -> Any:
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}")
    if len({numpy_dtype(t) for t in tensors}) > 1:
        raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    turned = indexing == "xy" and len(tensors) > 1
    order = [tensors[1], tensors[0], *tensors[2:]] if turned else list(tensors)
    shape = tuple([math.prod(t.shape) for t in order])
    grids = []
    for k, t in enumerate(order):
        flat = xp.reshape(t, shape=tuple([n if axis == k else 1 for axis, n in enumerate(shape)]))
        grids.append(_expanded(xp, flat, shape))
    if turned:
        grids[:2] = grids[1::-1]
    return tuple(grids)


composite(
    "meshgrid", _meshgrid, functions=("meshgrid",), bind=any_tensors, samples=(Sample(((2,), (3,))),),
)  # fmt: skip


def _row(t: Any) -> Any:
    if t.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    return t


def _cartesian_prod(xp: Any, *tensors: Any) -> Any:
    if len(tensors) == 1:
        return xp.reshape(_row(tensors[0]), shape=tuple(tensors[0].shape))
    grids = _meshgrid(xp, *[_row(t) for t in tensors])
    return xp.stack(*[xp.reshape(grid, shape=(math.prod(grid.shape),)) for grid in grids], dim=1)


composite(
    "cartesian_prod", _cartesian_prod, functions=("cartesian_prod",), bind=any_tensors, samples=(Sample(((2,), (3,))),),
)  # fmt: skip


def _combinations(xp: Any, x: Any, *, r: int = 2, with_replacement: bool = False) -> Any:
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    n = _row(x).shape[0]
    if r == 0:
        return np.zeros(0, numpy_dtype(x)) if isinstance(x, np.ndarray) else xp.index(x, index=(slice(0, 0),))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(n), r)), np.int64).reshape(-1, r)
    return xp.stack(*[xp.index_select(x, np.ascontiguousarray(column), dim=0) for column in places.T], dim=1)


composite(
    "combinations", _combinations, functions=("combinations",), samples=(Sample(((3,),)),),
)  # fmt: skip


def _outer(xp: Any, x: Any, vec2: Any) -> Any:
    for name, t in (("self", x), ("vec2", vec2)):
        if t.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t.ndim}-D")
    return xp.mul(xp.reshape(x, shape=(x.shape[0], 1)), vec2)


def _kron(xp: Any, x: Any, other: Any) -> Any:
    rank = max(x.ndim, other.ndim)
    a, b = ((1,) * (rank - t.ndim) + tuple(t.shape) for t in (x, other))
    left = xp.reshape(x, shape=tuple(k for n in a for k in (n, 1)))
    right = xp.reshape(other, shape=tuple(k for n in b for k in (1, n)))
    return xp.reshape(xp.mul(left, right), shape=tuple(n * m for n, m in zip(a, b, strict=True)))


composite("outer", _outer, functions=("outer", "ger"), methods=("outer", "ger"), samples=(Sample(((2,), (3,))),))
composite(
    "kron", _kron, grad_fn="UnsafeViewBackward0", functions=("kron",), methods=("kron",), samples=(Sample(((2, 1), (1, 2))),)
)


def _sum_to_size_bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    x, *size = args
    if "size" in kwargs:
        size = [kwargs.pop("size")]
    return (x,), {"size": tuple(size[0]) if len(size) == 1 and isinstance(size[0], tuple | list) else tuple(size)}


def _sum_to_size(xp: Any, x: Any, *, size: Any) -> Any:
    added = x.ndim - len(size)
    if added < 0 or any(m not in (1, n) for n, m in zip(x.shape[added:], size, strict=True)):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(x.shape)}}}.")
    over = tuple(k for k, n in enumerate(x.shape) if k < added or (size[k - added] == 1 and n != 1))
    if not over:
        return xp.clone(x) if isinstance(x, np.ndarray) else x
    total = xp.sum(x, dim=over, keepdim=True)
    return xp.reshape(total, shape=tuple(size)) if added else total


composite(
    "sum_to_size", _sum_to_size, methods=("sum_to_size",), bind=_sum_to_size_bind,
    samples=(Sample(((2, 3),), {"size": (1, 3)}),),
)  # fmt: skip
