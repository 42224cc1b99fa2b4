"""Who may import whom: every layer imports only from its left, and heavy packages only where they are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "explain"
LAYERS = (
    "errors",
    "ops",
    "tape",
    "torch",
    "program",
    "calculus",
    "derivation",
    "render",
    "embed",
    "hosts",
    "site",
    "cli",
)
HOOKS = {
    ("derivation/model.py", "explain.render.document"),  # a Run shows itself; imported when it does
}
HEAVY = {  # package -> layers that may import it
    "sympy": {"calculus", "derivation", "render", "embed"},
    "jinja2": {"render", "embed", "site"},
    "markdown_it": {"embed", "site", "hosts"},
}
CHECKED = [p for p in sorted(ROOT.rglob("*.py")) if p.relative_to(ROOT).as_posix() not in ("__init__.py", "__main__.py")]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module and node.module.count(".") == 0:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", CHECKED, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    own = path.relative_to(ROOT).as_posix()
    mine = LAYERS.index(own.split("/")[0].removesuffix(".py"))
    for module in imports(path):
        package = module.split(".")[0]
        if package == "explain" and (own, module) not in HOOKS and layer(module) in LAYERS:
            assert LAYERS.index(layer(module)) <= mine, f"{own} imports {module}"
        if package in HEAVY and LAYERS[mine] != "cli":
            assert LAYERS[mine] in HEAVY[package], f"{own} imports {package}"


def test_no_module_is_outside_the_layers() -> None:
    for path in CHECKED:
        assert path.relative_to(ROOT).as_posix().split("/")[0].removesuffix(".py") in LAYERS


LIGHT = [
    (["-m", "explain", "--help"], ("numpy", "sympy", "jinja2")),
    (["-m", "explain", "--version"], ("numpy", "sympy", "jinja2")),
    (["-c", "import explain; explain.ExplainError"], ("numpy", "sympy", "jinja2")),
    (["-c", "import explain.tape as t; t.Tensor"], ("sympy", "jinja2")),
    (["-c", "import explain.program.evaluate"], ("sympy", "jinja2")),
]


@pytest.mark.parametrize(("arguments", "absent"), LIGHT, ids=lambda a: " ".join(a))
def test_light_uses_load_nothing_heavy(arguments: list[str], absent: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & set(absent)
