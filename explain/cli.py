"""The command ``explain``. Heavy imports happen inside the commands: ``explain --help`` loads neither numpy nor sympy."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import explain
from explain.embed import checking
from explain.errors import ExplainError, InputError
from explain.hosts import expand
from explain.site.command import add_build, add_new, add_serve

if TYPE_CHECKING:
    from explain.derivation.model import Run

FORMATS = ("text", "md", "html", "tex", "pdf", "json")
SUFFIXES = {
    ".md": "md", ".markdown": "md", ".txt": "text", ".json": "json", ".html": "html", ".htm": "html", ".tex": "tex",
    ".pdf": "pdf",
}  # fmt: skip
EXAMPLES = """\
examples:
  explain expr "2*dot(x, x)" --at "x=[0,1,2,3]"
  explain expr "sum((A@x - b)**2)" --at "A=[[1,2],[3,4],[5,6]]" --at "x=[1,-1]" --at "b=[1,0,2]" --wrt x
  explain expr "x*2" --at "x=ones(3)" --v "[0.1, 1, 10]"
  explain expr "sum((A@x - b)**2)" --shape "A=m,n" --shape "x=n" --shape "b=m"
"""
RUN_EXAMPLES = """\
examples:
  explain run lesson.py
  explain run notes.md --format md -o page.md
  explain run train.ipynb --backward 3
  pbpaste | explain run -
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors in the form of all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="explain",
        description="Where does this .grad come from? Step-by-step, checked derivations of PyTorch gradients.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"explain {explain.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    expr = commands.add_parser(
        "expr",
        help="explain the gradient of one expression",
        description="Run an expression, send a gradient back through it, and derive every step.",
        epilog=EXAMPLES + "\nexit codes: 0 done, 1 a check failed, 2 the input is not usable, 3 stopped at a limit\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    expr.add_argument("expression", help='for example "mean(3*(x+2)**2)"; functions and methods of torch')
    expr.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of a name: a number, nested lists, ones(2,2), zeros, arange, linspace, eye, full, "
        "randn(3, seed=0), @file.npy; without any --at the derivation is symbolic",
    )
    expr.add_argument("--v", metavar="VALUE", help="the cotangent v to send back, for a result with several entries")
    expr.add_argument("--wrt", help="differentiate by this name only (default: by all float ones)", **NAMES)
    expr.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=m,n",
        help="symbolic sizes of a name, where no --at is given",
    )
    _page_options(expr)
    expr.set_defaults(run=_expr)
    _run_parser(commands)
    _ops_parser(commands)
    checking.add_parser(commands)
    expand.add_parser(commands)
    add_build(commands)
    add_serve(commands)
    add_new(commands)
    return parser


def _run_parser(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="explain the gradients of a PyTorch program",
        description="Run a program (a script, Markdown with code fences, a paste with prompts, a notebook) on explain's own "
        "tape, in a box without files and network, and derive every gradient that it asks for.",
        epilog=RUN_EXAMPLES + "\nexit codes: 0 done, 1 the program raised or a check failed, 2 unreadable or refused, "
        "3 stopped at a limit\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("program", metavar="FILE", help="a .py, .md or .ipynb file, or - for standard input")
    run.add_argument("--backward", type=int, metavar="N", help="derive only the N-th call that asks for gradients")
    run.add_argument("--wrt", help="differentiate by this name only (default: by all leaves)", **NAMES)
    run.add_argument("--of", metavar="NAME", help="the result to derive, where the program calls no backward itself")
    run.add_argument("--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="how long it may run (default: 10)")
    run.add_argument(
        "--memory", type=_bytes, default=2 << 30, metavar="SIZE", help="what it may take, as 512M (default: 2G)"
    )
    run.add_argument("--trust", action="store_true", help="run ordinary Python: for programs of your own only")
    _page_options(run)
    run.set_defaults(run=_run)


def _ops_parser(commands: Any) -> None:
    ops = commands.add_parser(
        "ops",
        help="list the operations with their formulas and what goes back through them",
        description="The operations: PyTorch's names, the formula of one entry, and Jᵀv for every input, derived anew.",
    )
    ops.add_argument("names", nargs="*", metavar="NAME", help="only these, by our name or PyTorch's (default: all)")
    ops.add_argument("--format", choices=("text", "md", "json"), help="default: text on a terminal, md elsewhere")
    ops.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to FILE")
    ops.add_argument("--lang", default="en", metavar="LANG", help="language of the sentences: en or zh")
    ops.add_argument("--index-base", type=int, choices=(0, 1), default=1, help="count indices from 0 or 1 (default: 1)")
    ops.set_defaults(run=_ops)


def _ops(options: argparse.Namespace) -> int:
    import warnings

    from explain.derivation.library import library
    from explain.render.library import render_library

    target: Path | None = options.output
    format = options.format or _format_of(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of PyTorch's functions warn that they are old
        entries = list(library(options.names))
    text = render_library(entries, format, lang=options.lang, index_base=options.index_base)
    if target is None:
        sys.stdout.write(text)
    else:
        _written(target, lambda: target.write_text(text, encoding="utf-8"))
    return 0


def _page_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=FORMATS, help="default: text on a terminal, md elsewhere, or by the name of FILE"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to FILE")
    parser.add_argument(
        "--detail", choices=("brief", "normal", "full"), default="normal", help="how much each step says (default: normal)"
    )
    parser.add_argument("--show", choices=("all", "answer", "steps", "graph"), default="all", help="only a part of the page")
    parser.add_argument(
        "--dialect",
        choices=("github", "myst", "mkdocs", "kramdown"),
        default="github",
        help="whose Markdown (default: github)",
    )
    parser.add_argument(
        "--fragment", action="store_true", help="html and tex: without the frame, to be put into a page of one's own"
    )
    parser.add_argument("--lang", default="en", metavar="LANG", help="language of the sentences: en or zh")
    parser.add_argument("--index-base", type=int, choices=(0, 1), default=1, help="count indices from 0 or 1 (default: 1)")


def _seconds(text: str) -> float:
    found = float(text)
    if not 0 < found <= 86_400:
        raise ValueError
    return found


def _names(text: str) -> list[str]:
    found = [name for part in text.split(",") if (name := part.strip())]
    if not found:
        raise argparse.ArgumentTypeError("a name is needed")
    return found


NAMES: dict[str, Any] = {"action": "extend", "type": _names, "metavar": "NAME,…"}
"""Names between commas, in one option or in several."""


def _bytes(text: str) -> int:
    unit = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper())
    found = int(float(text[:-1]) * (1 << unit)) if unit else int(text)
    if found < 1 << 26:
        raise argparse.ArgumentTypeError("a program needs at least 64M")
    return found


def _run(options: argparse.Namespace) -> int:
    from explain.derivation.boxed import run, run_file

    chosen = {
        "trust": options.trust, "timeout": options.timeout, "memory": options.memory, "backward": options.backward,
        "wrt": options.wrt, "of": options.of,
    }  # fmt: skip
    if options.program == "-":
        found = run(sys.stdin.read(), name="standard input", **chosen)
    else:
        found = run_file(options.program, **chosen)
    _publish(found, options)
    if found.outcome == "ok":
        return 0 if found.ok else 1
    return {"error": 1, "refused": 2, "bounded": 3}[found.outcome]


def _expr(options: argparse.Namespace) -> int:
    from explain.derivation.expression import run_expression
    from explain.program.values import parse_given, parse_shape, parse_value

    given = {}
    for text in options.at:
        name, value = parse_given(text)
        if name in given:
            raise InputError(f"--at gives {name} twice")
        given[name] = value
    v = None if options.v is None else parse_value(options.v)
    shapes = dict(parse_shape(text) for text in options.shape)
    run = run_expression(options.expression, given, v, options.wrt, shapes)
    _publish(run, options)
    return 0 if run.ok else 1


def _publish(run: Run, options: argparse.Namespace) -> None:
    """Write the page where it was asked for."""
    target: Path | None = options.output
    format = options.format or _format_of(target)
    if format == "json" and target is not None:
        _write_json(run, target, options)
        return
    color = target is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    looks = {"color": color} if format == "text" else {}
    asked = {name: getattr(options, name) for name in ("lang", "index_base", "detail", "show", "dialect")}
    if format == "pdf":
        _write_pdf(run.render("tex", **asked), target)
        return
    text = run.render(format, **asked, standalone=not options.fragment, **looks)
    if target is None:
        sys.stdout.write(_carried(text) if format == "text" else text)
    else:
        _written(target, lambda: target.write_text(text, encoding="utf-8"))


def _carried(text: str) -> str:
    from explain.render.carried import carried

    return carried(text, sys.stdout.encoding)


def _format_of(target: Path | None) -> str:
    if target is None:
        return "text" if sys.stdout.isatty() else "md"
    return SUFFIXES.get(target.suffix.lower(), "md")


def _write_json(run: Run, target: Path, options: argparse.Namespace) -> None:
    """The document, and beside it an .npz with the arrays that are too large for it."""
    import numpy as np

    from explain.derivation.codec import Arrays
    from explain.render.document import run_to_json

    arrays = Arrays({})
    text = run_to_json(run, lang=options.lang, index_base=options.index_base, arrays=arrays)
    _written(target, lambda: target.write_text(text, encoding="utf-8"))
    if arrays.kept:
        beside = target.with_suffix(".npz")
        kept = arrays.kept
        _written(beside, lambda: np.savez_compressed(beside, **kept))  # type: ignore[arg-type]


def _write_pdf(article: str, target: Path | None) -> None:
    from explain.render.pdf import typeset

    pages = typeset(article)
    if target is None:
        sys.stdout.buffer.write(pages)
    else:
        _written(target, lambda: target.write_bytes(pages))


def _written(target: Path, write: object) -> None:
    try:
        write()  # type: ignore[operator]
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None


def _with_signs(arguments: list[str]) -> list[str]:
    """The arguments with formulas that begin with a minus where argparse takes them for none of its options."""
    found: list[str] = []
    last: list[str] = []
    for argument in arguments:
        signed = len(argument) > 1 and argument[0] == "-" and argument[1] not in "-ho"
        if signed and found and found[-1] in ("--claim", "--v"):
            found[-1] += f"={argument}"
        elif signed:
            last = ["--", argument]
        else:
            found.append(argument)
    return found + last


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 1 done and the answer is no, 2 not started, 3 stopped at a limit."""
    usual_threshold = gc.get_threshold()
    gc.set_threshold(100_000)  # a document is many small objects and hardly a cycle
    # two threads beside another busy process make small matrix products 20 times slower
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            asked = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
            stream.reconfigure(encoding=asked or "utf-8", errors="replace")
    usual, warnings.formatwarning = warnings.formatwarning, _warning
    try:
        options = _parser().parse_args(_with_signs(sys.argv[1:] if arguments is None else arguments))
        return int(options.run(options))
    except ExplainError as error:
        print(f"explain: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # the reader of our output went away (``| head``): nothing is left to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    finally:
        warnings.formatwarning = usual
        gc.set_threshold(*usual_threshold)


def _warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """PyTorch's warnings in an expression, without the place in our own code from which they come."""
    return f"explain: {message}\n"


if __name__ == "__main__":
    sys.exit(main())
