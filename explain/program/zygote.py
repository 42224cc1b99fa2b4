"""A process that has loaded everything and runs no program: it forks one for each, where a fresh one would load for longer
than most programs run.

It is started as processes for programs are, with the same few variables, and only forks: limits, fence and clock are set up
in each child by the same ``main``. Whoever asks hands over the ends of two pipes, a folder, and a socket. Over that socket
come a handle of the child (a pidfd, which can kill no other process) and its exit code when it ended; the socket's end kills
the child, so that none outlives who asked for it.
"""

from __future__ import annotations

import atexit
import gc
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO

SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open")
"""Elsewhere libraries that numpy uses may not live through a fork."""
PATIENCE = 60.0
"""Seconds in which it has to have loaded everything."""
IDLE = 300.0
"""Seconds after which it leaves if nobody asked for anything."""
MOST_FILES = 1 << 12
"""More than it ever has open."""
CODE = struct.Struct("!i")
_wanted: ContextVar[bool] = ContextVar("_wanted", default=False)


@contextmanager
def forking() -> Iterator[None]:
    """Programs in the block are forked where that is supported: for callers who run many."""
    before = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(before)


class Forked:
    """A child, with the part of ``subprocess.Popen`` that is needed of it."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], status: socket.socket) -> None:
        self.stdin, self.stdout, self._status = stdin, stdout, status
        self.pid = 0
        self.returncode: int | None = None
        self._handle = -1

    def begun(self) -> bool:
        """Whether it runs, which has to be asked once."""
        self._status.settimeout(PATIENCE)
        number, handles, _, _ = socket.recv_fds(self._status, CODE.size, 1)
        self._status.settimeout(None)
        if handles:
            (self.pid,), (self._handle,) = CODE.unpack(number), handles
        return bool(handles)

    def kill(self) -> None:
        """End it, if it still runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, as ``Popen`` tells it, once it has ended."""
        if self.returncode is None:
            data = b""
            with suppress(OSError):
                while len(data) < CODE.size and (more := self._status.recv(CODE.size - len(data))):
                    data += more
            self._status.close()
            os.close(self._handle)
            self.returncode = CODE.unpack(data)[0] if len(data) == CODE.size else -signal.SIGKILL
        return self.returncode


class _Zygote:
    """The process, from outside. ``surroundings``: the variables and folders that it was started with."""

    def __init__(self, surroundings: tuple[Mapping[str, str], list[str]]) -> None:
        self.surroundings, self.owner = surroundings, os.getpid()
        self.control, theirs = socket.socketpair()
        variables, folders = surroundings
        command = (
            f"import sys; sys.path[:] = {folders!r}; from explain.program.zygote import serve;"
            f"from explain.derivation.boxed import load, main; serve({theirs.fileno()}, load, main)"
        )
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", command], env=dict(variables), pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def fork(self) -> Forked | None:
        """A child; None if the process does not answer any more."""
        status, theirs = socket.socketpair()
        (child_in, stdin), (stdout, child_out), folder = os.pipe(), os.pipe(), os.open(".", os.O_RDONLY)
        child = Forked(os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"), status)
        try:
            socket.send_fds(self.control, [b"f"], [child_in, child_out, theirs.fileno(), folder])
            theirs.close()
            if child.begun():
                return child
        except OSError:
            pass  # it left, or was killed
        finally:
            theirs.close()
            for descriptor in (child_in, child_out, folder):
                os.close(descriptor)
        for stream in (child.stdin, child.stdout, status):
            stream.close()
        return None

    def leave(self) -> None:
        """No more is asked of it: it ends with the last of its children."""
        self.control.close()
        if self.owner == os.getpid():
            _left[:] = [process for process in (*_left, self.process) if process.poll() is None]


_lock = threading.Lock()
_running: _Zygote | None = None
_left: list[subprocess.Popen[bytes]] = []
"""Those that were left and have children yet."""
_hopeless = False
"""None could be started, or it could not fork: the system forbids something."""


def forked(variables: Mapping[str, str]) -> Forked | None:
    """A child in which ``explain.derivation.boxed.main`` runs; None where nobody wants one or there is none to be had."""
    global _running, _hopeless
    if _hopeless or not (_wanted.get() and SUPPORTED):
        return None
    surroundings = (variables, list(sys.path))
    with _lock:
        found, new = _running, False
        if (
            found is None
            or found.owner != os.getpid()
            or found.surroundings != surroundings
            or found.process.poll() is not None
        ):
            if found is not None:
                found.leave()
            found, new = _Zygote(surroundings), True
            _running = found
    child = found.fork()
    if child is None:
        with _lock:
            _running = None if _running is found else _running
            _hopeless = _hopeless or new
        found.leave()
    return child


@atexit.register
def _leave() -> None:
    if _running is not None:
        _running.leave()
        for process in _left:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)


# inside the process


def serve(descriptor: int, load: Callable[[], None], main: Callable[[], None]) -> None:
    """Load everything, then fork a child for every message, until nobody can send one and the last child has ended."""
    load()
    control = socket.socket(fileno=descriptor)
    wake, waking = socket.socketpair()
    for end in (wake, waking):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a reader's Ctrl-C ends programs, not who starts them
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    gc.freeze()  # what was loaded is looked at by no child
    children: dict[int, socket.socket] = {}
    open_for_more = True
    while open_for_more or children:
        asked = [control] if open_for_more else []
        ready, _, _ = select.select([*asked, wake, *children.values()], [], [], None if children else IDLE)
        if not ready:
            return
        if control in ready:
            data, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            open_for_more = bool(data)
            if data:
                pid = os.fork()
                if not pid:
                    _become(main, descriptors)
                children[pid] = socket.socket(fileno=descriptors.pop(2))
                descriptors.append(os.pidfd_open(pid))
                with suppress(OSError):
                    socket.send_fds(children[pid], [CODE.pack(pid)], descriptors[-1:])
                for one in descriptors:
                    os.close(one)
        if wake in ready:
            wake.recv(1024)
        for pid, status in list(children.items()):
            if status in ready:  # its end: whoever asked is gone
                os.kill(pid, signal.SIGKILL)
            ended, how = os.waitpid(pid, 0 if status in ready else os.WNOHANG)
            if ended:
                with suppress(OSError):
                    status.send(CODE.pack(os.waitstatus_to_exitcode(how)))
                children.pop(pid).close()


def _become(main: Callable[[], None], descriptors: list[int]) -> None:
    """The child: nothing of the process that it came from stays open, and it never returns there."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        child_in, child_out, _, folder = descriptors
        os.dup2(child_in, 0)
        os.dup2(child_out, 1)
        os.fchdir(folder)
        os.closerange(3, MOST_FILES)
        main()
    finally:
        os._exit(1)
