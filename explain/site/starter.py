"""A site to begin with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from explain.errors import InputError


def make_starter(folder: Path, lang: str) -> list[Path]:
    """Write a small site in ``lang`` into a folder that is not there yet, or empty. Returns the files.

    Raises InputError for any other folder, and where nothing can be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is there already, and not empty", hint="Give the name of a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for source in sorted((files("explain.templates") / "site" / "starter" / lang).iterdir(), key=lambda f: f.name):
            target = folder / source.name
            target.write_text(source.read_text("utf-8"), "utf-8")
            written.append(target)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from None
    return written
