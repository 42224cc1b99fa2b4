"""PDF: the LaTeX article typeset by pdflatex, if it is there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from explain.errors import InputError

PACKAGES = "texlive-latex-base texlive-pictures latex-cjk-chinese latex-cjk-chinese-arphic-gbsn00lp"
LONGEST = 120.0
"""Seconds that typesetting may take."""


def typeset(article: str) -> bytes:
    """The article as PDF. Raises InputError if no pdflatex is installed, or a package of it is missing."""
    engine = shutil.which("pdflatex")
    hint = f"On Debian and Ubuntu: apt-get install --no-install-recommends {PACKAGES}"
    if engine is None:
        raise InputError("a PDF needs pdflatex, and there is none", hint=hint)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.tex").write_text(article, encoding="utf-8")
        command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, timeout=LONGEST, check=True, stdin=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            log = Path(folder) / "page.log"
            lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
            said = next((line for line in lines if line.startswith("!")), "! it did not end")
            raise InputError(f"pdflatex could not typeset the page: {said[1:].strip()}", hint=hint) from None
        return (Path(folder) / "page.pdf").read_bytes()
