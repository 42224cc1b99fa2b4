"""What people paste becomes a program, line for line; what is none is told so, with the line and what to change."""

from __future__ import annotations

import json

import pytest

from explain.derivation.program import run_program
from explain.errors import InputError
from explain.program.paste import read_program

CODE = "x = torch.tensor([1., 2.], requires_grad=True)\ny = (x ** 2).sum()\ny.backward()\nprint(x.grad)"
PRINTED = "tensor([2., 4.])\n"


def notebook(*cells: str, kind: str = "code") -> str:
    made = [{"cell_type": kind, "source": cell.splitlines(keepends=True), "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Title"]}, *made], "nbformat": 4})


FORMS = {
    "script": (CODE, "script", 3),
    "fenced": (f"Some words first.\n\n```python\n{CODE}\n```\n\nAnd after.", "fenced", 6),
    "two fences": (
        f"A\n```py\n{CODE.splitlines()[0]}\n```\nthen\n~~~\n" + "\n".join(CODE.splitlines()[1:]) + "\n~~~\n", "fenced", 8,
    ),
    "fence in a list": (
        "- first\n\n  ```python\n" + "\n".join(f"  {line}" for line in CODE.splitlines()) + "\n  ```",
        "fenced", 6,
    ),
    "fence in a quote": ("> ```python\n" + "\n".join(f"> {line}" for line in CODE.splitlines()) + "\n> ```", "fenced", 4),
    "repl": (
        ">>> x = torch.tensor([1., 2.],\n...                  requires_grad=True)\n>>> y = (x ** 2).sum()\n>>> y\n"
        "tensor(5., grad_fn=<SumBackward0>)\n"
        ">>> y.backward()\n>>> print(x.grad)\ntensor([2., 4.])", "repl", 6,
    ),
    "jupyter prompts": (
        "In [1]: x = torch.tensor([1., 2.], requires_grad=True)\n   ...: y = (x ** 2).sum()\n\n"
        "In [2]: y\nOut[2]: tensor(5.)\n\n"
        "In [3]: y.backward()\n   ...: print(x.grad)\n", "jupyter-prompts", 7,
    ),
    "cells": (f"# %%\n{CODE.splitlines()[0]}\n# %% second\n" + "\n".join(CODE.splitlines()[1:]), "notebook", 5),
    "magics": (f"%matplotlib inline\n!pip install torch\n{CODE}", "notebook-magics", 5),
    "indented": ("\n".join(f"    {line}" for line in CODE.splitlines()), "script", 3),
    "ipynb": (notebook("\n".join(CODE.splitlines()[:2]), "%time\n" + "\n".join(CODE.splitlines()[2:])), "notebook", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_it_runs_whatever_its_form(name: str) -> None:
    text, form, line = FORMS[name]
    found = run_program(text)
    assert (found.outcome, found.form, found.stdout) == ("ok", form, PRINTED), found.error
    assert found.code.count("\n") == found.source.count("\n")
    (d,) = found.derivations
    assert d.ok and (line is None or d.line == line)


@pytest.mark.parametrize(
    ("text", "line", "marked", "hint"),
    [
        ("x = torch.ones(2)\ny = x +\n", 2, "^", None),
        ("x = torch.ones(2)\nif x.sum() > 0\n    y = x\n", 2, "^", "colon"),
        ("x = torch.ones(2)\n  y = x\n", 2, "^", "column"),
        ("def f(x):\nreturn x\n", 2, "^", "indented"),
        ("x = torch.ones(2，3)\n", 1, "，", "Write , instead"),
        ("x = torch.ones（2）\n", 1, "（", "Write ( instead"),
        ("x = “a”\n", 1, "“", 'Write " instead'),
        ("print 'x'\n", 1, "^", "print(…)"),
        ("x = [1, 2\ny = 3\n", 1, "^", "close"),
        ("```python\nx = torch.ones(2)\ny = x +\n```", 3, "^", None),
        (">>> x = 1\n>>> y = x +\n", 2, "^", None),
    ],
)
def test_a_bad_paste_is_told_with_its_line(text: str, line: int, marked: str, hint: str | None) -> None:
    with pytest.raises(InputError) as caught:
        run_program(text, name="paste.py")
    told = str(caught.value)
    assert told.startswith("paste.py: ") and f"line {line}" in told
    assert caught.value.place is not None and caught.value.place.line == line
    assert marked in told and "^" in told
    assert hint is None or hint in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing in it"),
        ("Dear reader,\nthis is a text about gradients.\nIt has no code.", "no code"),
        ("\0\1", "no text"),
        ("x" * 1_000_001, "too long"),
        ('{"cells": [}', "notebook"),
        ("(" * 5000 + ")" * 5000, "nested"),
    ],
)
def test_what_is_no_program_is_told_so(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_program(text)


def test_skipped_lines_are_noted() -> None:
    found = run_program(FORMS["magics"][0])
    assert [(n.kind, n.details["line"]) for n in found.notes] == [("skipped", 1), ("skipped", 2)]
    assert "%matplotlib inline" in found.render("md")


def test_places_are_those_of_the_text_that_was_pasted() -> None:
    text, _, _ = FORMS["fence in a list"]
    source = read_program(text)
    place = source.place(6, 0, 6, 12)
    assert place.text[place.start : place.end] == "y.backward()"
