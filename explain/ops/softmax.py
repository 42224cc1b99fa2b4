"""Softmax and its relatives: positive shares along an axis that add up to 1."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Sample, axes, cast, numpy_dtype, plain_array, word
from explain.ops.random import default_generator
from explain.ops.registry import block, composite


def _exponentials(x: Any, over: tuple[int, ...]) -> Any:
    top = np.maximum.reduce(x, axis=over, keepdims=True, initial=-np.inf)
    return np.exp(x - top)


class _AlongAxes(Op):
    """Maps the entries along ``dim`` to as many entries. ``over`` (in formulas) is always a tuple of axes."""

    kind = "normalisation"
    samples: tuple[Sample, ...] = (Sample(((2, 3),), {"dim": 1}), Sample(((2, 3),), {"dim": 0}), Sample(((3,),), {"dim": 0}))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if not isinstance(options["dim"], int | np.integer):
            raise NoMatch(f"{self.name}(): argument 'dim' must be int, not {type(options['dim']).__name__}")
        return ins, options

    def checked(self, x: Any, dim: Any) -> tuple[int, ...]:
        """The axes, in formulas perhaps several. Raises torch's errors for integers and for what is no axis."""
        over = axes(dim, x.ndim)
        if x.dtype.kind != "f":
            last = "lastdim_" if not over or over[0] == x.ndim - 1 else ""
            raise NotImplementedError(f"\"{self.name}_{last}kernel_impl\" not implemented for '{word(x.dtype)}'")
        return over

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any) -> Any:
        return s.transformed(self.name, x, out, axes(dim, x.ndim))


@block
class Softmax(_AlongAxes):
    """y_i = e^{x_i} / Σ_j e^{x_j} along ``dim``."""

    name = "softmax"
    functions = ("softmax", "special.softmax")
    methods = ("softmax",)
    rule = "softmax"
    uses = ("y",)
    latex = r"\operatorname{softmax}"
    backward_name = "SoftmaxBackward0"

    def forward(self, x: Any, *, dim: Any) -> Any:
        over = self.checked(x, dim)
        e = _exponentials(x, over)
        return e / np.add.reduce(e, axis=over, keepdims=True)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any) -> Any:
        return (y * (g - xp.sum(g * y, dim=dim, keepdim=True)),)

    def definition(self, s: Any, at: Any, body: Any, bound: Any) -> Any:
        return s.function("exp", at) / s.total(s.function("exp", body), *bound)

    def slopes_of_transform(self, s: Any, y: Any, at: Any, other: Any, body: Any, bound: Any) -> tuple[Any, Any]:
        """∂y_p/∂x_q = y_p δ_pq − y_p y_q: (the part at q = p, the part at every q)."""
        return y, -y * s.transform("softmax", body, bound, other)


@block
class LogSoftmax(_AlongAxes):
    """y_i = x_i − log Σ_j e^{x_j} along ``dim``."""

    name = "log_softmax"
    functions = ("log_softmax", "special.log_softmax")
    methods = ("log_softmax",)
    rule = "log_softmax"
    uses = ("y",)
    latex = r"\operatorname{log\,softmax}"
    backward_name = "LogSoftmaxBackward0"

    def forward(self, x: Any, *, dim: Any) -> Any:
        over = self.checked(x, dim)
        shifted = x - np.maximum.reduce(x, axis=over, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.add.reduce(np.exp(shifted), axis=over, keepdims=True))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any) -> Any:
        return (g - xp.exp(y) * xp.sum(g, dim=dim, keepdim=True),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any) -> Any:
        place, bound = s.along(x, out, axes(dim, x.ndim))
        return x[out] - s.reduction("logsumexp", x[place], *bound)


# as torch calls them: without ``dim``, in another dtype


def _implicit_axis(name: str, x: Any, dim: Any) -> Any:
    """``dim``, or the axis that torch guesses, with its warning."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if x.ndim in (0, 1, 3) else 1


def _softmax_as(xp: Any, x: Any, *, dim: Any, dtype: Any) -> Any:
    """The softmax, computed in another dtype."""
    return xp.softmax(cast(xp, x, dtype), dim=dim)


def _log_softmax_as(xp: Any, x: Any, *, dim: Any, dtype: Any) -> Any:
    """The logarithm of the softmax, computed in another dtype."""
    return xp.log_softmax(cast(xp, x, dtype), dim=dim)


def _functional_softmax(xp: Any, x: Any, *, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The softmax, along a guessed axis if none is given."""
    return xp.softmax(cast(xp, x, dtype), dim=_implicit_axis("softmax", x, dim))


def _functional_log_softmax(xp: Any, x: Any, *, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of the softmax, along a guessed axis if none is given."""
    return xp.log_softmax(cast(xp, x, dtype), dim=_implicit_axis("log_softmax", x, dim))


def _softmin(xp: Any, x: Any, *, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The softmax of −x."""
    return xp.softmax(cast(xp, xp.neg(x), dtype), dim=_implicit_axis("softmin", x, dim))


def _gumbel_softmax(xp: Any, logits: Any, *, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """The softmax of (logits + Gumbel noise)/τ; ``hard``: a one-hot vector whose gradient is that of the softmax."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=4)
    dtype = numpy_dtype(logits)
    draws = -np.log1p(-default_generator.uniform53(math.prod(logits.shape)))
    noise = -np.log(draws.astype(dtype)).reshape(tuple(logits.shape))
    y = xp.softmax(xp.div(xp.add(logits, noise[()]), tau), dim=dim)
    if not hard:
        return y
    soft = plain_array(y)
    (axis,) = axes(dim, soft.ndim) or (0,)
    first = np.argmax(soft, axis=axis, keepdims=True) if soft.ndim else 0
    onehot = np.equal(first, np.indices(soft.shape)[axis] if soft.ndim else 0).astype(dtype)
    return xp.add((onehot - soft)[()], y)


_ALONG = (Sample(((2, 3),), {"dim": 1}),)
_IN_DTYPE = (Sample(((2, 3),), {"dim": 1, "dtype": np.dtype(np.float32)}),)
for _name, _function, _in_dtype in (
    ("softmax", _functional_softmax, _softmax_as),
    ("log_softmax", _functional_log_softmax, _log_softmax_as),
):
    composite(f"functional_{_name}", _function, functions=(f"F.{_name}",), samples=_ALONG)
    composite(f"{_name}_as", _in_dtype, functions=(_name, f"special.{_name}"), methods=(_name,), samples=_IN_DTYPE)
composite("softmin", _softmin, functions=("F.softmin",), samples=_ALONG)
composite("gumbel_softmax", _gumbel_softmax, functions=("F.gumbel_softmax",), samples=_ALONG)
