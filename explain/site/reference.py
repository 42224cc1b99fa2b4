"""The generated reference: a page for every op with its formula, what goes back, and a derivation with numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

from explain.embed.cache import Cache, key_of
from explain.site.font import symbols
from explain.site.piece import Heading, Link, Piece, Section, Told
from explain.site.settings import Settings
from explain.site.sources import Page

FOLDER = "reference/ops"
INDEX = "*"
"""The name under which the list of all ops goes."""
KINDS = (
    "elementwise", "contraction", "reduction", "normalisation", "loss", "index", "choice", "differential", "composite",
    "constant",
)  # fmt: skip


class OpName(NamedTuple):
    """What the list of ops says of one: PyTorch's names in full. ``form_of``: see OpEntry."""

    name: str
    title: str
    kind: str
    form_of: str
    functions: tuple[str, ...]
    methods: tuple[str, ...]

    @property
    def listed(self) -> bool:
        """Whether a reader may look for it: it is neither a part of others only nor another form of one."""
        return self.form_of == self.name


class Group(NamedTuple):
    """Ops of one kind, as the list of ops shows them."""

    id: str
    name: str
    ops: tuple[OpName, ...]


def reference_pages(settings: Settings, written: Set[str], cache: Cache) -> Iterator[Page]:
    """The pages that are generated, in every language; one that the author wrote at the same place goes before."""
    names = op_names(cache)
    for lang in settings.spoken:
        inner = f"{FOLDER}/{file_of(INDEX)}.md"
        pages = [Page("", lang, inner, "", _words(lang).title(), lang, order=1e6, listed=False, op=INDEX)]
        for op in names:
            inner = f"{FOLDER}/{file_of(op.name)}.md"
            pages.append(Page("", lang, inner, "", op.title, lang, op=op.name, hidden=not op.listed))
        for page in pages:
            path = settings.home(lang) + page.inner
            if path not in written:
                yield page._replace(path=path)


def file_of(op: str) -> str:
    """The name of an op's page; the one of the op ``index`` may not hide the list."""
    return {INDEX: "index", "index": "index_op"}.get(op, op)


def op_names(cache: Cache) -> tuple[OpName, ...]:
    """All ops. Kept in the cache: naming them takes numpy."""
    key = key_of({"site": "ops"})
    kept = cache.get(key)
    if kept is None:
        from explain.derivation.library import op_titles

        kept = json.dumps(op_titles()).encode()
        cache.put(key, kept)
    return tuple([OpName(n, t, k, of, tuple(f), tuple(m)) for n, t, k, of, f, m in json.loads(kept)])


def list_pieces(paths: Sequence[tuple[str, str]], names: Sequence[OpName]) -> dict[str, Piece]:
    """The list of all ops in every language."""
    found = {}
    names = sorted([op for op in names if op.listed], key=lambda op: op.title.rpartition(".")[2].lower())
    for lang, path in paths:
        said = _words(lang)
        groups = [
            Group(kind, str(said.group(kind)), tuple([op for op in names if op.kind == kind]))
            for kind in KINDS
            if any(op.kind == kind for op in names)
        ]
        html = _template(lang, "site/ops.j2").render(groups=groups, count=len(names))
        headings = [Heading(1, "", said.title()), *(Heading(2, g.id, g.name) for g in groups)]
        folder = path.rpartition("/")[0]
        links = [Link(1, f"{folder}/{file_of(op.name)}.md", "", op.name) for op in names]
        anchors = [g.id for g in groups]
        found[path] = Piece(html, Told(tuple(headings), tuple(anchors), tuple(links), (Section("", str(said.title()), ""),)))
    return found


def op_pieces(name: str, paths: Sequence[tuple[str, str]]) -> dict[str, Piece]:
    """The page of one op in every language of ``paths``; it is derived once."""
    from explain.derivation.library import library, op_titles
    from explain.derivation.model import Run
    from explain.render.document import render_run
    from explain.render.library import op_view
    from explain.site.markdown import ANCHOR

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of PyTorch's functions warn that they are old
        entry = next(e for e in library([name]) if e.name == name)
    forms = [other for other, _, _, form_of, *_ in op_titles() if form_of == name != other]
    found = {}
    for lang, path in paths:
        example = ""
        if entry.example is not None and entry.example.steps:
            run = Run("", "derivation", (), (entry.example,))
            example = render_run(run, "html", lang=lang, standalone=False, embedded="example")
        html = _template(lang, "site/op.j2").render(op=op_view(entry), forms=forms, example=example)
        said = _words(lang)
        parts = [("formula", said.formula_title()), ("back", said.back_title())]
        parts += [("example", said.example_title()), ("result", said.result_title())]
        anchors = tuple(dict.fromkeys(ANCHOR.findall(html)))
        headings = [Heading(1, "", entry.title), *(Heading(2, id, str(words)) for id, words in parts if id in anchors)]
        folder = path.rpartition("/")[0]
        links = tuple([Link(1, f"{folder}/{file_of(op)}.md", "", op) for op in (*entry.parts, *entry.instead, *forms)])
        text = " ".join([*entry.functions, *(f"Tensor.{m}" for m in entry.methods), entry.grad_fn or ""])
        section = Section("", entry.title, text)
        found[path] = Piece(html, Told(tuple(headings), anchors, links, (section,), symbols=symbols(html)))
    return found


def _template(lang: str, name: str) -> Any:
    from explain.render.document import environment
    from explain.render.hypertext import FILTERS

    templates = environment(lang, tight=True)
    templates.filters.update(FILTERS, op_file=file_of, op_title=_title)
    return templates.get_template(name)


def _title(op: str) -> str:
    from explain.derivation.library import title_of_name

    return title_of_name(op)


def _words(lang: str) -> Any:
    from explain.render.templates import templates_in

    return templates_in(lang).get_template("words/ops.j2").make_module({})
