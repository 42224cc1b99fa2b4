"""Functions of the program's own, opened: what their forward computed stands in the tape like everything else, and what
their backward sent is kept beside it as the author's decree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sympy import Expr

from explain.calculus.symbols import Entry, TensorName, numeric_size, substitute
from explain.derivation.links import bar, just_indices, places, renaming
from explain.derivation.pullback import pull_back
from explain.derivation.request import Block, Decree, Request
from explain.derivation.steps import Group, grouped, named
from explain.derivation.symbolic import Deriver
from explain.errors import CannotDerive
from explain.ops.registry import NUMERIC
from explain.tape.record import Applied, Backward, Tape, Value

AGREE = 1e-5
"""A backward agrees with its forward if it sends what the derivative sends, relative to the largest entry."""


def opened(request: Request) -> Request:
    """The request with its custom Functions opened, as far as their forward was recorded and has one output."""
    if not any(_opens(a) for a in request.tape.applied):
        return request
    return _Opening(request).request()


def _opens(applied: Applied) -> bool:
    op: Any = applied.op
    if op.kind != "custom" or op.inner is None or op.outputs != 1:
        return False
    tape, given, outputs = op.inner
    return tape.values[outputs[0]].source is not None and bool(_behind(tape, outputs[0]) & set(given))


def _behind(tape: Tape, value: int) -> set[int]:
    found: set[int] = set()
    todo = [value]
    while todo:
        i = todo.pop()
        source = tape.values[i].source
        if i not in found:
            found.add(i)
            todo += tape.applied[source[0]].inputs if source is not None else ()
    return found


@dataclass
class _Opening:
    r: Request

    def request(self) -> Request:
        """Inner values get new ids after all others; applications are counted anew."""
        r, tape = self.r, self.r.tape
        self.values = list(tape.values)
        self.applied: list[Applied] = []
        self.place: dict[int, int] = {}  # of an application before, its index now
        members: dict[int, tuple[int, ...]] = {}
        for k, a in enumerate(tape.applied):
            if _opens(a):
                members[k] = self._insert(a)
            else:
                self.place[k] = len(self.applied)
                self.applied.append(a)
        for v in tape.values:
            if v.source is not None and v.source[0] in self.place:
                self.values[v.id] = replace(v, source=(self.place[v.source[0]], v.source[1]))
        opened_tape = replace(tape, values=tuple(self.values), applied=tuple(self.applied))
        blocks = {tape.applied[k].outputs[0]: self._block(k, opened_tape, inside) for k, inside in members.items()}
        return replace(r, tape=opened_tape, backward=self._moved(r.backward), blocks=blocks)

    def _insert(self, a: Applied) -> tuple[int, ...]:
        op: Any = a.op
        tape, given, (result,) = op.inner
        ids = dict(zip(given, a.inputs, strict=True)) | {result: a.outputs[0]}
        for v in tape.values:
            if v.id not in ids:
                ids[v.id] = len(self.values)
                self.values.append(replace(v, id=ids[v.id], names=()))
        start = len(self.applied)
        for inner in tape.applied:
            inputs, outputs = tuple([ids[i] for i in inner.inputs]), tuple([ids[i] for i in inner.outputs])
            self.applied.append(replace(inner, inputs=inputs, outputs=outputs, walk=a.walk))
        for v in tape.values:
            if v.source is not None and v.id not in given:
                self.values[ids[v.id]] = replace(self.values[ids[v.id]], source=(start + v.source[0], v.source[1]))
        return tuple(range(start, len(self.applied)))

    def _moved(self, backward: Backward | None) -> Backward | None:
        if backward is None:
            return None
        sent = tuple([replace(s, applied=self.place[s.applied]) for s in backward.sent if s.applied in self.place])
        return replace(backward, sent=sent)

    def _block(self, k: int, tape: Tape, members: tuple[int, ...]) -> Block:
        """What the author's backward sent, and whether it is the derivative of what forward computed."""
        a = self.r.tape.applied[k]
        op: Any = a.op
        (output,) = a.outputs
        v, sent = self._sent(k)
        if v is None:
            return Block(op.name, members, {}, False, None)
        inputs = tuple(dict.fromkeys(i for i in a.inputs if self.r.tape.values[i].number is None))
        values = {x.id: _as_float(x) for x in tape.values}
        group = Group(members, output, inputs)
        agrees = True
        for i, g in sent.items():
            true = pull_back(tape, values, group, v, i)
            scale = max(float(np.max(np.abs(true), initial=0.0)), float(np.max(np.abs(g), initial=0.0)))
            agrees &= bool(np.max(np.abs(true - g), initial=0.0) <= AGREE * scale)
        return Block(op.name, members, sent, agrees, self._decree(a))

    def _sent(self, k: int) -> tuple[Any, dict[int, Any]]:
        """The upstream of an application and what it sent to each input; where nobody watched it is asked again."""
        tape, backward = self.r.tape, self.r.backward
        a = tape.applied[k]
        found: dict[int, Any] = {}
        if backward is not None and a.outputs[0] in backward.arrived:
            for s in backward.sent:
                if s.applied == k:
                    i = a.inputs[s.input]
                    found[i] = s.cotangent if i not in found else found[i] + s.cotangent
            return backward.arrived[a.outputs[0]], found
        y = np.asarray(tape.values[a.outputs[0]].array)
        v = np.random.default_rng(4).normal(size=y.shape).astype(y.dtype)[()]
        try:
            given = a.op.vjp(NUMERIC, (True,) * len(a.inputs), v, y, *(tape.values[i].array for i in a.inputs))
        except RuntimeError:  # what it had saved is freed
            return None, {}
        for i, g in zip(a.inputs, given, strict=True):
            if g is not None:
                found[i] = g if i not in found else found[i] + g
        return v, found

    @staticmethod
    def _decree(a: Applied) -> Decree | None:
        op: Any = a.op
        if op.decree is None:
            return None
        tape, upstream, results, inputs, outputs = op.decree
        known = {inner: outer for inner, outer in zip(inputs, a.inputs, strict=True) if inner is not None}
        known |= {inner: outer for inner, outer in zip(outputs, a.outputs, strict=True) if inner is not None}
        return Decree(tape, upstream[0], tuple(zip(a.inputs, results, strict=True)), known)


def _as_float(v: Value) -> Any:
    array = np.asarray(v.array)
    return array.astype(np.float64)[()] if array.dtype.kind == "f" or v.number is not None else array[()]


def decreed_formula(block: Block, output: str, names: dict[int, str], x: int, target: Any) -> Expr | None:
    """What the author's backward sends to ``x``, as a formula of the upstream, the inputs and the output; None if it has
    none. ``target``: the indices of an entry of ``x``. ``names``: display names of the values outside."""
    decree = block.decree
    if decree is None:
        return None
    parts = [result for i, result in decree.results if i == x and result is not None]
    if len(parts) != 1:
        return None
    (result,) = parts
    if decree.tape.values[result].shape != tuple([numeric_size(n) for _, n in target]):
        return None
    own = {decree.upstream: bar(output).name} | {i: names[outer] for i, outer in decree.known.items() if outer in names}
    if result in own:
        return Entry(TensorName(own[result]), *just_indices(target))
    groups = grouped(decree.tape, result)
    inside = named(decree.tape, groups, result) | own
    if len(set(inside.values())) < len(inside):
        return None
    try:
        deriver = Deriver(decree.tape, groups, inside)
    except CannotDerive:
        return None
    if any(s.stays for s in deriver.steps) or deriver.formulas.given:
        return None
    out = places("z", decree.tape.values[result].shape)
    whole = deriver.expanded(Entry(TensorName(inside[result]), *just_indices(out)))
    return substitute(whole, renaming(just_indices(out), just_indices(target)))
