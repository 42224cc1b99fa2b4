"""``[tool.explain]``: found above a page, checked, and kept apart from other tools' tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from explain.embed.configuration import Configuration, configuration, language_of
from explain.errors import InputError


def test_the_nearest_table_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.explain]\nlang = "zh"\nindex-base = 0\ncache = ".kept"\ntimeout = 2.5\n')
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pyproject.toml").write_text("[tool.other]\n")
    found = configuration(tmp_path / "docs")
    assert found == Configuration({"lang": "zh", "index-base": "0"}, tmp_path / ".kept", 2.5)
    assert found.embedder().timeout == 2.5
    assert configuration(Path("/")) == Configuration()


FAULTS = [
    ('colour = "red"', "no key 'colour'; there are: detail, show"),
    ('detail = "much"', "brief or normal or full"),
    ("timeout = -1", "number of seconds"),
    ("timeout = true", "number of seconds"),
    ("timeout =", "pyproject.toml"),
]


@pytest.mark.parametrize(("line", "words"), FAULTS)
def test_faults_name_the_file(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.explain]\n{line}\n")
    with pytest.raises(InputError) as caught:
        configuration(tmp_path)
    assert words in str(caught.value) and str(caught.value).startswith(str(tmp_path / "pyproject.toml"))


@pytest.mark.parametrize(
    ("locale", "lang"), [("zh_CN", "zh"), ("zh-Hans", "zh"), ("en_GB", "en"), ("de", "en"), (None, "en")]
)
def test_languages_of_hosts(locale: str | None, lang: str) -> None:
    assert language_of(locale) == lang
