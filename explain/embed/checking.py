"""``explain check``: whether a formula that somebody states is the derivative that a program or an expression has."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from explain.errors import InputError

EXAMPLES = """\
examples:
  explain check "mean(3*(x+2)**2)" --at "x=ones(2,2)" --wrt x --claim "3/2*(x+2)"
  explain check lesson.py --of loss --wrt w --claim "X.T@(p - y)/3"
  explain check "x[0]*x[1]" --at "x=[2,3]" --wrt x --claim "[x_1, x_0]"
  explain check "-x**2/2" --at "x=2" --wrt x --claim=-x

exit codes: 0 the formula is right, 1 it is wrong or cannot be decided, 2 the input is not usable, 3 stopped at a limit
"""
PROGRAMS = (".py", ".md", ".markdown", ".ipynb", ".txt")


def add_parser(commands: Any) -> None:
    """The command's part of the command line."""
    check = commands.add_parser(
        "check",
        help="check a formula that you state for a gradient",
        description="Compare a stated formula with what is computed: by algebra, at the given values and at random ones.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("what", metavar="FILE|EXPR", help="a .py, .md or .ipynb file, - for standard input, or an expression")
    check.add_argument(
        "--of", metavar="OUT", default="", help="of what: a name of the program (an expression is called out)"
    )
    check.add_argument("--wrt", metavar="X", help="the derivative by what; without it the claim is about the value of OUT")
    check.add_argument(
        "--claim", metavar="FORMULA", required=True, help='for example "3/2*(x+2)"; --claim=-x if it begins with -'
    )
    check.add_argument(
        "--at", action="append", default=[], metavar="NAME=VALUE", help="the value of a name of the expression"
    )
    check.add_argument("--v", metavar="VALUE", help="the cotangent v, for a result with several entries")
    check.add_argument("--shape", action="append", default=[], metavar="NAME=m,n", help="symbolic sizes, without --at")
    check.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    check.add_argument(
        "--lang", choices=("en", "zh"), default="en", help="language of the words; in JSON the verdict stays English"
    )
    check.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="how long a program may run")
    check.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check and print. Returns the exit code."""
    from explain.derivation.model import Verdict
    from explain.render.claims import diagnosis, verdict_text

    found = _judged(options)
    if found.claims:
        verdict = found.claims[0]
    else:
        verdict = Verdict(options.of, options.wrt, options.claim, "undecided", "outcome", {})
        _tell_error(found, options.lang)
    if options.format == "json":
        said = {"verdict": verdict.verdict, "diagnosis": diagnosis(verdict, options.lang)}
        print(json.dumps(said, ensure_ascii=False))
    else:
        print(verdict_text(verdict, options.lang))
    if found.outcome == "bounded":
        return 3
    if found.outcome == "refused":
        return 2
    return 0 if verdict.ok else 1


def _judged(options: argparse.Namespace) -> Any:
    claim = (options.of, options.wrt, options.claim)
    text = None
    name = options.what
    if name == "-":
        text, name = sys.stdin.read(), "standard input"
    elif _is_file(name):
        text = _read(Path(name))
    if text is None:
        from explain.derivation.expression import run_expression
        from explain.embed.inline import split_inline
        from explain.program.values import parse_given, parse_shape, parse_value

        expression, values = split_inline(options.what)
        given = dict(parse_given(value) for value in (*options.at, *values))
        v = None if options.v is None else parse_value(options.v)
        shapes = dict(parse_shape(shape) for shape in options.shape)
        return run_expression(expression, given, v, (options.wrt,) if options.wrt else None, shapes, [claim])
    for option in ("at", "shape", "v"):
        if getattr(options, option):
            raise InputError(f"--{option} belongs to an expression; {name} is a program")
    from explain.derivation.boxed import run as run_program

    return run_program(text, name=name, timeout=options.timeout, claims=[claim])


def _is_file(what: str) -> bool:
    """Whether the argument names a file: it is there, or looks so much like one that an expression cannot be meant."""
    try:
        if Path(what).is_file():
            return True
    except (OSError, ValueError):
        return False
    return what.endswith(PROGRAMS) and not what.endswith(".T") and "(" not in what


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _tell_error(found: Any, lang: str) -> None:
    from explain.render.document import explanation

    error = found.error or {}
    words = ": ".join(filter(None, [error.get("type"), error.get("message")]))
    why = explanation(error, lang) if error else None
    line = f"line {error['line']}: " if error.get("line") else ""
    print(f"explain: {line}{words}{f'. {why}' if why else ''}", file=sys.stderr)
