"""The sixty programs of the articles: everything that PyTorch shows of them, every gradient derived and checked, every
formula of the authors confirmed, and each of those with a mistake in it found wrong."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import explain.torch as torch
from explain.derivation.direct import derivation_of
from explain.derivation.model import Derivation, Gradient, Run
from explain.derivation.program import document, run_source
from explain.program.paste import read_program
from explain.program.session import Ran
from tests.derivation.claims import derived, mutants, names_in, parse, text, value, values_of

SEEDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent.parent / "seeds").glob("*.json"))
}
RUNNING = [name for name, seed in SEEDS.items() if seed["outcome"] != "bounded"]
CLAIMS = [
    pytest.param(name, claim, id=f"{name}-{k}")
    for name in RUNNING
    for k, claim in enumerate(SEEDS[name]["claims"])
    if claim["sympy"] is not None
]
TOLERANCE = {"torch.float32": (2e-5, 1e-6), "torch.float64": (1e-10, 1e-12)}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@cache
def ran(name: str) -> Ran:
    found = run_source(read_program(SEEDS[name]["program"]))
    assert isinstance(found, Ran)
    return found


@cache
def run(name: str) -> Run:
    return document(ran(name))


def close(found: Any, wanted: Any, dtype: str) -> bool:
    """Within the tolerance of the dtype; exactly for integers and truth values."""
    a, b = np.asarray(found), np.array(numbers(wanted))
    if dtype not in TOLERANCE:
        return bool(np.array_equal(a, b))
    rtol, atol = TOLERANCE[dtype]
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))


def numbers(data: Any) -> Any:
    return [numbers(part) for part in data] if isinstance(data, list) else float(data) if isinstance(data, str) else data


# what PyTorch shows


@pytest.mark.parametrize("name", RUNNING)
def test_outcome_and_error(name: str) -> None:
    seed, found = SEEDS[name], run(name)
    assert found.outcome in (seed["outcome"], *seed.get("accept", ()))
    if seed["error"] is None:
        assert found.error is None
        return
    assert found.error is not None
    assert {key: found.error[key] for key in ("type", "message", "line")} == {
        key: seed["error"][key] for key in ("type", "message", "line")
    }
    assert found.error["kind"], "a learner is told why"


@pytest.mark.parametrize("name", RUNNING)
def test_what_is_printed(name: str) -> None:
    seed = SEEDS[name]
    found = ADDRESS.sub(" at 0x", run(name).stdout)
    prints = [{"line": line, "text": ADDRESS.sub(" at 0x", words)} for line, words in ran(name).prints]
    if seed["stdout_match"] == "exact":
        assert found == seed["stdout"]
        assert prints == seed["prints"]
        return
    assert NUMBER.sub("#", found) == NUMBER.sub("#", seed["stdout"])
    ours, theirs = (np.array([float(n) for n in NUMBER.findall(words)]) for words in (found, seed["stdout"]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", RUNNING)
def test_echo_and_warnings(name: str) -> None:
    seed, found = SEEDS[name], run(name)
    assert [{**e, "text": ADDRESS.sub(" at 0x", e["text"])} for e in found.echo] == seed["echo"]
    assert [{key: w[key] for key in ("category", "message", "line")} for w in found.warnings] == seed["warnings"]


@pytest.mark.parametrize("name", RUNNING)
def test_values_and_gradients(name: str) -> None:
    seed = SEEDS[name]
    tensors = {t.name: t for t in run(name).tensors}
    for key, wanted in seed["expect"].items():
        if key in seed.get("skip", ()) or seed.get("random"):
            continue
        if not isinstance(wanted, dict) or wanted.get("kind") != "tensor":
            continue
        t = tensors[key]
        assert (f"torch.{t.dtype}", list(t.shape)) == (wanted["dtype"], wanted["shape"]), key
        assert (t.requires_grad, t.is_leaf, t.grad_fn) == (wanted["requires_grad"], wanted["is_leaf"], wanted["grad_fn"]), (
            key
        )
        if wanted["value"] is not None:
            assert close(t.value, wanted["value"], wanted["dtype"]), key
        assert (t.grad is None) == (wanted["grad"] is None), key
        if t.grad is not None:
            assert close(t.grad, wanted["grad"], wanted.get("grad_dtype", wanted["dtype"])), key


@pytest.mark.parametrize("name", [n for n in RUNNING if SEEDS[n].get("relations")])
def test_relations(name: str) -> None:
    space = {**ran(name).values, **ran(name).tensors, "torch": torch, "np": np}
    for relation in SEEDS[name]["relations"]:
        assert eval(relation, dict(space)), relation


def test_an_endless_program_is_stopped() -> None:
    (name,) = set(SEEDS) - set(RUNNING)
    found = run_source(read_program(SEEDS[name]["program"]), timeout=0.3)
    assert isinstance(found, Ran) and found.outcome in (SEEDS[name]["outcome"], *SEEDS[name].get("accept", ()))


# where it comes from


@pytest.mark.parametrize("name", RUNNING)
def test_every_gradient_has_a_derivation_whose_checks_pass(name: str) -> None:
    found = run(name)
    assert all(d.ok for d in found.derivations)
    for d in found.derivations:
        for g in d.gradients:
            assert g.reason or {c.status for c in g.checks} == {"ok"}, (d.output, g.wrt, g.checks)
            assert g.reason or g.closed_form, (d.output, g.wrt)
    told = {g.wrt for d in found.derivations for g in d.gradients}
    assert {t.name for t in found.tensors if t.grad is not None} <= told


def gradients_of(name: str, wrt: str) -> list[list[tuple[Derivation, Gradient]]]:
    """The gradients that a claim may be about: each call's own, and what ``.grad`` adds up to after it."""
    found: list[list[tuple[Derivation, Gradient]]] = []
    sums: list[tuple[Derivation, Gradient]] = []
    for d in run(name).derivations:
        for g in d.gradients:
            if g.wrt != wrt or g.reason:
                continue
            found.append([(d, g)])
            if d.kind == "backward":
                sums = [*sums, (d, g)] if g.before is not None else [(d, g)]
                if len(sums) > 1:
                    found.append(sums)
    return found


def agrees(name: str, claim: dict[str, Any], formula: Any, parts: list[tuple[Derivation, Gradient]]) -> bool:
    """Whether a formula is the derived gradient (or sum of gradients), at the program's values and, unless it says nothing
    but numbers, at random ones."""
    tensors = {t.name: t.value for t in run(name).tensors} | dict(run(name).values)
    stream = np.random.default_rng(0)
    for draw in range(4 if names_in(formula) else 1):
        leaves: dict[str, Any] = {}
        for row in (row for d, _ in parts for row in d.rows if row.kind == "leaf"):
            drawn = stream.uniform(0.5, 1.5, np.shape(row.value))
            leaves.setdefault(row.name, drawn if draw else np.asarray(row.value, np.float64))
        found = [derived(d, g, leaves) for d, g in parts]
        if any(one is None for one in found):
            return False
        total = sum(found[1:], start=found[0])
        names = tensors | {key: v for d, _ in parts for key, v in values_of(d, leaves).items()}
        if parts[0][0].mode == "jacobian":
            total = of_jacobian(name, claim, total, tensors)
        stated = value(formula, names)
        if not fits(stated, total) or not np.allclose(np.broadcast_to(stated, np.shape(total)), total, rtol=1e-6):
            return False
    return True


def of_jacobian(name: str, claim: dict[str, Any], jacobian: Any, tensors: dict[str, Any]) -> Any:
    """What a claim about a Jacobian compares with: as its ``equals`` says, but with the one derived."""
    own = [key for key, v in tensors.items() if np.shape(v) == np.shape(jacobian) and key in claim.get("equals", "")]
    if not own:
        return jacobian
    space = {key: torch.tensor(np.asarray(v, np.float64)) for key, v in tensors.items()}
    space |= {key: torch.tensor(jacobian) for key in own}
    return eval(claim["equals"], {"torch": torch}, dict(space)).array


def fits(stated: np.ndarray, total: Any) -> bool:
    try:
        return np.broadcast_shapes(np.shape(stated), np.shape(total)) == np.shape(total)
    except ValueError:
        return False


def asked_for(name: str, claim: dict[str, Any]) -> list[list[tuple[Derivation, Gradient]]]:
    """The gradient that a claim is about, where the program does not ask for it."""
    tensors = ran(name).tensors
    if claim["of"] not in tensors:
        return []
    found = derivation_of(tensors[claim["of"]], [tensors[claim["wrt"]]])
    return [[(found, found.gradients[0])]]


@pytest.mark.parametrize(("name", "claim"), [p for p in CLAIMS if p.values[1]["wrt"] is not None])
def test_the_formula_of_a_gradient_is_confirmed_and_its_mutants_are_not(name: str, claim: dict[str, Any]) -> None:
    formula = parse((claim.get("right") or claim)["sympy"])
    candidates = gradients_of(name, claim["wrt"]) or asked_for(name, claim)
    confirming = [parts for parts in candidates if agrees(name, claim, formula, parts)]
    assert confirming, [derived(*parts[0], {}) for parts in candidates]
    for mistake, mutant in mutants(formula):
        assert not any(agrees(name, claim, mutant, parts) for parts in confirming), (mistake, text(mutant))


@pytest.mark.parametrize(("name", "claim"), [p for p in CLAIMS if p.values[1]["wrt"] is None])
def test_the_formula_of_a_value_is_confirmed_and_its_mutants_are_not(name: str, claim: dict[str, Any]) -> None:
    space = {**ran(name).values, **ran(name).tensors}
    with torch.no_grad():
        wanted = eval(claim.get("equals", claim["of"]), {"torch": torch}, dict(space))
    numbers_of = {key: getattr(v, "array", v) for key, v in space.items()}
    formula = parse((claim.get("right") or claim)["sympy"])
    assert np.allclose(value(formula, numbers_of), wanted.array, rtol=1e-6)
    for mistake, mutant in mutants(formula):
        found = value(mutant, numbers_of)
        symmetric = mistake in ("neighbour", "missing term") and np.allclose(found, value(formula, numbers_of))
        assert symmetric or not np.allclose(found, wanted.array, rtol=1e-6), (mistake, text(mutant))
