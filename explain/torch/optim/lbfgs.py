"""L-BFGS: steps along an inverse Hessian that is guessed from the last steps, of a length that a line search may choose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from explain.tape.modes import enable_grad, no_grad
from explain.tape.tensor import Tensor
from explain.torch.optim.optimizer import Optimizer, check, put

DECREASE, CURVATURE = 1e-4, 0.9
"""The constants of Wolfe's two conditions: enough decrease, and a slope flat enough."""
MIN_CURVATURE = 1e-10
MIN_INTERVAL = 1e-9
"""Where the search gives up: an interval so short that no parameter moves further."""


@dataclass(frozen=True)
class _Point:
    """What is known of one step length: the loss there, the gradient, and the slope along the direction."""

    length: Any
    loss: float
    gradient: Any
    slope: Any


class LBFGS(Optimizer):
    """w ← w − t · H g, with H built from the last changes of w and g. ``step`` needs a closure that computes the loss."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check("lr", lr, "learning rate")
        options = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, options)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params: list[Tensor] = self.param_groups[0]["params"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Several steps with as many calls of the closure as they need; returns the loss before the first."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        search = self.param_groups[0]["line_search_fn"]
        with enable_grad():
            first = closure()
        with no_grad():
            state = self.state.setdefault(self._params[0], {})
            for name in ("func_evals", "n_iter"):
                state.setdefault(name, 0)
            state["func_evals"] += 1
            gradient = self._gradient()
            if self._flat(gradient):
                return first
            if search not in (None, "strong_wolfe"):
                raise RuntimeError("only 'strong_wolfe' is supported")
            self._steps(closure, _number(first), gradient, state)
        return first

    def _steps(self, closure: Callable[[], Any], loss: float, gradient: Any, state: dict[str, Any]) -> None:
        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]
        calls = 1
        for n in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(gradient, state)
            state["d"], state["prev_flat_grad"], state["prev_loss"] = direction, gradient, loss
            length = lr * min(1.0, 1.0 / np.abs(gradient).sum()) if state["n_iter"] == 1 else lr
            state["t"] = length
            slope = gradient @ direction
            if slope > -tolerance:
                return
            before, made = loss, 0
            if group["line_search_fn"] is not None:
                start = _Point(0, loss, gradient, slope)
                found, made = _search(self._along(closure, direction), start, length, direction, group["max_eval"] - calls)
                state["t"], loss, gradient = found.length, found.loss, found.gradient
                self._move(self._values(), found.length * direction)
            else:
                self._move(self._values(), length * direction)
                if n != group["max_iter"]:
                    loss, gradient = self._evaluate(closure)
                    made = 1
            calls += made
            state["func_evals"] += made
            still = np.abs(direction * state["t"]).max() <= tolerance or abs(loss - before) < tolerance
            if calls >= group["max_eval"] or self._flat(gradient) or still:
                return

    def _direction(self, gradient: Any, state: dict[str, Any]) -> Any:
        """−H g by the two loops over the remembered changes."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -gradient
        changes, steps, inverse = state["old_dirs"], state["old_stps"], state["ro"]
        change, step = gradient - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = change @ step
        if curvature > MIN_CURVATURE:
            if len(changes) == self.param_groups[0]["history_size"]:
                for kept in (changes, steps, inverse):
                    kept.pop(0)
            changes.append(change)
            steps.append(step)
            inverse.append(1 / curvature)
            state["H_diag"] = curvature / (change @ change)
        found = -gradient
        shares = []
        for change, step, scale in zip(reversed(changes), reversed(steps), reversed(inverse), strict=True):
            share = (step @ found) * scale
            shares.append(share)
            found = found - share * change
        found = found * state["H_diag"]
        for change, step, scale, share in zip(changes, steps, inverse, reversed(shares), strict=True):
            found = found + (share - (change @ found) * scale) * step
        return found

    # the parameters as one row

    def _gradient(self) -> Any:
        rows = [
            np.zeros(p.numel(), p.array.dtype) if p.gradient is None else np.ravel(p.gradient.array) for p in self._params
        ]
        return np.concatenate(rows)

    def _values(self) -> list[Any]:
        return [np.array(p.array) for p in self._params]

    def _move(self, values: list[Any], step: Any) -> None:
        start = 0
        for p, value in zip(self._params, values, strict=True):
            put(p, value + step[start : start + value.size].reshape(value.shape))
            start += value.size

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[float, Any]:
        with enable_grad():
            loss = closure()
        return _number(loss), self._gradient()

    def _along(self, closure: Callable[[], Any], direction: Any) -> Callable[[Any], _Point]:
        """The point at a step length along the direction; the parameters stay where they are."""
        values = self._values()

        def at(length: Any) -> _Point:
            self._move(values, length * direction)
            loss, gradient = self._evaluate(closure)
            self._move(values, 0 * direction)
            return _Point(length, loss, gradient, gradient @ direction)

        return at

    def _flat(self, gradient: Any) -> bool:
        return bool(np.abs(gradient).max() <= self.param_groups[0]["tolerance_grad"])


def _search(at: Callable[[Any], _Point], start: _Point, length: Any, direction: Any, most: int) -> tuple[_Point, int]:
    """The point of a step length that satisfies Wolfe's conditions, and how many points were looked at."""
    before, new, looked = start, at(length), 1
    tries = 0
    while tries < most:
        if _too_high(new, start) or (tries > 1 and new.loss >= before.loss) or _flat_enough(new, start) or new.slope >= 0:
            break
        bounds = (new.length + 0.01 * (new.length - before.length), new.length * 10)
        length = _cubic_minimum(before, new, bounds)
        before, new = new, at(length)
        looked += 1
        tries += 1
    else:
        return (start if start.loss <= new.loss else new), looked
    if not _too_high(new, start) and not (tries > 1 and new.loss >= before.loss) and _flat_enough(new, start):
        return new, looked
    found, more = _zoom(at, start, [before, new], direction, most - tries)
    return found, looked + more


def _zoom(at: Callable[[Any], _Point], start: _Point, ends: list[_Point], direction: Any, most: int) -> tuple[_Point, int]:
    """The search between two step lengths, one of which is the best so far."""
    widest = np.abs(direction).max()
    low, high = _by_loss(ends)
    poor = looked = 0  # whether the last step hardly left an end
    while looked < most and abs(ends[1].length - ends[0].length) * widest >= MIN_INTERVAL:
        first, last = sorted(end.length for end in ends)
        length = _cubic_minimum(ends[0], ends[1], (first, last))
        margin = 0.1 * (last - first)
        if min(last - length, length - first) < margin:
            if poor or length >= last or length <= first:
                length = last - margin if abs(length - last) < abs(length - first) else first + margin
                poor = 0
            else:
                poor = 1
        else:
            poor = 0
        new = at(length)
        looked += 1
        if _too_high(new, start) or new.loss >= ends[low].loss:
            ends[high] = new
            low, high = _by_loss(ends)
            continue
        done = _flat_enough(new, start)
        if not done and new.slope * (ends[high].length - ends[low].length) >= 0:
            ends[high] = ends[low]
        ends[low] = new
        if done:
            break
    return ends[low], looked


def _number(loss: Any) -> float:
    return loss.item() if isinstance(loss, Tensor) else float(loss)


def _by_loss(ends: list[_Point]) -> tuple[int, int]:
    return (0, 1) if ends[0].loss <= ends[1].loss else (1, 0)


def _too_high(new: _Point, start: _Point) -> bool:
    return bool(new.loss > start.loss + DECREASE * new.length * start.slope)


def _flat_enough(new: _Point, start: _Point) -> bool:
    return bool(abs(new.slope) <= -CURVATURE * start.slope)


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[Any, Any]) -> Any:
    """Where the cubic through two points with their slopes is least, within bounds; their middle if it has no minimum."""
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    square = mean**2 - a.slope * b.slope
    if not square >= 0:
        return (bounds[0] + bounds[1]) / 2.0
    if a.length > b.length:
        a, b = b, a
    root = math.sqrt(square)
    least = b.length - (b.length - a.length) * ((b.slope + root - mean) / (b.slope - a.slope + 2 * root))
    return min(max(least, bounds[0]), bounds[1])
