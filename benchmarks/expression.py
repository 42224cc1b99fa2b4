"""What one explained expression costs, against what starting Python with its libraries costs anyway.

Run ``python benchmarks/expression.py`` on an installed checkout. Whole processes alternate and medians are printed, because
machines are shared and noisy; only the ratios mean something.

bars: whole process at most 1.5 times the bare imports; ``--help`` below 60 ms; a second derivation of the same shape at most
10 ms; the symbolic part the same for 10 and 1,000,000 entries.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

ROUNDS = 9
FIRST = ["-m", "explain", "expr", "2*dot(x, x)", "--at", "x=[0,1,2,3]"]
IMPORTS = ["-c", "import numpy, sympy, jinja2"]


def process(arguments: list[str]) -> float:
    """Seconds that one Python process takes from start to end."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as users run it
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def alternated(one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Medians of both in seconds, and the median of the ratio within a round."""
    one(), other()
    pairs = [(one(), other()) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def timed(run: Callable[[], object]) -> float:
    """The median of the seconds that a call takes."""
    samples = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def main() -> None:
    """Print the figures."""
    first, imports, ratio = alternated(lambda: process(FIRST), lambda: process(IMPORTS))
    print(f"explain expr, whole process      {first * 1e3:7.0f} ms   {ratio:.2f} times the imports ({imports * 1e3:.0f} ms)")
    help_, bare, _ = alternated(lambda: process(["-m", "explain", "--help"]), lambda: process(["-c", "pass"]))
    print(f"explain --help                   {help_ * 1e3:7.0f} ms   (a bare interpreter: {bare * 1e3:.0f} ms)")

    import explain

    stream = np.random.default_rng(0)
    cases: dict[str, dict[str, tuple[int, ...]]] = {
        "2*dot(x, x)": {"x": (4,)},
        "mean(3*(x+2)**2)": {"x": (2, 2)},
        "sum((A@x - b)**2)": {"A": (3, 2), "x": (2,), "b": (3,)},
    }
    for text, shapes in cases.items():

        def again(text: str, shapes: dict[str, tuple[int, ...]]) -> object:
            return explain.expr(text, at={name: stream.normal(size=shape) for name, shape in shapes.items()})

        again(text, shapes)
        print(f"second derivation of one shape   {timed(partial(again, text, shapes)) * 1e3:7.1f} ms   {text}")

    small, large = symbolic_part(10), symbolic_part(1_000_000)
    print(f"symbolic part, 10 entries        {small * 1e3:7.1f} ms")
    print(f"symbolic part, 1,000,000 entries {large * 1e3:7.1f} ms   {large / small:.2f} times")


def symbolic_part(count: int) -> float:
    """Seconds of everything symbolic about a derivation: steps, Jacobians, products, closed and matrix forms."""
    from explain.derivation import plan
    from explain.derivation.request import Request
    from explain.program.evaluate import evaluate
    from explain.program.expression import parse
    from explain.program.values import as_given

    traced = evaluate(parse("mean(tanh(x)**2)"), {"x": as_given(np.linspace(-1, 1, count), "x")})
    tape, output, inputs = traced.frozen()
    request = Request(tape, output, (inputs["x"],), "gradient", None, {}, {}, {})

    def fresh() -> object:
        plan._plans.clear()
        return plan.plan_for(request)

    fresh()
    return timed(fresh)


if __name__ == "__main__":
    main()
