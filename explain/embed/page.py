"""The blocks of one page of somebody's documentation, in their order: what every host keeps while it reads a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from explain.embed.core import Embedder, Problem, Shown, refused
from explain.embed.fence import Fence, read_fence
from explain.embed.place import BlockError, Where

Report = Callable[[Problem], None]


class Page:
    """Shows the blocks of a page one after the other.

    ``source``: which text it is, in messages. ``report`` takes what is wrong; without it the first fault is raised as
    BlockError. ``anchor``: the word that anchors of blocks without a name begin with. ``defaults``: options that hold
    where a block says nothing. ``format`` and ``dialect`` as of ``Embedder.show``.
    """

    def __init__(
        self,
        embedder: Embedder,
        source: str,
        report: Report | None = None,
        *,
        format: str = "html",
        dialect: str = "github",
        anchor: str = "d",
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        self.fences: list[Fence] = []
        self.reads: list[str] = []
        self._embedder = embedder
        self._source = source
        self._report = report
        self._looks = {"format": format, "dialect": dialect}
        self._anchor = anchor
        self._defaults = dict(defaults or {})
        self._count = 0

    def block(
        self,
        body: str,
        info: str = "",
        *,
        line: int,
        source: str | None = None,
        given: Iterable[tuple[str, str, int]] = (),
    ) -> Shown:
        """What stands in the place of a block: the arguments are those of ``read_fence``."""
        source = source or self._source
        self._count += 1
        try:
            fence = read_fence(body, info, source=source, line=line, given=given, defaults=self._defaults)
            self._named_once(fence)
        except BlockError as error:
            return self._noted(refused(unread(body, source, line), error, self._looks["format"]))
        anchor = fence.option("name") or f"{self._anchor}{self._count}"
        shown = self._embedder.show(fence, earlier=self.fences, anchor=anchor, **self._looks)  # type: ignore[arg-type]
        self.fences.append(fence)
        return self._noted(shown)

    def inline(self, text: str, *, line: int, source: str | None = None) -> Shown:
        """The closed forms of ``2*dot(x, x); x=[0, 1, 2, 3]``. The text is empty where there are none or it is no
        expression."""
        source = source or self._source
        try:
            fence = read_fence(text, source=source, line=line, defaults=self._defaults)
        except BlockError as error:
            return self._noted(Shown("", refused(unread(text, source, line), error, "text").problems))
        shown = self._embedder.show(fence, inline=True, **self._looks)  # type: ignore[arg-type]
        return self._noted(shown if shown.ok else Shown("", shown.problems, shown.reads))

    def _named_once(self, fence: Fence) -> None:
        name = fence.option("name")
        if name and any(name == one.option("name") for one in self.fences):
            raise BlockError(Where(fence.source, fence.line), f"there is another block named '{name}' on this page")

    def _noted(self, shown: Shown) -> Shown:
        self.reads.extend(shown.reads)
        for problem in shown.problems:
            if self._report is None:
                raise BlockError(Where(problem.source, problem.line), f"explain: {problem.message}")
            self._report(problem)
        return shown


def unread(body: str, source: str, line: int) -> Fence:
    """A block whose options could not be read."""
    return Fence(body, "", {}, (), source, line)
