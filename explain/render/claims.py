"""What became of a stated formula, in words."""

from __future__ import annotations

from functools import cache
from typing import Any

from explain.derivation.model import Verdict
from explain.render.templates import templates_in


def claim_text(verdict: Verdict) -> str:
    """The claim as it is written: ``out wrt x = 2*x``."""
    return f"{verdict.of}{f' wrt {verdict.wrt}' if verdict.wrt else ''} = {verdict.formula}"


def diagnosis(verdict: Verdict, lang: str = "en") -> str | None:
    """Why the verdict is what it is; None where there is nothing to say."""
    if verdict.reason is None:
        return None
    details = dict(verdict.details)
    place = details.pop("place", None)
    of = "J" if details.pop("jacobian", False) else verdict.wrt or verdict.of
    details["entry"] = f"{of}[{', '.join(map(str, place))}]" if place else None
    return str(getattr(_words(lang), verdict.reason)({key: _said(v) for key, v in details.items()}))


def verdict_text(verdict: Verdict, lang: str = "en") -> str:
    """The verdict and why, in a line for people."""
    words, reason = _words(lang), diagnosis(verdict, lang)
    return str(words.word(verdict.verdict) if reason is None else words.told(verdict.verdict, reason))


@cache
def _words(lang: str) -> Any:
    return templates_in(lang).get_template("words/claims.j2").make_module({})


def _said(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
