"""What contributors send runs in a box: what leads out of it is refused, with the line and the reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from explain.derivation.model import Run
from explain.derivation.program import run_program

REFUSED: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "refused.toml").read_text(encoding="utf-8"))
CASES = [pytest.param(kind, program, id=f"{kind}-{name}") for kind, of in REFUSED.items() for name, program in of.items()]


def run(program: str, **options: Any) -> Run:
    return run_program(program, **options)


@pytest.mark.parametrize(("kind", "program"), CASES)
def test_it_is_refused(kind: str, program: str) -> None:
    found = run(program)
    assert found.outcome == "refused", (found.error, found.stdout)
    assert found.error is not None and found.error["kind"] == f"refused_{kind}"
    assert 1 <= found.error["line"] <= program.count("\n") + 1
    page = found.render("text", width=500)
    assert "Refused" in page and "TypeError" not in page


@pytest.mark.parametrize(
    "program",
    [
        "x = torch.ones(1)\nx.array",
        "x = torch.ones(1)\nx.record",
        "x = torch.ones(1, requires_grad=True)\n(x * 2).node",
        "x = torch.ones(1)\nx.array = 5",
        "x = torch.ones(1)\nsuper(torch.Tensor, x).__setattr__('array', 5)",
        "try:\n    1 / 0\nexcept Exception as e:\n    e.tb",
        "try:\n    torch.nn.functional.nothing\nexcept AttributeError as e:\n    e.obj.relu.module",
    ],
)
def test_our_own_insides_do_not_exist(program: str) -> None:
    found = run(program)
    assert found.outcome == "error" and found.error is not None and found.error["type"] == "AttributeError"


@pytest.mark.parametrize(
    "program",
    [
        "class A:\n    def __init__(self):\n        self._x = 1\n        self.n = 0\na = A()\na.n += a._x\nprint(a.n)",
        "d = {'a': [1]}\nd['a'][0] += 1\nprint(d)",
        "def outer():\n    n = 0\n"
        "    def inner():\n        nonlocal n\n        n += 1\n        return n\n    return inner()\nprint(outer())",
        "match (1, 2):\n    case (a, b):\n        print(a + b)",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\n"
        "match P(2):\n    case P(x=n):\n        print(n)",
        "from enum import Enum\nclass C(Enum):\n    A = 1\nprint(C.A.value)",
        "x: float = 1.5\nprint('{:.2f}'.format(x), f'{x:.1f}', '{a.imag}'.format(a=x))",
        "import numpy as np\na = np.arange(3)\na[0] += 5\nprint(a.sum(), np.linalg.norm(a))",
        "from functools import reduce, partial, wraps\nprint(reduce(max, [1, 2]), partial(pow, 2)(3))",
        "import random, math, itertools\nrandom.seed(0)\nprint(math.pi, list(itertools.islice(itertools.count(), 2)))",
        "if __name__ == '__main__':\n    print('main')",
        "with torch.no_grad() as g, torch.enable_grad():\n    print(torch.is_grad_enabled())",
        "def f(*a, **k):\n    return len(a) + len(k)\nprint(f(*[1, 2], **{'b': 1}))",
        "print(sorted({3, 1}), {k: v for k, v in [(1, 2)]}, [i for i in range(3) if i % 2])",
        "def g():\n    yield 1\n    yield from [2]\nprint(list(g()), sum(i for i in range(3)))",
        "try:\n    raise ValueError('a')\nexcept (ValueError, TypeError) as e:\n    pass\n"
        "else:\n    pass\nfinally:\n    print('f')",
        "import torch.nn.functional as F, torch.nn as nn\nprint(F.relu(torch.tensor(-1.)), nn.Linear(2, 1).weight.shape)",
        "a, *b = [1, 2, 3]\n(c := 4)\nprint(a, b, c, a if a else b)\ndel a\nassert c\nglobal_ = 1",
    ],
)
def test_good_programs_run(program: str) -> None:
    found = run(program)
    assert found.outcome == "ok", (found.error, program)


def test_a_trusted_program_is_ordinary_python() -> None:
    program = "import sys\nprint(eval('1 + 1'), ().__class__.__name__, len(sys.argv) >= 0)"
    assert run(program).outcome == "refused"
    assert run(program, trusted=True).stdout == "2 tuple True\n"
