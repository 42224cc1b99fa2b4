"""The process in which a program runs: started with little, given limits, and stopped by the clock if it goes on.

The child does the whole work and hands back data: frames of one letter, a length and bytes. ``P`` says that the program
begins, ``D`` that it ended and its derivation begins, ``J`` and ``Z`` carry the document and its large arrays, ``E`` an
error. Nothing is unpickled. Only the standard library is needed here, so the caller can load what it needs meanwhile.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any

from explain.errors import InputError, Stopped
from explain.program.zygote import forked

START = 60.0
"""Seconds that a process may take to load what it needs: never the program's fault."""
GRACE = {"program": 2.0, "derivation": 15.0}
"""Seconds more than the limit before the process is killed: it has a clock of its own, which knows more; and a document
is still to be written."""
HEAD = struct.Struct("!cQ")
LARGEST_FRAME = 1 << 30
KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
)  # fmt: skip
"""What a process of this kind may know of its surroundings."""


@dataclass(frozen=True)
class Job:
    """What the process is asked: see ``run``. ``timeout`` in seconds, for the program and again for its derivation;
    ``memory`` in bytes. ``claims``: triples of, wrt, formula."""

    text: str
    name: str
    trusted: bool
    backward: int | None
    wrt: tuple[str, ...] | None
    of: str | None
    timeout: float
    memory: int
    claims: tuple[tuple[str, str | None, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came back: the document as JSON and its large arrays as an npz, or None if the process was stopped or died;
    then ``stage`` says how far it was (start, program or derivation) and ``exit`` how it ended (None: killed)."""

    document: str | None
    arrays: bytes | None
    stage: str
    exit: int | None = None


class Boxed:
    """One running process. ``answer`` waits for it."""

    def __init__(self, job: Job) -> None:
        if not sys.executable:
            raise InputError("no Python interpreter is known that a program could run in", hint="Use trust=True")
        variables = dict(os.environ) if job.trusted else {k: os.environ[k] for k in KEPT_VARIABLES if k in os.environ}
        variables |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = f"import sys; sys.path[:] = {sys.path!r}; from explain.derivation.boxed import main; main()"
        self.job = job
        child = None if job.trusted else forked(variables)
        self.process = child or subprocess.Popen(
            [sys.executable, "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if job.trusted else subprocess.DEVNULL,
            env=variables,
        )
        self.frames: queue.Queue[tuple[bytes, bytes]] = queue.Queue()
        self.talk = threading.Thread(target=self._talk, daemon=True)
        self.talk.start()

    def _talk(self) -> None:
        """Hand over the job and collect frames until the process ends."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(asdict(self.job)).encode())
            self.process.stdin.close()
            while True:
                head = _exactly(self.process.stdout, HEAD.size)
                kind, size = HEAD.unpack(head)
                if size > LARGEST_FRAME:
                    raise ValueError("more than any document is")
                self.frames.put((kind, _exactly(self.process.stdout, size)))
        except (EOFError, OSError, ValueError):
            self.frames.put((b"X", b""))

    def answer(self, meanwhile: Callable[[], None] | None = None) -> Answer:
        """What the process found. ``meanwhile``: done while it works. Raises InputError if it could not begin."""
        try:
            if meanwhile is not None:
                meanwhile()
            return self._answer()
        finally:
            self.end()

    def end(self) -> None:
        """Nothing more is expected of the process."""
        self.process.kill()
        self.process.wait()
        self.talk.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):  # it died before it had read all
                    stream.close()

    def _answer(self) -> Answer:
        stage = "start"
        arrays: bytes | None = None
        while True:
            seconds = START if stage == "start" else self.job.timeout + GRACE[stage]
            try:
                kind, data = self.frames.get(timeout=seconds)
            except queue.Empty:
                return Answer(None, None, stage)
            if kind == b"P":
                stage = "program"
            elif kind == b"D":
                stage = "derivation"
            elif kind == b"Z":
                arrays = data
            elif kind == b"J":
                return Answer(data.decode(), arrays, "done", 0)
            elif kind == b"E":
                raise _told(json.loads(data))
            else:
                code = self.process.wait()
                if stage == "start":
                    raise Stopped(f"the process for the program could not start (exit code {code})")
                return Answer(None, None, stage, code)


def _told(data: dict[str, Any]) -> InputError:
    from explain.errors import Place

    place = None if data["place"] is None else Place(*data["place"])
    return InputError(data["message"], place, data["hint"])


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
