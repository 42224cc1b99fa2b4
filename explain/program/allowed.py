"""Which modules a program may import, and what it gets: modules that hold the allowed names and nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from explain.program.refusal import Refusal

TORCH = (
    "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.nn.parameter",
    "torch.optim", "torch.optim.lr_scheduler", "torch.autograd", "torch.autograd.functional", "torch.autograd.function",
    "torch.func", "torch.linalg", "torch.special", "torch.utils", "torch.utils.data", "torch.utils.checkpoint",
    "torch.testing",
)  # fmt: skip
"""What ``explain.torch`` serves, under torch's names."""

PUBLIC = (
    "math", "cmath", "itertools", "collections.abc", "abc", "statistics", "fractions", "decimal", "numbers", "heapq",
    "bisect", "datetime", "re", "textwrap", "keyword",
)  # fmt: skip
"""Modules of Python's own of which every public name is served."""

CHOSEN = {
    "functools": "reduce partial lru_cache cache cmp_to_key total_ordering singledispatch cached_property",
    "operator": "add sub mul truediv floordiv mod pow matmul neg pos abs lt le eq ne gt ge not_ truth is_ is_not and_ or_ "
    "xor inv invert lshift rshift concat contains countOf indexOf getitem itemgetter index iadd isub imul itruediv",
    "collections": "namedtuple defaultdict OrderedDict Counter deque ChainMap",
    "enum": "Enum IntEnum StrEnum Flag IntFlag auto unique",
    "typing": "Any Union Optional List Dict Tuple Set FrozenSet Sequence Iterable Iterator Mapping Callable Type TypeVar "
    "Generic Literal Final ClassVar NamedTuple TypedDict Protocol Generator Annotated NoReturn cast overload "
    "runtime_checkable TYPE_CHECKING Self TypeAlias Hashable Sized Number SupportsFloat SupportsInt",
    "dataclasses": "dataclass field asdict astuple replace fields is_dataclass FrozenInstanceError",
    "copy": "copy deepcopy",
    "random": "random randint uniform gauss normalvariate choice choices shuffle sample seed randrange betavariate "
    "expovariate triangular getrandbits Random",
    "time": "time perf_counter monotonic process_time sleep time_ns perf_counter_ns strftime localtime gmtime",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits punctuation printable whitespace hexdigits capwords",
    "json": "dumps loads JSONDecodeError",
    "pprint": "pprint pformat",
    "warnings": "warn filterwarnings simplefilter catch_warnings resetwarnings",
    "contextlib": "contextmanager suppress nullcontext ExitStack closing AbstractContextManager ContextDecorator",
    "types": "SimpleNamespace MappingProxyType",
}
"""Modules of Python's own of which only these names are served: others evaluate text, open files or lead out of the box."""

FILES = frozenset(
    "save savez savez_compressed savetxt loadtxt genfromtxt fromfile memmap tofile dump DataSource fromregex".split()
)
"""What numpy and torch call their functions that read and write files, ``load`` aside."""
SHIMS = ("tqdm", "tqdm.auto", "tqdm.notebook", "matplotlib", "matplotlib.pyplot", "IPython.display", "functorch")
NUMPY = ("numpy", "numpy.linalg", "numpy.random", "numpy.testing", "numpy.typing", "numpy.fft")
MODULES = frozenset({*TORCH, *PUBLIC, *CHOSEN, *SHIMS, *NUMPY, "functools", "collections"})
"""All that may be imported."""


class Facade(ModuleType):
    """A module that holds the allowed names and nothing else."""

    def __repr__(self) -> str:
        return f"<module '{self.__name__}'>"

    def __getattr__(self, name: str) -> Any:
        """What is not there: refused if the real module has it, or if it is a module of Python's."""
        if name in FILES:
            raise Refusal("file", name=f"{self.__name__}.{name}")
        if name in sys.stdlib_module_names or (self.__name__ not in TORCH and _exists(self.__name__, name)):
            raise Refusal("attribute", name=f"{self.__name__}.{name}")
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")


def _exists(module: str, name: str) -> bool:
    real = sys.modules.get(module)
    return real is not None and not name.startswith("_") and hasattr(real, name)


def star_names(module: str) -> list[str]:
    """What ``from module import *`` brings."""
    return sorted(name for name in facade(module).__dict__ if not name.startswith("_"))


@cache
def facade(name: str) -> Facade:
    """The module that a program gets for an allowed name. Raises KeyError for any other."""
    if name not in MODULES:
        raise KeyError(name)
    made = Facade(name)
    made.__doc__ = None
    for key, value in _contents(name).items():
        made.__dict__[key] = value
    for child in MODULES:  # torch.nn is an attribute of torch
        parent, _, last = child.rpartition(".")
        if parent == name:
            made.__dict__[last] = facade(child)
    return made


def _contents(name: str) -> dict[str, Any]:
    if name in TORCH:
        return _of_torch(name)
    if name in NUMPY:
        from explain.program.numpy_names import names_of

        return names_of(name)
    if name in SHIMS:
        from explain.program.shims import contents

        return contents(name)
    module = importlib.import_module(name)
    if name in CHOSEN:
        found = {key: getattr(module, key) for key in CHOSEN[name].split() if hasattr(module, key)}
        return found | _SAFER.get(name, {})
    return {
        key: value for key, value in vars(module).items() if not key.startswith("_") and not isinstance(value, ModuleType)
    }


def _of_torch(name: str) -> dict[str, Any]:
    """The names of a module of ours that are torch's: those it lists, or those that it defines (a package: holds)."""
    module = importlib.import_module("explain." + name)
    package = hasattr(module, "__path__")
    found = {}
    for key in getattr(module, "__all__", vars(module)):
        value = getattr(module, key)
        if key.startswith("_") or isinstance(value, ModuleType) or key in ("annotations", "NoReturn", "Any"):
            continue
        home = getattr(value, "__module__", None) or ""
        if package or "__all__" in vars(module) or home in (module.__name__, "explain.torch.functions", "torch"):
            found[key] = value
    if hasattr(module, "__version__"):
        found["__version__"] = module.__version__
    return found


def _wraps(wrapped: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``functools.wraps`` without a choice of what is copied."""
    import functools

    return functools.wraps(wrapped)


_SAFER: dict[str, dict[str, Any]] = {"functools": {"wraps": _wraps}}
