"""``[tool.explain]`` in pyproject.toml: what holds for all blocks of a project, whichever host shows them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explain.embed.cache import Cache
from explain.embed.core import Embedder
from explain.embed.options import LOOKS, read_options
from explain.embed.place import BlockError, Where
from explain.errors import InputError

FILE = "pyproject.toml"
OWN = ("cache", "timeout")


@dataclass(frozen=True)
class Configuration:
    """``defaults``: options of all blocks. ``cache``: where results are kept, None for the user's own folder. ``timeout``:
    how many seconds a program may run."""

    defaults: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    timeout: float = 10.0

    def embedder(self, root: str | Path = ".") -> Embedder:
        """What shows blocks. ``root``: the folder that their sources are named from."""
        return Embedder(Cache(self.cache), root=root, timeout=self.timeout)


def configuration(folder: str | Path) -> Configuration:
    """What the nearest pyproject.toml with a table ``[tool.explain]`` says, at ``folder`` or above it. Raises InputError for
    one that cannot be read, and for unknown keys."""
    here = Path(folder).resolve()
    for above in (here, *here.parents):
        file = above / FILE
        if file.is_file() and (table := _table(file)) is not None:
            return _read(file, table)
    return Configuration()


def _table(file: Path) -> Any:
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{file}: {error}") from None
    return data.get("tool", {}).get("explain")


def _read(file: Path, table: Any) -> Configuration:
    if not isinstance(table, dict):
        raise InputError(f"{file}: [tool.explain] is a table")
    for key in table:
        if key not in (*LOOKS, *OWN):
            raise InputError(f"{file}: [tool.explain] has no key '{key}'; there are: {', '.join((*LOOKS, *OWN))}")
    try:
        looks = read_options([(key, str(value)) for key, value in table.items() if key in LOOKS], Where(file.name, 1))
    except BlockError as error:
        raise InputError(f"{file}: [tool.explain]: {error.words}") from None
    timeout = table.get("timeout", 10)
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or timeout <= 0:
        raise InputError(f"{file}: [tool.explain]: timeout is a number of seconds, not {timeout!r}")
    cache = table.get("cache")
    return Configuration(
        {name: values[-1] for name, values in looks.items()},
        None if cache is None else file.parent / str(cache),
        float(timeout),
    )


def language_of(locale: object) -> str:
    """Our language for a host's own setting (``zh_CN``, ``zh-Hans``, ``en-GB``): English where we do not speak it."""
    return "zh" if str(locale or "").lower().replace("_", "-").split("-")[0] == "zh" else "en"
