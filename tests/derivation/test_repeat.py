"""What a loop repeats is derived once, and made under its own names when somebody asks for it."""

from __future__ import annotations

import json
from functools import reduce
from itertools import count
from operator import add

import numpy as np
import pytest

from explain.calculus.evaluate import evaluate
from explain.calculus.namespace import Written
from explain.calculus.symbols import Entry, Index, TensorName
from explain.derivation import plan, replay, values
from explain.derivation.codec import Arrays, handed_over, taken_over
from explain.derivation.later import Lazily
from explain.derivation.model import Run, Step
from explain.derivation.plan import _Planner
from explain.derivation.program import run_program
from explain.derivation.symbolic import Deriver
from explain.ops.registry import REGISTRY
from tests.loops import SEQUENCE

LOOP = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
c = torch.tensor([0.5, -1.0])
h = x
for t in range({turns}):
    h = h * 0.9 + 0.1 * c
(h**2).sum().backward()
"""
NETWORK = """import torch
W = torch.tensor([[0.5, -0.2], [0.1, 0.3]], requires_grad=True)
h = torch.tensor([1.0, -1.0])
for t in range({turns}):
    h = torch.tanh(W @ h)
(h**2).sum().backward()
"""
LOSSES = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
h, losses = x, []
for t in range({turns}):
    h = torch.sigmoid(1.5 * h)
    losses.append(h.sum())
torch.stack(losses).mean().backward()
"""
LOOPS = [LOOP, NETWORK, SEQUENCE]


def made(step: Step) -> set[str]:
    """The formulas of a step that somebody has looked at."""
    parts = {"jacobian": step.jacobian, "contracted": step.contracted, "matrix": step.matrix}
    return {name for name, part in parts.items() if part is not None and vars(part).keys() & {"e", "tree"}}


def passed_on(run: Run) -> Run:
    return taken_over(handed_over(run, Arrays({})), {})


@pytest.mark.parametrize("text", LOOPS)
def test_repeated_steps_have_the_formulas_of_the_first_under_their_own_names(text: str) -> None:
    steps = run_program(text.format(turns=6), name="loop.py").derivation.steps
    repeated = [s for s in steps if s.contracted is not None and s.contracted.origin is not None]
    assert len(repeated) >= 4
    for s in repeated:
        assert s.contracted is not None and s.contracted.origin is not None and not made(s)
        names = {t.name for t in s.contracted.e.atoms(TensorName)}
        assert {name for name in names if name.startswith(("bar(", "#"))} == {f"bar({s.output})"} and made(s) == {
            "contracted"
        }


@pytest.mark.parametrize("text", LOOPS)
def test_what_a_repeated_step_shows_gives_its_own_numbers(text: str) -> None:
    """It is the first step's formula that is checked, at the values of the step: the shown one must have them, too."""
    d = run_program(text.format(turns=6), name="loop.py").derivation
    values = {row.name: np.asarray(row.value, np.float64) for row in d.rows}
    repeated = [s for s in d.steps if s.contracted is not None and s.contracted.origin is not None]
    for s in repeated:
        assert s.contracted is not None and s.jacobian is not None
        known = values | {f"bar({s.output})": np.asarray(s.upstream, np.float64)}
        target = list(zip(map(Index, s.contracted.letters), np.shape(s.value), strict=True))
        np.testing.assert_allclose(evaluate(s.contracted.e, known, target), s.value, rtol=1e-5)
        both = [*np.shape(s.value), *np.shape(s.upstream)]
        jacobian = evaluate(s.jacobian.e, known, list(zip(map(Index, s.jacobian.letters), both, strict=True)))
        np.testing.assert_allclose(
            jacobian.reshape(np.size(s.value), -1) @ np.ravel(s.upstream), np.ravel(s.value), rtol=1e-5
        )
    assert len(repeated) >= 4


@pytest.mark.parametrize("text", LOOPS)
def test_a_folded_page_makes_none_of_the_formulas_that_it_leaves_out(text: str) -> None:
    run = passed_on(run_program(text.format(turns=12), name="loop.py"))
    run.render("md")
    (d,) = run.derivations
    hidden = d.steps[d.folds[0].first + d.folds[0].period]
    assert hidden.contracted is not None and hidden.contracted.origin is not None
    assert made(hidden) == set()
    run.render("md", detail="full")
    assert made(hidden) >= {"jacobian", "contracted"}


@pytest.mark.parametrize("text", LOOPS)
@pytest.mark.parametrize("format", ["md", "text", "html", "tex", "json"])
def test_a_document_that_is_handed_over_gives_the_pages_of_one_that_is_written_out(text: str, format: str) -> None:
    run = run_program(text.format(turns=5), name="loop.py")
    pages = {r.render(format, detail="full") for r in (run, passed_on(run), Run.from_json(run.to_json()))}
    assert len(pages) == 1


@pytest.mark.parametrize("text", LOOPS)
def test_more_turns_add_no_formula_to_what_is_handed_over(text: str) -> None:
    few, many = (
        json.loads(handed_over(run_program(text.format(turns=n), name="loop.py"), Arrays({})))["firsts"] for n in (20, 40)
    )
    assert len(few) == len(many) > 0


@pytest.mark.parametrize("text", LOOPS)
def test_more_turns_derive_no_further_step(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    monkeypatch.setattr(plan, "_plans", {})
    new_step = _Planner._new_step
    monkeypatch.setattr(_Planner, "_new_step", lambda self, *a: count.append(a) or new_step(self, *a))
    derived = []
    for turns in (9, 27):
        run_program(text.format(turns=turns), name="loop.py")
        derived.append(len(count))
        count.clear()
    assert derived[0] == derived[1] <= 5


@pytest.mark.parametrize("text", [LOOP, LOSSES])
def test_more_turns_carry_no_further_formula_back(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gradient of what went before looks alike in every turn. Of the losses it grows until it is too long."""
    count = []
    monkeypatch.setattr(plan, "_plans", {})
    anew = Deriver._carried_anew
    monkeypatch.setattr(
        Deriver, "_carried_anew", lambda self, link, upstream, *a: count.append(upstream) or anew(self, link, upstream, *a)
    )
    carried = []
    for turns in (40, 80):
        assert run_program(text.format(turns=turns), name="loop.py").ok
        carried.append(len([upstream for upstream in count if upstream is not None]))
        count.clear()
    assert carried[0] == carried[1] - (40 if text == LOSSES else 0)  # the way to each loss is a step of its own


@pytest.mark.parametrize("text", LOOPS)
def test_every_repeated_step_is_checked_with_its_own_numbers(text: str) -> None:
    steps = run_program(text.format(turns=8), name="loop.py").derivation.steps
    assert all([c.status for c in s.checks] == ["ok"] for s in steps)
    errors = {c.error for s in steps[2:] for c in s.checks}
    assert len(errors) > 1


@pytest.mark.parametrize("text", [NETWORK, SEQUENCE])
def test_one_wrong_turn_among_many_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are evaluated together, and each is judged by itself."""
    tanh = REGISTRY["tanh"]
    right, calls = tanh.vjp, count()
    monkeypatch.setattr(
        tanh, "vjp", lambda *a, **k: tuple([g * (1.01 if next(calls) == 3 else 1) for g in right(*a, **k)]), raising=False
    )
    d = run_program(text.format(turns=9), name="loop.py").derivation
    failed = [s for s in d.steps if s.checks[0].status == "failed"]
    assert len(failed) == 1 and failed[0].rule == "tanh" and not d.ok


def test_large_steps_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    together = run_program(NETWORK.format(turns=9), name="loop.py").derivation
    monkeypatch.setattr(values, "AT_ONCE", 1)
    alone = run_program(NETWORK.format(turns=9), name="loop.py").derivation
    for a, b in zip(together.steps, alone.steps, strict=True):
        np.testing.assert_allclose(a.jacobian_matrix, b.jacobian_matrix, rtol=1e-12)
        assert [c.status for c in a.checks] == [c.status for c in b.checks] == ["ok"]


def test_of_a_long_loop_some_entries_are_moved_and_the_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    program = NETWORK.replace("[[0.5, -0.2], [0.1, 0.3]]", "[[0.1 * (i - j) for j in range(4)] for i in range(4)]")
    program = program.replace("torch.tensor([1.0, -1.0])", "torch.ones(4)")
    tried = []
    for most in (replay.MOST_OPERATIONS, 200):
        monkeypatch.setattr(replay, "MOST_OPERATIONS", most)
        (found,) = [g.checks for g in run_program(program.format(turns=10), name="loop.py").derivation.gradients]
        (check,) = [c for c in found if c.name == "differences"]
        assert check.status == "ok"
        tried.append((check.reason, check.details["entries"], check.details["of"], check.details["directions"]))
    assert tried == [(None, 16, 16, 0), ("sampled", 8, 16, 3)]


def test_what_stands_in_a_list_folds_and_is_no_product() -> None:
    run = run_program(LOSSES.format(turns=12), name="loop.py")
    assert run.ok
    first, second = run.derivation.folds
    assert (first.first, first.period, first.count) == (2, 1, 12) and second.count == 11
    text = run.render("text")
    assert "Steps 3 to 13 do the same, 12 times in all." in text and "factor" not in text


def test_a_list_of_other_operations_does_not_fold() -> None:
    program = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
a, b, c = (x * k for k in (2, 3, 4))
torch.stack([a.sum(), b.prod(), c.norm()]).sum().backward()
"""
    assert run_program(program, name="list.py").derivation.folds == ()


def test_a_list_of_a_thousand_is_a_long_sum_and_no_deep_one() -> None:
    terms = [Written(Entry(TensorName(f"x{k}"))) for k in range(1000)]
    total = reduce(add, terms).e
    assert len(total.args) == 1000 and all(not part.is_Add for part in total.args)


def test_a_long_sum_is_several_steps() -> None:
    program = """import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
total = sum(torch.sin(x * 0.1).sum() for _ in range(80))
total.backward()
"""
    run = run_program(program, name="sum.py")
    assert run.ok and max(len(s.operations) for s in run.derivation.steps) <= 12
    assert len(run.render("text")) < 20_000
    assert "∂total/∂xᵢ = 8·cos(0.1·xᵢ)" in run.render("text")


def test_loops_in_loops_fold() -> None:
    program = """import torch
h = x = torch.tensor([1.0, 2.0], requires_grad=True)
for i in range(6):
    for j in range(4):
        h = torch.tanh(h)
    h = h / 2
h.sum().backward()
"""
    run = run_program(program, name="loops.py")
    assert [(f.first, f.period, f.count) for f in run.derivation.folds] == [(2, 5, 6), (3, 1, 4)]
    text = run.render("text")
    assert (
        "Steps 4 to 6 do the same, 4 times in all." in text and "Steps 7 to 31 repeat these 5 steps: 6 turns in all." in text
    )


def test_calls_on_other_batches_are_calls_alike() -> None:
    program = """import torch
torch.manual_seed(0)
w = torch.zeros(2, requires_grad=True)
X, y = torch.randn(6, 4, 2), torch.randn(6, 4)
for k in range(6):
    loss = ((X[k] @ w - y[k:k+1].squeeze(0))**2).mean()
    loss.backward()
"""
    d = run_program(program, name="batches.py").derivation
    assert len(d.repeats) == 6 and len({r.output for r in d.repeats}) == 6


def test_calls_by_what_a_loop_computed_are_calls_alike() -> None:
    program = """import torch
w = torch.tensor([1.0, 2.0], requires_grad=True)
v = w
for t in range(7):
    loss = (v**4).sum()
    (g,) = torch.autograd.grad(loss, v, create_graph=True)
    v = v - 0.01 * g
"""
    first, others = run_program(program, name="inner.py").derivations
    assert first.gradients[0].wrt == "w" and not first.repeats
    assert others.gradients[0].wrt == "v" and len(others.repeats) == 6
    v = np.array([1.0, 2.0])
    for k in range(6):  # v after k + 1 turns, by hand
        v = v - 0.04 * v**3
        np.testing.assert_allclose(others.repeats[k].gradients["v"], 4 * v**3, rtol=1e-4)


def test_a_part_without_such_a_field_says_so() -> None:
    with pytest.raises(AttributeError, match="Lazily has no colour"):
        _ = Lazily().colour
