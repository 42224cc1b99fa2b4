"""Which versions are installed, as importlib.metadata would tell."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from explain.embed import versions
from tests.site.places import write


@pytest.mark.parametrize("package", ["sympy", "numpy", "math-core", "jinja2", "markdown-it-py", "mdit_py.plugins", "PyTest"])
def test_as_importlib_tells(package: str) -> None:
    assert versions.version_of(package) == version(package)


def test_the_first_folder_of_the_path_wins_and_eggs_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(tmp_path / "first", {"Some_Thing-1.0.dist-info/METADATA": "Name: some-thing\nVersion: 1.0\n"})
    second = write(
        tmp_path / "second",
        {
            "some.thing-2.0.dist-info/METADATA": "Name: some-thing\nVersion: 2.0\n",
            "older-3.1-py3.11.egg-info/PKG-INFO": "Name: older\nVersion: 3.1\n",
        },
    )
    monkeypatch.setattr(sys, "path", [str(first), str(second), str(tmp_path / "nowhere"), *sys.path])
    versions._installed.cache_clear()
    try:
        assert versions.version_of("some-thing") == version("some-thing") == "1.0"
        assert versions.version_of("older") == "3.1"
        assert versions.version_of("nobody-wrote-it") == ""
    finally:
        versions._installed.cache_clear()
