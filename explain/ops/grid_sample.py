"""Entries read at places between entries: a grid of places over an image, and the grid of an affine map. Of other ops."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np

from explain.ops.base import Array, Sample, numpy_dtype, plain_array
from explain.ops.interpolation import SHARPNESS
from explain.ops.registry import composite

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


def _position(xp: Any, grid: Any, axis: int, size: int, align_corners: bool) -> Any:
    """The grid's numbers from −1 to 1 along one axis, as positions among ``size`` entries."""
    at = xp.add(xp.index(grid, index=(Ellipsis, axis)), 1.0)
    if align_corners:
        return xp.mul(at, (size - 1) / 2)
    return xp.div(xp.sub(xp.mul(at, float(size)), 1.0), 2.0)


def _padded(xp: Any, at: Any, size: int, padding: str, align_corners: bool) -> Any:
    """Positions outside brought back: to the border, or reflected at it."""
    if padding == "reflection":
        low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
        if not span:
            at = xp.mul(at, 0.0)
        else:
            over = plain_array(at) - low
            sign = np.where(over < 0, -1.0, 1.0)  # of what the absolute value is
            folds = np.floor(np.abs(over) / span)
            odd = folds % 2 == 1
            # |over| − folds·span, or from the other end after an odd number of folds
            slope = np.where(odd, -sign, sign)
            shift = np.where(odd, span + folds * span, -folds * span) - slope * low + low
            dtype = numpy_dtype(at)
            at = xp.add(xp.mul(at, slope.astype(dtype)), shift.astype(dtype))
    if padding == "zeros":
        return at
    values = plain_array(at)
    inside = (values > 0) & (values < size - 1)  # torch takes the derivative 0 at the border itself
    return at if inside.all() else xp.where(inside, at, np.clip(values, 0, size - 1))


def _read(xp: Any, rows: Any, sizes: tuple[int, ...], places: list[Array]) -> Any:
    """The entries at whole positions, 0 where they lie outside: (batch, channels, places)."""
    inside = np.ones(places[0].shape, bool)
    number = np.zeros(places[0].shape, np.int64)
    for at, size in zip(places, sizes, strict=True):
        inside &= (at >= 0) & (at < size)
        number = number * size + np.clip(np.nan_to_num(at), 0, size - 1).astype(np.int64)
    batch, channels = rows.shape[:2]
    index = np.broadcast_to(number.reshape(batch, 1, -1), (batch, channels, number[0].size))
    found = xp.gather(rows, np.ascontiguousarray(index), dim=2)
    return found if inside.all() else xp.mul(found, inside.reshape(batch, 1, -1).astype(numpy_dtype(rows)))


def _cubic_weights(xp: Any, t: Any) -> list[Any]:
    """The weights of the four entries around, for the share ``t`` of the way from the second to the third."""
    a = SHARPNESS

    def polynomial(x: Any, *coefficients: float) -> Any:
        found: Any = coefficients[0]
        for c in coefficients[1:]:
            found = xp.add(xp.mul(x, found), c)
        return found

    def near(x: Any) -> Any:
        return polynomial(x, a + 2, -(a + 3), 0.0, 1.0)

    def far(x: Any) -> Any:
        return polynomial(x, a, -5 * a, 8 * a, -4 * a)

    other = xp.add(xp.neg(t), 1.0)
    return [far(xp.add(t, 1.0)), near(t), near(other), far(xp.add(other, 1.0))]


def _grid_sample(
    xp: Any, x: Any, grid: Any, *, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """A mixture of the entries around each place; (−1, −1) is one corner of the image, (1, 1) the opposite one."""
    if mode not in MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=4,
        )
    corners = bool(align_corners)
    sizes = tuple(x.shape[2:])
    _refuse(x, grid, mode)
    axes_ = range(len(sizes))
    found_at = [_position(xp, grid, len(sizes) - 1 - k, sizes[k], corners) for k in axes_]
    rows = xp.reshape(x, shape=(*x.shape[:2], math.prod(sizes)))
    shape = (x.shape[0], x.shape[1], *grid.shape[1:-1])
    flat = (x.shape[0], 1, math.prod(grid.shape[1:-1]))
    if mode != "bicubic":
        found_at = [_padded(xp, at, n, padding_mode, corners) for at, n in zip(found_at, sizes, strict=True)]
    if mode == "nearest":
        found = _read(xp, rows, sizes, [np.rint(plain_array(at)) for at in found_at])
        if getattr(grid, "requires_grad", False):  # a place that moves a little reads the same entry
            found = xp.add(found, xp.reshape(xp.zero(found_at[0]), shape=flat))
        return xp.reshape(found, shape=shape)
    low = [np.floor(plain_array(at)) for at in found_at]
    share = [xp.sub(at, floor) for at, floor in zip(found_at, low, strict=True)]
    steps = (-1, 0, 1, 2) if mode == "bicubic" else (0, 1)
    weights = [_cubic_weights(xp, t) if mode == "bicubic" else [xp.add(xp.neg(t), 1.0), t] for t in share]
    total: Any = None
    for choice in itertools.product(range(len(steps)), repeat=len(sizes)):
        places = [floor + steps[c] for floor, c in zip(low, choice, strict=True)]
        if mode == "bicubic":
            places = [plain_array(_padded(xp, p, n, padding_mode, corners)) for p, n in zip(places, sizes, strict=True)]
        weight: Any = None
        for k, c in enumerate(choice):
            weight = weights[k][c] if weight is None else xp.mul(weight, weights[k][c])
        part = xp.mul(_read(xp, rows, sizes, places), xp.reshape(weight, shape=flat))
        total = part if total is None else xp.add(total, part)
    return xp.reshape(total, shape=shape)


def _refuse(x: Any, grid: Any, mode: str) -> None:
    name = "grid_sampler()"
    if x.shape[:1] != grid.shape[:1]:
        raise RuntimeError(
            f"{name}: expected grid and input to have same batch size, but got input with sizes {list(x.shape)} and "
            f"grid with sizes {list(grid.shape)}"
        )
    if x.ndim not in (4, 5) or x.ndim != grid.ndim:
        raise RuntimeError(
            f"{name}: expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"{name}: expected grid to have size {x.ndim - 2} in last dimension, but got grid with sizes {list(grid.shape)}"
        )
    for k, n in enumerate(x.shape[2:], 2):
        if not n:
            raise RuntimeError(
                f"{name}: expected input to have non-empty spatial dimensions, but input has sizes {list(x.shape)} with "
                f"dimension {k} being empty"
            )
    if x.ndim == 5 and mode == "bicubic":
        raise RuntimeError(f"{name}: bicubic interpolation only supports 4D input")


def _affine_grid(xp: Any, theta: Any, *, size: Any, align_corners: bool | None = None) -> Any:
    """For each entry of an image of ``size`` the place that the affine map ``theta`` sends it to, for ``grid_sample``."""
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=4,
        )
    if numpy_dtype(theta).kind != "f":
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    own = tuple(int(n) for n in size[2:])
    rank = len(own)
    if theta.ndim != 3 or rank not in (2, 3) or tuple(theta.shape[-2:]) != (rank, rank + 1):
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {tuple(size)}. Got "
            f"{theta.shape}."
        )
    dtype = numpy_dtype(theta)
    lines = []
    for n in own:
        line = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
        lines.append(line if align_corners else line * (n - 1) / n)
    places = np.meshgrid(*lines, indexing="ij")
    base = np.stack([*(p.reshape(-1) for p in reversed(places)), np.ones(math.prod(own))], -1).astype(dtype)
    return xp.reshape(xp.matmul(base, xp.mT(theta)), shape=(theta.shape[0], *own, rank))


composite(
    "grid_sample", _grid_sample, functions=("F.grid_sample",),
    grad_fn=lambda shapes, options: f"GridSampler{len(shapes[0]) - 2}DBackward0",
    samples=(Sample(((1, 1, 2, 3), np.array([[[[-0.3, 0.4], [0.2, -0.7]]]])), {"align_corners": False}),),
)  # fmt: skip
composite(
    "affine_grid", _affine_grid, functions=("F.affine_grid",), grad_fn="AffineGridGeneratorBackward0",
    samples=(Sample(((1, 2, 3),), {"size": (1, 1, 2, 2), "align_corners": False}),),
)  # fmt: skip
