"""The commands ``explain build``, ``explain serve`` and ``explain new``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from explain.errors import InputError


def add_build(commands: Any) -> None:
    """Add ``build`` to the commands of a parser."""
    build = commands.add_parser(
        "build",
        help="make a site of a folder of Markdown with explain fences",
        description="Every page becomes HTML that works from any web server, and from a folder on disk. What did not change "
        "is left as it is. Pages and settings: see the guide 'Building a site'.",
        epilog="exit codes: 0 done, 1 done but pages have errors, 2 the folder is not usable",
    )
    build.add_argument("src", metavar="SRC", type=Path, help="the folder with the pages, and site.toml if there is one")
    build.add_argument("-o", "--output", metavar="OUT", type=Path, help="where the site goes (default: SRC/_build)")
    build.add_argument("--jobs", type=_jobs, default=0, metavar="N", help="so many processes (default: one per processor)")
    build.add_argument("--strict", action="store_true", help="warnings (links that lead nowhere, missing twins) are errors")
    build.add_argument("--base-url", metavar="URL", help="where the site will stand: for the sitemap, the feed, and 404")
    build.add_argument("--cache", metavar="FOLDER", type=Path, help="where rendered pages and derivations are kept")
    build.set_defaults(run=_build)


def _jobs(text: str) -> int:
    found = int(text)
    if found < 1:
        raise argparse.ArgumentTypeError("at least one process is needed")
    return found


def _build(options: argparse.Namespace) -> int:
    from explain.site.build import build_site
    from explain.site.progress import Progress

    begun = time.monotonic()
    out = options.output or options.src / "_build"
    report = build_site(
        options.src, out, jobs=options.jobs or os.cpu_count() or 1, strict=options.strict, base_url=options.base_url,
        cache=options.cache, progress=Progress(),
    )  # fmt: skip
    tell(report.problems)
    wrong = f", {len(report.errors)} errors" if report.errors else ""
    print(
        f"{out}: {report.pages} pages, {report.rendered} rendered, {len(report.changed)} files written{wrong} "
        f"({time.monotonic() - begun:.1f} s)"
    )
    return 1 if report.errors else 0


def tell(problems: Iterable[Any]) -> None:
    """Problems, one a line, as ``file:line: explain: message``."""
    for problem in problems:
        print(problem, file=sys.stderr)


def missing(extra: str, package: str) -> InputError:
    """The error for a package of an extra that is not installed."""
    return InputError(f"{package} is not installed", hint=f"Install it: pip install 'explain-grad[{extra}]'")
