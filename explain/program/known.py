"""Which names the expression language knows, and what to say about a name it does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from explain.ops import ATTRIBUTES, FUNCTIONS, METHODS, REGISTRY

PREFIXES = frozenset({
    "torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.Tensor", "nn.functional", "F", "np",
    "np.linalg", "numpy", "numpy.linalg", "jnp", "math", "linalg",
})  # fmt: skip
MODULES = frozenset({"torch", "nn", "np", "numpy", "jnp", "math", "linalg"})  # F may be a matrix: see is_functional
CONSTANTS = {"pi": 3.141592653589793, "π": 3.141592653589793, "inf": float("inf"), "nan": float("nan")}
PARTS = {"values": 0, "indices": 1}  # of results such as sort(x)
MAKERS = frozenset({
    "ones", "zeros", "arange", "linspace", "eye", "full", "rand", "randn", "randint", "tensor", "array", "int", "long",
    "bool", "float", "float32", "double", "float64", "load", "ones_like", "zeros_like",
})  # fmt: skip
OPERATORS = frozenset(op.operator for op in REGISTRY.values() if op.operator) - {"^", "//", "<<", ">>"}  # slips, mostly

_ELSEWHERE = {
    "print": "The result is shown anyway: leave print out",
    "ln": "did you mean 'log'?",
    "tg": "did you mean 'tan'?",
    "arctg": "did you mean 'atan'?",
    "sh": "did you mean 'sinh'?",
    "ch": "did you mean 'cosh'?",
    "th": "did you mean 'tanh'?",
    "sec": "Write 1/cos(…)",
    "csc": "Write 1/sin(…)",
    "cot": "Write 1/tan(…)",
    "sech": "Write 1/cosh(…)",
    "csch": "Write 1/sinh(…)",
    "coth": "Write 1/tanh(…)",
    "cbrt": "Write x**(1/3), for x > 0",
    "factorial": "Write exp(lgamma(x + 1))",
    "gamma": "Write exp(lgamma(x)), for x > 0",
    "len": "Write the number itself",
    "range": 'A row of numbers is a value: --at "x=arange(3)"',
    "int": 'int(…) belongs to values: --at "y=int([0, 2])"',
    "grad": "The gradient is what is derived: write only the expression",
    "backward": "Backward runs by itself: write only the expression",
    "requires_grad": "Which names are differentiated is said by --wrt",
    "requires_grad_": "Which names are differentiated is said by --wrt",
    "shape": "Sizes are not read here: write the number",
    "size": "Sizes are not read here: write the number",
    "numel": "Sizes are not read here: write the number",
    "ndim": "Sizes are not read here: write the number",
    "item": "Leave it out: the result may be a tensor with one entry",
    "numpy": "Leave it out: nothing has to leave the tape",
    "dtype": 'A dtype is chosen where the value is given: --at "x=float64([1, 2])"',
    "data": "Leave it out, or leave the name out of --wrt",
}


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    known = sorted(known)
    for other in known:
        if len(name) > 1 and sorted(other.lower()) == sorted(name.lower()):  # letters swapped: tahn
            return other
    found = difflib.get_close_matches(name, known, 1, 0.7) if len(name) > 2 else []
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint with the similar name, or None."""
    other = similar(name, known)
    return f"did you mean '{other}'?" if other else None


def about_function(name: str, is_value: bool) -> tuple[str, str | None]:
    """Message and hint for a call of a name that is no function. ``is_value``: it also stands alone in the text."""
    if is_value:
        return f"'{name}' is a value here, not a function", f"A product is written {name}*(…), an entry {name}[0]"
    message = f"unknown function '{name}'"
    if name in METHODS:
        return message, f"'{name}' is a method: write x.{name}(…)"
    if name in ATTRIBUTES:
        return message, f"'{name}' is written without a call: A.{name}"
    if name in _ELSEWHERE:
        return message, _ELSEWHERE[name]
    if name in MAKERS:
        return message, f'{name}(…) makes a value: give it a name, --at "a={name}(…)"'
    if len(name) == 1:
        return message, f"If {name} is a value: a product is written {name}*(…), an entry {name}[0]"
    return message, did_you_mean(name, FUNCTIONS)


def about_method(name: str) -> tuple[str, str | None]:
    """Message and hint for an unknown method."""
    message = f"unknown method '{name}'"
    if name in ATTRIBUTES or name in PARTS:
        return f"'{name}' is read, not called", f"Leave the parentheses out: .{name}"
    if name in FUNCTIONS:
        return message, f"'{name}' is a function: write {name}(x)"
    if name.endswith("_") and name[:-1] in METHODS:
        return message, f"An expression changes nothing in place: write .{name[:-1]}(…)"
    return message, _ELSEWHERE.get(name) or did_you_mean(name, METHODS)


def about_attribute(name: str) -> tuple[str, str | None]:
    """Message and hint for an attribute that is not known."""
    if name in METHODS:
        return f"'{name}' is a method", f"Add the parentheses: .{name}()"
    hint = _ELSEWHERE.get(name) or did_you_mean(name, {*ATTRIBUTES, *PARTS, *METHODS})
    return f"unknown attribute '{name}'", hint


def takes(name: str, positional: int) -> bool:
    """Whether a function of this name can be called with so many plain arguments."""
    return any(op.variadic or positional >= len(op.tensor_names) for op in FUNCTIONS[name])
