"""What a page says, in the order-free form that templates take: every formula and number set, no word chosen.

One function per part; all take the typesetter of the format. Sentences are keys with parameters: ``templates/words``
knows them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sympy import Pow

from explain.calculus.rules import says_itself
from explain.derivation.model import Derivation, Fold, Formula, Gradient, Note, Row, Step
from explain.render import figures, folding, order
from explain.render.checked import all_checks, chain_to, check_view, checks_of, failed_view, gradient_checks, pushed_checks
from explain.render.signs import Noting
from explain.render.step import View, arrival, defined, note_view, sent, step_view, written
from explain.render.typeset import Typesetter
from explain.tape.printing import tensor_repr

LONGEST = 12
"""A chain of changes, and a list of definitions from the turns of a loop, has at most so many lines."""
MOST_ADDING = 4
"""Of so many tensors at most it is said which contributions add."""
CALLS = 10
"""A table of calls has at most so many rows."""


def derivation_view(d: Derivation, t: Typesetter, detail: str = "normal") -> View:
    """One derivation. ``detail``: brief leaves out the numbers inside the steps, full shows all turns of loops."""
    t = noting = Noting(t)
    rows: list[Row | int] = list(d.rows) if detail == "full" else folding.rows(d.rows)
    steps: list[Step | Fold] = list(d.steps) if detail == "full" else folding.steps(d)
    view: View = {
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
        "output_bar": t.name(f"bar({d.output})"),
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
        "not_finite": _not_finite(d, t),
        "notes": [_note_of(n, d, t) for n in _all_notes(d) if n.kind != "not_finite"],
        "failed": [failed_view(c, where) for c, where in all_checks(d) if c.status == "failed"],
        "pushed": _pushed(d, t),
        "checks": [*(gradient_checks(g, d, t) for g in d.gradients if g.checks), *pushed_checks(d, t)],
    }
    return view | {"signs": noting.told()}


def _another_name(d: Derivation) -> str:
    """A letter for any tensor, where a page says what a bar means: none that a tensor of the page has."""
    taken = {d.output, *(r.name for r in d.rows)}
    return next((letter for letter in "ytsqp" if letter not in taken), "y")


# the answer


def _answer(g: Gradient, d: Derivation, t: Typesetter) -> View:
    answer: View = {"wrt": g.wrt, "name": t.name(g.wrt), "reason": g.reason, "grad": None, "jacobian": None}
    answer |= {"index": None, "matrix": None, "checks": [check_view(c, g.dtype) for c in checks_of(g, d)]}
    if g.closed_form:
        answer["index"] = _closed(g, d, t)
        if g.closed_form.matrix is not None and not g.closed_form.matrix.listed and any(n != 1 for n in g.shape):
            answer["matrix"] = _closed(g, d, t, as_matrix=True)
    if g.grad is not None:
        answer["grad"] = tensor_repr(g.grad)
        answer["label"] = f"{g.wrt}.grad" if d.kind == "backward" else f"∂{d.output}/∂{g.wrt}"
    if g.jacobian is not None:
        answer["jacobian"] = t.equation(
            ["J", _flat_matrix(g.jacobian, len(g.shape), t)], not figures.is_exact(np.asarray(g.jacobian))
        )
        answer["jacobian_shape"] = t.size(np.shape(g.jacobian))
    return answer


def _closed(g: Gradient, d: Derivation, t: Typesetter, as_matrix: bool = False) -> str:
    """The closed form: one entry of it, or the whole in matrix form; whole too where its few entries are written out."""
    assert g.closed_form is not None
    index, matrix = g.closed_form.index, g.closed_form.matrix
    rounded = order.is_rounded(index.e)
    if matrix is not None and (as_matrix or matrix.listed):
        return t.equation([_derivative(g, d, t, ()), t.matrix(matrix.tree)], rounded)
    return t.equation([_derivative(g, d, t, index.letters), t.formula(index)], rounded)


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
    lets = [defined(t.entry(p.name, p.formula.letters), p.formula, t) for p in told]
    made = [r for r in d.rows if r.name in used and r.formula]
    shown = {r.name for r in (made if len(made) <= LONGEST else rows) if isinstance(r, Row)}
    lines = [_entry_of(r, t) if r.name in shown else None for r in made]
    return [line for k, line in enumerate(lines) if line or lines[k - 1]] + lets


def _entry_of(r: Row, t: Typesetter) -> str:
    if r.formula is None:
        return t.name(r.name)
    return written(r, t) or defined(t.entry(r.name, r.formula.letters), r.formula, t)


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
    sent = dict.fromkeys(name for r in d.repeats for name in r.gradients)
    names = list(dict.fromkeys([*(g.wrt for g in d.gradients if g.wrt in sent), *sent]))  # in the order of the answers
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
            found.append({"to": t.name(name), "from": [n and t.name(n) for n in folding.some(sources)]})
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


def _together(g: Gradient, d: Derivation, t: Typesetter) -> View:
    """The chain of steps that ends at a leaf, and what it multiplies to."""
    chain = chain_to(g, d)
    assert g.closed_form is not None
    adding: list[View] = []
    lines = [] if d.mode == "jacobian" else [t.equation([t.name(f"bar({d.output})"), "v" if d.mode == "vjp" else "1"])]
    hidden = folding.hidden(d)
    for s in chain:
        if s.contracted is None:
            continue
        if s.number in hidden:
            if lines and lines[-1] != t.dots:
                lines.append(t.dots)
            continue
        lines.append(sent(s, d, t))
        parts = [other for other in chain if other.input == s.input and other.contracted is not None]
        if len(parts) > 1 and s is parts[-1]:
            runs = folding.elided(parts, lambda p: p.number in hidden)
            letters = s.contracted.letters
            total = " + ".join([text for run in runs for text in [arrival(p, d, t, letters) for p in run] or [t.more]])
            lines.append(t.equation([t.entry(f"bar({s.input})", letters), total]))
            adding.append({"to": t.name(s.input), "steps": folding.ranges([p.number for p in parts], hidden)})
    return {
        "wrt": t.name(g.wrt),
        "steps": folding.ranges([s.number for s in chain], hidden),
        "single": len(chain) == 1,
        "adding": adding[-MOST_ADDING:],
        "lines": lines,
        "closed": _closed(g, d, t),
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
        "rounded": not all(figures.is_exact(np.float64(first[key]), g.dtype) for key in ("slope", "predicted")),
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


def _not_finite(d: Derivation, t: Typesetter) -> list[View]:
    """Which gradients are not finite, together where they come from the same place."""
    found: dict[str, View] = {}
    for n in d.notes:
        if n.kind == "not_finite":
            rest = {key: value for key, value in n.details.items() if key != "x"}
            found.setdefault(repr(rest), {**rest, "names": []})["names"].append(t.name(n.details["x"]))
    return list(found.values())


def _note_of(n: Note, d: Derivation, t: Typesetter) -> View:
    found = note_view(n, t)
    if n.kind == "accumulated":
        (g,) = (g for g in d.gradients if g.wrt == n.details["x"])
        found["details"] |= {"before": t.array(g.before), "value": t.array(g.value), "after": t.array(g.grad)}
    return found
