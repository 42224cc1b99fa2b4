"""Where does this ``.grad`` come from? Step-by-step, checked derivations of PyTorch gradients.

``explain.expr("2*dot(x, x)", x=[0, 1, 2, 3])`` gives a document that shows itself, and so do ``explain.run(program)`` for a
PyTorch program and, after ``import explain.torch as torch``, ``explain.derive(loss)``. ``python -m explain`` is the command.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explain.derivation.boxed import run, run_file
    from explain.derivation.direct import derive
    from explain.derivation.expression import expr
    from explain.derivation.live import record
    from explain.derivation.model import Derivation, Run
    from explain.errors import CannotDerive, ExplainError, InputError, OperationError, Stopped

__version__ = "0.1.0"
__all__ = [
    "CannotDerive", "Derivation", "ExplainError", "InputError", "OperationError", "Run", "Stopped", "derive", "expr",
    "record", "run", "run_file",
]  # fmt: skip


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext explain`` in a notebook."""
    from explain.hosts.jupyter import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext explain``."""
    from explain.hosts.jupyter import unload

    unload(shell)


_HOMES = {
    "derive": "explain.derivation.direct",
    "expr": "explain.derivation.expression",
    "record": "explain.derivation.live",
    "run": "explain.derivation.boxed",
    "run_file": "explain.derivation.boxed",
    "Derivation": "explain.derivation.model",
    "Run": "explain.derivation.model",
    "ExplainError": "explain.errors",
    "InputError": "explain.errors",
    "OperationError": "explain.errors",
    "CannotDerive": "explain.errors",
    "Stopped": "explain.errors",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used: ``import explain`` alone loads neither numpy nor sympy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'explain' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
