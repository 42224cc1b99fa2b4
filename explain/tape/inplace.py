"""Writing in place: the values change where they lie, the version counts, and the graph learns who wrote.

A write through a view changes its root: in the graph the root becomes its old self with the written entries replaced
(torch's ``CopySlices``), and every view becomes a fresh look at it (``AsStridedBackward0``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from explain.ops.base import NO_OPTIONS, Op
from explain.ops.registry import METHODS, REGISTRY, resolve
from explain.tape.apply import apply, perform
from explain.tape.dtypes import BY_NUMPY
from explain.tape.modes import enable_grad, state
from explain.tape.tensor import Tensor, alias, leaf, wrap
from explain.tape.views import live_views

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
NO_GRAD_VIEW = (
    "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this use case is "
    "ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either "
    "both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you want the inplace "
    "to be tracked)."
)
ONE_OF_SEVERAL_VIEWS = (
    "Output {slot} of {name} is a view and is being modified inplace. This view is the output of a function that returns "
    "multiple views. Such functions do not allow the output views to be modified inplace. You should replace the inplace "
    "operation by an out-of-place one."
)
INFERENCE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor "
    "before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
)
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please "
    "clone() the tensor before performing the operation."
)


def write(tensor: Tensor, values: Any) -> None:
    """Overwrite the entries and count a version; the graph is not told."""
    if state.recorder is not None:
        state.recorder.before_write(tensor)
    if isinstance(tensor.array, np.ndarray):
        tensor.array[...] = values
    else:
        tensor.array = tensor.array.dtype.type(values)
    count_write(tensor)


def count_write(tensor: Tensor) -> None:
    """The memory was written once more; in inference mode nobody counts."""
    if not tensor.is_inference():
        tensor.version.count += 1


def in_place(tensor: Tensor, op: Op, others: tuple[Any, ...], options: dict[str, Any] = NO_OPTIONS) -> Tensor:
    """``tensor`` becomes the op's result on it and ``others``. Raises torch's RuntimeErrors for leaves, shapes, dtypes."""
    refuse(tensor, others)
    result = perform(op, (tensor, *others), options)
    own, new = tensor.array, result.array
    if new.shape != own.shape:
        raise RuntimeError(f"output with shape {list(own.shape)} doesn't match the broadcast shape {list(new.shape)}")
    if BY_NUMPY[new.dtype].kind > BY_NUMPY[own.dtype].kind:
        names = (BY_NUMPY[array.dtype].legacy for array in (new, own))
        raise RuntimeError("result type {} can't be cast to the desired output type {}".format(*names))
    node = result.node
    if node is not None and node.saved and node.saved[0] is tensor:
        node.saved = (_past(tensor), *node.saved[1:])  # the rule gets what stood here before
    if tensor.base is None:
        _rewrite_root(tensor, result)
    else:
        _rewrite_part(tensor, np.arange(own.size).reshape(own.shape), result, False)
        if node is not None and node.result is not None:
            node.result = (tensor.array, tensor.version, tensor.version.count)
    return tensor


def look_otherwise(tensor: Tensor, op: Op, options: dict[str, Any]) -> Tensor:
    """``tensor`` becomes another look at its own memory: ``op`` is a view of it. Raises torch's RuntimeErrors."""
    refuse(tensor, ())
    alias(tensor)
    own = tensor.array
    result = apply(op, (tensor,), options)
    if tensor.base is None:  # positions in it are counted in another order from now on
        order = np.asarray(op.forward(np.arange(own.size).reshape(own.shape), **options))
        count = np.empty(own.size, np.int64)
        count[order.reshape(-1)] = np.arange(own.size)
        for view in live_views(tensor):
            if view is not result and view.base is not None:
                seen = {"positions": count[view.base.positions()]}
                view.base = replace(view.base, before=None, op=REGISTRY["as_strided"], arrays=(), options=seen)
    else:
        tensor.base = result.base
    tensor.array = result.array
    count_write(tensor)
    if result.node is not None:
        tensor.node, tensor.slot, tensor.tracked = result.node, 0, True
    if state.recorder is not None:
        state.recorder.replaced(tensor, result)
    if tensor.base is None:
        result.base = None
        _look_again(tensor)
    return tensor


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``. Raises torch's errors for leaves, indices, values and shapes."""
    if not isinstance(value, Tensor | int | float | np.generic):
        kind = BY_NUMPY[tensor.array.dtype].legacy
        raise TypeError(f"can't assign a {_type_name(value)} to a torch.{kind}Tensor")
    if not isinstance(value, Tensor):
        literal = None if isinstance(value, np.generic | bool) else value
        value = leaf(np.full((), value, tensor.array.dtype)[()], literal=literal)
    alias(tensor)
    own = tensor.array
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None) and own.ndim):
        _fit(value, own.shape, own.dtype, False)
        in_place(tensor, REGISTRY["fill"], (_without_leading_ones(value, own.shape),))
        return
    op, (_, *picked), options = resolve(METHODS, "__getitem__", tensor, index)
    arrays = [p.array if isinstance(p, Tensor) else p for p in picked]
    positions = np.asarray(op.forward(np.arange(own.size).reshape(own.shape), *arrays, **options))
    fitting = _fit(value, positions.shape, own.dtype, bool(arrays))
    indexed = bool(arrays) and own.ndim > 0  # torch treats a mask on a single number as a view
    refuse(tensor, (value,), own if indexed else own.view() if arrays else op.forward(own, **options))
    _rewrite_part(tensor, positions, fitting, indexed)


def _fit(value: Tensor, shape: tuple[int, ...], dtype: np.dtype, indexed: bool) -> Tensor:
    value = _without_leading_ones(value, shape)
    given = value.array.shape
    if indexed and np.broadcast_shapes(given, shape) != shape if _broadcastable(given, shape) else indexed:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.array.shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        )
    if given != shape:
        value = apply(REGISTRY["expand"], (value,), {"shape": shape})
    return value if value.array.dtype == dtype else apply(REGISTRY["to"], (value,), {"dtype": dtype})


def _without_leading_ones(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    given = value.array.shape
    while len(given) > len(shape) and given[0] == 1:
        given = given[1:]
    if len(given) > len(shape):
        raise RuntimeError(_larger(shape, given))
    return value if given == value.array.shape else apply(REGISTRY["reshape"], (value,), {"shape": given})


def _broadcastable(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(p == q or 1 in (p, q) for p, q in zip(reversed(a), reversed(b), strict=False))


def _larger(own: tuple[int, ...], given: tuple[int, ...]) -> str:
    return (
        f"expand(torch.FloatTensor{{{list(given)}}}, size={list(own)}): the number of sizes provided ({len(own)}) must be "
        f"greater or equal to the number of dimensions in the tensor ({len(given)})"
    )


def _type_name(value: Any) -> str:
    return f"numpy.{type(value).__name__}" if isinstance(value, np.ndarray) else type(value).__name__


def refuse(tensor: Tensor, others: tuple[Any, ...], part: Any = None) -> None:
    """Raise torch's error if ``tensor`` (or only ``part`` of its memory) must not be written to now."""
    if tensor.is_inference() and not state.inference:
        raise RuntimeError(INFERENCE)
    base = tensor.base
    root = tensor if base is None else base.root
    tracked = root.tracked or tensor.tracked or any(isinstance(t, Tensor) and t.tracked for t in others)
    if tracked and state.grad_enabled:
        if base is not None and base.under_no_grad:
            raise RuntimeError(NO_GRAD_VIEW)
        if base is not None and base.op.outputs != 1:
            name = base.op.grad_fn((), base.options).partition("Backward")[0]
            raise RuntimeError(ONE_OF_SEVERAL_VIEWS.format(slot=base.slot, name=name))
        if tensor.tracked and root.node is None:
            raise RuntimeError(
                LEAF
                if base is None and (part is None or part is tensor.array)
                else LEAF.replace("a leaf", "a view of a leaf")
            )
    target = tensor.array if part is None else part
    if isinstance(target, np.ndarray):
        for size, stride in zip(target.shape, target.strides, strict=True):
            if size > 1 and stride == 0:
                raise RuntimeError(OVERLAP)


def _rewrite_root(tensor: Tensor, result: Tensor) -> None:
    node, old = result.node, tensor.array
    write(tensor, result.array)
    if node is not None:
        tensor.node, tensor.slot, tensor.tracked = node, result.slot, True
        if node.result is not None:
            node.result = (tensor.array, tensor.version, tensor.version.count)
        if old.dtype != result.array.dtype:
            node.shape, node.dtype = old.shape, old.dtype
    if state.recorder is not None:
        state.recorder.replaced(tensor, result)
    _look_again(tensor)


def _past(tensor: Tensor) -> Tensor:
    before = wrap(tensor.array.copy(), tensor.node, tensor.slot)
    before.tracked = tensor.tracked
    return before


def _rewrite_part(tensor: Tensor, positions: np.ndarray, value: Tensor, indexed: bool) -> None:
    """Write ``value`` to the entries of ``tensor`` at ``positions``, which count row by row; the graph is told."""
    root = tensor
    if tensor.base is not None:
        root = tensor.base.root
        positions = tensor.base.positions().reshape(-1)[positions]
    if state.recorder is not None or (state.grad_enabled and (root.tracked or value.tracked)):
        options = {"positions": positions, "indexed": indexed and root is tensor}
        result = apply(REGISTRY["written"], (root, value), options)
        if result.node is not None:
            root.node, root.slot, root.tracked = result.node, 0, True
        if state.recorder is not None:
            state.recorder.before_write(root)
            state.recorder.replaced(root, result)
    alias(root)
    if root.array.ndim:
        root.array[np.unravel_index(positions, root.array.shape)] = value.array
    elif positions.size:
        root.array[...] = value.array.reshape(())
    count_write(root)
    _look_again(root)


def _look_again(root: Tensor) -> None:
    """Give every view of ``root`` a new node, as torch does when it next looks at one."""
    if not (root.tracked or state.recorder is not None):
        return
    for view in live_views(root):
        base = view.base
        if base is None or base.root is not root:
            continue
        with enable_grad():
            fresh = apply(REGISTRY["as_strided"], (root,), {"positions": base.positions()})
        view.node, view.slot, view.tracked = fresh.node, 0, fresh.tracked
        if state.recorder is not None:
            state.recorder.replaced(view, fresh)
