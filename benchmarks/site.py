"""A site of 200 pages with 20 formulas each: what a build costs, as ratios to the least that such pages can cost.

The floor is markdown-it-py, math-core and jinja2 alone, which has no contents, no search and no checks. MkDocs is measured
too where it is installed (it leaves the formulas to the browser). Every build runs in a process of its own. Against the
floor it is the median of rounds in turn, elsewhere the best of three. What is compared is processor time, because machines
are shared; for several processes it is the clock.

    python benchmarks/site.py
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from statistics import median

PAGES, ROUNDS = 200, 7
WORDS = "The gradient of a sum is the sum of the gradients, and what is used twice gets two contributions. "
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""As users run it: modules are compiled once."""
FENCED = 100
"""Pages of the site with derivations."""

FLOOR = textwrap.dedent(
    """
    import pathlib, sys
    import jinja2, math_core
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    src, out = map(pathlib.Path, sys.argv[1:])
    tex = math_core.LatexToMathML()
    def formula(content, options):
        return tex.convert_with_local_state(content, displaystyle=options["display_mode"])
    md = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=formula)
    frame = jinja2.Environment().from_string("<!DOCTYPE html><title>{{ title }}</title><main>{{ body }}</main>")
    out.mkdir(exist_ok=True)
    for page in sorted(src.glob("*.md")):
        (out / page.with_suffix(".html").name).write_text(frame.render(title=page.stem, body=md.render(page.read_text())))
    """
)


def page(number: int) -> str:
    """Five headings, two tables, twenty formulas, 3.4 kB of Markdown."""
    parts = [f"# Page {number}\n"]
    for section in range(4):
        parts.append(f"## Section {section}\n\n{WORDS * 5}\n")
        parts.append(" ".join(f"Here $x_{{{k}}} = \\sum_i a_{{{number}i}}\\, b_{{i{k}}}$ holds." for k in range(4)) + "\n")
        parts.append(
            f"$$\n\\frac{{\\partial L}}{{\\partial x_{section}}} = \\sum_k J_{{k{section}}}\\, v_{{k{number}}}\n$$\n"
        )
        if section % 2:
            parts.append("| op | rule |\n|---|---|\n| `exp` | itself |\n| `sum` | ones |\n")
    parts.append(f"See [another](p{(number + 1) % PAGES}.md#section-2).\n")
    return "\n".join(parts)


def derivations(number: int) -> str:
    """A page with four derivations of its own."""
    options = f"#| at: X=randn(3,4,seed={number})\n#| at: w=randn(4)\n#| wrt: w\n"
    fences = [f"```explain\n{options}mean((tanh(X@w) - {k})**2)\n```\n" for k in range(1, 5)]
    return f"# Page {number}\n\n" + "\n".join(fences)


def run(*command: object) -> tuple[float, float, float]:
    """Seconds of processor time, seconds by the clock, and the largest MiB of the process."""
    before = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - before, usage.ru_maxrss / 1024


def best(build: object, *, before: object = None, by: int = 0) -> tuple[float, float, float]:
    """The best of three runs, by the processor's time (0) or by the clock (1)."""
    found = []
    for _ in range(3):
        if before is not None:
            before()  # type: ignore[operator]
        found.append(build())  # type: ignore[operator]
    return min(found, key=lambda times: times[by])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        src, out, cache = folder / "src", folder / "out", folder / "cache"
        src.mkdir()
        without_font = src / "site.toml"
        without_font.write_text('math_font = "none"\n')  # the floor and MkDocs leave fonts to the reader
        for number in range(PAGES):
            (src / f"p{number}.md").write_text(page(number))

        def explained(*options: object, where: Path = src, kept: Path = cache) -> tuple[float, float, float]:
            return run(sys.executable, "-m", "explain", "build", where, "-o", out, "--cache", kept, *options)

        def clear() -> None:
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(cache, ignore_errors=True)

        def touch() -> None:
            with (src / "p7.md").open("a") as file:
                file.write(f"{WORDS}\n")

        pairs = []
        for _ in range(ROUNDS):  # in turn, because a machine that others use is now faster, now slower
            clear()
            least_of_all = run(sys.executable, "-c", FLOOR, src, out)
            clear()
            pairs.append((least_of_all, explained("--jobs", 1)))
        floor, cold = (median(pair[k][0] for pair in pairs) for k in (0, 1))
        ratio = median(ours[0] / theirs[0] for theirs, ours in pairs)
        (_, _, least), (_, _, memory) = pairs[0]
        nothing, *_ = best(explained)
        one, *_ = best(explained, before=touch)
        without_font.unlink()
        font = best(lambda: explained("--jobs", 1), before=clear)[0] - cold
        kept, *_ = best(explained, before=touch)
        without_font.write_text('math_font = "none"\n')
        print(f"floor                     {floor:6.2f} s   {least:4.0f} MiB")
        print(f"all pages                 {cold:6.2f} s   {memory:4.0f} MiB   {ratio:5.2f} times the floor (at most 2)")
        print(f"nothing changed           {nothing:6.2f} s              (at most 0.3)")
        print(f"one page changed          {one:6.2f} s              (at most 0.4)")
        print(f"with the extra 'font'     {font:6.2f} s more, once; one page changed {kept:.2f} s (at most 0.4)")
        if importlib.util.find_spec("mkdocs"):
            settings = folder / "mkdocs.yml"
            settings.write_text(f"site_name: x\ndocs_dir: {src}\nsite_dir: {out}\nmarkdown_extensions: [tables]\n")
            other, *_ = best(lambda: run(sys.executable, "-m", "mkdocs", "build", "-q", "-f", settings), before=clear)
            print(f"MkDocs                    {other:6.2f} s              {other / cold:5.2f} times as long as ours")
        heavy = folder / "heavy"
        heavy.mkdir()
        for number in range(FENCED):
            (heavy / f"p{number}.md").write_text(derivations(number))
        times: dict[int, list[float]] = {1: [], 2: []}
        for jobs in (1, 2) * 3:
            clear()
            times[jobs].append(explained("--jobs", jobs, where=heavy)[1])
        faster = median(one / two for one, two in zip(times[1], times[2], strict=True))
        print(f"derivations, 1 process    {median(times[1]):6.2f} s")
        print(f"derivations, 2 processes  {median(times[2]):6.2f} s              {faster:5.2f} times as fast (at least 1.6)")


if __name__ == "__main__":
    main()
