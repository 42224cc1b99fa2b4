"""Our MathML as a renderer of all formulas of a Sphinx project: ``html_math_renderer = "mathml"``."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from explain.errors import ExplainError
from explain.render.hypertext import mathml

logger = logging.getLogger(__name__)


def visit_inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(_converted(node, node.astext(), display=False))
    self.body.append("</span>")
    raise nodes.SkipNode


def visit_display(self: Any, node: nodes.math_block) -> None:
    """A displayed formula, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    for part in filter(None, map(str.strip, node.astext().split("\n\n"))):
        rows = "\\\\" in part and not part.startswith("\\begin")
        self.body.append(_converted(node, f"\\begin{{aligned}}{part}\\end{{aligned}}" if rows else part, display=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def _converted(node: nodes.Element, tex: str, display: bool) -> str:
    try:
        return mathml(tex, display)
    except ExplainError as error:
        logger.warning("explain: %s", error.message, location=node, type="explain", subtype="math")
        return f"<code>{escape(tex, quote=False)}</code>"
