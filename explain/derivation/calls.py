"""An op as an author calls it: torch's name for it, and the program of its example.

A call is built from the registry alone, and held against it: the text is kept only if torch's name, called with these
arguments, finds this very op with these very tensors and options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from explain.ops import Op
from explain.ops.base import NoMatch
from explain.ops.registry import METHODS, TORCH, resolve

PREFIXES = {"": "torch.", "F": "torch.nn.functional.", "linalg": "torch.linalg.", "special": "torch.special."}
WIDTH = 88
"""Columns of a program."""
PLAIN = ("", "F")
"""Namespaces whose names are known without them."""


def holders(op: Op) -> Iterator[tuple[str, tuple[Op, ...]]]:
    """Torch's names for an op, without namespaces, each with all the ops that it may mean."""
    for dotted in op.functions:
        namespace, _, name = dotted.rpartition(".")
        yield name, TORCH[namespace][name]
    for name in op.methods:
        yield name, METHODS[name]
    for name in op.attributes:
        yield name, (op,)


def main_form(op: Op) -> Op | None:
    """The op that a reader looks for: this one, or the one of which it is another form (``softmax`` with a dtype), which is
    called as torch calls both. None for an op that has no name in torch: it works inside others."""
    found = list(holders(op))
    if op.name in [name for name, _ in found]:
        return op
    named = [next((other for other in ops if other.name in {n for n, _ in holders(other)}), None) for _, ops in found]
    return op if None in named else named[0] if named else None


def title_of(op: Op) -> str:
    """What an op is called where torch's namespaces are not named."""
    plain = [name for namespace, _, name in (dotted.rpartition(".") for dotted in op.functions) if namespace in PLAIN]
    if op.name in (*plain, *op.methods, *op.attributes) or main_form(op) is not op:
        return op.name
    full = [f"{PREFIXES[dotted.rpartition('.')[0]]}{dotted.rpartition('.')[2]}" for dotted in op.functions]
    full += [f"Tensor.{name}" for name in op.methods if not name.startswith("_")]
    return full[0].removeprefix("torch.") if full else op.name


def call_of(op: Op, ins: Sequence[Any], names: Sequence[str], options: Mapping[str, Any]) -> str:
    """The call of an op on tensors of these names; empty if there is none that finds it."""
    inputs = [op.input_name(k, options) for k in range(len(ins))]
    by_id = {id(t): name for t, name in zip(ins, names, strict=True)}
    for name, shown, table in _callables(op):
        for way in _ways(ins, inputs, options):
            if not _means(op, table, name, ins, way, options):
                continue
            for key in list(way.keywords):
                less = way._replace(keywords={k: v for k, v in way.keywords.items() if k != key})
                way = less if _means(op, table, name, ins, less, options) else way
            words = [by_id.get(id(v)) or _literal("", v) for v in way.values]
            more = [f"{k}={by_id.get(id(v)) or _literal(k, v)}" for k, v in way.keywords.items()]
            words = [f"[{', '.join(words)}]"] if way.as_list else words
            if table is METHODS:
                return f"{words[0]}.{name}({', '.join(words[1:] + more)})"
            return f"{shown}({', '.join(words + more)})"
    return f"{names[0]}.{op.attributes[0]}" if op.attributes else ""


def made(name: str, array: np.ndarray | np.generic, requires_grad: bool = False) -> str:
    """The line of a program that makes a tensor."""
    return tensor_text(array, requires_grad, f"{name} = ")


def raises(program: str) -> bool:
    """Whether a program of ours ends as one does whose gradient torch refuses."""
    import explain.torch

    try:
        exec(program.removeprefix("import torch\n"), {"torch": explain.torch})
    except RuntimeError:
        return True
    return False


def printed(call: str, names: Sequence[str], ins: Sequence[Any]) -> str:
    """What a program prints that makes this call, a text of ours, on tensors of these names."""
    import explain.torch

    return repr(eval(call, {"torch": explain.torch, **dict(zip(names, ins, strict=True))}))


class _Way(NamedTuple):
    """A way to write a call: what stands by position (as one list), and by name."""

    values: tuple[Any, ...]
    keywords: dict[str, Any]
    as_list: bool = False


def _callables(op: Op) -> Iterator[tuple[str, str, Mapping[str, tuple[Op, ...]]]]:
    for dotted in op.functions:
        namespace, _, name = dotted.rpartition(".")
        if not name.endswith("_"):
            yield name, PREFIXES[namespace] + name, TORCH[namespace]
    for name in op.methods:
        if not name.endswith("_"):
            yield name, name, METHODS


def _ways(ins: Sequence[Any], inputs: Sequence[str], options: Mapping[str, Any]) -> Iterator[_Way]:
    """Tensors by position and options by name, as most read best; then what some of torch's functions want."""
    said = {key: value for key, value in options.items() if key != "missing"}
    for more in (said, {}):  # without a word where what the op computes with follows from its tensors
        yield _Way(tuple(ins), more)
        yield _Way(tuple(ins[:1]), {**dict(zip(inputs[1:], ins[1:], strict=True)), **more})
        yield _Way(tuple(ins), more, as_list=True)
    yield _Way((*ins, *said.values()), {})


def _means(
    op: Op, table: Mapping[str, tuple[Op, ...]], name: str, ins: Sequence[Any], way: _Way, options: Mapping[str, Any]
) -> bool:
    """Whether torch's name, called so, finds the op with just these tensors and options."""
    try:
        arguments = (list(way.values),) if way.as_list else way.values
        found, tensors, given = resolve(table, name, *arguments, **way.keywords)
    except (NoMatch, RuntimeError, ValueError, IndexError, TypeError, AttributeError):
        return False
    same = len(tensors) == len(ins) and all(a is b for a, b in zip(tensors, ins, strict=True))
    return found is op and same and _same(op.complete(given), op.complete(options))


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a.keys() == b.keys() and all(_literal(key, a[key]) == _literal(key, b[key]) for key in a)


def _literal(name: str, value: Any) -> str:
    if isinstance(value, np.ndarray) or hasattr(value, "array"):
        return tensor_text(np.asarray(getattr(value, "array", value)))
    if isinstance(value, tuple):
        return f"({', '.join([_literal('', v) for v in value])}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.dtype) or (isinstance(value, str) and "dtype" in name):
        return f"torch.{value}"
    return repr(value)


def tensor_text(array: np.ndarray | np.generic, requires_grad: bool = False, before: str = "") -> str:
    """A tensor as a program writes it; one that is too wide for a line has a line for each row, below each other."""
    array = np.asarray(array)
    # a float32 with the digits that mean it, not those of the double next to it
    entries = [float(str(v)) if array.dtype.kind == "f" else v.item() for v in array.ravel()]
    text = repr(np.asarray(entries, object).reshape(array.shape).tolist())
    text = re.sub(r"\b(nan|inf)\b", r"float('\1')", text)
    evident = array.size and array.dtype in (np.float32, np.int64, np.bool_)
    more = ("" if evident else f", dtype=torch.{array.dtype}") + (", requires_grad=True" if requires_grad else "")
    found = f"{before}torch.tensor({text}{more})"
    if len(found) > WIDTH and array.ndim > 1:
        found = found.replace("], [", f"],\n{' ' * (len(before) + len('torch.tensor('))} [")
    return found
