"""Random tensors: torch's own streams for every seed (see ``explain.ops.random``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.random import Generator, default_generator
from explain.tape import dtypes
from explain.tape.dtypes import INT64
from explain.tape.tensor import Tensor, leaf, wrap
from explain.torch.creation import as_number, check_place, check_tensor, finished, sizes


def manual_seed(seed: int) -> Generator:
    """Start torch's default stream anew."""
    default_generator.manual_seed(int(seed))
    return default_generator


def seed() -> int:
    """A new stream, from seed 0: a page must come out the same every time."""
    default_generator.manual_seed(0)
    return 0


def initial_seed() -> int:
    """The seed that the default stream started from."""
    return default_generator.seed


def stream(options: dict[str, Any]) -> Generator:
    """The stream that a call draws from: its ``generator`` option or the default one."""
    return options.get("generator") or default_generator


def _kind(dtype: Any, otherwise: np.dtype | None = None) -> np.dtype:
    return (otherwise or dtypes.default.floating) if dtype is None else dtypes.as_numpy(dtype)


def rand(*size: Any, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """Uniform in [0, 1)."""
    check_place("rand", options)
    shape = sizes((options["size"],) if "size" in options else size, "rand")
    return finished(stream(options).rand(shape, _kind(dtype)), requires_grad)


def randn(*size: Any, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """Standard normal."""
    check_place("randn", options)
    shape = sizes((options["size"],) if "size" in options else size, "randn")
    return finished(stream(options).randn(shape, _kind(dtype)), requires_grad)


def randint(*bounds: Any, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """``randint(high, size)`` or ``randint(low, high, size)``: whole numbers below high."""
    named = {key: options.pop(key) for key in ("low", "high") if key in options}
    check_place("randint", options)
    given = list(bounds)
    size = options["size"] if "size" in options else given.pop()
    if "high" in named:
        low, high = named.get("low", given[0] if given else 0), named["high"]
    else:
        low, high = (0, given[0]) if len(given) == 1 else given
    low, high = int(as_number(low)), int(as_number(high))
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    shape = sizes((tuple(size),), "randint")
    words = stream(options).words(math.prod(shape))
    values = (words % np.uint64(high - low)).astype(np.int64) + low
    return finished(values.reshape(shape).astype(_kind(dtype, INT64)), requires_grad)


def randperm(n: int, *, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """The numbers from 0 to n - 1 in random order."""
    check_place("randperm", options)
    found = np.arange(int(n), dtype=np.int64)
    for i, w in enumerate(stream(options).words(max(0, len(found) - 1)).tolist()):
        j = i + w % (len(found) - i)
        found[i], found[j] = found[j], found[i]
    return finished(found.astype(_kind(dtype, INT64)), requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """Uniform in [0, 1), in the shape and dtype of another tensor."""
    check_tensor("rand_like", input)
    return rand(tuple(input.array.shape), dtype=dtype or input.dtype, requires_grad=requires_grad, **options)


def randn_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """Standard normal, in the shape and dtype of another tensor."""
    check_tensor("randn_like", input)
    return randn(tuple(input.array.shape), dtype=dtype or input.dtype, requires_grad=requires_grad, **options)


def randint_like(input: Tensor, *bounds: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Whole numbers below high, in the shape and dtype of another tensor."""
    check_tensor("randint_like", input)
    return randint(*bounds, tuple(input.array.shape), dtype=dtype or input.dtype, **options)


def bernoulli(input: Tensor, p: float | None = None, **options: Any) -> Tensor:
    """1 with the probability of each entry (or with ``p``), else 0."""
    check_tensor("bernoulli", input)
    array = np.asarray(input.array)
    chance = array if p is None else np.full(array.shape, p)
    if np.any((chance < 0) | (chance > 1)):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    draw = stream(options).uniform24 if p is None and array.dtype != np.float64 else stream(options).uniform53
    return finished((draw(array.size).reshape(array.shape) < chance).astype(array.dtype), False)


def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, dtype: Any = None, requires_grad: bool = False, **options: Any
) -> Tensor:
    """Normal numbers of given means and deviations, each a number or a tensor."""
    check_place("normal", options)
    shape = tuple(size) if size is not None else np.broadcast_shapes(*(np.shape(_values(t)) for t in (mean, std)))
    kind = _kind(dtype, next((t.array.dtype for t in (mean, std) if isinstance(t, Tensor)), None))
    drawn = stream(options).randn(shape, kind)
    return finished(np.asarray(drawn * _values(std) + _values(mean)).astype(kind), requires_grad)


def _values(t: Any) -> Any:
    return t.array if isinstance(t, Tensor) else t


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, **options: Any) -> Tensor:
    """Positions drawn by their weights: torch's distribution, not its very draws."""
    check_tensor("multinomial", input)
    if input.array.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype.legacy}")
    if input.array.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    weights = np.atleast_2d(np.asarray(input.array, np.float64))
    if np.any(weights < 0) or not np.all(np.isfinite(weights)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if np.any(weights.sum(axis=1) <= 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and num_samples > weights.shape[1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    rows = []
    for row in weights:
        if replacement:
            edges = np.cumsum(row) / row.sum()
            rows.append(np.searchsorted(edges, stream(options).uniform53(num_samples), side="right"))
        else:  # the largest of weight / Exp(1), as torch draws it
            race = row / -np.log1p(-stream(options).uniform53(len(row)))
            rows.append(np.argsort(-race, kind="stable")[:num_samples])
    found = np.stack(rows).astype(np.int64)
    return leaf(found if input.array.ndim > 1 else found[0])


def get_rng_state() -> Tensor:
    """The state of the default stream, to be given back to ``set_rng_state``."""
    kept = wrap(np.zeros(0, np.uint8))
    kept.__dict__["rng_state"] = default_generator.state
    return kept


def set_rng_state(state: Tensor) -> None:
    """Continue the default stream from a state."""
    default_generator.state = state.__dict__["rng_state"]


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Any:
    """Entries uniform in [a, b), as ``Tensor.uniform_`` draws them."""
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a:g} > to={b:g}")
    u = (generator or default_generator).rand(self.array.shape, self.array.dtype)
    scale = self.array.dtype.type
    return u * scale(b - a) + scale(a)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Any:
    """Normal entries, as ``Tensor.normal_`` draws them."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    in_rows = self.array.flags.c_contiguous
    drawn = (generator or default_generator).randn(self.array.shape, self.array.dtype, in_rows)
    scale = self.array.dtype.type
    return drawn * scale(std) + scale(mean)


def random_(self: Tensor, *bounds: int, generator: Generator | None = None) -> Any:
    """Whole numbers below a bound, as ``Tensor.random_`` draws them."""
    low, high = (
        (0, bounds[0]) if len(bounds) == 1 else bounds if bounds else (0, 2**24 if self.array.dtype.kind == "f" else 2**31)
    )
    words = (generator or default_generator).words(self.array.size) % np.uint64(high - low)
    return (words.astype(np.int64) + low).reshape(self.array.shape).astype(self.array.dtype)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
    """1 with probability p, else 0, as ``Tensor.bernoulli_`` draws it."""
    chance = _values(p)
    u = (generator or default_generator).uniform53(self.array.size).reshape(self.array.shape)
    return (u < chance).astype(self.array.dtype)


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Any:
    """Exponential entries: torch's distribution, not its very draws."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    u = (generator or default_generator).uniform53(self.array.size).reshape(self.array.shape)
    return (-np.log1p(-u) / lambd).astype(self.array.dtype)


FILLERS: dict[str, Callable[..., Any]] = {
    "uniform_": uniform_, "normal_": normal_, "random_": random_, "bernoulli_": bernoulli_, "exponential_": exponential_,
}  # fmt: skip
"""In-place methods of tensors: each gives the new entries."""
