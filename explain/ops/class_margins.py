"""Losses of class scores with a margin: the true class, or every true one, should be ahead of all others by 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Options, Sample, Shape, numpy_dtype, plain_array, word
from explain.ops.loss import Loss, formula_of_reduction, reduced, shared
from explain.ops.registry import NUMERIC, register

ADD: Any = np.add


class OfScores(Loss):
    """A loss of scores x, one row of C classes or a table of rows; each row's terms are divided by C."""

    reads_values = (1,)
    kernel: str = ""

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"n": shapes[0][:-1], "reduction": options.get("reduction", "mean")}

    def check(self, x: Any, target: Any) -> None:
        """Raise torch's errors for scores of another rank and for what are no numbers of classes."""
        if x.ndim > 2 or (x.ndim and not x.shape[-1]):
            raise RuntimeError(
                f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
            )
        if target.dtype.char not in "lq":
            raise RuntimeError(f"expected scalar type Long but found {word(target.dtype)}")
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"{self.kernel}\" not implemented for '{word(x.dtype)}'")

    @staticmethod
    def per_row(g: Any, rows: int, reduction: str, xp: Any, rank: int) -> Any:
        """The upstream of every row's loss, so shaped that it broadcasts against the scores."""
        g = shared(g, rows, reduction)
        return xp.unsqueeze(g, dim=-1) if reduction == "none" and rank == 2 else g


def _at_margin(x: Any, target: Any, weight: Any = None, *, p: int = 1, margin: float = 1.0, reduction: str = "mean") -> Any:
    """Where another class is ahead by just the margin: there the slope jumps, unless it is that of a square."""
    ahead, others, _ = MultiMarginLoss.ahead(NUMERIC, x, target, weight, margin)
    return others & (ahead == 0) & (p == 1)


def _pair_at_margin(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The pairs of classes that are just 1 apart."""
    ahead, each, _ = MultilabelMarginLoss.pairs(NUMERIC, x, target)
    return (each > 0) & (ahead == 0)


class MultiMarginLoss(OfScores):
    """Σ_{j≠t} max(0, margin − x_t + x_j)^p / C in every row, t the true class, and the mean over the rows."""

    name = "multi_margin_loss"
    functions = ("F.multi_margin_loss",)
    rule = "multi_margin_loss"
    order = ("x", "target", "p", "margin", "weight", "size_average", "reduce", "reduction")
    uses = ("x target weight", "", "")
    constants = ("weight",)
    backward_name = "MultiMarginLossBackward0"
    kernel = "multi_margin_loss_cpu_kernel"
    special = {"kink": _at_margin}  # noqa: RUF012
    samples = (
        Sample(((2, 3), np.array([0, 2]))),
        Sample(((2, 3), np.array([1, 1]), np.array([1.0, 2.0, 0.5])), {"reduction": "none", "p": 2}),
        Sample(((3,), np.array(1)), {"margin": 0.5}),
    )

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        weight = given.get("weight")
        if given.get("p", 1) not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError("weight must be one-dimensional")

    @staticmethod
    def ahead(xp: Any, x: Any, target: Any, weight: Any, margin: float) -> tuple[Any, Any, Any]:
        """(margin − x_t + x_j in the shape of x, whether j is another class than t, the weight of t over C)."""
        dtype = numpy_dtype(x)
        classes = x.shape[-1] if x.ndim else 1
        truth = plain_array(target).reshape(x.shape[:-1])[..., None] if x.ndim else plain_array(target)
        hit = np.arange(classes) == truth if x.ndim else np.bool_(True)
        of_truth = xp.sum(xp.where(hit, x, 0.0), dim=-1, keepdim=True) if x.ndim else x
        share = np.ones(1, dtype) if weight is None else plain_array(weight)[truth]
        return xp.add(xp.sub(x, of_truth), margin), ~hit, share / dtype.type(classes)

    def forward(
        self, x: Any, target: Any, weight: Any = None, *, p: int = 1, margin: float = 1.0, reduction: str = "mean"
    ) -> Any:
        self.check(x, target)
        rows, classes = (len(x) if x.ndim == 2 else 1), (x.shape[-1] if x.ndim else 1)
        if target.ndim > 1 or target.size != rows:
            raise RuntimeError(
                "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
                f"size). Expected target size [{rows}], but got {list(target.shape)}. Input has shape {list(x.shape)}."
            )
        if weight is not None and weight.shape != (classes,):
            raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
        if weight is not None and weight.dtype != x.dtype:
            raise RuntimeError(f"expected scalar type {word(x.dtype)} but found {word(weight.dtype)}")
        if np.any((target < 0) | (target >= classes)):
            raise RuntimeError("target out of range")
        ahead, others, share = self.ahead(NUMERIC, x, target, weight, margin)
        terms = np.where(others, np.maximum(ahead, 0) ** p * share, x.dtype.type(0))
        losses = ADD.reduce(terms, axis=-1) if x.ndim else terms
        return reduced(losses.reshape(target.shape) if x.ndim < 2 else losses, reduction)[()]

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        p: int = 1,
        margin: float = 1.0,
        reduction: str = "mean",
    ) -> Any:
        ahead, others, share = self.ahead(xp, x, target, weight, margin)
        over = np.logical_and(others, plain_array(ahead) > 0)
        g = self.per_row(g, x.shape[0] if x.ndim == 2 else 1, reduction, xp, x.ndim)
        pull = xp.where(over, xp.mul(g, share) * (1 if p == 1 else 2 * ahead), 0.0)
        if not x.ndim:
            return xp.reshape(xp.sum(pull), shape=()), None, None
        return xp.sub(pull, xp.where(others, 0.0, xp.sum(pull, dim=-1, keepdim=True))), None, None

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        p: int = 1,
        margin: float = 1.0,
        reduction: str = "mean",
    ) -> Any:
        def loss(row: Any) -> Any:
            j = s.index(x.shape[-1])
            place = row[: x.ndim - 1]
            t = target[(0,) * target.ndim if x.ndim == 1 else row]
            over = s.function("relu", s.literal(margin) - x[(*place, t)] + x[(*place, j)])
            total = s.total(over**p * s.indicator(s.unequal(j, t)), j) / s.count(j)
            return total if weight is None else weight[t] * total

        return formula_of_reduction(s, out, x.shape[:-1], reduction, loss)


class MultilabelMarginLoss(OfScores):
    """Σ_j Σ_i max(0, 1 − x_j + x_i) / C in every row, over the true classes j and all other classes i, and the mean over
    the rows. The target lists the true classes of a row; the list ends at the first −1."""

    name = "multilabel_margin_loss"
    functions = ("F.multilabel_margin_loss",)
    rule = "multilabel_margin_loss"
    order = ("x", "target", "size_average", "reduce", "reduction")
    uses = ("x target", "")
    backward_name = "MultilabelMarginLossBackward0"
    kernel = "multilabel_margin_loss_forward_out_frame"
    special = {"kink": _pair_at_margin}  # noqa: RUF012
    samples = (
        Sample(((2, 3), np.array([[0, 2, -1], [1, -1, 0]]))),
        Sample(((4,), np.array([3, 0, -1, 1])), {"reduction": "sum"}),
    )

    @staticmethod
    def counts(x: Any, target: Any) -> Any:
        """How often each class is listed as true, in the shape of x."""
        labels = plain_array(target).reshape(-1, x.shape[-1] if x.ndim else 1)
        listed = np.logical_and.accumulate(labels >= 0, axis=1)
        found = np.zeros(labels.shape, np.int64)
        rows = np.broadcast_to(np.arange(len(labels))[:, None], labels.shape)
        np.add.at(found, (rows[listed], labels[listed]), 1)
        return found.reshape(tuple(x.shape))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        counts = self.counts(*ins)
        return {"listed": counts, "other": (counts == 0).astype(np.int64)}

    @classmethod
    def pairs(cls, xp: Any, x: Any, target: Any) -> tuple[Any, Any, float]:
        """(1 − x_j + x_i for every pair (j, i) of classes, how often the pair counts, C)."""
        counts = cls.counts(x, target)
        each = counts[..., :, None] * (counts[..., None, :] == 0)
        return xp.add(xp.sub(xp.unsqueeze(x, dim=-2), xp.unsqueeze(x, dim=-1)), 1), each, float(x.shape[-1])

    def forward(self, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        self.check(x, target)
        if x.shape != target.shape:
            raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(x.shape)}")
        if np.any((target < -1) | (target >= (x.shape[-1] if x.ndim else 1))):
            raise RuntimeError("argument #2 'target' is out of range")
        if not x.ndim:
            return x * 0
        ahead, each, classes = self.pairs(NUMERIC, x, target)
        terms = np.where(each > 0, np.maximum(ahead, 0) * each, 0)
        return reduced((ADD.reduce(terms, axis=(-2, -1)) / classes).astype(x.dtype)[()], reduction)[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        if not x.ndim:
            return xp.zero(g), None
        ahead, each, classes = self.pairs(xp, x, target)
        weights = np.where(plain_array(ahead) > 0, each, 0).astype(numpy_dtype(x))
        pull = (ADD.reduce(weights, axis=-2) - ADD.reduce(weights, axis=-1)) / numpy_dtype(x).type(classes)
        g = self.per_row(g, x.shape[0] if x.ndim == 2 else 1, reduction, xp, x.ndim)
        return xp.mul(g, pull), None

    def formula(self, s: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
        def loss(row: Any) -> Any:
            j, i = s.index(x.shape[-1]), s.index(x.shape[-1])
            over = s.function("relu", 1 - x[(*row, j)] + x[(*row, i)])
            return s.total(s.given("listed")[(*row, j)] * s.given("other")[(*row, i)] * over, j, i) / s.count(j)

        return formula_of_reduction(s, out, x.shape[:-1], reduction, loss)


register(MultiMarginLoss())
register(MultilabelMarginLoss())
