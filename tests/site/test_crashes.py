"""Builds that are killed, disks that are full, caches that are damaged, workers that die: the next build is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from explain.errors import InputError
from explain.site import crew
from explain.site.build import build_site
from explain.site.tasks import Done, PageTask, Task
from tests.site.places import outputs, write

PAGES = 8
SITE = {
    f"{f'p{k}' if k else 'index'}.md": f"# Page {k}\n\n```explain\n#| at: x=[1,{k}]\n#| show: answer\nsum(x*x*{k})\n```\n"
    for k in range(PAGES)
}


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the site is when nothing happens."""
    folder = tmp_path_factory.mktemp("right")
    src = write(folder / "src", SITE)
    assert not build_site(src, folder / "out", cache=folder / "cache").problems
    return outputs(folder / "out")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_build_that_is_killed(jobs: str, tmp_path: Path, right: dict[str, bytes]) -> None:
    """Killed at its third page, with a page of an older state that is gone from the sources since."""
    src = write(tmp_path / "src", {**SITE, "old.md": "# Old\n"})
    command = [sys.executable, "-m", "explain", "build", str(src), "-o", str(tmp_path / "out"), "--cache",
               str(tmp_path / "cache"), "--jobs", jobs]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list((tmp_path / "out").glob("*.html"))) < 3 and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (src / "old.md").unlink()
    report = build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    assert not report.problems
    for left in (tmp_path / "out").glob(".new-*"):
        os.utime(left, (0, 0))  # as the next build finds it some minutes later
    write(src, {"p1.md": SITE["p1.md"] + "\n"})
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache").problems
    assert outputs(tmp_path / "out") == right
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache").changed


def test_a_damaged_cache(tmp_path: Path, right: dict[str, bytes]) -> None:
    src = write(tmp_path / "src", SITE)
    build_site(src, tmp_path / "out", cache=tmp_path / "cache")
    for number, path in enumerate(sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())):
        data = path.read_bytes()
        path.write_bytes([b"", data[: len(data) // 2], data[:-1] + b"?", b"\0" * len(data)][number % 4])
    build_site(src, tmp_path / "other", cache=tmp_path / "cache")
    assert outputs(tmp_path / "other") == right
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache").problems
    assert outputs(tmp_path / "out") == right


def test_a_full_disk(tmp_path: Path, right: dict[str, bytes]) -> None:
    """A small disk of its own, where that is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk may be mounted here")
    try:
        src = write(tmp_path / "src", SITE)
        with pytest.raises(InputError, match="cannot be written: No space left on device"):
            build_site(src, disk / "out", cache=tmp_path / "cache")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert not build_site(src, disk / "out", cache=tmp_path / "cache").problems
        assert outputs(disk / "out") == right
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_two_builds_at_once(tmp_path: Path, right: dict[str, bytes]) -> None:
    src = write(tmp_path / "src", SITE)
    where = [str(src), "-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "explain", "build", *where]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert "explain:" not in process.communicate()[1] and process.returncode == 0
    assert outputs(tmp_path / "out") == right


def test_any_executor_does_the_work(tmp_path: Path, right: dict[str, bytes]) -> None:
    src = write(tmp_path / "src", SITE)
    with ThreadPoolExecutor(1) as executor:
        assert build_site(src, tmp_path / "out", cache=tmp_path / "cache", executor=executor).rendered == PAGES
    assert outputs(tmp_path / "out") == right


class Failing(Executor):
    """Workers that die on every task once; on one task always."""

    def __init__(self, always: str = "") -> None:
        self.always, self.seen = always, set[str]()

    def submit(self, fn: Any, /, task: Task) -> Future[Any]:  # type: ignore[override]
        future: Future[Any] = Future()
        if task.name in self.seen and task.name != self.always:
            future.set_result(fn(task))
        else:
            self.seen.add(task.name)
            future.set_exception(RuntimeError("the worker is gone"))
        return future


def test_a_task_whose_worker_died_is_sent_again(tmp_path: Path, right: dict[str, bytes]) -> None:
    src = write(tmp_path / "src", SITE)
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache", executor=Failing()).problems
    assert outputs(tmp_path / "out") == right
    report = build_site(src, tmp_path / "other", cache=tmp_path / "cold", executor=Failing("p3.md"))
    assert report.rendered == PAGES - 1
    assert [p.source for p in report.errors] == ["p3.md"] and "the worker is gone" in report.errors[0].message


class Killing:
    """A task that kills its process: once, or always."""

    def __init__(self, flag: Path | None) -> None:
        self.flag = flag
        self.name = "killing"
        self.effort = 1.0

    def work(self) -> dict[str, Any]:
        if self.flag is None or not self.flag.exists():
            if self.flag is not None:
                self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {}


class Sleeping:
    name = "sleeping"
    effort = 1.0

    def work(self) -> dict[str, Any]:
        time.sleep(0.05)
        return {}


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    once = [Killing(tmp_path / "once"), *(Sleeping() for _ in range(5))]
    assert [done.fault for _, done in crew.work(once, jobs=2)] == [""] * 6  # type: ignore[arg-type]
    always = [Killing(None), *(Sleeping() for _ in range(5))]
    found = {task.name: done.fault for task, done in crew.work(always, jobs=2)}  # type: ignore[arg-type]
    assert "was killed" in found["killing"] and found["sleeping"] == ""


def test_a_dask_cluster_of_two_workers_one_of_which_is_killed(tmp_path: Path, right: dict[str, bytes]) -> None:
    distributed = pytest.importorskip("distributed")
    src = write(tmp_path / "src", SITE)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).process.process.pid

        def kill() -> None:
            while not list((tmp_path / "out").glob("*.html")):
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        from explain.site.dask import executor_at

        with executor_at(cluster.scheduler_address) as executor:
            report = build_site(src, tmp_path / "out", cache=tmp_path / "cache", executor=executor)
        killer.join()
    assert report.rendered == PAGES and not report.problems
    assert outputs(tmp_path / "out") == right


def test_no_scheduler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    from explain.site import dask

    monkeypatch.setattr(dask, "PATIENCE", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers"), dask.executor_at("tcp://127.0.0.1:9"):
        pass


def test_a_fault_of_ours_is_told_and_the_rest_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: PageTask) -> Done:
        if self.name == "p1.md":
            raise ZeroDivisionError("oh")
        return work(self)  # type: ignore[return-value]

    work = PageTask.work
    monkeypatch.setattr(PageTask, "work", broken)
    report = build_site(write(tmp_path / "src", SITE), tmp_path / "out", cache=tmp_path / "cache")
    assert [p.source for p in report.errors] == ["p1.md"] and "ZeroDivisionError: oh" in report.errors[0].message
    assert report.rendered == PAGES - 1
