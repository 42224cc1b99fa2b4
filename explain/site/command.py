"""The commands ``explain build``, ``explain serve`` and ``explain new``."""

from __future__ import annotations

import argparse
import contextlib
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
    build.add_argument("--dask", metavar="ADDRESS", help="send pages to this Dask cluster, tcp://HOST:PORT")
    build.add_argument("--cache", metavar="FOLDER", type=Path, help="where rendered pages and derivations are kept")
    build.set_defaults(run=_build)


def add_serve(commands: Any) -> None:
    """Add ``serve`` to the commands of a parser."""
    serve = commands.add_parser(
        "serve",
        help="show a site in the browser while it is written",
        description="Build the site, serve it on this machine only, and follow every change of its sources: what changed is "
        "built, the browser reloads, and faults are shown in the page.",
    )
    serve.add_argument("src", metavar="SRC", type=Path, help="the folder with the pages")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 takes any that is free")
    serve.add_argument("--jobs", type=_jobs, default=0, metavar="N", help="so many processes (default: one per processor)")
    serve.add_argument("--cache", metavar="FOLDER", type=Path, help="where rendered pages and derivations are kept")
    serve.set_defaults(run=_serve)


def add_new(commands: Any) -> None:
    """Add ``new`` to the commands of a parser."""
    new = commands.add_parser(
        "new", help="write a small site to begin with", description="Write a small site to begin with."
    )
    new.add_argument("folder", metavar="DIR", type=Path, help="a folder that is not there yet, or empty")
    new.add_argument("--lang", choices=("en", "zh"), default="en", help="the language of its pages (default: en)")
    new.set_defaults(run=_new)


def _serve(options: argparse.Namespace) -> int:
    import hashlib

    from explain.embed.cache import default_folder
    from explain.site.serve import serve

    name = hashlib.sha256(str(options.src.resolve()).encode()).hexdigest()[:16]
    out = (options.cache or default_folder()) / "served" / name
    serve(options.src, out, port=options.port, jobs=options.jobs or os.cpu_count() or 1, cache=options.cache)
    return 0


def _new(options: argparse.Namespace) -> int:
    from explain.site.starter import make_starter

    for path in make_starter(options.folder, options.lang):
        print(path)
    print(f"Look at it: explain serve {options.folder}")
    return 0


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
    with contextlib.ExitStack() as stack:
        executor = None
        if options.dask:
            from explain.site.dask import executor_at

            executor = stack.enter_context(executor_at(options.dask))
        report = build_site(
            options.src, out, jobs=options.jobs or os.cpu_count() or 1, executor=executor, strict=options.strict,
            base_url=options.base_url, cache=options.cache, progress=Progress(),
        )  # fmt: skip
    tell(report.problems)
    count = len(report.errors)
    wrong = f", {count} error{'s' if count > 1 else ''}" if count else ""
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
