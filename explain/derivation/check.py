"""The checks on every page: tape = formula = central differences, and each step's adjoint identity.

Errors are relative to the largest entry. Where the true gradient is (nearly) zero by cancellation, rounding of the terms
that cancel is what is left: it is bounded by the tape's precision times the largest cotangent that was sent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.derivation.model import Check
from explain.derivation.replay import Differences

FORMULA = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-10}
DIFFERENCES = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-5}
ROUNDINGS = 32  # how many roundings of the largest term are allowed to be left of a cancelled sum


def gap_and_scale(found: Any, expected: Any) -> tuple[float, float]:
    """The largest difference and the largest entry. The difference is infinite if one is finite where the other is not,
    or if they are other infinities; nan equals nan."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.size == 0:
        return 0.0, 0.0
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    both = np.isfinite(a) & np.isfinite(b)
    entries = np.abs(np.concatenate([a[np.isfinite(a)].ravel(), b[np.isfinite(b)].ravel(), [0.0]]))
    if not np.all(same | both):
        return float("inf"), float(np.max(entries))
    gaps = np.abs(np.where(both, a, 0.0) - np.where(both, b, 0.0))
    return float(np.max(gaps)), float(np.max(entries))


def rounding_floor(dtype: str, sent: list[Any]) -> float:
    """What rounding may leave of a sum of terms as large as the cotangents that were sent."""
    return ROUNDINGS * float(np.finfo(dtype).eps) * largest(sent)


def largest(sent: list[Any]) -> float:
    """The size of the largest entry of the arrays that are finite."""
    return max((float(np.max(np.abs(s))) for s in sent if np.size(s) and np.all(np.isfinite(s))), default=0.0)


def in_float64(check: Check, again: Check, same: Check) -> Check:
    """A check that failed in a tape of low precision, judged by the same rules run in float64: if they agree there, what
    differed is the precision of the dtype, and the check says by how much. ``same``: whether the rules that are run again
    are those that the tape ran, compared in the tape's own dtype."""
    if check.status == "failed" and again.status == "ok" and same.status == "ok":
        return Check(check.name, "ok", check.error, "precision", check.details)
    return check


def judged(name: str, gap: float, scale: float, tolerance: float, floor: float = 0.0, **details: Any) -> Check:
    """A check that applies: ok within the tolerance, relative to the largest entry; or, with the reason ``rounding``,
    where all that differs is what rounding leaves of terms that cancel."""
    error = gap / scale if scale else (0.0 if gap == 0 else float("inf"))
    if error <= tolerance:
        return Check(name, "ok", error, None, details)
    if gap <= floor:
        return Check(name, "ok", error, "rounding", details)
    return Check(name, "failed", error, None, details)


def formula_check(tape_value: Any, formula_values: list[Any], dtype: str, floor: float, special: list[str]) -> Check:
    """The tape's own contribution against every formula evaluated for it: the worst of them counts. At a kink, tie or
    pole, or where the tape ran into infinities (``special``), entries that are not finite in one of the two are not
    judged."""
    checks = [_one_formula(np.asarray(tape_value, np.float64), f, dtype, floor, special) for f in formula_values]
    order = {"failed": 2, "not_applicable": 1, "ok": 0}
    return max(checks, key=lambda c: (order[c.status], c.error or 0.0))


def _one_formula(tape_value: np.ndarray, formula: Any, dtype: str, floor: float, special: list[str]) -> Check:
    finite = np.isfinite(formula) & np.isfinite(tape_value)
    singular = ~finite if special else np.zeros(tape_value.shape, bool)
    check = judged("formula", *gap_and_scale(tape_value[~singular], formula[~singular]), FORMULA[dtype], floor)
    if "not_finite" in special and (check.status == "failed" or singular.any()):
        return Check("formula", "not_applicable", None, "not_finite", {"excused": int(singular.sum())})
    if check.status == "failed" or not singular.any():
        return check
    return Check("formula", "not_applicable", None, "singular", {"excused": int(singular.sum())})


def differences_check(tape_value: Any, found: Differences, dtype: str, floor: float, special: list[str]) -> Check:
    """The tape against central differences. At a kink, tie or pole that the tape ran through (``special``), entries that
    disagree, or whose one-sided differences do, are not judged, and the check says so: there the formula is the witness."""
    g = np.asarray(tape_value, np.float64)
    tried = g.ravel()[found.entries]
    tolerance = DIFFERENCES[dtype]
    _, scale = gap_and_scale(tried, found.central)
    reach = max(tolerance * scale, floor)
    bent = ~(np.abs(found.left - found.right) <= np.maximum(1e-3 * np.abs(found.central), 10 * (reach + found.noise)))
    apart = ~(np.abs(tried - found.central) <= reach + found.noise)
    blind = ~np.isfinite(found.noise)  # at a pole: infinite noise would let anything pass, and nothing be excused
    excused = bent | apart | blind if special else np.zeros(bent.shape, bool)
    details: dict[str, Any] = {"entries": len(found.entries), "of": int(g.size), "directions": len(found.directions)}
    gap = _beyond(tried[~excused], found.central[~excused], found.noise[~excused])
    if not excused.any():
        along = np.array([(np.sum(d * g), slope, noise) for d, slope, noise in found.directions]).reshape(-1, 3)
        gap = max(gap, _beyond(*along.T))
    check = judged("differences", gap, scale, tolerance, reach, **details)
    if check.status == "failed" or not excused.any():
        reason = check.reason or (None if found.complete else "sampled")
        return Check("differences", check.status, check.error, reason, details)
    k = int(np.flatnonzero(excused)[0])
    details |= {"left": float(found.left[k]), "right": float(found.right[k]), "tape": float(tried[k])}
    details |= {"excused": int(excused.sum())}
    kinds = [kind for kind in ("not_finite", "pole", "tie", "kink") if kind in special]
    smooth = kinds[0] == "pole" and not (bent[k] or blind[k])  # the determinant of a singular matrix: only its rule fails
    return Check("differences", "not_applicable", None, "hole" if smooth else kinds[0], details)


def _beyond(tape: np.ndarray, difference: np.ndarray, noise: np.ndarray) -> float:
    """By how much the two differ at most, beyond what rounding does to a difference quotient."""
    same = (tape == difference) | (np.isnan(tape) & np.isnan(difference))
    gaps = np.where(same, 0.0, np.abs(np.where(same, 0.0, tape) - np.where(same, 0.0, difference)) - noise)
    gaps = np.where(np.isfinite(gaps), gaps, np.inf)
    return max(0.0, float(np.max(gaps, initial=0.0)))


Gap = tuple[float, float, float]
"""Of one step and direction: by how much the two sides differ, how large their terms are, and the length of u."""


def adjoint_gaps(v: np.ndarray, pushed: np.ndarray, product: np.ndarray, u: np.ndarray) -> list[Gap]:
    """⟨v, J u⟩ with J u from the formula (``pushed``) against ⟨Jᵀ v, u⟩ with Jᵀ v from the tape (``product``), for several
    steps at once, along the first axis. ``u``: the change, the same for all. A gap is nan where a term is not finite."""
    left, right = ((a * b).reshape(len(v), -1) for a, b in ((v, pushed), (product, u)))
    gaps = np.abs(np.sum(left, axis=1) - np.sum(right, axis=1))
    scales = np.maximum(np.sum(np.abs(left), axis=1), np.sum(np.abs(right), axis=1))
    finite = np.all(np.isfinite(left), axis=1) & np.all(np.isfinite(right), axis=1)
    length = float(np.sqrt(np.sum(u * u)))
    return [
        (gap, scale, length) for gap, scale in zip(np.where(finite, gaps, np.nan).tolist(), scales.tolist(), strict=True)
    ]


def adjoint_check(gaps: list[Gap], dtype: str, floor: float) -> Check:
    """The adjoint identity of one step, judged in every direction; the worst counts. ``floor``: what rounding may leave of
    one entry of Jᵀ v."""
    if any(np.isnan(gap) for gap, _, _ in gaps):
        return Check("adjoint", "not_applicable", None, "not_finite")
    checks = [judged("adjoint", gap, scale, FORMULA[dtype], floor * length) for gap, scale, length in gaps]
    return max(checks, key=lambda c: (c.status == "failed", c.error or 0.0))
