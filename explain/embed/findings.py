"""What is wrong with a block that ran: it raised though nobody said so, a check failed, a claim is wrong."""

from __future__ import annotations

from explain.derivation.model import Run
from explain.embed.fence import Fence
from explain.render.claims import diagnosis
from explain.render.document import explanation


def findings(run: Run, fence: Fence, skipped: int = 0) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The problems of a block, each with the line in it (counted from 0), and those of its claims, each with the claim's
    number. ``skipped``: lines of the blocks before it."""
    problems = [*_outcome(run, fence, skipped)]
    for d in run.derivations:
        if not d.ok:
            line = max((d.line or 1) - 1 - skipped, 0)
            problems.append((line, f"a check of the derivation of {d.output} failed: the page says which numbers disagree"))
    claims = []
    for k, verdict in enumerate(run.claims):
        if not verdict.ok:
            words = diagnosis(verdict)
            what = "is wrong" if verdict.verdict == "wrong" else "could not be decided"
            claims.append((k, f"the claim {fence.claims[k]} {what}{f'. {words}' if words else ''}"))
    return problems, claims


def _outcome(run: Run, fence: Fence, skipped: int) -> list[tuple[int, str]]:
    expected = fence.option("expect-error")
    wanted = expected not in (None, "false")
    if run.outcome == "ok":
        return [(0, "the block says expect-error, but nothing was raised")] if wanted else []
    error = run.error or {}
    line = max((error.get("line") or 1) - 1 - skipped, 0)
    if wanted:
        if expected in ("true", error.get("type")):
            return []
        return [(line, f"the block expects {expected}, but {error['type']} was raised: {error['message']}")]
    words = explanation(error, "en")
    if run.outcome == "error":
        why = f". {words}" if words else ""
        return [(line, f"{error['type']}: {error['message']}{why}")]
    return [(line, words or f"the program was {run.outcome}")]
