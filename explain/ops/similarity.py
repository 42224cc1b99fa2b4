"""How far apart or how alike vectors are: cosine similarity, distances, and vectors of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, axes, broadcast_error, word
from explain.ops.registry import NUMERIC, composite, register

ADD: Any = np.add


def _without_direction(x1: Any, x2: Any, *, dim: int = 1, eps: float = 1e-8) -> Any:
    """Which vectors are shorter than eps: they have no direction."""
    _, _, (length1, _), (length2, _), _ = CosineSimilarity.units(NUMERIC, x1, x2, dim, eps)
    return (length1 < eps) | (length2 < eps)


class CosineSimilarity(Op):
    """y = Σ_k a_k b_k / (‖a‖ ‖b‖) along ``dim``: the cosine of the angle between a and b. Norms below ``eps`` count as
    ``eps``, but have the derivative of a norm all the same, as in torch."""

    name = "cosine_similarity"
    functions = ("cosine_similarity", "F.cosine_similarity")
    kind = "normalisation"
    rule = "cosine_similarity"
    promotion = "common"
    numbers = ()
    uses = ("x1 x2", "x1 x2")
    backward_name = "SumBackward1"
    special = {"pole": _without_direction}  # noqa: RUF012
    samples = (Sample(((2, 3), (2, 3))), Sample(((3,), (3,)), {"dim": 0}), Sample(((2, 1), (2, 3)), {"dim": -1}))

    def forward(self, x1: Any, x2: Any, *, dim: int = 1, eps: float = 1e-8) -> Any:
        if x1.dtype.kind != "f":
            raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {word(x1.dtype)}")
        return ADD.reduce(self.units(NUMERIC, x1, x2, dim, eps)[4], axis=axes(dim, max(x1.ndim, x2.ndim)))

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes)

    @staticmethod
    def units(xp: Any, x1: Any, x2: Any, dim: int, eps: float) -> tuple[Any, ...]:
        """(both inputs in one shape, the lengths that they are divided by, the products of the quotients)."""
        shape = np.broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
        a, b = (t if tuple(t.shape) == shape else xp.expand(t, shape=shape) for t in (x1, x2))
        lengths = [xp.norm(t, dim=dim, keepdim=True) for t in (a, b)]
        over_a, over_b = (xp.clamp_min(length, eps) for length in lengths)
        return a, b, (lengths[0], over_a), (lengths[1], over_b), (a / over_a) * (b / over_b)

    def vjp(
        self, xp: Any, needs: Any, g: Any, y: Any, x1: Any, x2: Any, *, dim: int = 1, eps: float = 1e-8
    ) -> tuple[Any, ...]:
        a, b, of_a, of_b, products = self.units(xp, x1, x2, dim, eps)
        y = xp.sum(products, dim=dim, keepdim=True)
        if a.ndim:
            g = xp.unsqueeze(g, dim=dim)

        def sent(own: Any, other: Any, of_own: Any, of_other: Any, like: Any) -> Any:
            length, over = of_own
            direction = xp.where(length == 0, 0.0, own / length)
            return xp.sum_to(g * (other / of_other[1] - y * direction) / over, shape=tuple(like.shape))

        return needs[0] and sent(a, b, of_a, of_b, x1), needs[1] and sent(b, a, of_b, of_a, x2)

    def formula(self, s: Any, out: Any, x1: Any, x2: Any, *, dim: int = 1, eps: float = 1e-8) -> Any:
        rank = max(x1.ndim, x2.ndim)
        over = axes(dim, rank)
        larger = max((x1, x2), key=lambda t: t.numbers[over[0] - rank + t.ndim] if over and over[0] >= rank - t.ndim else 1)

        def place() -> tuple[Any, Any]:
            if not over:
                return (), ()
            k = s.index(larger.shape[over[0] - rank + larger.ndim])
            return (*out[: over[0]], k, *out[over[0] :]), (k,)

        def total(body: Any) -> Any:
            at, bound = place()
            return s.total(body(at), *bound)

        half = s.number(0.5)
        lengths = (total(lambda at, t=t: t.at(at) ** 2) ** half for t in (x1, x2))
        return total(lambda at: x1.at(at) * x2.at(at)) / (next(lengths) * next(lengths))


register(CosineSimilarity())


def _normalize(xp: Any, input: Any, *, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None) -> Any:
    """x over its norm along ``dim``; norms below ``eps`` count as ``eps``."""
    return xp.div(input, xp.clamp_min(xp.norm(input, p=p, dim=dim, keepdim=True), eps))


def _pairwise_distance(xp: Any, x1: Any, x2: Any, *, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The norm of x1 − x2 + ε along the last axis."""
    return xp.norm(xp.add(xp.sub(x1, x2), eps), p=p, dim=-1, keepdim=keepdim)


PAIR = (Sample(((2, 3), (2, 3))),)
composite("normalize", _normalize, functions=("F.normalize",), samples=(Sample(((2, 3),)),))
composite(
    "pairwise_distance",
    _pairwise_distance,
    grad_fn="NormBackward1",
    functions=("pairwise_distance", "F.pairwise_distance"),
    numbers=(),
    samples=PAIR,
)
