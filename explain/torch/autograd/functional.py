"""``torch.autograd.functional``: Jacobians, Hessians and their products with vectors, of functions of tensors.

Rows come from one backward walk each. While somebody records, the walks are not reported one by one but as what they are
for: a Jacobian, a Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from explain.ops.registry import REGISTRY
from explain.tape.apply import TAPED, apply
from explain.tape.autograd import grad
from explain.tape.modes import enable_grad, state
from explain.tape.tensor import Tensor, wrap

Function = Callable[..., Any]


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """∂ output / ∂ input for each pair: of shape (*output's, *input's); nested tuples as inputs and outputs are tuples."""
    with enable_grad():
        starts, single = _inputs(inputs, "jacobian", create_graph)
        outputs, one = _outputs(called(func, *starts), "jacobian")
        _check_outputs(outputs, strict)
        rows = [jacobian_rows(y, starts, create_graph, strict, k) for k, y in enumerate(outputs)]
    report("jacobian", outputs, starts, rows)
    return _unpacked(rows, single, one)


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """∂² output / ∂ input ∂ input of a function of one entry: nested tuples where inputs are a tuple."""
    with enable_grad():
        starts, single = _inputs(inputs, "hessian", create_graph)
        outputs, one = _outputs(called(func, *starts), "hessian")
        if not one:
            raise RuntimeError("The function given to hessian should return a single Tensor")
        (y,) = outputs
        if y.array.size != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        _check_outputs(outputs, strict)
        y = apply(REGISTRY["reshape"], (y,), {"shape": ()}) if y.array.ndim else y
        firsts = _gradients(y, starts, True)
        rows = [jacobian_rows(g, starts, create_graph, False, k) for k, g in enumerate(firsts)]
    report("hessian", firsts, starts, rows)
    return _unpacked(rows, single, single)


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(outputs, vᵀ J): the products of a vector with the Jacobians, one per input."""
    with enable_grad():
        starts, single = _inputs(inputs, "vjp", create_graph)
        outputs, one = _outputs(called(func, *starts), "vjp")
        _check_outputs(outputs, strict)
        weights = _vector(v, outputs, "the user-provided function returns a single Tensor with a single element.")
        found = _pulled(outputs, starts, weights, create_graph)
    return _finished(outputs, one, create_graph), found[0] if single else tuple(found)


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(outputs, J v): the products of the Jacobians with a vector, one per output; by differentiating vᵀ J by v."""
    with enable_grad():
        starts, _ = _inputs(inputs, "jvp", create_graph)
        tangents = _vector(v, starts, "the input to the user-provided function is a single Tensor with a single element.")
        outputs, one = _outputs(called(func, *starts), "jvp")
        _check_outputs(outputs, strict)
        found = [pushed(y, starts, tangents, create_graph) for y in outputs]
    report("jvp", outputs, starts, None, tangents, found)
    return _finished(outputs, one, create_graph), found[0] if one else tuple(found)


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(output, vᵀ H): the product of a vector with the Hessian, one per input."""
    with enable_grad():
        starts, single = _inputs(inputs, "vhp", create_graph)
        outputs, _ = _outputs(called(func, *starts), "vhp")
        (y,) = outputs
        if y.array.size != 1:
            raise RuntimeError("The Tensor returned by the function given to vhp should contain a single element")
        _check_outputs(outputs, strict)
        vectors = _vector(v, starts, "the input to the user-provided function is a single Tensor with a single element.")
        firsts = _gradients(y, starts, True)
        found = _pulled(firsts, starts, vectors, create_graph)
    return _finished(outputs, True, create_graph), found[0] if single else tuple(found)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(output, H v): as ``vhp``, the Hessian being symmetric."""
    return vhp(func, inputs, v, create_graph, strict)


# pieces


def fresh_leaf(t: Tensor, create_graph: bool) -> Tensor:
    """An input as a function to be differentiated gets it: a leaf of its own, or connected to the outer graph.

    Its name on a page is the original's."""
    made = apply(REGISTRY["index"], (t,), {"index": (Ellipsis,)}) if create_graph and t.tracked else t.detach()
    if made.node is None:
        made.requires_grad_()
    recorder = state.recorder
    if recorder is not None:
        recorder.same(made, t)
    return made


def called(func: Function, *args: Any, **kwargs: Any) -> Any:
    """What a function returns; a result that has no name of its own is called by the function's."""
    found = func(*args, **kwargs)
    name = getattr(func, "__name__", "")
    recorder = state.recorder
    plain = name.isidentifier() and not hasattr(func, "__wrapped__")
    if recorder is not None and isinstance(found, Tensor) and plain and not recorder.trace(found).names:
        recorder.name(found, name)
    return found


def _inputs(inputs: Any, name: str, create_graph: bool) -> tuple[list[Tensor], bool]:
    single = not isinstance(inputs, tuple)
    given = (inputs,) if single else inputs
    for k, t in enumerate(given):
        if not isinstance(t, Tensor):
            which = "given inputs has" if single else f"value at index {k} has"
            raise TypeError(
                f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but the {which} type {type(t)}."
            )
    return [fresh_leaf(t, create_graph) for t in given], single


def _outputs(found: Any, name: str) -> tuple[list[Tensor], bool]:
    one = not isinstance(found, tuple)
    outputs = [found] if one else list(found)
    for k, t in enumerate(outputs):
        if not isinstance(t, Tensor):
            what = (
                f"The outputs of the user-provided function given to {name} must be either a Tensor or a tuple of Tensors "
            )
            what += "but the "
            what += f"given outputs of the user-provided function has type {type(t)}." if one else ""
            what += "" if one else f"value at index {k} has type {type(t)}."
            raise TypeError(what)
    return outputs, one


def _check_outputs(outputs: list[Tensor], strict: bool) -> None:
    for k, y in enumerate(outputs):
        if strict and not y.tracked:
            raise RuntimeError(
                f"Output {k} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def _vector(v: Any, likes: list[Tensor], only_if: str) -> list[Tensor]:
    if v is None:
        if len(likes) != 1 or likes[0].array.size != 1:
            raise RuntimeError(f"The vector v can only be None if {only_if}")
        return [wrap(np.ones_like(likes[0].array)[()])]
    given = list(v) if isinstance(v, tuple) else [v]
    if len(given) != len(likes):
        raise RuntimeError(f"The given v is invalid: it should contain {len(likes)} elements but got {len(given)}")
    for k, (a, b) in enumerate(zip(given, likes, strict=True)):
        if a.array.shape != b.array.shape:
            raise RuntimeError(
                f"Entry {k} in v has invalid size: should be {b.shape} but got {a.shape}."
                if len(given) > 1
                else f"v has invalid size: should be {b.shape} but got {a.shape}."
            )
    return given


def jacobian_rows(y: Tensor, starts: list[Tensor], create_graph: bool, strict: bool, k: int) -> list[Tensor]:
    """∂ y / ∂ each input, row by row."""
    shape = y.array.shape
    if not shape and not strict:
        return _gradients(y, starts, create_graph)  # a gradient like any other, and reported as one
    per_input: list[list[Tensor]] = [[] for _ in starts]
    with silently():
        for place in np.ndindex(shape):
            found: Any = [None] * len(starts)
            if y.tracked:
                row = y[place] if shape else y
                found = grad(row, starts, retain_graph=True, create_graph=create_graph, allow_unused=True)
            for column, (g, x) in enumerate(zip(found, starts, strict=True)):
                if g is None and strict:
                    raise RuntimeError(
                        f"Output {k} of the user-provided function is independent of input {column}. This is not allowed in "
                        "strict mode."
                    )
                per_input[column].append(wrap(np.zeros_like(x.array)[()]) if g is None else g)
    made = []
    for x, rows in zip(starts, per_input, strict=True):
        full = (*shape, *x.array.shape)
        if not rows:
            made.append(wrap(np.zeros(full, x.array.dtype)))
        elif any(r.tracked for r in rows):
            made.append(TAPED.reshape(TAPED.stack(*rows, dim=0), shape=full))
        else:
            made.append(wrap(np.stack([r.array for r in rows]).reshape(full)[()]))
    return made


def _gradients(y: Tensor, starts: list[Tensor], create_graph: bool) -> list[Tensor]:
    if not y.tracked:
        return [wrap(np.zeros_like(x.array)[()]) for x in starts]
    found = grad(y, starts, create_graph=create_graph, allow_unused=True)
    return [wrap(np.zeros_like(x.array)[()]) if g is None else g for g, x in zip(found, starts, strict=True)]


def _pulled(outputs: list[Tensor], starts: list[Tensor], weights: list[Tensor], create_graph: bool) -> list[Tensor]:
    pairs = [(y, v) for y, v in zip(outputs, weights, strict=True) if y.tracked]
    if not pairs:
        return [wrap(np.zeros_like(x.array)[()]) for x in starts]
    found = grad(
        [y for y, _ in pairs], starts, [v for _, v in pairs], create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return [wrap(np.zeros_like(x.array)[()]) if g is None else g for g, x in zip(found, starts, strict=True)]


def pushed(y: Tensor, starts: list[Tensor], tangents: list[Tensor], create_graph: bool) -> Tensor:
    """J u for one output: Jᵀ v is linear in v, so its derivative by v, weighted by u, is J u."""
    zero = wrap(np.zeros_like(y.array)[()])
    if not y.tracked:
        return zero
    with silently():
        v = wrap(np.zeros_like(y.array)[()])
        v.requires_grad_()
        rows = grad(y, starts, v, create_graph=True, allow_unused=True)
        linked = [(g, u) for g, u in zip(rows, tangents, strict=True) if g is not None and g.tracked]
        if not linked:
            return zero
        (found,) = grad([g for g, _ in linked], v, [u for _, u in linked], create_graph=create_graph, allow_unused=True)
    return zero if found is None else found


def _finished(outputs: list[Tensor], one: bool, create_graph: bool) -> Any:
    made = outputs if create_graph else [y.detach() for y in outputs]
    return made[0] if one else tuple(made)


def _unpacked(rows: list[list[Tensor]], single: bool, one: bool) -> Any:
    nested = [r[0] if single else tuple(r) for r in rows]
    return nested[0] if one else tuple(nested)


@contextmanager
def silently() -> Iterator[None]:
    """Walks inside the block are not reported one by one."""
    recorder = state.recorder
    with nullcontext() if recorder is None else recorder.silently():
        yield


def report(
    kind: str, outputs: list[Tensor], starts: list[Tensor], rows: Any, tangents: Any = None, products: Any = None
) -> None:
    """Tell the recorder, if there is one, what was computed of each output."""
    recorder = state.recorder
    if recorder is not None:
        for k, y in enumerate(outputs):
            if kind == "jacobian" and not y.array.ndim:
                continue  # its one row was reported as the gradient that it is
            recorder.reported(kind, y, starts, None if rows is None else rows[k], tangents, products and products[k])
