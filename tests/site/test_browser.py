"""A built site in a real browser, opened from a disk: search, languages, dark, phones, keys."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from explain.site.build import build_site
from tests.site.places import FENCE, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")

LONG = "A paragraph that has some words in it, so that the page is longer than the window. " * 12
SITE = {
    "site.toml": 'title = "Notes"\nlanguages = ["en", "zh"]\n',
    "en/index.md": f"---\ntitle: Home\norder: 0\n---\n\n## First\n\n{FENCE}\n## Second\n\n{LONG}\n\n## Third\n\n{LONG}\n",
    "zh/index.md": f"---\ntitle: 首页\norder: 0\n---\n\n## 第一\n\n{FENCE}",
    "en/guide/index.md": "---\ntitle: Guide\n---\n",
    "zh/guide/index.md": "---\ntitle: 指南\n---\n",
    "en/guide/kinks.md": "# Kinks\n\n## At zero\n\nThe hinge has none there.\n\n```py\nx = 1\n```\n",
    "zh/guide/kinks.md": "# 拐点\n\n## 在零处\n\n铰链函数在那里没有导数，反向传播选取一个次梯度。\n",
}
WAIT = "const wait = (ms) => new Promise((done) => setTimeout(done, ms));"
KEY = "const key = (where, key, more) => where.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, ...more}));"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    src = write(folder / "src", SITE)
    assert not build_site(src, folder / "out", cache=folder / "cache").problems
    return folder / "out"


def asked(page: Path, probe: str, width: int = 1300, *flags: str) -> Any:
    """What a probe (the body of an asynchronous function) finds in a page that was opened from the disk."""
    text = page.read_text("utf-8")
    script = (
        f"<script>{WAIT}{KEY}const faults = []; addEventListener('error', (e) => faults.push(e.message));"
        f"addEventListener('load', async () => {{ let found; try {{ found = await (async () => {{ {probe} }})(); }}"
        "catch (e) { found = String(e); }"
        "document.documentElement.dataset.found = JSON.stringify([faults, found]); });</script></head>"
    )
    probed = page.with_name(f"probed-{page.name}")
    probed.write_text(text.replace("</head>", script, 1), "utf-8")
    profile = page.parent / f"profile-{width}"
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
        f"--window-size={width},900", "--virtual-time-budget=6000", "--dump-dom", *flags, probed.as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    finally:
        probed.unlink()
        shutil.rmtree(profile, ignore_errors=True)
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match is not None, done.stdout[:500]
    faults, found = json.loads(html.unescape(match[1]))
    assert faults == []
    return found


SEARCH = (
    "const input = document.querySelector('.find input'); key(document.body, '/'); await wait(300);"
    "const focused = document.activeElement === input; input.value = %s; input.dispatchEvent(new Event('input'));"
    "await wait(300);"
    "const list = [...document.querySelectorAll('#found a')].map((a) => [a.getAttribute('href'), a.textContent]);"
)


@pytest.mark.parametrize(
    ("page", "words", "target"),
    [
        ("en/index.html", "kinks", "../en/guide/kinks.html"),
        ("en/index.html", "hinge none", "../en/guide/kinks.html#at-zero"),
        ("en/guide/kinks.html", "sum(x*x)", "../../en/index.html#first"),
        ("zh/index.html", "次梯度", "../zh/guide/kinks.html#%E5%9C%A8%E9%9B%B6%E5%A4%84"),
        ("zh/index.html", "传播的次梯度", "../zh/guide/kinks.html#%E5%9C%A8%E9%9B%B6%E5%A4%84"),
    ],
)
def test_search_finds_the_place(site: Path, page: str, words: str, target: str) -> None:
    found = asked(site / page, (SEARCH % json.dumps(words)) + "return [focused, list]")
    assert found[0] is True and found[1][0][0] == target


def test_search_by_keys_alone(site: Path) -> None:
    """Down and up choose, Enter opens, Escape leaves; what is not there is said."""
    probe = (SEARCH % '"a"') + (
        "const at = () => input.getAttribute('aria-activedescendant'); const steps = [at()];"
        "key(input, 'ArrowDown'); steps.push(at()); key(input, 'ArrowUp'); steps.push(at());"
        "let opened = null; const chosen = document.querySelector('[aria-selected=true] a');"
        "chosen.onclick = (e) => { opened = true; e.preventDefault(); };"
        "key(input, 'Enter'); input.focus(); input.value = 'xyzzy'; input.dispatchEvent(new Event('input'));"
        "const none = document.getElementById('found').textContent; key(input, 'Escape');"
        "return [steps, opened, none, document.getElementById('found').hidden, document.activeElement === input]"
    )
    assert asked(site / "en/index.html", probe) == [["found-0", "found-1", "found-0"], True, "Nothing found", True, False]


def test_the_language_switch_keeps_the_page(site: Path) -> None:
    probe = "return document.querySelector('.language').getAttribute('href')"
    assert asked(site / "en/guide/kinks.html", probe) == "../../zh/guide/kinks.html"
    assert asked(site / "zh/guide/kinks.html", probe) == "../../en/guide/kinks.html"


PAPER = "getComputedStyle(document.body).backgroundColor"


def test_dark_and_light_by_the_system_and_by_hand(site: Path) -> None:
    probe = (
        f"const seen = [{PAPER}]; const button = document.querySelector('.theme');"
        f"button.click(); await wait(50); seen.push({PAPER}); button.click(); await wait(50); seen.push({PAPER});"
        "return [seen, localStorage.getItem('theme')]"
    )
    page = site / "en/index.html"
    light, kept = asked(page, probe)
    assert light[0] == light[2] != light[1] and kept == "light"
    dark, _ = asked(page, probe, 1300, "--blink-settings=preferredColorScheme=0")
    assert [dark[0], dark[1]] == [light[1], light[0]]


@pytest.mark.parametrize("page", ["en/index.html", "zh/index.html", "en/guide/kinks.html"])
def test_on_a_phone_nothing_is_wider_than_the_window_and_contents_open(site: Path, page: str) -> None:
    probe = (
        "const fits = document.documentElement.scrollWidth <= innerWidth; const side = document.querySelector('.contents');"
        "const before = getComputedStyle(side).display; const button = document.querySelector('.menu');"
        "button.click(); const open = [getComputedStyle(side).display, button.getAttribute('aria-expanded')];"
        "key(document.body, 'Escape'); return [fits, before, open, getComputedStyle(side).display]"
    )
    assert asked(site / page, probe, 500) == [True, "none", ["block", "true"], "none"]


def test_the_keyboard_reaches_everything(site: Path) -> None:
    """The first stop is the link to the text; every link and button has a name; code can be copied."""
    probe = (
        "const stops = [...document.querySelectorAll('a[href], button, input, summary')].filter((e) => e.tabIndex >= 0);"
        "const nameless = stops.filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label')));"
        "const copy = document.querySelector('.coded button');"
        "return [stops[0].getAttribute('href'), nameless.length, copy && copy.textContent]"
    )
    assert asked(site / "en/guide/kinks.html", probe) == ["#text", 0, "Copy"]


def test_the_table_of_contents_follows_the_reader(site: Path) -> None:
    probe = (
        "const now = () => document.querySelector('.here .now').textContent; const seen = [now()];"
        "scrollTo({top: document.body.scrollHeight, behavior: 'instant'}); await wait(300); seen.push(now()); return seen"
    )
    assert asked(site / "en/index.html", probe) == ["First", "Third"]


def test_the_door_leads_to_the_readers_language(site: Path) -> None:
    for language, title in (("zh-CN", "首页"), ("en-US", "Home"), ("fr-FR", "Home")):
        done = subprocess.run(
            [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={site / 'profile'}",
             f"--accept-lang={language}", "--virtual-time-budget=3000", "--dump-dom", (site / "index.html").as_uri()],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
        shutil.rmtree(site / "profile", ignore_errors=True)
        assert f"<title>{title}</title>" in done.stdout


@pytest.mark.parametrize("base_url", ["", "https://example.org/notes/"])
def test_the_page_for_lost_readers_is_whole_from_a_disk(base_url: str, tmp_path: Path) -> None:
    """Opened as a file it has its style, and its contents and search lead into the folder that it lies in."""
    src = write(tmp_path / "src", SITE)
    assert not build_site(src, tmp_path / "out", cache=tmp_path / "cache", base_url=base_url or None).problems
    probe = (SEARCH % '"kinks"') + (
        "const top = getComputedStyle(document.querySelector('header.top')).display;"
        "return [top, document.querySelector('.contents a').href, list.length && document.querySelector('#found a').href]"
    )
    top, first, found = asked(tmp_path / "out/404.html", probe)
    out = (tmp_path / "out").as_uri()
    assert top == "flex" and first.startswith(f"{out}/en/") and found == f"{out}/en/guide/kinks.html"
