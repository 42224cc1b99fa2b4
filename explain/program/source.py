"""A program's text, and the code in it: line for line as it was pasted, so that every place is one in the reader's text."""

from __future__ import annotations

from dataclasses import dataclass, field

from explain.errors import Place


@dataclass(frozen=True)
class Source:
    """``text``: as the reader sees it (of a notebook file: its code cells). ``name``: what it is called in messages.

    ``form``: script, notebook, repl, jupyter-prompts, fenced or notebook-magics. ``code``: what runs, with as many lines as
    ``text``; ``shifts``: per line how many characters were taken off its beginning. ``cells``: the lines at which cells
    begin. ``skipped``: lines that were left out (magics), as (line, text).
    """

    text: str
    name: str
    form: str
    code: str
    shifts: tuple[int, ...]
    cells: tuple[int, ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
    _starts: list[int] = field(default_factory=list, compare=False, repr=False)
    _lines: list[str] = field(default_factory=list, compare=False, repr=False)

    def place(self, line: int, column: int, end_line: int, end_column: int) -> Place:
        """Where a stretch of the code stands in the text; columns count bytes of UTF-8, as Python's parser gives them."""
        return Place(self.text, self._offset(line, column), self._offset(end_line, end_column), self.name)

    def line_place(self, line: int) -> Place:
        """A whole line, without its indentation."""
        self._read()
        words = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        start = len(words) - len(words.lstrip())
        return self.place(line, start, line, max(start + 1, len(words.encode())))

    def line_text(self, line: int) -> str:
        """The code of a line."""
        self._read()
        return self._lines[line - 1] if 0 < line <= len(self._lines) else ""

    def cell_of(self, line: int) -> int:
        """The number of the cell that a line belongs to."""
        return sum(start <= line for start in self.cells)

    def _read(self) -> None:
        if not self._starts:
            offset = 0
            for line in self.text.split("\n"):
                self._starts.append(offset)
                offset += len(line) + 1
            self._lines.extend(self.code.split("\n"))

    def _offset(self, line: int, column: int) -> int:
        self._read()
        if line > len(self._lines):
            return len(self.text)
        words = self._lines[line - 1]
        characters = column if words.isascii() else len(words.encode()[:column].decode(errors="ignore"))
        return self._starts[line - 1] + self.shifts[line - 1] + characters
