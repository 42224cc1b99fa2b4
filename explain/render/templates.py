"""Where templates come from: jinja2 in a language, compiled once per user."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from explain.render.words import catalogue

PUSHED = re.compile(r"(?<=[，。：；、]) (?=%\()")
"""The space between a wide sign and a formula: Markdown needs one before a dollar, readers do not."""


def templates_in(lang: str, tight: bool = False) -> Any:
    """A fresh jinja2 environment over the templates, which speaks ``lang``. ``tight``: without the spaces that only Markdown
    needs."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("explain.templates", ""),
        extensions=["jinja2.ext.i18n"],
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        bytecode_cache=_compiled_templates(),
        auto_reload=False,  # they are part of this program: no page asks the disk whether they changed
    )
    words = catalogue(lang)
    one, several = (
        (lambda text: PUSHED.sub("", words.gettext(text))),
        (lambda text, many, n: PUSHED.sub("", words.ngettext(text, many, n))),
    )
    chosen = (one, several) if tight else (words.gettext, words.ngettext)
    environment.install_gettext_callables(*chosen, newstyle=True)  # type: ignore[attr-defined]
    return environment


def _compiled_templates() -> Any:
    """A folder of the user's own where compiled templates are kept (compiling them takes longer than any page); None
    where there can be none. Jinja compares a checksum of the source before it uses one."""
    import jinja2

    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "explain" / "templates"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and (folder.stat().st_uid != os.getuid() or not os.access(folder, os.W_OK)):
            return None  # somebody else's folder: what lies there is code
    except (OSError, RuntimeError):
        return None
    return jinja2.FileSystemBytecodeCache(str(folder))
