"""Distances: the norm of a difference, of two tensors or of every row to every row."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, axes, broadcast_error, numpy_dtype, word
from explain.ops.norms import Norm, norm_of, vector_norm
from explain.ops.registry import block, composite

NORM: Any = Norm


class Distance(Op):
    """A norm of differences a − b. ``difference`` gives them, with the entries of each norm along the axes ``over``."""

    kind = "normalisation"
    numbers = ()
    uses = ("a b y", "a b y")

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return NORM.details(shapes, options)


@block
class Dist(Distance):
    """y = ‖a − b‖_p over all entries."""

    name = "dist"
    functions = methods = ("dist",)
    rule = "dist"
    promotion = "common"
    backward_name = "DistBackward0"
    special = MappingProxyType({"kink": lambda a, b, p=2: np.all(a == b)})
    samples = (Sample(((2, 3), (3,))), Sample(((3,), (3,)), {"p": 1}), Sample(((2, 1), (1, 2)), {"p": 3}))

    def forward(self, a: Any, b: Any, *, p: float = 2) -> Any:
        difference = a - b
        return vector_norm(difference, p, axes(None, difference.ndim), False)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any, *, p: float = 2) -> Any:
        (back,) = NORM.vjp(xp, (True,), g, y, a - b, p=p)
        return needs[0] and xp.sum_to(back, shape=tuple(a.shape)), needs[1] and xp.sum_to(-back, shape=tuple(b.shape))

    def formula(self, s: Any, out: Any, a: Any, b: Any, *, p: float = 2) -> Any:
        bound = [s.index(n) for n in broadcast_sizes(a, b)]
        return norm_of(s, a.at(tuple(bound)) - b.at(tuple(bound)), bound, p)


def broadcast_sizes(a: Any, b: Any) -> list[Any]:
    """The symbolic sizes of what two operands broadcast to."""
    longer, shorter = (a, b) if a.ndim >= b.ndim else (b, a)
    sizes = list(longer.shape)
    for k in range(1, shorter.ndim + 1):
        if longer.numbers[-k] == 1:
            sizes[-k] = shorter.shape[-k]
    return sizes


@block
class Cdist(Distance):
    """y_ij = ‖a_i − b_j‖_p, the distance of row i of a to row j of b."""

    name = "cdist"
    functions = ("cdist",)
    rule = "cdist"
    backward_name = "CdistBackward0"
    special = MappingProxyType(
        {"kink": lambda a, b, p=2.0, compute_mode=None: np.any(np.all(a[..., :, None, :] == b[..., None, :, :], axis=-1))}
    )
    samples = (
        Sample(((2, 3), (2, 3))), Sample(((2, 2), (1, 2)), {"p": 1.0}), Sample(((2, 1, 2), (3, 2)), {"p": 1.5}),
        Sample(((2, 2), (2, 2)), {"p": math.inf}),
    )  # fmt: skip

    def forward(self, a: Any, b: Any, *, p: float = 2.0, compute_mode: Any = None) -> Any:
        for t, which in ((a, "X1"), (b, "X2")):
            if t.ndim < 2:
                raise RuntimeError(f"cdist only supports at least 2D tensors, {which} got: {t.ndim}D")
        if a.shape[-1] != b.shape[-1]:
            raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {a.shape[-1]} X2: {b.shape[-1]}")
        if p < 0:
            raise RuntimeError("cdist only supports non-negative p values")
        if a.dtype != b.dtype:
            raise RuntimeError(f"expected scalar type {word(a.dtype)} but found {word(b.dtype)}")
        difference = a[..., :, None, :] - b[..., None, :, :]
        if not difference.shape[-1]:
            return np.zeros(difference.shape[:-1], a.dtype)
        return vector_norm(difference, p, (difference.ndim - 1,), False)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error((shapes[0][:-2], shapes[1][:-2]))

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, a: Any, b: Any, *, p: float = 2.0, compute_mode: Any = None) -> Any:
        difference = xp.unsqueeze(a, dim=-2) - xp.unsqueeze(b, dim=-3)
        (back,) = NORM.vjp(xp, (True,), g, y, difference, p=p, dim=difference.ndim - 1)
        back_a = xp.sum_to(xp.sum(back, dim=back.ndim - 2), shape=tuple(a.shape)) if needs[0] else None
        back_b = xp.sum_to(-xp.sum(back, dim=back.ndim - 3), shape=tuple(b.shape)) if needs[1] else None
        return back_a, back_b

    def formula(self, s: Any, out: Any, a: Any, b: Any, *, p: float = 2.0, compute_mode: Any = None) -> Any:
        *batch, i, j = out
        k = s.index(a.shape[-1])
        return norm_of(s, a.at((*batch, i, k)) - b.at((*batch, j, k)), (k,), p)


def _pdist(xp: Any, x: Any, *, p: float = 2.0) -> Any:
    """The distances of all pairs of rows, each pair once."""
    if x.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {x.ndim}D")
    if numpy_dtype(x).kind != "f":
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = np.triu_indices(x.shape[0], 1)
    difference = xp.sub(xp.index_select(x, first, dim=0), xp.index_select(x, second, dim=0))
    if not difference.shape[1]:
        return xp.sum(difference, dim=1)
    return xp.norm(difference, p=float(p), dim=1)


composite(
    "pdist", _pdist, functions=("pdist", "F.pdist"), grad_fn="PdistBackward0",
    samples=(Sample(((3, 2),)), Sample(((3, 2),), {"p": 1.0})),
)  # fmt: skip
