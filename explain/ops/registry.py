"""The tables of the op library: every op under its own name and under torch's names, and how a call finds its op.

Torch's names stand in namespaces. An op declares them with a prefix: ``"relu"`` is ``torch.relu``, ``"F.relu"`` is
``torch.nn.functional.relu``, ``"linalg.inv"`` and ``"special.expit"`` are what they say.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from explain.ops.base import NoMatch, Op, Options, Shape
from explain.ops.optional import WithOptional

NAMESPACES = ("", "F", "linalg", "special")
"""In the order in which a bare name, as expressions write it, is looked for."""

REGISTRY: dict[str, Op] = {}
COMPOSITES: dict[str, Op] = {}
TORCH: dict[str, dict[str, tuple[Op, ...]]] = {namespace: {} for namespace in NAMESPACES}
FUNCTIONS: dict[str, tuple[Op, ...]] = {}
METHODS: dict[str, tuple[Op, ...]] = {}
ATTRIBUTES: dict[str, Op] = {}

_found_in: dict[str, int] = {}


def register(op: Op) -> Op:
    """Put an op into the library under its own name and torch's names. Raises TypeError on a name taken twice."""
    if op.name in REGISTRY or op.name in COMPOSITES:
        raise TypeError(f"two ops are called {op.name!r}")
    (COMPOSITES if op.composite else REGISTRY)[op.name] = op
    for dotted in op.functions:
        namespace, _, name = dotted.rpartition(".")
        TORCH[namespace][name] = (*TORCH[namespace].get(name, ()), op)
        if name.endswith("_"):
            continue  # what works in place is for programs, not for expressions
        place = NAMESPACES.index(namespace)
        if place <= _found_in.setdefault(name, place):
            _found_in[name] = place
            FUNCTIONS[name] = TORCH[namespace][name]
    for name in op.methods:
        METHODS[name] = (*METHODS.get(name, ()), op)
    for name in op.attributes:
        ATTRIBUTES[name] = op
    return op


def block(cls: type[Op]) -> Op:
    """Class decorator: the block becomes the one instance that is registered."""
    return register(cls())


def resolve(table: Mapping[str, tuple[Op, ...]], name: str, *args: Any, **kwargs: Any) -> tuple[Op, tuple, dict]:
    """The first op of this torch name that takes the arguments, bound: (op, inputs, options). Raises NoMatch."""
    fault: NoMatch | None = None
    for op in table[name]:
        try:
            return (op, *op.bind(*args, **kwargs))
        except NoMatch as error:
            fault = fault or error
    assert fault is not None
    raise fault


class NumericNamespace:
    """``xp`` over numpy arrays: ``xp.tanh(a)`` runs the op's forward, with its own keyword options."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = REGISTRY.get(name) or COMPOSITES.get(name)
        if op is None:
            raise AttributeError(f"no op is called {name!r}")
        function = op.forward
        setattr(self, name, function)
        return function


NUMERIC = NumericNamespace()


class Composite(Op):
    """A function of torch's that is made of ops: it has no rule and no formula of its own, its parts have.

    Built by ``composite``. A derivation shows the parts.
    """

    composite = True
    differentiable = False
    kind = "composite"

    def __init__(self, name: str, compose: Callable[..., Any], fields: dict[str, Any]) -> None:
        self.name = name
        self.compose = compose
        for key, value in fields.items():
            setattr(self, "backward_name" if key == "grad_fn" else key, value)

        def forward(*ins: Any, **options: Any) -> Any:
            return compose(NUMERIC, *ins, **options)

        signature = inspect.signature(compose)
        own = list(signature.parameters.values())[1:]  # without xp
        forward.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
        self.forward = forward
        super().__init__()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        named: Any = self.backward_name
        return named(shapes, options) if callable(named) else named


class CompositeWithOptional(Composite, WithOptional):
    """A function made of ops some of whose tensors may be missing, or stand among its options."""


def composite(name: str, compose: Callable[..., Any], **fields: Any) -> Op:
    """Declare a function that is made of ops: ``compose(xp, x, …, *, options)``, written against the same ``xp`` as a vjp.

    ``fields``: ``functions``, ``methods``, ``samples`` and what else an Op declares about its names and arguments. Where
    torch has one backward node for the whole, ``grad_fn`` is its name (or a function of shapes and options that says it).
    With ``order``, torch's order of the arguments, tensors may have the default None.
    """
    form = CompositeWithOptional if "order" in fields else Composite
    return register(form(name, compose, fields))
