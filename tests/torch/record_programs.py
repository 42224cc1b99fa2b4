"""Records what torch answers to the programs: ``python -m tests.torch.record_programs``, with torch 2.13.0 installed."""

from __future__ import annotations

import json

from tests.tape.programs import answer, programs
from tests.torch.test_programs import PROGRAMS


def main() -> None:
    """Write programs.json."""
    import torch

    answers = {program: answer(program, torch) for _, program in programs(PROGRAMS)}
    PROGRAMS.with_suffix(".json").write_text(json.dumps(answers, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
