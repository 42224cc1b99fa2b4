"""Cross-entropy and negative log-likelihood: how little probability was given to what is true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Options, Sample, Shape, numpy_dtype, plain_array, word
from explain.ops.loss import Loss, formula_of_reduction, reduced, shared
from explain.ops.registry import NUMERIC, block

ADD: Any = np.add
ORDER = ("x", "target", "weight", "size_average", "ignore_index", "reduce", "reduction")
NOT_IGNORED = -100
"""Torch's default for ``ignore_index``: the number of no class."""
CLASSES = np.array([0, 3, 1])


def class_axis(ndim: int) -> int:
    """Where the axis of classes stands: (C), (N, C), (N, C, d₁, …)."""
    return 1 if ndim > 1 else 0


def _rows(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The sizes that are left without the axis of classes."""
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def _place(row: tuple[Any, ...], c: Any) -> tuple[Any, ...]:
    """The index of class ``c`` of a row."""
    return (*row[:1], c, *row[1:])


def _along_classes(values: Any, ndim: int) -> Any:
    """A vector with one entry per class, so shaped that it broadcasts against scores."""
    return values.reshape([-1 if k == class_axis(ndim) else 1 for k in range(ndim)])


class OfClasses(Loss):
    """A loss of scores x and class numbers, −Σ_c q_c log p_c in every row, with constant shares q: the weight of the true
    class at that class, some of it spread over all classes where labels are smoothed. Rows whose class is ``ignore_index``
    have no shares. A mean divides by the weights of the rows that count.
    """

    uses = ("x target weight", "", "")
    order: tuple[str, ...] = ORDER
    reads_values = (1,)
    constants = ("weight",)
    c_name = "nll_loss_forward"
    backward_name = "NllLossBackward0"

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        rank = len(shapes[0] or ())
        if options.get("label_smoothing"):
            return "AddBackward0"
        if rank < 3:
            return "NllLossBackward0"
        plain = rank == 4 or options.get("reduction", "mean") != "none"
        return "NllLoss2DBackward0" if plain else "ViewBackward0"

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        ignored = given.get("ignore_index", NOT_IGNORED)
        target = given["target"]
        if hasattr(target, "dtype") and not np.any(plain_array(target) == ignored):
            given.pop("ignore_index", None)  # formulas need not speak of what does not happen
        else:
            given["ignore_index"] = ignored

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        ignored = "ignore_index" in options
        weighted = len(shapes) > 2
        return {
            "n": _rows(shapes[0]), "reduction": options.get("reduction", "mean"), "plain": not weighted and not ignored,
            "ignored": options["ignore_index"] if ignored else None, "weighted": weighted,
            "smoothing": options.get("label_smoothing") or None,
        }  # fmt: skip

    def check(self, x: Any, target: Any, weight: Any, ignore_index: int | None) -> None:
        """Raise torch's errors for scores, classes and weights that do not fit."""
        if not x.ndim:
            raise ValueError("Expected 1 or more dimensions (got 0)")
        classes = x.shape[class_axis(x.ndim)]
        rows = len(target) if target.ndim else 0
        if x.ndim > 1 and len(x) != rows:
            raise ValueError(f"Expected input batch_size ({len(x)}) to match target batch_size ({rows}).")
        if target.dtype.char not in "lqB":
            raise RuntimeError(f"expected target dtype to be Long or Byte, but got {word(target.dtype)}")
        if x.ndim <= 2 and target.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if _rows(x.shape) != target.shape:
            raise RuntimeError(_mismatch(x.shape, target.shape))
        if weight is not None and weight.shape != (classes,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
                f"shape: {list(weight.shape)}"
            )
        if weight is not None and weight.dtype != x.dtype:
            raise RuntimeError(f"expected scalar type {word(x.dtype)} but found {word(weight.dtype)}")
        outside = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
        if outside.size:
            raise IndexError(f"Target {outside.reshape(-1)[0]} is out of bounds.")

    @staticmethod
    def shares(x: Any, target: Any, weight: Any, ignore_index: int | None, smoothing: float) -> tuple[Any, Any]:
        """(q in the shape of x, what a mean divides by)."""
        target, dtype, ndim = plain_array(target), numpy_dtype(x), x.ndim
        axis, classes = class_axis(ndim), x.shape[class_axis(ndim)]
        weights = _along_classes(np.ones(classes, dtype) if weight is None else plain_array(weight), ndim)
        counts = np.expand_dims(target != ignore_index, axis)
        hit = counts & (_along_classes(np.arange(classes), ndim) == np.expand_dims(target, axis))
        at_truth = np.where(hit, weights, dtype.type(0))
        q = at_truth
        if smoothing:
            everywhere = np.where(counts, weights, dtype.type(0))
            q = dtype.type(1 - smoothing) * at_truth + dtype.type(smoothing / classes) * everywhere
        return q, ADD.reduce(at_truth, axis=None)

    @staticmethod
    def total(log_p: Any, q: Any, divisor: Any, reduction: str) -> Any:
        """The loss for logarithms of probabilities, where no share means no loss, even of infinity."""
        terms = np.where(q != 0, -q * log_p, log_p.dtype.type(0))
        rows = ADD.reduce(terms, axis=class_axis(log_p.ndim))
        if reduction == "none":
            return rows[()]
        return ADD.reduce(rows, axis=None) / (divisor if reduction == "mean" else 1)

    @staticmethod
    def upstream(xp: Any, g: Any, x: Any, divisor: Any, reduction: str) -> Any:
        """The upstream of every row's loss, so shaped that it broadcasts against x."""
        if reduction == "mean":
            return g / (divisor or 1)
        return xp.unsqueeze(g, dim=1) if reduction == "none" and x.ndim > 1 else g

    @staticmethod
    def entry(
        s: Any, out: Any, x: Any, target: Any, weight: Any, ignore_index: int | None, reduction: str, loss: Any
    ) -> Any:
        """The formula, where ``loss(row)`` is the loss of a row, its weight included."""

        def counting(value: Any, row: tuple[Any, ...]) -> Any:
            return value if ignore_index is None else value * s.indicator(s.unequal(target[row], ignore_index))

        if reduction != "mean" or (weight is None and ignore_index is None):
            return formula_of_reduction(s, out, _rows(x.shape), reduction, lambda row: counting(loss(row), row))
        first, second = (tuple([s.index(n) for n in _rows(x.shape)]) for _ in range(2))
        weights = counting(s.number(1) if weight is None else weight[target[second]], second)
        return s.total(counting(loss(first), first), *first) / s.total(weights, *second)


def _mismatch(x: Shape, target: Shape) -> str:
    """Torch's words for targets that are not one per row; they depend on the rank."""
    if len(x) == 4 and len(target) != 3:
        return f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(target)}"
    if len(x) in (3, 5):
        return f"Expected target size {list(_rows(x))}, got {list(target)}"
    return (
        f"size mismatch (got input: {list(x)}, target: {list(target)})"
        if len(x) < 3
        else (f"size mismatch (got input: {list(x)} , target: {list(target)}")
    )


@block
class CrossEntropy(OfClasses):
    """−log softmax(x) at the true class of every row, and the mean over the rows."""

    name = "cross_entropy"
    functions = ("F.cross_entropy",)
    rule = "cross_entropy"
    order = (*ORDER, "label_smoothing")
    samples = (
        Sample(((3, 4), CLASSES)),
        Sample(((4,), np.array(2))),
        Sample(((3, 4), CLASSES, np.array([1.0, 0.5, 2.0, 1.5])), {"reduction": "sum"}),
        Sample(((3, 4), np.array([0, -100, 1])), {"ignore_index": -100}),
        Sample(((2, 3, 2), np.array([[0, 2], [1, 1]])), {"reduction": "none", "label_smoothing": 0.1}),
        Sample(((3, 4), CLASSES, np.array([1.0, 0.5, 2.0, 1.5])), {"label_smoothing": 0.25}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = self.sorted_call(args, kwargs)
        if hasattr(given["x"], "shape") and getattr(given["target"], "shape", None) == given["x"].shape:
            raise NoMatch("cross_entropy(): this target is a table of probabilities")
        return super().bind(*args, **kwargs)

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        _adjust_smoothing(given)

    def forward(
        self,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        log_p = NUMERIC.log_softmax(x, dim=class_axis(x.ndim)) if x.ndim else x
        self.check(x, target, weight, ignore_index)
        return self.total(log_p, *self.shares(x, target, weight, ignore_index, label_smoothing), reduction)

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
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        q, divisor = self.shares(x, target, weight, ignore_index, label_smoothing)
        axis = class_axis(x.ndim)
        p, g = xp.softmax(x, dim=axis), self.upstream(xp, g, x, divisor, reduction)
        if weight is None and ignore_index is None:
            return g * xp.sub(p, q), None, None
        sent = xp.mul(g, q)
        return xp.sub(xp.mul(p, xp.sum(sent, dim=axis, keepdim=True)), sent), None, None

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        size, share = x.shape[class_axis(x.ndim)], s.number(label_smoothing)

        def loss(row: tuple[Any, ...]) -> Any:
            j, c, t = s.index(size), s.index(size), target[row]
            scale, truth = s.reduction("logsumexp", x[_place(row, j)], j), x[_place(row, t)]
            if not label_smoothing:
                return scale - truth if weight is None else weight[t] * (scale - truth)
            if weight is None:
                return scale - (1 - share) * truth - share * s.total(x[_place(row, c)], c) / s.count(c)
            shares = (1 - share) * s.indicator(s.equal(t, c)) + share / s.count(c)
            return s.total(shares * weight[c] * (scale - x[_place(row, c)]), c)

        return self.entry(s, out, x, target, weight, ignore_index, reduction, loss)


@block
class NllLoss(OfClasses):
    """The negative of the entry at the true class of every row, where the entries are log-probabilities."""

    name = "nll_loss"
    functions = ("F.nll_loss",)
    rule = "nll_loss"
    samples = (
        Sample(((3, 4), CLASSES)),
        Sample(((3, 4), CLASSES, np.array([1.0, 0.5, 2.0, 1.5]))),
        Sample(((2, 3, 2), np.array([[0, 2], [-100, 1]])), {"reduction": "none", "ignore_index": -100}),
    )

    def forward(
        self, x: Any, target: Any, weight: Any = None, *, ignore_index: int | None = None, reduction: str = "mean"
    ) -> Any:
        if x.dtype.kind != "f":
            raise NotImplementedError(f"\"nll_loss_out_frame\" not implemented for '{word(x.dtype)}'")
        self.check(x, target, weight, ignore_index)
        return self.total(x, *self.shares(x, target, weight, ignore_index, 0.0), reduction)

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
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> Any:
        q, divisor = self.shares(x, target, weight, ignore_index, 0.0)
        return xp.sub(0.0, xp.mul(self.upstream(xp, g, x, divisor, reduction), q)), None, None  # never -0.0

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> Any:
        def loss(row: tuple[Any, ...]) -> Any:
            t = target[row]
            return -x[_place(row, t)] if weight is None else -(weight[t] * x[_place(row, t)])

        return self.entry(s, out, x, target, weight, ignore_index, reduction, loss)


@block
class CrossEntropyOfShares(Loss):
    """−Σ_c q_c log softmax(x)_c in every row, with a probability q_c for every class, and the mean over the rows."""

    name = "cross_entropy_of_shares"
    functions = ("F.cross_entropy",)
    rule = "cross_entropy_of_shares"
    order = (*ORDER, "label_smoothing")
    uses = ("x target weight", "x weight", "x target")
    backward_name = "DivBackward1"
    samples = (
        Sample(((2, 3), (2, 3))),
        Sample(((3,), (3,), (3,)), {"reduction": "sum", "label_smoothing": 0.25}),
        Sample(((2, 3, 2), (2, 3, 2)), {"reduction": "none"}),
    )

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "DivBackward1" if options.get("reduction", "mean") == "mean" else "NegBackward0"

    def adjust(self, given: dict[str, Any]) -> None:
        super().adjust(given)
        _adjust_smoothing(given)
        if given.pop("ignore_index", NOT_IGNORED) >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        smoothing, weighted = options.get("label_smoothing") or None, len(shapes) > 2
        return {
            "n": _rows(shapes[0]), "reduction": options.get("reduction", "mean"), "plain": True,
            "ignored": None, "weighted": weighted, "smoothing": smoothing,
        }  # fmt: skip

    def forward(
        self, x: Any, target: Any, weight: Any = None, *, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> Any:
        if target.dtype.kind != "f":
            raise RuntimeError(f"Expected floating point type for target with class probabilities, got {word(target.dtype)}")
        self.check_weight(x, weight)
        axis = class_axis(x.ndim)
        terms = self.weighted(NUMERIC, self.smoothed(NUMERIC, target, label_smoothing), weight) * NUMERIC.log_softmax(
            x, dim=axis
        )
        rows = -ADD.reduce(terms, axis=axis)
        return reduced(rows, reduction)[()]

    @staticmethod
    def check_weight(x: Any, weight: Any) -> None:
        """Raise torch's error for weights that are not one per class."""
        classes = x.shape[class_axis(x.ndim)]
        if weight is not None and weight.shape != (classes,):
            raise RuntimeError(
                f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got "
                f"weight tensor of shape: {list(weight.shape)}"
            )

    @staticmethod
    def smoothed(xp: Any, target: Any, smoothing: float) -> Any:
        """The target shares, some of each spread over all classes."""
        if not smoothing:
            return target
        return xp.add(xp.mul(target, 1 - smoothing), smoothing / target.shape[class_axis(target.ndim)])

    @staticmethod
    def weighted(xp: Any, values: Any, weight: Any) -> Any:
        """The values times the weights of their classes."""
        if weight is None:
            return values
        shape = tuple(-1 if k == class_axis(values.ndim) else 1 for k in range(values.ndim))
        return xp.mul(values, xp.reshape(weight, shape=shape))

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
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        axis = class_axis(x.ndim)
        g = shared(g, math.prod(_rows(x.shape)), reduction)
        g = xp.unsqueeze(g, dim=1) if reduction == "none" and x.ndim > 1 else g
        back_x = back_target = back_weight = None
        shares = self.smoothed(xp, target, label_smoothing) if needs[0] or needs[2] else None
        if needs[0]:
            q = self.weighted(xp, shares, weight)
            back_x = g * (xp.softmax(x, dim=axis) * xp.sum(q, dim=axis, keepdim=True) - q)
        if needs[1] or needs[2]:
            surprise = g * -xp.log_softmax(x, dim=axis)
        if needs[1]:
            back_target = self.weighted(xp, surprise * (1 - label_smoothing), weight)
        if needs[2]:
            others = tuple(k for k in range(x.ndim) if k != axis)
            back_weight = xp.sum(surprise * shares, dim=others) if others else surprise * shares
        return back_x, back_target, back_weight

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        target: Any,
        weight: Any = None,
        *,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        size = x.shape[class_axis(x.ndim)]

        def loss(row: tuple[Any, ...]) -> Any:
            j, c = s.index(size), s.index(size)
            share, place = target[_place(row, c)], _place(row, c)
            if label_smoothing:
                share = (1 - s.number(label_smoothing)) * share + s.number(label_smoothing) / s.count(c)
            surprise = s.reduction("logsumexp", x[_place(row, j)], j) - x[place]
            return s.total(share * surprise if weight is None else weight[c] * share * surprise, c)

        return formula_of_reduction(s, out, _rows(x.shape), reduction, loss)


def _adjust_smoothing(given: dict[str, Any]) -> None:
    """Leave the share out where nothing is smoothed. Raises torch's error for more than all."""
    share = given.pop("label_smoothing", 0.0)
    if share > 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {share}")
    if share > 0:
        given["label_smoothing"] = share
