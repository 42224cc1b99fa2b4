"""Word catalogues: gettext, English as it stands in the templates, other languages from ``templates/locale``."""

from __future__ import annotations

import gettext
from functools import cache
from importlib.resources import as_file, files

from explain.errors import InputError

LANGUAGES = ("en", "zh")


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The translations of a language. Raises InputError for one that does not exist."""
    if language == "en":
        return gettext.NullTranslations()
    if language not in LANGUAGES:
        raise InputError(f"there is no catalogue for the language {language!r}; there are: {', '.join(LANGUAGES)}")
    source = files("explain.templates") / "locale" / language / "LC_MESSAGES" / "explain.mo"
    try:
        with as_file(source) as path, path.open("rb") as file:
            return gettext.GNUTranslations(file)
    except FileNotFoundError:
        raise InputError(
            f"the catalogue of {language!r} is not compiled", hint="Install the package: pip install -e . compiles it"
        ) from None
