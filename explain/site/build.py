"""Build a site: what changed is rendered, framed and written, the rest stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from explain.embed.cache import Cache, default_folder
from explain.errors import InputError
from explain.site.fingerprint import fingerprint
from explain.site.font import MADE, font_of, key_of_font, subset, wanted
from explain.site.output import Manifest, Outputs, Written, read_manifest, replace
from explain.site.piece import Piece, Told
from explain.site.problems import Problem
from explain.site.progress import Progress
from explain.site.settings import Settings, read_settings, with_slash
from explain.site.sources import Page, read_sources
from explain.site.tasks import OpListTask, OpTask, PageTask, Task, digest_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from explain.site.frame import Frame


class Report(NamedTuple):
    """What a build did: how many pages there are, how many were rendered anew, outputs whose bytes changed or that were
    removed, and what is wrong."""

    pages: int
    rendered: int
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems for which a build fails."""
        return tuple([p for p in self.problems if not p.warning])


def build_site(
    src: str | Path,
    out: str | Path,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    strict: bool = False,
    base_url: str | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Build the site of the folder ``src`` into ``out``.

    ``jobs``: so many processes when there is work for them (a script then calls this under ``if __name__ == "__main__"``, as
    wherever Python starts processes); ``executor``: where work is done instead. ``strict``: warnings
    (links and anchors that lead nowhere, missing twins) are errors. ``base_url`` goes before the one in site.toml.
    Raises InputError for a folder or settings that cannot be used, and where nothing can be written.
    """
    src, out = Path(src), Path(out)
    if not src.is_dir():
        raise InputError(f"{src} is no folder", hint="Give the folder that holds the pages.")
    if out.resolve() == src.resolve() or out.resolve() in src.resolve().parents:
        raise InputError(f"the site cannot be written over its sources: {out}", hint="Give another folder with -o.")
    settings = read_settings(src)
    if base_url is not None:
        settings = settings._replace(base_url=with_slash(base_url, "--base-url"))
    build = _Build(src, out, settings, Path(cache) if cache else default_folder())
    return build.run(jobs, executor, strict, progress or Progress(quiet=True))


class _Build:
    def __init__(self, src: Path, out: Path, settings: Settings, folder: Path) -> None:
        self.src, self.settings = src, settings
        self.cache = Cache(folder)
        self.font = font_of(settings, src)
        name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:32]
        self.manifest_path = folder / "sites" / f"{name}.json"
        self.manifest = read_manifest(self.manifest_path)
        self.outputs = Outputs(out, self.manifest.outputs)
        self.told: dict[str, tuple[str, Told]] = {}
        self.problems: list[Problem] = []
        self.rendered = 0

    def run(self, jobs: int, executor: Executor | None, strict: bool, progress: Progress) -> Report:
        self.sources = read_sources(self.src, self.settings, self.outputs.out)
        inputs = _digest(fingerprint(), repr(self.settings), key_of_font(self.font), self.sources.digest)
        if self._nothing_to_do(inputs):
            return Report(len(self.manifest.pages), 0, (), (), ())
        self._announce()
        self._render(jobs, executor, progress)
        self._gather()
        self._check()
        removed = self.outputs.sweep()
        problems = sorted(p._replace(warning=p.warning and not strict) for p in self.problems)
        good = {path: told for path, told in self.told.items() if not told[1].problems}
        reads = sorted({pair for _, told in good.values() for pair in told.reads})
        self._save(Manifest("" if problems else inputs, self.outputs.written, good, tuple(reads)))
        return Report(len(self.pages), self.rendered, tuple(self.outputs.changed), tuple(removed), tuple(problems))

    def _nothing_to_do(self, inputs: str) -> bool:
        m = self.manifest
        return m.inputs == inputs and _unchanged(m.reads) and all(self.outputs.clean(path) for path in m.outputs)

    def _save(self, manifest: Manifest) -> None:
        try:
            replace(self.manifest_path, manifest.to_bytes())
        except OSError as error:
            raise InputError(f"{self.manifest_path} cannot be written: {error.strerror or error}") from None

    # what there is

    @cached_property
    def pages(self) -> list[Page]:
        """All pages, written and generated."""
        from explain.site.listing import listings

        found = list(self.sources.pages)
        if self.settings.reference:
            from explain.site.reference import reference_pages

            found += reference_pages(self.settings, {page.path for page in found}, self.cache)
        return [*found, *listings(found, self.settings, self.sources.files)]

    @cached_property
    def twins(self) -> dict[str, dict[str, Page]]:
        found: dict[str, dict[str, Page]] = {}
        for page in self.pages:
            found.setdefault(page.inner, {})[page.lang] = page
        return found

    @cached_property
    def feeds(self) -> dict[str, str]:
        """The path of the feed of every language that has dated pages; a feed needs to know where the site stands."""
        langs = {page.lang for page in self.pages if page.date or page.updated} if self.settings.base_url else set()
        return {lang: f"{self.settings.home(lang)}feed.xml" for lang in sorted(langs)}

    @cached_property
    def frames(self) -> dict[str, Frame]:
        from explain.site.frame import Frame
        from explain.site.navigation import tree

        s = self.settings
        return {
            lang: Frame(
                lang, s, tree([p for p in self.pages if p.lang == lang], s.home(lang)), self.twins, bool(self.font),
                self.feeds.get(lang, ""),
            )
            for lang in s.spoken
        }  # fmt: skip

    # pages

    def _announce(self) -> None:
        """Note the names of files before they are written: a build that is killed leaves none that nobody knows."""
        planned = {page.out: Written("", -1, 0) for page in self.pages if page.out not in self.manifest.outputs}
        if planned:
            self._save(self.manifest._replace(inputs="", outputs={**planned, **self.manifest.outputs}))

    def _render(self, jobs: int, executor: Executor | None, progress: Progress) -> None:
        """Every page: left as it is, taken from the cache, or rendered."""
        from explain.site.crew import work

        waiting: dict[str, tuple[Page, str, dict[str, Any], str]] = {}
        for page in self.pages:
            key = _digest("piece", fingerprint(), repr(page), repr(sorted(self.settings.defaults.items())))
            context = self.frames[page.lang].context(page)
            rest = {name: value for name, value in context.items() if name != "nav"}  # long, and text already
            framed = _digest(key, context["nav"], json.dumps(rest, sort_keys=True, ensure_ascii=False))
            was = self.manifest.pages.get(page.path)
            if was and was[0] == key and _unchanged(was[1].reads) and self.outputs.fresh(page.out, framed):
                self.told[page.path] = was
                continue
            piece = self._cached(key)
            if piece is not None:
                self._write(piece, page, key, context, framed)
            else:
                waiting[page.path] = (page, key, context, framed)
        tasks = self._tasks([page for page, *_ in waiting.values()])
        progress.begin(len(tasks), sum(task.effort for task in tasks))
        for task, done in work(tasks, jobs, executor):
            for path, piece in done.pieces.items():
                page, key, context, framed = waiting[path]
                if piece.derived and not piece.told.problems:
                    self.cache.put(key, piece.to_bytes())
                self._write(piece, page, key, context, framed)
                self.rendered += 1
            if done.fault:
                self.problems.append(Problem(task.name, 1, f"a fault of explain itself, please report it: {done.fault}"))
            progress.done(task.name, task.effort)
        progress.end()

    def _tasks(self, pages: Sequence[Page]) -> list[Task]:
        """The work that renders these pages: one task per page, one per op for all its languages."""
        defaults = tuple(sorted(self.settings.defaults.items()))
        tasks: list[Task] = [
            PageTask(page, str(self.cache.folder), defaults, str(self.src)) for page in pages if not page.op
        ]
        ops: dict[str, list[tuple[str, str]]] = {}
        for page in pages:
            if page.op:
                ops.setdefault(page.op, []).append((page.lang, page.path))
        if ops:
            from explain.site.reference import INDEX, op_names

            for op, paths in ops.items():
                every = OpListTask(op_names(self.cache), tuple(paths)) if op == INDEX else OpTask(op, tuple(paths))
                tasks.append(every)
        return tasks

    def _cached(self, key: str) -> Piece | None:
        data = self.cache.get(key)
        try:
            piece = Piece.from_bytes(data) if data is not None else None
        except (ValueError, TypeError):
            return None  # not what we put there: rendered anew
        return piece if piece is not None and _unchanged(piece.told.reads) else None

    def _write(self, piece: Piece, page: Page, key: str, context: Mapping[str, Any], framed: str) -> None:
        html = self.frames[page.lang].render(context, piece.html, piece.told.headings)
        self.outputs.write(page.out, framed, html.encode())
        self.told[page.path] = (key, piece.told)

    # everything else

    def _gather(self) -> None:
        """Style, script, files of the author, and what is made of all pages together."""
        from explain.site import whole
        from explain.site.assets import assets

        s = self.settings
        for path, data in assets(bool(self.font)).items():
            self.outputs.put(path, data)
        if self.font is not None:
            self.outputs.put(MADE, self._font_made(self.font))
        for lang in s.spoken:
            own = [page for page in self.pages if page.lang == lang and not page.hidden]
            found = [(page, self.told[page.path][1].sections) for page in own if page.path in self.told]
            self.outputs.put(f"assets/search-{lang}.js", whole.search_script(found).encode())
            if lang in self.feeds:
                self.outputs.put(self.feeds[lang], whole.feed(own, lang, s, self.feeds[lang]).encode())
        if s.base_url:
            self.outputs.put(
                "sitemap.xml",
                whole.sitemap([page for page in self.pages if not page.hidden], self.twins, s.base_url).encode(),
            )
        if s.languages:
            self.outputs.put("index.html", whole.door(s).encode())
        self.outputs.put("404.html", self.frames[s.spoken[0]].lost().encode())
        for path, digest in self.sources.files.items():
            if not self.outputs.fresh(path, digest):
                self.outputs.write(path, digest, (self.src / path).read_bytes())

    def _font_made(self, path: Path) -> bytes:
        chars = wanted(told.symbols for _, told in self.told.values())
        key = _digest("font", key_of_font(path), chars)
        made = self.cache.get(key)
        if made is None:
            made = subset(path, chars)
            self.cache.put(key, made)
        return made

    def _check(self) -> None:
        from explain.site.links import broken_links, lonely_pages

        told = {path: told for path, (_, told) in self.told.items()}
        self.problems += self.sources.problems
        for one in told.values():
            self.problems += one.problems
        anchors = {page.path: set(told[page.path].anchors) if page.path in told else set() for page in self.pages}
        links = {path: one.links for path, one in told.items()}
        self.problems += broken_links(links, anchors, set(self.sources.files))
        self.problems += lonely_pages(self.sources.pages, self.twins, self.settings.languages)


def _unchanged(reads: Sequence[tuple[str, str]]) -> bool:
    """Whether files that were read are as they were."""
    return all(digest_of(Path(path)) == digest for path, digest in reads)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
