"""An expression from its text to a finished document: run it, send a cotangent back, derive."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sympy import Integer, Mul

from explain.calculus.reader import size_symbol
from explain.calculus.symbols import Size
from explain.derivation.build import derive
from explain.derivation.general import made_general
from explain.derivation.model import Derivation, Run, Tensor, Verdict
from explain.derivation.request import Request
from explain.errors import InputError, OperationError
from explain.program.evaluate import Traced, evaluate
from explain.program.expression import Expression, parse
from explain.program.roles import kept_names
from explain.program.values import Given, as_given
from explain.tape.dtypes import BY_NUMPY
from explain.tape.engine import backward
from explain.tape.record import Tape

MOST_ROWS = 256
"""A vector result without v is shown by its whole Jacobian up to this many rows."""
PRIMES = (11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)
"""Sizes that stand in for symbolic ones: products of them can be told apart."""
LARGEST_DEGREE = 3
LARGEST_OFFSET = 6

Shape = Sequence[str | int]


def expr(
    text: str,
    /,
    *,
    at: Mapping[str, Any] | None = None,
    v: Any = None,
    wrt: str | Sequence[str] | None = None,
    shapes: Mapping[str, Shape] | None = None,
    **values: Any,
) -> Run:
    """Where the gradient of an expression comes from: ``explain.expr("2*dot(x, x)", x=[0, 1, 2, 3])``.

    ``values``: numbers, nested lists, arrays, or text as on the command line (``"ones(2, 2)"``); ``at`` takes the same as
    a mapping, for names such as ``v`` that are options here. ``wrt``: the name or
    names to differentiate by; all float ones if None. ``v``: the cotangent of a result with several entries; without it
    the Jacobian is derived. Without values the derivation is symbolic: names are scalars, or have the ``shapes`` given
    (sizes are names or numbers).

    Returns the document; it shows itself in a notebook. Raises InputError, OperationError or CannotDerive, each with the
    place in the text.
    """
    given = {name: as_given(value, name) for name, value in {**(at or {}), **values}.items()}
    cotangent = None if v is None else as_given(v)
    return run_expression(text, given, cotangent, (wrt,) if isinstance(wrt, str) else wrt, shapes or {})


def run_expression(
    text: str,
    given: Mapping[str, Given],
    v: Given | None,
    wrt: Sequence[str] | None,
    shapes: Mapping[str, Shape],
    claims: Sequence[tuple[str, str | None, str]] = (),
) -> Run:
    """The document of one expression; see ``expr``. ``given``: the values by name, empty for a symbolic derivation.
    ``claims``: formulas to be judged, as triples: of what, by what (None: the value), the formula."""
    expression = parse(text)
    symbolic = not given and bool(expression.names)
    if shapes and not symbolic:
        raise InputError("--shape gives sizes where no values are given; with --at the values say their shapes")
    if symbolic:
        traced, derivation, request, inputs = _symbolically(expression, shapes, wrt, v)
    else:
        traced = evaluate(expression, given, wrt=wrt)
        derivation, request, inputs = _derived(traced, v, {}, symbolic)
    tensors = () if symbolic else _tensors(traced, derivation.output)
    words = () if symbolic else tuple(f"{name} = {_as_written(value)}" for name, value in given.items())
    judged = _judged(traced, request, inputs, claims) if claims else ()
    return Run(text, "expression", words, (derivation,), tensors, claims=judged)


def _derived(
    traced: Traced, v: Given | None, called: dict[Any, Any], symbolic: bool
) -> tuple[Derivation, Request, dict[str, int]]:
    """The derivation of a traced expression, the request, and the ids of the inputs. ``called``: the names of sizes."""
    mode, jacobians = _walk_back(traced, v, symbolic)
    frozen, output, inputs = traced.frozen()
    request = Request(
        tape=frozen,
        output=output,
        wanted=tuple(inputs[name] for name in traced.wrt),
        mode=mode,
        backward=frozen.backwards[0] if frozen.backwards else None,
        jacobians={inputs[name]: rows for name, rows in jacobians.items()},
        grads={inputs[n]: t.grad.array for n, t in traced.inputs.items() if n in traced.wrt and t.grad is not None},
        sizes=called,
        symbolic=symbolic,
    )
    return derive(request), request, inputs


def _judged(
    traced: Traced, request: Request, inputs: Mapping[str, int], claims: Sequence[tuple[str, str | None, str]]
) -> tuple[Verdict, ...]:
    from explain.derivation.claimed import judge_expression
    from explain.derivation.claims import Claim

    by = {name: inputs[name] for name in traced.wrt}
    return judge_expression(traced, request, by, [Claim(*claim) for claim in claims])


def _walk_back(traced: Traced, v: Given | None, symbolic: bool) -> tuple[str, dict[str, np.ndarray]]:
    """Run backward as the result asks for it. Returns the mode and, for a vector without v, the rows of the Jacobian."""
    if not traced.output.requires_grad:
        return "none", {}
    if v is not None:
        traced.backward(v)
        return "vjp", {}
    if traced.output.array.size == 1:
        traced.backward()
        return "gradient", {}
    return "jacobian", {} if symbolic and traced.output.array.size > MOST_ROWS else _rows(traced)


def _rows(traced: Traced) -> dict[str, np.ndarray]:
    """All rows of the Jacobian by the tape: one backward per entry of the result."""
    out = traced.output
    if out.array.size > MOST_ROWS:
        raise InputError(
            f"the result has {out.array.size} entries: its Jacobian is too large to show",
            hint='Give the cotangent that is sent back, such as --v "ones(…)", or reduce the result with sum(…)',
        )
    nodes = {name: (t.gradient_node(), 0) for name, t in traced.inputs.items() if name in traced.wrt}
    found = {name: np.zeros((*out.array.shape, *traced.inputs[name].array.shape), out.array.dtype) for name in nodes}
    with np.errstate(all="ignore"):
        for place in np.ndindex(out.array.shape):
            seed = np.zeros(out.array.shape, out.array.dtype)
            seed[place] = 1
            arrived: dict[Any, Any] = dict.fromkeys(nodes.values())
            backward([(out, seed[()])], retain_graph=True, wanted=arrived)
            for name, key in nodes.items():
                if arrived[key] is not None:
                    found[name][place] = arrived[key]
    return found


def _tensors(traced: Traced, output: str) -> tuple[Tensor, ...]:
    named = [*traced.inputs.items(), (output, traced.output)]
    return tuple(
        Tensor(
            name=name,
            dtype=BY_NUMPY[t.array.dtype].name,
            shape=tuple(t.array.shape),
            value=t.array,
            requires_grad=t.requires_grad,
            is_leaf=t.is_leaf,
            grad_fn=t.grad_fn.name() if t.grad_fn else None,
            grad=t.gradient.array if t.gradient is not None else None,
        )
        for name, t in named
    )


def _as_written(value: Given) -> str:
    """The value as the reader wrote it; an array from Python as nested lists, a large one by its shape."""
    if value.text:
        name, sign, own = value.text.partition("=")
        return own.strip() if sign and name.strip() == value.name else value.text
    if value.array.size <= 24:
        return str(value.array.tolist())
    return f"an array of shape {value.array.shape}"


# symbolic shapes


def _symbolically(
    expression: Expression, shapes: Mapping[str, Shape], wrt: Sequence[str] | None, v: Given | None
) -> tuple[Traced, Derivation, Request, dict[str, int]]:
    """Derive the expression on random values of stand-in sizes, twice: what differs is said with the names of the sizes."""
    sizes, others = _stand_in_sizes(expression, shapes)
    try:
        traced = evaluate(expression, _stand_ins(expression, shapes, sizes), wrt=wrt)
        if not sizes:
            return (traced, *_derived(traced, v, {}, True))
        other = evaluate(expression, _stand_ins(expression, shapes, others), wrt=wrt)
    except OperationError as error:
        message, hint = _with_names(error.message, sizes), _with_names(error.hint, sizes)
        marked = error.place.text[error.place.start : error.place.end] if error.place else ""
        scalars = [name for name in expression.names if not shapes.get(name) and re.search(rf"\b{name}\b", marked)]
        if scalars:
            said = f'Without values and shapes a name is a single number: give --shape "{scalars[0]}=n" or --at'
            hint = f"{hint}\n{said}" if hint else said
        raise OperationError(message, error.place, hint) from None
    tapes = traced.frozen()[0], other.frozen()[0]
    derivation, *asked = _derived(traced, v, _named_sizes(tapes[0], sizes, tapes[1], others), True)
    again, *_ = _derived(other, v, _named_sizes(tapes[1], others, tapes[0], sizes), True)
    return (traced, made_general(derivation, again, lambda n, m: _called(n, m, sizes, others)), *asked)


def _with_names(text: str | None, sizes: Mapping[str, int]) -> Any:
    """A message about stand-in sizes with the names of the sizes."""
    for name, n in sizes.items():
        text = None if text is None else re.sub(rf"(?<!\d){n}(?!\d)", name, text)
    return text


def _stand_in_sizes(expression: Expression, shapes: Mapping[str, Shape]) -> tuple[dict[str, int], dict[str, int]]:
    """Two different primes for every symbolic size, none of which divides a size that is a number."""
    for name in shapes:
        if name not in expression.names:
            raise InputError(f"--shape {name}: the expression has no {name}; its names are {', '.join(expression.names)}")
    fixed = {n for shape in shapes.values() for n in shape if isinstance(n, int)}
    names = list(dict.fromkeys(n for shape in shapes.values() for n in shape if isinstance(n, str)))
    for name in names:
        if name in expression.names:
            raise InputError(f"--shape: {name} is a size and a name of the expression; call the size something else")
    free = [p for p in PRIMES if not any(n % p == 0 for n in fixed)]
    if 2 * len(names) > len(free):
        raise InputError(f"{len(names)} symbolic sizes are too many: at most {len(free) // 2}")
    return dict(zip(names, free, strict=False)), dict(zip(names, reversed(free), strict=False))


def _stand_ins(expression: Expression, shapes: Mapping[str, Shape], sizes: Mapping[str, int]) -> dict[str, Given]:
    """Random values of the shapes, on which the symbolic derivation is checked."""
    kept = kept_names(expression.tree)
    stream = np.random.default_rng(11)
    found = {}
    for name in expression.names:
        if name in kept:
            raise InputError(
                f"'{name}' is used as an index, a mask or a class target: it needs a value",
                expression.first(name),
                f'Give values by --at, such as --at "{name}=[0, 1]"',
            )
        shape = tuple(sizes[n] if isinstance(n, str) else n for n in shapes.get(name, ()))
        found[name] = Given(stream.uniform(0.4, 1.6, shape), "float64", "", name)
    return found


def _named_sizes(tape: Tape, sizes: Mapping[str, int], other: Tape, others: Mapping[str, int]) -> dict[Any, Any]:
    """What every axis length of a symbolic derivation is called: c·(a product of sizes) + d, found from two runs with other
    stand-ins. Raises InputError for a length that is not of this form, or that two different ones share."""
    found: dict[Any, Any] = {}
    for one, two in zip(tape.values, other.values, strict=True):
        for n, m in zip(one.shape, two.shape, strict=True):
            called = _called(n, m, sizes, others)
            if called is None or found.setdefault(n, called) != called:
                raise InputError(
                    f"the length of an axis of {one.name or 'a result'} cannot be said with {', '.join(sizes)}",
                    one.place,
                    "Give values by --at, or shapes as numbers",
                )
    return {Size(f"n{n}"): called for n, called in found.items() if n > 1 and not called.is_Integer}


def _called(n: int, m: int, sizes: Mapping[str, int], others: Mapping[str, int]) -> Any:
    """The simplest form with value ``n`` in one run and ``m`` in the other: no offset first, then few factors."""
    if n == m:
        return Integer(n)
    fits: list[tuple[tuple[int, int, int], Any]] = []
    for degree in range(1, LARGEST_DEGREE + 1):
        for names in itertools.combinations_with_replacement(sizes, degree):
            here, there = (math.prod(s[name] for name in names) for s in (sizes, others))
            factor, rest = divmod(n - m, here - there) if here != there else (0, 1)
            offset = n - factor * here
            if rest == 0 and factor > 0 and abs(offset) <= LARGEST_OFFSET:
                form = factor * Mul(*(size_symbol(name) for name in names)) + offset
                fits.append(((abs(offset), degree, factor), form))
    return min(fits, key=lambda fit: fit[0])[1] if fits else None
