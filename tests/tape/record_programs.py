"""Records what torch answers to the programs: ``python -m tests.tape.record_programs``, with torch 2.13.0 installed."""

import json

from tests.tape.programs import ANSWERS, answer, programs


def main() -> None:
    """Write programs.json."""
    import torch

    torch.cross_entropy = torch.nn.functional.cross_entropy
    answers = {program: answer(program, torch) for _, program in programs()}
    ANSWERS.write_text(json.dumps(answers, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
