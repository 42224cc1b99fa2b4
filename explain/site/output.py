"""The output folder: files are replaced as a whole, only if their bytes changed, and those of pages that are gone leave."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from explain.embed.cache import FRESH
from explain.errors import InputError
from explain.site.piece import Told

HALF = ".new-"
"""Files that are being written are called so."""
ABANDONED = 60.0
"""Seconds after which nobody writes them any more."""


class Written(NamedTuple):
    """A file of the output as it was written: ``key`` says what it was made of, the rest is how the disk has it."""

    key: str
    size: int
    changed: int


class Manifest(NamedTuple):
    """What the last build knew. ``inputs``: a digest of everything it read; empty if it did not end well. ``pages``: per
    path the key of its piece and what it tells."""

    inputs: str = ""
    outputs: Mapping[str, Written] = {}
    pages: Mapping[str, tuple[str, Told]] = {}
    reads: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        return json.dumps(self, ensure_ascii=False, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(data: bytes) -> Manifest:
        """Raises ValueError or TypeError for anything but what ``to_bytes`` gave."""
        inputs, outputs, pages, reads = json.loads(data)
        return Manifest(
            inputs,
            {path: Written(*w) for path, w in outputs.items()},
            {path: (key, Told.of(told)) for path, (key, told) in pages.items()},
            tuple([(path, digest) for path, digest in reads]),
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the last build; an empty one if there was none, or it is broken."""
    try:
        return Manifest.from_bytes(path.read_bytes())
    except (OSError, ValueError, TypeError, AttributeError):
        return Manifest()  # everything is looked at anew: slower, never wrong


class Outputs:
    """Writes the files of a site below ``out`` and remembers them."""

    def __init__(self, out: Path, known: Mapping[str, Written]) -> None:
        self.out = out
        self.known = known
        self.written: dict[str, Written] = {}
        self.changed: list[str] = []

    def fresh(self, path: str, key: str) -> bool:
        """Whether the file was made of the same before and nobody touched it since; then it stays."""
        was = self.known.get(path)
        if was is None or was.key != key or not self.clean(path):
            return False
        self.written[path] = was
        return True

    def clean(self, path: str) -> bool:
        """Whether the file lies there as it was written."""
        was = self.known[path]
        try:
            found = (self.out / path).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (was.size, was.changed)

    def write(self, path: str, key: str, data: bytes) -> None:
        """Put the bytes there. A file that has them already keeps its time."""
        target = self.out / path
        try:
            if not (target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data):
                replace(target, data)
                self.changed.append(path)
            found = target.stat()
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
        self.written[path] = Written(key, found.st_size, found.st_mtime_ns)

    def put(self, path: str, data: bytes) -> None:
        """Write bytes that are their own key."""
        key = hashlib.sha256(data).hexdigest()
        if not self.fresh(path, key):
            self.write(path, key, data)

    def sweep(self) -> list[str]:
        """Remove what earlier builds wrote and this one did not, folders that are empty then, and what a build that was
        killed left half written."""
        for folder in {(self.out / path).parent for path in self.written}:
            for half in folder.glob(f"{HALF}*"):
                if time.time() - half.stat().st_mtime > ABANDONED:
                    half.unlink(missing_ok=True)
        gone = sorted(set(self.known) - set(self.written))
        for path in gone:
            target = self.out / path
            target.unlink(missing_ok=True)
            for folder in target.parents:
                if folder == self.out or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()
        return gone


def replace(target: Path, data: bytes) -> None:
    """Write a file so that whoever reads it finds the old bytes or the new ones, never a part."""
    name = target.parent / f"{HALF}{os.urandom(8).hex()}"
    try:
        descriptor = os.open(name, FRESH, 0o644)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(name, FRESH, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
