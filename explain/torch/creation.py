"""Functions that make tensors from numbers and sizes, with torch's dtypes: ``ones``, ``arange``, ``zeros_like`` …"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from explain.tape import creation, dtypes
from explain.tape.dtypes import BY_NUMPY, INT64, DType
from explain.tape.tensor import Tensor, leaf


def set_default_dtype(dtype: DType) -> None:
    """The dtype of Python floats and of creation functions. Raises torch's TypeError for anything but floating dtypes."""
    if not isinstance(dtype, DType) or dtype.kind != dtypes.FLOATING:
        raise TypeError("only floating-point types are supported as the default type")
    dtypes.default.floating = dtype.numpy


def get_default_dtype() -> DType:
    """The dtype that creation functions give unless told otherwise."""
    return BY_NUMPY[dtypes.default.floating]


def sizes(given: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence. Raises torch's TypeErrors and RuntimeErrors."""
    wanted = tuple(given[0]) if len(given) == 1 and isinstance(given[0], tuple | list) else given
    found = []
    for k, n in enumerate(wanted):
        whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
        if isinstance(n, Tensor) and not n.array.ndim and n.array.dtype.kind in "iu":
            n, whole = int(n.array), True
        if not whole:
            raise TypeError(
                f"{name}(): argument 'size' (position 1) must be tuple of ints, but found element of type "
                f"{type(n).__name__} at pos {k}"
            )
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(map(int, wanted))}")
        found.append(int(n))
    return tuple(found)


def finished(array: Any, requires_grad: bool, literal: int | float | Literal["eye"] | None = None) -> Tensor:
    """A new leaf around freshly made entries; a 0-d one as a numpy scalar. ``literal``: the number of which all are,
    or eye for the identity matrix."""
    return leaf(array if array.ndim else array[()], requires_grad, literal=literal)


def _numpy_dtype(dtype: Any, otherwise: np.dtype) -> np.dtype:
    return otherwise if dtype is None else dtypes.as_numpy(dtype)


def as_number(value: Any) -> Any:
    """A Python number from a number, a numpy scalar or a tensor with one entry."""
    return value.item() if isinstance(value, Tensor | np.generic) else value


def _filled(value: float) -> Callable[..., Tensor]:
    name = "ones" if value else "zeros"

    def make(*size: Any, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
        check_place(name, place)
        if "size" in place:
            size = (place["size"],)
        return finished(
            np.full(sizes(size, name), value, _numpy_dtype(dtype, dtypes.default.floating)), requires_grad, value
        )

    make.__name__ = make.__qualname__ = name
    return make


def _filled_like(value: float) -> Callable[..., Tensor]:
    name = "ones_like" if value else "zeros_like"

    def make(input: Tensor, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
        check_place(name, place)
        check_tensor(name, input)
        return finished(np.full(input.array.shape, value, _numpy_dtype(dtype, input.array.dtype)), requires_grad, value)

    make.__name__ = make.__qualname__ = name
    return make


PLACES = {"device", "layout", "pin_memory", "memory_format", "out", "size", "generator", "names"}


def check_place(name: str, given: dict[str, Any]) -> None:
    """Accept what says where entries lie, as far as it says the only place there is. Raises torch's errors for the rest."""
    for key, value in given.items():
        if key not in PLACES or (key == "out" and value is not None):
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        if key == "device" and value is not None and not str(value).startswith("cpu"):
            refuse_device(value)


def refuse_device(device: Any) -> None:
    """Torch's errors for devices that this machine does not have."""
    kind = str(device).split(":")[0]
    if kind in ("cuda", "0"):
        raise AssertionError("Torch not compiled with CUDA enabled")
    if kind == "mps":
        raise RuntimeError("PyTorch is not linked with support for mps devices")
    if kind not in ("meta",):
        raise RuntimeError(
            "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, "
            f"mps, meta, hpu, mtia, privateuseone device type at start of device string: {kind}"
        )
    raise NotImplementedError("tensors without entries (device 'meta') are not served here")


def check_tensor(name: str, value: Any, argument: str = "input") -> None:
    """Raise torch's TypeError unless the value is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position 1) must be Tensor, not {type(value).__name__}")


ones, zeros, ones_like, zeros_like = _filled(1), _filled(0), _filled_like(1), _filled_like(0)


def empty(*size: Any, **options: Any) -> Tensor:
    """Torch leaves the entries to chance; here they are zeros."""
    return zeros(*size, **options)


def empty_like(input: Tensor, **options: Any) -> Tensor:
    """Torch leaves the entries to chance; here they are zeros."""
    return zeros_like(input, **options)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """A tensor of one number, in the number's own dtype."""
    check_place("full", place)
    value = as_number(fill_value)
    own = np.dtype(bool) if isinstance(value, bool) else INT64 if isinstance(value, int) else dtypes.default.floating
    if isinstance(size, int):
        raise TypeError(f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    return finished(np.full(sizes((tuple(size),), "full"), value, _numpy_dtype(dtype, own)), requires_grad, value)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """A tensor of one number, in the shape and dtype of another."""
    check_place("full_like", place)
    check_tensor("full_like", input)
    value = as_number(fill_value)
    return finished(np.full(input.array.shape, value, _numpy_dtype(dtype, input.array.dtype)), requires_grad, value)


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """A leaf with a copy of the data, as ``torch.tensor``. Raises torch's errors for data that is no array of numbers."""
    check_place("tensor", place)
    return creation.tensor(data, dtype, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The data as a tensor; a tensor is itself, an array shares its memory."""
    check_place("as_tensor", {"device": device})
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or dtypes.as_numpy(dtype) == data.dtype):
        return from_numpy(data)
    return creation.tensor(data, dtype)


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the array's memory. Raises torch's TypeError for dtypes it does not have."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    creation.check_array(array)
    return leaf(array)


def arange(*bounds: Any, dtype: Any = None, requires_grad: bool = False, **options: Any) -> Tensor:
    """``arange(end)``, ``arange(start, end, step)``: integers if all bounds are. Raises torch's RuntimeErrors."""
    named = {key: options.pop(key) for key in ("start", "end", "step") if key in options}
    check_place("arange", options)
    given = [as_number(b) for b in bounds]
    if len(given) == 1 and "end" not in named:
        named["end"] = given[0]
    else:
        named |= dict(zip(("start", "end", "step"), given, strict=False))
    start, end, step = named.get("start", 0), named.get("end"), named.get("step", 1)
    if end is None or len(given) > 3:
        raise TypeError("arange() received an invalid combination of arguments")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    whole = all(isinstance(b, int) for b in (start, end, step))
    own = INT64 if whole else dtypes.default.floating
    count = max(0, math.ceil((end - start) / step)) if not whole else len(range(start, end, step))
    values = np.arange(count, dtype=INT64 if whole else np.float64) * step + start
    return finished(values.astype(_numpy_dtype(dtype, own)), requires_grad)


def _steps(name: str, given: Any) -> int:
    count = as_number(given)
    if not isinstance(count, int):
        raise TypeError(
            f"{name}() received an invalid combination of arguments: steps must be int, not {type(count).__name__}"
        )
    if count < 0:
        raise RuntimeError("number of steps must be non-negative")
    return count


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """``steps`` numbers from start to end, computed from both ends as torch does it."""
    check_place("linspace", place)
    a, b, count = as_number(start), as_number(end), _steps("linspace", steps)
    kind = _numpy_dtype(dtype, dtypes.default.floating)
    if count == 1:
        return finished(np.full(1, a).astype(kind), requires_grad)
    exact = kind if kind.kind == "f" and kind.itemsize >= 4 else np.dtype(np.float32)
    width = exact.type((b - a) / max(1, count - 1)) if kind.kind == "f" else np.float64(b - a) / max(1, count - 1)
    k = np.arange(count)
    below, above = exact.type(a) + width * k.astype(exact), exact.type(b) - width * (count - 1 - k).astype(exact)
    return finished(np.where(k < count // 2, below, above).astype(kind), requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, requires_grad: bool = False, **place: Any
) -> Tensor:
    """``steps`` powers of the base, with exponents from start to end."""
    check_place("logspace", place)
    exponents = np.linspace(as_number(start), as_number(end), _steps("logspace", steps))
    return finished((float(base) ** exponents).astype(_numpy_dtype(dtype, dtypes.default.floating)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """The identity matrix, or its first rows and columns."""
    check_place("eye", place)
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    return finished(np.eye(n, m, dtype=_numpy_dtype(dtype, dtypes.default.floating)), requires_grad, "eye")


def _triangle(lower: bool) -> Callable[..., Tensor]:
    def indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, **place: Any) -> Tensor:
        check_place("tril_indices" if lower else "triu_indices", place)
        find = np.tril_indices if lower else np.triu_indices
        return finished(np.stack(find(row, offset, col)).astype(_numpy_dtype(dtype, INT64)), False)

    indices.__name__ = "tril_indices" if lower else "triu_indices"
    return indices


tril_indices, triu_indices = _triangle(True), _triangle(False)


def scalar_tensor(s: Any, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """A 0-d tensor of a number, floating by default."""
    check_place("scalar_tensor", place)
    return creation.tensor(as_number(s), BY_NUMPY[_numpy_dtype(dtype, dtypes.default.floating)], requires_grad)


def legacy(kind: np.dtype) -> Callable[..., Tensor]:
    """``torch.FloatTensor`` and the like: sizes, or data of any numbers, always in this dtype."""

    def make(*given: Any) -> Tensor:
        if len(given) == 1 and not isinstance(given[0], int):
            if isinstance(given[0], Tensor):
                return given[0].detach()
            if isinstance(given[0], float):
                raise TypeError("new(): data must be a sequence (got float)")
            return creation.tensor(given[0], BY_NUMPY[kind])
        return finished(np.zeros(sizes(given, "new"), kind), False) if given else leaf(np.zeros(0, kind))

    return make


class _LegacyType(type):
    """``isinstance(t, torch.FloatTensor)`` asks for the dtype."""

    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, Tensor) and thing.dtype is cls.dtype  # type: ignore[attr-defined]


def legacy_types() -> dict[str, type]:
    """``FloatTensor``, ``LongTensor`` … by name."""
    made: dict[str, type] = {}
    for kind in BY_NUMPY.values():
        name = f"{kind.legacy}Tensor"
        make = legacy(kind.numpy)

        def new(cls: type, *given: Any, make: Callable[..., Tensor] = make) -> Tensor:
            return make(*given)

        made[name] = _LegacyType(name, (), {"__new__": new, "dtype": kind, "__module__": "torch"})
    return made
