"""What stands between a running program and everything else: attributes read and written, items, Python's own functions.

The policy put calls of these guards into the program. Nothing here depends on what the program is about.
"""

from __future__ import annotations

import builtins
import operator
import string
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from explain.program.allowed import MODULES, Facade, facade
from explain.program.numpy_names import ARRAY, OTHERS, is_numpys
from explain.program.policy import check_attribute
from explain.program.refusal import Refusal
from explain.tape.grad_fn import GradFn
from explain.tape.tensor import Tensor

PROGRAM = "__main__"
"""The module that a program's own classes and functions belong to."""

HIDDEN = frozenset({"array", "base", "gradient", "memory", "node", "slot", "record", "tracked", "version", "gradient_node"})
"""Our own attributes of a tensor, which torch's tensors do not have."""
TENSOR_PRIVATE = frozenset({"_version", "_base", "_grad", "_grad_fn", "_is_view"})
TUPLE_PRIVATE = frozenset({"_asdict", "_replace", "_fields", "_make"})
GRAD_FN = frozenset({"name", "next_functions", "metadata", "register_hook", "register_prehook", "variable"})
ONLY_SUPER = frozenset({"__setattr__", "__getattr__", "__new__", "__init_subclass__"})
SAFE_EXCEPTIONS = tuple(
    name for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException) and "Group" not in name
)  # fmt: skip
IMPORTED_BY_C = frozenset({"_strptime", "_decimal", "copyreg", "unicodedata", "warnings"})
"""What functions written in C import while they run, as if the program's line did. Numpy's do the same with its parts."""
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
SAFE_FUNCTIONS = """
abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float format
frozenset hash hex id int isinstance issubclass iter len list map max min next object oct ord pow property range repr
reversed round set slice sorted staticmethod str sum super tuple zip dir Ellipsis False None NotImplemented True
""".split()


# attributes


def getattr_(thing: Any, name: Any, *default: Any) -> Any:
    """Read an attribute. Raises Refusal for what leads out of the box, AttributeError as Python does."""
    if not isinstance(name, str):
        return getattr(thing, name, *default)
    if name.startswith("_"):
        _check_private(thing, name)
    check_attribute(None, name)
    kind = type(thing)
    if isinstance(thing, super) and name == "__setattr__":
        return lambda key, value: setattr_(thing.__self__, key, value, found=thing)  # type: ignore[attr-defined]
    if isinstance(thing, ModuleType) and not isinstance(thing, Facade):
        raise Refusal("attribute", name=name)
    if isinstance(thing, Tensor):
        if name in HIDDEN and not _is_own(thing, name):
            if default:
                return default[0]
            raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")
    elif isinstance(thing, str) or thing is str:
        if name in ("format", "format_map"):
            return _safe_format(thing, name)
    elif isinstance(thing, np.ndarray | np.generic):
        if name not in ARRAY and not _is_own(thing, name):
            raise Refusal("attribute", name=name)
    elif is_numpys(kind) or (isinstance(thing, type) and is_numpys(thing)):
        if name not in OTHERS and name not in ARRAY and not isinstance(thing, Facade):
            raise Refusal("attribute", name=name)
    elif (isinstance(thing, GradFn) and name not in GRAD_FN and not name.startswith("_saved_")) or (
        isinstance(thing, FUNCTIONS) and not _is_programs(thing) and not name.startswith("__")
    ):
        raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")
    found = getattr(thing, name, *default)
    if isinstance(found, ModuleType) and not isinstance(found, Facade):
        raise Refusal("attribute", name=name)
    return found


def _check_private(thing: Any, name: str) -> None:
    """Names with an underscore: the program's own, and the few that torch shows."""
    if name.startswith("__") and name.endswith("__"):
        if name in ONLY_SUPER and not isinstance(thing, super):
            raise Refusal("attribute", name=name)
        return
    if _is_own(thing, name) or _is_programs(thing):
        return
    if isinstance(thing, Tensor) and name in TENSOR_PRIVATE:
        return
    if isinstance(thing, GradFn) and name.startswith("_saved_"):
        return
    if name in TUPLE_PRIVATE and (isinstance(thing, tuple) or (isinstance(thing, type) and issubclass(thing, tuple))):
        return
    raise Refusal("private", name=name)


def _is_programs(thing: Any) -> bool:
    """Whether something is a class or function of the program's, or an instance of such a class without other ancestors'
    attribute of the name."""
    kind = thing if isinstance(thing, type) else type(thing)
    if isinstance(thing, FunctionType | MethodType):
        return getattr(thing, "__module__", None) == PROGRAM
    return kind.__module__ == PROGRAM and not any(is_numpys(base) for base in kind.__mro__)


def _is_own(thing: Any, name: str) -> bool:
    """Whether an attribute was given to something by the program: it stands in the object, or in a class of the
    program's."""
    if name in getattr(thing, "__dict__", {}) and not isinstance(thing, type):
        return True
    kind = thing if isinstance(thing, type) else type(thing)
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__module__ == PROGRAM
    return False


class _SafeFormatter(string.Formatter):
    """``str.format`` that reads attributes through the guard."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """The value of a field such as ``0.shape[1]``."""
        first, rest = string._string.formatter_field_name_split(field_name)  # type: ignore[attr-defined]
        found = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            found = getattr_(found, key) if is_attribute else found[key]
        return found, first

    def get_value(self, key: Any, args: Any, kwargs: Any) -> Any:
        """An argument; ``{}`` counts them."""
        if isinstance(key, int) and key >= len(args):
            raise IndexError(f"Replacement index {key} out of range for positional args tuple")
        return super().get_value(key, args, kwargs)


def _safe_format(text: Any, name: str) -> Callable[..., str]:
    def formatted(*args: Any, **kwargs: Any) -> str:
        template, values = (text, args) if isinstance(text, str) else (args[0], args[1:])
        if name == "format_map":
            return _SafeFormatter().vformat(template, (), values[0])
        return _SafeFormatter().vformat(template, values, kwargs)

    return formatted


def write_(thing: Any, name: str | None = None) -> Any:
    """Something that is about to get an attribute ``name``, or an item (None). Raises Refusal if it must not."""
    if name is not None:
        check_attribute(None, name, written=True)
        if name.startswith("_") and not _is_programs(thing):
            raise Refusal("private", name=name)
        if isinstance(thing, Tensor) and name in HIDDEN:
            raise AttributeError(f"'{type(thing).__name__}' object has no attribute '{name}'")
        if isinstance(thing, np.ndarray) and not _is_programs(thing):
            raise Refusal("attribute", name=name)
    if isinstance(thing, ModuleType):
        raise Refusal("library", name=thing.__name__.rpartition(".")[2])
    if isinstance(thing, type) and thing.__module__ != PROGRAM:
        raise Refusal("library", name=thing.__name__)
    if isinstance(thing, FUNCTIONS) and not _is_programs(thing):
        raise Refusal("library", name=getattr(thing, "__name__", "function"))
    return thing


# items, stars, augmented assignment


def getitem_(thing: Any, index: Any) -> Any:
    """Read an item."""
    return thing[index]


def itself(thing: Any, *others: Any) -> Any:
    """Iteration and unpacking are as Python has them."""
    return thing


def apply_(function: Any, *args: Any, **kwargs: Any) -> Any:
    """A call with stars."""
    return function(*args, **kwargs)


_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "%=": operator.imod,
    "**=": operator.ipow, "<<=": operator.ilshift, ">>=": operator.irshift, "|=": operator.ior, "^=": operator.ixor,
    "&=": operator.iand, "//=": operator.ifloordiv, "@=": operator.imatmul,
}  # fmt: skip


def inplacevar_(sign: str, value: Any, other: Any) -> Any:
    """``x += y``."""
    return _IN_PLACE[sign](value, other)


def augattr_(thing: Any, name: str, sign: str, other: Any) -> None:
    """``x.a += y``."""
    value = _IN_PLACE[sign](getattr_(thing, name), other)
    setattr(write_(thing, name), name, value)


def augitem_(thing: Any, index: Any, sign: str, other: Any) -> None:
    """``x[i] += y``."""
    value = _IN_PLACE[sign](thing[index], other)
    write_(thing)[index] = value


# Python's own functions


def setattr_(thing: Any, name: str, value: Any, found: Any = None) -> None:
    """``setattr``, and ``super().__setattr__`` where ``found`` is the super object."""
    write_(thing, name)
    if found is None:
        setattr(thing, name, value)
    else:
        found.__setattr__(name, value)


def delattr_(thing: Any, name: str) -> None:
    """``delattr``."""
    delattr(write_(thing, name), name)


def hasattr_(thing: Any, name: str) -> bool:
    """``hasattr``: what is refused is not there."""
    try:
        getattr_(thing, name)
    except (AttributeError, Refusal):
        return False
    return True


def vars_(thing: Any) -> dict[str, Any]:
    """``vars`` of something of the program's own: a copy."""
    if not _is_programs(thing) and type(thing).__name__ != "SimpleNamespace":
        raise Refusal("builtin", name="vars", why="shows what lies around the program")
    return {key: value for key, value in vars(thing).items() if not key.startswith("__")}


class _TypeMeta(type):
    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, type)

    def __repr__(cls) -> str:
        return "<class 'type'>"


class type_(metaclass=_TypeMeta):
    """``type`` with one argument; classes are made by class statements."""

    def __new__(cls, *arguments: Any) -> Any:
        if len(arguments) != 1:
            raise Refusal("builtin", name="type", why="makes classes; write a class statement")
        return type(arguments[0])


def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``import`` of what is served. Raises Refusal for other modules, ImportError for names that they do not have."""
    if (name.startswith("numpy.") or name in IMPORTED_BY_C) and name not in MODULES:
        return __import__(name, globals, locals, fromlist, level)  # the policy has looked at the program's own imports
    try:
        whole = facade(name)
    except KeyError:
        raise Refusal("import", name=name) from None
    if not fromlist:
        return facade(name.partition(".")[0])
    return whole


def program_builtins(print_: Callable[..., None]) -> dict[str, Any]:
    """What a program finds under Python's names."""
    found: dict[str, Any] = {name: getattr(builtins, name) for name in (*SAFE_FUNCTIONS, *SAFE_EXCEPTIONS)}
    found |= {
        "__import__": import_, "__build_class__": builtins.__build_class__, "getattr": getattr_, "setattr": setattr_,
        "delattr": delattr_, "hasattr": hasattr_, "vars": vars_, "type": type_, "print": print_,
    }  # fmt: skip
    return found


GUARDS: dict[str, Any] = {
    "_getattr_": getattr_, "_write_": write_, "_getitem_": getitem_, "_getiter_": itself, "_unpack_sequence_": itself,
    "_iter_unpack_sequence_": itself, "_apply_": apply_, "_inplacevar_": inplacevar_, "_augattr_": augattr_,
    "_augitem_": augitem_,
}  # fmt: skip
"""The names that the policy puts into a program."""
