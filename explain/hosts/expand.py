"""``explain expand``: for every other generator. A page of Markdown, with derivations where its explain fences stand."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explain.errors import InputError

if TYPE_CHECKING:
    from explain.embed.core import Problem
    from explain.embed.page import Page
    from explain.embed.scan import Block

EXAMPLES = """\
examples:
  explain expand lesson.md -o lesson.out.md
  explain expand notes/ -o content/ --dialect mkdocs
  explain expand README.md --in-place
  explain expand README.md --in-place --check

exit codes: 0 done, 1 a block has a fault or (--check) what is there is stale, 2 the input is not usable
"""
SUFFIXES = (".md", ".markdown", ".mdx")
MARKS = {False: ("<!-- explain begin -->", "<!-- explain end -->"), True: ("{/* explain begin */}", "{/* explain end */}")}
MADE = re.compile(
    r"\n*[ \t>]*(?:<!--|\{/\*) explain begin (?:-->|\*/\}).*?(?:<!--|\{/\*) explain end (?:-->|\*/\})[ \t]*(?=\n|$)",
    re.DOTALL,
)


def add_parser(commands: Any) -> None:
    """The command's part of the command line."""
    expand = commands.add_parser(
        "expand",
        help="write derivations as Markdown where the explain fences of a page stand",
        description="Replace the explain fences of Markdown pages by their derivations, as Markdown, for any generator.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    expand.add_argument("page", metavar="PAGE", type=Path, help="a page of Markdown, or a folder of pages")
    expand.add_argument("-o", "--output", metavar="OUT", type=Path, help="write to OUT, a folder if PAGE is one")
    expand.add_argument(
        "--in-place", action="store_true", help="keep the fences, and write each derivation below its fence, between markers"
    )
    expand.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is there is not what would be")
    expand.add_argument(
        "--dialect",
        choices=("github", "myst", "mkdocs", "kramdown"),
        default="github",
        help="whose Markdown (default: github)",
    )
    expand.add_argument("--detail", choices=("brief", "normal", "full"), help="where a fence does not say it")
    expand.add_argument("--lang", choices=("en", "zh"), help="where a fence does not say it")
    expand.add_argument("--index-base", choices=("0", "1"), help="where a fence does not say it")
    expand.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Expand the pages. Returns the exit code."""
    if options.in_place and options.output:
        raise InputError("--in-place writes into the page itself: leave out -o")
    if options.check and not (options.in_place or options.output):
        raise InputError("--check compares with what is there: say where, by -o OUT or --in-place")
    bad = False
    for path, target in _pages(options):
        text = _read(path)
        expanded, problems = _expanded(text, path, target or path, options)
        for problem in problems:
            print(problem, file=sys.stderr)
        bad |= bool(problems)
        if problems and (options.check or target is not None):
            continue  # a page that is right is not written over by one that is not
        if target is None:
            sys.stdout.write(expanded)
        elif not target.exists() or _read(target) != expanded:
            if options.check:
                bad = True
                again = f"explain expand {path} " + ("--in-place" if options.in_place else f"-o {target}")
                print(f"{target}: explain: not what {path} gives now; write it anew: {again}", file=sys.stderr)
            else:
                _write(target, expanded)
    return int(bad)


def _pages(options: argparse.Namespace) -> Iterator[tuple[Path, Path | None]]:
    """Every page with the file that it is written to."""
    page, output = options.page, options.output
    if not page.is_dir():
        yield page, page if options.in_place else output
        return
    if output is None and not options.in_place:
        raise InputError(f"{page} is a folder: say where its pages go, by -o FOLDER or --in-place")
    for path in sorted(p for p in page.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        if output is None or output.resolve() not in path.resolve().parents or output.resolve() in page.resolve().parents:
            yield path, path if options.in_place else output / path.relative_to(page)


def _expanded(text: str, path: Path, target: Path, options: argparse.Namespace) -> tuple[str, list[Problem]]:
    from explain.embed.configuration import configuration
    from explain.embed.core import Problem
    from explain.embed.page import Page
    from explain.embed.scan import scan

    found: list[Problem] = []
    configured = configuration(path.parent)
    asked = {"detail": options.detail, "lang": options.lang, "index-base": options.index_base}
    inside = path.resolve().is_relative_to(Path.cwd())
    page = Page(
        configured.embedder("." if inside else path.resolve().parent),
        str(path if inside else path.resolve()),
        found.append,
        format="md",
        dialect=options.dialect,
        anchor=re.sub(r"[^a-z0-9]+", "-", str(path.with_suffix("")).lower()).strip("-") + "-",
        defaults={**configured.defaults, **{name: value for name, value in asked.items() if value}},
    )
    marks = MARKS[target.suffix.lower() == ".mdx"]
    parts, at = [], 0
    for block in scan(text):
        parts.append(text[at : block.start])
        at = block.end
        if block.inline and options.in_place:
            found.append(Problem(str(path), block.line, "{explain: …} has no place of its own to be kept in; use -o OUT"))
        elif block.inline:
            parts.append(page.inline(block.body, line=block.line).text or f"`{block.body}`")
        else:
            kept = f"{text[block.start : block.end]}\n\n" if options.in_place else ""
            parts.append(kept + _region(block, page, marks, bool(kept)))
            made = MADE.match(text, at)
            at = made.end() if made else at
    return "".join([*parts, text[at:]]), found


def _region(block: Block, page: Page, marks: tuple[str, str], below: bool) -> str:
    """The derivation between its marks, as far to the right as its fence. ``below``: the fence's first line stays, so that a
    list's marker is not written twice."""
    shown = page.block(block.body, block.info, line=block.line)
    lines = [marks[0], "", *shown.text.rstrip().split("\n"), "", marks[1]]
    rest = re.sub(r"[^>]", " ", block.indent)
    first = rest if below else block.indent
    return "\n".join([first + lines[0], *((rest + line).rstrip() for line in lines[1:])])


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
