"""The pages that tests look at: those of the golden cases, run once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from explain.derivation.expression import run_expression
from explain.derivation.model import Run
from explain.derivation.program import run_program
from explain.program.values import parse_given, parse_shape, parse_value

GOLDEN = Path(__file__).parent / "golden"
CASES: dict[str, dict[str, Any]] = json.loads((GOLDEN / "cases.json").read_text("utf-8"))


@cache
def run_of(name: str) -> Run:
    return run_case(CASES[name])


def run_case(case: dict[str, Any]) -> Run:
    """The run of an expression or of a program, as a case describes it."""
    if "program" in case:
        file = GOLDEN / "programs" / case["program"]
        return run_program(file.read_text("utf-8"), name=file.name)
    given = dict(parse_given(text) for text in case.get("at", ()))
    shapes = dict(parse_shape(text) for text in case.get("shape", ()))
    v = parse_value(case["v"]) if "v" in case else None
    return run_expression(case["expression"], given, v, case.get("wrt"), shapes)
