"""What a node saved in forward, as its rule gets it in backward: checked for versions and for having been freed."""

from __future__ import annotations

from typing import Any

from explain.ops.base import Unsaved, numpy_dtype
from explain.ops.registry import NUMERIC
from explain.tape.apply import TAPED
from explain.tape.dtypes import BY_NUMPY
from explain.tape.node import FREED, Node
from explain.tape.tensor import Tensor, wrap

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)
MODIFIED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: [{kind} {shape}]"
    "{made} is at version {now}; expected version {then} instead. Hint: enable anomaly detection to find the operation "
    "that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False)."
)


def saved_values(node: Node, as_tensors: bool) -> tuple[list[Any], Any]:
    """The inputs and the output as the rule gets them. Raises torch's errors if one was freed or modified in place."""
    saved = node.saved
    if saved is FREED:
        raise RuntimeError(SECOND_BACKWARD)
    ins: list[Any] = []
    op = node.op
    unread = op.broadcasts
    for k, value in enumerate(saved or (None,) * len(node.parents)):
        if value is None:
            meta = None if unread else node.metas[k]
            ins.append(None if meta is None else Unsaved(*meta))
        elif isinstance(value, Tensor):
            memory = value.memory
            if memory is not None and memory.count != node.versions[k]:
                raise modified(value.array, memory.count, node.versions[k], value.node)
            found = value if as_tensors else value.array
            if not node.exact and unread and op.promotion != "keep" and value.array.dtype.kind != "b":
                found = cast(TAPED if as_tensors else NUMERIC, found, node.dtype)
            ins.append(found)
        else:
            ins.append(value.item() if as_tensors and unread else value)
    if node.result is None:
        return ins, None
    values, memory, then = node.result
    if node.outputs == 1:
        if memory.count != then:
            raise modified(values, memory.count, then, node)
        return ins, wrap(values, node) if as_tensors else values
    if as_tensors:
        return ins, tuple([wrap(v, node if v.dtype.kind == "f" else None, k) for k, v in enumerate(values)])
    return ins, values


def modified(values: Any, now: int, then: int, producer: Node | None) -> RuntimeError:
    """Torch's error for a saved value that was written to since."""
    dtype = BY_NUMPY[values.dtype]
    kind = "CPUBoolType" if dtype.name == "bool" else f"torch.{dtype.legacy}Tensor"
    made = f", which is output 0 of {producer.name().replace('Backward0', '').replace('Backward', '')}," if producer else ""
    return RuntimeError(MODIFIED.format(kind=kind, shape=list(values.shape), made=made, now=now, then=then))


def cast(xp: Any, t: Any, dtype: Any) -> Any:
    """A cotangent or saved value in another dtype."""
    return t if numpy_dtype(t) == dtype else xp.to(t, dtype=dtype)
