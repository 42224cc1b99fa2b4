"""Convolutions along one, two or three axes, and their transposes.

One trilinear form stands behind them all: Σ x[n, c, s i + d k − p] · w[o, c, k] · g[n, o, i]. Leaving out g gives the
convolution, leaving out x its transpose, leaving out w the gradient of the weight; so their rules are each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, word
from explain.ops.optional import WithOptional
from explain.ops.registry import block, register
from explain.ops.windows import Ints, Pairs, laid_down, met, padded, places_of, windows

USUAL: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""Torch's defaults."""


def per_axis(value: Any, axes: int, name: str) -> Ints:
    """An option as one number per axis. Raises torch's error for another count."""
    numbers = (value,) * axes if isinstance(value, int | np.integer) else tuple(value) * (axes if len(value) == 1 else 1)
    if len(numbers) != axes:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {axes} values to match the convolution dimensions, "
            f"but got {name}={list(numbers)}"
        )
    return tuple(int(n) for n in numbers)


def _by_group(t: Any, axis: int, groups: int) -> Any:
    """The axis split into groups and channels of a group."""
    return t.reshape((*t.shape[:axis], groups, t.shape[axis] // groups, *t.shape[axis + 1 :]))


def _groups_first(t: Any) -> Any:
    return np.moveaxis(t, 1, 0)


def _rows(x: Any, kernel: Ints, places: Ints, groups: int, o: Options) -> Any:
    """What the kernel meets, one row per sample and place: (groups, samples and places, channels and kernel)."""
    met_there = windows(padded(x, o["padding"]), kernel, o["stride"], o["dilation"], places)
    split = _groups_first(_by_group(met_there, 1, groups))  # groups, samples, channels, places, kernel
    count = len(places)
    ordered = np.moveaxis(split, 2, 2 + count)
    return ordered.reshape(groups, len(x) * math.prod(places), x.shape[1] // groups * math.prod(kernel))


def _outputs(g: Any, groups: int) -> Any:
    """The entries of an output, one row per sample and place: (groups, samples and places, channels)."""
    split = _groups_first(_by_group(g, 1, groups))
    return np.moveaxis(split, 2, -1).reshape(groups, len(g) * math.prod(g.shape[2:]), g.shape[1] // groups)


def _kernels(w: Any, groups: int) -> Any:
    return w.reshape(groups, len(w) // groups, math.prod(w.shape[1:]))


def _convolved(x: Any, w: Any, o: Options) -> Any:
    groups, kernel = o["groups"], w.shape[2:]
    places = places_of(x.shape[2:], kernel, o["stride"], o["padding"], o["dilation"])
    y = _rows(x, kernel, places, groups, o) @ _kernels(w, groups).mT  # groups, samples and places, channels
    y = np.moveaxis(y.reshape(groups, len(x), *places, len(w) // groups), -1, 2)
    return np.ascontiguousarray(np.moveaxis(y, 0, 1).reshape(len(x), len(w), *places))


def _transposed(g: Any, w: Any, size: Ints, o: Options) -> Any:
    groups, kernel, places = o["groups"], w.shape[2:], g.shape[2:]
    found = _outputs(g, groups) @ _kernels(w, groups)  # groups, samples and places, channels and kernel
    found = found.reshape(groups, len(g), *places, w.shape[1], *kernel)
    found = np.moveaxis(np.moveaxis(found, 2 + len(places), 2), 0, 1)
    found = found.reshape(len(g), groups * w.shape[1], *places, *kernel)
    reach = tuple(
        max(n + sum(p), s * (m - 1) + d * (k - 1) + 1)
        for n, p, s, d, m, k in zip(size, o["padding"], o["stride"], o["dilation"], places, kernel, strict=True)
    )
    whole = laid_down(found, reach, o["stride"], o["dilation"])
    inside = tuple(slice(p, p + n) for n, (p, _) in zip(size, o["padding"], strict=True))
    return np.ascontiguousarray(whole[(..., *inside)])


def _of_weight(g: Any, x: Any, kernel: Ints, o: Options) -> Any:
    groups = o["groups"]
    found = _outputs(g, groups).mT @ _rows(x, kernel, g.shape[2:], groups, o)
    return found.reshape(g.shape[1], x.shape[1] // groups, *kernel)


class _Convolving(WithOptional):
    """What the convolution and its transpose have in common; ``axes`` is the number of axes that the kernel moves along."""

    kind = "contraction"
    uses = ("weight", "x", "")
    backward_name = "ConvolutionBackward0"
    axes = 1
    transposed = False
    order: tuple[str, ...] = ("x", "weight", "bias", "stride", "padding", "dilation", "groups")

    def __init__(self, axes: int) -> None:
        self.axes = axes
        self.name = f"{self.name}{axes}d"
        self.functions = (f"F.{self.name}", self.name)
        super().__init__()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "ConvolutionBackward0" if len(shapes[0] or ()) == self.axes + 2 else "SqueezeBackward1"

    def check(self, x: Any, weight: Any, bias: Any, groups: int) -> None:
        """Raise torch's errors for shapes and dtypes that do not fit."""
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise RuntimeError(
                f"Expected {self.axes + 1}D (unbatched) or {self.axes + 2}D (batched) input to {self.name}, but got input "
                f"of size: {list(x.shape)}"
            )
        if weight.ndim < 3:
            raise RuntimeError("weight should have at least three dimensions")
        if weight.ndim != self.axes + 2:
            raise RuntimeError(
                f"Expected {weight.ndim - 1}D (unbatched) or {weight.ndim}D (batched) input to {self.name}, but got input "
                f"of size: {list(x.shape)}"
            )
        for t in (weight, bias):
            if t is not None and t.dtype != x.dtype:
                raise RuntimeError(f"expected scalar type {word(x.dtype)} but found {word(t.dtype)}")
        channels = x.shape[-self.axes - 1]
        wanted = weight.shape[0] if self.transposed else weight.shape[1] * groups
        if groups <= 0:
            raise RuntimeError("non-positive groups is not supported")
        if weight.shape[0] % groups or weight.shape[0] < groups:
            raise RuntimeError(
                f"Given groups={groups}, expected weight to be {'at least' if weight.shape[0] < groups else 'divisible by'} "
                f"{groups} at dimension 0, but got weight of size [{list(weight.shape)}] instead"
            )
        if channels != wanted:
            given = "transposed=1" if self.transposed else f"groups={groups}"
            batch = "" if x.ndim == self.axes + 2 else "1, "
            raise RuntimeError(
                f"Given {given}, weight of size {list(weight.shape)}, expected input[{batch}{str(list(x.shape))[1:-1]}] to "
                f"have {wanted} channels, but got {channels} channels instead"
            )
        outputs = weight.shape[1] * groups if self.transposed else weight.shape[0]
        if bias is not None and bias.shape != (outputs,):
            raise RuntimeError(
                f"Given {'transposed=1, ' if self.transposed else ''}weight of size {list(weight.shape)}, expected bias to "
                f"be 1-dimensional with {outputs} elements, but got bias of size {list(bias.shape)} instead"
            )

    def sorted_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        left = self.order[len(args) :]
        return super().sorted_call(args, {name: usual for name, usual in USUAL.items() if name in left} | kwargs)

    def normalised(self, given: dict[str, Any]) -> None:
        """The options as one number per axis. Raises torch's errors."""
        for name in ("stride", "dilation"):
            given[name] = per_axis(given[name], self.axes, name)
        if any(n <= 0 for n in given["stride"]):
            raise RuntimeError("non-positive stride is not supported")
        if any(n <= 0 for n in given["dilation"]):
            raise RuntimeError(f"dilation should be greater than zero, but got {list(given['dilation'])}")

    @staticmethod
    def batched(t: Any, axes: int) -> Any:
        """With an axis of samples."""
        return t if t.ndim == axes + 2 else t[None]

    def biased(self, y: Any, bias: Any) -> Any:
        """y + bias per channel."""
        return y if bias is None else y + bias.reshape(-1, *[1] * self.axes)

    def pulled_bias(self, xp: Any, g: Any) -> Any:
        """The upstreams of each channel, added."""
        channel = g.ndim - self.axes - 1
        return xp.sum(g, dim=tuple(k for k in range(g.ndim) if k != channel))


class Conv(_Convolving):
    """y[n, o, i] = b_o + Σ_{c,k} w[o, c, k] · x[n, c, s i + d k − p], with 0 read outside."""

    name = "conv"
    rule = "convolution"

    def __init__(self, axes: int) -> None:
        rest = (1,) * (axes - 1)
        plain = {"stride": (1, *rest), "padding": ((0, 0),) * axes, "dilation": (1, *rest), "groups": 1}
        around = plain | {"stride": (2, *rest), "padding": ((1, 1), *((0, 0),) * (axes - 1))}
        grouped = plain | {"padding": ((0, 1),), "dilation": (2,), "groups": 2}
        shown = Sample(((2, 2, *(3, 3, 2)[:axes]), (2, 2, *(2, 2, 1)[:axes]), (2,)), plain)
        self.samples = (shown, Sample(((1, 3, *rest), (1, 1, 2, *rest), (1,)), around))
        if axes == 1:
            self.samples += (Sample(((2, 3), (2, 1, 2)), grouped),)
        super().__init__(axes)

    def adjust(self, given: dict[str, Any]) -> None:
        self.normalised(given)
        padding = given["padding"]
        kernel = given["weight"].shape[2:]
        if padding == "valid":
            padding = 0
        if padding == "same":
            if any(s != 1 for s in given["stride"]):
                raise RuntimeError("padding='same' is not supported for strided convolutions")
            x, weight = given["x"], given["weight"]
            if len(kernel) != self.axes:
                raise RuntimeError(
                    f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight{list(weight.shape)}, "
                    f"but got {x.ndim}-dimensional input of size {list(x.shape)} instead"
                )
            total = [d * (k - 1) for d, k in zip(given["dilation"], kernel, strict=True)]
            given["padding"] = tuple((t // 2, t - t // 2) for t in total)
            return
        if isinstance(padding, str):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        numbers = per_axis(padding, self.axes, "padding")
        if any(n < 0 for n in numbers):
            raise RuntimeError("negative padding is not supported")
        given["padding"] = tuple((n, n) for n in numbers)

    def forward(
        self,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        stride: Ints,
        padding: Pairs,
        dilation: Ints,
        groups: int,
    ) -> Any:
        self.check(x, weight, bias, groups)
        full = self.batched(x, self.axes)
        o = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if min(places_of(full.shape[2:], weight.shape[2:], stride, padding, dilation)) < 1:
            across = " x ".join(str(n + sum(p)) for n, p in zip(full.shape[2:], padding, strict=True))
            kernel = " x ".join(str(d * (k - 1) + 1) for k, d in zip(weight.shape[2:], dilation, strict=True))
            raise RuntimeError(
                f"Calculated padded input size per channel: ({across}). Kernel size: ({kernel}). Kernel size can't be "
                "greater than actual input size"
            )
        y = self.biased(_convolved(full, weight, o), bias)
        return y if x.ndim == full.ndim else y[0]

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        weight: Any,
        bias: Any = None,
        **o: Any,
    ) -> Any:
        back_x = back_weight = None
        if needs[0]:
            transposed = getattr(xp, f"conv_transpose{self.axes}d")
            back_x = transposed(g, weight, size=tuple(x.shape[x.ndim - self.axes :]), **o)
        if needs[1]:
            back_weight = xp.conv_weight(g, x, kernel=tuple(weight.shape[2:]), **o)
        return back_x, back_weight, needs[2] and self.pulled_bias(xp, g)

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        stride: Ints,
        padding: Pairs,
        dilation: Ints,
        groups: int,
    ) -> Any:
        *sample, o = out[: len(out) - self.axes]
        c, *bound = (s.index(n) for n in weight.shape[1:])
        sizes, kernel = x.numbers[x.ndim - self.axes :], weight.numbers[2:]
        places = places_of(sizes, kernel, stride, padding, dilation)
        where, inside = met(s, out[len(out) - self.axes :], bound, sizes, places, kernel, stride, padding, dilation)
        channel = s.in_group(o, weight.shape[0], c, weight.shape[1], groups)
        product = s.product([weight[(o, c, *bound)], x[(*sample, channel, *where)], *inside])
        y = s.total(product, c, *bound)
        return y if bias is None else y + bias[o]


class ConvTranspose(_Convolving):
    """y[n, o, a] = b_o + Σ_{c,i,k} w[c, o, k] · x[n, c, i] · [a = s i + d k − p]: the transpose of a convolution.

    ``size``: how far a runs.
    """

    name = "conv_transpose"
    rule = "conv_transpose"
    transposed = True

    def __init__(self, axes: int) -> None:
        rest = (1,) * (axes - 1)
        plain = {"stride": (1, *rest), "padding": ((0, 0),) * axes, "dilation": (1, *rest), "groups": 1}
        wide = plain | {"stride": (2,), "padding": ((1, 1),), "groups": 2}
        self.samples = (Sample(((1, 2, *rest), (1, 1, 2, *rest), (1,)), plain | {"size": (3, *rest)}),)
        if axes == 1:
            self.samples += (Sample(((2, 2), (2, 1, 2)), wide | {"size": (3,)}),)
        self.order = ("x", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
        super().__init__(axes)

    def adjust(self, given: dict[str, Any]) -> None:
        self.normalised(given)
        padding = per_axis(given["padding"], self.axes, "padding")
        more = per_axis(given.pop("output_padding", 0), self.axes, "output_padding")
        if any(n < 0 for n in padding):
            raise RuntimeError("negative padding is not supported")
        for extra, s, d in zip(more, given["stride"], given["dilation"], strict=True):
            if extra >= max(s, d):
                raise RuntimeError("output padding must be smaller than either stride or dilation")
        sizes, kernel = given["x"].shape[given["x"].ndim - self.axes :], given["weight"].shape[2:]
        given["padding"] = tuple((n, n) for n in padding)
        if len(sizes) == len(kernel) == self.axes:
            given["size"] = tuple(
                (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
                for n, s, p, d, k, extra in zip(
                    sizes, given["stride"], padding, given["dilation"], kernel, more, strict=True
                )
            )
            if min(given["size"]) < 1:
                raise RuntimeError(
                    f"Given input size per channel: {list(sizes)}. Calculated output size per channel: "
                    f"{list(given['size'])}. Output size is too small"
                )
        else:
            given["size"] = ()

    def forward(
        self,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        size: Ints = (),
        stride: Ints,
        padding: Pairs,
        dilation: Ints,
        groups: int,
    ) -> Any:
        self.check(x, weight, bias, groups)
        full = self.batched(x, self.axes)
        o = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y = self.biased(_transposed(full, weight, size, o), bias)
        return y if x.ndim == full.ndim else y[0]

    def vjp(
        self,
        xp: Any,
        needs: Any,
        g: Any,
        y: Any,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        size: Ints = (),
        **o: Any,
    ) -> Any:
        back_x = needs[0] and self._cut(getattr(xp, f"conv{self.axes}d")(g, weight, **o), x, xp)
        back_weight = needs[1] and xp.conv_weight(x, g, kernel=tuple(weight.shape[2:]), **o)
        return back_x, back_weight, needs[2] and self.pulled_bias(xp, g)

    def _cut(self, found: Any, x: Any, xp: Any) -> Any:
        """The places that x has: with an output padding the kernel fits into one more."""
        if tuple(found.shape) == tuple(x.shape):
            return found
        return xp.index(found, index=tuple(slice(0, n) for n in x.shape))

    def formula(
        self,
        s: Any,
        out: Any,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        size: Ints = (),
        stride: Ints,
        padding: Pairs,
        dilation: Ints,
        groups: int,
    ) -> Any:
        *sample, o = out[: len(out) - self.axes]
        places, kernel = x.shape[x.ndim - self.axes :], weight.shape[2:]
        c = s.index(s.per_group(weight.shape[0], groups))
        at, bound = [s.index(n) for n in places], [s.index(n) for n in kernel]
        channel = s.in_group(o, s.all_groups(weight.shape[1], groups), c, s.per_group(weight.shape[0], groups), groups)
        own = s.in_its_group(o, weight.shape[1], groups)
        hits = [
            s.indicator(s.equal(a, step * i + gap * k - before))
            for a, i, k, step, gap, (before, _) in zip(
                out[len(out) - self.axes :], at, bound, stride, dilation, padding, strict=True
            )
        ]
        product = s.product([weight[(channel, own, *bound)], x[(*sample, channel, *at)], *hits])
        y = s.total(product, c, *at, *bound)
        return y if bias is None else y + bias[o]


for _axes in (1, 2, 3):
    register(Conv(_axes))
    register(ConvTranspose(_axes))


@block
class ConvWeight(Op):
    """w[o, c, k] = Σ_{n,i} g[n, o, i] · x[n, c, s i + d k − p]: what a convolution sends to its weight."""

    name = "conv_weight"
    kind = "contraction"
    rule = "conv_weight"
    uses = ("x", "g")
    backward_name = "ConvolutionBackward0"
    samples = (
        Sample(
            ((2, 1, 3), (2, 2, 4)),
            {"kernel": (2,), "stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1},
        ),
        Sample(((2, 2), (2, 3)), {"kernel": (2,), "stride": (2,), "padding": ((1, 0),), "dilation": (1,), "groups": 2}),
    )

    def forward(self, g: Any, x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Any:
        o = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        axes = len(kernel)
        return _of_weight(_Convolving.batched(g, axes), _Convolving.batched(x, axes), kernel, o)

    def vjp(self, xp: Any, needs: Any, upstream: Any, y: Any, g: Any, x: Any, *, kernel: Ints, **o: Any) -> Any:
        axes = len(kernel)
        back_g = back_x = None
        if needs[0]:
            found = getattr(xp, f"conv{axes}d")(x, upstream, **o)
            whole = tuple(found.shape) == tuple(g.shape)
            back_g = found if whole else xp.index(found, index=tuple(slice(0, n) for n in g.shape))
        if needs[1]:
            back_x = getattr(xp, f"conv_transpose{axes}d")(g, upstream, size=tuple(x.shape[x.ndim - axes :]), **o)
        return back_g, back_x

    def formula(
        self,
        s: Any,
        out: Any,
        g: Any,
        x: Any,
        *,
        kernel: Ints,
        stride: Ints,
        padding: Pairs,
        dilation: Ints,
        groups: int,
    ) -> Any:
        o, c, *entry = out
        axes = len(kernel)
        sample = [s.index(n) for n in x.shape[: x.ndim - axes - 1]]
        at = [s.index(n) for n in g.shape[g.ndim - axes :]]
        sizes, places = x.numbers[x.ndim - axes :], g.numbers[g.ndim - axes :]
        where, inside = met(s, at, entry, sizes, places, kernel, stride, padding, dilation)
        per_group = s.per_group(x.shape[x.ndim - axes - 1], groups)
        channel = s.in_group(o, g.shape[g.ndim - axes - 1], c, per_group, groups)
        product = s.product([g[(*sample, o, *at)], x[(*sample, channel, *where)], *inside])
        return s.total(product, *sample, *at)
