"""Build a site: what changed is rendered, framed and written, the rest stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from explain.embed.cache import Cache, default_folder
from explain.errors import InputError
from explain.site.fingerprint import fingerprint
from explain.site.output import Manifest, Outputs, read_manifest, replace
from explain.site.piece import Piece, about
from explain.site.problems import Problem
from explain.site.progress import Progress
from explain.site.settings import Settings, read_settings, with_slash
from explain.site.sources import Page, Sources, read_sources
from explain.site.tasks import PageTask, Task, digest_of

if TYPE_CHECKING:
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

    ``jobs``: so many processes when there is work for them; ``executor``: where work is done instead. ``strict``: warnings
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
    return _Build(src, out, settings, Path(cache) if cache else default_folder()).run(
        jobs, executor, strict, progress or Progress(quiet=True)
    )


class _Build:
    def __init__(self, src: Path, out: Path, settings: Settings, folder: Path) -> None:
        self.src, self.settings = src, settings
        self.folder = str(folder)
        self.cache = Cache(folder)
        name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:32]
        self.manifest_path = folder / "sites" / f"{name}.json"
        self.manifest = read_manifest(self.manifest_path)
        self.outputs = Outputs(out, self.manifest.outputs)
        self.pages: dict[str, tuple[str, Any]] = {}
        self.kept: dict[str, tuple[str, Any]] = {}
        self.problems: list[Problem] = []
        self.rendered = 0

    def run(self, jobs: int, executor: Executor | None, strict: bool, progress: Progress) -> Report:
        sources = read_sources(self.src, self.settings, self.outputs.out)
        inputs = _digest(fingerprint(), repr(self.settings), sources.digest)
        if self._nothing_to_do(inputs):
            return Report(len(self.manifest.pages), 0, (), (), ())
        self.problems += sources.problems
        pages = self._all_pages(sources)
        self._announce(pages)
        self._render(pages, jobs, executor, progress)
        self._others(pages, sources)
        return self._finish(pages, inputs, strict)

    def _nothing_to_do(self, inputs: str) -> bool:
        m = self.manifest
        return (
            m.inputs == inputs
            and all(digest_of(Path(path)) == digest for path, digest in m.reads)
            and all(self.outputs.clean(path) for path in m.outputs)
        )

    def _all_pages(self, sources: Sources) -> list[Page]:
        return list(sources.pages)

    def _announce(self, pages: Sequence[Page]) -> None:
        """Note the names of files before they are written: a build that is killed leaves none that nobody knows."""
        from explain.site.output import Written

        planned = {page.out: Written("", -1, 0) for page in pages if page.out not in self.manifest.outputs}
        if planned:
            self._save(Manifest("", {**planned, **self.manifest.outputs}, self.manifest.pages, self.manifest.reads))

    def _render(self, pages: Sequence[Page], jobs: int, executor: Executor | None, progress: Progress) -> None:
        """Every page: left as it is, taken from the cache, or rendered."""
        from explain.site.crew import work

        frames = self._frames(pages)
        tasks: list[Task] = []
        framed: dict[str, tuple[Page, str, dict[str, Any], str]] = {}
        for page in pages:
            key = self._key(page)
            context = frames[page.lang].context(page)
            frame_key = _digest(key, json.dumps(context, sort_keys=True, ensure_ascii=False))
            was = self.manifest.pages.get(page.path)
            if was and was[0] == key and self._unread(was[1]) and self.outputs.fresh(page.out, frame_key):
                self.pages[page.path] = was
                continue
            framed[page.path] = (page, key, context, frame_key)
            piece = self._cached(key)
            if piece is not None:
                self._write(piece, frames[page.lang], *framed[page.path])
            else:
                tasks.append(self._task(page))
        progress.begin(len(tasks))
        for task, done in work(tasks, jobs, executor):
            for path, piece in done.pieces.items():
                page, key, context, frame_key = framed[path]
                if not piece.problems:
                    self.cache.put(key, piece.to_bytes())
                self._write(piece, frames[page.lang], page, key, context, frame_key)
                self.rendered += 1
            if done.fault:
                self.problems.append(Problem(task.name, 1, f"a fault of explain itself, please report it:\n{done.fault}"))
            progress.done(task.name)
        progress.end()

    def _key(self, page: Page) -> str:
        return _digest("piece", fingerprint(), repr(page), repr(sorted(self.settings.defaults.items())))

    def _task(self, page: Page) -> Task:
        return PageTask(page, self.folder, tuple(sorted(self.settings.defaults.items())))

    def _unread(self, told: Any) -> bool:
        """Whether the files that a page read are as they were."""
        return all(digest_of(Path(path)) == digest for path, digest in told[-1])

    def _cached(self, key: str) -> Piece | None:
        data = self.cache.get(key)
        try:
            piece = Piece.from_bytes(data) if data is not None else None
        except (ValueError, TypeError):
            return None  # not what we put there: rendered anew
        return piece if piece is not None and self._unread(piece[1:]) else None

    def _write(self, piece: Piece, frame: Frame, page: Page, key: str, context: Mapping[str, Any], frame_key: str) -> None:
        html = frame.render(context, piece.html, piece.headings)
        self.outputs.write(page.out, frame_key, html.encode())
        self.problems += piece.problems
        (self.kept if piece.problems else self.pages)[page.path] = (key, piece[1:])

    def _frames(self, pages: Sequence[Page]) -> dict[str, Frame]:
        from explain.site.assets import version
        from explain.site.frame import Frame
        from explain.site.navigation import tree

        twins: dict[str, dict[str, Page]] = {}
        for page in pages:
            twins.setdefault(page.inner, {})[page.lang] = page
        s = self.settings
        return {
            lang: Frame(lang, s, tree([p for p in pages if p.lang == lang], s.home(lang)), twins, version(), "")
            for lang in s.spoken
        }

    def _others(self, pages: Sequence[Page], sources: Sources) -> None:
        """Style, script, files of the author, and what is made of all pages together."""
        from explain.site.assets import assets

        for path, data in assets().items():
            self.outputs.put(path, data)
        for path, digest in sources.files.items():
            if not self.outputs.fresh(path, digest):
                self.outputs.write(path, digest, (self.src / path).read_bytes())

    def _finish(self, pages: Sequence[Page], inputs: str, strict: bool) -> Report:
        told = {path: about(list(data)) for path, (_, data) in {**self.pages, **self.kept}.items()}
        reads = sorted({pair for data in told.values() for pair in data[-1]})
        removed = self.outputs.sweep()
        problems = sorted(p._replace(warning=p.warning and not strict) for p in self.problems)
        self._save(Manifest("" if problems else inputs, self.outputs.written, self.pages, tuple(reads)))
        return Report(len(pages), self.rendered, tuple(self.outputs.changed), tuple(removed), tuple(problems))

    def _save(self, manifest: Manifest) -> None:
        try:
            replace(self.manifest_path, manifest.to_bytes())
        except OSError as error:
            raise InputError(f"{self.manifest_path} cannot be written: {error.strerror or error}") from None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
