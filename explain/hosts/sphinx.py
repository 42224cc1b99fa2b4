"""Sphinx: the directive and the role ``explain`` in reStructuredText, MyST and docstrings.

``extensions = ["explain.hosts.sphinx"]``. Formulas are Sphinx's own math nodes: the project's renderer draws them, or
ours with ``html_math_renderer = "mathml"``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import explain
from explain.embed.cache import Cache, fingerprint
from explain.embed.configuration import configuration, language_of
from explain.embed.core import Embedder, Problem
from explain.embed.options import OPTIONS, read_options
from explain.embed.page import Page
from explain.embed.place import BlockError, Where
from explain.errors import InputError
from explain.hosts.sphinx_math import visit_display, visit_inline
from explain.hosts.sphinx_nodes import VISITORS, build, details, picture, summary, targets
from explain.render.tex import unicode_signs

NAME = "explain"
LOOKS = ("language", "detail", "show", "index_base")
INFO = re.compile(r"[\w-]+=(?!=)")
"""How the first line of a fence begins where it holds options: no expression begins so."""
logger = logging.getLogger(__name__)


class AnyOption(dict[str, Any]):
    """Takes every option: the core knows which there are, and lists them for one that there is not."""

    def __missing__(self, name: str) -> Any:
        return _as_written

    def __contains__(self, name: object) -> bool:
        return True


def _as_written(value: str | None) -> str:
    return value or ""


class ExplainDirective(SphinxDirective):
    """A block: options as of any directive, or as ``#|`` lines at the head of the body."""

    has_content = True
    option_spec = AnyOption(dict.fromkeys(OPTIONS, _as_written))

    def run(self) -> list[nodes.Node]:
        """The derivation."""
        source, line = self._place()
        body, info = list(self.content), ""
        if self._in_myst and self.content_offset < 0 and body and INFO.match(body[0]):
            info, line = body.pop(0), line + 1
        page = _page(self.env)
        before = len(page.fences)
        given = [(name, value, self._line_of(name, line)) for name, value in self.options.items()]
        shown = page.block("\n".join(body), info, line=line, source=source, given=given)
        _depends(self.env, shown.reads)
        name = page.fences[-1].option("name") if len(page.fences) > before else None
        wrapper = nodes.container("", *build(json.loads(shown.text), self.env.docname), classes=[NAME])
        if shown.lang != language_of(self.config.language):
            wrapper["classes"].append(f"language-{shown.lang}")
        if name:
            self._label(name, wrapper)
            wrapper.insert(0, nodes.target("", "", ids=[f"{NAME}-{name}"]))
        self.set_source_info(wrapper)
        return [wrapper]

    @property
    def _in_myst(self) -> bool:
        return type(self.state_machine).__name__ == "MockStateMachine"

    def _place(self) -> tuple[str, int]:
        """The file of the block, and the line of the first line of its body: MyST counts otherwise than docutils."""
        if self._in_myst:
            return str(self.state.document["source"]), self.lineno + self.content_offset + 1
        if len(self.content):
            source, above = self.content.items[0]
            return os.path.abspath(source), above + 1
        source, at = self.get_source_info()
        return str(source), at

    def _line_of(self, option: str, body: int) -> int:
        """The line of an option, counted back from that of the body."""
        lines = self.block_text.split("\n")
        written = re.compile(rf"\s*:?{re.escape(option)}:")
        at = next((k for k, line in enumerate(lines) if written.match(line)), None)
        if at is None:
            return body
        if self._in_myst:
            return self.lineno + at
        return body - (self.content_offset - (self.lineno - 1) - at) if len(self.content) else body + at

    def _label(self, name: str, wrapper: nodes.Element) -> None:
        """What ``:ref:`` and other projects reach: the block by its name, its steps by ``step-NAME-CALL-STEP``."""
        domain = self.env.get_domain("std")
        known: Any = domain
        other = known.anonlabels.get(name, (self.env.docname,))[0]
        if other != self.env.docname:
            where = self.env.doc2path(other)
            _warn(Problem(*self._place(), f"there is another label '{name}', in {where}"))
        known.note_hyperlink_target(name, self.env.docname, f"{NAME}-{name}", name)
        for target, title in targets(wrapper):
            known.note_hyperlink_target(target, self.env.docname, target, title)


class ExplainRole(SphinxRole):
    """``:explain:`2*dot(x, x); x=[0, 1, 2, 3]` ``: the closed form of the gradient."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The formulas, with commas between them."""
        source, line = self.get_source_info()
        shown = _page(self.env).inline(self.text, line=_line_of_role(source, line, self.text), source=source)
        _depends(self.env, shown.reads)
        found: list[nodes.Node] = []
        for formula in json.loads(shown.text or "[]"):
            found += [nodes.Text(", ")] if found else []
            found.append(nodes.math(formula, formula))
        return found or [nodes.literal(self.text, self.text)], []


def _line_of_role(source: str, line: int, written: str) -> int:
    """Roles know the first line of their paragraph: the one that they stand in is looked up."""
    try:
        lines = Path(source).read_text("utf-8").split("\n")[line - 1 :]
    except (OSError, UnicodeDecodeError):
        return line  # a docstring, or text that another extension made
    for k, text in enumerate(lines):
        if f"`{written}`" in text:
            return line + k
        if not text.strip():
            break
    return line


def _page(env: BuildEnvironment) -> Page:
    """The page that is being read, with its blocks so far."""
    kept = env.temp_data
    if NAME not in kept:
        config = env.config
        folder = Path(env.srcdir)
        configured = configuration(folder)
        cache = env.config.explain_cache or configured.cache
        own = {
            name.replace("_", "-"): str(config[f"explain_{name}"]) for name in LOOKS if config[f"explain_{name}"] is not None
        }
        own["lang"] = own.pop("language", configured.defaults.get("lang") or language_of(config.language))
        kept[NAME] = Page(
            Embedder(Cache(cache and folder / cache), root=folder, timeout=configured.timeout),
            str(env.doc2path(env.docname)),
            _warn,
            format="tree",
            anchor=re.sub(r"[^a-z0-9]+", "-", env.docname.lower()).strip("-") + "-",
            defaults={**configured.defaults, **own},
        )
    _blocks(env).add(env.docname)
    found: Page = kept[NAME]
    return found


def _warn(problem: Problem) -> None:
    place = f"{problem.source}:{problem.line}"
    logger.warning(
        "explain: %s", problem.message, location=place, type=NAME, subtype="claim" if problem.claim is not None else "block"
    )


def _depends(env: BuildEnvironment, reads: Iterable[str]) -> None:
    for path in reads:
        env.note_dependency(path)


def _blocks(env: Any) -> set[str]:
    """The pages that hold blocks."""
    if not hasattr(env, "explain_pages"):
        env.explain_pages = set()
    found: set[str] = env.explain_pages
    return found


def _outdated(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """The pages with blocks, where what makes the blocks has changed."""
    now = fingerprint()
    before, env.explain_fingerprint = getattr(env, "explain_fingerprint", now), now
    return [] if before == now else sorted(_blocks(env) - removed)


def _purge(app: Sphinx, env: Any, docname: str) -> None:
    _blocks(env).discard(docname)


def _merge(app: Sphinx, env: Any, docnames: list[str], other: Any) -> None:
    _blocks(env).update(_blocks(other).intersection(docnames))


def _configured(app: Sphinx, config: Config) -> None:
    """Look over the options before anything is read; let MyST take ``explain`` fences for directives."""
    pairs = [
        ("lang" if name == "language" else name, str(config[f"explain_{name}"]))
        for name in LOOKS
        if config[f"explain_{name}"] is not None
    ]
    try:
        read_options(pairs, Where("conf.py", 1))
        configuration(app.srcdir)
    except BlockError as error:
        raise ConfigError(f"explain: {error.words}") from None
    except InputError as error:
        raise ConfigError(f"explain: {error}") from None
    if config.html_math_renderer == "mathml":
        # only then: of two renderers Sphinx takes the one that is not MathJax, asked or not
        app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    if config.latex_engine == "pdflatex":
        known = dict(config.latex_elements)
        config.latex_elements = {**known, "preamble": f"{known.get('preamble', '')}\n{unicode_signs()}\n"}
    if "myst_fence_as_directive" in config:
        config.myst_fence_as_directive = sorted({*config.myst_fence_as_directive, NAME})


def _styled(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.config.html_static_path.append(str(files("explain.templates") / "sphinx"))
        app.add_css_file("explain.css")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive(NAME, ExplainDirective)
    app.add_role(NAME, ExplainRole())
    app.add_config_value("explain_language", None, "env", (str,))
    app.add_config_value("explain_detail", None, "env", (str,))
    app.add_config_value("explain_show", None, "env", (str,))
    app.add_config_value("explain_index_base", None, "env", (int, str))
    app.add_config_value("explain_cache", None, "", (str,))
    app.add_latex_package("tikz")
    app.add_node(picture, **VISITORS["picture"])
    app.add_node(details, **VISITORS["details"])
    app.add_node(summary, **VISITORS["summary"])
    app.connect("config-inited", _configured)
    app.connect("builder-inited", _styled)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    return {"version": explain.__version__, "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
