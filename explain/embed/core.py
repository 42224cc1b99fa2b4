"""From a block of somebody's text to what stands in its place: the one call that every host makes.

A block is derived once per cache and rendered once per format and language. Nothing heavy is loaded for what the cache
holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explain.embed.cache import Cache, key_of
from explain.embed.fence import Fence
from explain.embed.place import BlockError
from explain.errors import ExplainError

if TYPE_CHECKING:
    from explain.derivation.model import Run

FLAG = re.compile(r"--(at|shape|v|wrt) \"([^\"]*)\"")
"""An option of the command line in a hint: blocks have the same in a form of their own."""
READ = re.compile(r"@\s*([^\s,;)\]]+)|load\(\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a block, where: printed as ``file:line: explain: message``. ``claim``: the number of the claim that
    it is about, if it is about one."""

    source: str
    line: int
    message: str
    claim: int | None = None

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: explain: {self.message}"


@dataclass(frozen=True)
class Shown:
    """What stands in a block's place. ``text``: in the format asked for, also where there are ``problems``. ``reads``: the
    files that it depends on. ``lang``: the language that it speaks."""

    text: str
    problems: tuple[Problem, ...]
    reads: tuple[str, ...] = ()
    lang: str = "en"

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


class Embedder:
    """Shows blocks. ``cache``: where results are kept, None for nowhere. ``root``: the folder that the sources of blocks are
    named from; files are looked up beside the text that names them, and none outside of it is read. ``timeout`` in seconds
    and ``memory`` in bytes limit a program."""

    def __init__(
        self, cache: Cache | None = None, *, root: str | Path = ".", timeout: float = 10.0, memory: int = 2 << 30
    ) -> None:
        self.cache = cache
        self.root = Path(root)
        self.timeout = timeout
        self.memory = memory

    def show(
        self,
        fence: Fence,
        format: str = "html",
        *,
        earlier: Sequence[Fence] = (),
        anchor: str = "explain",
        dialect: str = "github",
        inline: bool = False,
    ) -> Shown:
        """What stands in the block's place: HTML, Markdown or whatever format, without a frame.

        ``format``: of those of ``render_run``, or ``tree``: see ``explain.embed.tree``. ``inline``: only the closed forms
        of the gradients, to stand in a line.
        ``earlier``: the blocks that this one may continue, in their order. ``anchor``: the word that its anchors begin with.
        ``dialect``: whose Markdown. What is wrong comes back as problems, and the text tells it too; nothing is raised for a
        fault of the block.
        """
        try:
            before = continued(fence, earlier)
            folder = (self.root / fence.source).parent
            derived: dict[str, Any] = {
                "kind": fence.kind,
                "text": fence.text,
                "before": [f.text for f in before],
                "options": {name: fence.options.get(name, ()) for name in ("at", "shape", "v", "wrt", "of", "backward")},
                "claims": [[c.of, c.wrt, c.formula] for c in fence.claims],
                "expected": fence.option("expect-error"),
                "files": {name: _content(folder / name) for name in _files(fence)},
            }
            looks = {
                "format": format,
                "lang": fence.option("lang") or "en",
                "detail": fence.option("detail") or "normal",
                "show": fence.option("show") or "all",
                "index_base": int(fence.option("index-base") or 1),
                "dialect": dialect,
                "embedded": anchor,
            }
            if inline:
                looks = {name: looks[name] for name in ("format", "index_base", "dialect")}
            page = key_of({"page": derived, "looks": looks})
            kept = self.cache.get(page) if self.cache else None
            if kept is None:
                kept = json.dumps(self._made(fence, before, derived, looks), ensure_ascii=False).encode()
                if self.cache:
                    self.cache.put(page, kept)
            found = json.loads(kept)
            problems = [Problem(fence.source, fence.line + offset, words) for offset, words in found["problems"]]
            for k, words in found["claims"]:
                problems.append(Problem(fence.source, fence.claims[k].line, words, k))
            reads = tuple([str(folder / name) for name in derived["files"]])
            return Shown(found["text"], tuple(problems), reads, fence.option("lang") or "en")
        except ExplainError as error:
            return refused(fence, error, format)

    def _made(self, fence: Fence, before: Sequence[Fence], derived: Any, looks: dict[str, Any]) -> dict[str, Any]:
        from explain.embed.findings import findings

        run = self._run(fence, before, derived)
        text = _shown(run, looks)
        problems, claims = findings(run, fence, sum(f.text.count("\n") + 1 for f in before))
        return {"text": text, "problems": problems, "claims": claims}

    def _run(self, fence: Fence, before: Sequence[Fence], derived: Any) -> Run:
        from explain.embed.running import decoded, encoded, run_fence
        from explain.program.makers import files_from

        key = key_of({"run": derived})
        kept = self.cache.get(key) if self.cache else None
        if kept is not None:
            return decoded(kept)
        with files_from((self.root / fence.source).parent, self.root):
            run = run_fence(fence, before, timeout=self.timeout, memory=self.memory)
        if self.cache and (run.outcome != "bounded" or derived["expected"]):  # a slow machine may be faster tomorrow
            self.cache.put(key, encoded(run))
        return run


def continued(fence: Fence, earlier: Sequence[Fence]) -> list[Fence]:
    """The blocks that a block continues, the first first. Raises ExplainError for a name that none has."""
    from explain.errors import InputError

    named: dict[str, Fence] = {}
    for one in earlier:
        name = one.option("name")
        if name:
            named[name] = one
    found: list[Fence] = []
    after = fence.option("after")
    while after:
        if after not in named:
            known = ", ".join(named) or "none"
            raise InputError(f"there is no block named '{after}' before this one; there are: {known}")
        found.insert(0, named[after])
        if len(found) > len(named):
            raise InputError(f"the blocks continue each other in a circle: '{after}'")
        after = named[after].option("after")
    return found


def refused(fence: Fence, error: ExplainError, format: str) -> Shown:
    """A block that cannot be shown: its text as it is, with what is wrong."""
    message, line = error.message, fence.line
    if isinstance(error, BlockError):
        message, line = error.words, error.where.line
    elif error.place is not None and error.place.text in fence.text:
        line += fence.text.count("\n", 0, fence.text.index(error.place.text)) + error.place.line - 1
    hint = FLAG.sub(r"#| \1: \2", error.hint or "")
    words = "\n".join(filter(None, [message, error.place.marked() if error.place else "", hint]))
    problem = Problem(fence.source, line, words)
    return Shown(_as_error(fence, str(problem), format), (problem,))


def _as_error(fence: Fence, words: str, format: str) -> str:
    from html import escape

    if format == "tree":
        return json.dumps(
            [["literal_block", {"language": "none"}, fence.text], ["literal_block", {"language": "none"}, words]]
        )
    if format == "html":
        return (
            f'<aside class="told wrong"><pre class="listing">{escape(fence.text)}</pre><pre>{escape(words)}</pre></aside>\n'
        )
    return f"```text\n{fence.text}\n```\n\n```text\n{words}\n```\n" if format == "md" else f"{fence.text}\n\n{words}\n"


def _shown(run: Run, looks: dict[str, Any]) -> str:
    if "embedded" not in looks:
        from explain.render.document import inline_forms

        return inline_forms(run, **looks)
    if looks["format"] != "tree":
        return run.render(**{**looks, "standalone": False})
    from explain.embed.tree import tree_of

    return json.dumps(tree_of(run.render(**{**looks, "dialect": "myst"})), ensure_ascii=False)


def _files(fence: Fence) -> list[str]:
    """The files that the values of an expression come from."""
    values = (*fence.options.get("at", ()), *fence.options.get("v", ()))
    return sorted({a or b for value in values for a, b in READ.findall(value)})


def _content(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
