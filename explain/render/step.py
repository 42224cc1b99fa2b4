"""One step as a page tells it: every formula and number set, no word chosen."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from sympy import Expr

from explain.calculus.symbols import TensorName
from explain.derivation.model import Derivation, Formula, Note, Row, Step
from explain.render import figures, order
from explain.render.printer import entry_key
from explain.render.typeset import Typesetter

View = dict[str, Any]


def step_view(s: Step, d: Derivation, t: Typesetter) -> View:
    bar = f"bar({s.output})"
    row = d.row_of.get(s.output)
    view: View = {
        "number": s.number,
        "output": t.name(s.output),
        "input": t.name(s.input),
        "output_name": s.output,
        "input_name": s.input,
        "code": s.code,
        "line": s.line,
        "rule": s.rule,
        "details": _details(s.details, t),
        "formula": written(row, t) or defined(t.entry(s.output, s.formula.letters), s.formula, t),
        "structure": s.structure,
        "jacobian_shape": [t.size(part) for part in s.jacobian_shape],
        "jacobian": None,
        "product": None,
        "matrix": None,
        "numbers": None,
        "flattened": any(len(part) > 1 for part in s.jacobian_shape),
        "jacobian_matrix": None,
        "beyond": not _holds(s),
        "upstream": t.name(bar),
        "downstream": t.name(f"bar({s.input})"),
        "operations": [_operation(o, t) for o in s.operations],
        "notes": [note_view(n, t) for n in s.notes],
    }
    if _written_out(s):
        exact = figures.is_exact(s.jacobian_matrix, row.dtype if row else None)
        view["jacobian_matrix"] = t.equation(["J", t.array(s.jacobian_matrix)], not exact)
    if s.jacobian is not None and s.contracted is not None:
        view["jacobian"] = _jacobian(s, s.jacobian, len(s.contracted.letters), t)
        listed = s.matrix is not None and s.matrix.listed
        view["product"] = sent(s, d, t)
        if s.product is not None and s.jacobian_entries is None and t.formula(s.product) != t.formula(s.contracted):
            summed = defined(arrival(s, d, t, s.contracted.letters), s.product, t)
            view["product"], listed = t.equation([summed, t.formula(s.contracted)]), False
        if s.matrix is not None and s.contracted.letters and not listed:
            view["matrix"] = t.equation([arrival(s, d, t, ()), t.matrix(s.matrix.tree)], order.is_rounded(s.contracted.e))
    if s.value is not None:
        view["numbers"] = _numbers(s, d, t)
    return view


def _jacobian(s: Step, jacobian: Formula, rank: int, t: Typesetter) -> str:
    """One entry of the Jacobian, or the few that there are. ``rank``: of the input."""
    if s.jacobian_entries is not None:
        whole = t.partial(t.name(s.output), t.name(s.input))
        return t.equation([whole, t.matrix(s.jacobian_entries.tree)], order.is_rounded(jacobian.e))
    target, out = jacobian.letters[:rank], jacobian.letters[rank:]
    return defined(t.partial(t.entry(s.output, out), t.entry(s.input, target)), jacobian, t)


def sent(s: Step, d: Derivation, t: Typesetter) -> str:
    """What the step sends back, solved: one entry of it, or the few that there are."""
    assert s.contracted is not None
    if s.matrix is not None and s.matrix.listed:
        return t.equation([arrival(s, d, t, ()), t.matrix(s.matrix.tree)], order.is_rounded(s.contracted.e))
    return defined(arrival(s, d, t, s.contracted.letters), s.contracted, t)


def arrival(s: Step, d: Derivation, t: Typesetter, letters: tuple[str, ...]) -> str:
    """The adjoint that the step sends to, marked where what it sends is one of several contributions."""
    if d.arriving[s.input] > 1:
        return t.contribution(s.input, s.output, letters)
    return t.entry(f"bar({s.input})", letters)


def _written_out(s: Step) -> bool:
    """Whether the Jacobian stands there with its numbers: not where they are not its own, nor where all are said to be 0."""
    return s.jacobian_matrix is not None and s.structure != "zero" and _holds(s)


def _holds(s: Step) -> bool:
    """Whether the step's Jacobian gives its numbers. Where values are not finite, PyTorch's need not be the formula's:
    the norm's slope at 0 is 0/0, and PyTorch takes 0."""
    if all(c.reason != "not_finite" for c in s.checks):
        return True
    if s.jacobian_matrix is None:
        return not np.all(np.isfinite(s.upstream))
    jacobian, upstream = np.asarray(s.jacobian_matrix, float), np.ravel(np.asarray(s.upstream, float))
    with np.errstate(all="ignore"):
        sent = np.where(jacobian == 0, 0.0, jacobian * upstream[:, None]).sum(0)
    return np.array_equal(sent, np.ravel(s.value), equal_nan=True) or not np.all(np.isfinite(upstream))


def _numbers(s: Step, d: Derivation, t: Typesetter) -> str:
    """symbol = substitution = value."""
    sides = [arrival(s, d, t, ())]
    rounded = not figures.is_exact(s.value)
    overwritten = any(c.reason == "written" for c in s.checks)  # then the values shown are not those that backward met
    if s.matrix is not None and not overwritten and _holds(s):
        named = tensor_names(s.matrix.tree)
        rows = [d.row_of[name] for name in sorted(named & d.row_of.keys())]
        used = {r.name: r.value for r in rows if r.value is not None}
        used |= dict.fromkeys(named & {f"bar({s.output})"}, s.upstream)
        complete = named <= set(used)
        if complete and used and sum(np.size(a) for a in used.values()) <= t.most_substituted:
            rounded |= not all(figures.is_exact(a) for a in used.values())
            entries = {entry_key(name, k): t.array(n) for name, a in used.items() for k, n in np.ndenumerate(a)}
            sides.append(t.matrix(s.matrix.tree, entries | {name: t.array(a) for name, a in used.items()}))
    sides.append(t.array(s.value))
    return t.equation(sides, rounded)


def tensor_names(tree: Any) -> set[str]:
    """The names of all tensors in a matrix form, those in its scalars too."""
    if isinstance(tree, tuple):
        return set().union(*map(tensor_names, tree))
    if isinstance(tree, TensorName):
        return {tree.name}
    if isinstance(tree, Expr):
        return {name.name for name in tree.atoms(TensorName)}
    return set().union(*(tensor_names(getattr(tree, f.name)) for f in fields(tree))) if is_dataclass(tree) else set()


def _operation(o: Any, t: Typesetter) -> View:
    return {
        "op": o.op,
        "grad_fn": o.grad_fn,
        "output": t.name(o.output),
        "code": o.code or f"{o.op}({', '.join(o.inputs)})",
        "sent": [{"to": t.name(name), "value": None if v is None else t.array(v)} for name, _, v in o.sent],
    }


def defined(left: str, formula: Formula, t: Typesetter) -> str:
    """left = formula, or ≈ where a number in it is not written exactly."""
    return t.equation([left, t.formula(formula)], order.is_rounded(formula.e))


def written(row: Row | None, t: Typesetter) -> str | None:
    """name = its few entries, of a tensor that is put together of them."""
    if row is None or row.matrix is None or row.formula is None:
        return None
    return t.equation([t.name(row.name), t.matrix(row.matrix.tree)], order.is_rounded(row.formula.e))


def formula_view(f: Formula | None, t: Typesetter) -> str | None:
    """A formula alone, for the view in JSON."""
    return None if f is None else t.formula(f)


def note_view(n: Note, t: Typesetter) -> View:
    return {"kind": n.kind, "details": _details(n.details, t)}


def _details(details: View, t: Typesetter) -> View:
    """Parameters of a sentence: names are set as mathematics, shapes as sizes."""
    found: View = {}
    for key, value in details.items():
        if key in ("x", "z"):
            found[key] = t.name(value)
        elif key == "inner":
            found[key] = list(value)  # the rules of what was done before
        elif isinstance(value, tuple):
            found[key] = t.size(value)
        else:
            found[key] = value
    return found


# put together, meaning, notes, checks
