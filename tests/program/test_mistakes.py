"""A learner's mistake raises what PyTorch raises, and the page says why, and what to write instead."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from explain.derivation.model import Run
from explain.derivation.program import run_program
from explain.program import mistakes
from explain.render.words import LANGUAGES

PROGRAMS: dict[str, str] = tomllib.loads((Path(__file__).parent / "mistakes.toml").read_text(encoding="utf-8"))
WORDS = (Path(__file__).parent.parent.parent / "templates" / "words" / "mistakes.j2").read_text(encoding="utf-8")
MACROS = set(re.findall(r"macro (\w+)\(", WORDS))
KINDS = {key for key, _ in mistakes._TABLE} | {"no_such_function", "no_such_method", "no_such_name", "not_served"}


@cache
def run(kind: str) -> Run:
    return run_program(PROGRAMS[kind])


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_mistake_is_recognised(kind: str) -> None:
    found = run(kind)
    assert found.outcome == "error" and found.error is not None
    assert found.error["kind"] == kind, found.error


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_message_the_line_and_why(kind: str, language: str) -> None:
    found = run(kind)
    assert found.error is not None
    for format in ("md", "text"):
        page = found.render(format, lang=language, **({"width": 500} if format == "text" else {}))
        assert found.error["message"].split("\n")[0] in page
        assert found.error["type"] in page.splitlines()[0]
    explained = found.to_json(lang=language)
    assert '"explanation": "' in explained


def test_every_kind_has_words() -> None:
    others = {name for name in MACROS if name.startswith(("limit_", "refused_", "warn_"))}
    assert MACROS - others == KINDS
    assert {key for key, _ in mistakes._WARNINGS} - {"target_size"} == {name for name in others if name.startswith("warn_")}


def test_names_that_do_not_exist_are_told_from_those_that_are_not_served() -> None:
    assert "fft" in mistakes.torch_names("torch") and "onse" not in mistakes.torch_names("torch")
    error = run("no_such_function").error
    assert error is not None and error["details"]["near"] == "torch.ones"
