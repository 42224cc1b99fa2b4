"""``explain.run``: a program in a process of its own, with limits; and the other end of it, inside that process."""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import explain
from explain.errors import ExplainError, InputError
from explain.program.box import HEAD, Answer, Boxed, Job

if TYPE_CHECKING:
    from explain.derivation.model import Run

TIMEOUT = 10.0
MEMORY = 2 << 30
LARGEST_DOCUMENT = 256 << 20
"""A document of more bytes is not handed over: who asked for it has limits too."""


def run(
    program: str,
    *,
    name: str = "program",
    trust: bool = False,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    backward: int | None = None,
    wrt: str | Sequence[str] | None = None,
    of: str | None = None,
    claims: Sequence[tuple[str, str | None, str]] = (),
) -> Run:
    """Where the gradients of a program come from: ``explain.run("x = torch.ones(2, requires_grad=True) …")``.

    ``program``: a script, or text with code fences, ``>>>`` or ``In [1]:`` prompts, or the text of a notebook. It runs in a
    process of its own and in a box: no files, no network, nothing but torch, numpy, math and the like; ``trust`` runs
    ordinary Python. ``timeout``: seconds, ``memory``: bytes that it may take. ``backward``: the number of the one call to
    derive; ``wrt``: the only names to differentiate by; ``of``: the result, for a program that asks for no gradient.
    ``name``: what the text is called in messages. ``claims``: formulas to be judged, as triples: of what, the derivative by
    what (None: the value), the formula; ``run.claims`` says what became of them.

    Returns the document; its ``outcome`` is ok, error (the program raised), refused or bounded. Raises InputError for text
    that is no program, Stopped if no process could be started.
    """
    chosen = (wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt)
    job = Job(program, name, trust, backward, chosen, of, timeout, memory, tuple(claims))
    return _read(job, Boxed(job).answer(_load))


def run_file(path: str | Path, **options: Any) -> Run:
    """``run`` of a file: a ``.py`` script, a Markdown text, a notebook. Raises InputError if it cannot be read."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file}: not a text in UTF-8") from None
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    return run(text, name=str(file), **options)


def _load() -> None:
    """What reading the document needs, loaded while the process works."""
    import explain.derivation.codec  # noqa: F401


def _read(job: Job, answer: Answer) -> Run:
    import numpy as np

    from explain.derivation.codec import taken_over
    from explain.derivation.model import Run
    from explain.program.paste import read_program

    if answer.document is not None:
        kept = {}
        if answer.arrays:
            with np.load(io.BytesIO(answer.arrays), allow_pickle=False) as arrays:
                kept = {key: arrays[key] for key in arrays.files}
        return taken_over(answer.document, kept)
    source = read_program(job.text, job.name)
    kind = "limit_time" if answer.exit is None else "limit_crash"
    if answer.stage == "derivation" and answer.exit is None:
        kind = "limit_derivation"
    error = {"type": "Stopped", "message": "", "line": None, "kind": kind, "details": {"exit": answer.exit}}
    return Run(source.text, source.form, (), (), outcome="bounded", error=error, code=source.code)


# inside the process


def load() -> None:
    """What every program needs, loaded once before processes are forked."""
    import explain.derivation.claimed
    import explain.derivation.codec
    import explain.derivation.program
    import explain.program.fence
    import explain.program.paste  # noqa: F401


def main() -> None:
    """Read a job from standard input, run it, write the answer as frames."""
    gc.set_threshold(100_000)  # a document is many small objects and hardly a cycle
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints on its own must not come between the frames
    job = Job(**json.loads(sys.stdin.buffer.read()))
    try:
        _work(job, out)
    except ExplainError as error:
        place = None if error.place is None else list(error.place)
        _send(out, b"E", json.dumps({"message": error.message, "place": place, "hint": error.hint}).encode())
    except Exception as fault:  # ours: told in one line, as a program's author can do nothing about it
        at = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        message = f"explain failed on this program ({type(fault).__name__} at {where}: {fault})"
        hint = "This is a fault of explain, not of the program: please report it with the program."
        _send(out, b"E", json.dumps({"message": message, "place": None, "hint": hint}).encode())
    out.close()
    os._exit(0)  # nothing that a program left behind runs any more


def _work(job: Job, out: Any) -> None:
    import numpy as np

    from explain.derivation.claimed import judge_program
    from explain.derivation.claims import Claim
    from explain.derivation.codec import Arrays, handed_over
    from explain.derivation.model import Run
    from explain.derivation.program import document, run_source
    from explain.program.fence import alarm, fenced
    from explain.program.paste import read_program
    from explain.program.session import OutOfTime, Ran

    source = read_program(job.text, job.name)
    _send(out, b"P", b"")
    with fenced(job.memory, None if job.trusted else [*sys.path, *explain.__path__]):
        ran = run_source(source, trusted=job.trusted, backward=job.backward, timeout=job.timeout)
    _send(out, b"D", b"")
    if isinstance(ran, Ran):
        with alarm(job.timeout, OutOfTime):
            found = document(ran, backward=job.backward, wrt=job.wrt, of=job.of)
            if job.claims and found.outcome == "ok":
                found = replace(found, claims=judge_program(ran, [Claim(*claim) for claim in job.claims]))
            ran = found
    arrays = Arrays({})
    text = handed_over(ran, arrays)
    size = len(text) + sum(a.nbytes for a in (arrays.kept or {}).values())
    if size > LARGEST_DOCUMENT:
        error = {"type": "Stopped", "message": "", "line": None, "kind": "limit_document", "details": {"size": size >> 20}}
        arrays = Arrays({})
        ran = Run(ran.source, ran.form, (), (), outcome="bounded", stdout=ran.stdout, error=error, code=ran.code)
        text = handed_over(ran, arrays)
    if arrays.kept:
        kept = io.BytesIO()
        np.savez(kept, **arrays.kept)  # type: ignore[arg-type]
        _send(out, b"Z", kept.getvalue())
    _send(out, b"J", text.encode())


def _send(out: Any, kind: bytes, data: bytes) -> None:
    out.write(HEAD.pack(kind, len(data)))
    out.write(data)
    out.flush()
