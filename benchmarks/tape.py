"""What forward and backward cost on the tape, as ratios: against PyTorch, if it is installed, and against bare numpy.

Run ``python benchmarks/tape.py``. Blocks of the engines alternate in one process, on one thread; the ratio is taken
within a round and its median is printed with the quartiles. Results are compared before anything is timed.

bars (time / PyTorch's): small 0.4, chain of 100 0.25, chain of 10,000 0.3; and no limit to the depth.
"""

# ruff: noqa: E402  (the number of threads must be set before numpy is imported)

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.tape.tensor import leaf

BLOCK = 0.1  # seconds
ROUNDS = 21
Program = Callable[[Any], None]


def small(x: Any) -> None:
    """The first program of every tutorial: four operations on a (2, 2) tensor."""
    x.grad = None
    y = x + 2
    z = y * y * 3
    z.mean().backward()


def chain(length: int) -> Program:
    """``length`` operations on a single number."""

    def run(x: Any) -> None:
        x.grad = None
        y = x
        for _ in range(length // 2):
            y = y * 1.0001 + 0.0001
        y.backward()

    return run


def small_in_numpy(x: np.ndarray) -> np.ndarray:
    """The arithmetic of ``small`` alone, its gradient worked out by hand."""
    two, three = np.float32(2), np.float32(3)
    y = x + two
    (y * y * three).sum()
    g = np.full(x.shape, np.float32(1) / x.size, np.float32) * three
    return g * y + g * y


def chain_in_numpy(length: int) -> Callable[[Any], Any]:
    """The arithmetic of ``chain`` alone."""

    def run(x: Any) -> Any:
        factor, term, g = np.float32(1.0001), np.float32(0.0001), np.float32(1)
        for _ in range(length // 2):
            x = x * factor + term
        for _ in range(length // 2):
            g = g * factor
        return g

    return run


def block(program: Callable[[Any], Any], x: Any) -> float:
    """Seconds per run within one block."""
    runs = 0
    start = now = time.perf_counter()
    while now - start < BLOCK:
        program(x)
        runs += 1
        now = time.perf_counter()
    return (now - start) / runs


def ratio(one: tuple[Callable[[Any], Any], Any], other: tuple[Callable[[Any], Any], Any]) -> str:
    """The first's time in units of the second's: median and quartiles of alternating blocks."""
    found = []
    for turn in range(ROUNDS + 1):
        if turn % 2:
            a, b = block(*one), block(*other)
        else:
            b, a = block(*other), block(*one)
        found.append(a / b)
    low, middle, high = statistics.quantiles(found[1:], n=4)  # the first round warms up
    return f"{middle:5.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    """Print one line per program."""
    square = np.ones((2, 2), np.float32)
    rows: list[tuple[str, Program, Callable[[Any], Any], Any]] = [
        ("small", small, small_in_numpy, square),
        ("chain of 100", chain(100), chain_in_numpy(100), np.float32(1)),
        ("chain of 10,000", chain(10_000), chain_in_numpy(10_000), np.float32(1)),
    ]
    torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if torch:
        torch.set_num_threads(1)
    print(f"{'':16}  {'time':>10}  {'/ numpy':>19}" + (f"  {'/ torch':>19}" if torch else ""))
    for name, program, bare, values in rows:
        own = leaf(values, requires_grad=True)
        program(own)
        assert own.grad is not None
        assert np.allclose(own.grad.array, bare(values), rtol=1e-4)
        cells = [f"{block(program, own) * 1e6:7.0f} us", ratio((program, own), (bare, values))]
        if torch:
            theirs = torch.tensor(values, requires_grad=True)
            program(theirs)
            assert np.allclose(own.grad.array, theirs.grad.numpy(), rtol=1e-4)
            cells.append(ratio((program, own), (program, theirs)))
        print(f"{name:16}  " + "  ".join(f"{cell:>19}" if k else cell for k, cell in enumerate(cells)))


if __name__ == "__main__":
    main()
