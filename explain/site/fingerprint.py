"""What renders pages: our own code and templates, and the packages that take part. Another fingerprint, other pages."""

from __future__ import annotations

import hashlib
from functools import cache

from explain.embed import cache as store
from explain.embed.versions import version_of

READERS = ("markdown-it-py", "mdit-py-plugins")
"""What a page passes through beyond what derivations do."""


@cache
def fingerprint() -> str:
    """A digest of everything but a site's own sources that its pages depend on."""
    readers = [f"{package} {version_of(package)}" for package in READERS]
    return hashlib.sha256("\n".join([store.fingerprint(), *readers]).encode()).hexdigest()
