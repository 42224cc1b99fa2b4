"""Reductions over all axes or over ``dim``: sums, means, products, norms, log-sum-exp."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, axes, numpy_dtype, word
from explain.ops.registry import block

ADD: Any = np.add  # numpy's stubs know no keepdims that is a variable
MAXIMUM: Any = np.maximum
MULTIPLY: Any = np.multiply

DIMS: tuple[Any, ...] = (
    {}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, 2)}, {"dim": (0, 1, 2), "keepdim": True},
)  # fmt: skip
ONE_DIM: tuple[Any, ...] = ({}, {"dim": 0}, {"dim": -1, "keepdim": True})


def kept(shape: Shape, over: tuple[int, ...]) -> Shape:
    """The shape with the reduced axes kept at size 1."""
    return tuple(1 if k in over else n for k, n in enumerate(shape))


def spread(xp: Any, g: Any, shape: Shape, dim: Any, keepdim: bool) -> Any:
    """A reduced array brought back to a shape that broadcasts against the input's."""
    if keepdim or g.ndim == 0:
        return g
    return xp.reshape(g, shape=kept(shape, axes(dim, len(shape))))


def _samples(options: tuple[Any, ...]) -> tuple[Sample, ...]:
    return (*(Sample(((2, 3, 2),), o) for o in options), Sample(((),), {}), Sample(((3,),), {}))


@block
class Sum(Op):
    """y = the sum of the entries over ``dim``."""

    name = "sum"
    functions = methods = ("sum",)
    kind = "reduction"
    rule = "sum"
    uses = ("",)
    samples = _samples(DIMS)

    backward_name = "SumBackward0"

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "SumBackward0" if options.get("dim") is None else "SumBackward1"

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)  # torch adds integers and truth values in int64
        return ADD.reduce(x, axis=None if dim is None else axes(dim, x.ndim), keepdims=keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        return (xp.expand(spread(xp, g, x.shape, dim, keepdim), shape=x.shape),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.total(x[place], *bound)


@block
class Mean(Op):
    """y = the sum over ``dim`` divided by the number of entries added."""

    name = "mean"
    functions = methods = ("mean",)
    kind = "reduction"
    rule = "mean"
    uses = ("",)
    samples = _samples(DIMS)
    backward_name = "MeanBackward0"

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "MeanBackward0" if options.get("dim") is None else "MeanBackward1"

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind != "f":
            raise RuntimeError(
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                f"Got: {word(x.dtype)}"
            )
        if dim is None and not keepdim:
            return ADD.reduce(x, axis=None) / x.size
        over = axes(dim, x.ndim)
        count = math.prod([x.shape[k] for k in over])
        return ADD.reduce(x, axis=over, keepdims=keepdim) / x.dtype.type(count)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None and not keepdim:
            return (xp.expand(g / max(1, math.prod(x.shape)), shape=x.shape),)
        count = math.prod([x.shape[k] for k in axes(dim, x.ndim)])
        return (xp.expand(spread(xp, g / count if count else g, x.shape, dim, keepdim), shape=x.shape),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.total(x[place], *bound) / s.count(*bound)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """Each entry counts 1/n."""
        return 1 / s.count(*bound)


@block
class ProdOthers(Op):
    """At every position the product of all other entries along the axes; exact where entries are zero."""

    name = "prod_others"
    kind = "normalisation"
    backward_name = "ProdBackward0"
    rule = "prod"
    latex = r"\prod"
    uses = ("x",)
    samples = (Sample(((2, 3),), {"dim": (1,)}), Sample((np.array([2.0, 0.0, 3.0]),), {"dim": (0,)}))

    def forward(self, x: Any, *, dim: Any) -> Any:
        over = axes(dim, x.ndim)
        rest = tuple(k for k in range(x.ndim) if k not in over)
        size = math.prod([x.shape[k] for k in over])
        flat = x.transpose(rest + over).reshape((*(x.shape[k] for k in rest), size))
        if not size:
            return x.copy()
        before, after = np.ones_like(flat), np.ones_like(flat)
        np.multiply.accumulate(flat[..., :-1], axis=-1, out=before[..., 1:])
        np.multiply.accumulate(flat[..., :0:-1], axis=-1, out=after[..., -2::-1] if flat.shape[-1] > 1 else after[..., :0])
        moved = (before * after).reshape(tuple(x.shape[k] for k in rest + over))
        return moved.transpose(np.argsort(rest + over))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any) -> Any:
        over = axes(dim, x.ndim)
        # every pair of positions, one of them masked: quadratic, but only second derivatives of products need it
        size = math.prod([x.shape[k] for k in over])
        rest = tuple(k for k in range(x.ndim) if k not in over)
        order, batch = rest + over, tuple(x.shape[k] for k in rest)
        rows = (xp.permute(t, dims=order) for t in (x, g))
        flat, upstream = (xp.reshape(t, shape=(*batch, size)) for t in rows)
        others = xp.where(np.eye(size, dtype=bool), 1.0, xp.reshape(flat, shape=(*batch, 1, size)))
        pairs = xp.prod_others(others, dim=(len(batch) + 1,))
        pairs = xp.where(np.eye(size, dtype=bool), 0.0, pairs)
        total = xp.sum(xp.reshape(upstream, shape=(*batch, size, 1)) * pairs, dim=len(batch))
        back = xp.reshape(total, shape=tuple(x.shape[k] for k in order))
        return (xp.permute(back, dims=tuple(int(k) for k in np.argsort(order))),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any) -> Any:
        return s.transformed("prod_others", x, out, axes(dim, x.ndim))

    def slopes_of_transform(self, s: Any, y: Any, at: Any, other: Any, body: Any, bound: Any) -> tuple[Any, Any]:
        """∂y_p/∂x_q: nothing at q = p, at every other q the product that leaves out both."""
        without = s.where(s.all_equal(bound, at), 1, body)
        return 0, (1 - s.indicator(s.all_equal(other, at))) * s.transform("prod_others", without, bound, other)


@block
class Prod(Op):
    """y = the product of the entries over ``dim``."""

    name = "prod"
    functions = methods = ("prod",)
    kind = "reduction"
    rule = "prod"
    uses = ("x",)
    latex = r"\prod"
    backward_name = "ProdBackward0"
    samples = (*_samples(ONE_DIM), Sample((np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]]),), {"dim": 1}))
    domain = (0.5, 2.0)

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "ProdBackward0" if options.get("dim") is None else "ProdBackward1"

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)
        return MULTIPLY.reduce(x, axis=axes(dim, x.ndim), keepdims=keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        return (spread(xp, g, x.shape, dim, keepdim) * xp.prod_others(x, dim=axes(dim, x.ndim)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction("prod", x[place], *bound)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """The derivative of the product by one of its factors is the product of the others."""
        return s.transform("prod_others", body, bound, position)


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
        {"kink": lambda x, p=2, dim=None, keepdim=False: _norm(x, p, axes(dim, x.ndim), True) == 0 if p != 1 else x == 0}
    )
    samples = (
        *_samples(ONE_DIM), Sample(((2, 3),), {"p": 1}), Sample(((2, 3),), {"p": 3, "dim": 1}),
        Sample(((4,),), {"p": math.inf}),
    )  # fmt: skip

    def forward(self, x: Any, *, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind != "f":
            raise RuntimeError(
                f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {word(x.dtype)}"
            )
        if _order(p) == math.inf and x.size == 0:
            over = axes(dim, x.ndim)
            what = (
                "an empty tensor because the"
                if len(over) == x.ndim
                else f"the dimension {over[0]}because this dimension is empty and the"
            )
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the inf norm on {what} operation does not have an identity"
            )
        return _norm(x, p, axes(dim, x.ndim), keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        p = _order(p)
        g, y = (spread(xp, t, x.shape, dim, keepdim) for t in (g, y))
        if p == 1:
            return (g * xp.sign(x),)
        if p == math.inf:
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
        p = _order(p)
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        if p == 2:
            return s.total(x[place] ** 2, *bound) ** s.number(0.5)
        size = s.function("abs", x[place])
        if p == 1:
            return s.total(size, *bound)
        if p == math.inf:
            return s.reduction("amax", size, *bound)
        return s.total(size ** s.number(p), *bound) ** (1 / s.number(p))


def _order(p: Any) -> Any:
    if p == "fro":
        return 2
    if not isinstance(p, int | float) or p <= 0:
        raise RuntimeError(f"norm: the order p is a positive number or inf, got {p!r}")
    return p


def _norm(x: Any, p: Any, over: tuple[int, ...], keepdim: bool) -> Any:
    p = _order(p)
    if p == 2:
        return np.sqrt(ADD.reduce(x * x, axis=over, keepdims=keepdim))
    size = np.abs(x)
    if p == 1:
        return ADD.reduce(size, axis=over, keepdims=keepdim)
    if p == math.inf:
        return MAXIMUM.reduce(size, axis=over, keepdims=keepdim)
    return ADD.reduce(size ** x.dtype.type(p), axis=over, keepdims=keepdim) ** x.dtype.type(1 / p)


@block
class LogSumExp(Op):
    """y = log of the sum of exponentials over ``dim``, computed without overflow."""

    name = "logsumexp"
    functions = methods = ("logsumexp",)
    kind = "normalisation"
    rule = "logsumexp"
    uses = ("x y",)
    latex = r"\operatorname{logsumexp}"
    promotion = "float"
    backward_name = "LogsumexpBackward0"
    samples = (
        Sample(((2, 3),), {"dim": 1}),
        Sample(((2, 3),), {"dim": (0, 1)}),
        Sample(((3,),), {"dim": 0, "keepdim": True}),
    )

    def forward(self, x: Any, *, dim: Any, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        top = MAXIMUM.reduce(x, axis=over, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
        y = np.log(ADD.reduce(np.exp(x - top), axis=over, keepdims=True)) + top
        return y if keepdim else np.squeeze(y, axis=over)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any, keepdim: bool = False) -> Any:
        g, y = (spread(xp, t, x.shape, dim, keepdim) for t in (g, y))
        return (g * xp.exp(x - y),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction("logsumexp", x[place], *bound)

    def definition(self, s: Any, body: Any, bound: Any) -> Any:
        return s.function("log", s.total(s.function("exp", body), *bound))

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """The derivative by one of the arguments is its softmax; of a running one, said by its value, e^(x − y)."""
        if s.is_choice(body):
            return s.function("exp", at - y)
        return s.transform("softmax", body, bound, position)
