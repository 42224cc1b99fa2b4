"""What the guides of the hosts tell their readers to write: tests run it as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

SITE = Path(__file__).parent.parent.parent / "site"
LANGUAGES = ("en", "zh")
CODE = re.compile(r"^(`{3,})(\w+)?[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


def snippets(host: str, lang: str = "en") -> list[tuple[str, str]]:
    """The code blocks of a guide: their languages and their texts."""
    text = (SITE / lang / "guides" / "hosts" / f"{host}.md").read_text("utf-8")
    return [(found[2] or "", found[3]) for found in CODE.finditer(text)]


def snippet(host: str, language: str, number: int = 0) -> str:
    """One code block of a guide, counted among those of its language."""
    return [text for name, text in snippets(host) if name == language][number]
