"""Methods and attributes of tensors that are no operations: sizes and memory, devices and dtypes, copies, fillers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.registry import REGISTRY
from explain.tape import dtypes
from explain.tape.apply import apply
from explain.tape.dtypes import BY_NUMPY, DType
from explain.tape.inplace import in_place, refuse, write
from explain.tape.modes import state
from explain.tape.tensor import Tensor, alias, leaf, wrap
from explain.torch import creation, questions, random
from explain.torch.device import CPU, device, refuse_unless_cpu

NOT_LEAVES = (
    "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  If you were "
    "attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see "
    "https://github.com/pytorch/pytorch/pull/103001"
)
LEGACY = {f"torch.{d.legacy}Tensor": d for d in BY_NUMPY.values()}


# dtypes and devices


def cast(tensor: Tensor, dtype: Any, fresh: bool = False) -> Tensor:
    """The tensor in another dtype; the very same if it has it already, unless a ``fresh`` one is asked for."""
    wanted = dtypes.as_numpy(dtype)
    if tensor.array.dtype == wanted:
        return apply(REGISTRY["clone"], (tensor,)) if fresh else tensor
    return apply(REGISTRY["to"], (tensor,), {"dtype": wanted})


def to(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """``Tensor.to``: a dtype, a device, or both, or those of another tensor."""
    dtype, place = options.pop("dtype", None), options.pop("device", None)
    fresh = bool(options.pop("copy", False))
    for key in options:
        if key not in ("non_blocking", "memory_format", "other"):
            raise TypeError(f"to() got an unexpected keyword argument '{key}'")
    for given in (*args, *([options["other"]] if "other" in options else [])):
        if isinstance(given, Tensor):
            dtype = given.dtype
        elif isinstance(given, DType) or given in (float, int, bool):
            dtype = {float: "float64", int: "int64", bool: "bool"}.get(given, given) if isinstance(given, type) else given
        elif isinstance(given, str | device):
            place = given
        elif isinstance(given, bool):
            pass  # non_blocking
        elif given is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({type(given).__name__}), but expected one of:\n"
                " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, bool copy = False, *, "
                "torch.memory_format memory_format = None)\n"
                " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format "
                "= None)\n"
                " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = "
                "None)\n"
            )
    refuse_unless_cpu(place)
    return cast(self, self.dtype if dtype is None else dtype, fresh)


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """``Tensor.type``: the old name of the dtype, or the tensor in another dtype."""
    if dtype is None:
        return f"torch.{self.dtype.legacy}Tensor"
    if isinstance(dtype, str):
        if dtype not in LEGACY:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = LEGACY[dtype]
    return cast(self, getattr(dtype, "dtype", dtype))


def _caster(name: str) -> Callable[..., Tensor]:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return cast(self, name)

    return method


def cuda(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """There is no such device here. Raises torch's AssertionError."""
    raise AssertionError("Torch not compiled with CUDA enabled")


# sizes and memory


def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many entries lie between neighbours along each axis."""
    steps = tuple([s // self.array.itemsize for s in self.array.strides])
    found = _stride_of_single_axes(self.array.shape, steps)
    return found if dim is None else found[dim]


def _stride_of_single_axes(shape: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, ...]:
    return steps if all(shape) else tuple([max(1, math.prod(shape[k + 1 :])) for k in range(len(shape))])


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the entries lie row by row."""
    return bool(np.asarray(self.array).flags.c_contiguous)


def storage_offset(self: Tensor) -> int:
    """Where in its memory the tensor begins, in entries."""
    root = self.base.root if self.base is not None else None
    if root is None or not isinstance(self.array, np.ndarray):
        return 0
    here, there = (a.__array_interface__["data"][0] for a in (self.array, np.asarray(root.array)))
    return (here - there) // self.array.itemsize


def data_ptr(self: Tensor) -> int:
    """The address of the first entry."""
    alias(self)
    return self.array.__array_interface__["data"][0]


# new tensors


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, requires_grad: bool = False, **place: Any) -> Tensor:
    """A leaf with a copy of the data, in this tensor's dtype."""
    return creation.tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad, **place)


def _new(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return make(*size, dtype=dtype or self.dtype, **options)

    return method


def new_full(self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """A tensor of one number, in this tensor's dtype."""
    return creation.full(size, fill_value, dtype=dtype or self.dtype, **options)


def deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """An independent leaf, with a copy of its gradient. Raises torch's RuntimeError for computed tensors."""
    if id(self) in memo:
        return memo[id(self)]
    if self.node is not None:
        raise RuntimeError(NOT_LEAVES)
    made = leaf(np.array(self.array)[()] if not self.array.ndim else np.array(self.array), self.tracked, type(self))
    memo[id(self)] = made
    if self.gradient is not None:
        made.gradient = deepcopy(self.gradient, memo)
    for key, value in self.__dict__.items():
        if not key.startswith("_"):
            made.__dict__[key] = copy.deepcopy(value, memo)
    return made


def shallow_copy(self: Tensor) -> Tensor:
    """The same values, memory and history in another object."""
    made = wrap(self.array, self.node, self.slot)
    made.__class__ = type(self)
    made.tracked, made.gradient, made.memory, made.base = self.tracked, self.gradient, self.version, self.base
    return made


def legacy_new(cls: type[Tensor], *given: Any, device: Any = None) -> Tensor:
    """``torch.Tensor(2, 3)``, ``torch.Tensor([1, 2])``: the old way to make a float tensor."""
    if len(given) == 1 and isinstance(given[0], Tensor):
        return given[0].detach()
    refuse_unless_cpu(device)
    made = creation.legacy(dtypes.default.floating)(*given)
    made.__class__ = cls
    return made


# in place


def _filler(name: str) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        refuse(self, ())
        alias(self)
        values = np.asarray(random.FILLERS[name](self, *args, **options))
        if state.grad_enabled and self.tracked:
            return in_place(self, REGISTRY["fill"], (wrap(values),))
        write(self, values)
        return self

    return method


def apply_(self: Tensor, function: Callable[[Any], Any]) -> Tensor:
    """Each entry through a Python function, in place."""
    write(self, np.array([function(v) for v in np.asarray(self.array).ravel().tolist()]).reshape(self.array.shape))
    return self


def map_(self: Tensor, other: Tensor, function: Callable[[Any, Any], Any]) -> Tensor:
    """Each pair of entries through a Python function, in place."""
    pairs = zip(np.asarray(self.array).ravel().tolist(), np.asarray(other.array).ravel().tolist(), strict=True)
    write(self, np.array([function(a, b) for a, b in pairs]).reshape(self.array.shape))
    return self


def set_(self: Tensor, source: Tensor | None = None) -> Tensor:
    """Look into another tensor's memory from now on."""
    if source is None:
        self.array = np.zeros(0, self.array.dtype)
    else:
        alias(source)
        self.array, self.memory = source.array, source.version
    return self


def resize_(self: Tensor, *size: Any) -> Tensor:
    """Other sizes; entries that are new are zeros. Raises torch's RuntimeError where gradients are required."""
    if self.tracked:
        raise RuntimeError("cannot resize variables that require grad")
    shape = creation.sizes(size, "resize_")
    self.array = np.resize(np.append(self.array.ravel(), np.zeros(math.prod(shape), self.array.dtype)), shape)
    return self


def array_wrap(self: Tensor, array: Any, *context: Any) -> Tensor:
    """What numpy's functions of a tensor give: a tensor."""
    return leaf(np.asarray(array) if np.ndim(array) else np.asarray(array)[()])


def itself(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """The very same tensor."""
    return self


def equip() -> None:
    """Put all of this on Tensor. Called once."""
    for name in (
        "bool", "byte", "char", "short", "int", "long", "half", "float", "double",
    ):  # fmt: skip
        kind = {"byte": "uint8", "char": "int8"}.get(name, name)
        setattr(Tensor, name, _caster(kind))
    for name in random.FILLERS:
        setattr(Tensor, name, _filler(name))
    methods: dict[str, Any] = {
        "to": to, "type": type_, "type_as": lambda self, other: cast(self, other.dtype), "cuda": cuda, "cpu": itself,
        "stride": stride, "is_contiguous": is_contiguous, "storage_offset": storage_offset, "data_ptr": data_ptr,
        "element_size": lambda self: self.array.itemsize, "nelement": Tensor.numel, "ndimension": Tensor.dim,
        "new_tensor": new_tensor, "new_zeros": _new(creation.zeros), "new_ones": _new(creation.ones),
        "new_empty": _new(creation.zeros), "new_full": new_full, "__deepcopy__": deepcopy, "__copy__": shallow_copy,
        "apply_": apply_, "map_": map_, "set_": set_, "resize_": resize_, "__array_wrap__": array_wrap,
        "share_memory_": itself, "pin_memory": itself, "is_shared": lambda self: False, "is_pinned": lambda self: False,
        "is_complex": lambda self: False, "is_conj": lambda self: False,
        "is_signed": lambda self: self.array.dtype.kind != "u",
        "is_nonzero": Tensor.__bool__, "get_device": lambda self: -1, "resolve_conj": itself, "resolve_neg": itself,
        "equal": questions.equal, "allclose": questions.allclose,
        "is_same_size": lambda self, other: self.array.shape == other.array.shape,
        "conj": itself, "is_set_to": lambda self, other: self.array is other.array,
        "__reversed__": lambda self: self.flip(0) if self.array.ndim else self,
        "__complex__": lambda self: complex(Tensor.__float__(self)),
    }  # fmt: skip
    for name, method in methods.items():
        setattr(Tensor, name, method)
    properties: dict[str, Callable[[Any], Any]] = {
        "device": lambda self: CPU, "is_cuda": lambda self: False, "is_cpu": lambda self: True,
        "is_mps": lambda self: False, "is_sparse": lambda self: False, "is_quantized": lambda self: False,
        "is_meta": lambda self: False, "itemsize": lambda self: self.array.itemsize,
        "nbytes": lambda self: self.array.nbytes, "output_nr": lambda self: self.slot, "real": lambda self: self,
        "layout": lambda self: LAYOUT, "mH": lambda self: self.mT,
    }  # fmt: skip
    for name, read in properties.items():
        setattr(Tensor, name, property(read))
    Tensor.__new__ = staticmethod(legacy_new)  # type: ignore[method-assign, assignment]
    Tensor.__module__ = "torch"


class Named:
    """A constant of torch's that says how entries lie in memory: nothing depends on it here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


LAYOUT = Named("strided")
CONTIGUOUS, PRESERVED, CHANNELS_LAST, CHANNELS_LAST_3D = map(
    Named, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
)
