"""``gradcheck``: the tape's Jacobian against central differences, with torch's tolerances and words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.tape.autograd import grad
from explain.tape.modes import no_grad
from explain.tape.tensor import Tensor, wrap
from explain.torch.autograd.functional import silently

PRECISION = (
    "Input #{} requires gradient and is not a double precision floating point or complex. This check will likely fail if "
    "all the inputs are not of double precision floating point or complex. "
)


class GradcheckError(RuntimeError):
    """The tape's Jacobian and the one of differences disagree."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **others: Any,
) -> bool:
    """Whether the gradients of ``func`` at ``inputs`` (of float64) are those of central differences.

    Raises GradcheckError with both Jacobians, or returns False without ``raise_exception``; ValueError if no input
    requires a gradient.
    """
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    starts = [t for t in given if isinstance(t, Tensor) and t.tracked]
    if not starts:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for k, t in enumerate(given):
        if isinstance(t, Tensor) and t.tracked and t.array.dtype != np.float64:
            warnings.warn(PRECISION.format(k), UserWarning, stacklevel=2)
    with silently():
        fault = _fault(func, given, starts, eps, atol, rtol)
    if fault is None:
        return True
    if raise_exception:
        raise GradcheckError(fault)
    return False


def _fault(
    func: Callable[..., Any], given: tuple[Any, ...], starts: list[Tensor], eps: float, atol: float, rtol: float
) -> str | None:
    outputs = func(*given)
    outputs = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
    kept = [y for y in outputs if isinstance(y, Tensor) and y.tracked]
    for k, y in enumerate(kept):
        for j, x in enumerate(starts):
            position = next(n for n, t in enumerate(given) if t is x)
            by_tape, by_difference = _analytical(y, x), _numerical(func, given, x, outputs.index(y), eps)
            if not np.allclose(by_tape, by_difference, rtol=rtol, atol=atol, equal_nan=True):
                return (
                    f"Jacobian mismatch for output {k} with respect to input {position if len(given) > 1 else j},\n"
                    f"numerical:{wrap(by_difference)}\nanalytical:{wrap(by_tape)}\n"
                )
    return None


def _analytical(y: Tensor, x: Tensor) -> np.ndarray:
    """(entries of x, entries of y), as torch prints it."""
    columns = []
    for place in np.ndindex(y.array.shape):
        v = np.zeros_like(y.array)
        v[place] = 1
        (g,) = grad(y, x, wrap(v[()]), retain_graph=True, allow_unused=True)
        columns.append(np.zeros(x.array.size) if g is None else np.asarray(g.array).ravel())
    return np.stack(columns, axis=1) if columns else np.zeros((x.array.size, 0))


def _numerical(func: Callable[..., Any], given: tuple[Any, ...], x: Tensor, which: int, eps: float) -> np.ndarray:
    def value(moved: np.ndarray) -> np.ndarray:
        before, x.array = x.array, moved[()] if moved.ndim == 0 else moved
        try:
            with no_grad():
                found = func(*given)
        finally:
            x.array = before
        y = found[which] if isinstance(found, tuple | list) else found
        return np.array(y.array).ravel()

    rows = []
    for place in np.ndindex(x.array.shape):
        up, down = np.array(x.array), np.array(x.array)
        up[place] += eps
        down[place] -= eps
        rows.append((value(up) - value(down)) / (2 * eps))
    return np.stack(rows) if rows else np.zeros((0, 0))


def gradgradcheck(func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **options: Any) -> bool:
    """``gradcheck`` of the gradient itself, weighted by random cotangents."""
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    outputs = func(*given)
    one = not isinstance(outputs, tuple)
    stream = np.random.default_rng(0)
    weights = []
    for y in [outputs] if one else outputs:
        v = wrap(stream.normal(size=y.array.shape)[()])
        v.requires_grad_()
        weights.append(v)

    def first(*both: Any) -> Any:
        own, upstream = both[: len(given)], both[len(given) :]
        found = func(*own)
        starts = [t for t in own if isinstance(t, Tensor) and t.tracked]
        return grad([found] if one else list(found), starts, list(upstream), create_graph=True, allow_unused=True)

    return gradcheck(first, (*given, *weights), **options)
