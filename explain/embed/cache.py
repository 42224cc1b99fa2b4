"""The one store of what was derived and rendered: content-addressed files that any number of processes share.

A key says everything that an entry depends on, so an entry is never wrong, only missing. It is written under a temporary
name and renamed; it carries a checksum, and a broken one is as good as none. The cache may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from explain.embed.versions import version_of

DIGEST = 32
OURS = (".py", ".j2", ".css", ".js", ".mo", ".txt")
"""How the names of files end that pages are made by."""
FRESH = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
"""How a file is opened that nobody else writes."""


class Cache:
    """A folder of entries. One that cannot be written (a full disk, a read-only folder) only costs time."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()

    def get(self, key: str) -> bytes | None:
        """The entry of a key; None if there is none, or if it is damaged."""
        try:
            data = self._path(key).read_bytes()
        except OSError:
            return None
        digest, content = data[:DIGEST], data[DIGEST:]
        return content if hashlib.sha256(content).digest() == digest else None

    def put(self, key: str, content: bytes) -> None:
        """Keep an entry, if there is room for it."""
        path = self._path(key)
        name = None
        try:
            new = path.parent / f".new-{os.urandom(8).hex()}"
            try:
                descriptor = os.open(new, FRESH, 0o600)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(new, FRESH, 0o600)
            name = new
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(name, path)
        except OSError:
            if name is not None:
                with suppress(OSError):
                    os.unlink(name)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]


def default_folder() -> Path:
    """``EXPLAIN_CACHE``, or a folder of this user's own."""
    chosen = os.environ.get("EXPLAIN_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "explain" / "derived"


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of an entry that depends on these parts and on the programs that make it."""
    text = json.dumps([fingerprint(), parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def fingerprint() -> str:
    """What makes the same text come out otherwise: our own code and templates, sympy, numpy and the printers of formulas."""
    import explain

    found = hashlib.sha256()
    for name in ("sympy", "numpy", "math-core", "jinja2", "pygments"):
        found.update(f"{name} {version_of(name)}\n".encode())
    found.update(explain.__version__.encode())
    for folder in (*explain.__path__, str(files("explain.templates"))):
        for path in _files(folder):
            found.update(path.removeprefix(folder).replace(os.sep, "/").encode() + b"\0")
            with open(path, "rb") as file:
                found.update(file.read())
    return found.hexdigest()


def _files(folder: str) -> Iterator[str]:
    """The paths of what takes part below a folder, in an order that is the same everywhere."""
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_dir():
            yield from _files(entry.path)
        elif entry.name.endswith(OURS):
            yield entry.path
