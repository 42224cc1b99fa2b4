"""What a page says, in the order-free form that templates take: every formula and number set, no word chosen.

One function per part; all take the typesetter of the format. Sentences are keys with parameters: ``templates/words``
knows them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from sympy import Expr, Pow

from explain.calculus.rules import says_itself
from explain.calculus.symbols import TensorName
from explain.derivation.check import DIFFERENCES, FORMULA
from explain.derivation.model import Check, Derivation, Fold, Formula, Gradient, Note, Row, Step
from explain.render import figures, folding, order
from explain.render.printer import entry_key
from explain.render.typeset import Typesetter
from explain.tape.printing import tensor_repr

View = dict[str, Any]
LONGEST = 12
"""A chain of changes, and a list of definitions from the turns of a loop, has at most so many lines."""
CALLS = 10
"""A table of calls has at most so many rows."""


def derivation_view(d: Derivation, t: Typesetter, detail: str = "normal") -> View:
    """One derivation. ``detail``: brief leaves out the numbers inside the steps, full shows all turns of loops."""
    rows: list[Row | int] = list(d.rows) if detail == "full" else folding.rows(d.rows)
    steps: list[Step | Fold] = list(d.steps) if detail == "full" else folding.steps(d)
    return {
        "mode": d.mode,
        "kind": d.kind,
        "line": d.line,
        "call": d.call,
        "number": d.number,
        "calls": _calls(d, t),
        "symbolic": d.symbolic,
        "ok": d.ok,
        "output": t.name(d.output),
        "any": t.name(other := _another_name(d)),
        "any_bar": t.name(f"bar({other})"),
        "ell": t.ell,
        "output_name": d.output,
        "leaves": [g.wrt for g in d.gradients],
        "seed": None if d.cotangent is None else t.array(d.cotangent),
        "answers": [_answer(g, d, t) for g in d.gradients],
        "where": _where(d, rows, t),
        "rows": [{"left_out": r} if isinstance(r, int) else _row(r, t) for r in rows],
        "edges": _edges(d, rows, t),
        "steps": [_fold(s, d, t) if isinstance(s, Fold) else _step(s, d, t, detail) for s in steps],
        "together": [_together(g, d, t) for g in d.gradients if g.closed_form],
        "meaning": [_meaning(g, d, t) for g in d.gradients if g.first_order],
        "notes": [_note_of(n, d, t) for n in _all_notes(d)],
        "failed": [_failed(c, where) for c, where in _all_checks(d) if c.status == "failed"],
        "pushed": _pushed(d, t),
        "checks": [*(_gradient_checks(g, d, t) for g in d.gradients if g.checks), *_pushed_checks(d, t)],
    }


def _another_name(d: Derivation) -> str:
    """A letter for any tensor, where a page says what a bar means: none that a tensor of the page has."""
    taken = {d.output, *(r.name for r in d.rows)}
    return next((letter for letter in "ytsqp" if letter not in taken), "y")


# the answer


def _answer(g: Gradient, d: Derivation, t: Typesetter) -> View:
    answer: View = {"wrt": g.wrt, "name": t.name(g.wrt), "reason": g.reason, "grad": None, "jacobian": None}
    answer |= {"index": None, "matrix": None, "checks": [_check(c, g.dtype) for c in _checks_of(g, d)]}
    if g.closed_form:
        index = g.closed_form.index
        answer["index"] = t.equation([_derivative(g, d, t, index.letters), t.formula(index)], order.is_rounded(index.e))
        if g.closed_form.matrix is not None and any(n != 1 for n in g.shape):
            answer["matrix"] = t.equation(
                [_derivative(g, d, t, ()), t.matrix(g.closed_form.matrix)], order.is_rounded(index.e)
            )
    if g.grad is not None:
        answer["grad"] = tensor_repr(g.grad)
        answer["label"] = f"{g.wrt}.grad" if d.kind == "backward" else f"∂{d.output}/∂{g.wrt}"
    if g.jacobian is not None:
        answer["jacobian"] = _flat_matrix(g.jacobian, len(g.shape), t)
        answer["jacobian_shape"] = t.size(np.shape(g.jacobian))
    return answer


def _derivative(g: Gradient, d: Derivation, t: Typesetter, letters: tuple[str, ...]) -> str:
    """∂ output / ∂ leaf at letters; with a given v it is the derivative of ⟨v, output⟩."""
    out_letters = letters[: len(letters) - len(g.shape)] if d.mode == "jacobian" else ()
    own = letters[len(out_letters) :]
    above = t.entry(d.output, out_letters) if d.mode != "vjp" else t.ell
    return t.partial(above, t.entry(g.wrt, own))


def _where(d: Derivation, rows: list[Row | int], t: Typesetter) -> list[str | None]:
    """Definitions of the names that the closed forms use, once for all of them, in the order they are made; None for those
    that the forward table leaves out."""
    used = {name for g in d.gradients if g.closed_form for name in g.closed_form.lets}
    told = [p for p in d.lets if p.name in used and not says_itself(p.kind)]
    lets = [_defined(t.entry(p.name, p.formula.letters), p.formula, t) for p in told]
    made = [r for r in d.rows if r.name in used and r.formula]
    shown = {r.name for r in (made if len(made) <= LONGEST else rows) if isinstance(r, Row)}
    lines = [_entry_of(r, t) if r.name in shown else None for r in made]
    return [line for k, line in enumerate(lines) if line or lines[k - 1]] + lets


def _entry_of(r: Row, t: Typesetter) -> str:
    if r.formula is None:
        return t.name(r.name)
    return _defined(t.entry(r.name, r.formula.letters), r.formula, t)


def _defined(left: str, formula: Formula, t: Typesetter) -> str:
    """left = formula, or ≈ where a number in it is not written exactly."""
    return t.equation([left, t.formula(formula)], order.is_rounded(formula.e))


def _flat_matrix(jacobian: Any, columns_rank: int, t: Typesetter) -> str:
    """A Jacobian as a matrix: a row per output entry, a column per input entry, both taken row by row."""
    a = np.asarray(jacobian)
    rows = math.prod(a.shape[: a.ndim - columns_rank])
    return t.array(a.reshape(rows, -1))


# calls that did the same


def _calls(d: Derivation, t: Typesetter) -> View | None:
    """The table of a loop's calls: the first ones, the last ones, and how many there are in all."""
    if not d.repeats:
        return None
    names = list(dict.fromkeys(name for r in d.repeats for name in r.gradients))
    shown = d.repeats if len(d.repeats) <= CALLS else (*d.repeats[: CALLS - 4], None, *d.repeats[-3:])
    rows: list[View | None] = []
    for r in shown:
        if r is None:
            rows.append(None)
            continue
        gradients = [t.array(r.gradients[name]) if name in r.gradients else "" for name in names]
        value = None if r.output is None else t.array(np.float64(r.output))
        rows.append({"number": r.number, "line": r.line, "output": value, "gradients": gradients})
    return {"count": len(d.repeats), "names": [t.name(f"bar({name})") for name in names], "rows": rows}


# forward


def _row(r: Row, t: Typesetter) -> View:
    return {
        "name": t.name(r.name),
        "plain_name": r.name,
        "kind": r.kind,
        "shape": t.size(r.shape),
        "scalar": not r.shape,
        "entry": _entry_of(r, t) if r.formula else None,
        "value": None if r.value is None else _value(r.value, t),
        "grad_fn": r.grad_fn,
        "code": r.code,
        "line": r.line,
        "dtype": r.dtype,
    }


def _value(value: Any, t: Typesetter) -> View:
    a = np.asarray(value)
    if figures.constant(a):
        return {"all": True, "text": t.array(a.ravel()[0])}
    return {"all": False, "text": t.array(a)}


def _edges(d: Derivation, rows: list[Row | int], t: Typesetter) -> list[View | None]:
    """The graph as a list: each step's output with what it is made of; None for what the turns of a loop repeat."""
    shown = {r.name for r in rows if isinstance(r, Row)}
    made: dict[str, list[str]] = {}
    for a, b in d.edges:
        made.setdefault(b, []).append(a)
    found: list[View | None] = []
    for name, sources in made.items():
        if name in shown:
            found.append({"to": t.name(name), "from": [t.name(n) for n in sources]})
        elif found and found[-1] is not None:
            found.append(None)
    return found


# steps


def _fold(f: Fold, d: Derivation, t: Typesetter) -> View:
    """What the turns of a loop repeat, after its first turn: how often, and by what they multiply if that is a number."""
    found: View = {
        "fold": f.count,
        "period": f.period,
        "first": f.first + f.period,
        "last": f.first + f.period * f.count - 1,
    }
    factor = folding.factor(f, d)
    if factor is not None:
        power = Pow(factor, f.count, evaluate=False)
        found["factor"] = t.equation([t.formula(Formula(power)), t.formula(Formula(factor**f.count))])
    return found


def _step(s: Step, d: Derivation, t: Typesetter, detail: str) -> View:
    view = step_view(s, d, t)
    if detail == "brief":
        view |= {"jacobian_matrix": None, "numbers": None, "operations": []}
    return view


def step_view(s: Step, d: Derivation, t: Typesetter) -> View:
    bar = f"bar({s.output})"
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
        "formula": _defined(t.entry(s.output, s.formula.letters), s.formula, t),
        "structure": s.structure,
        "jacobian_shape": [t.size(part) for part in s.jacobian_shape],
        "jacobian": None,
        "product": None,
        "matrix": None,
        "numbers": None,
        "flattened": any(len(part) > 1 for part in s.jacobian_shape),
        "jacobian_matrix": t.array(s.jacobian_matrix) if _written_out(s) else None,
        "beyond": not _holds(s),
        "upstream": t.name(bar),
        "downstream": t.name(f"bar({s.input})"),
        "operations": [_operation(o, t) for o in s.operations],
        "notes": [note_view(n, t) for n in s.notes],
    }
    if s.jacobian is not None and s.contracted is not None:
        rank = len(s.contracted.letters)
        target, out = s.jacobian.letters[:rank], s.jacobian.letters[rank:]
        partial = t.partial(t.entry(s.output, out), t.entry(s.input, target))
        view["jacobian"] = _defined(partial, s.jacobian, t)
        view["product"] = _defined(_arrival(s, d, t, s.contracted.letters), s.product or s.contracted, t)
        if s.product is not None and t.formula(s.product) != t.formula(s.contracted):
            view["product"] = t.equation([view["product"], t.formula(s.contracted)])
        if s.matrix is not None and s.contracted.letters:
            view["matrix"] = t.equation([_arrival(s, d, t, ()), t.matrix(s.matrix)], order.is_rounded(s.contracted.e))
    if s.value is not None:
        view["numbers"] = _numbers(s, d, t)
    return view


def _arrival(s: Step, d: Derivation, t: Typesetter, letters: tuple[str, ...]) -> str:
    """The adjoint that the step sends to, marked where what it sends is one of several contributions."""
    if sum(other.input == s.input for other in d.steps) > 1:
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
    sides = [_arrival(s, d, t, ())]
    rounded = not figures.is_exact(s.value)
    overwritten = any(c.reason == "written" for c in s.checks)  # then the values shown are not those that backward met
    if s.matrix is not None and not overwritten and _holds(s):
        values = {r.name: r.value for r in d.rows if r.value is not None} | {f"bar({s.output})": s.upstream}
        named = tensor_names(s.matrix)
        used = {name: a for name, a in values.items() if name in named}
        complete = named <= set(used)
        if complete and used and sum(np.size(a) for a in used.values()) <= t.most_substituted:
            rounded |= not all(figures.is_exact(a) for a in used.values())
            entries = {entry_key(name, k): t.array(n) for name, a in used.items() for k, n in np.ndenumerate(a)}
            sides.append(t.matrix(s.matrix, entries | {name: t.array(a) for name, a in used.items()}))
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


def _details(details: View, t: Typesetter) -> View:
    """Parameters of a sentence: names are set as mathematics, shapes as sizes."""
    found: View = {}
    for key, value in details.items():
        if key in ("x", "z"):
            found[key] = t.name(value)
        elif isinstance(value, tuple):
            found[key] = t.size(value)
        else:
            found[key] = value
    return found


# put together, meaning, notes, checks


def _together(g: Gradient, d: Derivation, t: Typesetter) -> View:
    """The chain of steps that ends at a leaf, and what it multiplies to."""
    chain = _chain(g, d)
    assert g.closed_form is not None
    lines = [] if d.mode == "jacobian" else [t.equation([t.name(f"bar({d.output})"), "v" if d.mode == "vjp" else "1"])]
    hidden = folding.hidden(d)
    for s in chain:
        if s.contracted is None:
            continue
        if s.number in hidden:
            if lines and lines[-1] != t.dots:
                lines.append(t.dots)
            continue
        lines.append(_defined(_arrival(s, d, t, s.contracted.letters), s.contracted, t))
        parts = [other for other in chain if other.input == s.input and other.contracted is not None]
        if len(parts) > 1 and s is parts[-1]:
            terms = ["" if p.number in hidden else _arrival(p, d, t, s.contracted.letters) for p in parts]
            total = " + ".join(term or t.more for k, term in enumerate(terms) if term or terms[k - 1])
            lines.append(t.equation([t.entry(f"bar({s.input})", s.contracted.letters), total]))
    index = g.closed_form.index
    return {
        "wrt": t.name(g.wrt),
        "steps": folding.ranges([s.number for s in chain], hidden),
        "single": len(chain) == 1,
        "contributions": folding.ranges(g.contributions, hidden),
        "lines": lines,
        "closed": t.equation([_derivative(g, d, t, index.letters), t.formula(index)], order.is_rounded(index.e)),
        "value": None
        if g.value is None
        else t.equation([t.name(f"bar({g.wrt})"), t.array(g.value)], not figures.is_exact(g.value)),
    }


def _pushed(d: Derivation, t: Typesetter) -> View | None:
    """How a change of the inputs goes forward: the change of every value on the way."""
    if d.pushed is None:
        return None
    between = [(r.name, d.pushed.changes[r.name]) for r in d.rows if r.name in d.pushed.changes]
    lines = [_change(name, a, t) for name, a in between]
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 4], t.dots, *lines[-3:]]
    return {"output": t.name(d.output), "lines": [*lines, _change(d.output, d.pushed.value, t)]}


def _change(name: str, a: Any, t: Typesetter) -> str:
    return t.equation([t.name(f"dot({name})"), t.array(a)], not figures.is_exact(a))


def _pushed_checks(d: Derivation, t: Typesetter) -> list[View]:
    if d.pushed is None:
        return []
    dtype = next((r.dtype for r in d.rows if r.name == d.output), "float64")
    on_the_way = _worst_check(c for s in d.steps for c in s.checks)
    checks = [_check(c, dtype) for c in (*d.pushed.checks, *([on_the_way] if on_the_way else []))]
    return [{"wrt": t.name(f"dot({d.output})"), "checks": checks}]


def _chain(g: Gradient, d: Derivation) -> list[Step]:
    """The steps on the way to the leaf, from the output on."""
    wanted, found = {g.wrt}, []
    for s in reversed(d.steps):
        if s.input in wanted:
            found.append(s)
            wanted.add(s.output)
    return found[::-1]


def _meaning(g: Gradient, d: Derivation, t: Typesetter) -> View:
    first = g.first_order
    assert first is not None
    place = tuple(str(k) for k in first["place"])
    return {
        "entry": t.entry(g.wrt, place),
        "from": t.array(np.float64(first["from"])),
        "to": t.array(np.float64(first["from"] + first["step"])),
        "slope": t.array(np.float64(first["slope"])),
        "step": t.array(np.float64(first["step"])),
        "predicted": t.array(np.float64(first["predicted"])),
        "before": _precise(first["before"]),
        "after": _precise(first["after"]),
        "output": t.name(d.output) if d.mode == "gradient" else t.ell,
        "really": t.array(np.float64(first["after"] - first["before"])),
        # the program would compute what it cut off anew; the trial, like the gradient, takes it for given
        "held": any(n.kind in ("detach", "no_grad") for n in d.notes),
    }


def _precise(x: float) -> str:
    """Enough digits to see a small change."""
    return f"{x:.8g}"


def _all_notes(d: Derivation) -> list[Note]:
    found = {(n.kind, repr(n.details)): n for n in [*d.notes, *(n for s in d.steps for n in s.notes)]}
    return list(found.values())


def _note_of(n: Note, d: Derivation, t: Typesetter) -> View:
    found = note_view(n, t)
    if n.kind == "accumulated":
        (g,) = (g for g in d.gradients if g.wrt == n.details["x"])
        found["details"] |= {"before": t.array(g.before), "value": t.array(g.value), "after": t.array(g.grad)}
    return found


def note_view(n: Note, t: Typesetter) -> View:
    return {"kind": n.kind, "details": _details(n.details, t)}


def _all_checks(d: Derivation) -> list[tuple[Check, str]]:
    found = [(c, g.wrt) for g in d.gradients for c in g.checks] + [(c, str(s.number)) for s in d.steps for c in s.checks]
    return found + [(c, d.output) for c in (d.pushed.checks if d.pushed else ())]


def _failed(c: Check, where: str) -> View:
    return {"name": c.name, "where": where, "error": None if c.error is None else figures.number(c.error)}


def _checks_of(g: Gradient, d: Derivation) -> list[Check]:
    on_the_way = [c for s in _chain(g, d) for c in s.checks]
    worst = _worst_check(on_the_way)
    return [*g.checks, *([worst] if worst else [])] if g.checks else []


def _worst_check(checks: Iterable[Check]) -> Check | None:
    """What one check of all steps comes to: it holds on the whole way only if no step had to leave it out."""
    order = {"failed": 2, "not_applicable": 1, "ok": 0}
    return max(checks, key=lambda c: (order[c.status], c.error or 0.0), default=None)


def _check(c: Check, dtype: str) -> View:
    return {
        "name": c.name, "status": c.status, "reason": c.reason, "details": _check_details(c),
        "error": None if c.error is None else figures.number(c.error),
        "exponent": _bound(c, dtype),
    }  # fmt: skip


def _check_details(c: Check) -> View:
    return {k: figures.number(v) if isinstance(v, float) else v for k, v in c.details.items()}


def _bound(c: Check, dtype: str) -> int | None:
    """The power of ten that the error is shown to be below: the check's own tolerance, so that a page is the same bytes
    on every machine."""
    if c.status != "ok" or c.reason in ("rounding", "precision"):
        return None
    tolerance = (DIFFERENCES if c.name == "differences" else FORMULA)[c.details.get("dtype", dtype)]
    return round(math.log10(tolerance))


def _gradient_checks(g: Gradient, d: Derivation, t: Typesetter) -> View:
    return {"wrt": t.name(g.wrt), "checks": [_check(c, g.dtype) for c in _checks_of(g, d)]}


def formula_view(f: Formula | None, t: Typesetter) -> str | None:
    """A formula alone, for the view in JSON."""
    return None if f is None else t.formula(f)
