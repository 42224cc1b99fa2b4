"""The process that forks: nothing of it is left in its children, none outlives who asked for it, nobody depends on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from explain.derivation.boxed import run
from explain.program import zygote
from explain.program.box import Boxed, Job

pytestmark = pytest.mark.skipif(not zygote.SUPPORTED, reason="nothing is forked here")

LESSON = "x = torch.arange(3., requires_grad=True)\n(x * x).sum().backward()\nprint(x.grad)"
ENDLESS = "while True:\n    pass"


@pytest.fixture(autouse=True)
def forking() -> Iterator[None]:
    with zygote.forking():
        yield


def boxed(text: str) -> Boxed:
    return Boxed(Job(text, "p", False, None, None, None, 20.0, 1 << 30))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: object, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def begun(child: Boxed) -> int:
    """The number of a process in which the program runs."""
    assert isinstance(child.process, zygote.Forked) and until(lambda: child.frames.qsize())
    return child.process.pid


def the_zygote() -> zygote._Zygote:
    assert zygote._running is not None
    return zygote._running


def limits(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split() for line in lines}


def test_a_child_has_nothing_open_and_the_zygote_no_thread() -> None:
    child = boxed(ENDLESS)
    pid = begun(child)
    try:
        assert until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= 4), "three, and the frames that it writes"
        open_now = {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        assert not any("socket" in target for target in open_now), open_now
        assert len(os.listdir(f"/proc/{the_zygote().process.pid}/task")) == 1
        memory = "Max address space"
        assert until(lambda: limits(pid)[memory] != limits(the_zygote().process.pid)[memory]), "limits are the child's"
    finally:
        child.end()
    assert not alive(pid) and child.process.returncode == -signal.SIGKILL


def test_a_child_that_is_killed_is_told_and_others_run_on() -> None:
    other = boxed(ENDLESS)
    child = boxed(ENDLESS)
    os.kill(begun(child), signal.SIGKILL)
    answer = child.answer()
    assert (answer.document, answer.stage, answer.exit) == (None, "program", -signal.SIGKILL)
    assert alive(begun(other))
    other.end()
    assert run(LESSON).outcome == "ok"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_when_the_zygote_dies_programs_end_and_the_next_ones_run(how: int) -> None:
    child = boxed(ENDLESS)
    pid, parent = begun(child), the_zygote().process
    os.kill(parent.pid, how)
    if how == signal.SIGKILL:
        parent.wait(10)
    child.end()
    assert until(lambda: not alive(pid)), "its child can still be ended"
    assert run(LESSON).stdout == "tensor([0., 2., 4.])\n" and the_zygote().process.poll() is None
    assert (the_zygote().process is parent) == (how == signal.SIGINT), "Ctrl-C is for programs"


def test_no_child_outlives_who_asked_for_it() -> None:
    code = (
        "import os, signal; from explain.program import zygote; from explain.program.box import Boxed, Job\n"
        f"with zygote.forking(): child = Boxed(Job({ENDLESS!r}, 'p', False, None, None, None, 60.0, 1 << 30))\n"
        "child.frames.get(timeout=30); print(child.process.pid, zygote._running.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2 and until(lambda: not any(map(alive, pids)))


def test_several_at_once() -> None:
    found: list[str] = []
    texts = [f"print({k})\n{LESSON}" for k in range(6)]

    def work(text: str) -> None:
        with zygote.forking():
            found.append(run(text).stdout)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"{k}\ntensor([0., 2., 4.])\n" for k in range(6)]


def test_where_nothing_can_be_forked_programs_run_in_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    zygote._leave()
    monkeypatch.setattr(zygote, "_running", None)
    monkeypatch.setattr(zygote, "_hopeless", False)
    monkeypatch.setattr(zygote._Zygote, "fork", lambda self: None)
    child = boxed(LESSON)
    assert isinstance(child.process, subprocess.Popen) and child.answer().document is not None
    assert zygote._hopeless, "it is not tried again"


def test_programs_see_nothing_of_each_other() -> None:
    run("import math\ntorch.manual_seed(5)\ntorch.set_default_dtype(torch.float64)\ntorch.set_printoptions(precision=1)")
    found = run("print(torch.rand(2), torch.ones(1).dtype)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zygote, "SUPPORTED", False)
        assert run("print(torch.rand(2), torch.ones(1).dtype)").stdout == found.stdout
