"""The contract of an operation: everything that is known about one op stands in one block.

An op brings two independent witnesses of its derivative. ``vjp`` is numeric and is what the tape runs; ``formula`` is
the mathematics of one output entry, and sympy derives Jacobians from it alone. Neither is ever generated from the
other: the check on every page compares them.

Signatures mirror each other. With inputs ``a, b`` (tensors are positional) and options (keyword-only)::

    forward(a, b, *, dim=None)                  numpy arrays in, numpy array out
    vjp(xp, needs, g, y, a, b, *, dim=None)     one cotangent per input, None or False where ``needs`` is False
    formula(s, out, a, b, *, dim=None)          one entry of y at the index tuple ``out``

An op with several outputs gets a list of upstreams, None for those that nobody used, and its formula returns one entry of
each. If their number depends on the call (``outputs = 0``), the option ``which`` says which one is meant.

What is known by an equation rather than by a formula of its entries (an inverse, eigenvectors) says how it moves::

    differential(s, out, y, changes, a, b, *, dim=None)   per input, what an entry of dy owes to its change
    equation(s, out, y, a, b, *, dim=None)                an entry of what is zero

With several outputs y is the tuple of all of them and the option ``which`` says whose change is meant.

``xp`` is an op namespace: over arrays in an ordinary backward, over the tape under ``create_graph=True``, so the same
rule can be differentiated again. ``s`` is the symbolic namespace that calculus passes in; this layer never sees sympy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

Array = np.ndarray
Shape = tuple[int, ...]
Options = Mapping[str, Any]

NO_OPTIONS: dict[str, Any] = {}
ARGUMENT_ALIASES = {"axis": "dim", "keepdims": "keepdim"}
TENSOR_ALIASES = ("input", "other")


class NoMatch(TypeError):
    """These arguments do not fit this op's signature; another op of the same torch name may take them."""


@dataclass(frozen=True)
class Sample:
    """Inputs on which an op is tried by the generic test and shown on its own page.

    ``inputs``: per input a shape (random float64 entries are drawn) or an array (taken as it is).
    ``options``: the op's keyword options.
    """

    inputs: tuple[Shape | Array, ...]
    options: dict[str, Any] = field(default_factory=dict)


class Unsaved:
    """Stands for an input whose values the vjp does not use: shape and dtype only, any arithmetic on it fails."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


class Op:
    """One differentiable (or deliberately not differentiable) operation. See the module's docstring for the methods."""

    name: str = ""
    functions: tuple[str, ...] = ()  # names under torch., nn.functional and in expressions; "relu_" works in place
    methods: tuple[str, ...] = ()  # names on a tensor
    attributes: tuple[str, ...] = ()  # names on a tensor that are read, not called
    operator: str = ""  # the Python operator, where there is one
    backward_name: str = ""  # torch's grad_fn name, see grad_fn()
    kind: str = ""  # elementwise, contraction, reduction, normalisation, loss, index, differential, choice
    rule: str = ""  # key of the sentence that says why; the kind's own sentence if empty
    promotion: str = "keep"  # keep | common | float | match: what the tape does to input dtypes
    uses: tuple[str, ...] = ()  # per input: names of the values its cotangent needs ("a b y"; y is the output)
    broadcasts: bool = False  # cotangents come in the output's shape and are summed to the input's
    outputs: int = 1  # how many tensors forward returns; 0: a tuple of as many as the call asks for
    fields: tuple[str, ...] = ()  # names of the outputs in torch's named result
    letters: tuple[str, ...] = ()  # names of the outputs in formulas, where ``given`` computes those nobody asked for
    listed: bool = False  # torch takes the tensors as one list: stack([a, b])
    of_matrices: bool = False  # takes the last two axes as rows and columns, wherever it stands in formulas
    composite: bool = False  # made of other ops, without rule and formula of its own
    differentiable: bool = True
    not_implemented: str = ""  # torch's own name of an op whose derivative torch has not: its backward raises
    numbers: tuple[int, ...] | None = None  # inputs that torch takes Python numbers for; None: all, if there are several
    instead: tuple[str, ...] = ()  # without a derivative: ops that say something similar and have one
    repeatable: bool = True  # forward can run again on other arrays
    in_place: bool | None = None  # whether each method has an in-place twin; None: where it broadcasts and has a derivative
    before_inplace: int = 0  # how many arguments stand before nn.functional's option ``inplace``; 0: it has none
    views: bool = False  # the output (or each of several) may lie in the first input's memory
    reads_values: tuple[int, ...] = ()  # inputs that must stay integers or masks (indices, class targets)
    constants: tuple[str, ...] = ()  # names of inputs that torch takes no derivative by, and refuses if they require one
    special: Mapping[str, Callable[..., Any]] = MappingProxyType({})  # kink | tie | pole -> mask(*inputs, **options)
    samples: tuple[Sample, ...] = ()
    refuses: Callable[[tuple[str, ...], tuple[Any, ...]], Exception | None] | None = (
        None  # torch's error by numpy kinds, numbers
    )
    domain: tuple[float, float] = (-2.0, 2.0)  # where the samples' random entries are drawn

    forward: Callable[..., Any]
    vjp: Callable[..., Any]
    formula: Callable[..., Any]
    compose: Callable[..., Any]

    def __init__(self) -> None:
        self.tensor_names, self.variadic, self.option_defaults = read_signature(self.forward)
        self.saved_slots = tuple(frozenset(use.split()) for use in self.uses)
        if self.not_implemented:
            self.vjp, self.backward_name = self._no_derivative, self.backward_name or "NotImplemented"
        self.in_graph = self.differentiable or bool(self.not_implemented)  # whether the tape makes a node for it
        self._kept: dict[tuple[bool, ...], tuple[tuple[bool, ...] | None, bool]] = {}
        self.may_be_unchanged = type(self).unchanged is not Op.unchanged
        self.reads_result = self.outputs == 1 and any("y" in names for names in self.saved_slots)
        required = [name for name, default in self.option_defaults.items() if default is REQUIRED]
        # whether a call with one tensor and nothing else needs no sorting of arguments
        self.plain_binding = (
            type(self).bind is Op.bind and len(self.tensor_names) == 1 and not required and not self.variadic
        )
        self._refuse_incomplete()

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a torch-like call into (tensor inputs, options). Raises NoMatch if it does not fit."""
        if self.listed:
            args, kwargs = self._unlisted(args, kwargs)
        if self.variadic:
            if kwargs.keys() - self.option_defaults.keys():
                raise NoMatch(self._unexpected(kwargs))
            return args, kwargs
        given: dict[str, Any] = {}
        names = [*self.tensor_names, *self.option_defaults]
        if len(args) > len(names):
            raise NoMatch(f"{self.name}() takes at most {len(names)} arguments, got {len(args)}")
        given.update(zip(names, args, strict=False))
        for key, value in kwargs.items():
            name = ARGUMENT_ALIASES.get(key, key)
            if name in TENSOR_ALIASES[: len(self.tensor_names)] and name not in names:
                name = self.tensor_names[TENSOR_ALIASES.index(name)]
            if name not in names or name in given:
                raise NoMatch(self._unexpected({key: value}))
            given[name] = value
        missing = [name for name in names if name not in given and self.option_defaults.get(name) is REQUIRED]
        missing += [name for name in self.tensor_names if name not in given]
        if missing:
            raise NoMatch(f"{self.name}() needs {', '.join(missing)}")
        tensors = tuple(given.pop(name) for name in self.tensor_names)
        return tensors, given

    def _unlisted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A call such as ``stack([a, b], 0)`` as (tensors, options by name)."""
        given = {ARGUMENT_ALIASES.get(key, key): value for key, value in kwargs.items()}
        if "tensors" in given:
            args = (given.pop("tensors"), *args)
        if not args or not isinstance(args[0], tuple | list):
            kind = type(args[0]).__name__ if args else "nothing"
            raise NoMatch(f"{self.name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {kind}")
        tensors, *options = args
        if len(options) > len(self.option_defaults):
            raise NoMatch(f"{self.name}() takes at most {1 + len(self.option_defaults)} arguments, got {len(args)}")
        return tuple(tensors), {**dict(zip(self.option_defaults, options, strict=False)), **given}

    def _unexpected(self, kwargs: Iterable[str]) -> str:
        known = ", ".join(self.option_defaults) or "no options"
        return f"{self.name}() has no option {', '.join(map(repr, kwargs))}; it takes: {known}"

    def complete(self, options: Options) -> dict[str, Any]:
        """Options with the defaults filled in."""
        return {**{k: v for k, v in self.option_defaults.items() if v is not REQUIRED}, **options}

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        """Torch's name for the backward node, for inputs of these shapes (None: a Python number)."""
        return self.backward_name

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        """PyTorch's error for inputs of shapes that do not fit, or None if the shapes are not the fault."""
        return broadcast_error(shapes) if self.broadcasts else None

    def given(self, y: Any, *ins: Array, **options: Any) -> dict[str, Array]:
        """Integer arrays that the formula refers to (positions that were picked); empty for most ops."""
        return {}

    def input_name(self, k: int, options: Options) -> str:
        """What the op calls its ``k``-th input."""
        return self.tensor_names[k] if k < len(self.tensor_names) else "*"

    def takes_gradient(self, k: int, options: Options) -> bool:
        """Whether the ``k``-th input can be differentiated if it is floating."""
        return k not in self.reads_values and self.input_name(k, options) not in self.constants

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        """What its sentence speaks of besides names; under ``n`` the sizes of axes, whose product is meant."""
        return {}

    def unchanged(self, shapes: tuple[Shape, ...], options: Options) -> bool:
        """Whether torch answers a call with the very same tensor."""
        return False

    def saves(self, needs: tuple[bool, ...]) -> frozenset[str]:
        """Names of the values that the vjp reads when the inputs in ``needs`` want a cotangent."""
        out: set[str] = set()
        for need, names in zip(needs, self.saved_slots, strict=False):
            if need:
                out |= names
        return frozenset(out)

    def keeps(self, needs: tuple[bool, ...]) -> tuple[tuple[bool, ...] | None, bool]:
        """What a graph node keeps for the vjp: per input whether it is read (None if none is), and whether y is."""
        try:
            return self._kept[needs]
        except KeyError:
            names = self.saves(needs)
            own = self.tensor_names
            keep = tuple((own[k] if k < len(own) else "*") in names for k in range(len(needs)))
            self._kept[needs] = found = (keep if any(keep) else None, "y" in names)
            return found

    def _no_derivative(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{self.not_implemented} is not implemented")

    def _refuse_incomplete(self) -> None:
        wanted = ["name", "kind", "samples"]
        if self.differentiable:
            wanted += ["vjp", "backward_name"]
            if not (hasattr(self, "formula") or hasattr(self, "differential")):
                wanted.append("formula")
        missing = [name for name in wanted if not getattr(self, name, None)]
        if missing:
            raise TypeError(f"op {self.name or type(self).__name__!r} is incomplete: no {', '.join(missing)}")
        if self.differentiable and not self.variadic and len(self.uses) != len(self.tensor_names):
            raise TypeError(f"op {self.name!r}: uses needs one entry per input {self.tensor_names}")


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Any = _Required()
"""Default of an option that a call must give."""


def read_signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], bool, dict[str, Any]]:
    """The names of the tensor inputs, whether there may be any number of them, and the options with their defaults."""
    if isinstance(function, np.ufunc):
        return ("a", "b", "c")[: function.nin] if function.nin > 1 else ("x",), False, {}
    tensors: list[str] = []
    options: dict[str, Any] = {}
    variadic = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            variadic = True
        elif parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = REQUIRED if parameter.default is parameter.empty else parameter.default
        else:
            tensors.append(parameter.name)
    return tuple(tensors), variadic, options


def broadcast_error(shapes: tuple[Shape, ...]) -> Exception | None:
    """PyTorch's error for shapes that do not broadcast, or None if they do."""
    result: Shape = ()
    for shape in shapes:
        rank = max(len(result), len(shape))
        a, b = (1,) * (rank - len(result)) + result, (1,) * (rank - len(shape)) + shape
        for axis in reversed(range(rank)):
            if a[axis] != b[axis] and 1 not in (a[axis], b[axis]):
                return RuntimeError(
                    f"The size of tensor a ({a[axis]}) must match the size of tensor b ({b[axis]}) "
                    f"at non-singleton dimension {axis}"
                )
        result = tuple(q if p == 1 else p for p, q in zip(a, b, strict=True))
    return None


WORDS = {"?": "Bool", "B": "Byte", "b": "Char", "h": "Short", "i": "Int", "l": "Long", "q": "Long"} | {
    "e": "Half", "f": "Float", "d": "Double",
}  # fmt: skip


def word(dtype: np.dtype) -> str:
    """Torch's word for a dtype in its messages: Float, Long, Bool …"""
    return WORDS[dtype.char]


def refuse_empty(name: str, shape: Shape, dim: int | tuple[int, ...]) -> None:
    """Raise PyTorch's error for a maximum or minimum along an axis without entries."""
    for d in (dim,) if isinstance(dim, int | np.integer) else dim:
        for axis in axes(d, len(shape)):
            if shape[axis] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")


def numpy_dtype(t: Any) -> np.dtype:
    """The numpy dtype of an array or a tensor."""
    return getattr(t.dtype, "numpy", t.dtype)


def cast(xp: Any, x: Any, dtype: Any) -> Any:
    """x in torch's or numpy's ``dtype``; itself if that is None or its own."""
    wanted = None if dtype is None else getattr(dtype, "numpy", np.dtype(dtype) if isinstance(dtype, str) else dtype)
    return x if wanted is None or numpy_dtype(x) == wanted else xp.to(x, dtype=wanted)


def plain_array(t: Any) -> Array:
    """The values of an array or a tensor (an index, a mask, a class target) as an array."""
    return np.asarray(t if isinstance(t, np.ndarray | np.generic) else t.array)


def axes(dim: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """Normalise ``dim``: all axes for None or (), else sorted and counted from 0.

    Raises PyTorch's IndexError out of range and its RuntimeError for an axis named twice.
    """
    if dim is None:
        return tuple(range(ndim))
    wanted = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    if not wanted:
        return tuple(range(ndim))
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    found: list[int] = []
    for d in wanted:
        if not low <= d <= high:
            raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {d})")
        axis = d % ndim if ndim else 0
        if axis in found:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
        found.append(axis)
    return tuple(sorted(found)) if ndim else ()
