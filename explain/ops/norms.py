"""Norms: of vectors, of matrices, of all entries; torch's three functions for them."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Options, Sample, Shape, axes, cast, numpy_dtype, word
from explain.ops.reductions import ONE_DIM, samples_of, spread
from explain.ops.registry import block, composite

ADD: Any = np.add
MAXIMUM: Any = np.maximum
MINIMUM: Any = np.minimum


@block
class Norm(Op):
    """The p-norm of the entries over ``dim``; 2 by default, for matrices too (the Frobenius norm)."""

    name = "norm"
    functions = methods = ("norm",)
    kind = "normalisation"
    rule = "norm"
    uses = ("x y",)
    backward_name = "LinalgVectorNormBackward0"
    special = MappingProxyType(
        {
            "kink": lambda x, p=2, dim=None, keepdim=False: (
                x == 0 if order(p) in (0, 1) else vector_norm(x, order(p), axes(dim, x.ndim), True) == 0
            )
        }
    )
    samples = (
        *samples_of(ONE_DIM), Sample(((2, 3),), {"p": 1}), Sample(((2, 3),), {"p": 3, "dim": 1}),
        Sample(((4,),), {"p": math.inf}), Sample(((2, 3),), {"p": -math.inf, "dim": 1}), Sample(((3,),), {"p": -1.5}),
    )  # fmt: skip

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if isinstance(options.get("p"), str) and options["p"] != "fro":
            raise NoMatch("a norm of matrices")
        if options.get("p", 2) is None:
            del options["p"]
        return ins, options

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        p = order(options.get("p", 2))
        return {"order": "largest" if p == math.inf else "smallest" if p == -math.inf else float(p)}

    def forward(self, x: Any, *, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind != "f":
            raise RuntimeError(
                f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {word(x.dtype)}"
            )
        over = axes(dim, x.ndim)
        p = order(p)
        empty = [k for k in over if x.shape[k] == 0]
        if empty and (p < 0 or p == math.inf):
            what = "an empty tensor" if dim is None else f"the dimension {empty[0]}"
            why = "the" if dim is None else "this dimension is empty and the"
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {_said(p)} norm on {what} because {why} operation does not have an "
                "identity"
            )
        return vector_norm(x, p, over, keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        p = order(p)
        g, y = (spread(xp, t, x.shape, dim, keepdim) for t in (g, y))
        if p == 0:
            return (xp.mul(xp.expand(g, shape=tuple(x.shape)), 0.0),)
        if p == 1:
            return (g * xp.sign(x),)
        if math.isinf(p):
            hit = xp.equal(xp.abs(x), y)
            count = xp.sum(xp.to(hit, dtype=numpy_dtype(x)), dim=axes(dim, x.ndim), keepdim=True)
            return (xp.where(hit, g * xp.sign(x) / count, 0.0),)
        if p == 2:
            return (g * xp.where(y == 0, 0.0, x / y),)
        size = xp.where(y == 0, 1.0, y)  # where the norm is zero so is every entry, and torch sends nothing back
        if p < 1:
            rising = xp.where(x == 0, 0.0, xp.abs(xp.where(x == 0, 1.0, x)) ** (p - 1))
            return (g * (xp.sign(x) * rising * y ** (1 - p)),)
        if p < 2:
            return (g * xp.where(y == 0, 0.0, xp.sign(x) * xp.abs(x) ** (p - 1) / size ** (p - 1)),)
        return (g * xp.where(y == 0, 0.0, x * xp.abs(x) ** (p - 2) / size ** (p - 1)),)

    def formula(self, s: Any, out: Any, x: Any, *, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return norm_of(s, x[place], bound, order(p))


def norm_of(s: Any, body: Any, bound: Any, p: float) -> Any:
    """The formula of the p-norm of what ``body`` runs through."""
    if p == 0:
        return s.total(s.indicator(s.unequal(body, 0)), *bound)
    if p == 2:
        return s.total(body**2, *bound) ** s.number(0.5)
    size = s.function("abs", body)
    if p == 1:
        return s.total(size, *bound)
    if math.isinf(p):
        return s.reduction("amax" if p > 0 else "amin", size, *bound)
    return s.total(size ** s.number(p), *bound) ** (1 / s.number(p))


def order(p: Any) -> float:
    """The order of a norm as a number."""
    return 2 if p == "fro" else p


def _said(p: float) -> str:
    return f"{'-' if p < 0 else ''}{'inf' if math.isinf(p) else f'{abs(p):g}'}"


def vector_norm(x: Any, p: float, over: tuple[int, ...], keepdim: bool) -> Any:
    """The p-norm along the axes."""
    if p == 2:
        return np.sqrt(ADD.reduce(x * x, axis=over, keepdims=keepdim))
    if p == 0:
        return ADD.reduce((x != 0).astype(x.dtype), axis=over, keepdims=keepdim)
    size = np.abs(x)
    if p == 1:
        return ADD.reduce(size, axis=over, keepdims=keepdim)
    if math.isinf(p):
        return (MAXIMUM if p > 0 else MINIMUM).reduce(size, axis=over, keepdims=keepdim)
    return ADD.reduce(size ** x.dtype.type(p), axis=over, keepdims=keepdim) ** x.dtype.type(1 / p)


# torch's functions


def _vector_norm(xp: Any, x: Any, *, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of all entries, or of those along ``dim``, as of one vector."""
    if isinstance(ord, str):
        raise TypeError("linalg_vector_norm(): argument 'ord' (position 2) must be Number, not str")
    return xp.norm(cast(xp, x, dtype), p=ord, dim=dim, keepdim=keepdim)


def _matrix_norm(xp: Any, x: Any, *, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of matrices: ``fro``, ``nuc``, 1, 2, inf and their negatives."""
    name = "linalg.matrix_norm"
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if numpy_dtype(x).kind != "f":
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {word(numpy_dtype(x))}")
    dims = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dims))}")
    (rows,), (columns,) = (axes(d, x.ndim) for d in dims)
    if rows == columns:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    x = cast(xp, x, dtype)
    if ord == "fro":
        return xp.norm(x, dim=(rows, columns), keepdim=keepdim)
    if ord in ("nuc", 2, -2):
        rest = tuple([k for k in range(x.ndim) if k not in (rows, columns)])
        turned = x if (*rest, rows, columns) == tuple(range(x.ndim)) else xp.permute(x, dims=(*rest, rows, columns))
        values = xp.svdvals(turned)
        reduce = xp.sum if ord == "nuc" else xp.amax if ord > 0 else xp.amin
        found = reduce(values, dim=-1)
        return (
            xp.reshape(found, shape=tuple([1 if k in (rows, columns) else n for k, n in enumerate(x.shape)]))
            if keepdim
            else found
        )
    added, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = xp.norm(x, p=1, dim=added, keepdim=keepdim)
    if not keepdim and compared > added:
        compared -= 1
    return (xp.amax if ord > 0 else xp.amin)(sums, dim=compared, keepdim=keepdim)


def _linalg_norm(xp: Any, x: Any, *, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """A vector's or a matrix's norm, by how many axes there are."""
    dims = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if ord is None:
        return xp.norm(cast(xp, x, dtype), dim=dims, keepdim=keepdim)
    if dims is None and x.ndim not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {x.ndim}D.")
    if isinstance(ord, str) or (len(dims) if dims is not None else x.ndim) == 2:
        return _matrix_norm(xp, x, ord=ord, dim=(-2, -1) if dims is None else dims, keepdim=keepdim, dtype=dtype)
    return _vector_norm(xp, x, ord=ord, dim=dims, keepdim=keepdim, dtype=dtype)


def _norm_of_matrices(xp: Any, x: Any, *, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """``torch.norm`` where it asks for a norm of matrices or for another dtype."""
    if isinstance(p, str) and p != "fro":
        return _matrix_norm(xp, x, ord=p, dim=(-2, -1) if dim is None else dim, keepdim=keepdim, dtype=dtype)
    return xp.norm(cast(xp, x, dtype), p=2 if p is None else p, dim=dim, keepdim=keepdim)


_SAMPLES = (Sample(((2, 3),)), Sample(((2, 3),), {"ord": 1}), Sample(((2, 2, 3),), {"ord": -math.inf, "dim": (0, 2)}))
composite("vector_norm", _vector_norm, functions=("linalg.vector_norm",), samples=_SAMPLES[:2])
composite("matrix_norm", _matrix_norm, functions=("linalg.matrix_norm",), samples=_SAMPLES)
composite("linalg_norm", _linalg_norm, functions=("linalg.norm",), samples=_SAMPLES)
composite("norm_of_matrices", _norm_of_matrices, functions=("norm",), methods=("norm",), samples=_SAMPLES[:1])
