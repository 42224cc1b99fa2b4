"""Reductions that ask about entries: sums without nan, how many are not zero, whether all or any are true, both extremes."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, axes, numpy_dtype, word
from explain.ops.choice import is_tie
from explain.ops.reductions import spread
from explain.ops.registry import REGISTRY, block, composite, register

ADD: Any = np.add
MAXIMUM: Any = np.maximum
MINIMUM: Any = np.minimum
WITH_NAN = np.array([[1.0, np.nan, 3.0], [-2.0, 0.5, np.nan]])


@block
class NanSum(Op):
    """y = the sum over ``dim`` of the entries that are not nan."""

    name = "nansum"
    functions = methods = ("nansum",)
    kind = "reduction"
    rule = "nansum"
    uses = ("x",)
    backward_name = "NansumBackward0"
    special = MappingProxyType({"kink": lambda x, dim=None, keepdim=False: np.isnan(x)})
    samples = (Sample((WITH_NAN,)), Sample((WITH_NAN,), {"dim": 1}), Sample((WITH_NAN,), {"dim": (0, 1), "keepdim": True}))

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)
        return ADD.reduce(np.where(np.isnan(x), x.dtype.type(0), x), axis=axes(dim, x.ndim), keepdims=keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        return (xp.where(xp.isnan(x), 0.0, spread(xp, g, x.shape, dim, keepdim)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.total(s.where(s.holds(s.function("isnan", x[place])), 0, x[place]), *bound)


@block
class AMinMax(Op):
    """The smallest and the largest entry, over all axes or along one; ties share evenly."""

    name = "aminmax"
    functions = methods = ("aminmax",)
    fields = ("min", "max")
    outputs = 2
    kind = "choice"
    rule = "extremum"
    uses = ("x y",)
    backward_name = "AminmaxBackward0"
    samples = (Sample(((2, 3),)), Sample(((2, 3),), {"dim": 1}), Sample(((3,),), {"dim": 0, "keepdim": True}))

    def __init__(self) -> None:
        self.special = {"tie": self._ties}
        super().__init__()

    def _ties(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        ends = [ufunc.reduce(x, axis=over, keepdims=True) for ufunc in (np.minimum, np.maximum)]
        return is_tie(x, ends[0], over) | is_tie(x, ends[1], over)

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(args) > 1:
            raise TypeError(f"aminmax() takes 1 positional argument but {len(args)} were given")
        return super().bind(*args, **kwargs)

    def forward(self, x: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        if x.size == 0 and dim is None:
            raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
        if any(x.shape[k] == 0 for k in over):
            raise IndexError(f"aminmax: Expected reduction dim {dim} to have non-zero size.")
        return MINIMUM.reduce(x, axis=over, keepdims=keepdim), MAXIMUM.reduce(x, axis=over, keepdims=keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        total: Any = None
        for name, upstream, end in zip(("amin", "amax"), g, y, strict=True):
            if upstream is not None:
                (found,) = REGISTRY[name].vjp(xp, needs, upstream, end, x, dim=dim, keepdim=keepdim)
                total = found if total is None else total + found
        return (total,)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction("amin", x[place], *bound), s.reduction("amax", x[place], *bound)


class Question(Op):
    """An answer about all entries over ``dim``, or all: no derivative."""

    kind = "constant"
    differentiable = False
    samples = (Sample((np.array([[True, False], [True, True]]),)), Sample((np.array([[0, 2], [1, 3]]),), {"dim": 1}))

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions = self.methods = (name,)
        super().__init__()


class Quantified(Question):
    """Whether all, or any, of the entries are not zero."""

    def __init__(self, name: str, combine: Any) -> None:
        self._combine = combine
        super().__init__(name)

    def forward(self, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
        over = () if isinstance(dim, tuple | list) and not dim else axes(dim, x.ndim)  # over no axis: entry by entry
        found = self._combine.reduce(x != 0, axis=over, keepdims=keepdim)
        return found.astype(np.uint8) if x.dtype == np.uint8 else found


register(Quantified("all", np.logical_and))
register(Quantified("any", np.logical_or))


class CountNonzero(Question):
    """How many entries are not zero."""

    def forward(self, x: Any, *, dim: Any = None) -> Any:
        return ADD.reduce((x != 0).astype(np.int64), axis=axes(dim, x.ndim))


register(CountNonzero("count_nonzero"))


def _nanmean(xp: Any, x: Any, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The mean of the entries that are not nan."""
    if numpy_dtype(x).kind != "f":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {word(numpy_dtype(x))}"
        )
    there = xp.sum(xp.to(xp.logical_not(xp.isnan(x)), dtype=numpy_dtype(x)), dim=dim, keepdim=keepdim)
    return xp.div(xp.nansum(x, dim=dim, keepdim=keepdim), there)


composite("nanmean", _nanmean, functions=("nanmean",), methods=("nanmean",), samples=(Sample((WITH_NAN,)),))
