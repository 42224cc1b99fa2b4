"""Documents as text: a row per format, templates for the rest."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from json.encoder import encode_basestring
from typing import Any

from explain.derivation.codec import Arrays, encode_run
from explain.derivation.model import Formula, Run
from explain.errors import InputError
from explain.render import breaks, terminal
from explain.render.claims import diagnosis
from explain.render.names import distinct, names_in
from explain.render.page import run_view
from explain.render.step import formula_view, step_view
from explain.render.style import guest_style
from explain.render.templates import templates_in
from explain.render.typeset import Latex, Plain, Typesetter

EATEN = re.compile(r"[_*]|\\[^a-zA-Z]")
"""What Markdown takes for emphasis or for an escape where it does not know about formulas."""
RELATION = re.compile(r" (=|\\approx) ")
CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True)
class Format:
    """A format of pages: the folder of its blocks, and its mathematics.

    ``typesetter`` takes the index base. ``pictures``: graphs are drawn. ``frame``: the template of a page that stands alone,
    ``part`` of one that does not. ``filters``: how sentences and code are set.
    """

    folder: str
    typesetter: Callable[[int], Typesetter]
    pictures: bool = False
    frame: str | None = None
    part: str | None = None
    filters: Callable[[], Mapping[str, Callable[..., Any]]] = dict


Filters = Mapping[str, Callable[..., Any]]


def _html_filters() -> Filters:
    from explain.render import hypertext

    return hypertext.FILTERS


def _tex_filters() -> Filters:
    from explain.render import tex

    return tex.FILTERS


FORMATS = {
    "md": Format("md", Latex),
    "tree": Format("md", Latex, pictures=True, filters=_html_filters),
    "text": Format("text", Plain),
    "html": Format("html", Latex, pictures=True, frame="html/page.j2", filters=_html_filters),
    "tex": Format("tex", Latex, pictures=True, frame="tex/article.j2", part="tex/fragment.j2", filters=_tex_filters),
}
NAMES = (*(name for name in FORMATS if name != "tree"), "json")
"""What people may ask for."""
CHOICES = {
    "detail": ("brief", "normal", "full"),
    "show": ("all", "answer", "steps", "graph"),
    "dialect": ("github", "myst", "mkdocs", "kramdown"),
}
UNNAMED = "\ue002"
"""Stands for the word that anchors begin with until the page is made that gives it; no page holds this character."""
CONSTANTS = {None: "null", True: "true", False: "false"}
"""In JSON."""
HTML_LANGUAGES = {"zh": "zh-Hans"}


def render_run(
    run: Run,
    format: str = "md",
    *,
    lang: str = "en",
    index_base: int = 1,
    detail: str = "normal",
    show: str = "all",
    dialect: str = "github",
    standalone: bool = True,
    width: int | None = None,
    color: bool = False,
    embedded: str = "",
    anchor: str = "",
) -> str:
    """The page of a run as text.

    ``format``: md, text, html, tex or json, or tree: the Markdown that ``explain.embed.tree`` reads, with drawn graphs.
    ``lang``: en or zh. ``index_base``: 0 or 1. ``detail``: brief, normal or full. ``show``: all, or only the answer, the
    steps or the graph. ``dialect`` (md only): github, myst, mkdocs or kramdown.
    ``standalone`` (html): a whole file, or a part to put into one. ``width`` (text only): the columns of the
    terminal, asked for if None. ``color`` (text only): whether escape sequences are wanted. ``embedded``: the page stands
    inside of another one: without a title, under headings of its own; anchors begin with this word, or with ``anchor``.
    Raises InputError for a format, language or choice that does not exist.
    """
    for option, value in (("detail", detail), ("show", show), ("dialect", dialect)):
        if value not in CHOICES[option]:
            raise InputError(f"there is no {option} {value!r}; there are: {', '.join(CHOICES[option])}")
    if format == "json":
        return run_to_json(run, lang=lang, index_base=index_base)
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; there are: {', '.join(NAMES)}")
    chosen = FORMATS[format]
    columns = width or min(shutil.get_terminal_size((80, 24)).columns, 100)
    templates = environment(lang, columns, color, tight=format != "md")
    templates.filters.update(chosen.filters())
    first = anchor or embedded
    with distinct(names_in(run)):
        page = run_view(run, chosen.typesetter(index_base), detail, chosen.pictures, first and f"{first}-")
    for told in (*page["warnings"], *([page["error"]] if page["error"] else ())):
        told["explanation"] = explanation(told, lang)
    if embedded:  # the author of the text around it knows what the program does not ask for
        page["notes"] = [note for note in page["notes"] if note["kind"] != "no_backward"]
    for claim, verdict in zip(page["claims"], run.claims, strict=True):
        claim["diagnosis"] = diagnosis(verdict, lang)
    asked: dict[str, Any] = {
        "format": chosen.folder,
        "detail": detail,
        "show": show,
        "dialect": dialect,
        "embedded": embedded,
    }
    text = templates.get_template("derivation.j2").render(page=page, **asked)
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    text = "\n".join([line for line, before in zip(lines, ["", *lines], strict=False) if line or before]).strip() + "\n"
    frame = chosen.frame if standalone else chosen.part
    if frame is None:
        return text
    asked["cjk"] = format == "tex" and bool(CHINESE.search(text))
    language = HTML_LANGUAGES.get(lang, lang)
    return str(templates.get_template(frame).render(page=page, body=text, language=language, **asked)) + "\n"


def render_cell(run: Run, **options: Any) -> str:
    """The page in HTML as a part of a notebook: with its style, without a frame. ``options`` as of ``render_run``. Anchors
    begin with a digest of the page: a notebook holds what several sessions made, and no two pages may have the same ones."""
    body = render_run(run, "html", standalone=False, anchor=UNNAMED, **options)
    body = body.replace(UNNAMED, hashlib.sha256(body.encode()).hexdigest()[:8])
    lang = options.get("lang", "en")
    cell = _environment(lang).get_template("html/cell.j2")
    return str(cell.render(body=body, style=guest_style(), language=HTML_LANGUAGES.get(lang, lang)))


def inline_forms(run: Run, format: str, index_base: int = 1, dialect: str = "github") -> str:
    """The closed forms of all gradients of a run, to stand in a line of text; empty if there are none. ``format``: html, md
    or tex, or tree, which is a list of formulas in LaTeX as JSON."""
    lines = _closed_forms(run, index_base)
    if format == "tree":
        return json.dumps(lines)
    if format == "html":
        from explain.render.hypertext import mathml

        return ", ".join(mathml(line) for line in lines)
    return ", ".join([noted(line, dialect if format == "md" else "") for line in lines])


def noted(tex: str, dialect: str) -> str:
    """A formula in a line of Markdown, or of LaTeX: whoever reads it sees where it begins and ends."""
    if dialect == "github" and EATEN.search(tex):
        return f"$`{tex}`$"
    return f"$${tex}$$" if dialect == "kramdown" else f"${tex}$"


def _closed_forms(run: Run, index_base: int) -> list[str]:
    with distinct(names_in(run)):
        page = run_view(run, Latex(index_base))
    return [a["matrix"] or a["index"] for d in page["derivations"] for a in d["answers"] if a["index"]]


def closed_forms(run: Run, index_base: int = 1) -> str:
    """The closed forms of all gradients of a run as one formula in LaTeX, in dollars; empty if there are none."""
    lines = _closed_forms(run, index_base)
    aligned = _environment("en").filters["aligned"]
    return f"$$\n\\begin{{aligned}}\n{aligned(lines)}\n\\end{{aligned}}\n$$" if lines else ""


def environment(lang: str, width: int = 80, color: bool = False, tight: bool = False) -> Any:
    """The templates in a language, with the filters of terminal text. ``tight``: not for Markdown."""
    found = _environment(lang, tight)
    found.filters.update(terminal.filters(width, color))
    return found


@cache
def _environment(lang: str, tight: bool = False) -> Any:
    environment = templates_in(lang, tight)
    environment.filters["noted"] = noted
    environment.filters["superscript"] = lambda n: str(n).translate(SUPERSCRIPTS)
    environment.filters["unbroken"] = lambda text: text.replace(" ", "\u00a0")
    environment.filters["quoted"] = lambda text: text.replace("\n", "\n> ")
    environment.filters["indent_after"] = _indent_after
    environment.filters["signs"] = breaks.width
    environment.filters["in_cell"] = lambda tex: tex.replace("|", r"\vert ")
    environment.filters["tensor_method"] = lambda name: f"Tensor.{name}"
    environment.filters["aligned"] = lambda lines: " \\\\\n".join(RELATION.sub(r" &\1 ", line, count=1) for line in lines)
    return environment


def _indent_after(text: str, lead: str) -> str:
    """Further lines of an echo, pushed as far as its first line is by what stands before it."""
    return text.replace("\n", "\n" + " " * len(lead))


def run_to_json(run: Run, *, lang: str = "en", index_base: int = 1, arrays: Arrays | None = None) -> str:
    """The document as JSON: the core, and in every formula and step the view: LaTeX, and the sentence in ``lang``."""
    with distinct(names_in(run)):
        return _run_to_json(run, lang, index_base, arrays or Arrays())


def _run_to_json(run: Run, lang: str, index_base: int, arrays: Arrays) -> str:
    core = encode_run(run, arrays)
    setter = Latex(index_base)
    view = run_view(run, setter)
    core["view"] = {"lang": lang, "index_base": index_base}
    if core["error"] is not None:
        core["error"]["explanation"] = explanation(core["error"], lang)
    for warning in core["warnings"]:
        warning["explanation"] = explanation(warning, lang)
    words = _environment(lang).get_template("words/sentence.j2").module
    for d, data, shown in zip(run.derivations, core["derivations"], view["derivations"], strict=True):
        sentences = {seen["number"]: seen for seen in shown["steps"] if "number" in seen}
        for row, out in zip(d.rows, data["nodes"], strict=True):
            _add_latex(out["formula"], row.formula, setter)
            if row.matrix is not None:
                out["matrix"]["latex"] = setter.matrix(row.matrix.tree)
        for step, out in zip(d.steps, data["steps"], strict=True):
            seen = sentences.get(step.number) or step_view(step, d, setter)
            out["sentence"] = str(words.sentence(seen, lambda tex: f"${tex}$"))
            for key, f in (("formula", step.formula), ("jacobian", step.jacobian)):
                _add_latex(out[key], f, setter)
            _add_latex(out["vjp"]["product"], step.product, setter)
            _add_latex(out["vjp"]["index"], step.contracted, setter)
            if step.jacobian_entries is not None:
                out["jacobian_entries"]["latex"] = setter.matrix(step.jacobian_entries.tree)
            if step.matrix is not None:
                out["vjp"]["matrix"]["latex"] = setter.matrix(step.matrix.tree)
        for g, out in zip(d.gradients, data["gradients"], strict=True):
            if g.closed_form:
                _add_latex(out["closed_form"]["index"], g.closed_form.index, setter)
                if g.closed_form.matrix is not None:
                    out["closed_form"]["matrix"]["latex"] = setter.matrix(g.closed_form.matrix.tree)
        for let, out in zip(d.lets, data["lets"], strict=True):
            _add_latex(out["formula"], let.formula, setter)
    return _written(core, "\n") + "\n"


def _written(part: Any, newline: str) -> str:
    """JSON with a line per key, lists of numbers and words on one line. ``newline``: with the indentation so far."""
    deeper = newline + " "
    if isinstance(part, dict) and part:
        lines = [f"{encode_basestring(key)}: {_written(value, deeper)}" for key, value in part.items()]
        return "{" + deeper + ("," + deeper).join(lines) + newline + "}"
    if isinstance(part, list) and any(isinstance(item, dict | list) for item in part):
        return "[" + deeper + ("," + deeper).join([_written(item, deeper) for item in part]) + newline + "]"
    return _on_one_line(part)


def _on_one_line(part: Any) -> str:
    """JSON without a line break. An encoder takes long to set up: what most values are is written without one."""
    kind = type(part)
    if kind is str:
        return encode_basestring(part)
    if part is None or kind is bool:
        return CONSTANTS[part]
    if kind is int:
        return str(part)
    if kind is float and math.isfinite(part):
        return repr(part)
    if kind is list:
        return f"[{', '.join([_on_one_line(item) for item in part])}]"
    return _encoded(part)


def explanation(error: dict[str, Any], lang: str) -> str | None:
    """Why an exception arose and what to write instead; None where we have no words for it."""
    mistakes = _environment(lang).get_template("words/mistakes.j2").module
    words = getattr(mistakes, error["kind"], None) if error["kind"] else None
    return str(words(error["details"])) if words is not None else None


def _add_latex(data: dict[str, Any] | None, f: Formula | None, setter: Typesetter) -> None:
    if data is not None:
        data["latex"] = formula_view(f, setter)
