"""The core of a document as JSON data and back, without loss. ``render`` adds the view (LaTeX, sentences) on top.

Formulas are text that our own reader parses; arrays are nested lists, with "nan", "inf" and "-inf" as strings, in the
dtype of the tensor they belong to. Arrays beyond ``INLINE`` entries go to an ``.npz`` beside the document if there is one.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from explain.derivation.codec_formulas import Firsts, decode_formula, decode_matrix, encode_formula, encode_matrix
from explain.derivation.model import (
    VERSION,
    Check,
    ClosedForm,
    Derivation,
    Fold,
    Formula,
    Gradient,
    Let,
    Note,
    Operation,
    Pushed,
    Repeat,
    Row,
    Run,
    Step,
    Tensor,
    Verdict,
)
from explain.errors import InputError
from explain.tape.dtypes import BY_NAME

INLINE = 10_000


class Arrays:
    """Where large arrays go: ``kept`` by key, to be saved beside the document; None keeps everything inline.
    ``firsts``: where formulas are that others repeat; None writes every formula out."""

    def __init__(self, kept: dict[str, np.ndarray] | None = None, firsts: Firsts | None = None) -> None:
        self.kept = kept
        self.firsts = firsts

    def encode(self, array: Any) -> Any:
        """An array (or number) as JSON data; None stays None."""
        if array is None:
            return None
        a = np.asarray(array)
        if self.kept is not None and a.size > INLINE:
            key = f"array_{len(self.kept)}"
            self.kept[key] = a
            return {"npz": key}
        return _nested(a)

    def decode(self, data: Any, dtype: str, shape: tuple[int, ...] | None = None) -> Any:
        """The array again, in the dtype; a 0-d one as a numpy scalar."""
        if data is None:
            return None
        if isinstance(data, dict):
            if self.kept is None or data["npz"] not in self.kept:
                raise InputError(f"the document keeps an array in an .npz file beside it: {data['npz']} is not there")
            return self.kept[data["npz"]]
        found = np.array(_numbers(data), dtype=BY_NAME[dtype].numpy)
        return (found.reshape(shape) if shape is not None else found)[()]


def _nested(a: np.ndarray) -> Any:
    if a.ndim:
        return [_nested(part) for part in a]
    if a.dtype.kind == "f":
        value = float(str(a[()]))  # the shortest digits that give this float32 (or float16) back
        return value if np.isfinite(value) else {True: "nan"}.get(value != value, "inf" if value > 0 else "-inf")
    return a.item()


def _numbers(data: Any) -> Any:
    return [_numbers(part) for part in data] if isinstance(data, list) else float(data) if isinstance(data, str) else data


# the document


def encode_run(run: Run, arrays: Arrays) -> dict[str, Any]:
    """The whole document as JSON data."""
    return {
        "version": VERSION,
        "outcome": run.outcome,
        "program": {"source": run.source, "form": run.form, "given": list(run.given), "code": run.code},
        "stdout": run.stdout,
        "echo": list(run.echo),
        "warnings": [dict(w) for w in run.warnings],
        "error": None if run.error is None else dict(run.error),
        "tensors": {t.name: _encode_tensor(t, arrays) for t in run.tensors},
        "values": run.values,
        "derivations": [_encode_derivation(d, arrays) for d in run.derivations],
        "notes": [_encode_note(n) for n in run.notes],
        "claims": [{**vars(c), "details": _encode_details(c.details)} for c in run.claims],
    }


def run_from_json(text: str, kept: dict[str, np.ndarray] | None = None) -> Run:
    """Read a document; a view in it is ignored. ``kept``: the arrays of the ``.npz`` beside it, if there is one.

    Raises InputError for text that is no such document or is of another version.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not a JSON document: {error}") from None
    if not isinstance(data, dict) or "derivations" not in data:
        raise InputError("not a document of explain: it has no derivations")
    if data.get("version") != VERSION:
        raise InputError(f"the document has version {data.get('version')!r}, this program reads version {VERSION}")
    return _decode_run(data, Arrays(kept))


def handed_over(run: Run, arrays: Arrays) -> str:
    """The document as one process hands it to another, for ``taken_over``: what is repeated under other names is not
    written out."""
    firsts = arrays.firsts = Firsts()
    core = encode_run(run, arrays)
    return json.dumps({"core": core, "firsts": firsts.data}, allow_nan=False)


def taken_over(text: str, kept: dict[str, np.ndarray]) -> Run:
    """The document that was handed over. Its formulas are read when somebody asks for them."""
    data = json.loads(text)
    return _decode_run(data["core"], Arrays(kept, Firsts(data["firsts"])))


def _decode_run(data: dict[str, Any], arrays: Arrays) -> Run:
    return Run(
        source=data["program"]["source"],
        form=data["program"]["form"],
        given=tuple(data["program"]["given"]),
        derivations=tuple(_decode_derivation(d, arrays) for d in data["derivations"]),
        tensors=tuple(_decode_tensor(name, t, arrays) for name, t in data["tensors"].items()),
        outcome=data["outcome"],
        stdout=data["stdout"],
        echo=tuple(data["echo"]),
        warnings=tuple(data["warnings"]),
        values=data["values"],
        error=data["error"],
        notes=tuple(_decode_note(n) for n in data["notes"]),
        code=data["program"]["code"],
        claims=tuple(Verdict(**{**c, "details": _decode_details(c["details"]) or {}}) for c in data["claims"]),
    )


def _encode_tensor(t: Tensor, arrays: Arrays) -> dict[str, Any]:
    return {
        "dtype": t.dtype, "shape": list(t.shape), "value": arrays.encode(t.value), "requires_grad": t.requires_grad,
        "is_leaf": t.is_leaf, "grad_fn": t.grad_fn, "grad": arrays.encode(t.grad),
    }  # fmt: skip


def _decode_tensor(name: str, data: dict[str, Any], arrays: Arrays) -> Tensor:
    shape = tuple(data["shape"])
    value, grad = (arrays.decode(data[key], data["dtype"], _known(shape)) for key in ("value", "grad"))
    return Tensor(name, data["dtype"], shape, value, data["requires_grad"], data["is_leaf"], data["grad_fn"], grad)


def _known(shape: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The shape if all sizes are numbers."""
    return shape if all(isinstance(n, int) for n in shape) else None


def _encode_derivation(d: Derivation, arrays: Arrays) -> dict[str, Any]:
    return {
        "output": d.output, "line": d.line, "mode": d.mode, "symbolic": d.symbolic,
        "cotangent": arrays.encode(d.cotangent), "ok": d.ok,
        "nodes": [_encode_row(r, arrays) for r in d.rows],
        "edges": [list(edge) for edge in d.edges],
        "steps": [_encode_step(s, arrays) for s in d.steps],
        "gradients": [_encode_gradient(g, arrays) for g in d.gradients],
        "lets": [{"name": p.name, "kind": p.kind, "formula": encode_formula(p.formula, arrays.firsts)} for p in d.lets],
        "notes": [_encode_note(n) for n in d.notes],
        "kind": d.kind, "number": d.number, "call": d.call, "pushed": _encode_pushed(d.pushed, arrays),
        "folds": [{"first": f.first, "period": f.period, "count": f.count} for f in d.folds],
        "calls": [
            {"number": r.number, "line": r.line, "output": _nested(np.asarray(r.output)) if r.output is not None else None,
             "gradients": {name: arrays.encode(g) for name, g in r.gradients.items()}}
            for r in d.repeats
        ],
    }  # fmt: skip


def _decode_derivation(data: dict[str, Any], arrays: Arrays) -> Derivation:
    rows = tuple(_decode_row(r, arrays) for r in data["nodes"])
    of = {r.name: r for r in rows}
    return Derivation(
        output=data["output"],
        line=data["line"],
        mode=data["mode"],
        cotangent=_like(of.get(data["output"]), data["cotangent"], arrays),
        rows=rows,
        steps=tuple(_decode_step(s, of, arrays) for s in data["steps"]),
        gradients=tuple(_decode_gradient(g, arrays) for g in data["gradients"]),
        lets=tuple(Let(p["name"], _formula(p["formula"], arrays.firsts), p["kind"]) for p in data["lets"]),
        notes=tuple(_decode_note(n) for n in data["notes"]),
        edges=tuple((a, b) for a, b in data["edges"]),
        symbolic=data["symbolic"],
        kind=data["kind"],
        number=data["number"],
        call=data["call"],
        pushed=_decode_pushed(data["pushed"], of.get(data["output"]), arrays),
        folds=tuple(Fold(f["first"], f["period"], f["count"]) for f in data["folds"]),
        repeats=tuple(_decode_repeat(r, arrays) for r in data["calls"]),
    )


def _encode_pushed(p: Pushed | None, arrays: Arrays) -> dict[str, Any] | None:
    if p is None:
        return None
    changes = {name: arrays.encode(a) for name, a in p.changes.items()}
    return {"changes": changes, "value": arrays.encode(p.value), "checks": [_encode_check(c) for c in p.checks]}


def _decode_pushed(data: Any, output: Row | None, arrays: Arrays) -> Pushed | None:
    if data is None:
        return None
    changes = {name: arrays.decode(a, "float64") for name, a in data["changes"].items()}
    return Pushed(changes, _like(output, data["value"], arrays), tuple(_decode_check(c) for c in data["checks"]))


def _decode_repeat(data: dict[str, Any], arrays: Arrays) -> Repeat:
    output = None if data["output"] is None else float(data["output"])
    gradients = {name: arrays.decode(g, "float64") for name, g in data["gradients"].items()}
    return Repeat(data["number"], data["line"], output, gradients)


def _formula(data: Any, firsts: Firsts | None) -> Formula:
    found = decode_formula(data, firsts)
    assert found is not None
    return found


def _like(row: Row | None, data: Any, arrays: Arrays) -> Any:
    """An array in the dtype and shape of a row's tensor."""
    if row is None:
        return arrays.decode(data, "float64")
    return arrays.decode(data, row.dtype, _known(row.shape))


def _encode_row(r: Row, arrays: Arrays) -> dict[str, Any]:
    return {
        "name": r.name, "kind": r.kind, "shape": list(r.shape), "dtype": r.dtype,
        "formula": encode_formula(r.formula, arrays.firsts), "value": arrays.encode(r.value), "grad_fn": r.grad_fn,
        "code": r.code, "line": r.line, "matrix": encode_matrix(r.matrix, arrays.firsts),
    }  # fmt: skip


def _decode_row(data: dict[str, Any], arrays: Arrays) -> Row:
    shape = tuple(data["shape"])
    value = arrays.decode(data["value"], data["dtype"], _known(shape))
    formula, matrix = decode_formula(data["formula"], arrays.firsts), decode_matrix(data.get("matrix"), arrays.firsts)
    made_by = data["grad_fn"], data["code"], data["line"]
    return Row(data["name"], data["kind"], shape, data["dtype"], formula, value, *made_by, matrix)


def _encode_step(s: Step, arrays: Arrays) -> dict[str, Any]:
    return {
        "number": s.number, "line": s.line, "code": s.code, "output": s.output, "input": s.input, "rule": s.rule,
        "details": s.details, "formula": encode_formula(s.formula, arrays.firsts),
        "jacobian": encode_formula(s.jacobian, arrays.firsts),
        "structure": s.structure, "jacobian_shape": [list(part) for part in s.jacobian_shape],
        "jacobian_matrix": arrays.encode(s.jacobian_matrix),
        "vjp": {
            "product": encode_formula(s.product, arrays.firsts), "index": encode_formula(s.contracted, arrays.firsts),
            "matrix": encode_matrix(s.matrix, arrays.firsts),
        },
        "upstream": arrays.encode(s.upstream), "value": arrays.encode(s.value),
        "ops": [_encode_operation(o, arrays) for o in s.operations],
        "checks": [_encode_check(c) for c in s.checks], "notes": [_encode_note(n) for n in s.notes],
        "jacobian_entries": encode_matrix(s.jacobian_entries, arrays.firsts),
    }  # fmt: skip


def _decode_step(data: dict[str, Any], of: dict[str, Row], arrays: Arrays) -> Step:
    vjp = data["vjp"]
    return Step(
        number=data["number"],
        line=data["line"],
        code=data["code"],
        output=data["output"],
        input=data["input"],
        rule=data["rule"],
        details={k: tuple(v) if isinstance(v, list) else v for k, v in data["details"].items()},
        formula=_formula(data["formula"], arrays.firsts),
        jacobian=decode_formula(data["jacobian"], arrays.firsts),
        structure=data["structure"],
        jacobian_shape=(tuple(data["jacobian_shape"][0]), tuple(data["jacobian_shape"][1])),
        jacobian_matrix=arrays.decode(data["jacobian_matrix"], "float64"),
        product=decode_formula(vjp["product"], arrays.firsts),
        contracted=decode_formula(vjp["index"], arrays.firsts),
        matrix=decode_matrix(vjp["matrix"], arrays.firsts),
        upstream=_like(of.get(data["output"]), data["upstream"], arrays),
        value=_like(of.get(data["input"]), data["value"], arrays),
        operations=tuple(_decode_operation(o, arrays) for o in data["ops"]),
        checks=tuple(_decode_check(c) for c in data["checks"]),
        notes=tuple(_decode_note(n) for n in data["notes"]),
        jacobian_entries=decode_matrix(data.get("jacobian_entries"), arrays.firsts),
    )


def _encode_operation(o: Operation, arrays: Arrays) -> dict[str, Any]:
    sent = [
        {
            "to": name,
            "formula": encode_formula(f, arrays.firsts),
            "value": arrays.encode(v),
            "dtype": str(np.asarray(v).dtype),
        }
        for name, f, v in o.sent
    ]
    return {
        "op": o.op, "grad_fn": o.grad_fn, "output": o.output, "inputs": list(o.inputs), "sent": sent, "code": o.code,
    }  # fmt: skip


def _decode_operation(data: dict[str, Any], arrays: Arrays) -> Operation:
    sent = tuple(
        (p["to"], decode_formula(p["formula"], arrays.firsts), arrays.decode(p["value"], p["dtype"])) for p in data["sent"]
    )
    return Operation(data["op"], data["grad_fn"], data["output"], tuple(data["inputs"]), sent, data["code"])


def _encode_gradient(g: Gradient, arrays: Arrays) -> dict[str, Any]:
    closed = g.closed_form
    return {
        "wrt": g.wrt, "shape": list(g.shape), "dtype": g.dtype, "value": arrays.encode(g.value),
        "grad": arrays.encode(g.grad),
        "closed_form": None if closed is None else {
            "index": encode_formula(closed.index, arrays.firsts), "matrix": encode_matrix(closed.matrix, arrays.firsts),
            "lets": list(closed.lets),
        },
        "contributions": list(g.contributions), "checks": [_encode_check(c) for c in g.checks], "reason": g.reason,
        "jacobian": arrays.encode(g.jacobian), "before": arrays.encode(g.before),
        "first_order": _encode_details(g.first_order),
    }  # fmt: skip


def _decode_gradient(data: dict[str, Any], arrays: Arrays) -> Gradient:
    closed, shape = data["closed_form"], tuple(data["shape"])
    first = data["first_order"]
    return Gradient(
        wrt=data["wrt"],
        shape=shape,
        dtype=data["dtype"],
        value=arrays.decode(data["value"], data["dtype"], _known(shape)),
        grad=arrays.decode(data["grad"], data["dtype"], _known(shape)),
        closed_form=None
        if closed is None
        else ClosedForm(
            _formula(closed["index"], arrays.firsts), decode_matrix(closed["matrix"], arrays.firsts), tuple(closed["lets"])
        ),
        contributions=tuple(data["contributions"]),
        checks=tuple(_decode_check(c) for c in data["checks"]),
        reason=data["reason"],
        jacobian=arrays.decode(data["jacobian"], data["dtype"]),
        before=arrays.decode(data["before"], data["dtype"], _known(shape)),
        first_order=None if first is None else {**(_decode_details(first) or {}), "place": tuple(first["place"])},
    )


def _encode_details(details: dict[str, Any] | None) -> dict[str, Any] | None:
    """Parameters with floats that JSON has no words for as strings."""
    if details is None:
        return None
    return {k: _nested(np.asarray(v, np.float64)) if isinstance(v, float) else v for k, v in details.items()}


def _decode_details(data: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if data is None else {k: float(v) if v in ("nan", "inf", "-inf") else v for k, v in data.items()}


def _encode_check(c: Check) -> dict[str, Any]:
    error = None if c.error is None else _nested(np.asarray(c.error, np.float64))
    return {
        "name": c.name, "max_error": error, "ok": c.status != "failed", "status": c.status, "reason": c.reason,
        "details": _encode_details(c.details),
    }  # fmt: skip


def _decode_check(data: dict[str, Any]) -> Check:
    error = None if data["max_error"] is None else float(data["max_error"])
    return Check(data["name"], data["status"], error, data["reason"], _decode_details(data["details"]) or {})


def _encode_note(n: Note) -> dict[str, Any]:
    return {"kind": n.kind, "details": n.details}


def _decode_note(data: dict[str, Any]) -> Note:
    return Note(data["kind"], data["details"])
