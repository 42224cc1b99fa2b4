"""Differences of neighbours and what undoes them: diff, numeric gradients, the trapezoidal rule. All made of other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Sample, axes, numpy_dtype, plain_array
from explain.ops.registry import composite


def _along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """An index that takes ``part`` of one axis."""
    return tuple([part if k == axis else slice(None) for k in range(ndim)])


def _part(xp: Any, x: Any, axis: int, start: int | None, end: int | None) -> Any:
    return xp.index(x, index=_along(axis, x.ndim, slice(start, end)))


def _diff(xp: Any, x: Any, prepend: Any = None, append: Any = None, *, n: int = 1, dim: int = -1) -> Any:
    """Each entry less the one before it, ``n`` times."""
    if not x.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    (axis,) = axes(dim, x.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return xp.clone(x)
    ends = [t for t in (prepend, x, append) if t is not None]
    for t in ends:
        if t.ndim != x.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    if len(ends) > 1:
        x = xp.cat(*ends, dim=axis)
    for _ in range(n):
        later, earlier = _part(xp, x, axis, 1, None), _part(xp, x, axis, None, -1)
        x = xp.logical_xor(later, earlier) if numpy_dtype(x).kind == "b" else xp.sub(later, earlier)
    return x


def _pairs(xp: Any, y: Any, axis: int) -> Any:
    """The sums of neighbours."""
    return xp.add(_part(xp, y, axis, None, -1), _part(xp, y, axis, 1, None))


def _widths(xp: Any, y: Any, x: Any, axis: int) -> Any:
    """The distances of neighbours in x, ready to multiply what lies along an axis of y."""
    if not x.ndim:
        raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
    if x.ndim == 1 and y.ndim > 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        x = xp.reshape(x, shape=tuple([-1 if k == axis else 1 for k in range(y.ndim)]))
        return _diff(xp, x, dim=axis)
    if x.ndim < y.ndim:
        x = xp.reshape(x, shape=(1,) * (y.ndim - x.ndim) + tuple(x.shape))
    own = axis - y.ndim + x.ndim
    return _diff(xp, x, dim=own)


def _trapezoid(xp: Any, y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    """The area under straight lines between the points: each step's width times the mean of its ends."""
    if not y.ndim:
        axes(dim, 0)
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    (axis,) = axes(dim, y.ndim)
    if not y.shape[axis]:
        return np.zeros(tuple([n for k, n in enumerate(y.shape) if k != axis]), numpy_dtype(y))[()]
    if x is None:
        ends = xp.add(xp.index(y, index=_along(axis, y.ndim, 0)), xp.index(y, index=_along(axis, y.ndim, -1)))
        return xp.mul(xp.sub(xp.sum(y, dim=axis), xp.mul(ends, 0.5)), dx)
    return xp.div(xp.sum(xp.mul(_pairs(xp, y, axis), _widths(xp, y, x, axis)), dim=axis), 2.0)


def _cumulative_trapezoid(xp: Any, y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    """The areas up to every point but the first."""
    (axis,) = axes(dim, y.ndim)
    if x is None:
        return xp.mul(xp.cumsum(_pairs(xp, y, axis), dim=axis), dx / 2)
    return xp.div(xp.cumsum(xp.mul(_pairs(xp, y, axis), _widths(xp, y, x, axis)), dim=axis), 2.0)


def _gradient(xp: Any, x: Any, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    """Estimates of the derivative along every axis: central differences inside, one-sided ones at both ends."""
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    over = [axes(d, x.ndim)[0] for d in dims]
    if len(set(over)) != len(over):
        twice = next(d for k, d in enumerate(over) if d in over[:k])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    steps = _steps(spacing, len(over))
    for axis, step in zip(over, steps, strict=True):
        if x.shape[axis] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if hasattr(step, "shape") and len(step.shape) and step.shape[0] != x.shape[axis]:
            raise RuntimeError(
                "torch.gradient expected each spacing tensor to have the same length as the dimension that it is for"
            )
    return tuple([_slopes(xp, x, axis, step, edge_order) for axis, step in zip(over, steps, strict=True)])


def _steps(spacing: Any, count: int) -> list[Any]:
    """Per axis the distance of neighbours, or the positions."""
    if spacing is None:
        return [1.0] * count
    if isinstance(spacing, int | float):
        return [float(spacing)] * count
    found = list(spacing) if isinstance(spacing, tuple | list) else [spacing] * count
    if len(found) != count:
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar or a list of length equal to 'self.dim() - 1'. "
            f"Expected length {count}, got {len(found)}"
        )
    return [float(s) if isinstance(s, int | float) else plain_array(s) for s in found]


def _slopes(xp: Any, x: Any, axis: int, step: Any, edge_order: int) -> Any:
    """The estimates along one axis."""
    n = x.shape[axis]
    at = step if isinstance(step, np.ndarray) and step.ndim else np.arange(n) * float(step)
    widths = np.diff(np.asarray(at, np.float64))
    first = _edge(xp, x, axis, (0, 1, 2)[: edge_order + 1], widths[:edge_order])
    last = _edge(xp, x, axis, (n - 1, n - 2, n - 3)[: edge_order + 1], -widths[::-1][:edge_order])
    if n == 2:
        return xp.cat(first, last, dim=axis)
    before, after = (_shaped(w, x, axis) for w in (widths[:-1], widths[1:]))
    left, right = _part(xp, x, axis, None, -2), _part(xp, x, axis, 2, None)
    if np.all(widths == widths[0]):
        inside = xp.div(xp.sub(right, left), 2 * float(widths[0]))
    else:
        middle = xp.mul(_part(xp, x, axis, 1, -1), (after - before) / (before * after))
        ends = xp.sub(xp.mul(right, before / (after * (before + after))), xp.mul(left, after / (before * (before + after))))
        inside = xp.add(ends, middle)
    return xp.cat(first, inside, last, dim=axis)


def _shaped(widths: Any, x: Any, axis: int) -> Any:
    """Numbers along one axis of x, in its dtype."""
    return widths.astype(numpy_dtype(x)).reshape([-1 if k == axis else 1 for k in range(x.ndim)])


def _edge(xp: Any, x: Any, axis: int, places: tuple[int, ...], widths: Any) -> Any:
    """The slope at an end from the entries at ``places``, the end first, whose distances are ``widths``."""
    values = [_part(xp, x, axis, k, k + 1) for k in places]
    near = float(widths[0])
    slope = xp.div(xp.sub(values[1], values[0]), near)
    if len(places) == 2:
        return slope
    further = xp.div(xp.sub(values[2], values[1]), float(widths[1]))
    bend = xp.div(xp.sub(further, slope), near + float(widths[1]))
    return xp.sub(slope, xp.mul(bend, near))


_ROW = (Sample(((4,),)),)
composite(
    "diff", _diff, functions=("diff",), methods=("diff",), order=("x", "n", "dim", "prepend", "append"), numbers=(),
    samples=_ROW,
)  # fmt: skip
for _name in ("trapezoid", "trapz"):
    composite(
        _name, _trapezoid, functions=(_name,), order=("y", "x", "dx", "dim"), numbers=(), samples=_ROW,
        grad_fn=lambda shapes, options: "DivBackward1" if len(shapes) > 1 else "MulBackward1",
    )  # fmt: skip
composite(
    "cumulative_trapezoid", _cumulative_trapezoid, functions=("cumulative_trapezoid",), order=("y", "x", "dx", "dim"),
    numbers=(), samples=_ROW,
    grad_fn=lambda shapes, options: "DivBackward1" if len(shapes) > 1 else "CumsumBackward0",
)  # fmt: skip
composite("gradient", _gradient, functions=("gradient",), samples=_ROW)
