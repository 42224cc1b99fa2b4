"""Trees of ``explain.embed.tree`` as nodes of docutils."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from docutils.utils import column_width

WIDEST, QUOTES = 40, 2
"""Characters of a column of a table, where it is text, and those around code. In a column of one character Sphinx 8 never
comes to the end of a word."""
HEAD = re.compile(r"[:：(（]")
PLAIN = {
    "paragraph": nodes.paragraph, "bullet_list": nodes.bullet_list, "list_item": nodes.list_item,
    "block_quote": nodes.block_quote, "strong": nodes.strong, "emphasis": nodes.emphasis,
}  # fmt: skip


class details(nodes.General, nodes.Element):
    """What folds in HTML, and stands open elsewhere."""


class summary(nodes.General, nodes.TextElement):
    """The line that a reader folds it out by."""


class picture(nodes.General, nodes.Element):
    """A drawing in the formats of some writers; its children are for the others, and for whoever searches."""


def build(tree: Sequence[Any], docname: str) -> list[nodes.Node]:
    """The nodes of a tree. ``docname``: the page that they stand in."""
    return [_node(kind, attributes, children, docname) for kind, attributes, children in tree]


def targets(node: nodes.Element) -> Iterator[tuple[str, str]]:
    """The anchors of steps, each with a title: the beginning of the heading after it."""
    for target in node.findall(nodes.target):
        heading = target.next_node(nodes.rubric, siblings=True, ascend=False)
        if heading is not None:
            yield target["ids"][0], HEAD.split(heading.astext(), maxsplit=1)[0].strip()


def _node(kind: str, attributes: dict[str, Any], children: Any, docname: str) -> nodes.Node:
    if kind == "text":
        return nodes.Text(children)
    if kind == "math":
        return nodes.math(children, children)
    if kind == "math_block":
        plain: dict[str, Any] = {"nowrap": False, "no-wrap": False, "number": None, "label": None}
        return nodes.math_block(children, children, docname=docname, **plain)
    if kind == "literal":
        return nodes.literal(children, children)
    if kind == "literal_block":
        # forced: what a program printed is no fault of the page if it cannot be highlighted
        return nodes.literal_block(children, children, language=attributes["language"], force=True)
    if kind == "target":
        return nodes.target("", "", ids=[attributes["name"]])
    inner = build(children, docname) if kind != "table" else []
    if kind == "rubric":
        return nodes.rubric("", "", *inner, **{"heading-level": min(attributes["level"], 6)})
    if kind == "details":
        return details("", *inner, open=attributes["open"])
    if kind == "summary":
        return summary("", "", *inner)
    if kind == "picture":
        return picture("", *inner, **attributes)
    if kind == "table":
        return _table(children, docname)
    made: type[nodes.Element] = PLAIN[kind]
    return made("", *inner) if not issubclass(made, nodes.TextElement) else made("", "", *inner)


def _table(rows: Sequence[Any], docname: str) -> nodes.Node:
    head, body = nodes.thead(), nodes.tbody()
    for _, _, cells in rows:
        row = nodes.row("", *[nodes.entry("", nodes.paragraph("", "", *build(inner, docname))) for _, _, inner in cells])
        (head if cells[0][1].get("head") else body).append(row)
    columns = zip(*(row.children for row in (*head, *body)), strict=True)
    widths = [min(max(column_width(cell.astext()) for cell in column) + QUOTES, WIDEST) for column in columns]
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += [head, body]
    return nodes.container("", nodes.table("", group, classes=["colwidths-auto"]), classes=["explain-table"])


def _open_details(self: Any, node: nodes.Element) -> None:
    self.body.append("<details open>\n" if node["open"] else "<details>\n")


def _close_details(self: Any, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def _open_summary(self: Any, node: nodes.Element) -> None:
    self.body.append("<summary>")


def _close_summary(self: Any, node: nodes.Element) -> None:
    self.body.append("</summary>\n")


def _drawn_in_html(self: Any, node: nodes.Element) -> None:
    self.body.append(node["html"])
    raise nodes.SkipNode


def _drawn_in_latex(self: Any, node: nodes.Element) -> None:
    fitted = "\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi"
    self.body.append(f"\n\\begin{{center}}\\resizebox{{{fitted}}}{{!}}{{%\n{node['latex']}}}\\end{{center}}\n")
    raise nodes.SkipNode


def _nothing(self: Any, node: nodes.Element) -> None:
    pass


def _as_paragraph(self: Any, node: nodes.Element) -> None:
    self.visit_paragraph(node)


def _after_paragraph(self: Any, node: nodes.Element) -> None:
    self.depart_paragraph(node)


WRITERS = ("latex", "text", "man", "texinfo")
VISITORS: dict[str, Any] = {
    "picture": {
        **dict.fromkeys(WRITERS, (_nothing, _nothing)),
        "html": (_drawn_in_html, None),
        "latex": (_drawn_in_latex, None),
    },
    "details": {"html": (_open_details, _close_details), **dict.fromkeys(WRITERS, (_nothing, _nothing))},
    "summary": {"html": (_open_summary, _close_summary), **dict.fromkeys(WRITERS, (_as_paragraph, _after_paragraph))},
}
