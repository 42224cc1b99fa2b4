"""The tensor: numpy values with PyTorch's autograd state. Its operators and methods are put on by ``operators.equip``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from explain.ops.base import axes
from explain.tape import dtypes
from explain.tape.dtypes import BY_NUMPY
from explain.tape.modes import state
from explain.tape.node import InferenceVersion, Node, Version
from explain.tape.warn import once, warn

if TYPE_CHECKING:
    from explain.tape.trace import Trace
    from explain.tape.views import View

GRAD_DTYPE = (
    "attempting to assign a gradient with dtype '{}' to a tensor with grad_dtype '{}'. The gradient must match the tensor's "
    "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype attribute with a specific dtype, or "
    "None to allow any dtype. Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may break "
    "downstream systems that assume they match."
)
_new = object.__new__
NOT_A_LEAF = (
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that "
    "doesn't require differentiation use var_no_grad = var.detach()."
)
TO_SCALAR = (
    "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\nConsider using "
    "tensor.detach() first."
)
DETACH_VIEW = (
    "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, and "
    "gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
    "these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as "
    "the solution."
)
NO_GRAD_HERE = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated "
    "during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use "
    ".retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf "
    "Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information."
)


def _read_only(name: str, read: Callable[[Any], Any], doc: str) -> property:
    def write(tensor: Any, value: Any) -> None:
        raise AttributeError(f"attribute '{name}' of 'torch._C.TensorBase' objects is not writable")

    return property(read, write, doc=doc)


def _face_of_node(tensor: Tensor) -> Any:
    if tensor.node is None:
        return None
    from explain.tape.grad_fn import face  # only whoever asks pays for it

    return face(tensor.node)


class Size(tuple[int, ...]):
    """A shape that prints as torch's."""

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other: Any) -> Any:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times: Any) -> Any:
        return Size(tuple.__mul__(self, times))

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self, dtype=np.int64))


class Tensor:
    """A numpy array (a numpy scalar for fresh 0-d results) with PyTorch's autograd state.

    ``array``: the values. ``tracked``: whether gradients flow to it, which users read and set as ``requires_grad``.
    ``gradient``: the accumulated gradient of a leaf, for users ``grad``. ``node`` and ``slot``: the graph node it came
    from, and which of its outputs it is; node is None for leaves. ``memory``: the count of writes
    that it shares with everything in the same memory, None as long as there was no write and nothing is shared.
    ``base``: for a view, of what and how. ``record``: what a recorder knows of it, unset unless one looked.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "array",
        "base",
        "gradient",
        "literal",
        "memory",
        "node",
        "record",
        "slot",
        "tracked",
    )

    array: Any
    tracked: bool
    gradient: Tensor | None
    node: Node | None
    slot: int
    memory: Version | None
    base: View | None
    literal: int | float | Literal["eye"]  # the number of which all entries were made, or the identity; unset otherwise
    record: Trace
    __array_priority__ = 1000  # numpy scalars and arrays on the left leave the operation to the tensor

    # what it is

    shape = _read_only("shape", lambda self: Size(self.array.shape), "The sizes of the axes.")
    is_leaf = _read_only(
        "is_leaf", lambda self: self.node is None, "Made by the user (or detached), not computed on the graph."
    )
    grad_fn = _read_only("grad_fn", _face_of_node, "The backward node, None for leaves.")

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> dtypes.DType:
        """The torch dtype."""
        return BY_NUMPY[self.array.dtype]

    @property
    def version(self) -> Version:
        """The count of writes to this tensor's memory, shared by all that lies there."""
        if self.memory is None:
            self.memory = Version()
        return self.memory

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self.memory is None else self.memory.count

    def is_inference(self) -> bool:
        """Made in inference mode: it can never take part in backward."""
        return self.memory.__class__ is InferenceVersion

    @property
    def _base(self) -> Tensor | None:
        return None if self.base is None else self.base.root

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.array.shape[axes(dim, self.array.ndim)[0]]

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of entries."""
        return self.array.size

    def is_floating_point(self) -> bool:
        """Only such tensors can require gradients."""
        return self.array.dtype.kind == "f"

    # out of the tape

    def item(self) -> Any:
        """The only entry as a Python number. Raises torch's RuntimeError if there are more or none."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self) -> Any:
        """The entries as nested lists."""
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The entries as an array that shares memory. Raises torch's RuntimeError if a gradient is required, unless
        ``force``."""
        if self.tracked and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        alias(self)
        self.version.foreign = True
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype, copy=copy) if dtype is not None or copy else array

    def __repr__(self) -> str:
        from explain.tape.printing import tensor_repr  # only whoever prints pays for it

        name = self.node.name() if self.node is not None else None
        return tensor_repr(self.array, grad_fn=name and name.rpartition("::")[2], requires_grad=self.tracked)

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0:
            return format(self.array.item(), spec)
        if spec:
            raise TypeError("unsupported format string passed to Tensor.__format__")
        return repr(self)

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __bool__(self) -> bool:
        if self.array.size != 1:
            amount = "no values" if self.array.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {amount} is ambiguous")
        return bool(self.array.item())

    def _number(self) -> Any:
        if self.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.array.item()

    def __float__(self) -> float:
        if self.tracked:
            once(TO_SCALAR)
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __index__(self) -> int:
        if self.array.dtype.kind == "f" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.array.item())

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, Tensor | int | float | np.generic):
            raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
        return bool((self.array == (element.array if isinstance(element, Tensor) else element)).any())

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # what operators.equip puts on

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __rpow__(self, other: Any) -> Any: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __neg__(self) -> Any: ...

    # autograd

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor. Setting raises torch's RuntimeErrors for integers and for results."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.array.dtype.kind != "f":
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        if not wanted and self.node is not None:
            raise RuntimeError(NOT_A_LEAF)
        self.tracked = bool(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients of a leaf, or no longer. Raises torch's RuntimeErrors for integers and for results."""
        if requires_grad and self.array.dtype.kind != "f":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if requires_grad and self.is_inference() and not state.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient of a leaf, else None. Setting raises torch's errors for what is no gradient of it."""
        if self.node is not None and self.gradient is None:
            warn(NO_GRAD_HERE)
        return self.gradient

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if gradient is None:
            self.gradient = None
            return
        if not isinstance(gradient, Tensor):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(gradient).__name__}")
        if gradient.array.dtype != self.array.dtype:
            given, own = BY_NUMPY[gradient.array.dtype], BY_NUMPY[self.array.dtype]
            raise RuntimeError(GRAD_DTYPE.format(given.c_name, own.legacy))
        if gradient.array.shape != self.array.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(gradient.array.shape)}' to a tensor of size "
                f"'{list(self.array.shape)}'. Please ensure that the gradient and the tensor are the same size"
            )
        self.gradient = gradient

    def gradient_node(self) -> Node | Tensor:
        """Where cotangents of this tensor are sent: the node that made it, the tensor itself if it is a leaf."""
        return self if self.node is None else self.node

    def detach(self) -> Tensor:
        """The same values (shared memory and version) without a graph."""
        alias(self)
        tensor = wrap(self.array)
        tensor.memory = self.version
        if state.recorder is not None:
            state.recorder.detached(tensor, self)
        return tensor

    def detach_(self) -> Tensor:
        """Cut the tensor itself off its history. Raises torch's RuntimeError for views."""
        if self.base is not None:
            raise RuntimeError(DETACH_VIEW)
        self.node, self.slot, self.tracked = None, 0, False
        if state.recorder is not None:
            state.recorder.detached(self, self)
        return self

    @property
    def data(self) -> Tensor:
        """The same values without a graph; unlike with ``detach`` writes to it are not counted, so backward does not notice
        them. Setting puts other values in this tensor's place."""
        alias(self)
        tensor = wrap(self.array)
        tensor.memory = self.version.relative()
        if state.recorder is not None:
            state.recorder.detached(tensor, self)
        return tensor

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        alias(value)
        self.array = value.array
        if value.memory is not None or self.memory is not None:
            self.memory = value.version.relative()


def leaf(
    array: Any,
    requires_grad: bool = False,
    kind: type[Tensor] | None = None,
    literal: int | float | Literal["eye"] | None = None,
) -> Tensor:
    """A tensor of the program's own around an array or numpy scalar; ``kind``: a subclass of Tensor; ``literal``: the
    number that all its entries were made of, if there is one, or eye for the identity matrix.

    Raises torch's RuntimeError if it cannot require gradients."""
    if requires_grad and array.dtype.kind != "f":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    tensor = wrap(array)
    if kind is not None:
        tensor.__class__ = kind
    if state.inference:
        tensor.memory = InferenceVersion()
    tensor.tracked = requires_grad
    if literal is not None:
        tensor.literal = literal
    return tensor


def wrap(data: Any, node: Node | None = None, slot: int = 0) -> Tensor:
    """A tensor around fresh values; with a node it is that node's output and requires a gradient."""
    out = _new(Tensor)
    out.array = data
    out.gradient = None
    out.slot = slot
    out.memory = None
    out.base = None
    out.node = node
    out.tracked = node is not None
    return out


def alias(tensor: Tensor) -> None:
    """Make sure that the values are an array, which others can look into: a fresh 0-d result is a bare numpy scalar."""
    if tensor.array.__class__ is not np.ndarray:
        tensor.array = np.asarray(tensor.array)
