"""Loops on a page: what repeats costs neither space nor a deep stack."""

from __future__ import annotations

from functools import cache

import pytest

from explain.derivation.model import Run
from explain.derivation.program import run_program
from explain.render.folding import ranges
from tests.loops import SEQUENCE

DECAY = """import torch
x = torch.tensor([1., 2.], requires_grad=True)
c = torch.tensor([0.5, 0.25], requires_grad=True)
h = x
for t in range({turns}):
    h = h*0.9 + 0.1*c
loss = (h**2).sum()
loss.backward()
"""


ONE_AFTER_ANOTHER = """import torch
torch.manual_seed(0)
w = torch.randn(3, requires_grad=True)
h = torch.zeros(3)
for x in torch.randn({turns}, 3):
    h = torch.sigmoid(w * h + x)
h.sum().backward()
"""
LOOPS_IN_LOOPS = """import torch
h = x = torch.tensor([1.0, 2.0], requires_grad=True)
for i in range({turns} // 4):
    for j in range(4):
        h = torch.tanh(h)
    h = h / h.sum()
h[0].backward()
"""
BATCHES = """import torch
torch.manual_seed(0)
w = torch.zeros(2, requires_grad=True)
X, y = torch.randn({turns}, 4, 2), torch.randn({turns}, 4)
for k in range({turns}):
    w.grad = None
    loss = ((X[k] @ w - y[k])**2).mean()
    loss.backward()
"""
INNER_STEPS = """import torch
v = w = torch.tensor([1.0, 2.0], requires_grad=True)
for t in range({turns}):
    loss = (v**2).sum()
    (g,) = torch.autograd.grad(loss, v, create_graph=True)
    v = v - 0.1 * g
(v**2).sum().backward()
"""


MASKS = """import torch
from torch import nn
torch.manual_seed(0)
lin, drop = nn.Linear(4, 4), nn.Dropout(0.5)
h = torch.ones(1, 4)
for t in range({turns}):
    h = torch.tanh(drop(lin(h)))
h.sum().backward()
"""


@cache
def decay(turns: int) -> Run:
    return run_program(DECAY.format(turns=turns), name="decay.py")


@pytest.mark.parametrize("format", ["md", "text", "tex", "html"])
def test_a_page_is_as_long_as_its_distinct_steps(format: str) -> None:
    short, long = (len(decay(turns).render(format)) for turns in (40, 200))
    assert long < 1.1 * short  # smaller numbers take more digits


@pytest.mark.parametrize("program", [SEQUENCE, ONE_AFTER_ANOTHER, LOOPS_IN_LOOPS, BATCHES, INNER_STEPS, MASKS])
def test_loops_of_many_kinds_are_as_long_as_their_distinct_steps(program: str) -> None:
    runs = [run_program(program.format(turns=turns), name="loop.py") for turns in (20, 60)]
    assert all(run.ok for run in runs)
    short, long = (len(run.render("text")) for run in runs)
    assert 0.9 * short < long < 1.1 * short


def test_a_sum_of_many_terms_alike_is_shown_by_the_first_and_the_last() -> None:
    program = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
h, sums = x, []
for t in range({turns}):
    h = torch.sin(h)
    sums.append(h.sum())
torch.stack(sums).prod().backward()
"""
    short, long = (run_program(program.format(turns=turns), name="list.py") for turns in (6, 90))
    assert short.ok and long.ok
    assert "…" not in next(line for line in short.render("text").split("\n") if "u₁[i] =" in line)
    flat = " ".join(long.render("text").split())
    assert "u₁[i] = [i = 1]·Σⱼ h⁽¹⁾ⱼ + [i = 2]·Σⱼ h⁽²⁾ⱼ + [i = 3]·Σⱼ h⁽³⁾ⱼ + … + [i = 90]·Σⱼ hⱼ" in flat
    assert "h⁽¹⁾, h⁽²⁾, h⁽³⁾, …, h → u₁" in flat
    assert r"h^{(3)}_j + \cdots + [\,i = 90\,] \sum_j h_j" in long.render("md")
    step = long.derivation.row_of["u_1"].formula
    assert step is not None and len(step.e.args) == 90  # the document has them all


def test_terms_that_differ_are_all_shown() -> None:
    names = [f"x{k}" for k in range(20)]
    program = "import torch\n" + "".join(f"{n} = torch.tensor(1.0, requires_grad=True)\n" for n in names)
    text = run_program(program + f"torch.stack([{', '.join(names)}]).sum().backward()", name="many.py").render("text")
    assert all(f"x{chr(0x2080 + k // 10) if k > 9 else ''}{chr(0x2080 + k % 10)}·[" in text for k in range(20))


def test_layers_of_a_net_and_a_list_fold() -> None:
    program = """import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)])
h = net(torch.ones(1, 2))
for W in [torch.eye(2).requires_grad_() for _ in range(4)]:
    h = h @ W
h.sum().backward()
"""
    text = run_program(program, name="net.py").render("text")
    assert "Steps 4 to 9 repeat these 2 steps: 4 turns in all." in text
    assert "Steps 16 to 21 repeat these 3 steps: 3 turns in all." in text


def test_contributions_of_a_loop_that_differ_in_their_number_alone_are_one_term() -> None:
    closed = decay(200).derivation.gradients[1].closed_form
    assert closed is not None and str(closed.index.e).count("h") == 1
    assert all(c.status == "ok" for c in decay(200).derivation.gradients[1].checks)


def test_a_rounded_factor_is_called_rounded() -> None:
    assert "∂loss/∂xᵢ ≈ 0.02956·hᵢ" in decay(40).render("text")


def test_what_is_left_out_shows() -> None:
    assert ranges([1, 2, 4, 6, 8, 10], frozenset({4, 6, 8})) == ["1", "2", "…", "10"]
    assert ranges([1, 2, 3, 4, 5, 6, 9]) == ["1–6", "9"]
    text = decay(40).render("text")
    assert "c̄ᵢ = c̄ᵢ|h + … + c̄ᵢ|h⁽¹⁾" in text and "steps 3, …, 81 add" in " ".join(text.split())


def test_a_single_contribution_that_is_left_out_is_named() -> None:
    assert ranges([1, 2, 4, 7], frozenset({2})) == ["1", "2", "4", "7"]
    assert ranges([3, 5, 8], frozenset({5, 8})) == ["3", "…"]
    program = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
h, sums = x, []
for t in range(4):
    h = torch.sin(h)
    sums.append(h @ h)
torch.stack(sums).sum().backward()
"""
    text = " ".join(run_program(program, name="list.py").render("text").split())
    assert "h⁽³⁾ is used in several places: the contributions of steps 4, 6 add." in text
    assert "h̄⁽³⁾ᵢ = h̄⁽³⁾ᵢ|u₁ + h̄⁽³⁾ᵢ|h" in text


def test_the_table_of_calls_has_the_order_of_the_answers() -> None:
    text = run_program(
        "w = torch.tensor(0.5, requires_grad=True)\nb = torch.tensor(0.1, requires_grad=True)\n"
        "for xi, yi in zip(torch.tensor([1., 2.]), torch.tensor([2., 4.])):\n    ((b + w * xi - yi) ** 2).backward()\n"
    ).render("md")
    assert text.index(r"\partial w") < text.index(r"\partial b")
    (head,) = (line for line in text.split("\n") if line.startswith("| call"))
    assert head.index(r"\bar w") < head.index(r"\bar b")
