"""``explain run``: exit codes, options, where text comes from. What pages say is tested with the derivations."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from explain.cli import main

SQUARE = "import torch\nx = torch.tensor([1., 2.], requires_grad=True)\ny = (x ** 2).sum()\n"
BACKWARD = SQUARE + "y.backward()\nprint(x.grad)\n"

ENDS = [  # program, options, exit code, parts of what is printed
    (BACKWARD, [], 0, ["Where x.grad comes from", "tensor([2., 4.])", "✓ central differences"]),
    (SQUARE, ["--of", "y"], 0, ["Where x.grad comes from"]),
    (SQUARE, [], 0, ["The program asks for no gradient"]),
    (BACKWARD, ["--lang", "zh"], 0, ["检验"]),
    (BACKWARD, ["--index-base", "0"], 0, ["x₁ from 2"]),
    (BACKWARD + "y.backward()\n", [], 1, ["RuntimeError", "Trying to backward through the graph a second time"]),
    ("import os\n", [], 2, ["Refused in line 1", "os"]),
    ("while True:\n    pass\n", ["--timeout", "1"], 3, ["Stopped"]),
    ("x = [0] * 10 ** 10\n", ["--memory", "512M"], 3, ["Stopped in line 1"]),
    ("import os\nprint(os.sep)\n", ["--trust"], 0, ["/"]),
]


@pytest.mark.parametrize(("program", "options", "code", "parts"), ENDS)
def test_how_a_run_ends(
    program: str, options: list[str], code: int, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lesson.py"
    file.write_text(program, "utf-8")
    assert main(["run", str(file), "--format", "text", *options]) == code
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert "Traceback" not in captured.err
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = (1\n", ["lesson.py", "^"]),
        ("x = torch.tensor（1.0）\n", ["^", "("]),
        ("Only prose, no program at all.\n\nMore prose here.\n", ["there is no code in this text"]),
        ("", ["there is nothing in it"]),
    ],
)
def test_a_text_that_is_no_program(text: str, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "lesson.py"
    file.write_text(text, "utf-8")
    assert main(["run", str(file)]) == 2
    captured = capsys.readouterr()
    for part in parts:
        assert part in captured.out + captured.err


def test_files_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nowhere.py"]) == 2
    assert "nowhere.py" in capsys.readouterr().err


def test_a_paste_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pasted = "".join(f">>> {line}\n" for line in BACKWARD.splitlines())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pasted.encode()), encoding="utf-8"))
    assert main(["run", "-", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "ok" and document["stdout"] == "tensor([2., 4.])\n"
    assert [(d["kind"], d["line"]) for d in document["derivations"]] == [("backward", 4)]


def test_one_call_and_one_name_are_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "two.py"
    file.write_text(
        "import torch\na = torch.tensor(2., requires_grad=True)\nb = torch.tensor(3., requires_grad=True)\n"
        "(a * b).backward()\n(a + b * b).backward()\n",
        "utf-8",
    )
    assert main(["run", str(file), "--format", "json", "--backward", "2", "--wrt", "b"]) == 0
    (d,) = json.loads(capsys.readouterr().out)["derivations"]
    assert (d["line"], [g["wrt"] for g in d["gradients"]]) == (5, ["b"])
    assert main(["run", str(file), "--backward", "3"]) == 2
    assert main(["run", str(file), "--wrt", "c"]) == 2
