"""Reductions over all axes or over ``dim``: sums, means, products, log-sum-exp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, axes, cast, word
from explain.ops.registry import block, composite

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


def samples_of(options: tuple[Any, ...]) -> tuple[Sample, ...]:
    """Samples of a reduction with these options, and of tensors of few axes."""
    return (*(Sample(((2, 3, 2),), o) for o in options), Sample(((),), {}), Sample(((3,),), {}))


@block
class Sum(Op):
    """y = the sum of the entries over ``dim``."""

    name = "sum"
    functions = methods = ("sum",)
    kind = "reduction"
    rule = "sum"
    uses = ("",)
    samples = samples_of(DIMS)

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
    samples = samples_of(DIMS)
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

    def definition(self, s: Any, body: Any, bound: Any) -> Any:
        return s.total(body, *bound) / s.count(*bound)

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
    samples = (*samples_of(ONE_DIM), Sample((np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]]),), {"dim": 1}))
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
class LogSumExp(Op):
    """y = log of the sum of exponentials over ``dim``, computed without overflow."""

    name = "logsumexp"
    functions = ("logsumexp", "special.logsumexp")
    methods = ("logsumexp",)
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


# in another dtype


def _in_dtype(name: str) -> Any:
    """The reduction of the entries brought into ``dtype`` first."""

    def compose(xp: Any, x: Any, *, dim: Any = None, keepdim: bool = False, dtype: Any) -> Any:
        given = {} if dim is None else {"dim": dim}
        return cast(xp, getattr(xp, name)(cast(xp, x, dtype), **given, keepdim=keepdim), dtype)

    return compose


for _name in ("sum", "mean", "prod", "nansum", "nanmean"):
    composite(
        f"{_name}_in_dtype", _in_dtype(_name), functions=(_name,), methods=(_name,),
        samples=(Sample(((2, 3),), {"dtype": "float64"}),),
    )  # fmt: skip
