"""The checks as a page shows them: their status, their bounds, the one of many that says most."""

from __future__ import annotations

import math
from collections.abc import Iterable

from explain.derivation.check import DIFFERENCES, FORMULA
from explain.derivation.model import Check, Derivation, Gradient, Step
from explain.render import figures
from explain.render.step import View
from explain.render.typeset import Typesetter


def all_checks(d: Derivation) -> list[tuple[Check, str]]:
    found = [(c, g.wrt) for g in d.gradients for c in g.checks] + [(c, str(s.number)) for s in d.steps for c in s.checks]
    return found + [(c, d.output) for c in (d.pushed.checks if d.pushed else ())]


def gradient_checks(g: Gradient, d: Derivation, t: Typesetter) -> View:
    return {"wrt": t.name(g.wrt), "checks": [check_view(c, g.dtype) for c in checks_of(g, d)]}


def pushed_checks(d: Derivation, t: Typesetter) -> list[View]:
    if d.pushed is None:
        return []
    dtype = next((r.dtype for r in d.rows if r.name == d.output), "float64")
    on_the_way = _worst_check(c for s in d.steps for c in s.checks)
    checks = [check_view(c, dtype) for c in (*d.pushed.checks, *([on_the_way] if on_the_way else []))]
    return [{"wrt": t.name(f"dot({d.output})"), "checks": checks}]


def checks_of(g: Gradient, d: Derivation) -> list[Check]:
    on_the_way = [c for s in chain_to(g, d) for c in s.checks]
    worst = _worst_check(on_the_way)
    return [*g.checks, *([worst] if worst else [])] if g.checks else []


def _worst_check(checks: Iterable[Check]) -> Check | None:
    """What one check of all steps comes to: it holds on the whole way only if no step had to leave it out."""
    order = {"failed": 2, "not_applicable": 1, "ok": 0}
    return max(checks, key=lambda c: (order[c.status], c.error or 0.0), default=None)


def failed_view(c: Check, where: str) -> View:
    return {"name": c.name, "where": where, "error": None if c.error is None else figures.number(c.error)}


def check_view(c: Check, dtype: str) -> View:
    return {
        "name": c.name, "status": c.status, "reason": c.reason, "details": _check_details(c),
        "error": None if c.error is None else figures.number(c.error),
        "exponent": _bound(c, dtype),
    }  # fmt: skip


def _check_details(c: Check) -> View:
    return {k: figures.number(v) if isinstance(v, float) else v for k, v in c.details.items()}


def _bound(c: Check, dtype: str) -> int | None:
    """The power of ten that the error is shown to be below: the check's own tolerance, so that a page is the same bytes
    on every machine."""
    if c.status != "ok" or c.reason in ("rounding", "precision"):
        return None
    tolerance = (DIFFERENCES if c.name == "differences" else FORMULA)[c.details.get("dtype", dtype)]
    return round(math.log10(tolerance))


def chain_to(g: Gradient, d: Derivation) -> list[Step]:
    """The steps on the way to the leaf, from the output on."""
    wanted, found = {g.wrt}, []
    for s in reversed(d.steps):
        if s.input in wanted:
            found.append(s)
            wanted.add(s.output)
    return found[::-1]
