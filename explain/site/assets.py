"""Style and script of a site, as files beside its pages."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

STYLES = ("html/page.css", "site/site.css")
"""How derivations look on pages of their own, and what a site changes."""


@cache
def assets() -> dict[str, bytes]:
    """The files by their paths in the output."""
    templates = files("explain.templates")
    style = "".join([(templates / path).read_text("utf-8") for path in STYLES])
    return {
        "assets/site.css": style.encode(),
        "assets/site.js": (templates / "site/site.js").read_bytes(),
        "assets/icon.svg": (templates / "site/icon.svg").read_bytes(),
    }


def inlined() -> dict[str, str]:
    """Style and script for a page that stands alone."""
    return {"style": assets()["assets/site.css"].decode().strip(), "script": assets()["assets/site.js"].decode().strip()}


@cache
def version() -> str:
    """Changes with the assets: browsers keep what they fetched under the same address."""
    return hashlib.sha256(b"".join(assets().values())).hexdigest()[:8]
