"""What a loop repeats is derived once, and made under its own names when somebody asks for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from explain.calculus.evaluate import evaluate
from explain.calculus.symbols import Index
from explain.derivation.codec import Arrays, handed_over, taken_over
from explain.derivation.later import Lazily
from explain.derivation.model import Run, Step
from explain.derivation.plan import _Planner
from explain.derivation.program import run_program

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


def made(step: Step) -> set[str]:
    """The formulas of a step that somebody has looked at."""
    parts = {"jacobian": step.jacobian, "contracted": step.contracted, "matrix": step.matrix}
    return {name for name, part in parts.items() if part is not None and vars(part).keys() & {"e", "tree"}}


def passed_on(run: Run) -> Run:
    return taken_over(handed_over(run, Arrays({})), {})


@pytest.mark.parametrize("text", [LOOP, NETWORK])
def test_repeated_steps_have_the_formulas_of_the_first_under_their_own_names(text: str) -> None:
    steps = run_program(text.format(turns=6), name="loop.py").derivation.steps
    repeated = [s for s in steps if s.contracted is not None and s.contracted.origin is not None]
    assert len(repeated) >= 4
    for s in repeated:
        assert s.contracted is not None and s.contracted.origin is not None and not made(s)
        first = next(f for f in steps if f.contracted is s.contracted.origin.first)
        assert str(s.formula.e) != "" and f"bar({s.output})" in str(s.contracted.e)
        assert f"bar({first.output})" not in str(s.contracted.e) and made(s) == {"contracted"}


@pytest.mark.parametrize("text", [LOOP, NETWORK])
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


@pytest.mark.parametrize("text", [LOOP, NETWORK])
def test_a_folded_page_makes_none_of_the_formulas_that_it_leaves_out(text: str) -> None:
    run = passed_on(run_program(text.format(turns=12), name="loop.py"))
    run.render("md")
    (d,) = run.derivations
    hidden = d.steps[d.folds[0].first + d.folds[0].period]
    assert hidden.contracted is not None and hidden.contracted.origin is not None
    assert made(hidden) == set()
    run.render("md", detail="full")
    assert made(hidden) >= {"jacobian", "contracted"}


@pytest.mark.parametrize("text", [LOOP, NETWORK])
@pytest.mark.parametrize("format", ["md", "text", "html", "tex", "json"])
def test_a_document_that_is_handed_over_gives_the_pages_of_one_that_is_written_out(text: str, format: str) -> None:
    run = run_program(text.format(turns=5), name="loop.py")
    pages = {r.render(format, detail="full") for r in (run, passed_on(run), Run.from_json(run.to_json()))}
    assert len(pages) == 1


def test_more_turns_add_no_formula_to_what_is_handed_over() -> None:
    few, many = (
        json.loads(handed_over(run_program(NETWORK.format(turns=n), name="loop.py"), Arrays({})))["firsts"] for n in (20, 40)
    )
    assert len(few) == len(many) > 0


def test_more_turns_derive_no_further_step(monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    new_step = _Planner._new_step
    monkeypatch.setattr(_Planner, "_new_step", lambda self, *a: count.append(a) or new_step(self, *a))
    derived = []
    for turns in (9, 27):
        run_program(LOOP.format(turns=turns), name="loop.py")
        derived.append(len(count))
        count.clear()
    assert derived[0] == derived[1] <= 4


def test_every_repeated_step_is_checked_with_its_own_numbers() -> None:
    steps = run_program(LOOP.format(turns=8), name="loop.py").derivation.steps
    assert all([c.status for c in s.checks] == ["ok"] for s in steps)
    errors = {c.error for s in steps[2:] for c in s.checks}
    assert len(errors) > 1


def test_a_part_without_such_a_field_says_so() -> None:
    with pytest.raises(AttributeError, match="Lazily has no colour"):
        _ = Lazily().colour
