"""The tensor and the one way an operation is applied to tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import ATTRIBUTES, METHODS, NO_OPTIONS, REGISTRY, Op, resolve
from explain.tape import dtypes
from explain.tape.dtypes import BY_NUMPY, FLOAT32
from explain.tape.modes import state
from explain.tape.node import Node, Version, accumulating, next_sequence


class Size(tuple[int, ...]):
    """A shape that prints as torch's."""

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self, dtype=np.int64))


class Tensor:
    """A numpy array (a numpy scalar for fresh 0-d results) with PyTorch's autograd state.

    ``data``: the values. ``requires_grad``: whether gradients flow to it. ``grad``: the accumulated gradient of a leaf.
    ``node`` and ``slot``: the graph node it came from, and which of its outputs it is; node is None for leaves.
    """

    __slots__ = ("__weakref__", "data", "grad", "node", "requires_grad", "slot", "version")

    data: Any
    requires_grad: bool
    grad: Tensor | None
    node: Node | None
    slot: int
    version: Version
    __array_ufunc__ = None  # numpy scalars and arrays on the left leave the operation to the tensor

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if requires_grad and data.dtype.kind != "f":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        self.data = data
        self.requires_grad = requires_grad
        self.grad = None
        self.node = None
        self.slot = 0
        self.version = Version()

    @classmethod
    def view_of(cls, data: Any, version: Version) -> Tensor:
        """A tensor without graph that shares its version counter with another."""
        tensor = cls(data)
        tensor.version = version
        return tensor

    # what it is

    @property
    def shape(self) -> Size:
        """The sizes of the axes."""
        return Size(self.data.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def dtype(self) -> dtypes.DType:
        """The torch dtype."""
        return BY_NUMPY[self.data.dtype]

    @property
    def is_leaf(self) -> bool:
        """Made by the user (or detached), not by an operation that gradients flow through."""
        return self.node is None or self.node.leaf is not None

    @property
    def grad_fn(self) -> Node | None:
        """The backward node, None for leaves."""
        return None if self.is_leaf else self.node

    @property
    def _version(self) -> int:
        return self.version.count

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.data.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    def numel(self) -> int:
        """The number of entries."""
        return self.data.size

    def item(self) -> Any:
        """The only entry as a Python number. Raises torch's RuntimeError if there are more or none."""
        if self.data.size != 1:
            raise RuntimeError(f"a Tensor with {self.data.size} elements cannot be converted to Scalar")
        return self.data.item()

    def tolist(self) -> Any:
        """The entries as nested lists."""
        return self.data.tolist()

    def numpy(self) -> np.ndarray:
        """The entries as an array that shares memory. Raises torch's RuntimeError if a gradient is required."""
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        return np.asarray(self.data)

    def __repr__(self) -> str:
        from explain.tape.printing import tensor_repr  # only whoever prints pays for it

        grad_fn = self.grad_fn
        return tensor_repr(self.data, grad_fn=grad_fn and grad_fn.name(), requires_grad=self.requires_grad)

    def __len__(self) -> int:
        if self.data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.data.shape[0]

    def __bool__(self) -> bool:
        if self.data.size != 1:
            amount = "no values" if self.data.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {amount} is ambiguous")
        return bool(self.data.item())

    __hash__ = object.__hash__

    # autograd

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients of a leaf, or no longer. Raises torch's RuntimeErrors for integers and for results."""
        if requires_grad and self.data.dtype.kind != "f":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if not requires_grad and not self.is_leaf:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        self.requires_grad = requires_grad or self.requires_grad and not self.is_leaf
        return self

    def gradient_node(self) -> Node:
        """The node that gradients of this tensor are sent to."""
        if self.node is None:
            self.node = accumulating(self)
        return self.node

    def detach(self) -> Tensor:
        """The same values (shared memory and version) without a graph."""
        return Tensor.view_of(self.data, self.version)

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Accumulate d self / d leaf, times ``gradient``, in every leaf's ``.grad``. Raises torch's RuntimeErrors."""
        from explain.tape.engine import backward, seed_for

        seed = gradient if create_graph and gradient is not None else seed_for(self, gradient)
        retain = create_graph if retain_graph is None else retain_graph
        if state.recorder is not None:
            state.recorder.backward_begins(self, seed)
        backward([(self, seed)], retain_graph=retain, create_graph=create_graph)
        if state.recorder is not None:
            state.recorder.backward_ends()

    # writing in place

    def write(self, values: Any) -> None:
        """Overwrite the entries and count a version; the graph is not told."""
        if isinstance(self.data, np.ndarray):
            self.data[...] = values
        else:
            self.data = self.data.dtype.type(values)
        self.version.count += 1

    def _replace(self, op: Op, *others: Any) -> Tensor:
        """In place: ``self`` becomes the result of the op. Raises torch's RuntimeErrors for leaves and shapes."""
        if self.requires_grad and state.grad_enabled and self.is_leaf:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        result = apply(op, (self, *others))
        if result.data.shape != self.data.shape:
            raise RuntimeError(
                f"output with shape {list(self.data.shape)} doesn't match the broadcast shape {list(result.data.shape)}"
            )
        if BY_NUMPY[result.data.dtype].kind > BY_NUMPY[self.data.dtype].kind:
            raise RuntimeError(
                f"result type {BY_NUMPY[result.data.dtype].legacy} can't be cast to the desired output type "
                f"{BY_NUMPY[self.data.dtype].legacy}"
            )
        self.write(result.data)
        if result.requires_grad:
            self.requires_grad, self.node, self.slot = True, result.node, result.slot
        return self

    def __getitem__(self, index: Any) -> Tensor:
        return call(METHODS, "__getitem__", self, index)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            op = ATTRIBUTES[name]
            return apply(op, *op.bind(self))
        raise AttributeError(f"'Tensor' object has no attribute '{name}'")


def wrap(data: Any, node: Node | None = None, slot: int = 0) -> Tensor:
    """A tensor around fresh values; with a node it is that node's output and requires a gradient."""
    out = Tensor.__new__(Tensor)
    out.data = data
    out.grad = None
    out.slot = slot
    out.version = Version()
    out.node = node
    out.requires_grad = node is not None
    return out


_constants: dict[tuple[Any, np.dtype], Any] = {}


def constant(value: Any, dtype: np.dtype) -> Any:
    """A Python number as a numpy scalar of the dtype; nonzero ones are kept."""
    try:
        return _constants[value, dtype]
    except KeyError:
        found = np.array(value).astype(dtype)[()]
        if value and value == value and len(_constants) < 4096:  # 0.0 and -0.0 are equal as keys; nan never is
            _constants[value, dtype] = found
        return found


def apply(op: Op, ins: tuple[Any, ...], options: dict[str, Any] = NO_OPTIONS) -> Any:
    """Run an op on tensors (and Python numbers): forward at once, a graph node if somebody may differentiate it.

    Returns a Tensor, or a tuple of them for ops with several outputs. Raises what torch raises.
    """
    arrays = [t.data if isinstance(t, Tensor) else t for t in ins]
    promotion = op.promotion
    if promotion != "keep":
        if promotion == "match":
            _match(op, arrays)
        elif promotion == "common_tail":
            arrays[1:] = _promote(ins[1:], arrays[1:], False)
        elif len(ins) == 1 or (
            arrays[0].dtype is not arrays[1].dtype if isinstance(ins[0], Tensor) and isinstance(ins[1], Tensor) else True
        ):
            arrays = _promote(ins, arrays, promotion == "float")
        elif promotion == "float" and arrays[0].dtype.kind != "f":
            arrays = _promote(ins, arrays, True)
    try:
        y = op.forward(*arrays, **options)
    except (ValueError, IndexError):
        shapes = tuple(np.shape(a) for a in arrays)
        error = op.shape_error(shapes, options)
        if error is None:
            raise
        raise error from None

    node = None
    if state.grad_enabled and op.differentiable:
        parents = tuple([t.gradient_node() if isinstance(t, Tensor) and t.requires_grad else None for t in ins])
        if any(parents):
            node = _node(op, ins, arrays, options, parents)
    if op.outputs == 1:
        out: Any = wrap(y, node if y.dtype.kind == "f" else None)
        outs = (out,)
    else:
        outs = out = tuple([wrap(part, node if part.dtype.kind == "f" else None, k) for k, part in enumerate(y)])
    if node is not None:
        node.out_metas = tuple([(t.data.shape, t.data.dtype) for t in outs])
        if "y" in op.saves(tuple([p is not None for p in node.parents])):
            version = outs[0].version
            node.result = (tuple([t.data for t in outs]), version, version.count)
            if node.saved is None:
                node.saved = (None,) * len(ins)
                node.versions = (0,) * len(ins)
    recorder = state.recorder
    if recorder is not None:
        recorder.applied(op, ins, arrays, options, outs, node)
    return out


def _node(op: Op, ins: tuple[Any, ...], arrays: list[Any], options: dict[str, Any], parents: tuple[Any, ...]) -> Node:
    node = Node.__new__(Node)
    node.op = op
    node.options = options
    node.leaf = None
    node.result = None
    node.parents = parents
    node.sequence = next_sequence()
    slots = tuple([t.slot if isinstance(t, Tensor) else 0 for t in ins])
    node.slots = slots if any(slots) else None
    node.metas = tuple([(t.data.shape, t.data.dtype) if isinstance(t, Tensor) else None for t in ins])
    names = op.saves(tuple([p is not None for p in parents]))
    if names - {"y"}:
        own = op.tensor_names
        node.saved = tuple(
            [
                (t if isinstance(t, Tensor) else a) if (own[k] if k < len(own) else "*") in names else None
                for k, (t, a) in enumerate(zip(ins, arrays, strict=True))
            ]
        )
        node.versions = tuple([t.version.count if isinstance(t, Tensor) else 0 for t in ins])
    else:
        node.saved = None
        node.versions = ()
    return node


def _promote(ins: tuple[Any, ...], arrays: list[Any], to_float: bool) -> list[Any]:
    if len(ins) == 2:  # the common case: a float tensor and a number
        for tensor, number in ((0, 1), (1, 0)):
            if isinstance(ins[tensor], Tensor) and type(ins[number]) in (int, float) and arrays[tensor].dtype.kind == "f":
                dtype = arrays[tensor].dtype
                converted = list(arrays)
                converted[number] = constant(ins[number], dtype)
                return converted
    operands = []
    for t, array in zip(ins, arrays, strict=True):
        if isinstance(t, Tensor):
            operands.append((array.dtype, 2 if array.ndim else 1))
        else:
            operands.append((dtypes.of_number(t), 0))
    dtype = dtypes.result_type(operands)
    if to_float and dtype.kind != "f":
        dtype = FLOAT32
    return [
        a if isinstance(t, Tensor) and a.dtype is dtype else a.astype(dtype) if isinstance(t, Tensor) else constant(a, dtype)
        for t, a in zip(ins, arrays, strict=True)
    ]


def _match(op: Op, arrays: list[Any]) -> None:
    first = arrays[0].dtype
    for array in arrays[1:]:
        if array.dtype != first:
            a, b = BY_NUMPY[first], BY_NUMPY[array.dtype]
            if op.name == "dot":
                raise RuntimeError(
                    f"dot : expected both vectors to have same dtype, but found {a.legacy} and {b.legacy}"
                )
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {_c_name(a)} != {_c_name(b)}"
            )


def _c_name(dtype: dtypes.DType) -> str:
    return {"Bool": "bool", "Byte": "unsigned char", "Char": "signed char", "Short": "short", "Int": "int", "Long": "long long",
            "Half": "c10::Half", "Float": "float", "Double": "double"}[dtype.legacy]  # fmt: skip


def call(table: dict[str, tuple[Op, ...]], name: str, *args: Any, **kwargs: Any) -> Any:
    """Call torch's function or method of this name: finds the op that takes the arguments and applies it."""
    op, ins, options = resolve(table, name, *args, **kwargs)
    return apply(op, ins, options)


class TapedNamespace:
    """``xp`` over tensors: the same names as over arrays, every call recorded in the graph."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            op = REGISTRY[name]
        except KeyError:
            raise AttributeError(f"no op is called {name!r}") from None

        def taped(*ins: Any, **options: Any) -> Any:
            return apply(op, tuple(wrap(t) if isinstance(t, np.ndarray | np.generic) else t for t in ins), options)

        setattr(self, name, taped)
        return taped


TAPED = TapedNamespace()

_OPERATORS = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "**": "pow", "@": "matmul", "==": "eq", "!=": "ne", "<": "lt",
    "<=": "le", ">": "gt", ">=": "ge",
}  # fmt: skip
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def equip() -> None:
    """Give Tensor its operators and methods, from what the ops declare. Called once, when the op library is complete."""
    for op in REGISTRY.values():
        if op.operator in _OPERATORS:
            name = _OPERATORS[op.operator]
            setattr(Tensor, f"__{name}__", _binary(op, op.operator))
            if op.operator not in _COMPARISONS:
                setattr(Tensor, f"__r{name}__", _reflected(op, op.operator))
        elif op.operator == "neg":
            setattr(Tensor, "__neg__", lambda self, op=op: apply(op, (self,)))  # noqa: B010
    for name, ops in METHODS.items():
        if name not in Tensor.__dict__:
            setattr(Tensor, name, _method(name))
        for op in ops:
            if op.broadcasts and op.differentiable:
                setattr(Tensor, name + "_", lambda self, *others, op=op: self._replace(op, *others))
    Tensor.zero_ = lambda self: self._replace(REGISTRY["mul"], 0)  # type: ignore[attr-defined]


def _operand(value: Any) -> bool:
    return isinstance(value, Tensor | int | float | np.generic)


def _binary(op: Op, sign: str) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if not _operand(other):
            return NotImplemented
        return apply(op, (self, other if isinstance(other, Tensor) else _plain(other)))

    return method


def _reflected(op: Op, sign: str) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if not _operand(other):
            return NotImplemented
        return apply(op, (_plain(other), self))

    return method


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def _method(name: str) -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return call(METHODS, name, self, *args, **kwargs)

    method.__name__ = name
    return method


Tensor.__pos__ = lambda self: self  # type: ignore[attr-defined]  # the very same object, as in torch
