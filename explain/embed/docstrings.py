"""The blocks of a Python file: those of its docstrings, in which Sphinx finds directives and MkDocs finds fences."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import replace
from inspect import indentsize

from explain.embed.scan import Block, scan

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def scan_docstrings(text: str) -> list[Block]:
    """The blocks in the order of their lines, which are those of the file; ``start`` and ``end`` count in the docstring. A
    file that is no Python has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever imports the file is told
            found = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return []
    return sorted((block for node in found for block in _blocks(node)), key=lambda block: block.line)


def _blocks(node: ast.AST) -> Iterator[Block]:
    if not isinstance(node, DOCUMENTED) or ast.get_docstring(node, clean=False) is None:
        return
    literal = node.body[0]
    written = ast.get_docstring(node, clean=False) or ""
    # a docstring with escaped line ends has other lines than its file: then the first one has to do
    whole = (literal.end_lineno or 0) - literal.lineno == written.count("\n")
    for form in ("rst", "md"):
        for block in scan(_even(written), form):
            yield replace(block, line=literal.lineno + block.line - 1 if whole else literal.lineno)


def _even(docstring: str) -> str:
    """Without the margin, like inspect.cleandoc, but with every line."""
    first, *rest = docstring.expandtabs().split("\n")
    margin = min((indentsize(line) for line in rest if line.strip()), default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in rest)])
