"""Interpolation: images and signals in another size. Along each axis it is a constant matrix, whose rows are weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from explain.ops.avg_pool import adaptive_mean, along_axis
from explain.ops.base import Array, Options, Sample, Shape, numpy_dtype
from explain.ops.indexing import Slot
from explain.ops.registry import composite

AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "lanczos": 2, "trilinear": 3}
MODES = ("nearest", "nearest-exact", "area", *AXES)
SHARPNESS = -0.75
"""The free parameter of cubic convolution, as torch sets it."""
SMOOTH_SHARPNESS = -0.5
"""The same where frequencies that the smaller size cannot show are taken away."""


def _places(size: int, count: int, factor: float | None, align_corners: bool) -> Array:
    """Where output entries lie among input entries: between their corners, or between their first and last."""
    at = np.arange(count)
    if align_corners:
        return at * ((size - 1) / (count - 1) if count > 1 else 0.0)
    return (at + 0.5) * (1 / factor if factor else size / count) - 0.5


def _weighted(size: int, places: Sequence[tuple[Array, Array]]) -> Array:
    """The matrix with the given (positions, weights) in its rows; positions outside are moved to the border."""
    rows = np.arange(len(places[0][0]))
    matrix = np.zeros((len(rows), size))
    for at, weight in places:
        np.add.at(matrix, (rows, np.clip(at, 0, size - 1)), weight)
    return matrix


def _linear(size: int, count: int, factor: float | None, align_corners: bool) -> Array:
    at = np.maximum(_places(size, count, factor, align_corners), 0)
    low = np.floor(at).astype(int)
    share = at - low
    return _weighted(size, [(low, 1 - share), (low + 1, share)])


def _cubic(size: int, count: int, factor: float | None, align_corners: bool) -> Array:
    at = _places(size, count, factor, align_corners)
    low = np.floor(at).astype(int)
    t = at - low
    return _weighted(size, [(low + k, _cubic_weight(t - k, SHARPNESS)) for k in (-1, 0, 1, 2)])


def _cubic_weight(distance: Array, a: float) -> Array:
    """Cubic convolution: 1 at distance 0, nothing from distance 2 on."""
    x = np.abs(distance)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos_weight(distance: Array) -> Array:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


SMOOTH: dict[str, tuple[Callable[[Array], Array], int]] = {
    "bilinear": (lambda distance: np.maximum(0.0, 1 - np.abs(distance)), 1),
    "bicubic": (lambda distance: _cubic_weight(distance, SMOOTH_SHARPNESS), 2),
    "lanczos": (_lanczos_weight, 3),
}
"""Per mode the weight at a distance, and how far it reaches, for ``antialias``."""


def _smooth(mode: str, size: int, count: int, factor: float | None, align_corners: bool) -> Array:
    """The matrix whose weights are as wide as what an output entry stands for, so that fine patterns leave no trace."""
    step = 1 / factor if factor else size / count
    if align_corners:
        step = (size - 1) / (count - 1) if count > 1 else 0.0
    weight, reach = SMOOTH[mode]
    width = max(step, 1.0)
    matrix = np.zeros((count, size))
    for i in range(count):
        centre = step * (i + 0.5)
        seen = np.arange(max(int(centre - reach * width + 0.5), 0), min(int(centre + reach * width + 0.5), size))
        weights = weight((seen - centre + 0.5) / width)
        matrix[i, seen] = weights / weights.sum() if weights.sum() else weights
    return matrix


MATRICES: dict[str, Callable[..., Array]] = {"linear": _linear, "bilinear": _linear, "trilinear": _linear, "bicubic": _cubic}


def _sizes(shape: Shape, size: Any, scale_factor: Any) -> tuple[list[int], list[float | None]]:
    """The output's sizes and, if given, the factors, per spatial axis. Raises torch's errors."""
    own = shape[2:]
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    many = isinstance(given, tuple | list)
    if many and len(given) != len(own):
        what, name, letter = ("output size of", "output size", "o")
        if size is None:
            what, name, letter = ("scale_factor of shape", "scale_factor", "s")
        raise ValueError(
            f"Input and {name.removesuffix(' size')} must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(own)} and {what} {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            f"format and {name} in ({letter}1, {letter}2, ...,{letter}K) format."
        )
    values = list(given) if many else [given] * len(own)
    if size is not None:
        return [int(n) for n in values], [None] * len(own)
    return [math.floor(float(n) * float(f)) for n, f in zip(own, values, strict=True)], [float(f) for f in values]


def _interpolate(
    xp: Any,
    x: Any,
    *,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """The entries in another size: copied from the nearest place, or mixed from those around it."""
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    shape = tuple(x.shape)
    counts, factors = _sizes(shape, size, scale_factor)
    if recompute_scale_factor:
        if size is not None:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        factors = [None] * len(factors)
    rank = len(shape)
    if antialias and not (mode in SMOOTH and rank == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode == "lanczos" and rank == 4 and (align_corners or not antialias):
        word = "does not support align_corners=True" if align_corners else "requires antialias=True"
        raise ValueError(f"Lanczos mode {word}")
    if mode not in MODES or rank not in (3, 4, 5):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if mode in AXES and AXES[mode] != rank - 2:
        raise NotImplementedError(f"Got {rank}D input, but {mode} mode needs {AXES[mode] + 2}D input")
    if min(counts) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input (H: {shape[2]}, W: {shape[-1]}) output (H: "
            f"{counts[0]}, W: {counts[-1]})"
        )
    if mode == "area":
        return adaptive_mean(xp, x, counts)
    for axis, (count, factor) in enumerate(zip(counts, factors, strict=True), 2):
        own = shape[axis]
        if antialias or mode in MATRICES:
            place = (own, count, factor, bool(align_corners))
            matrix = _smooth(mode, *place) if antialias else MATRICES[mode](*place)
            x = along_axis(xp, x, matrix.astype(numpy_dtype(x)), axis)
            continue
        shift = 0.5 if mode == "nearest-exact" else 0.0
        step = np.float32(1 / factor if factor else own / count)
        nearest = np.minimum(np.floor((np.arange(count) + np.float32(shift)) * step).astype(np.int64), own - 1)
        x = xp.index(x, nearest, index=(*[slice(None)] * axis, Slot(0, False)))
    return x


def _upsample(
    xp: Any, x: Any, *, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None
) -> Any:
    """Interpolation under its older name."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4)
    return _interpolate(xp, x, size=size, scale_factor=scale_factor, mode=mode, align_corners=align_corners)


def _upsample_nearest(xp: Any, x: Any, *, size: Any = None, scale_factor: Any = None) -> Any:
    """Every entry repeated."""
    return _upsample(xp, x, size=size, scale_factor=scale_factor, mode="nearest")


def _upsample_bilinear(xp: Any, x: Any, *, size: Any = None, scale_factor: Any = None) -> Any:
    """Mixed from the four entries around, corner on corner."""
    return _upsample(xp, x, size=size, scale_factor=scale_factor, mode="bilinear", align_corners=True)


def _node(shapes: tuple[Shape | None, ...], options: Options) -> str:
    """Torch's name of the node: by the mode and the number of axes."""
    rank = len(shapes[0] or ()) - 2
    mode = options.get("mode", "nearest")
    if mode == "area":
        return f"AdaptiveAvgPool{rank}DBackward0" if rank > 1 else ""
    word = {"nearest": "Nearest", "nearest-exact": "NearestExact"}.get(mode, mode.capitalize())
    return f"Upsample{word}{rank}D{'Aa' if options.get('antialias') else ''}Backward0"


_SMALLER = Sample(((1, 1, 3, 2),), {"size": (2, 2), "mode": "bilinear", "antialias": True})
_LARGER = (Sample(((1, 1, 2),), {"scale_factor": 2}),)
composite("interpolate", _interpolate, functions=("F.interpolate",), samples=(*_LARGER, _SMALLER), grad_fn=_node)
composite("upsample", _upsample, functions=("F.upsample",), samples=_LARGER, grad_fn=_node)
composite("upsample_nearest", _upsample_nearest, functions=("F.upsample_nearest",), samples=_LARGER, grad_fn=_node)
composite(
    "upsample_bilinear",
    _upsample_bilinear,
    functions=("F.upsample_bilinear",),
    grad_fn="UpsampleBilinear2DBackward0",
    samples=(Sample(((1, 1, 2, 2),), {"scale_factor": 2}),),
)
