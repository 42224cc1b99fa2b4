"""``vmap``: a function applied to every slice, and the results stacked. The slices run one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

from explain.tape.apply import TAPED
from explain.tape.tensor import Tensor
from explain.torch.tree import flatten, mapped, unflatten

Function = Callable[..., Any]


def vmap(
    func: Function, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Function:
    """``func`` over the axis ``in_dims`` of its arguments (None: the same for all), stacked along ``out_dims``.

    The returned function raises torch's ValueErrors for axes that do not fit and for results that are no tensors.
    """

    @functools.wraps(func)
    def mapped_function(*args: Any, **kwargs: Any) -> Any:
        name = getattr(func, "__name__", "<function>")
        leaves, dims, shape = _spread(args, in_dims, name)
        sizes = [leaf.array.shape[dim] for leaf, dim in zip(leaves, dims, strict=True) if dim is not None]
        sizes += [t.array.shape[0] for t in flatten(kwargs)[0] if isinstance(t, Tensor)]
        if not sizes:
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): at least one of the inputs must have a mapped dimension"
            )
        if len(set(sizes)) > 1:
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                f"{sizes} for the mapped dimension"
            )
        results = []
        for k in range(sizes[0]):
            slices = [
                leaf if dim is None else TAPED.select(leaf, dim=dim, index=k) for leaf, dim in zip(leaves, dims, strict=True)
            ]
            named = mapped(partial(_slice, k), kwargs)
            results.append(func(*unflatten(slices, shape), **named))
        return _stacked(results, out_dims, name)

    return mapped_function


def _slice(k: int, t: Any) -> Any:
    return t[k] if isinstance(t, Tensor) else t


def _spread(args: tuple[Any, ...], in_dims: Any, name: str) -> tuple[list[Any], list[int | None], Any]:
    """All leaves of the arguments, and per leaf the axis that is mapped."""
    if isinstance(in_dims, tuple | list) and len(in_dims) != len(args):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the structure of inputs. "
            f"in_dims has {len(in_dims)} entries but inputs has {len(args)}."
        )
    leaves, shape = flatten(args)
    dims: list[int | None] = []
    for k, argument in enumerate(args):
        own = in_dims[k] if isinstance(in_dims, tuple | list) else in_dims
        count = len(flatten(argument)[0])
        if isinstance(own, int) or own is None:
            dims += [own] * count
        else:
            dims += flatten(own)[0]
    found: list[int | None] = []
    for leaf, dim in zip(leaves, dims, strict=True):
        if dim is None or not isinstance(leaf, Tensor):
            if dim is not None:
                raise ValueError(
                    f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for an input but the input is of "
                    f"type {type(leaf)}. We cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
                )
            found.append(None)
            continue
        rank = leaf.array.ndim
        if not -rank <= dim < rank:
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={dim} for some input, but that input is a "
                f"Tensor of dimensionality {rank} so expected in_dim to satisfy -{rank} <= in_dim < {rank}."
            )
        found.append(dim % rank)
    return leaves, found, shape


def _stacked(results: list[Any], out_dims: Any, name: str) -> Any:
    flat = [flatten(r)[0] for r in results]
    shape = flatten(results[0])[1]
    columns = []
    for position, parts in enumerate(zip(*flat, strict=True)):
        for part in parts:
            if not isinstance(part, Tensor):
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(part)}. Did you mean to set "
                    "out_dims= to None for output?"
                )
        dim = out_dims[position] if isinstance(out_dims, tuple | list) else out_dims
        columns.append(parts[0] if dim is None else TAPED.stack(*parts, dim=dim))
    return unflatten(columns, shape)
