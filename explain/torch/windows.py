"""Windows of signals: tensors whose entries rise and fall again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.tape import dtypes
from explain.tape.tensor import Tensor
from explain.torch.creation import check_place, finished


def _window(name: str, shape: Callable[..., Any], words: str) -> Callable[..., Tensor]:
    def made(
        window_length: int, periodic: bool = True, *coefficients: float, dtype: Any = None, requires_grad: bool = False,
        **options: Any,
    ) -> Tensor:  # fmt: skip
        own = {key: options.pop(key) for key in ("alpha", "beta") if key in options}
        check_place(name, options)
        if window_length < 0:
            raise RuntimeError(f"{name} requires non-negative window_length, got window_length={window_length}")
        kind = dtypes.default.floating if dtype is None else dtypes.as_numpy(dtype)
        if window_length < 2:
            return finished(np.ones(window_length, kind), requires_grad)
        steps = window_length if periodic else window_length - 1
        values = shape(np.arange(window_length).astype(kind), steps, *coefficients, **own)
        return finished(np.asarray(values, kind), requires_grad)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = words
    return made


# each in the window's own precision, step by step as torch computes it


def _cosine(k: Any, steps: int, alpha: float = 0.54, beta: float = 0.46) -> Any:
    number = k.dtype.type
    return np.cos(k * number(2 * math.pi / steps)) * number(-beta) + number(alpha)


def _hann(k: Any, steps: int) -> Any:
    return _cosine(k, steps, 0.5, 0.5)


def _triangle(k: Any, steps: int) -> Any:
    rising = k * k.dtype.type(2 / steps)
    return np.where(k <= steps // 2, rising, 2 - rising)


def _blackman(k: Any, steps: int) -> Any:
    number = k.dtype.type
    angle = k * number(math.pi / steps)
    return np.cos(angle * 4) * number(0.08) - np.cos(angle * 2) * number(0.5) + number(0.42)


hamming_window = _window("hamming_window", _cosine, "A cosine on a pedestal.")
hann_window = _window("hann_window", _hann, "A cosine from 0 to 1 and back.")
bartlett_window = _window("bartlett_window", _triangle, "A triangle.")
blackman_window = _window("blackman_window", _blackman, "Two cosines on a pedestal.")
