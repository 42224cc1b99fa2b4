"""What makes the entries of a value: ``ones``, ``randn``, files, arithmetic. All raise ``Impossible`` with a reason."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from explain.errors import InputError, Place
from explain.ops.random import Generator
from explain.program.arithmetic import LARGEST, Impossible

MAX_ENTRIES = 50_000_000
MAX_AXES = 32
FLOAT64 = np.dtype(np.float64)
EXACT = 2.0**53
_folders: ContextVar[tuple[Path, Path] | None] = ContextVar("folders", default=None)

KINDS = {
    "int": "int", "int64": "int", "long": "int", "bool": "bool", "float": "float32", "float32": "float32",
    "double": "float64", "float64": "float64",
}  # fmt: skip
_RANK = {"number": 0, "bool": 1, "int": 2, "float32": 3, "float64": 4}
_ARRAY = {"int": np.dtype(np.int64), "bool": np.dtype(np.bool_), "float32": FLOAT64, "float64": FLOAT64}


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries in the making: a float64, int64 or bool array and the ``kind`` of Given."""

    array: np.ndarray
    kind: str = "number"


@dataclass(frozen=True)
class File:
    """A string literal in a value, which can only be a file's name."""

    name: str
    place: Place


def entries_of(value: Any) -> Entries:
    """Entries of a number or a list of numbers."""
    if isinstance(value, Entries):
        return value
    array = np.asarray(value, np.float64 if isinstance(value, list) and not value else None)
    return Entries(array, "bool" if array.dtype.kind == "b" else "number")


def _check(value: Any) -> Entries:
    if not isinstance(value, Entries | int | float | np.ndarray):
        raise TypeError("not a value")
    return entries_of(value)


def refuse_large(shape: tuple[int, ...]) -> None:
    """Raise Impossible for a shape of too many entries or axes, before anything is allocated."""
    if len(shape) > MAX_AXES:
        raise Impossible(f"{len(shape)} axes are too many; the limit is {MAX_AXES}")
    count = math.prod(shape)
    if count > MAX_ENTRIES:
        said = f"{count:,} entries" if count < 10**15 else "these"
        raise Impossible(f"{said} are too many; the limit is {MAX_ENTRIES:,} entries")


# arithmetic

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
}  # fmt: skip


def combine(sign: str, a: Entries, b: Entries) -> Entries:
    """``a sign b`` with broadcasting, in float64; integers stay integers as long as they are exact."""
    try:
        refuse_large(np.broadcast_shapes(a.array.shape, b.array.shape))
    except ValueError:
        raise Impossible(f"the shapes {list(a.array.shape)} and {list(b.array.shape)} do not fit together") from None
    with np.errstate(all="ignore"):
        result = np.asarray(_SIGNS[sign](a.array.astype(FLOAT64), b.array.astype(FLOAT64)))
    if sign in "+-*" and "f" not in a.array.dtype.kind + b.array.dtype.kind and np.all(np.abs(result) <= EXACT):
        result = result.astype(np.int64)
    kinds = [e.kind for e in (a, b) if e.kind != "bool"]
    kind = max(kinds, key=_RANK.__getitem__, default="number")
    if kind == "int" and result.dtype.kind == "f":
        kind = "number"
    return Entries(result, kind)


def stack(parts: list[Entries]) -> Entries:
    """Parts of one shape as the rows of a larger array."""
    refuse_large((len(parts), *parts[0].array.shape))
    kinds = {part.kind for part in parts}
    kind = kinds.pop() if len(kinds) == 1 else max(kinds - {"bool"}, key=_RANK.__getitem__)
    return Entries(np.stack([part.array for part in parts]), kind)


def convert(kind: str) -> Callable[..., Entries]:
    """A maker that forces a dtype: ``int([0, 2])``, ``double(ones(3))``."""

    def maker(value: Any) -> Entries:
        array = _check(value).array
        if kind == "int" and array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise Impossible("nan and inf are not whole numbers")
        return Entries(array.astype(_ARRAY[kind]), kind)

    return maker


def tensor(value: Any, dtype: str | None = None) -> Entries:
    """The entries as they are, or in a dtype."""
    found = _check(value)
    if dtype is None:
        return found
    if not isinstance(dtype, str):
        raise Impossible("a dtype is one of float32, float64, int64, bool")
    return convert(dtype)(found)


# makers


def _whole(value: Any, what: str = "a size") -> int:
    if isinstance(value, Entries) and value.array.ndim == 0:
        value = value.array.item()
    if isinstance(value, bool) or not isinstance(value, int):
        raise Impossible(f"{what} is a whole number")
    return value


def _shape(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    if len(sizes) == 1 and isinstance(sizes[0], Entries):
        array = sizes[0].array
        if array.ndim > 1 or (array.dtype.kind == "f" and array.size):
            raise Impossible("a shape is a row of whole numbers")
        sizes = tuple(array.reshape(-1).tolist())
    shape = tuple(_whole(size) for size in sizes)
    if any(size < 0 for size in shape):
        raise Impossible(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    refuse_large(shape)
    return shape


def _made(array: np.ndarray, dtype: str | None) -> Entries:
    return tensor(Entries(array), dtype)


def ones(*size: Any, dtype: str | None = None) -> Entries:
    """All ones."""
    return _made(np.ones(_shape(size)), dtype)


def zeros(*size: Any, dtype: str | None = None) -> Entries:
    """All zeros."""
    return _made(np.zeros(_shape(size)), dtype)


def full(size: Any, fill_value: Any, dtype: str | None = None) -> Entries:
    """One number everywhere."""
    value = _check(fill_value)
    if value.array.ndim:
        raise Impossible("full(size, value) takes one number")
    return tensor(Entries(np.full(_shape((entries_of(size),)), value.array), value.kind), dtype)


def eye(n: Any, m: Any = None, dtype: str | None = None) -> Entries:
    """The unit matrix."""
    rows, columns = _shape((n, n if m is None else m))
    return _made(np.eye(rows, columns), dtype)


def _real(value: Any) -> int | float:
    if isinstance(value, Entries):
        if value.array.ndim:
            raise Impossible("a number is expected here, not a list")
        value = value.array.item()
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise Impossible("a finite number is expected here")
    return value


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: str | None = None) -> Entries:
    """Numbers from ``start`` (0 if only one is given) up to, but without, ``end``."""
    begin, stop, by = (0, start, 1) if end is None else (start, end, step)
    begin, stop, by = _real(begin), _real(stop), _real(by if end is not None else step)
    if by == 0:
        raise Impossible("step must be nonzero")
    if (stop - begin) * by < 0:
        raise Impossible("upper bound and lower bound inconsistent with step sign")
    try:
        count = math.ceil((stop - begin) / by)
    except OverflowError:
        raise Impossible("these are too many entries") from None
    refuse_large((count,))
    whole = all(isinstance(number, int) for number in (begin, stop, by))
    return _made(np.asarray(begin) + by * np.arange(count).astype(np.int64 if whole else np.float64), dtype)


def linspace(start: Any, end: Any, steps: Any, *, dtype: str | None = None) -> Entries:
    """``steps`` numbers from ``start`` to ``end``, both included."""
    (count,) = _shape((_whole(steps, "the number of steps"),))
    return _made(np.linspace(float(_real(start)), float(_real(end)), count), dtype)


def rand(*size: Any, seed: Any = 0, dtype: str | None = None) -> Entries:
    """Torch's uniform numbers in [0, 1) after ``torch.manual_seed(seed)``."""
    return _drawn(Generator(_whole(seed, "a seed")).rand, size, dtype)


def randn(*size: Any, seed: Any = 0, dtype: str | None = None) -> Entries:
    """Torch's normal numbers after ``torch.manual_seed(seed)``."""
    return _drawn(Generator(_whole(seed, "a seed")).randn, size, dtype)


def _drawn(draw: Callable[..., np.ndarray], size: tuple[Any, ...], dtype: str | None) -> Entries:
    width = np.dtype(np.float64 if dtype == "float64" else np.float32)
    return _made(draw(_shape(size), width).astype(np.float64), dtype)


def randint(low: Any, high: Any, size: Any = None, *, seed: Any = 0) -> Entries:
    """Torch's whole numbers from ``low`` (0 if left out) up to, but without, ``high``."""
    if size is None:
        low, high, size = 0, low, high
    begin, stop = _whole(low, "a bound"), _whole(high, "a bound")
    if not 0 < stop - begin <= 2**32:
        raise Impossible("randint: the upper bound must be above the lower one")
    shape = _shape((entries_of(size),))
    words = Generator(_whole(seed, "a seed")).words(math.prod(shape))
    return Entries(begin + (words % np.uint64(stop - begin)).astype(np.int64).reshape(shape))


def reshape(value: Any, *size: Any) -> Entries:
    """The same entries in another shape; one size may be -1."""
    found = _check(value)
    sizes = size[0].array.reshape(-1).tolist() if len(size) == 1 and isinstance(size[0], Entries) else list(size)
    shape = tuple(_whole(n) for n in sizes)
    try:
        return replace(found, array=found.array.reshape(shape))
    except ValueError:
        raise Impossible(f"shape '{list(shape)}' is invalid for input of size {found.array.size}") from None


# files


def load(file: File) -> Entries:
    """The array of a ``.npy`` file, as numbers. Raises InputError."""
    if not isinstance(file, File):
        raise TypeError("the name of a file is a string")
    name, place = file.name, file.place
    if not name:
        raise InputError("after @ comes the name of a .npy file", place, "For example: @data.npy")
    path = _path(name, place)
    hint = "Save an array by numpy.save('data.npy', array)"
    try:
        if path.suffix == ".npz":
            raise InputError("a .npz file holds several arrays", place, hint)
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: the size is known before anything is read
        if not isinstance(array, np.ndarray):
            array.close()
            raise InputError("a .npz file holds several arrays", place, hint)
        refuse_large(array.shape)
        entries = from_array(np.array(array))
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", place, f"Looked for {path.absolute()}") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder", place, hint) from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or 'not an array file'}", place, hint) from None
    except (ValueError, EOFError, SyntaxError, TypeError, UnicodeError, MemoryError, OverflowError):
        raise InputError(f"{name} is not an array saved by numpy.save", place, hint) from None
    except Impossible as fault:
        raise InputError(fault.message, place) from None
    if entries is None:
        raise InputError(f"{name} holds {array.dtype}, which is not a number type", place, hint)
    return entries


@contextmanager
def files_from(folder: Path, root: Path) -> Iterator[None]:
    """Inside the block names of files are looked up in ``folder``, and only what lies below ``root`` is read."""
    token = _folders.set((folder, root))
    try:
        yield
    finally:
        _folders.reset(token)


def _path(name: str, place: Place | None) -> Path:
    folders = _folders.get()
    if folders is None:
        return Path(name)
    folder, root = folders
    path = (folder / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise InputError(f"{name} lies outside of {root}", place, "Only files below this folder are read")
    return path


def from_array(array: np.ndarray) -> Entries | None:
    """Entries of an array made elsewhere, in its own precision as ``torch.from_numpy`` keeps it; truth values; None for
    what is neither."""
    if array.dtype.kind == "b":
        return Entries(array, "bool")
    if array.dtype.kind in "iu" and not (array.dtype == np.uint64 and np.any(array > LARGEST)):
        return Entries(array.astype(np.int64))
    if array.dtype.kind not in "fu":
        return None
    kept = array.dtype.name if array.dtype.name in ("float32", "float64") else "number"
    return Entries(array.astype(np.float64), kept)


MAKERS: dict[str, Callable[..., Any]] = {
    "ones": ones, "zeros": zeros, "full": full, "eye": eye, "arange": arange, "linspace": linspace, "rand": rand,
    "randn": randn, "randint": randint, "tensor": tensor, "array": tensor, "load": load,
    ".reshape": reshape, ".view": reshape, ".t": lambda value: replace(value, array=value.array.T),
    ".double": convert("float64"), ".float": convert("float32"), ".long": convert("int"), ".int": convert("int"),
    ".bool": convert("bool"), **{name: convert(kind) for name, kind in KINDS.items()},
}  # fmt: skip
_USAGE = {
    "ones": "ones(2, 3)", "zeros": "zeros(2, 3)", "full": "full((2, 3), 7)", "eye": "eye(3)",
    "arange": "arange(0, 6, 2)", "linspace": "linspace(0, 1, 5)", "rand": "rand(2, 3, seed=0)",
    "randn": "randn(2, 3, seed=0)", "randint": "randint(0, 10, (3,), seed=0)", "load": "load('data.npy')",
    ".reshape": "arange(6).reshape(2, 3)", ".view": "arange(6).view(2, 3)",
}  # fmt: skip


def usage(name: str) -> str:
    """How a maker is called."""
    example = f"ones(3){name}()" if name.startswith(".") else f"{name}([1, 2])"
    return f"For example: {_USAGE.get(name, example)}"
