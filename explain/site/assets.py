"""Style and script of a site, as files beside its pages."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

STYLES = ("html/page.css", "site/site.css")
"""How derivations look on pages of their own, and what a site changes."""
FONT = """
@font-face { font-family: "Site Math"; src: url(math.woff2) format("woff2"); font-display: swap; }
math, .explain math { font-family: "Site Math", math; }
"""
"""What a site with a font of its own for formulas says more."""


@cache
def assets(font: bool = False) -> dict[str, bytes]:
    """The files by their paths in the output. ``font``: a font for formulas stands beside them."""
    templates = files("explain.templates")
    style = "".join([(templates / path).read_text("utf-8") for path in STYLES] + [FONT * font])
    return {
        "assets/site.css": style.encode(),
        "assets/site.js": (templates / "site/site.js").read_bytes(),
        "assets/icon.svg": (templates / "site/icon.svg").read_bytes(),
    }


def inlined(font: bool) -> dict[str, str]:
    """Style and script for a page that stands alone."""
    found = assets(font)
    style = found["assets/site.css"].decode().replace("url(", "url(assets/")
    return {"style": style.strip(), "script": found["assets/site.js"].decode().strip()}


@cache
def version(font: bool = False) -> str:
    """Changes with the assets: browsers keep what they fetched under the same address."""
    return hashlib.sha256(b"".join(assets(font).values())).hexdigest()[:8]
