"""An expression with values, run once on the recording tape."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.errors import CannotDerive, InputError, OperationError, Place
from explain.ops import ATTRIBUTES, FUNCTIONS, METHODS, REGISTRY, Op
from explain.ops.random import default_generator
from explain.ops.registry import resolve
from explain.program import faults, known
from explain.program.arithmetic import Impossible, combine
from explain.program.expression import SIGNS, Expression
from explain.program.roles import Role, Use, constant_names, kept_names, ops_of, role_of
from explain.program.values import Given
from explain.tape.apply import perform
from explain.tape.record import Recorder, Tape, freeze, record, recording
from explain.tape.tensor import Tensor, leaf

_BY_OPERATOR: dict[str, Op] = {op.operator: op for op in REGISTRY.values() if op.operator}

NO_NAMES: Mapping[str, str] = MappingProxyType({})


class Parts(tuple[Tensor, ...]):
    """The results of an op that gives several: sort, max along an axis."""

    pick: bool  # they are values and the positions they were picked from


@dataclass(frozen=True, eq=False)
class Traced:
    """An expression that ran.

    ``output``: the result, which requires no gradient if nothing that is differentiated influences it. ``inputs``: a
    tensor per name, in order of appearance. ``wrt``: the names that are differentiated. ``frozen()``: all recorded.
    """

    expression: Expression
    output: Tensor
    inputs: dict[str, Tensor]
    wrt: tuple[str, ...]
    recorder: Recorder = field(repr=False)

    def backward(self, v: Given | None = None) -> None:
        """Send ``v`` (one, if the result has one entry) back to the inputs' ``.grad``, recorded like everything.

        Raises CannotDerive if the result does not depend on ``wrt``, OperationError with torch's words if v is missing
        or its shape is not the result's.
        """
        if not self.output.requires_grad:
            names = " or ".join(self.wrt) or "any name"
            raise CannotDerive(f"no gradient flows from the result to {names}", _whole(self.expression))
        try:
            with recording(self.recorder):
                # numbers take the result's own precision: 0.1 is not rounded to float32 on its way to a float64 result
                self.output.backward(None if v is None else leaf(v.array.astype(self.output.array.dtype)))
        except RuntimeError as error:
            shape = faults.shape_words(self.output.shape)
            if v is None:
                hint = f'The result is {shape}, so backward needs a v of this shape: --v "[…]"'
                raise OperationError(str(error), _whole(self.expression), hint) from None
            hint = f"The result is {shape}, v is {faults.shape_words(v.array.shape)}"
            raise OperationError(str(error), Place(v.text, 0, len(v.text), v.source), hint) from None
        except Exception as error:  # a rule fails where its forward did not: the forward's numbers still stand
            raise CannotDerive(f"backward failed: {error}", _whole(self.expression)) from error

    def frozen(self) -> tuple[Tape, int, dict[str, int]]:
        """All that was recorded so far: the tape, and in it the ids of the output and of each input."""
        output = self.recorder.trace(self.output)
        inputs = {name: self.recorder.trace(t) for name, t in self.inputs.items()}
        frozen = freeze([output, *inputs.values()], self.recorder.walks)
        return frozen.tape, frozen.ids[output], {name: frozen.ids[t] for name, t in inputs.items()}


def evaluate(expression: Expression, values: Mapping[str, Given], *, wrt: Sequence[str] | None = None) -> Traced:
    """Run the expression on the tape. Every name with float values is differentiated, but for
    what torch takes no derivative by (the class weights of a loss), unless ``wrt`` says which.

    Raises InputError for missing or needless values and wrong names, OperationError with torch's message for operations
    that do not fit, Stopped for results too large. Random masks are drawn from torch's seed 0, so they repeat.
    """
    names = _needed(expression, values)
    default_generator.manual_seed(0)
    kept = kept_names(expression.tree)
    with record() as recorder:
        inputs: dict[str, Tensor] = {}
        for name in names:
            inputs[name] = leaf(values[name].entries(keep=name in kept))
        chosen = _differentiated(expression, inputs, kept, wrt)
        for name, tensor in inputs.items():
            tensor.requires_grad = name in chosen
            recorder.place = expression.first(name)
            recorder.name(tensor, name)
        walk = _Walk(expression, recorder, inputs)
        output = _one_tensor(expression, walk.value(expression.tree))
    return Traced(expression, output, inputs, chosen, recorder)


def value_of(expression: Expression, arrays: Mapping[str, Any]) -> np.ndarray:
    """The value alone, in float64, where the names have these values; an expression may be but a number here.

    Integers and truth values stay what they are, as indices and masks. Raises OperationError as ``evaluate``.
    """
    with record() as recorder:
        found = traced_value(expression, arrays, recorder)
    return np.asarray(found.array if isinstance(found, Tensor) else found, np.float64)


def traced_value(
    expression: Expression, arrays: Mapping[str, Any], recorder: Recorder, called: Mapping[str, str] = NO_NAMES
) -> Tensor | int | float:
    """The value on a tape that is recording; see ``value_of``. Tensors and Python's numbers are taken as they are.
    ``called``: names that go by another on the tape."""
    inputs: dict[str, Any] = {}
    for name in (*expression.names, *(name for name in expression.constants if name in arrays)):
        if isinstance(arrays[name], Tensor) or type(arrays[name]) in (int, float):  # not numpy's: those are tensors
            inputs[name] = arrays[name]
            continue
        array = np.asarray(arrays[name])
        inputs[name] = leaf(array.astype(np.float64) if array.dtype.kind == "f" else array)
        recorder.name(inputs[name], called.get(name, name))
    found = _Walk(expression, recorder, inputs).value(expression.tree)
    return found if isinstance(found, int | float) else _one_tensor(expression, found)


def _needed(expression: Expression, values: Mapping[str, Given]) -> list[str]:
    """The names to make tensors of, in order of appearance. Raises InputError for missing and for needless values."""
    names = [*expression.names, *(name for name in expression.constants if name in values)]
    names.sort(key=lambda name: expression.first(name).start)
    missing = [name for name in names if name not in values]
    needless = [name for name in values if name not in names]
    if missing:
        words = f"no value for '{missing[0]}'" if len(missing) == 1 else f"no values for {' and '.join(map(repr, missing))}"
        near = known.similar(missing[0], needless) or next(
            (name for name in needless if name.lower() == missing[0].lower()), None
        )
        hint = " ".join(f'--at "{name}=…"' for name in missing)
        if near:
            hint = f"A value is given for '{near}': did you mean '{missing[0]}'?"
        elif missing[0] == "e":
            hint += "; Euler's number is exp(1), its powers are exp(x)"
        elif missing[0] in FUNCTIONS:
            hint += f"; the function is called as {missing[0]}(…)"
        raise InputError(words, expression.first(missing[0]), hint)
    if needless:
        hint = known.did_you_mean(needless[0], names) or f"Names in the expression: {', '.join(names) or 'none'}"
        raise InputError(f"'{needless[0]}' has a value, but is not in the expression", _whole(expression), hint)
    return names


def _differentiated(
    expression: Expression, inputs: dict[str, Tensor], kept: dict[str, str], wrt: Sequence[str] | None
) -> tuple[str, ...]:
    able = [name for name, t in inputs.items() if t.dtype.is_floating_point and name not in kept]
    if wrt is None:
        constant = constant_names(expression.tree)
        return tuple([name for name in able if name not in constant])
    for name in wrt:
        if name not in inputs:
            hint = known.did_you_mean(name, inputs) or f"Names in the expression: {', '.join(inputs) or 'none'}"
            raise InputError(f"wrt: '{name}' is not in the expression", _whole(expression), hint)
        if name not in able:
            why = f"it is {kept[name]}" if name in kept else f"its entries are {inputs[name].dtype.name}"
            hint = f"Names that can be: {', '.join(able) or 'none'}"
            raise InputError(f"wrt: '{name}' cannot be differentiated: {why}", expression.first(name), hint)
    return tuple(dict.fromkeys(wrt))


def _whole(expression: Expression) -> Place:
    return expression.place(expression.tree)


def _one_tensor(expression: Expression, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Parts):
        hint = "Take one: (…)[0], or .values" if value.pick else "Take one: (…)[0]"
        raise InputError(f"the result is {len(value)} tensors, not one", _whole(expression), hint)
    if isinstance(value, int | float):
        raise InputError(f"the result is the number {value}: there is nothing to differentiate", _whole(expression),
                         "Use a name for what may change, such as x**2")  # fmt: skip
    raise InputError(f"the result is a {type(value).__name__}, not a tensor", _whole(expression))


class _Walk:
    """Runs the tree. A value is a Tensor, a Python number or constant, a list or tuple of them, or Parts."""

    def __init__(self, expression: Expression, recorder: Recorder, inputs: dict[str, Tensor]) -> None:
        self.expression = expression
        self.recorder = recorder
        self.inputs = inputs

    def value(self, node: ast.AST | None) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.inputs[node.id] if node.id in self.inputs else known.CONSTANTS[node.id]
            case ast.BinOp():
                return self.operator(node, SIGNS[type(node.op)], self.value(node.left), self.value(node.right))
            case ast.Compare():
                a, b = self.value(node.left), self.value(node.comparators[0])
                return self.operator(node, SIGNS[type(node.ops[0])], a, b)
            case ast.UnaryOp():
                return self.sign(node, self.value(node.operand))
            case ast.Call():
                return self.call(node)
            case ast.Subscript():
                return self.subscript(node, self.value(node.value), self.value(node.slice))
            case ast.Attribute():
                return self.attribute(node, self.value(node.value))
            case ast.Slice():
                return slice(self.value(node.lower), self.value(node.upper), self.value(node.step))
            case ast.Tuple():
                return tuple([self.value(part) for part in node.elts])
            case ast.List():
                return [self.value(part) for part in node.elts]
        return None

    def run(self, node: ast.AST, op: Op, ins: tuple[Any, ...], options: dict[str, Any], operands: list[Any]) -> Any:
        """Apply an op here in the text."""
        try:
            if all(isinstance(t, int | float) for t in ins) and op.broadcasts and not op.reads_values:
                return op.forward(*(np.float64(t) for t in ins), **options).item()
            self.refuse_numbers(node, op, ins)
            faults.refuse_large(self.expression, node, op, ins, options)
            self.recorder.place = self.expression.place(node)
            out = perform(op, ins, options)
        except Exception as error:  # an op may raise whatever numpy raises; the author gets one clear message
            raise faults.from_operation(self.expression, node, op, faults.operands_of(node, operands), error) from None
        if isinstance(out, tuple):
            out = Parts(out)
            out.pick = op.kind == "choice"
        return out

    def refuse_numbers(self, node: ast.AST, op: Op, ins: tuple[Any, ...]) -> None:
        """Torch's TypeError for what is neither a tensor nor a number, and for numbers where a tensor must stand."""
        for k, value in enumerate(ins):
            if isinstance(value, Tensor | np.ndarray | np.generic):
                continue
            if type(value) in (int, float, bool) and (op.broadcasts or k in (op.numbers or ())) and k not in op.reads_values:
                continue
            kind = _type_name(value)
            if isinstance(node, ast.Call):
                own = "tensors" if op.variadic else op.tensor_names[k]
                name = "input" if k == 0 else "other" if own == "b" else own
                raise TypeError(f"{ops_of(node)[0]}(): argument '{name}' (position {k + 1}) must be Tensor, not {kind}")
            sign = SIGNS[type(node.op)] if isinstance(node, ast.BinOp) else op.operator
            kinds = [f"'{_type_name(t)}'" for t in ins]
            if len(kinds) == 1:
                raise TypeError(f"bad operand type for unary -: {kinds[0]}")
            raise TypeError(f"unsupported operand type(s) for {sign}: {' and '.join(kinds)}")

    def operator(self, node: ast.expr, sign: str, a: Any, b: Any) -> Any:
        if isinstance(a, int | float) and isinstance(b, int | float):
            try:
                return combine(sign, a, b)
            except Impossible as fault:
                raise OperationError(fault.message, self.expression.place(node), fault.hint) from None
        if sign == "&":
            for t in (a, b):
                if not (isinstance(t, bool) or (isinstance(t, Tensor) and t.dtype.name == "bool")):
                    hint = "Put parentheses around each comparison: (x > 0) & (x < 1)"
                    raise OperationError("& joins two conditions", self.expression.place(node), hint)
        return self.run(node, _BY_OPERATOR[sign], (a, b), {}, [a, b])

    def sign(self, node: ast.UnaryOp, value: Any) -> Any:
        plus = isinstance(node.op, ast.UAdd)
        if isinstance(value, int | float):
            return +value if plus else -value
        if plus and isinstance(value, Tensor):
            return value
        return self.run(node, _BY_OPERATOR["neg"], (value,), {}, [value])

    def attribute(self, node: ast.Attribute, value: Any) -> Any:
        if isinstance(value, Parts) and value.pick and node.attr in known.PARTS:
            return value[known.PARTS[node.attr]]
        if not isinstance(value, Tensor) or node.attr not in ATTRIBUTES:
            return self.missing(node, value)
        op = ATTRIBUTES[node.attr]
        return self.run(node, op, (value,), {}, [value])

    def missing(self, node: ast.Attribute, value: Any) -> Any:
        kind = _type_name(value)
        hint = "Take one of the results first: (…)[0]" if isinstance(value, Parts) else None
        raise OperationError(f"'{kind}' object has no attribute '{node.attr}'", self.expression.place(node), hint)

    def subscript(self, node: ast.Subscript, value: Any, index: Any) -> Any:
        if isinstance(value, Parts):
            if type(index) is int and -len(value) <= index < len(value):
                return value[index]
            hint = f"There are {len(value)} results, counted from 0"
            raise OperationError("a result is taken by its number", self.expression.place(node.slice), hint)
        if not isinstance(value, Tensor):
            raise OperationError(f"'{type(value).__name__}' has no entries here", self.expression.place(node.value),
                                 'Give a list a name: --at "x=[1, 2]"')  # fmt: skip
        try:
            parts = tuple(map(_index_part, index)) if isinstance(index, tuple) else _index_part(index)
            op, ins, options = resolve(METHODS, "__getitem__", value, parts)
        except Exception as error:
            operands = faults.operands_of(node, [value])
            raise faults.from_operation(self.expression, node, None, operands, error) from None
        return self.run(node, op, ins, options, [value])

    def call(self, node: ast.Call) -> Any:
        name, _ = ops_of(node)
        arguments: list[Any] = []
        if isinstance(node.func, ast.Attribute):
            value = self.value(node.func.value)
            if not isinstance(value, Tensor):
                self.missing(node.func, value)
            arguments.append(value)
        first = len(arguments)
        for k, part in enumerate(node.args, first):
            arguments.append(self.as_used(part, self.value(part), role_of(node, k)))
        options = {
            option.arg: self.as_used(option.value, self.value(option.value), role_of(node, option.arg))
            for option in node.keywords
            if option.arg
        }
        operands = [*arguments, *options.values()]
        try:
            if not arguments and not options:
                raise InputError(f"{name}() needs an argument", self.expression.place(node), f"For example: {name}(x)")
            op, ins, bound = resolve(METHODS if first else FUNCTIONS, name, *arguments, **options)
        except Exception as error:
            operands = faults.operands_of(node, operands)
            raise faults.from_operation(self.expression, node, None, operands, error) from None
        return self.run(node, op, ins, bound, operands)

    def as_used(self, node: ast.AST, value: Any, role: Role) -> Any:
        """An argument as the op wants it: options are Python values, so a name there gives its number."""
        if role.use is Use.TENSOR or role.use is Use.VALUES:
            return value
        if isinstance(value, list | tuple) and not isinstance(value, Parts):
            return type(value)([self.as_used(node, part, role) for part in value])
        if not isinstance(value, Tensor) or (value.ndim and role.use is Use.EITHER):
            return value
        if value.requires_grad:
            message = f"{role.words} is a plain number and cannot be differentiated"
            raise OperationError(message, self.expression.place(node), "Write the number itself")
        if value.ndim > 1:
            message = f"{role.words} is a number or a row of numbers, not {faults.shape_words(value.shape)}"
            raise OperationError(message, self.expression.place(node))
        return value.tolist()


def _type_name(value: Any) -> str:
    return "tuple" if isinstance(value, Parts) else type(value).__name__


def _index_part(part: Any) -> Any:
    """One part of an index as the op takes it. Raises torch's errors."""
    if isinstance(part, bool):
        raise IndexError("True and False are read as an index only in lists, as a mask")
    if isinstance(part, list):
        array = np.asarray(_numbers(part))
        if array.size == 0:
            return array.astype(np.int64)
        if array.dtype.kind not in "ib":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        return array
    if isinstance(part, slice):
        return slice(*map(_bound, (part.start, part.stop, part.step)))
    return part


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    if isinstance(value, Tensor) and not value.requires_grad:
        return value.tolist()
    if not isinstance(value, int | float):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return value


def _bound(value: Any) -> int | None:
    if isinstance(value, Tensor) and value.ndim == 0 and value.dtype.name == "int64":
        value = value.item()
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return value
