"""What the arguments of a call are for, and which names therefore stay as they were written.

A name used as an index, a class target, a mask or an option keeps its integers and truth values; every other name
becomes a float tensor. Found from the tree alone, before any tensor is made.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum

from explain.ops import FUNCTIONS, METHODS, Op
from explain.ops.base import ARGUMENT_ALIASES, TENSOR_ALIASES

FLOWING = (ast.Add, ast.Sub, ast.Mult)  # i + 1 as an index makes i an index


class Use(Enum):
    """What an op does with an argument."""

    TENSOR = "tensor"  # computes with it
    VALUES = "values"  # reads it: an index, a target, a mask
    OPTION = "option"  # a Python value
    EITHER = "either"  # the op sorts its arguments itself: numbers are options, arrays are read


@dataclass(frozen=True)
class Role:
    """One argument's use, and in words what it is: ``the target of cross_entropy``."""

    use: Use
    words: str = ""


_TENSOR = Role(Use.TENSOR)
_INDEX = "an index"


def kept_names(tree: ast.expr) -> dict[str, str]:
    """Names that stay integers or truth values if written so, each with the reason in words."""
    kept: dict[str, str] = {}
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, reason = waiting.pop()
        match node:
            case ast.Name():
                if reason:
                    kept.setdefault(node.id, reason)
            case ast.Subscript():
                waiting += [(node.value, reason), (node.slice, _INDEX)]
            case ast.Call():
                callee = node.func
                if isinstance(callee, ast.Attribute):
                    moves = all(op.kind == "index" for op in METHODS[callee.attr])
                    waiting.append((callee.value, role_of(node, 0).words or (reason if moves else "")))
                first = 1 if isinstance(callee, ast.Attribute) else 0
                waiting += [(argument, role_of(node, first + k).words) for k, argument in enumerate(node.args)]
                waiting += [(option.value, role_of(node, option.arg or "").words) for option in node.keywords]
            case ast.BinOp():
                inner = reason if isinstance(node.op, FLOWING) else ""
                waiting += [(node.left, inner), (node.right, inner)]
            case ast.Compare():
                waiting += [(part, "") for part in ast.iter_child_nodes(node)]
            case _:
                waiting += [(part, reason) for part in ast.iter_child_nodes(node)]
    return kept


def constant_names(tree: ast.expr) -> frozenset[str]:
    """Names in arguments that torch refuses to differentiate by, such as the class weights of a loss."""
    found: set[str] = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            first = 1 if isinstance(call.func, ast.Attribute) else 0
            arguments: list[tuple[int | str, ast.expr]] = [(first + k, a) for k, a in enumerate(call.args)]
            arguments += [(option.arg or "", option.value) for option in call.keywords]
            for key, argument in arguments:
                if any(_is_constant(op, key) for op in ops_of(call)[1]):
                    found |= {node.id for node in ast.walk(argument) if isinstance(node, ast.Name)}
    return frozenset(found)


def _is_constant(op: Op, key: int | str) -> bool:
    order: tuple[str, ...] = getattr(op, "order", ()) or op.tensor_names
    name = order[key] if isinstance(key, int) and key < len(order) else key
    return name in op.constants


def ops_of(call: ast.Call) -> tuple[str, tuple[Op, ...]]:
    """The name that is called and the ops behind it."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr, METHODS[call.func.attr]
    assert isinstance(call.func, ast.Name)
    return call.func.id, FUNCTIONS[call.func.id]


def role_of(call: ast.Call, key: int | str) -> Role:
    """The role of the argument at a position (a method's object is position 0) or of a named one."""
    name, ops = ops_of(call)
    roles = [_role(name, op, key) for op in ops]
    for role in roles:
        if role.use is not Use.OPTION:
            return role
    return roles[0]


def _role(name: str, op: Op, key: int | str) -> Role:
    if op.variadic:
        return _TENSOR if isinstance(key, int) else Role(Use.OPTION, f"an option of {name}")
    order: tuple[str, ...] = getattr(op, "order", ())  # tensors may stand among options
    if isinstance(key, int) and key < len(order):
        key = order[key]
    if isinstance(key, str):
        key = ARGUMENT_ALIASES.get(key, key)
        if key in op.tensor_names:
            key = op.tensor_names.index(key)
        elif key in TENSOR_ALIASES[: len(op.tensor_names)]:
            key = TENSOR_ALIASES.index(key)
        else:
            return Role(Use.OPTION, f"an option of {name}")
    if key and op.reads_values and type(op).bind is not Op.bind and not order:
        return Role(Use.EITHER, f"an argument of {name}")
    if key in op.reads_values:
        return Role(Use.VALUES, f"the {op.tensor_names[key]} of {name}")
    return _TENSOR if key < len(op.tensor_names) else Role(Use.OPTION, f"an option of {name}")
