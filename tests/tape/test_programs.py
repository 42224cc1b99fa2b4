"""The tape answers small programs as torch does: errors and warnings to the letter, printed values, names of nodes."""

import json

import pytest

from tests.tape.programs import ANSWERS, answer, programs, tape_as_torch

RECORDED = json.loads(ANSWERS.read_text(encoding="utf-8"))
TORCH = tape_as_torch()


@pytest.mark.parametrize(("heading", "program"), programs(), ids=lambda text: text[:60])
def test_answer_is_that_of_torch(heading, program):
    assert answer(program, TORCH) == RECORDED[program]


def test_every_recorded_answer_has_its_program():
    assert set(RECORDED) == {program for _, program in programs()}
