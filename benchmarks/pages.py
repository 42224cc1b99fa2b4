"""What a page costs once its libraries are loaded, against sympy's own printer on the formulas of that page.

Run ``python benchmarks/pages.py`` on an installed checkout. Both sides alternate and the smallest times are printed, because
machines are shared and noisy; the ratio is to ``sympy.latex`` of each closed form, Jacobian and product of the page, once.

bars, two-layer net: rendering at most 10 ms; the whole page, run and derived anew, at most 60 ms in Markdown and 100 ms in
HTML; a loop of 500 turns: the page as long as for 50, and the time per turn no larger.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import sympy

import explain

ROUNDS = 15
NET = "mean((tanh(X@W1 + b1)@W2 - y)**2)"
AT = {
    "X": [[1, 2], [0, -1], [3, 1]],
    "W1": [[0.5, 0], [-0.5, 0.25]],
    "b1": [0, 0.5],
    "W2": [[1], [-1]],
    "y": [[1], [0], [2]],
}
LOOP = """import torch
x = torch.tensor([1., 2.], requires_grad=True)
c = torch.tensor([0.5, 0.25], requires_grad=True)
h = x
for t in range({turns}):
    h = h*0.9 + 0.1*c
(h**2).sum().backward()
"""


def once(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print the figures."""

    def net() -> explain.Run:
        return explain.expr(NET, at=AT, wrt=["W1", "b1", "W2"])

    run = net()
    d = run.derivation
    forms = [g.closed_form.index for g in d.gradients if g.closed_form]
    forms += [f for s in d.steps for f in (s.formula, s.jacobian, s.product, s.contracted) if f]

    def printed() -> None:
        for f in forms:
            sympy.latex(f.e)

    formats = ("md", "text", "tex", "html", "json")
    for format in formats:
        run.render(format)
    printed()
    for format in formats:
        alone, whole_page = partial(run.render, format), (lambda: net().render(format))  # noqa: B023
        rounds = [(once(alone), once(printed), once(whole_page)) for _ in range(ROUNDS)]
        render, baseline, whole = (min(times) for times in zip(*rounds, strict=True))
        ratio = render / baseline
        print(f"{format:5} rendering {render * 1e3:6.1f} ms  {ratio:5.2f} x sympy.latex  whole {whole * 1e3:6.1f} ms")
    for turns in (50, 500):
        start = time.perf_counter()
        loop = explain.run(LOOP.format(turns=turns))
        derived = time.perf_counter() - start
        page = once(partial(loop.render, "md"))
        size = len(loop.render("md"))
        print(f"{turns:4} turns: {derived / turns * 1e3:5.2f} ms a turn, page {page * 1e3:5.0f} ms, {size} characters")


if __name__ == "__main__":
    main()
