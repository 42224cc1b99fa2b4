"""A font for formulas that travels with a site: of a maths font only what the formulas of its pages need."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from explain.embed.versions import version_of
from explain.errors import InputError
from explain.site.settings import FILE, Settings

CARRIER = ("ziamath", "fonts/STIXTwoMath-Regular.ttf")
"""The package of the extra ``font`` that brings a maths font (STIX Two Math, under the Open Font License), and where."""
NONE = "none"
"""The setting of a site that wants no font, whatever is installed."""
TOOLS = {"fontTools": "fonttools", "brotli": "brotli"}
MADE = "assets/math.woff2"
SOURCE = re.compile(r"<annotation\b[^<]*")
"""What a formula carries and does not show."""
SHOWN = re.compile(r">([^<]+)<")
ALWAYS = "0123456789()[]{}|+-\u2212=,.'/<> \u00a0\u2032\u2061\u2062\u2063\u2064\u2223\u2225\u221a"
"""Characters that browsers put where a formula has others, or none."""
NAMES = (0, 1, 2, 3, 4, 5, 6, 7, 13, 14)
"""Entries of a font's table of names: what it is called, whose it is, and its licence, which asks to go along."""


def symbols(html: str) -> str:
    """The characters of the formulas in HTML."""
    formulas = {part.partition("</math>")[0] for part in html.split("<math")[1:]}
    shown = SHOWN.findall(SOURCE.sub("", "<".join([*formulas, ""])))
    return "".join(sorted(set(unescape("".join(set(shown))))))


def font_of(settings: Settings, src: Path) -> Path | None:
    """The maths font of a site: the one that its settings name, or that of the extra ``font`` if it is installed.

    Raises InputError for a file that is not there, and for one without the tools that it takes.
    """
    if settings.math_font == NONE:
        return None
    there = all(find_spec(tool) for tool in TOOLS)
    if not settings.math_font:
        carrier = find_spec(CARRIER[0]) if there else None
        path = Path(str(carrier.origin)).parent / CARRIER[1] if carrier and carrier.origin else None
        return path if path and path.is_file() else None
    path = src / settings.math_font
    if not path.is_file():
        raise InputError(f"{src / FILE}: math_font: there is no file {path}")
    if not there:
        from explain.site.command import missing

        raise missing("font", "fonttools with brotli")
    return path


def key_of_font(path: Path | None) -> str:
    """What the bytes of a site's font depend on beside its symbols; empty if there is no font."""
    if path is None:
        return ""
    tools = [f"{package} {version_of(package)}" for package in TOOLS.values()]
    return " ".join([*tools, hashlib.sha256(path.read_bytes()).hexdigest()])


def wanted(found: Iterable[str]) -> str:
    """The characters that a font has to have for these in formulas: a single letter is shown as one of the mathematical
    alphabets, italic, and some are put in by browsers."""
    chars = set(ALWAYS).union(*found)
    return "".join(sorted(chars.union(*map(_italic, chars))))


def _italic(letter: str) -> str:
    if letter == "h":
        return "\u210e"  # the one that was there before the others
    name = unicodedata.name(letter, "").replace("LATIN ", "").replace("GREEK ", "").replace(" LETTER", "")
    try:
        return unicodedata.lookup(f"MATHEMATICAL ITALIC {name}")
    except KeyError:
        return ""


def subset(path: Path, chars: str) -> bytes:
    """The font with these characters only, and what they grow to: larger brackets, parts of roots and sums, smaller indices.
    The same bytes for the same font. Raises InputError for a file that is no maths font."""
    from fontTools import subset as tool
    from fontTools.ttLib import TTFont, TTLibError

    try:
        # lazy: the outlines of the thousands of glyphs that no page shows are never read
        font: Any = TTFont(io.BytesIO(path.read_bytes()), recalcTimestamp=False, lazy=True)
    except TTLibError as error:
        raise InputError(f"{path} is no font: {error}") from None
    if "MATH" not in font:
        raise InputError(f"{path} has no table MATH: formulas need a font for mathematics, such as STIX Two Math")
    options = tool.Options(
        layout_features=["*"], name_IDs=list(NAMES), name_languages=[0x409], notdef_outline=True, hinting=False,
        recalc_timestamp=False, flavor="woff2",
    )  # fmt: skip
    options.drop_tables += ["FFTM"]  # times at which FontForge saved it
    cut = tool.Subsetter(options)
    cut.populate(unicodes=[ord(c) for c in chars])
    cut.subset(font)
    made = io.BytesIO()
    font.flavor = "woff2"
    font.save(made, reorderTables=True)
    return made.getvalue()
