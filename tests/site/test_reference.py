"""The reference pages leave nothing out: every option of every command, every public name, every key of the document."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import explain
from explain import cli

ROOT = Path(__file__).parent.parent.parent
LANGUAGES = ("en", "zh")


def page(language: str, name: str) -> str:
    return (ROOT / "site" / language / "reference" / f"{name}.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in cli._parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "parser"), list(commands()), ids=lambda part: part if isinstance(part, str) else "")
def test_every_option_of_a_command_is_told(language: str, name: str, parser: argparse.ArgumentParser) -> None:
    text = page(language, "cli")
    assert f"explain {name}" in text
    for action in parser._actions:
        for option in action.option_strings:
            assert option in ("-h", "--help", "--output") or option in text, option


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_public_name_is_told(language: str) -> None:
    text = page(language, "python")
    for name in explain.__all__:
        assert f"explain.{name}" in text or f"`{name}`" in text, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_of_the_document_is_told(language: str) -> None:
    schema = json.loads((ROOT / "explain" / "derivation" / "document.schema.json").read_text(encoding="utf-8"))
    text = page(language, "json")
    for key in schema["properties"]:
        assert f"| `{key}` |" in text, key
    for name, kind in schema["$defs"].items():
        for key in kind.get("properties", {}):
            assert f"| `{key}` |" in text, (name, key)
