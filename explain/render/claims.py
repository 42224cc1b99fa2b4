"""What became of a stated formula, in words."""

from __future__ import annotations

from explain.derivation.model import Verdict
from explain.render.document import environment


def claim_text(verdict: Verdict) -> str:
    """The claim as it is written: ``out wrt x = 2*x``."""
    return f"{verdict.of}{f' wrt {verdict.wrt}' if verdict.wrt else ''} = {verdict.formula}"


def diagnosis(verdict: Verdict, lang: str = "en") -> str | None:
    """Why the verdict is what it is; None where there is nothing to say."""
    if verdict.reason is None:
        return None
    words = environment(lang).get_template("words/claims.j2").make_module({})
    details = dict(verdict.details)
    place = details.pop("place", None)
    of = "J" if details.pop("jacobian", False) else verdict.wrt or verdict.of
    details["entry"] = f"{of}[{', '.join(map(str, place))}]" if place else None
    return str(getattr(words, verdict.reason)({key: _said(v) for key, v in details.items()}))


def _said(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
