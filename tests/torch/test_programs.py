"""explain.torch answers programs of networks as torch does: values, errors and warnings to the letter, names of nodes."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests.tape.programs import answer, programs

PROGRAMS = Path(__file__).with_name("programs.txt")
RECORDED = json.loads(PROGRAMS.with_suffix(".json").read_text(encoding="utf-8"))
TORCH = importlib.import_module("explain.torch")


@pytest.mark.parametrize(("heading", "program"), programs(PROGRAMS), ids=lambda text: text[:60])
def test_answer_is_that_of_torch(heading: str, program: str) -> None:
    assert answer(program, TORCH) == RECORDED[program]


def test_every_recorded_answer_has_its_program() -> None:
    assert set(RECORDED) == {program for _, program in programs(PROGRAMS)}
