"""``backward`` and ``grad``: where a walk starts, what it is for, and torch's checks before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from explain.ops.registry import REGISTRY
from explain.tape import engine
from explain.tape.apply import apply
from explain.tape.hooks import keep_gradient
from explain.tape.modes import state
from explain.tape.tensor import Tensor, wrap
from explain.tape.warn import once

UNUSED = (
    "The differentiated Tensor at index {} appears to not have been used in the graph. Set allow_unused=True if this is the "
    "desired behavior."
)
CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which can "
    "cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use this "
    "function, make sure to reset the .grad fields of your parameters to None after use to break the cycle and avoid the "
    "leak."
)
ONES = {np.float32: np.float32(1), np.float64: np.float64(1)}


def backward(
    tensor: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Accumulate d tensor / d leaf, times ``gradient``, in every leaf's ``.grad``; with ``inputs`` in those only, which may
    be computed tensors. Raises torch's RuntimeErrors."""
    usual = gradient is None and inputs is None and not create_graph and state.plain
    if usual and tensor.tracked and tensor.array.__class__ in ONES:  # the end of most programs: a fresh scalar
        seed = ONES[tensor.array.__class__]
        engine.backward([(tensor, seed)], retain_graph=bool(retain_graph))
        return
    backward_of([tensor], None if gradient is None else _tensors(gradient), retain_graph, create_graph, inputs)


def backward_of(
    tensors: Tensor | Sequence[Tensor],
    gradients: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """``torch.autograd.backward``: from several tensors at once. Raises torch's RuntimeErrors."""
    if create_graph:
        once(CYCLE)
    if inputs is not None and not isinstance(inputs, Tensor) and not len(inputs):
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    ends = _tensors(tensors)
    roots = _roots(ends, None if gradients is None else _tensors(gradients), create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    targets = None if inputs is None else _tensors(inputs)
    for target in targets or ():
        if not target.tracked:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    found = _walked("backward", roots, targets, retain, create_graph)
    for target, g in zip(targets or (), found, strict=True):
        if g is not None:
            keep_gradient(target, g)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum, weighted by ``grad_outputs``, by each input; no ``.grad`` changes.

    Like ``torch.autograd.grad``: a tuple with one tensor of the input's shape and dtype per input, None where an input was
    not used and ``allow_unused`` is set (zeros with ``materialize_grads``). Raises torch's errors.
    """
    if is_grads_batched:
        raise NotImplementedError("autograd.grad: is_grads_batched is not served here; call grad once per row")
    ends = _tensors(outputs)
    starts = _tensors(inputs)
    if not starts:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    for k, start in enumerate(starts):
        if not isinstance(start, Tensor):
            raise TypeError(f"element {k} of inputs is not a Tensor but {type(start).__name__}")
    roots = _roots(ends, None if grad_outputs is None else _tensors(grad_outputs), create_graph)
    if not all(start.tracked for start in starts):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    retain = create_graph if retain_graph is None else retain_graph
    found = []
    for k, g in enumerate(_walked("grad", roots, starts, retain, create_graph)):
        if g is None and materialize_grads:
            g = np.zeros_like(starts[k].array)[()]
        if g is None and not allow_unused:
            raise RuntimeError(UNUSED.format(k))
        found.append(g if g is None or isinstance(g, Tensor) else wrap(g))
    recorder = state.recorder
    if recorder is not None:
        recorder.results(list(zip(starts, found, strict=True)))
    return tuple(found)


def _walked(kind: str, roots: engine.Roots, targets: list[Tensor] | None, retain: bool, create_graph: bool) -> list[Any]:
    """Walk, recorded if somebody records. Returns the gradients of the targets."""
    wanted: dict[engine.Target, Any] | None = None
    if targets is not None:
        wanted = {(t.gradient_node(), t.slot): None for t in targets}
    recorder = state.recorder
    if recorder is None:
        engine.backward(roots, retain_graph=retain, create_graph=create_graph, wanted=wanted)
    else:
        recorder.backward_begins(kind, roots, targets, create_graph)
        try:
            engine.backward(roots, retain_graph=retain, create_graph=create_graph, wanted=wanted)
        except BaseException:
            recorder.backward_failed()
            raise
    found = [wanted[t.gradient_node(), t.slot] for t in targets or ()] if wanted is not None else []
    if recorder is not None:
        recorder.backward_ends(list(zip(targets or (), found, strict=True)))
    return found


def _tensors(given: Any) -> list[Any]:
    return [given] if isinstance(given, Tensor) or given is None else list(given)


def _roots(ends: list[Tensor], weights: list[Any] | None, create_graph: bool) -> engine.Roots:
    if weights is None:
        weights = [None] * len(ends)
    seeds = [_seed(end, weight, k, create_graph) for k, (end, weight) in enumerate(zip(ends, weights, strict=False))]
    if len(weights) != len(ends):
        raise RuntimeError(f"got {len(ends)} tensors and {len(weights)} gradients")
    for k, end in enumerate(ends):
        if not end.tracked:
            raise RuntimeError(f"element {k} of tensors does not require grad and does not have a grad_fn")
    return list(zip(ends, seeds, strict=True))


def _seed(end: Tensor, weight: Tensor | None, k: int, create_graph: bool) -> Any:
    """The cotangent that a walk starts from: an array, a tensor under ``create_graph``. Raises torch's errors."""
    data = end.array
    if weight is None:
        if data.size != 1 and end.tracked:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        return data.dtype.type(1) if data.ndim == 0 else np.ones(data.shape, data.dtype)
    if not isinstance(weight, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(weight).__name__}")
    if weight.array.shape != data.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{k}] has a shape of {weight.shape} and output[{k}] has a shape of {end.shape}."
        )
    if create_graph:
        return weight if weight.array.dtype == data.dtype else apply(REGISTRY["to"], (weight,), {"dtype": data.dtype})
    return weight.array if weight.array.dtype is data.dtype else weight.array.astype(data.dtype)
