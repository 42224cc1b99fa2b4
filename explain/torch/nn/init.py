"""``nn.init``: how parameters begin, drawn from torch's stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.tape.inplace import write
from explain.tape.tensor import Tensor
from explain.torch import random


def _filled(tensor: Tensor, values: Any) -> Tensor:
    write(tensor, np.asarray(values, tensor.array.dtype))
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b)."""
    return _filled(tensor, random.uniform_(tensor, a, b, generator=generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal."""
    return _filled(tensor, random.normal_(tensor, mean, std, generator=generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number."""
    return _filled(tensor, np.full(tensor.array.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix. Raises torch's ValueError for other ranks."""
    if tensor.array.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _filled(tensor, np.eye(*tensor.array.shape))


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    """The factor by which an activation shrinks deviations. Raises torch's ValueError for unknown names."""
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid"):
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def fans(tensor: Tensor) -> tuple[int, int]:
    """(how many entries go into one output, how many outputs one input goes to). Raises torch's ValueError."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with deviation gain · √(2 / (fan in + fan out))."""
    std = gain * math.sqrt(2.0 / float(sum(fans(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with deviation gain · √(2 / (fan in + fan out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(fans(tensor)))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform with deviation gain / √fan."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with deviation gain / √fan."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal between a and b: torch's distribution, by its own way of drawing it up to the inverse error function."""

    def below(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = below((a - mean) / std), below((b - mean) / std)
    uniform = np.asarray(random.uniform_(tensor, 2 * low - 1, 2 * high - 1, generator=generator), np.float64)
    from explain.ops.registry import NUMERIC

    values = NUMERIC.erfinv(uniform) * (std * math.sqrt(2.0)) + mean
    return _filled(tensor, np.clip(values, a, b))


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """An orthogonal matrix times gain. Raises torch's ValueError for fewer than 2 axes."""
    if tensor.array.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    rows = tensor.array.shape[0]
    columns = tensor.array.size // rows
    drawn = (generator or random.default_generator).randn((rows, columns), tensor.array.dtype)
    if rows < columns:
        drawn = drawn.T
    q, r = np.linalg.qr(drawn)
    q = q * np.sign(np.diag(r))
    return _filled(tensor, (gain * (q.T if rows < columns else q)).reshape(tensor.array.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The convolution that changes nothing."""
    values = np.zeros(tensor.array.shape)
    outs, ins = tensor.array.shape[:2]
    middle = tuple(n // 2 for n in tensor.array.shape[2:])
    for g in range(groups):
        for d in range(min(outs // groups, ins)):
            values[(g * (outs // groups) + d, d, *middle)] = 1
    return _filled(tensor, values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with a share of each column set to zero."""
    rows, columns = tensor.array.shape
    values = random.normal_(tensor, 0.0, std, generator=generator)
    for c in range(columns):
        chosen = np.argsort((generator or random.default_generator).uniform53(rows))[: math.ceil(sparsity * rows)]
        values[chosen, c] = 0
    return _filled(tensor, values)


uniform, normal, constant = uniform_, normal_, constant_
xavier_uniform, xavier_normal = xavier_uniform_, xavier_normal_
kaiming_uniform, kaiming_normal, orthogonal = kaiming_uniform_, kaiming_normal_, orthogonal_
