"""Documents keep to the schema in the package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from explain.derivation.model import VERSION, Run
from explain.derivation.program import run_program
from tests.render.pages import CASES, run_of

SCHEMA = json.loads((files("explain.derivation") / "document.schema.json").read_text("utf-8"))
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


def faults(text: str) -> list[str]:
    return [f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(SCHEMA).iter_errors(json.loads(text))]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["version"]["const"] == VERSION


@pytest.mark.parametrize("name", CASES)
def test_a_page(name: str) -> None:
    assert faults(run_of(name).to_json()) == []


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda f: f.stem)
def test_a_program(file: Path) -> None:
    assert faults(run_program(file.read_text("utf-8"), name=file.name).to_json()) == []


@pytest.mark.parametrize("code", ["import os", "x = 1\nraise ValueError('a')", "print(float('nan'))\nx = float('inf')"])
def test_what_ends_otherwise(code: str) -> None:
    assert faults(run_program(code, name="odd.py").to_json()) == []


def test_the_schema_refuses_what_is_no_document() -> None:
    document = json.loads(run_of("dot").to_json())
    assert faults(json.dumps(document | {"outcome": "fine"})) and faults(json.dumps(document | {"more": 1}))
    del document["derivations"][0]["steps"][0]["formula"]
    assert faults(json.dumps(document))


def test_a_document_that_is_read_back_gives_equal_pages() -> None:
    run = run_of("training")
    back = Run.from_json(run.to_json())
    for format in ("md", "text", "html", "tex"):
        assert back.render(format) == run.render(format)
