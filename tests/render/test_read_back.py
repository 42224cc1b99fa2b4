"""Everything that a page prints is read back, as LaTeX and as terminal text, and has the value of what was printed.

A typesetter that remembers what it set is handed to the page of every golden case: formulas of rows, steps, Jacobians,
products, closed forms and definitions, matrix forms, lines with numbers, and arrays.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from explain.calculus.evaluate import evaluate
from explain.calculus.matrix_value import evaluate_tree
from explain.calculus.symbols import Entry, Index, Indicator, TensorName, Total, Transform, numeric_size
from explain.derivation.model import Derivation, Formula, Run
from explain.render.names import distinct, names_in
from explain.render.page import run_view
from explain.render.step import tensor_names
from explain.render.typeset import Latex, Plain
from tests.render.pages import CASES, run_of
from tests.render.reading import Reader

SYMBOLIC = {"m": 3, "n": 2}
PLACES = 12
"""Of a formula at most so many entries are read, spread over all of them."""


def recording(kind: type[Any], base: int) -> tuple[Any, list[tuple[str, Any, Any, str]]]:
    """A typesetter, and the list of what it sets: the kind, the object, its numbers, the text."""
    found: list[tuple[str, Any, Any, str]] = []

    class Recording(kind):
        def formula(self, f: Formula) -> str:
            found.append(("formula", f, None, super().formula(f)))
            return found[-1][3]

        def matrix(self, tree: Any, numbers: Mapping[str, str] | None = None) -> str:
            found.append(("matrix", tree, numbers, super().matrix(tree, numbers)))
            return found[-1][3]

        def array(self, value: Any) -> str:
            found.append(("array", value, None, super().array(value)))
            return found[-1][3]

    return Recording(base), found


def shapes_of(d: Derivation) -> dict[int, tuple[int, ...]]:
    """Over which axes every formula of a derivation runs, by the formula's identity."""
    shape = {r.name: _sizes(r.shape) for r in d.rows}
    found = {id(r.formula): shape[r.name] for r in d.rows}
    for s in d.steps:
        found |= {id(s.formula): shape[s.output], id(s.jacobian): shape[s.input] + shape[s.output]}
        found |= {id(f): shape[s.input] for f in (s.product, s.contracted)}
    for g in d.gradients:
        if g.closed_form:
            found[id(g.closed_form.index)] = (shape[d.output] if d.mode == "jacobian" else ()) + _sizes(g.shape)
    return found | {id(p.formula): _lengths(p.formula, shape) for p in d.lets}


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(SYMBOLIC[n] if isinstance(n, str) else int(n) for n in shape)


def _lengths(f: Formula, shape: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """How far the letters of a definition run: as far as the axes they stand at."""
    lengths = {str(i): n for e in f.e.atoms(Entry) for i, n in zip(e.indices, shape[e.tensor.name], strict=True)}
    lengths |= {
        str(p): numeric_size(n) for t in f.e.atoms(Transform) for p, (_, n) in zip(t.positions, t.limits, strict=True)
    }
    return tuple(lengths[letter] for letter in f.letters)


def values_of(d: Derivation, drawn: bool) -> dict[str, Any]:
    """A value for every tensor: the program's own, or, ``drawn``, random ones for all that are real; adjoints are random."""
    stream = np.random.default_rng(7)
    found: dict[str, Any] = {}
    for r in d.rows:
        random = stream.uniform(0.2, 0.9, _sizes(r.shape))
        own = r.value is not None and (not drawn or np.asarray(r.value).dtype.kind in "biu")
        found[r.name] = np.asarray(r.value) if own else random
        found[f"bar({r.name})"] = stream.uniform(0.2, 0.9, _sizes(r.shape))
        if r.name == d.output:
            found["v"] = stream.uniform(0.2, 0.9, _sizes(r.shape))
    shape = {r.name: _sizes(r.shape) for r in d.rows}
    for let in d.lets:
        target = zip(map(Index, let.formula.letters), _lengths(let.formula, shape), strict=True)
        found[let.name] = evaluate(let.formula.e, found, list(target))
    return found


def names_of(part: Any) -> set[str]:
    found = {name for name in names_in(part.e if isinstance(part, Formula) else part) if isinstance(name, str)}
    if isinstance(part, Formula):
        found |= {f"{t.op}({n.name})" for t in part.e.atoms(Transform) for n in t.atoms(TensorName)}
    return found


def with_ops(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The values of the names, those of what an op makes of a matrix (``inv(A)``) too."""
    found = {}
    for name in names:
        inner = re.fullmatch(r"(inv|detach)\((.*)\)", name)
        if name in values:
            found[name] = values[name]
        elif inner and inner[2] in values:
            found[name] = np.linalg.inv(values[inner[2]]) if inner[1] == "inv" else values[inner[2]]
    return found


def places(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    every = list(itertools.product(*map(range, shape)))
    yield from every[:: max(1, len(every) // PLACES)]


def check_formula(f: Formula, text: str, shape: tuple[int, ...], t: Any, values: dict[str, Any], drawn: bool) -> None:
    known = with_ops(values, names_of(f))
    sizes = {s: SYMBOLIC[s.name] for s in f.e.free_symbols if s.name in SYMBOLIC and not isinstance(s, Index | TensorName)}
    target = [(Index(i), n) for i, n in zip(f.letters, shape, strict=True)]
    wanted = evaluate(f.e, known, target, sizes)
    lengths: dict[str, int] = {}
    for total in f.e.atoms(Total):
        lengths |= {str(i): numeric_size(n.xreplace(sizes)) for i, n in total.limits}
    reader = Reader(text, {name: t.name(name) for name in known}, known, lengths, t.base)
    for place in places(shape):
        env = {letter: float(k + t.base) for letter, k in zip(f.letters, place, strict=True)} | {
            s.name: float(n) for s, n in sizes.items()
        }
        found = float(reader.value(env))
        if drawn and np.isnan(found):  # random numbers never tie, and the share of a tie is then 0/0
            continue
        assert found == pytest.approx(float(wanted[place]), rel=1e-9, abs=1e-12, nan_ok=True), (text, place)


def check_matrix(tree: Any, numbers: Any, text: str, t: Any, values: dict[str, Any]) -> None:
    known = with_ops(values, tensor_names(tree))
    if numbers:
        known = {name: read_array(numbers[name], np.shape(known[name])) for name in known if name in numbers}
    wanted = evaluate_tree(tree, known, rank=2)
    arrays = {} if numbers else known
    reader = Reader(text, {name: t.name(name) for name in arrays}, arrays, {}, t.base, len(wanted))
    if numbers:
        reader.arrays = known
    found = reader.value()
    found = np.broadcast_to(1.0 if not isinstance(found, float | int | np.ndarray | np.generic) else found, wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=text)


def read_array(text: str, shape: tuple[int, ...]) -> Any:
    return np.reshape(Reader(text, {}, {}, {}, 1).value(), shape)


def check_array(value: Any, text: str) -> None:
    a = np.asarray(value)
    if a.ndim > 2 or a.size == 0 or any(word in text for word in ("…", "dots", "e-", "e+", "inf", "nan", r"\times")):
        return
    np.testing.assert_allclose(read_array(text, a.shape), a, rtol=1e-5, atol=5.1e-5, err_msg=text)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", [Latex, Plain], ids=["latex", "text"])
@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_what_a_page_prints_has_the_value_of_what_was_printed(name: str, base: int, kind: type[Any]) -> None:
    run: Run = run_of(name)
    for d in run.derivations:
        t, found = recording(kind, base)
        with distinct(names_in(run)):
            alone = Run(**{**run.__dict__, "derivations": (d,)})
            run_view(alone, t, "full")
            shapes = shapes_of(d)
            for (what, made, numbers, text), drawn in itertools.product(found, (True, False)):
                values = values_of(d, drawn)
                if what == "formula" and isinstance(made.e, Indicator) and id(made) not in shapes:
                    continue  # a sign, where the page says what it means
                if what == "formula":
                    check_formula(made, text, shapes.get(id(made), ()), t, values, drawn)
                elif what == "matrix":
                    check_matrix(made, numbers, text, t, values)
                else:
                    check_array(made, text)
