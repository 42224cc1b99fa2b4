"""What a page costs once its libraries are loaded, against sympy's own printer on the formulas of that page.

Run ``python benchmarks/pages.py`` on an installed checkout. Both sides alternate and the smallest times are printed, because
machines are shared and noisy; the ratio is to ``sympy.latex`` of each closed form, Jacobian and product of the page, once.

bars, two-layer net: rendering at most 10 ms; the whole page, run and derived anew, at most 60 ms in Markdown and 100 ms in
HTML; a loop of 500 turns: the page as long as for 50. What is derived grows with the distinct steps; what is run and checked
with all: so the time is given beside that of running the program alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import sympy

import explain
from explain.derivation.plan import _plans
from explain.derivation.program import run_program, run_source
from explain.program.paste import read_program

ROUNDS = 15
NET = "mean((tanh(X@W1 + b1)@W2 - y)**2)"
AT = {
    "X": [[1, 2], [0, -1], [3, 1]],
    "W1": [[0.5, 0], [-0.5, 0.25]],
    "b1": [0, 0.5],
    "W2": [[1], [-1]],
    "y": [[1], [0], [2]],
}
LOOPS = {
    "decay": """import torch
x = torch.tensor([1., 2.], requires_grad=True)
c = torch.tensor([0.5, 0.25], requires_grad=True)
h = x
for t in range({turns}):
    h = h*0.9 + 0.1*c
(h**2).sum().backward()
""",
    "network": """import torch
torch.manual_seed(0)
W, U = torch.randn(4, 4, requires_grad=True), torch.randn(4, 3, requires_grad=True)
X, h = torch.randn({turns}, 3), torch.zeros(4)
for t in range({turns}):
    h = torch.tanh(W @ h + U @ X[t])
(h**2).mean().backward()
""",
    "training": """import torch
torch.manual_seed(0)
w = torch.zeros(2, requires_grad=True)
X, y = torch.randn({turns}, 4, 2), torch.randn({turns}, 4)
for k in range({turns}):
    loss = ((X[k] @ w - y[k])**2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
""",
}


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
    for name, loop in LOOPS.items():
        for turns in (5, 50, 500):
            text = loop.format(turns=turns)
            source = read_program(text, name)
            run_program(text.replace("import torch", "import torch  # once"), name=name).render("md")
            ran = min(once(partial(run_source, source)) for _ in range(3))
            _plans.clear()
            start = time.perf_counter()
            found = run_program(text, name=name)
            derived = time.perf_counter() - start
            page = once(partial(found.render, "md"))
            size = len(found.render("md"))
            print(
                f"{name:8} {turns:4} turns: run {ran * 1e3:6.1f} ms, run and derived {derived * 1e3:7.1f} ms"
                f" ({derived / ran:5.1f} x), page {page * 1e3:4.0f} ms, {size} characters"
            )


if __name__ == "__main__":
    main()
