"""``site.toml``: what a site is called, its languages, where it will stand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from explain.errors import InputError
from explain.render.words import LANGUAGES

FILE = "site.toml"
KNOWN = (
    "title",
    "description",
    "base_url",
    "language",
    "languages",
    "reference",
    "math_font",
    "defaults",
    "repository",
    *LANGUAGES,
)
OWN = ("title", "description")
"""What a language may say for itself, in a table of its name."""


class Settings(NamedTuple):
    """``languages``: each has a folder of its name; without them SRC itself holds the pages, in ``language``.

    ``reference``: a page for every op is generated below reference/ops. ``math_font``: a file below SRC with the
    font for formulas, or ``none``; see ``explain.site.font``. ``defaults``: options of all explain fences.
    """

    titles: Mapping[str, str]
    descriptions: Mapping[str, str]
    base_url: str = ""
    language: str = "en"
    languages: tuple[str, ...] = ()
    reference: bool = False
    repository: str = ""
    math_font: str = ""
    defaults: Mapping[str, str] = {}

    def home(self, lang: str) -> str:
        """The folder of a language, with a slash; empty where there is only one language."""
        return f"{lang}/" if self.languages else ""

    @property
    def spoken(self) -> tuple[str, ...]:
        """Every language of the site, the first is what a reader gets who asks for none."""
        return self.languages or (self.language,)


def read_settings(src: Path) -> Settings:
    """The settings of a site; those of a folder without a site.toml are its name and English.

    Raises InputError for a file that cannot be read, for unknown keys and for values of another kind.
    """
    file = src / FILE
    try:
        data: dict[str, Any] = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from None
    for key in data:
        if key not in KNOWN:
            raise InputError(f"{file}: there is no setting {key!r}; there are: {', '.join(KNOWN)}")
    for lang in LANGUAGES:
        for key in _typed(file, data, lang, dict, {}):
            if key not in OWN:
                raise InputError(f"{file}: [{lang}] has no setting {key!r}; there are: {', '.join(OWN)}")
    languages = tuple(_typed(file, data, "languages", list, []))
    for lang in (*languages, data.get("language", "en")):
        if lang not in LANGUAGES:
            raise InputError(f"{file}: there is no language {lang!r}; there are: {', '.join(LANGUAGES)}")
    language = _typed(file, data, "language", str, "en")
    spoken = languages or (language,)
    base = _typed(file, data, "base_url", str, "")
    return Settings(
        titles={lang: _own(file, data, lang, "title") or src.resolve().name for lang in spoken},
        descriptions={lang: _own(file, data, lang, "description") for lang in spoken},
        base_url=with_slash(base, str(file)),
        language=language,
        languages=languages,
        reference=_typed(file, data, "reference", bool, False),
        repository=_typed(file, data, "repository", str, ""),
        math_font=_typed(file, data, "math_font", str, ""),
        defaults={key: str(value) for key, value in _typed(file, data, "defaults", dict, {}).items()},
    )


def with_slash(url: str, where: str) -> str:
    """A base URL as other URLs are put behind it. Raises InputError if it is none."""
    if url and not url.startswith(("https://", "http://")):
        raise InputError(f"{where}: base_url begins with https://, for example https://example.org/notes/, not {url!r}")
    return url if not url or url.endswith("/") else f"{url}/"


def _own(file: Path, data: dict[str, Any], lang: str, key: str) -> str:
    found: str = _typed(file, data.get(lang, {}), key, str, "") or _typed(file, data, key, str, "")
    return found


def _typed(file: Path, data: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    found = data.get(key, default)
    if type(found) is not kind:
        names = {str: "a text", list: "a list", bool: "true or false", dict: "a table"}
        raise InputError(f"{file}: {key} is {names[kind]}, not {found!r}")
    return found
