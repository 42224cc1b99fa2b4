"""A page as a tree, for hosts that build their own document: our Markdown, read once, so that what is kept in the cache
needs no reader.

A node is ``[kind, attributes, children]``, where the children are nodes, or the text of a leaf. Kinds are named as docutils
names them: paragraph, rubric, target, math, math_block, literal, literal_block, strong, emphasis, text, bullet_list,
list_item, block_quote, table (its rows are lists of cells), details, summary; and picture: its attributes are the drawing in
html and in latex, its children say the same in words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin

Node = list[Any]
PICTURE = "picture "
"""Before the format of a drawing, in the first line of its fence."""
TARGET = re.compile(r"\(([\w-]+)\)=$")
SUMMARY = re.compile(r"<details[^>]*><summary>(.*?)</summary>\s*$", re.DOTALL)
PLAIN = {
    "paragraph": "paragraph", "bullet_list": "bullet_list", "list_item": "list_item", "blockquote": "block_quote",
    "strong": "strong", "em": "emphasis", "table": "table", "tr": "row", "th": "entry", "td": "entry",
}  # fmt: skip
LEAVES = {"text": "text", "code_inline": "literal", "math_inline": "math", "math_block": "math_block"}


def tree_of(markdown: str) -> list[Node]:
    """The nodes of a page that was written in MyST's dialect."""
    return _folded(_nodes(SyntaxTreeNode(_reader().parse(markdown)).children))


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin, allow_labels=False)


def _nodes(found: Sequence[SyntaxTreeNode]) -> list[Node]:
    return [node for one in found for node in _node(one)]


def _node(one: SyntaxTreeNode) -> list[Node]:
    if one.type in LEAVES:
        return [[LEAVES[one.type], {}, one.content.strip("\n")]]
    if one.type == "fence" and one.info.startswith(PICTURE):
        return [["picture", {one.info.removeprefix(PICTURE): one.content}, []]]
    if one.type == "fence":
        return [["literal_block", {"language": one.info.strip() or "none"}, one.content.rstrip("\n")]]
    if one.type == "softbreak":
        return [["text", {}, "\n"]]
    if one.type == "html_block":
        return [["html", {}, one.content]]
    if one.type in ("inline", "thead", "tbody"):
        return _nodes(one.children)
    if one.type == "heading":
        return [["rubric", {"level": int(one.tag[1:])}, _nodes(one.children)]]
    children = _nodes(one.children)
    if one.type == "paragraph" and (target := TARGET.match("".join(c[2] for c in children if c[0] == "text"))):
        return [["target", {"name": target[1]}, ""]]
    if one.type == "th":
        return [["entry", {"head": True}, children]]
    return [[PLAIN[one.type], {}, children]]


def _folded(nodes: list[Node]) -> list[Node]:
    """The nodes with what folds as a node of its own, and a picture with its words as one."""
    found: list[Node] = []
    open: Node | None = None
    for node in nodes:
        if found and found[-1][0] == "picture" and not found[-1][2]:
            if node[0] == "picture":
                found[-1][1].update(node[1])
            else:
                found[-1][2].append(node)
            continue
        summary = SUMMARY.match(node[2]) if node[0] == "html" else None
        if summary is not None:
            open = ["details", {"open": "<details open" in node[2]}, [["summary", {}, [["text", {}, summary[1]]]]]]
            found.append(open)
        elif node[0] == "html":
            open = None
        else:
            (found if open is None else open[2]).append(node)
    return found
