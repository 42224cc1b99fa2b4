"""Compare the mistakes of ``tests/program/mistakes.toml`` with PyTorch's own words: ``python -m tests.oracle.mistakes``."""

from __future__ import annotations

import tomllib
import traceback
import warnings
from pathlib import Path
from typing import Any

from explain.derivation.program import run_program

MISTAKES = Path(__file__).parent.parent / "program" / "mistakes.toml"


def theirs(program: str) -> tuple[str, str, int | None]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(program, "<program>", "exec"), {"torch": torch})
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<program>"]
        return type(error).__name__, str(error), lines[-1]
    return "none", "", None


def ours(program: str) -> tuple[str, str, int | None]:
    error: dict[str, Any] | None = run_program(program).error
    return ("none", "", None) if error is None else (error["type"], error["message"], error["line"])


def main() -> None:
    for kind, program in tomllib.loads(MISTAKES.read_text(encoding="utf-8")).items():
        a, b = ours(program), theirs(program)
        if a != b:
            print(f"{kind}\n  here:  {a}\n  torch: {b}")


if __name__ == "__main__":
    main()
