"""The program on an op's page is the one whose derivation stands below it, in PyTorch's words."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from explain.derivation.calls import main_form, title_of
from explain.derivation.library import OpEntry, entry_of
from explain.derivation.program import run_program
from explain.ops import REGISTRY, Op
from explain.ops.registry import COMPOSITES

EVERYTHING = {**REGISTRY, **COMPOSITES}
CALLED = sorted(name for name, op in EVERYTHING.items() if main_form(op) is op)


def entry(name: str) -> OpEntry:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of torch's functions warn that they are old
        return entry_of(EVERYTHING[name])


def draws(op: Op) -> bool:
    """Whether torch draws numbers in the call, which the op itself is handed."""
    return "dropout" in op.name or op.name == "rrelu"


@pytest.mark.parametrize("name", CALLED)
def test_the_program_of_a_page_is_what_is_derived(name: str) -> None:
    found = entry(name)
    if not found.program:
        assert draws(EVERYTHING[name]) or "__getitem__" in found.methods
        return
    if found.example is None:
        lines = [line[4:] for line in found.program.splitlines() if line.startswith((">>> ", "... "))]
        out = found.program.splitlines()[len(lines) :]
        run = run_program("\n".join(["import torch", *lines[:-1], f"print({lines[-1]})"]))
        assert run.outcome == "ok" and run.stdout.splitlines() == out
        return
    run = run_program(found.program)
    assert run.outcome == "ok", run.error
    if found.derivative == "same":
        return
    (derived,) = run.derivations
    wanted = {g.wrt: g.value for g in found.example.gradients}
    assert {g.wrt for g in derived.gradients} == set(wanted)
    for g in derived.gradients:
        np.testing.assert_array_equal(g.value, wanted[g.wrt])


def test_titles_tell_ops_apart() -> None:
    titles = [title_of(EVERYTHING[name]) for name in CALLED]
    assert len(titles) == len(set(titles)) > 400
    assert title_of(EVERYTHING["cross_of_any"]) == "cross" and title_of(EVERYTHING["cross"]) == "linalg.cross"


@pytest.mark.parametrize(
    ("name", "form"),
    [("softmax", "softmax"), ("softmax_as", "softmax"), ("clamp_above", "clamp"), ("qr_reduced", None), ("qr", "qr")],
)
def test_forms_belong_to_the_op_that_torch_calls_so(name: str, form: str | None) -> None:
    assert getattr(main_form(EVERYTHING[name]), "name", None) == form


@pytest.mark.parametrize("name", [name for name, op in sorted(EVERYTHING.items()) if op.instead])
def test_what_to_use_instead_has_a_derivative(name: str) -> None:
    op = EVERYTHING[name]
    assert entry(name).derivative != "yes"
    for other in op.instead:
        assert entry(other).derivative == "yes"


def test_numbers_are_short() -> None:
    program = entry("cross_entropy").program
    assert re.findall(r"\d+\.\d+", program) and not re.search(r"\d\.\d{3,}", program)
    assert all(len(line) <= 100 for line in program.splitlines())
