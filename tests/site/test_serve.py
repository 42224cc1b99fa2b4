"""A served site follows its sources; a starter site is one that builds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from explain.errors import InputError
from explain.site.build import build_site
from explain.site.serve import serve
from explain.site.starter import make_starter
from tests.site.places import write


@pytest.fixture
def served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[Path, str]]:
    pytest.importorskip("watchfiles")
    src = write(tmp_path / "src", {"index.md": "# Home\n\nFirst text.\n"})
    stop = threading.Event()
    options = {"port": 0, "jobs": 1, "cache": tmp_path / "cache", "stop": stop}
    thread = threading.Thread(target=serve, args=(src, tmp_path / "out"), kwargs=options)
    thread.start()
    said = ""
    while " at http" not in said:
        time.sleep(0.02)
        said += capsys.readouterr().out
    yield src, said.split(" at ")[1].split()[0]
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def get(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_what_changes_is_built_and_browsers_hear_of_it(served: tuple[Path, str]) -> None:
    src, url = served
    status, text = get(url)
    assert status == 200 and "First text." in text and '<script src="/-/live.js">' in text
    with urllib.request.urlopen(f"{url}-/events", timeout=20) as events:

        def news() -> dict[str, object]:
            line = events.readline().decode()
            events.readline()
            return json.loads(line.removeprefix("data: "))

        first = news()
        assert first["problems"] == []
        write(src, {"index.md": "# Home\n\nSecond text $\\nosuch$.\n"})
        second = news()
        assert second["version"] != first["version"]
        assert second["problems"] and str(second["problems"][0]).startswith("index.md:3: explain: ")  # type: ignore[index]
        assert "Second text" in get(url)[1]
        write(src, {"site.toml": "titel = 1"})
        assert "no setting 'titel'" in str(news()["problems"])
        (src / "site.toml").unlink()
        write(src, {"index.md": "# Home\n\nThird text.\n"})
        while news()["problems"]:
            pass
        assert "Third text" in get(url)[1]


def test_other_names_and_other_places_are_refused(served: tuple[Path, str]) -> None:
    url = served[1]
    assert get(url, Host="evil.example:80")[0] == 403
    status, text = get(f"{url}no/such/page.html")
    assert status == 404 and "There is no such page" in text
    assert get(f"{url}../src/index.md")[0] == 404 and get(f"{url}%2e%2e/src/index.md")[0] == 404


def test_a_port_that_is_taken_is_said(tmp_path: Path, served: tuple[Path, str]) -> None:
    port = int(served[1].rstrip("/").rpartition(":")[2])
    with pytest.raises(InputError, match="is not free"):
        serve(served[0], tmp_path / "other", port=port, jobs=1, cache=tmp_path / "cache")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_starter_site_builds_without_a_fault(lang: str, tmp_path: Path) -> None:
    make_starter(tmp_path / "notes", lang)
    report = build_site(tmp_path / "notes", tmp_path / "out", strict=True, cache=tmp_path / "cache")
    assert report.problems == () and report.pages == 2
    assert "✓" in (tmp_path / "out/index.html").read_text("utf-8")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "notes", {"mine.md": "mine"})
    command = [sys.executable, "-m", "explain", "new", str(tmp_path / "notes")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not empty" in done.stderr and len(list((tmp_path / "notes").iterdir())) == 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["serve", "SRC"], "pip install 'explain-grad[serve]'"),
    (["build", "SRC", "--dask", "tcp://127.0.0.1:1"], "pip install 'explain-grad[dask]'"),
])  # fmt: skip
def test_a_missing_extra_is_named(arguments: list[str], words: str, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['watchfiles'] = sys.modules['distributed'] = None;"
        "from explain.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    given = [str(tmp_path) if a == "SRC" else a for a in arguments]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and words in done.stderr
