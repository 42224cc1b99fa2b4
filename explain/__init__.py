"""Where does this ``.grad`` come from? Step-by-step, checked derivations of PyTorch gradients.

``explain.expr("2*dot(x, x)", x=[0, 1, 2, 3])`` gives a document that shows itself; ``python -m explain`` is the command.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explain.derivation.expression import expr
    from explain.derivation.model import Run
    from explain.errors import CannotDerive, ExplainError, InputError, OperationError

__version__ = "0.1.0"
__all__ = ["CannotDerive", "ExplainError", "InputError", "OperationError", "Run", "expr"]

_HOMES = {
    "expr": "explain.derivation.expression",
    "Run": "explain.derivation.model",
    "ExplainError": "explain.errors",
    "InputError": "explain.errors",
    "OperationError": "explain.errors",
    "CannotDerive": "explain.errors",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used: ``import explain`` alone loads neither numpy nor sympy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'explain' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
