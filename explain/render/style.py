"""How a derivation looks inside of somebody else's page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PAGES_OWN = (":root", "@media (prefers-color-scheme")
"""What only a page of our own may say: a guest takes ink and paper, light or dark, from the page that it stands in."""


@cache
def guest_style() -> str:
    """The style sheet for ``class="explain guest"``."""
    folder = files("explain.templates") / "html"
    page = (folder / "page.css").read_text("utf-8").splitlines()
    lines = [line for line in page if not line.startswith(PAGES_OWN)]
    return "\n".join([*lines, (folder / "guest.css").read_text("utf-8").strip()])
