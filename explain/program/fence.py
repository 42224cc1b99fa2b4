"""The second line behind the box: what the process may take, and what it must not ask of the system while a program runs.

The guards keep a program from finding files, sockets or processes. Should one of them fail, this says no once more.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

OPEN_FILES = 64
BEYOND = 1 << 31
"""So many bytes more than a program may have are there for its derivation."""
FORBIDDEN = (
    "os.", "shutil.", "subprocess.", "socket.", "ctypes.", "pty.", "fcntl.", "ftplib.", "http.", "smtplib.", "urllib.",
    "sqlite3.", "signal.", "resource.", "mmap.", "winreg.", "msvcrt.", "tempfile.", "webbrowser.", "glob.", "gc.",
    "cpython.run_",
)  # fmt: skip
"""Kinds of events that no program in the box has a reason for."""
HARMLESS = frozenset({"os.listdir", "os.scandir", "os.putenv"})  # imports look into folders
_fences: list[_Fence] = []


class _Fence:
    """An audit hook: Python has no way to take one away, so it looks whether it is up."""

    def __init__(self) -> None:
        self.up = False
        self.readable: tuple[str, ...] = ()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.up:
            return
        if event == "open":
            self._open(*arguments)
        elif event.startswith(FORBIDDEN) and event not in HARMLESS:
            raise PermissionError(f"refused: {event}")

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writes or isinstance(path, int) or not os.path.realpath(os.fsdecode(path)).startswith(self.readable):
            raise PermissionError("refused: there are no files here")


@contextmanager
def fenced(memory: int, roots: Sequence[str] | None) -> Iterator[None]:
    """Inside the block this process has limits: ``memory`` in bytes, few files, no core dumps. ``roots``: the only folders
    that may be read (our own code lies there, and is loaded late); None: no fence, only the limits."""
    before = _limit(memory)
    fence: _Fence | None = None
    if roots is not None:
        if not _fences:
            _fences.append(_Fence())
            sys.addaudithook(_fences[0])
        fence = _fences[0]
        fence.readable = tuple([os.path.realpath(root) for root in (*roots, sys.prefix, sys.base_prefix) if root])
        fence.up = True
    try:
        yield
    finally:
        if fence is not None:
            fence.up = False
        _lift(before)


def _limit(memory: int) -> Any:
    try:
        import resource
    except ImportError:  # Windows: the clock of the parent holds, memory and files are not limited
        return None
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    above = memory + BEYOND if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_AS, (min(memory, above), above))
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if files == resource.RLIM_INFINITY else min(OPEN_FILES, files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, files))
    return above


def _lift(before: Any) -> None:
    if before is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (before, before))


@contextmanager
def alarm(seconds: float | None, error: type[BaseException], again: float = 0.0) -> Iterator[None]:
    """Raise ``error`` in the block when its time is over, and ``again`` and again for who catches it; where the system has
    no such clock the parent's alone counts."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def over(*_: Any) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
