"""Variance and standard deviation over all axes or over ``dim``, alone or with the mean."""

from __future__ import annotations

import math
import warnings
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import ARGUMENT_ALIASES, NoMatch, Op, Sample, axes
from explain.ops.reductions import spread
from explain.ops.registry import block

ADD: Any = np.add
POSITIONAL = ("dim", "unbiased", "keepdim")


class Moment(Op):
    """An op over the entries along ``dim``, whose sum of squares is divided by their number less ``correction``."""

    kind = "normalisation"
    samples: tuple[Sample, ...] = (
        Sample(((2, 3),)), Sample(((3,),), {"correction": 0}), Sample(((2, 3, 2),), {"dim": (0, 2), "correction": 0.5}),
        Sample(((2, 3),), {"dim": 1, "keepdim": True}),
    )  # fmt: skip

    def __init__(self) -> None:
        self.functions = (self.name,)
        self.backward_name = "".join(part.capitalize() for part in self.name.split("_")) + "Backward0"
        super().__init__()

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Torch's two forms: ``(x, dim, unbiased, keepdim)`` with ``dim`` or not, and ``correction`` as a keyword."""
        given = {ARGUMENT_ALIASES.get(key, key): value for key, value in kwargs.items()}
        x, *rest = args or (given.pop("input", None),)
        names = POSITIONAL[1:] if rest and isinstance(rest[0], bool) else POSITIONAL
        if len(rest) > len(names) or given.keys() - {*POSITIONAL, "correction"}:
            raise NoMatch(f"{self.name}() takes dim, unbiased or correction, and keepdim")
        given.update(zip(names, rest, strict=False))
        if "unbiased" in given and given.get("correction") is not None:
            raise NoMatch(f"{self.name}() takes unbiased or correction, not both")
        if "unbiased" in given:
            given["correction"] = int(given.pop("unbiased"))
        if given.get("correction", 1) is None:
            del given["correction"]
        return (x,), given

    def moments(self, x: Any, dim: Any, correction: float) -> tuple[Any, Any]:
        """(variance, mean), with the axes kept. Warns and raises as torch does."""
        if x.dtype.kind != "f":
            what = "std and var" if "_" not in self.name else self.name
            raise RuntimeError(f"{what} only support floating point and complex dtypes")
        over = axes(dim, x.ndim)
        freedom = count(x.shape, dim) - correction
        if freedom <= 0:
            warnings.warn(
                f"{self.name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
                "(input numel divided by output numel).",
                stacklevel=5,
            )
        mean = ADD.reduce(x, axis=over, keepdims=True) / x.dtype.type(count(x.shape, dim))
        centred = x - mean
        return ADD.reduce(centred * centred, axis=over, keepdims=True) / x.dtype.type(max(0, freedom)), mean

    @staticmethod
    def shaped(y: Any, x: Any, dim: Any, keepdim: bool) -> Any:
        """The result with its axes kept or not."""
        return y if keepdim else np.squeeze(y, axis=axes(dim, x.ndim))[()]


def count(shape: tuple[int, ...], dim: Any) -> int:
    """How many entries are reduced to one."""
    return math.prod([shape[k] for k in axes(dim, len(shape))])


def _variance_vjp(xp: Any, g: Any, x: Any, dim: Any, correction: float, keepdim: bool) -> Any:
    freedom = count(x.shape, dim) - correction
    centred = x - xp.mean(x, dim=axes(dim, x.ndim), keepdim=True)
    g = spread(xp, g, x.shape, dim, keepdim)
    if freedom <= 0 and (dim is None or not x.ndim):  # infinite, and nan at the mean
        return g * xp.where(centred == 0, math.nan, math.inf)
    return g * (centred * (2 / freedom if freedom else math.inf))


def _standard(s: Any, body: Any, at: Any, bound: Any) -> Any:
    """An entry less the mean of all."""
    return at - s.reduction("mean", body, *bound)


def squares_apart(s: Any, body: Any, bound: Any) -> Any:
    """Σ (x − mean)² without a sum in a sum, for comparing: Σ x² − (Σ x)²/n."""
    return s.total(body * body, *bound) - s.total(body, *bound) ** 2 / s.count(*bound)


def _variance(s: Any, body: Any, bound: Any, correction: Any) -> Any:
    """The variance written out: Σ (x − mean)² / (n − correction)."""
    below = s.count(*bound) - s.number(correction) if correction else s.count(*bound)
    return s.total(_standard(s, body, body, bound) ** s.number(2), *bound) / below


@block
class Var(Moment):
    """y = Σ (x_i − mean)² / (n − correction)."""

    name = "var"
    methods = ("var",)
    rule = "var"
    uses = ("x",)

    def forward(self, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        return self.shaped(self.moments(x, dim, correction)[0], x, dim, keepdim)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False
    ) -> Any:
        return (_variance_vjp(xp, g, x, dim, correction, keepdim),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction("var", x[place], *bound, correction=correction)

    def definition(self, s: Any, body: Any, bound: Any, correction: Any = 0) -> Any:
        return squares_apart(s, body, bound) / (s.count(*bound) - correction)

    def written(self, s: Any, at: Any, body: Any, bound: Any, correction: Any = None) -> Any:
        """How it is shown; without a correction by its name alone."""
        return None if correction is None else _variance(s, body, bound, correction)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any, correction: Any = 0) -> Any:
        """2 (x − mean)/(n − correction): the mean moves along with x, but the deviations from it add up to 0."""
        return 2 * _standard(s, body, at, bound) / (s.count(*bound) - correction)


@block
class Std(Moment):
    """y = the square root of the variance."""

    name = "std"
    methods = ("std",)
    rule = "std"
    uses = ("x y",)
    special = MappingProxyType(
        {"kink": lambda x, dim=None, correction=1, keepdim=False: np.std(x, axis=axes(dim, x.ndim), keepdims=True) == 0}
    )

    def forward(self, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        return self.shaped(np.sqrt(self.moments(x, dim, correction)[0]), x, dim, keepdim)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False
    ) -> Any:
        flat = xp.equal(y, 0)
        back = xp.where(flat, 0.0, g / (2 * xp.where(flat, 1.0, y)))
        return (_variance_vjp(xp, back, x, dim, correction, keepdim),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        return s.reduction("std", x[place], *bound, correction=correction)

    def definition(self, s: Any, body: Any, bound: Any, correction: Any) -> Any:
        return (squares_apart(s, body, bound) / (s.count(*bound) - correction)) ** s.number(0.5)

    def written(self, s: Any, at: Any, body: Any, bound: Any, correction: Any) -> Any:
        """How it is shown."""
        return _variance(s, body, bound, correction) ** s.number(0.5)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any, correction: Any) -> Any:
        """(x − mean)/((n − correction) y): half the variance's over the deviation."""
        return _standard(s, body, at, bound) / ((s.count(*bound) - correction) * y)


class WithMean(Moment):
    """The variance, or its root, and the mean beside it."""

    outputs = 2
    alone: Any = None

    def forward(self, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        y, mean = self.moments(x, dim, correction)
        y = np.sqrt(y) if self.alone is STD else y
        return self.shaped(y, x, dim, keepdim), self.shaped(mean, x, dim, keepdim)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, **options: Any) -> Any:
        found = None
        if g[0] is not None:
            (found,) = self.alone.vjp(xp, needs, g[0], y and y[0], x, **options)
        if g[1] is not None:
            dim, keepdim = options.get("dim"), options.get("keepdim", False)
            shares = spread(xp, g[1] / count(x.shape, dim), x.shape, dim, keepdim)
            found = xp.expand(shares, shape=tuple(x.shape)) if found is None else found + shares
        return (found,)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None, correction: float = 1, keepdim: bool = False) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), keepdim)
        spreading = s.reduction(self.alone.name, x[place], *bound, correction=correction)
        return spreading, s.total(x[place], *bound) / s.count(*bound)


VAR, STD = Var, Std


@block
class VarMean(WithMean):
    """The variance and the mean."""

    name = "var_mean"
    rule = "var_mean"
    uses = ("x",)
    alone = VAR


@block
class StdMean(WithMean):
    """The standard deviation and the mean."""

    name = "std_mean"
    rule = "std_mean"
    uses = ("x y",)
    alone = STD
