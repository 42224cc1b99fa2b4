"""Running reductions along an axis: entry i of the output is made of the entries up to i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Sample, axes, cast, plain_array, word
from explain.ops.choice import Picked
from explain.ops.registry import block, composite, register

ADD: Any = np.add
MULTIPLY: Any = np.multiply
LOGADDEXP: Any = np.logaddexp
ALONG = (
    Sample(((4,),), {"dim": 0}),
    Sample(((2, 3),), {"dim": 1}),
    Sample(((2, 3),), {"dim": -2}),
    Sample(((),), {"dim": 0}),
)


def one_axis(x: Any, dim: int) -> int | None:
    """The axis counted from 0, None where there are no axes. Raises torch's IndexError."""
    over = axes(dim, x.ndim)
    return over[0] if over else None


def _upto(s: Any, x: Any, out: Any, axis: int) -> tuple[Any, Any, Any]:
    """(entry of x at a new index along the axis, that index, the condition that it stands at or before the output's)."""
    place, (j,) = s.along(x, out, (axis,))
    return x[place], j, j <= out[axis]


class Running(Op):
    """Base of the running reductions."""

    kind = "contraction"
    samples: tuple[Sample, ...] = ALONG

    def __init__(self) -> None:
        self.functions = self.methods = (self.name,)
        self.backward_name = self.backward_name or f"{self.name.capitalize()}Backward0"
        self.in_place = self.name in ("cumsum", "cumprod")
        super().__init__()


@block
class CumSum(Running):
    """y_i = x_1 + … + x_i along ``dim``."""

    name = "cumsum"
    rule = "cumsum"
    uses = ("",)

    def forward(self, x: Any, *, dim: int) -> Any:
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)
        axis = one_axis(x, dim)
        return x if axis is None else ADD.accumulate(x, axis=axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int) -> Any:
        return (xp.sum_onwards(g, dim=dim),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return x[()]
        entry, j, upto = _upto(s, x, out, axis)
        return s.total(entry * s.indicator(upto), j)


@block
class SumOnwards(Op):
    """y_i = x_i + … + x_n along ``dim``: the transpose of the running sum."""

    name = "sum_onwards"
    kind = "contraction"
    rule = "sum_onwards"
    uses = ("",)
    samples = ALONG
    backward_name = "FlipBackward0"

    def forward(self, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        return x if axis is None else np.flip(ADD.accumulate(np.flip(x, axis), axis=axis), axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int) -> Any:
        return (xp.cumsum(g, dim=dim),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return x[()]
        place, (j,) = s.along(x, out, (axis,))
        return s.total(x[place] * s.indicator(j >= out[axis]), j)


@block
class CumProd(Running):
    """y_i = x_1 · … · x_i along ``dim``."""

    name = "cumprod"
    rule = "cumprod"
    kind = "normalisation"
    uses = ("x y",)
    samples = (*ALONG, Sample((np.array([[2.0, 0.0, 3.0], [1.0, 2.0, 0.0]]),), {"dim": 1}))
    domain = (0.5, 2.0)

    def forward(self, x: Any, *, dim: int) -> Any:
        if x.dtype.kind in "bui":
            x = x.astype(np.int64)
        axis = one_axis(x, dim)
        return x if axis is None else MULTIPLY.accumulate(x, axis=axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return (g,)
        if np.all(plain_array(x)):
            return (xp.sum_onwards(g * y, dim=axis) / x,)
        # where a factor is 0 nothing can be divided by it: the products without each factor, written out
        n = x.shape[axis]
        last = xp.transpose(x, dim0=axis, dim1=-1)
        rows = xp.where(np.tri(n, dtype=bool), xp.unsqueeze(last, dim=-2), 1.0)
        others = xp.where(np.tri(n, dtype=bool), xp.prod_others(rows, dim=(x.ndim,)), 0.0)
        total = xp.sum(xp.unsqueeze(xp.transpose(g, dim0=axis, dim1=-1), dim=-1) * others, dim=x.ndim - 1)
        return (xp.transpose(total, dim0=axis, dim1=-1),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return x[()]
        entry, j, upto = _upto(s, x, out, axis)
        return s.reduction("prod", s.where(upto, entry, 1), j)


@block
class LogCumSumExp(Running):
    """y_i = log(e^{x_1} + … + e^{x_i}) along ``dim``, computed without overflow."""

    name = "logcumsumexp"
    rule = "logcumsumexp"
    kind = "normalisation"
    uses = ("x y",)

    def forward(self, x: Any, *, dim: int) -> Any:
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{word(x.dtype)}'")
        axis = one_axis(x, dim)
        return x if axis is None else LOGADDEXP.accumulate(x, axis=axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return (g,)
        g, y, x = (xp.transpose(t, dim0=axis, dim1=-1) for t in (g, y, x))
        upto = np.tri(x.shape[-1], dtype=bool)  # rows: outputs; columns: inputs; no exponential of what is masked
        shares = xp.exp(xp.where(upto, xp.unsqueeze(x, dim=-2) - xp.unsqueeze(y, dim=-1), -np.inf))
        total = xp.sum(xp.unsqueeze(g, dim=-1) * shares, dim=x.ndim - 1)
        return (xp.transpose(total, dim0=axis, dim1=-1),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return x[()]
        entry, j, upto = _upto(s, x, out, axis)
        return s.reduction("logsumexp", s.where(upto, entry, -math.inf), j)


class RunningExtremum(Picked):
    """The largest or smallest entry so far along ``dim`` with its position; of equal ones the last."""

    kind = "choice"
    rule = "running_extremum"
    in_place = False
    samples = (*Picked.samples, Sample(((),), {"dim": 0}))

    def __init__(self, name: str, ufunc: Any, reaches: Any) -> None:
        self.name, self._ufunc, self._reaches = name, ufunc, reaches
        self.functions = self.methods = (name,)
        self.backward_name = f"{name.capitalize()}Backward0"
        self.special = {"tie": self._ties}
        super().__init__()

    def _ties(self, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None or not x.size:
            return np.zeros((), bool)
        best, moved = (np.moveaxis(t, axis, 0) for t in (self._ufunc.accumulate(x, axis=axis), x))
        return best[:-1] == moved[1:]

    def forward(self, x: Any, *, dim: int) -> Any:
        axis = one_axis(x, dim)
        if axis is None:
            return x, np.int64(0)
        best = (
            self._ufunc.accumulate(x, axis=axis) if x.dtype.kind != "b" else self._ufunc.accumulate(x.astype(np.uint8), axis)
        )
        reached = self._reaches(x, best) | np.isnan(x)
        steps = np.arange(x.shape[axis]).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        at = np.maximum.accumulate(np.where(reached, steps, 0), axis=axis)
        return best.astype(x.dtype), at

    def formula(self, s: Any, out: Any, x: Any, **options: Any) -> Any:
        axis = one_axis(x, options["dim"])
        if axis is None:
            return x[()], None
        return x[(*out[:axis], s.given(self.letter)[out], *out[axis + 1 :])], None


register(RunningExtremum("cummax", np.maximum, np.greater_equal))
register(RunningExtremum("cummin", np.minimum, np.less_equal))


def _in_dtype(name: str) -> Any:
    """The op computed in another dtype."""

    def compose(xp: Any, x: Any, *, dim: int, dtype: Any) -> Any:
        return cast(xp, getattr(xp, name)(cast(xp, x, dtype), dim=dim), dtype)

    return compose


for _name in ("cumsum", "cumprod"):
    composite(
        f"{_name}_in_dtype", _in_dtype(_name), functions=(_name,), methods=(_name,), in_place=True,
        samples=(Sample(((4,),), {"dim": 0, "dtype": np.dtype(np.float32)}),),
    )  # fmt: skip
