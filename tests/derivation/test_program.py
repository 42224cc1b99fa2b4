"""Derivations of programs that do something to the way back: hooks, cuts, rules of their own, second derivatives, folds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explain.derivation import program
from explain.derivation.model import Derivation, Run
from explain.derivation.program import document, run_program, run_source
from explain.ops import REGISTRY
from explain.program.paste import read_program
from explain.program.session import OutOfTime, Ran
from explain.render.document import NAMES

PROGRAMS = Path(__file__).parent / "programs"
OK, NO = "ok", "not_applicable"

# program: per derivation (kind, mode, output, rules of the steps, gradients by name, notes, statuses of a gradient's checks)
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "custom": [("backward", "gradient", "out", ["sum", "custom"], {"w": [0.75, 12.0]}, [], [OK, OK])],
    "straight_through": [("backward", "gradient", "loss", ["sum_of", "decreed"], {"w": [3.0, 3.0]}, ["decreed"], [OK, NO])],
    "hook": [("backward", "gradient", "out", ["sum", "mul"], {"x": [20.0, 20.0]}, ["hooked"], [NO, NO])],
    "overwritten": [("backward", "gradient", "y", ["sum_of"], {"w": [20.0, 40.0]}, ["written"], [NO, NO])],
    "cuts": [("backward", "gradient", "out", ["sum_of", "mul"], {"x": [1.0, 2.0]}, ["no_grad", "detach"], [OK, OK])],
    "gradient_penalty": [
        ("grad", "gradient", "y", ["sum_of"], {"x": [3.0, 12.0]}, [], [OK, OK]),
        ("backward", "gradient", "penalty", ["sum_of", "derivative"], {"x": [36.0, 288.0]}, [], [OK, OK]),
    ],
    "training_loop": [("backward", "gradient", "loss", ["mean", "chain_broadcast"], {"w": -10.0}, [], [OK, OK])],
    "accumulated": [
        ("backward", "gradient", "y", ["square"], {"x": [4.0]}, [], [OK, OK]),
        ("backward", "gradient", "y", ["square"], {"x": [8.0]}, ["accumulated"], [OK, OK]),
    ],
    "assignment": [
        ("backward", "gradient", "out", ["sum_of", "mul", "written", "mul"], {"x": [72.0, 0.0, 72.0]}, [], [OK, OK])
    ],
    "kink": [("backward", "gradient", "out", ["sum_of"], {"x": [0.0, 1.0]}, [], [OK, NO])],
    "several_outputs": [
        (
            "backward", "gradient", "out",
            ["sum", "several", "chain_broadcast", "broadcast", "chain_index", "chain_index", "part", "part"],
            {"x": [[12.0, 24.0], [10.0, 4.0]]}, [], [OK, OK],
        )
    ],
    "branch": [
        (
            "backward", "gradient", "total", ["several", "add", "add"], {"x": 13.0}, ["branch", "loop", "branch"],
            [OK, OK],
        )
    ],
}  # fmt: skip


@cache
def run(name: str) -> Run:
    return run_program((PROGRAMS / f"{name}.py").read_text("utf-8"), name=f"{name}.py")


@pytest.mark.parametrize("name", EXPECTED)
def test_derivations(name: str) -> None:
    found = run(name)
    assert found.outcome == "ok" and found.ok
    for d, (kind, mode, output, rules, grads, notes, statuses) in zip(found.derivations, EXPECTED[name], strict=True):
        assert (d.kind, d.mode, d.output) == (kind, mode, output)
        assert [s.rule for s in d.steps] == rules
        assert [n.kind for n in d.notes] == notes
        for g in d.gradients:
            np.testing.assert_allclose(g.grad, grads[g.wrt], rtol=1e-6)
            assert [c.status for c in g.checks] == statuses


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.py")))
def test_pages_and_the_round_trip(name: str) -> None:
    """Every program has a page in every format and language, and its JSON gives the same pages."""
    found = run(name)
    back = Run.from_json(found.to_json())
    for format in NAMES:
        for lang in ("en", "zh"):
            page = found.render(format, lang=lang)
            assert page and (format == "json" or back.render(format, lang=lang) == page)


def only(name: str) -> Derivation:
    return run(name).derivation


def test_a_hessian_is_the_jacobian_of_a_gradient() -> None:
    _, hessian, jacobian = run("hessian").derivations
    assert (hessian.kind, hessian.output, {s.rule for s in hessian.steps[:3]}) == ("hessian", "grad(f)", {"derivative"})
    (h,), (j,) = hessian.gradients, jacobian.gradients
    np.testing.assert_allclose(h.jacobian, [[12.0, 12.0], [12.0, 12.0]])  # of x₀⁴ + x₁³ x₀ at (1, 2)
    np.testing.assert_allclose(j.jacobian, [[4.0, 1.0], [2.0, 5.0]])
    assert {c.status for g in (h, j) for c in g.checks} == {OK}


def test_a_product_goes_forward_through_the_steps() -> None:
    pushed = only("pushed").pushed
    assert pushed is not None
    assert {name: np.asarray(a).tolist() for name, a in pushed.changes.items()} == {"x": [1.0, 0.0, -1.0], "u_1": 0.0}
    assert pushed.value.tolist() == [12.0, 0.0, -36.0]
    assert [c.status for c in pushed.checks] == [OK, OK]


def test_a_product_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    power = REGISTRY["pow"]
    right = power.vjp
    monkeypatch.setattr(power, "vjp", lambda *a, **k: (right(*a, **k)[0] * 1.01, *right(*a, **k)[1:]), raising=False)
    d = run_program((PROGRAMS / "pushed.py").read_text("utf-8"), name="pushed.py").derivation
    assert d.pushed is not None and not d.ok
    assert [c.status for c in d.pushed.checks] == ["failed", "failed"]


def test_what_was_stopped_while_it_was_derived_did_ask_for_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(request: object) -> None:
        raise OutOfTime

    monkeypatch.setattr(program, "derive", stopped)
    found = run_program("x = torch.tensor(1.0, requires_grad=True)\n(x * x).backward()", name="long.py")
    assert found.outcome == "bounded" and found.error is not None and found.error["kind"] == "limit_derivation"
    assert found.notes == () and "asks for no gradient" not in found.render("text")


def test_calls_of_one_structure_are_one_derivation() -> None:
    d = only("training_loop")
    assert len(d.repeats) == 20
    w = 0.0
    for r in d.repeats:  # gradient descent on mean((w x − t)²) by hand
        slope = 5 * (w - 2)
        np.testing.assert_allclose([r.output, r.gradients["w"]], [2.5 * (w - 2) ** 2, slope], rtol=1e-4, atol=1e-5)
        w -= 0.1 * slope


def test_steps_of_one_kind_are_folded() -> None:
    d = only("unrolled")
    (fold,) = d.folds
    assert (fold.first, fold.period, fold.count) == (1, 1, 5)
    assert [(n.kind, n.details["line"], n.details["count"]) for n in d.notes] == [("loop", 4, 6)]
    assert "Steps 2 to 5 do the same" in run("unrolled").render("text")


def test_how_often_branches_were_taken() -> None:
    said = [(n.kind, n.details["line"], n.details.get("yes"), n.details.get("no")) for n in only("branch").notes]
    assert said == [("branch", 3, 2, 2), ("loop", 6, None, None), ("branch", 7, 2, 1)]


def test_what_a_program_did_to_its_gradients_is_not_taken_for_a_slope() -> None:
    for name in ("hook", "overwritten", "straight_through", "kink"):
        assert [g.first_order for g in only(name).gradients] == [None], name
    assert only("cuts").gradients[0].first_order is not None


def test_a_page_of_an_overwritten_value_substitutes_nothing() -> None:
    """w̄ = 2·[1, 2]·1 = [20, 40] would be a false line."""
    text = run("overwritten").render("text")
    assert "2·[1, 2]" not in text and "w̄ = [20, 40]" in text


def test_a_rule_that_is_wrong_by_a_thousandth_fails_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    sine = REGISTRY["sin"]
    right = sine.vjp
    monkeypatch.setattr(sine, "vjp", lambda *a, **k: tuple(g * 1.001 for g in right(*a, **k)), raising=False)
    d = run_program((PROGRAMS / "unrolled.py").read_text("utf-8"), name="unrolled.py").derivation
    assert not d.ok
    assert {c.status for c in d.gradients[0].checks} == {"failed"}
    assert not replace(run("unrolled"), derivations=(d,)).ok


def test_a_program_whose_time_is_over_stopped_in_its_loop_wherever_in_a_turn() -> None:
    text = "n = 0\nwhile True:\n    for k in range(3):\n        n = n + k\n    n = n - 3\n"
    ran = run_source(read_program(text), timeout=0.2)
    assert isinstance(ran, Ran)
    found = document(ran)
    assert found.error is not None and (found.error["kind"], found.error["line"]) == ("limit_time", 2)


def test_a_gradient_that_is_kept_is_told_without_the_deltas_of_its_way_back() -> None:
    text = run_program(
        "w = torch.tensor([0.5, -1.0], requires_grad=True)\n"
        "v = torch.tensor([1.0, 2.0], requires_grad=True)\n"
        "t = torch.tensor([0.0, 0.5, 1.0], requires_grad=True)\n"
        "h = torch.tanh(t[:, None] * w)\n"
        "u = h @ v\n"
        "(du,) = torch.autograd.grad(u.sum(), t, create_graph=True)\n"
        "((du + u)**2).sum().backward()\n"
    ).render("text")
    assert "duᵢ = Σⱼ vⱼ·wⱼ·(1 − hᵢⱼ²)" in text


ANGLE = """x = torch.tensor({x}, requires_grad=True)
y = torch.tensor({y})
(gx,) = torch.autograd.grad(torch.atan2(y, x), x, create_graph=True)
gx.backward()
"""


def test_a_second_derivative_leaves_out_the_case_that_keeps_a_quotient_finite() -> None:
    text = run_program(ANGLE.format(x=1.2, y=0.7)).render("text")
    assert "gx = −y/(x² + y²)" in text and "∂gx/∂x = 2·x·y/(x² + y²)²" in text


def test_where_a_quotient_was_kept_finite_the_formula_is_not_judged() -> None:
    run = run_program(ANGLE.format(x=0.0, y=0.0))
    second = run.derivations[-1].gradients[0]
    assert float(second.value) == 0.0
    formula = next(c for c in second.checks if c.name == "formula")
    assert (formula.status, formula.reason) == ("not_applicable", "singular")


def test_a_variance_without_correction_divides_by_the_count() -> None:
    text = run_program("x = torch.tensor([1., 2., 4.], requires_grad=True)\nx.var(correction=0).backward()\n").render("text")
    assert "= 1/3·Σᵢ (xᵢ − meanᵢ(xᵢ))²" in text
