"""Tensor's operators and methods, made from what the ops declare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from explain.ops.base import NO_OPTIONS, NoMatch, Op
from explain.ops.registry import ATTRIBUTES, METHODS, REGISTRY, resolve
from explain.tape import hooks
from explain.tape.apply import apply, apply_one, apply_pair, call, operands
from explain.tape.autograd import backward
from explain.tape.dtypes import as_numpy
from explain.tape.inplace import in_place, look_otherwise, set_item
from explain.tape.tensor import Tensor, leaf

_BINARY = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow", "@": "matmul", "&": "and",
    "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift",
}  # fmt: skip
_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_OF_TRUTHS = {"bitwise_and": "logical_and", "bitwise_or": "logical_or"}
"""Of truth values the bits are the values, and formulas know what that means."""
_SPELLED = {"**": "** or pow()"}  # how Python names the operator in its message


def equip() -> None:
    """Give Tensor its operators and methods. Called once, when the op library is complete."""
    for op in REGISTRY.values():
        if op.operator in _BINARY:
            name = _BINARY[op.operator]
            _put(f"__{name}__", _operator(op))
            _put(f"__r{name}__", _reflected(op))
            if name == "truediv":
                _put("__rdiv__", _reflected(op))  # torch still has Python 2's name
            if _works_in_place(op):
                _put(f"__i{name}__", _in_place_operator(op))
        elif op.operator in _COMPARISONS:
            _put(f"__{_COMPARISONS[op.operator]}__", _operator(op))
        elif op.operator:
            _put(f"__{op.operator}__", _unary(op))
    for name in METHODS:
        if name not in Tensor.__dict__:
            _put(name, _method(name))
        if name + "_" not in Tensor.__dict__ and all(map(_works_in_place, METHODS[name])):
            _put(name + "_", _in_place_method(name))
    for name, op in ATTRIBUTES.items():
        setattr(Tensor, name, property(_attribute(op)))
    for name in ("bool", "int", "short", "long", "half", "float", "double"):
        _put(name, _caster(name))
    for name, function in (("zero_", _zero_), ("fill_", _fill_), ("copy_", _fill_), ("to", _to), ("type_as", _to)):
        _put(name, function)
    for name in ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze"):
        _put(name + "_", _moved(name))
    _put("__abs__", _unary(REGISTRY["abs"]))
    _put("__invert__", _invert)
    _put("__setitem__", set_item)
    _put("backward", backward)
    _put("register_hook", hooks.register_hook)
    _put("register_post_accumulate_grad_hook", hooks.register_post_accumulate_grad_hook)
    _put("retain_grad", hooks.retain_grad)
    setattr(Tensor, "retains_grad", property(hooks.retains_grad))  # noqa: B010
    _put("__pos__", lambda self: self)  # the very same object, as in torch


def _works_in_place(op: Op) -> bool:
    return op.broadcasts and op.differentiable if op.in_place is None else op.in_place


def _put(name: str, function: Callable[..., Any]) -> None:
    function.__name__ = name
    function.__qualname__ = f"Tensor.{name}"
    setattr(Tensor, name, function)


def _plain(value: Any) -> Any:
    """An operand as apply takes it: a tensor or a Python number; None for what tensors do not compute with."""
    if isinstance(value, Tensor | int | float):
        return value
    return value.item() if isinstance(value, np.generic) else None


def _operator(op: Op) -> Callable[[Tensor, Any], Any]:
    if op.name in _OF_TRUTHS:
        return _bitwise(op, REGISTRY[_OF_TRUTHS[op.name]])
    pairs = op.broadcasts

    def method(self: Tensor, other: Any) -> Any:
        if pairs and (other.__class__ is float or other.__class__ is int or isinstance(other, Tensor)):
            return apply_pair(op, self, other)
        operand = _operand(self, other, op)
        return operand if operand is NotImplemented else apply(op, (self, operand))

    return method


def _bitwise(op: Op, of_truths: Op) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        operand = _operand(self, other, op)
        if operand is NotImplemented:
            return operand
        truths = self.array.dtype.kind == "b" and isinstance(operand, Tensor) and operand.array.dtype.kind == "b"
        return apply(of_truths if truths else op, (self, operand))

    return method


def _operand(self: Tensor, other: Any, op: Op) -> Any:
    operand = _plain(other)
    if operand is None and isinstance(other, np.ndarray):
        if self.tracked:
            self.numpy()  # raises, as torch does
        operand = leaf(other.astype(other.dtype))
    if operand is None or (not op.broadcasts and not isinstance(operand, Tensor)):
        return NotImplemented
    return operand


def _reflected(op: Op) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if isinstance(other, np.ndarray) or (not op.broadcasts and not isinstance(other, Tensor)):
            return NotImplemented
        operand = _plain(other)
        return NotImplemented if operand is None else apply(op, (operand, self))

    return method


def _in_place_operator(op: Op) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        operand = _plain(other)
        return NotImplemented if operand is None else in_place(self, op, (operand,))

    return method


def _unary(op: Op) -> Callable[[Tensor], Any]:
    def method(self: Tensor) -> Any:
        return apply_one(op, self)

    return method


def _attribute(op: Op) -> Callable[[Tensor], Any]:
    def read(self: Tensor) -> Any:
        return self if op.unchanged((self.array.shape,), NO_OPTIONS) else apply(op, (self,))

    return read


def _method(name: str) -> Callable[..., Any]:
    ops = METHODS[name]
    plain = ops[0] if len(ops) == 1 and ops[0].plain_binding and not ops[0].composite else None

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if plain is not None and not args and not kwargs:
            return self if plain.views and plain.unchanged((self.array.shape,), NO_OPTIONS) else apply_one(plain, self)
        return call(METHODS, name, self, *args, **kwargs)

    return method


def _in_place_method(name: str) -> Callable[..., Any]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        try:
            op, ins, options = resolve(METHODS, name, self, *args, **kwargs)
        except NoMatch as fault:
            raise TypeError(str(fault)) from None
        return in_place(self, op, operands(op, name + "_", ins, options, True)[1:], options)

    return method


def _moved(name: str) -> Callable[..., Any]:
    """A shape method in place: the tensor looks otherwise at its memory."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        try:
            op, ins, options = resolve(METHODS, name, self, *args, **kwargs)
        except NoMatch as fault:
            raise TypeError(str(fault)) from None
        return look_otherwise(ins[0], REGISTRY[op.name + "_"], options)

    return method


def _zero_(self: Tensor) -> Tensor:
    return in_place(self, REGISTRY["zero"], ())


def _fill_(self: Tensor, value: Any) -> Tensor:
    return in_place(self, REGISTRY["fill"], operands(REGISTRY["fill"], "fill_", (self, value), {}, True)[1:])


def _to(self: Tensor, dtype: Any) -> Tensor:
    wanted = as_numpy(dtype.dtype if isinstance(dtype, Tensor) else dtype)
    return self if self.array.dtype == wanted else apply(REGISTRY["to"], (self,), {"dtype": wanted})


def _caster(name: str) -> Callable[[Tensor], Tensor]:
    return lambda self: _to(self, name)


def _invert(self: Tensor) -> Tensor:
    if self.array.dtype.kind == "b":
        return apply_one(REGISTRY["logical_not"], self)
    if self.array.dtype.kind == "f":
        raise NotImplementedError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return apply_one(REGISTRY["bitwise_not"], self)
