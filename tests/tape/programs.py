"""Runs the small programs of programs.txt under torch or under the tape, and says what they answer."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

PROGRAMS = Path(__file__).with_name("programs.txt")
ANSWERS = Path(__file__).with_name("programs.json")


def programs(path: Path = PROGRAMS) -> list[tuple[str, str]]:
    """(heading, program) for all of them."""
    found = []
    heading = ""
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        if block.startswith("## "):
            heading = block.removeprefix("## ")
        elif not block.startswith("# "):
            found.append((heading, block))
    return found


def answer(program: str, torch: Any) -> list[str]:
    """What the program warns of, and the value of its last line (None after a statement), or its error."""
    tree = ast.parse(program)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    names: dict[str, Any] = {"torch": torch, "np": np}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            exec(compile(tree, "program", "exec"), names)
            said = repr(eval(compile(last, "program", "eval"), names)) if last else "None"
        except Exception as error:  # any error is the answer that is compared
            kind = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
            said = f"{kind.__name__}: {error}"
    told = [f"UserWarning: {w.message}" for w in caught if issubclass(w.category, UserWarning)]
    told = [re.sub(r" \(Triggered internally at .*\)$", "", text) for text in told if "create_graph" not in text]
    return [*told, re.sub(r"0x[0-9a-f]+", "0x", said)]


def tape_as_torch() -> SimpleNamespace:
    """The tape under torch's names, as far as the programs need them."""
    from explain import tape
    from explain.ops.registry import FUNCTIONS
    from explain.tape.apply import call
    from explain.tape.dtypes import BY_NAME

    def filled(value: float) -> Any:
        def make(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Any:
            shape = size[0] if size and isinstance(size[0], tuple) else size
            return tape.tensor(np.full(shape, value, np.float32), dtype, requires_grad)

        return make

    def function(name: str) -> Any:
        return lambda *args, **kwargs: call(FUNCTIONS, name, *args, **kwargs)

    return SimpleNamespace(
        **{name: function(name) for name in FUNCTIONS},
        **BY_NAME,
        autograd=SimpleNamespace(grad=tape.grad),
        tensor=tape.tensor, ones=filled(1), zeros=filled(0), no_grad=tape.no_grad, enable_grad=tape.enable_grad,
        set_grad_enabled=tape.set_grad_enabled, is_grad_enabled=tape.is_grad_enabled,
    )  # fmt: skip
