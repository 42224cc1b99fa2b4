"""Operations on truth values and dtypes: comparisons, a choice by a condition, casts. Gradients flow through values only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, numpy_dtype, word
from explain.ops.entrywise import Elementwise
from explain.ops.registry import block, register

PAIRS = (Sample(((2, 3), (3,))),)
SINGLE = (Sample(((3,),)),)
MASKS = (Sample((np.array([[True, False, True], [False, False, True]]), np.array([True, True, False]))),)
WHOLE = (Sample((np.array([[1, 2, 7], [0, 5, 6]]), np.array([1, 3, 2]))),)


def _constant(name: str, forward: Callable[..., Any], names: tuple[str, ...], samples: Any, **fields: Any) -> Op:
    """An entrywise op whose result jumps, so nothing flows back through it."""
    own = {"functions": names, "methods": names, "in_place": True, "instead": ("where",), **fields}
    return register(Elementwise(name=name, forward=forward, differentiable=False, samples=samples, kind="constant", **own))


def _comparison(
    name: str, sign: str, forward: Callable[..., Any], names: tuple[str, ...], holds: Callable[[Any, Any, Any], Any]
) -> Op:
    def formula(s: Any, out: tuple[Any, ...], a: Any, b: Any) -> Any:
        return s.indicator(holds(s, a.at(out), b.at(out)))

    return _constant(name, forward, names, PAIRS, operator=sign, formula=formula, numbers=(1,))


_comparison("equal", "==", np.equal, ("eq",), lambda s, a, b: s.equal(a, b))
_comparison("not_equal", "!=", np.not_equal, ("ne", "not_equal"), lambda s, a, b: s.unequal(a, b))
_comparison("less", "<", np.less, ("lt", "less"), lambda s, a, b: a < b)
_comparison("less_equal", "<=", np.less_equal, ("le", "less_equal"), lambda s, a, b: a <= b)
_comparison("greater", ">", np.greater, ("gt", "greater"), lambda s, a, b: a > b)
_comparison("greater_equal", ">=", np.greater_equal, ("ge", "greater_equal"), lambda s, a, b: a >= b)


def _both(s: Any, out: tuple[Any, ...], a: Any, b: Any) -> Any:
    return s.indicator(s.both(s.holds(a.at(out)), s.holds(b.at(out))))


def _either(s: Any, out: tuple[Any, ...], a: Any, b: Any) -> Any:
    return s.indicator(s.either(s.holds(a.at(out)), s.holds(b.at(out))))


def _fails(s: Any, out: tuple[Any, ...], x: Any) -> Any:
    return s.indicator(s.fails(s.holds(x.at(out))))


_constant("logical_or", np.logical_or, ("logical_or",), PAIRS, promotion="keep", numbers=(), formula=_either)
_constant("logical_and", np.logical_and, ("logical_and",), PAIRS, promotion="keep", numbers=(), formula=_both)
_constant("logical_xor", np.logical_xor, ("logical_xor",), PAIRS, promotion="keep", numbers=())
_constant("logical_not", np.logical_not, ("logical_not",), SINGLE, promotion="keep", formula=_fails)


def _whole(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    """A function of bits. Raises torch's NotImplementedError for floating point numbers."""

    def checked(a: Any, b: Any) -> Any:
        if a.dtype.kind == "f":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{word(a.dtype)}'")
        return forward(a, b)

    return checked


_constant("bitwise_and", _whole("bitwise_and", np.bitwise_and), ("bitwise_and",), MASKS, operator="&")
_constant("bitwise_or", _whole("bitwise_or", np.bitwise_or), ("bitwise_or",), MASKS, operator="|")
_constant("bitwise_xor", _whole("bitwise_xor", np.bitwise_xor), ("bitwise_xor",), MASKS, operator="^")
_constant("gcd", _whole("gcd", np.gcd), ("gcd",), WHOLE, numbers=(), instead=())
_constant("lcm", _whole("lcm", np.lcm), ("lcm",), WHOLE, numbers=(), instead=())
_constant("bitwise_left_shift", _whole("lshift", np.left_shift), ("bitwise_left_shift",), WHOLE, operator="<<", instead=())
_constant(
    "bitwise_right_shift", _whole("rshift", np.right_shift), ("bitwise_right_shift",), WHOLE, operator=">>", instead=()
)


def _bitwise_not(x: Any) -> Any:
    if x.dtype.kind == "f":
        raise NotImplementedError(f"\"bitwise_not_cpu\" not implemented for '{word(x.dtype)}'")
    return np.invert(x)


_constant("bitwise_not", _bitwise_not, ("bitwise_not",), (Sample((np.array([True, False]),)), Sample((np.array([0, 5]),))))


def _of_floats(test: Callable[[Any], Any], otherwise: bool = False) -> Callable[[Any], Any]:
    """A question that whole numbers and truth values all answer alike."""
    return lambda x: test(x) if x.dtype.kind == "f" else np.full(x.shape, otherwise)[()]


_constant("isnan", _of_floats(np.isnan), ("isnan",), SINGLE, in_place=False)
_constant("isinf", _of_floats(np.isinf), ("isinf",), SINGLE, in_place=False)
_constant("isfinite", _of_floats(np.isfinite, True), ("isfinite",), SINGLE, in_place=False)
_constant("isposinf", _of_floats(np.isposinf), ("isposinf",), SINGLE, in_place=False)
_constant("isneginf", _of_floats(np.isneginf), ("isneginf",), SINGLE, in_place=False)
_constant("signbit", lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0, ("signbit",), SINGLE, in_place=False)


def _isclose(a: Any, b: Any, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    if a.dtype != b.dtype:
        raise RuntimeError(f"{word(a.dtype)} did not match {word(b.dtype)}")
    if rtol < 0 or atol < 0:
        name, value = ("rtol", rtol) if rtol < 0 else ("atol", atol)
        raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value:g}")
    near = np.abs(np.subtract(a, b, dtype=np.float64)) <= atol + np.abs(rtol * b)
    close = (a == b) | (np.isfinite(a) & np.isfinite(b) & near)
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


_constant("isclose", _isclose, ("isclose",), PAIRS, promotion="keep", in_place=False, numbers=())


@block
class Where(Op):
    """Entry by entry a or b, chosen by a condition."""

    name = "where"
    functions = ("where",)
    backward_name = "WhereBackward0"
    kind = "elementwise"
    rule = "where"
    promotion = "common_tail"  # the condition keeps its own dtype
    broadcasts = True
    reads_values = (0,)
    uses = ("", "condition", "condition")
    samples = (
        Sample((np.array([[True, False, True], [False, False, True]]), (2, 3), (2, 3))),
        Sample((np.array([True, False, True]), (2, 3), ())),
    )

    def forward(self, condition: Any, a: Any, b: Any) -> Any:
        if condition.dtype.kind != "b":
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {word(condition.dtype)}"
            )
        return np.where(condition, a, b)[()]

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, condition: Any, a: Any, b: Any) -> tuple[Any, ...]:
        return None, needs[1] and xp.where(condition, g, 0.0), needs[2] and xp.where(condition, 0.0, g)

    def formula(self, s: Any, out: tuple[Any, ...], condition: Any, a: Any, b: Any) -> Any:
        return s.where(s.holds(condition.at(out)), a.at(out), b.at(out))


@block
class To(Op):
    """The same values in another dtype; the gradient is cast back."""

    name = "to"
    kind = "elementwise"
    rule = "cast"
    backward_name = "ToCopyBackward0"
    uses = ("",)
    samples = (Sample(((2, 3),), {"dtype": np.dtype(np.float64)}),)

    def forward(self, x: Any, *, dtype: np.dtype) -> Any:
        return x.astype(dtype)

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, *, dtype: np.dtype) -> tuple[Any, ...]:
        return (xp.to(g, dtype=numpy_dtype(x)),)

    def formula(self, s: Any, out: tuple[Any, ...], x: Any, *, dtype: np.dtype) -> Any:
        return x[out]


@block
class Clone(Op):
    """A copy."""

    name = "clone"
    functions = ("clone",)
    methods = ("clone",)
    kind = "elementwise"
    rule = "copy"
    backward_name = "CloneBackward0"
    uses = ("",)
    samples = (Sample(((2, 3),)),)

    def forward(self, x: Any) -> Any:
        return x.copy()

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any) -> tuple[Any, ...]:
        return (g,)

    def formula(self, s: Any, out: tuple[Any, ...], x: Any) -> Any:
        return x[out]


@block
class SumTo(Op):
    """Undo a broadcast: entries that were copies of one entry are added. The transpose of ``expand``."""

    name = "sum_to"
    kind = "reduction"
    rule = "sum"
    backward_name = "SumBackward1"
    uses = ("",)
    samples = (Sample(((2, 3),), {"shape": (3,)}), Sample(((2, 3),), {"shape": (2, 1)}), Sample(((2, 3),), {"shape": ()}))

    def forward(self, x: Any, *, shape: Shape) -> Any:
        extra = x.ndim - len(shape)
        over = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1 and x.shape[k + extra] != 1)
        total = np.add.reduce(x, axis=over, keepdims=True) if over else x
        return total.reshape(shape)[()]

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, *, shape: Shape) -> tuple[Any, ...]:
        return (xp.expand(g, shape=x.shape),)

    def formula(self, s: Any, out: tuple[Any, ...], x: Any, *, shape: Shape) -> Any:
        extra = x.ndim - len(shape)
        place = [s.index(size) for size in x.shape[:extra]]
        bound = list(place)
        for axis, index in enumerate(out):
            if shape[axis] == 1 and x.numbers[axis + extra] != 1:
                place.append(s.index(x.shape[axis + extra]))
                bound.append(place[-1])
            else:
                place.append(index)
        return s.total(x[tuple(place)], *bound)


@block
class Expand(Op):
    """Axes of size 1 (and missing leading ones) repeated. The transpose of ``sum_to``."""

    name = "expand"
    methods = ("expand", "broadcast_to")
    kind = "index"
    rule = "expand"
    backward_name = "ExpandBackward0"
    uses = ("",)
    views = True
    samples = (Sample(((2, 1),), {"shape": (2, 3)}), Sample(((3,),), {"shape": (2, 3)}), Sample(((),), {"shape": (2,)}))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x, *sizes = args
        wanted = tuple(sizes[0]) if sizes and isinstance(sizes[0], tuple | list) else tuple(sizes)
        if len(wanted) < x.ndim:
            raise RuntimeError(
                f"expand(torch.{word(numpy_dtype(x))}Tensor{{{list(x.shape)}}}, size={list(wanted)}): the number of sizes "
                f"provided ({len(wanted)}) must be greater or equal to the number of dimensions in the tensor ({x.ndim})"
            )
        if -1 in wanted[: len(wanted) - x.ndim]:
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {wanted.index(-1)}"
            )
        own = (1,) * (len(wanted) - x.ndim) + tuple(x.shape)
        return (x,), {"shape": tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=True))}

    def forward(self, x: Any, *, shape: Shape) -> Any:
        # nobody else can see into a bare scalar, so nothing need be shared, and filling is faster for what is small
        if x.__class__ is not np.ndarray and math.prod(shape) < 4096:
            out = np.empty(shape, x.dtype)
            out.fill(x)
            return out
        added = len(shape) - x.ndim  # without repetition the result may be written to
        return x.reshape(shape) if shape[added:] == x.shape and set(shape[:added]) <= {1} else np.broadcast_to(x, shape)

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        (source,), target = shapes, options["shape"]
        for axis in range(1, len(source) + 1):
            if source[-axis] not in (1, target[-axis]):
                return RuntimeError(
                    f"The expanded size of the tensor ({target[-axis]}) must match the existing size ({source[-axis]}) at "
                    f"non-singleton dimension {len(target) - axis}.  Target sizes: {list(target)}.  "
                    f"Tensor sizes: {list(source)}"
                )
        return None

    def vjp(self, xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, *, shape: Shape) -> tuple[Any, ...]:
        return (xp.sum_to(g, shape=x.shape),)

    def formula(self, s: Any, out: tuple[Any, ...], x: Any, *, shape: Shape) -> Any:
        return x.at(out)
