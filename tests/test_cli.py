"""The command: exit codes, formats, files, messages. What it prints is tested with the pages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from explain.cli import main
from explain.derivation.codec import run_from_json

DOT = ["expr", "2*dot(x, x)", "--at", "x=[0,1,2,3]"]

REFUSED = [  # arguments, a part of the message
    (["expr", "2*tahn(x)"], "did you mean 'tanh'?"),
    (["expr", "A@x", "--at", "A=ones(2,3)", "--at", "x=ones(2)"], "A is 2×3"),
    (["expr", "x +", "--at", "x=1"], "^"),
    (["expr", "x@y"], '--shape "x=n"'),
    (["expr", "A@x", "--shape", "A=m,n"], '--shape "x=n"'),
    (["expr", "x + y", "--at", "x=1"], "y"),
    (["expr", "x", "--at", "x=1", "--at", "x=2"], "--at gives x twice"),
    (["expr", "x", "--at", "x=1", "--wrt", "z"], "z"),
    (["expr", "x*2", "--at", "x=ones(3)", "--v", "[1,2]"], "v is"),
    (["expr", "x*2", "--at", "x=ones(3)", "--lang", "xx"], "xx"),
    (["expr", "x", "--at", "x=@nowhere.npy"], "nowhere.npy"),
    (["expr", "__import__('os')"], "__import__"),
    (["expr", "x", "--at", "x=1", "-o", "/nowhere/at/all.md"], "cannot be written"),
    (["expr", "x*2", "--at", "x=ones(300)"], "--v"),
]


@pytest.mark.parametrize(("arguments", "part"), REFUSED)
def test_bad_input_gets_one_message_and_exit_2(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and part in captured.err and "Traceback" not in captured.err


def test_a_warning_of_pytorch_comes_without_a_place_in_our_code(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, kind, *_: sys.stderr.write(warnings.formatwarning(message, kind, "", 0))
        assert main(["expr", "mse_loss(x, y)", "--at", "x=[1,2]", "--at", "y=3"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("explain: Using a target size") and ".py" not in said


def test_usage_errors_exit_2() -> None:
    for arguments in ([], ["expr"], ["nothing"], [*DOT, "--format", "docx"], [*DOT, "--wrt", " ,"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2


@pytest.mark.parametrize("wrt", [["--wrt", "x,z"], ["--wrt", "x", "--wrt", "z"], ["--wrt", " x , z,"]])
def test_names_stand_between_commas_or_in_options_of_their_own(wrt: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--at={name}=[1,2]" for name in "xyz"]
    assert main(["expr", "sum(x*y*z)", *given, *wrt, "--format", "json"]) == 0
    (derivation,) = run_from_json(capsys.readouterr().out).derivations
    assert [g.wrt for g in derivation.gradients] == ["x", "z"]


def test_a_failed_check_exits_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from explain.ops import REGISTRY

    right = REGISTRY["dot"].vjp
    monkeypatch.setattr(REGISTRY["dot"], "vjp", lambda *a: tuple(g * 1.001 for g in right(*a)), raising=False)
    assert main(DOT) == 1
    assert "do not trust this page" in capsys.readouterr().out


def test_files_take_their_format_from_their_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, start in (("page.md", "# "), ("page.txt", "Where "), ("page.json", "{"), ("page", "# ")):
        assert main([*DOT, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert main([*DOT, "--format", "text", "-o", str(tmp_path / "other.md")]) == 0
    assert (tmp_path / "other.md").read_text(encoding="utf-8").startswith("Where ")
    assert capsys.readouterr().out == ""


def test_large_arrays_go_beside_the_document(tmp_path: Path) -> None:
    file = tmp_path / "big.json"
    assert main(["expr", "sum(x**2)", "--at", "x=arange(20000)", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert len(text) < 100_000
    with np.load(tmp_path / "big.npz") as kept:
        run = run_from_json(text, dict(kept))
    np.testing.assert_array_equal(run.derivation.gradients[0].grad, 2 * np.arange(20000, dtype=np.float32))


def test_json_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DOT, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    keys = {"version", "outcome", "program", "stdout", "echo", "warnings", "error", "tensors", "derivations"}
    assert keys <= document.keys()
    (derivation,) = document["derivations"]
    (step,) = derivation["steps"]
    assert {
        "line",
        "output",
        "input",
        "rule",
        "sentence",
        "formula",
        "jacobian",
        "vjp",
        "value",
        "upstream",
        "ops",
    } <= step.keys()
    assert step["jacobian"]["latex"] == "4\\,x_i" and step["jacobian"]["sympy"] == "4*x[i]"
    (gradient,) = derivation["gradients"]
    assert gradient["closed_form"]["matrix"]["sympy"] == "4*x"
    assert {c["name"] for c in gradient["checks"]} == {"formula", "differences"}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "explain", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    )


def test_the_command_as_a_process() -> None:
    done = command(*DOT)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("# Where x.grad comes from\n")
    assert "\033[" not in command(*DOT, "--format", "text").stdout
    assert command("--version").stdout.startswith("explain ")
    assert command("expr", "2*tahn(x)").returncode == 2


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m explain expr 'sum(x)' --at 'x=ones(3)' | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert done.stderr == "" and done.stdout.splitlines()[-1] == "0"


def test_the_same_page_is_the_same_bytes_in_every_process() -> None:
    first, second = (command(*DOT, PYTHONHASHSEED=seed).stdout for seed in ("1", "2"))
    assert first == second


CHECKS = [  # arguments, verdict, exit code
    (["mean(3*(x+2)**2)", "--at", "x=ones(2,2)", "--wrt", "x", "--claim", "3/2*(x+2)"], "proved", 0),
    (["-x**2/2", "--at", "x=2", "--wrt", "x", "--claim=-x"], "proved", 0),
    (["-x**2/2", "--at", "x=2", "--wrt", "x", "--claim", "-x"], "proved", 0),
    (["2*dot(x, x); x=[0,1,2,3]", "--of", "out", "--wrt", "x", "--claim", "2*x"], "wrong", 1),
    (["1/x", "--at", "x=0", "--wrt", "x", "--claim", "-1/x**2"], "undecided", 1),
]


@pytest.mark.parametrize(("arguments", "verdict", "code"), CHECKS)
def test_check(arguments: list[str], verdict: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *arguments, "--format", "json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"verdict", "diagnosis"} and found["verdict"] == verdict
    assert (found["diagnosis"] is None) == (verdict == "proved")
    assert main(["check", *arguments]) == code
    assert capsys.readouterr().out.startswith(verdict)


def test_check_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "lesson.py"
    program.write_text("x = torch.tensor([1., 2.], requires_grad=True)\nloss = (x**3).sum()\nloss.backward()\n")
    asked = ["check", str(program), "--of", "loss", "--wrt", "x"]
    assert main([*asked, "--claim", "3*x**2"]) == 0
    assert main([*asked, "--claim", "3*x", "--lang", "zh"]) == 1
    assert capsys.readouterr().out.splitlines() == ["proved", "错误：在程序的取值处，元素 x[1] 是 12，而公式给出 6。"]
    assert main([*asked, "--claim", "3*x", "--lang", "zh", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "wrong"
    assert main([*asked, "--claim", "3*z"]) == 2
    assert "names 'z'" in capsys.readouterr().err
    program.write_text("x = torch.ones(2)\nx.sum().backward()\n")
    assert main([*asked, "--claim", "1", "--format", "json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"] == "undecided" and "line 2" in captured.err
