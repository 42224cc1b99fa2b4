"""What the README shows is what the program does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from explain.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
COMMANDS = [line[line.index("explain expr") :] for line in SHELL if "explain expr" in line]


def arguments(command: str) -> list[str]:
    return shlex.split(command, comments=True)[1:]


def test_the_first_command_prints_the_page_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*arguments(COMMANDS[0]), "--format", "text"]) == 0
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(command)) == 0
    assert "✗" not in capsys.readouterr().out


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("2*A.T@(A@x - b)\n")


def test_the_program_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    (tmp_path / "lesson.py").write_text(code, "utf-8")
    assert main(["run", str(tmp_path / "lesson.py"), "--format", "text"]) == 0
    (claimed,) = re.findall(r"`(∂loss/∂w = .*?)`", README)
    assert f"    {claimed}\n" in capsys.readouterr().out
