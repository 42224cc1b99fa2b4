"""A block run: its document, and the document as bytes for the cache."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from explain.derivation.boxed import run as run_program
from explain.derivation.codec import Arrays, encode_run, run_from_json
from explain.derivation.expression import run_expression
from explain.derivation.model import Run
from explain.embed.fence import Fence
from explain.errors import InputError, OperationError
from explain.program.values import Given, parse_given, parse_shape, parse_value
from explain.program.zygote import forking


def run_fence(
    fence: Fence,
    before: Sequence[Fence] = (),
    *,
    timeout: float = 10.0,
    memory: int = 2 << 30,
    known: Mapping[str, Given] | None = None,
) -> Run:
    """The document of a block. ``before``: the blocks that it continues, whose lines and derivations are not shown again.
    ``known``: values of names of an expression to which it gives none itself.

    Raises ExplainError for a block that cannot be read or is refused before it runs.
    """
    claims = [(c.of, c.wrt, c.formula) for c in fence.claims]
    if fence.kind == "expression":
        return _expression(fence, claims, known or {})
    backward = fence.option("backward")
    with forking():
        run = run_program(
            "\n".join([*(f.text for f in before), fence.text]),
            name=fence.source,
            timeout=timeout,
            memory=memory,
            backward=None if backward is None else int(backward),
            wrt=_names(fence),
            of=fence.option("of"),
            claims=claims,
        )
        if not before:
            return run
        text = "\n".join(f.text for f in before)
        earlier = run_program(text, name=fence.source, timeout=timeout, memory=memory)
    return _continuation(run, earlier, text.count("\n") + 1)


def _expression(fence: Fence, claims: list[tuple[str, str | None, str]], known: Mapping[str, Given]) -> Run:
    given = dict(known) | dict(parse_given(text, "at") for text in fence.options.get("at", ()))
    shapes = dict(parse_shape(text, "shape") for text in fence.options.get("shape", ()))
    v = fence.option("v")
    try:
        return run_expression(fence.text, given, None if v is None else parse_value(v, "v"), _names(fence), shapes, claims)
    except OperationError as error:
        if not fence.option("expect-error"):
            raise
        told: dict[str, Any] = {"type": "RuntimeError", "message": error.message, "line": None, "kind": None, "details": {}}
        return Run(fence.text, "program", (), (), outcome="error", error=told, code=fence.text)


def _names(fence: Fence) -> tuple[str, ...] | None:
    """The names to differentiate by; each may be an option of its own, or several stand between commas."""
    names = [name.strip() for text in fence.options.get("wrt", ()) for name in text.split(",")]
    return tuple(name for name in names if name) or None


def _continuation(run: Run, earlier: Run, lines: int) -> Run:
    """What a block adds to the ones that it continues: its lines, what it printed, its derivations."""
    if earlier.outcome != "ok":
        raise InputError("the block that this one continues does not run to its end")
    code = run.code.split("\n")
    printed = run.stdout.removeprefix(earlier.stdout)
    return replace(
        run,
        code="\n".join([""] * lines + code[lines:]),
        stdout=printed,
        echo=tuple([e for e in run.echo if (e["line"] or 0) > lines]),
        warnings=tuple([w for w in run.warnings if (w["line"] or 0) > lines]),
        derivations=tuple([d for d in run.derivations if d.line is None or d.line > lines]),
    )


def encoded(run: Run) -> bytes:
    """The core of the document as bytes."""
    arrays = Arrays({})
    core = encode_run(run, arrays)
    kept = io.BytesIO()
    np.savez_compressed(kept, **(arrays.kept or {}))  # type: ignore[arg-type]
    return json.dumps({"core": core, "arrays": base64.b64encode(kept.getvalue()).decode()}).encode()


def decoded(data: bytes) -> Run:
    """The document again."""
    found = json.loads(data)
    with np.load(io.BytesIO(base64.b64decode(found["arrays"])), allow_pickle=False) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    return run_from_json(json.dumps(found["core"]), kept)
