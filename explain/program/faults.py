"""Errors of operations in the author's words: PyTorch's message, the place, what the operands are, what would fit."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explain.errors import ExplainError, InputError, OperationError, Stopped
from explain.ops import Op
from explain.ops.base import ARGUMENT_ALIASES, REQUIRED, NoMatch, broadcast_error
from explain.program import known
from explain.program.expression import Expression
from explain.program.makers import MAX_ENTRIES
from explain.program.roles import ops_of
from explain.tape.tensor import Tensor

Operand = tuple[ast.AST, Any]
_TORCHS_OWN = (RuntimeError, IndexError, ValueError, TypeError)
_INTERNAL = re.compile(  # Python's and numpy's words when an option has the wrong type or length
    r"to unpack|^zip\(\)|cannot be interpreted|not supported between|is not iterable|integer argument expected|"
    r"don't match array|unsupported operand type\(s\) for .*'(NoneType|str|list|tuple|ellipsis)'"
)


def shape_words(shape: Sequence[int]) -> str:
    """``3×2``, ``a vector of 2``, ``a single number``."""
    if not shape:
        return "a single number"
    return f"a vector of {shape[0]}" if len(shape) == 1 else "×".join(map(str, shape))


def refuse_large(expression: Expression, node: ast.AST, op: Op, ins: Sequence[Any], options: Mapping[str, Any]) -> None:
    """Raise Stopped if the result would have too many entries; only where its shape is known before computing."""
    shapes = [np.shape(getattr(t, "array", t)) for t in ins]
    try:
        if op.broadcasts or op.name == "masked_select":
            shape = np.broadcast_shapes(*shapes)
        elif op.name == "matmul" and min(map(len, shapes)) >= 1:
            a, b = shapes
            shape = (*np.broadcast_shapes(a[:-2], b[:-2]), *a[-2:-1], *b[-1:][: len(b) - 1])
        elif isinstance(options.get("shape"), tuple):
            shape = options["shape"]
        else:
            return
    except ValueError:
        return  # they do not fit at all, which the op says itself
    if math.prod(shape) > MAX_ENTRIES:
        message = f"the result would have {math.prod(shape):,} entries; the limit is {MAX_ENTRIES:,}"
        raise Stopped(message, expression.place(node), _operands(expression, operands_of(node, ins)) or None)


def operands_of(node: ast.AST, values: Sequence[Any]) -> list[Operand]:
    """The author's words of an operation's inputs, as far as they stand side by side with the values."""
    match node:
        case ast.BinOp():
            nodes: list[ast.AST] = [node.left, node.right]
        case ast.Compare():
            nodes = [node.left, *node.comparators]
        case ast.UnaryOp():
            nodes = [node.operand]
        case ast.Subscript() | ast.Attribute():
            nodes = [node.value]
        case ast.Call():
            nodes = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            nodes += [*node.args, *(option.value for option in node.keywords)]
        case _:
            nodes = []
    found: list[Operand] = []
    for inner, value in zip(nodes, values, strict=False):
        if isinstance(inner, ast.List | ast.Tuple) and isinstance(value, list | tuple):
            found += zip(inner.elts, value, strict=False)  # stack([a, b])
        found.append((inner, value))
    return found


def from_operation(
    expression: Expression, node: ast.AST, op: Op | None, operands: list[Operand], error: Exception
) -> ExplainError:
    """What to tell the author when an operation raised ``error`` for these operands."""
    place = expression.place(node)
    if isinstance(error, ExplainError):
        return error
    if isinstance(error, MemoryError):
        return Stopped("there is not enough memory for this result", place)
    if isinstance(error, NoMatch) or (isinstance(node, ast.Call) and _INTERNAL.search(str(error))):
        return _wrong_call(expression, node, error)
    said = _operands(expression, operands)
    if isinstance(error, _TORCHS_OWN):
        parts = [said, _rule(expression, op, operands, str(error)) or _of_two(node, str(error))]
        return OperationError(str(error), place, "\n".join(part for part in parts if part) or None)
    if not isinstance(node, ast.Call):
        return OperationError("this cannot be computed", place, said or None)
    name = ops_of(node)[0]
    if operands and not isinstance(operands[0][1], Tensor):
        kind = type(operands[0][1]).__name__
        return OperationError(f"{name}(): argument 'input' (position 1) must be Tensor, not {kind}", place)
    return OperationError(f"{name}() cannot be computed for these arguments", place, said or None)


def _operands(expression: Expression, operands: list[Operand]) -> str:
    said: dict[str, str] = {}
    for node, value in operands:
        if isinstance(value, Tensor):
            words = expression.words(node)
            said[words if len(words) <= 40 else words[:39] + "…"] = shape_words(value.shape)
    return ", ".join(f"{words} is {shape}" for words, shape in said.items())


def _rule(expression: Expression, op: Op | None, operands: list[Operand], message: str) -> str:
    """One sentence on what would work."""
    if "same dtype" in message:
        dtypes = {expression.words(node): t.dtype.name for node, t in operands if isinstance(t, Tensor)}
        said = ", ".join(f"{words} is {dtype}" for words, dtype in dtypes.items())
        return f'{said}: give one of them in the other\'s dtype, such as --at "x=float64([1, 2])"'
    if "expected condition to be a boolean" in message or "expected BoolTensor" in message:
        return "Write a condition, such as x > 0, or give True and False"
    if "expected target dtype" in message:
        return 'Classes are whole numbers, such as --at "y=int([0, 2])"'
    if any(isinstance(value, list) for _, value in operands):
        return 'Give the list a name: --at "a=[1, 2]"'
    tensors = [(node, t) for node, t in operands if isinstance(t, Tensor)]
    if op is None or len(tensors) < 2:
        return ""
    (left, a), (right, b) = tensors[:2]
    if op.name == "matmul" and a.ndim and b.ndim:
        return _matmul_rule(expression, left, right, a.shape, b.shape)
    if op.broadcasts and broadcast_error(tuple(t.shape for _, t in tensors)):
        return "Sizes are compared from the right: they must be equal, or one of them 1"
    return ""


def _of_two(node: ast.AST, message: str) -> str:
    """Python's max(0, y) is another function in torch."""
    name = ops_of(node)[0] if isinstance(node, ast.Call) and "must be Tensor, not" in message else ""
    if not isinstance(node, ast.Call) or name not in ("max", "min") or len(node.args) != 2:
        return ""
    return (
        f"{name}imum(x, y) takes the {'larger' if name == 'max' else 'smaller'} of two entries, one of which may be a number"
    )


def _matmul_rule(expression: Expression, left: ast.AST, right: ast.AST, a: Sequence[int], b: Sequence[int]) -> str:
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] == inner:
        return ""
    columns, rows = "columns" if len(a) > 1 else "entries", "rows" if len(b) > 1 else "entries"
    rule = f"The {columns} of the left operand ({a[-1]}) must be as many as the {rows} of the right one ({inner})"
    first, second = (
        expression.words(side) if isinstance(side, ast.Name | ast.Call | ast.Subscript) else f"({expression.words(side)})"
        for side in (left, right)
    )
    fits = ""
    if len(a) == 2 and a[0] == inner:
        fits = f"{first}.T @ {second}"
    elif len(b) == 2 and b[1] == a[-1]:
        fits = f"{first} @ {second}.T"
    return f"{rule}; {fits} would fit" if fits and len(fits) < 60 else rule


def _wrong_call(expression: Expression, node: ast.AST, error: Exception) -> ExplainError:
    place = expression.place(node)
    if not isinstance(node, ast.Call):
        return OperationError(str(error), place)
    name, ops = ops_of(node)
    options = {key for op in ops for key in (*op.option_defaults, *op.tensor_names)}
    for option in node.keywords:
        key = ARGUMENT_ALIASES.get(option.arg or "", option.arg or "")
        if key not in options and key not in ("input", "other"):
            message = f"{name}() has no option '{option.arg}'"
            visible = sorted({key for op in ops for key in op.option_defaults})
            hint = known.did_you_mean(key, visible) or f"It takes: {', '.join(visible) or 'no options'}"
            return InputError(message, expression.place(option), hint)
    calls = " or ".join(dict.fromkeys(_usage(name, op, isinstance(node.func, ast.Attribute)) for op in ops))
    hint = f"It is called as {calls}"
    if name in ("max", "min"):
        hint += f"; of two tensors {name}imum(x, y) takes the {'larger' if name == 'max' else 'smaller'} entries"
    return InputError(f"{name}() does not take these arguments", place, hint)


def _usage(name: str, op: Op, method: bool) -> str:
    tensors = ["*tensors"] if op.variadic else list(op.tensor_names)
    options = [key if default is REQUIRED else f"{key}={default!r}" for key, default in op.option_defaults.items()]
    if type(op).bind is not Op.bind and not op.option_defaults:
        options = [key for key in inspect.signature(op.forward).parameters if key not in tensors]
    order: tuple[str, ...] = getattr(op, "order", ())  # tensors may stand among options
    shown = [option.partition("=")[0] for option in options]
    rest = [option for option, key in zip(options, shown, strict=True) if key not in order and key != "missing"]
    given = [key if key in tensors else options[shown.index(key)] for key in order if key in (*tensors, *shown)]
    arguments = [*given, *rest] if order else [*tensors, *options]
    return f"{arguments.pop(0)}.{name}({', '.join(arguments)})" if method else f"{name}({', '.join(arguments)})"
