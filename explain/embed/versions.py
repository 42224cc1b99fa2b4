"""Which versions of packages are installed, by the names of their folders: ``importlib.metadata`` takes longer to be loaded
than a site takes that has not changed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from functools import cache

RECORD = ".dist-info"
"""Ends the name of the folder ``NAME-VERSION.dist-info`` that every installer leaves (the standard "Recording installed
projects" of packaging.python.org)."""


def version_of(package: str) -> str:
    """The version of an installed package; empty where none is recorded, as in a frozen application."""
    return _installed().get(_normal(package)) or _recorded_elsewhere(package)


@cache
def _installed() -> Mapping[str, str]:
    """The versions by name; two of one name, which a broken upgrade leaves, are both told."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        here: dict[str, list[str]] = {}
        for entry in sorted(_listed(folder or ".")):
            name, dash, version = entry.removesuffix(RECORD).rpartition("-")
            if dash and entry.endswith(RECORD):
                here.setdefault(_normal(name), []).append(version)
        found = {name: " ".join(versions) for name, versions in here.items()} | found  # the first folder of the path wins
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # the path may name what is not there, and archives
        return []


def _normal(name: str) -> str:
    """The same for all spellings of a name, which packages may choose."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _recorded_elsewhere(package: str) -> str:
    """As eggs and archives record it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
