"""Build hook: compile the word catalogues (.po to .mo) when the package is built."""

from __future__ import annotations

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools.command.build_py import build_py


def compile_catalogs(folder: Path) -> None:
    """Write a .mo beside every .po below ``folder``."""
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        with source.open("rb") as po, source.with_suffix(".mo").open("wb") as mo:
            write_mo(mo, read_po(po))


class BuildPy(build_py):
    """build_py that compiles the catalogues first, for wheels and for editable installs alike."""

    def run(self) -> None:
        compile_catalogs(Path(__file__).parent / "templates" / "locale")
        super().run()
