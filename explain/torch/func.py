"""``torch.func``: functions that turn a function into its gradient, Jacobian, Hessian, or into one over a batch.

Every function that is differentiated gets leaves of its own, connected to whatever graph lies outside, so they nest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.tape.autograd import grad as tape_grad
from explain.tape.modes import enable_grad
from explain.tape.node import Node
from explain.tape.tensor import Tensor, wrap
from explain.torch.autograd.functional import called, fresh_leaf, jacobian_rows, pushed, report
from explain.torch.tree import flatten, mapped, unflatten
from explain.torch.vmap import vmap

Function = Callable[..., Any]
__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip

_depth = 0
"""How many functions are being differentiated right now, one inside the other."""


def _differentiating(function: Function) -> Function:
    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        global _depth
        _depth += 1
        try:
            with enable_grad():
                return function(*args, **kwargs)
        finally:
            _depth -= 1

    return counted


def grad(func: Function, argnums: Any = 0, has_aux: bool = False) -> Function:
    """The gradient of a function of one entry by its arguments ``argnums``."""

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found[0], found[1][1]) if has_aux else found[0]

    return gradient


def grad_and_value(func: Function, argnums: Any = 0, has_aux: bool = False) -> Function:
    """The gradient of a function of one entry, and its value."""

    @functools.wraps(func)
    @_differentiating
    def both(*args: Any, **kwargs: Any) -> Any:
        leaves, structure, own = _separated(args, argnums)
        out = called(func, *own, **kwargs)
        aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise RuntimeError(
                    "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True"
                )
            out, aux = out
        if not isinstance(out, Tensor):
            raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(out)}")
        if out.array.ndim:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                f"{out.array.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        found = _pulled([out], leaves, None)
        gradients = unflatten([_outside(g, leaves) for g in found], structure)
        value = _outside(out, leaves)
        return gradients, ((value, mapped(lambda t: _outside(t, leaves), aux)) if has_aux else value)

    return both


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(output, function from a cotangent v to vᵀ J)."""
    with enable_grad():
        leaves, structure, own = _separated(primals, tuple(range(len(primals))))
        out = called(func, *own)
    aux = None
    if has_aux:
        out, aux = out
    outs, shape = flatten(out)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = flatten(cotangents if len(cotangents) > 1 else cotangents[0])[0]
        if len(given) != len(outs):
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {len(given)}, primal output: {len(outs)}"
            )
        with enable_grad():
            found = [_outside(g, leaves) for g in _pulled(outs, leaves, given)]
        return tuple(unflatten(found, structure))

    value = unflatten([_outside(t, leaves) for t in outs], shape)
    return (value, pull, aux) if has_aux else (value, pull)


@_differentiating
def jvp(func: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], *, has_aux: bool = False) -> Any:
    """(output, J u) for a change u of the inputs."""
    leaves, _, own = _separated(tuple(primals), tuple(range(len(primals))))
    changes = flatten(tuple(tangents))[0]
    out = called(func, *own)
    aux = None
    if has_aux:
        out, aux = out
    outs, shape = flatten(out)
    found = [pushed(y, leaves, changes, _depth > 1 or _reaches_outside(outs, leaves)) for y in outs]
    report("jvp", outs, leaves, None, changes, found)
    values = [unflatten([_outside(t, leaves) for t in part], shape) for part in (outs, found)]
    return (*values, aux) if has_aux else tuple(values)


def jacrev(
    func: Function, argnums: Any = 0, *, has_aux: bool = False, chunk_size: int | None = None, **others: Any
) -> Function:
    """The Jacobian of a function by its arguments ``argnums``."""
    return _jacobian(func, argnums, has_aux, "jacobian")


def jacfwd(func: Function, argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error", **others: Any) -> Function:
    """The Jacobian of a function, as torch computes it column by column: the same numbers."""
    return _jacobian(func, argnums, has_aux, "jacobian")


def _jacobian(func: Function, argnums: Any, has_aux: bool, kind: str) -> Function:
    @functools.wraps(func)
    @_differentiating
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        leaves, structure, own = _separated(args, argnums)
        out = called(func, *own, **kwargs)
        aux = None
        if has_aux:
            out, aux = out
        outs, shape = flatten(out)
        for y in outs:
            if not isinstance(y, Tensor):
                raise RuntimeError(
                    f"jacrev: Expected f to return only Tensors as outputs, got unsupported type {type(y)}. If your "
                    "function f has no outputs, please return a list of Tensors"
                )
        outer = _depth > 1 or _reaches_outside(outs, leaves)
        rows = [jacobian_rows(y, leaves, outer, False, k) for k, y in enumerate(outs)]
        report(kind, outs, leaves, rows)
        found = unflatten([unflatten([_outside(t, leaves) for t in part], structure) for part in rows], shape)
        return (found, aux) if has_aux else found

    return jacobian


def hessian(func: Function, argnums: Any = 0) -> Function:
    """The second derivatives of a function of one entry by its arguments ``argnums``."""
    return _jacobian(jacrev(func, argnums), argnums, False, "hessian")


def linearize(func: Function, *primals: Any) -> Any:
    """(output, function from a change u of the inputs to J u)."""
    out = called(func, *primals)
    return out, lambda *tangents: jvp(func, primals, tangents)[1]


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: Any = None, **options: Any
) -> Any:
    """Call a module with other parameters and buffers in place of its own."""
    given = parameter_and_buffer_dicts
    merged = {k: v for part in given for k, v in part.items()} if isinstance(given, tuple | list) else dict(given)
    before = module.replaced_tensors(merged)
    try:
        called = args if isinstance(args, tuple) else () if args is None else (args,)
        return module(*called, **(kwargs or {}))
    finally:
        module.replaced_tensors(before)


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and buffers of several alike modules, stacked."""
    from explain.tape.apply import TAPED

    def stacked(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        made = {}
        for key, first in parts[0].items():
            made[key] = TAPED.stack(*(p[key] for p in parts), dim=0).detach()
            if first.tracked:
                made[key].requires_grad_()
        return made

    return stacked([dict(m.named_parameters()) for m in models]), stacked([dict(m.named_buffers()) for m in models])


def functionalize(func: Function, **options: Any) -> Function:
    """The function itself: nothing here needs another form of it."""
    return func


# pieces


def _separated(args: tuple[Any, ...], argnums: Any) -> tuple[list[Tensor], Any, tuple[Any, ...]]:
    """The tensors that are differentiated by, as leaves of their own; their structure; the arguments with them."""
    single = isinstance(argnums, int)
    numbers = (argnums,) if single else tuple(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
    chosen = [args[n] for n in numbers]
    leaves, structure = flatten(chosen[0] if single else tuple(chosen))
    for t in leaves:
        if not isinstance(t, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
    made = [fresh_leaf(t, True) for t in leaves]
    rebuilt = unflatten(made, structure)
    own = list(args)
    for n, value in zip(numbers, [rebuilt] if single else list(rebuilt), strict=True):
        own[n] = value
    return made, structure, tuple(own)


def _pulled(outs: list[Tensor], leaves: list[Tensor], weights: list[Tensor] | None) -> list[Tensor]:
    tracked = [k for k, y in enumerate(outs) if y.tracked]
    zeros = [wrap(np.zeros_like(x.array)[()]) for x in leaves]
    if not tracked:
        return zeros
    found = tape_grad(
        [outs[k] for k in tracked],
        leaves,
        None if weights is None else [weights[k] for k in tracked],
        retain_graph=True,
        create_graph=_depth > 1 or _reaches_outside(outs, leaves),
        allow_unused=True,
    )
    return [zero if g is None else g for g, zero in zip(found, zeros, strict=True)]


def _outside(t: Any, leaves: list[Tensor]) -> Any:
    """A result as the caller sees it: with its graph only if that leads to something that the caller differentiates."""
    if not isinstance(t, Tensor) or not t.tracked:
        return t
    return t if _depth > 1 or _reaches_outside([t], leaves) else t.detach()


def _reaches_outside(outs: list[Tensor], leaves: list[Tensor]) -> bool:
    """Whether the graph of the results leads to a leaf other than the function's own."""
    own = {id(x) for x in leaves}
    seen: set[int] = set()
    todo: list[Any] = [y.node or y for y in outs if isinstance(y, Tensor) and y.tracked]
    while todo:
        end = todo.pop()
        if end is None or id(end) in seen:
            continue
        seen.add(id(end))
        if isinstance(end, Node):
            todo += end.parents
        elif id(end) not in own:
            return True
    return False
