"""The part of a derivation that does not depend on numbers, made once per structure and kept.

Two programs with the same operations, shapes and names share one plan: a second derivation costs its numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property, partial
from typing import Any

from sympy import Expr, S

from explain.calculus import walk
from explain.calculus.entries import has_few_entries, written_out
from explain.calculus.express import final, joined, letters, weight
from explain.calculus.masks import over_masks
from explain.calculus.matrix import checked_matrix_form
from explain.calculus.matrix_value import agrees
from explain.calculus.namespace import place_name
from explain.calculus.rules import says_itself
from explain.calculus.solve import plain_positions
from explain.calculus.symbols import (
    Entry,
    Index,
    TensorName,
    late,
    size,
    walk_preorder,
)
from explain.derivation.custom import decreed_formula
from explain.derivation.given import given_arrays
from explain.derivation.later import Lazily, changed
from explain.derivation.lets import Lets, PlannedLet
from explain.derivation.links import Bind, Link, StepFormula, bar, just_indices, named_result, places, written_product
from explain.derivation.model import Formula, Matrix
from explain.derivation.repeat import likeness
from explain.derivation.request import Block, Request
from explain.derivation.rules import Rule, rule_of
from explain.derivation.steps import Group, grouped, named, needed, unused_name
from explain.derivation.structure import structure
from explain.derivation.symbolic import READABLE, SHOWN, Deriver, with_one_unit
from explain.errors import CannotDerive
from explain.tape.record import Tape

TANGENT = TensorName("tangent(u)")
WRITTEN_OUT = 400
"""How large a closed form may grow (in parts) that will be written out entry by entry: each of them is shorter."""


@dataclass(frozen=True, eq=False)
class PlannedStep(Lazily):
    """One link as it is shown, and as it is evaluated (``link``). ``forward``: Ju for a change ``TANGENT`` of the input.
    ``key``: equal for the same step in every turn of a loop. ``like``: the first step that does the same, for all others."""

    link: Link
    rule: Rule
    formula: Formula
    jacobian: Formula | None
    structure: str
    product: Formula | None
    contracted: Formula | None
    matrix: Matrix | None
    jacobian_entries: Matrix | None
    forward: Expr | None
    problem: CannotDerive | None
    key: Hashable = None
    like: PlannedStep | None = None

    def uses(self, name: str) -> bool:
        """Whether a name stands in its formulas."""
        shown = (self.formula, self.jacobian, self.product, self.contracted)
        return any(f is not None and f.e.has(TensorName(name)) for f in shown)


def together(steps: Sequence[PlannedStep], places: Iterable[int]) -> dict[PlannedStep, list[int]]:
    """Some places in a row of steps, by the first step that does what those at them do."""
    found: dict[PlannedStep, list[int]] = {}
    for k in places:
        found.setdefault(steps[k].like or steps[k], []).append(k)
    return found


@dataclass(frozen=True, eq=False)
class PlannedClosedForm:
    """A gradient in one formula, as shown and as evaluated; ``names``: steps and lets that it still refers to."""

    raw: Expr
    index: Formula
    matrix: Matrix | None
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything symbolic about one backward call."""

    groups: tuple[Group, ...]
    names: dict[int, str]
    given: dict[str, tuple[int, str]]
    rows: dict[int, Formula | None]
    matrices: dict[int, Matrix]
    steps: tuple[PlannedStep, ...]
    closed: dict[int, PlannedClosedForm]
    raw_closed: dict[int, Expr | None]
    targets: dict[int, tuple[Bind, ...]]
    out_rows: tuple[Bind, ...]
    lets: tuple[PlannedLet, ...]
    seed: str | None


_plans: dict[Any, Plan] = {}
KEPT = 256


def plan_for(request: Request) -> Plan:
    """The plan of what is asked; kept by structure. ``request``: with its custom Functions opened."""
    r = request
    decrees = tuple([(i, b.name, b.members, b.agrees, _decree_structure(b)) for i, b in r.blocks.items()])
    key = (_structure(r.tape, r.output), r.wanted, r.mode, tuple(r.sizes.items()), decrees)
    if key not in _plans:
        if len(_plans) >= KEPT:
            _plans.pop(next(iter(_plans)))
        _plans[key] = _Planner(r.tape, r.output, r.wanted, r.mode, r.sizes, r.blocks).plan()
    return _plans[key]


def _decree_structure(block: Block) -> Any:
    if block.agrees or block.decree is None:
        return None
    ends = [i for _, i in block.decree.results if i is not None]
    return tuple([_structure(block.decree.tape, i) for i in ends]), block.decree.results, tuple(block.decree.known.items())


def _structure(tape: Tape, output: int) -> Any:
    order = needed(tape, output)
    applied = tuple(
        (a.op.name, repr(a.options), a.inputs, a.outputs, tuple(given_arrays(tape, k)))
        for k in order
        for a in (tape.applied[k],)
    )
    values = tuple(
        (v.names, v.origin, v.shape, repr((v.number, v.entries)), v.requires_grad, v.grad_fn) for v in tape.values
    )
    return output, applied, values


@dataclass
class _Planner:
    tape: Tape
    output: int
    wanted: tuple[int, ...]
    mode: str
    sizes: Mapping[Any, Any]
    blocks: Mapping[int, Block]
    kept: dict[Hashable, PlannedStep] = field(default_factory=dict)
    shown_rows: dict[int, Formula | None] = field(default_factory=dict)
    formulas: dict[Hashable, Formula] = field(default_factory=dict)

    def plan(self) -> Plan:
        tape, output = self.tape, self.output
        ends, members = frozenset(self.wanted), {i: b.members for i, b in self.blocks.items()}
        groups = grouped(tape, output, ends, blocks=members)
        self._prepare(groups)
        if any(
            g.whole == "gradient" and weight(s.formula) > READABLE for g, s in zip(groups, self.deriver.steps, strict=True)
        ):
            groups = grouped(tape, output, ends, False, members)
            self._prepare(groups)
        self.lets = Lets(tape, self.names, self._unused, lambda e, free: self._shown(e, tuple(free), tidy=False))
        self.pool = letters([*self.names.values(), *self.deriver.formulas.given, *map(str, self.sizes.values())])
        seed_name = self._unused("v") if self.mode == "vjp" else None
        flows = self._flows(groups)
        symbolic = self.deriver.links_and_closed(output, flows, self._seed(seed_name), self.mode == "jacobian")
        rows = {s.group.output: self._row(s) for s in symbolic.steps}
        matrices = {s.group.output: m for s in symbolic.steps if (m := self._row_written_out(s)) is not None}
        steps = tuple(self._step(link) for link in symbolic.links)
        forms = {leaf: self.lets.put_into(form) for leaf in self.wanted if (form := symbolic.closed.get(leaf)) is not None}
        targets = {leaf: at for leaf in forms if self._readable(forms[leaf], at := symbolic.targets[leaf])}
        given = {leaf: self._in_terms_of_given(forms[leaf], (*symbolic.rows, *targets[leaf])) for leaf in targets}
        listed = {leaf: self._listed(e, (*symbolic.rows, *targets[leaf])) for leaf, e in given.items()}
        long = [leaf for leaf, e in given.items() if listed[leaf] is None]
        if any(weight(given[leaf]) > SHOWN for leaf in long):  # then all of them in the names of the steps
            masks = self.deriver.formulas.masks.values()
            shortened = self._shortened({leaf: over_masks(forms[leaf], masks, targets[leaf]) for leaf in long})
            given |= {leaf: e.xreplace(self._signs) for leaf, e in shortened.items()}
        closed = {leaf: self._closed(e, targets[leaf], symbolic.rows, listed[leaf]) for leaf, e in given.items()}
        return Plan(
            tuple(groups), self.names, symbolic.given, rows, matrices, steps, closed, symbolic.closed, symbolic.targets,
            symbolic.rows, tuple(self.lets), seed_name,
        )  # fmt: skip

    def _prepare(self, groups: list[Group]) -> None:
        self.names = named(self.tape, groups, self.output)
        self.deriver = Deriver(self.tape, groups, self.names, self._decreed)

    def _decreed(self, group: Group, x: int, target: tuple[Bind, ...]) -> Expr | bool | None:
        """What a custom Function that is not its own derivative sends to ``x``: its formula, None if it has none; False for
        every other step."""
        block = self.blocks.get(group.output)
        if block is None or block.agrees:
            return False
        return decreed_formula(block, self.names[group.output], self.names, x, target)

    def _flows(self, groups: list[Group]) -> set[int]:
        """The values that gradients flow through on the way to the wanted leaves."""
        found = set(self.wanted)
        for group in groups:
            if found & set(group.inputs) and self.tape.values[group.output].requires_grad:
                found.add(group.output)
        return found

    def _seed(self, name: str | None) -> Expr:
        if name is None:
            return S.One
        shape = self.tape.values[self.output].shape
        return Entry(TensorName(name), *just_indices(places("t", shape)))

    def _unused(self, base: str) -> str:
        return unused_name(base, {*self.names.values(), *self.deriver.formulas.given, *(p.name for p in self.lets)})

    def _shown(self, e: Expr, free: tuple[Any, ...], tidy: bool = True) -> Formula:
        found, names = final(e, free, self.pool, self.sizes, tidy)
        return Formula(found, names)

    def _row(self, step: StepFormula) -> Formula | None:
        """The formula of a step in the forward table: that of the first step that does the same, under other names."""
        if step.like is not None:
            first = self._row(step.like)
            return self.deriver.formulas.renamed(step.like.group, step.group, step.at).shown(first)
        if step.group.output not in self.shown_rows:
            free = just_indices(step.out)
            found = None if step.written is None else self._shown(step.written, free, tidy=False)
            self.shown_rows[step.group.output] = found
        return self.shown_rows[step.group.output]

    def _row_written_out(self, step: StepFormula) -> Matrix | None:
        """The few entries of which a step puts its tensor together."""
        if step.like is not None:
            first = self._row_written_out(step.like)
            return self.deriver.formulas.renamed(step.like.group, step.group, step.at).matrix(first)
        if step.written is None:
            return None
        tree = self._listed(step.formula, step.out)
        return None if tree is None else Matrix(tree)

    # steps

    def _step(self, link: Link) -> PlannedStep:
        step, tape = link.step, self.tape
        block = self.blocks.get(step.group.output)
        if block is None:
            rule = rule_of(tape, step.group, link.input, self.names)
        else:
            details = {"x": link.input_name, "z": step.name, "op": block.name}
            rule = Rule("custom" if block.agrees else "decreed", details)
        key = likeness(tape, step.group, link.input, self.names)
        kept = (step.signature, step.group.inputs.index(link.input))
        if step.signature is not None and not link.decreed and kept in self.kept:
            return self._again(self.kept[kept], link, rule, key)
        first = link.like if step.at and link.like is not None else link
        planned = self._new_step(first, rule, key)
        repeats = step.signature is not None and not any(planned.uses(let.name) for let in self.lets)
        if repeats:
            self.kept[kept] = planned
        if first is link:
            return planned
        return self._again(planned, link, rule, key) if repeats else self._new_step(link, rule, key)

    def _again(self, planned: PlannedStep, link: Link, rule: Rule, key: Hashable) -> PlannedStep:
        """The step under other names."""
        to = self.deriver.formulas.renamed(planned.link.step.group, link.step.group, link.step.at)
        later: dict[str, Callable[[], Any]] = {"forward": lambda: to.expr(planned.forward)}
        for part in ("formula", "jacobian", "product", "contracted"):
            later[part] = partial(_made, to.shown, planned, part)
        for part in ("matrix", "jacobian_entries"):
            later[part] = partial(_made, to.matrix, planned, part)
        return changed(planned, later, link=link, rule=rule, key=key, like=planned)

    def _new_step(self, link: Link, rule: Rule, key: Hashable) -> PlannedStep:
        step = link.step
        target, out = just_indices(link.target), just_indices(step.out)
        formula = self._formula(step, target)
        if link.jacobian is None or link.contracted is None:
            return PlannedStep(link, rule, formula, None, "unknown", None, None, None, None, None, link.problem, key)
        jacobian, contracted = self.lets.put_into(link.jacobian), self.lets.put_into(link.contracted)
        product = None if link.decreed else written_product(link)
        tree = self._matrix(contracted, link.target)
        entries = self._listed(jacobian, (*step.out, *link.target))
        return PlannedStep(
            link,
            rule,
            formula,
            self._shown(jacobian, (*target, *out)),
            structure(link),
            None if product is None else self._product(self.lets.put_into(product), link),
            self._shown(contracted, target),
            None if tree is None else Matrix(tree),
            None if entries is None else Matrix(entries),
            None if link.decreed else walk.jvp(*link.differentiated, TANGENT),
            None,
            key,
        )

    def _formula(self, step: StepFormula, target: tuple[Any, ...]) -> Formula:
        """The step's formula with letters that those of the target leave free."""
        if (step, target) not in self.formulas:
            written = step.formula if step.written is None else step.written
            shown = self._shown(written, (*target, *just_indices(step.out)), tidy=False)
            self.formulas[step, target] = Formula(shown.e, shown.letters[len(target) :])
        return self.formulas[step, target]

    def _product(self, product: Expr, link: Link) -> Formula:
        """Σ over the output's letters of upstream times Jacobian: the sum is bound to the letters the Jacobian has."""
        return self._shown(product, just_indices(link.target))

    def _matrix(self, e: Expr, target: tuple[Bind, ...]) -> Any:
        if any(not isinstance(i, Index) for i, _ in target):
            return None
        listed = self._listed(e, target)
        if listed is not None:
            return listed
        shapes = self._shapes_in(e)
        tree = checked_matrix_form(e, target, shapes, [t for t in shapes if t.name.startswith("bar(")])
        return None if tree is None else late_tree(tree, self.sizes)

    def _listed(self, e: Expr, free: tuple[Bind, ...]) -> Any:
        """The few entries of a formula that singles out positions, as a matrix."""
        if not has_few_entries(e, free):
            return None
        tree = written_out(e, free, lambda entry: self._shown(entry, ()).e)
        return tree if tree is not None and agrees(tree, e, free, self._shapes_in(e), own_sizes=True) else None

    def _shapes_in(self, e: Expr) -> dict[TensorName, tuple[Any, ...]]:
        """The symbolic sizes of the tensors in a formula."""
        used = {t for t in walk_preorder(e) if isinstance(t, TensorName)}
        return {t: shape for t, shape in (self._tensor_shapes | self._other_shapes()).items() if t in used}

    @cached_property
    def _tensor_shapes(self) -> dict[TensorName, tuple[Any, ...]]:
        """The symbolic sizes of all values and their adjoints."""
        shapes: dict[TensorName, tuple[Any, ...]] = {}
        for i, name in self.names.items():
            sizes = tuple(size(n) for n in self.tape.values[i].shape)
            shapes[TensorName(name)] = shapes[bar(name)] = sizes
        return shapes

    @cached_property
    def _signs(self) -> dict[TensorName, TensorName]:
        """The results that have no name in the program but a sign after the name of what was given: S⁻¹."""
        found = {}
        for step in self.deriver.steps:
            value, last = self.tape.values[step.group.output], self.tape.applied[step.group.applied[-1]]
            given = all(self.tape.values[i].source is None for i in last.inputs)
            if step.differential and given and not value.names and says_itself(last.op.name):
                found[TensorName(step.name)] = TensorName(named_result(self.tape, step.group, self.names))
        return found

    def _other_shapes(self) -> dict[TensorName, tuple[Any, ...]]:
        """Those of the parts that got names, and of index arrays."""
        shapes = {}
        for let in self.lets:
            shapes[TensorName(let.name)] = tuple(n for _, n in let.place)
        shapes |= {sign: self._tensor_shapes[name] for name, sign in self._signs.items()}
        shapes |= {place_name(k): () for step in self.deriver.steps for k in range(len(step.at))}
        for name, (k, key) in self.deriver.formulas.given.items():
            shapes[TensorName(name)] = tuple(size(n) for n in self.deriver.formulas.given_shape(k, key))
        return shapes

    # closed forms

    def _in_terms_of_given(self, form: Expr, free: tuple[Bind, ...]) -> Expr:
        """The formula in the names of what the program was given."""
        most = WRITTEN_OUT if has_few_entries(form, free) else 2 * SHOWN
        expanded = over_masks(
            self.deriver.expanded(form, most).xreplace(self._signs), self.deriver.formulas.masks.values(), free
        )
        return self.lets.put_into(plain_positions(joined(expanded), free))

    def _readable(self, form: Expr, free: tuple[Bind, ...]) -> bool:
        """Whether a closed form in the steps' names is short enough to be shown, with its common factors in front."""
        if weight(form) <= READABLE or weight(form) > 2 * READABLE:
            return weight(form) <= READABLE
        return weight(self._shown(form, just_indices(free)).e) <= READABLE

    def _shortened(self, forms: dict[int, Expr]) -> dict[int, Expr]:
        """The formulas in the names of the steps, but for a step that does what an earlier one does, and for steps without a
        name in the program whose formula in place of theirs makes nothing longer."""
        first: dict[Any, TensorName] = {}
        for step in self.deriver.steps:
            if not step.has_formula or step.differential:
                continue
            name = first.setdefault(step.doing, TensorName(step.name))
            if name.name != step.name:
                forms = {leaf: walk.canonical(e.xreplace({TensorName(step.name): name})) for leaf, e in forms.items()}
        for step in reversed(self.deriver.steps):
            if step.stays or step.group.output == self.output or self.tape.values[step.group.output].names:
                continue
            replaced = {leaf: with_one_unit(self.deriver.replaced(e, step)) for leaf, e in forms.items()}
            if sum(map(weight, replaced.values())) <= sum(map(weight, forms.values())):
                forms = {leaf: self.lets.put_into(e) for leaf, e in replaced.items()}
        return forms

    def _closed(self, raw: Expr, target: tuple[Bind, ...], rows: tuple[Bind, ...], listed: Any) -> PlannedClosedForm:
        free = (*just_indices(rows), *just_indices(target))
        lets = [p for p in self.lets if raw.has(TensorName(p.name))]
        made = [n for i, n in sorted(self.names.items()) if self.tape.values[i].source is not None]
        of = {s.name: s for s in self.deriver.steps}
        told, steps = {t.name for e in (raw, *(p.raw for p in lets)) for t in e.atoms(TensorName)}, []
        for n in reversed(made):  # what a definition uses is made before it
            if n in told:
                steps.append(n)
                told |= self.deriver.formulas.mentioned(of[n]) if n in of and of[n].has_formula else set()
        names = (*(p.name for p in lets), *steps)
        tree = listed or (None if rows else self._matrix(raw, target))
        matrix = None if tree is None else Matrix(tree)
        return PlannedClosedForm(raw, self._shown(raw, free), matrix, names)


def _made(make: Callable[[Any], Any], planned: PlannedStep, part: str) -> Any:
    return make(getattr(planned, part))


def late_tree(tree: Any, sizes: Mapping[Any, Any]) -> Any:
    """A matrix tree with the sizes' numbers put in."""
    if isinstance(tree, tuple):
        return tuple(late_tree(part, sizes) for part in tree)
    if isinstance(tree, Expr) and not isinstance(tree, TensorName):
        return late(tree, dict(sizes))
    if not is_dataclass(tree) or isinstance(tree, type):
        return tree
    return replace(tree, **{f.name: late_tree(getattr(tree, f.name), sizes) for f in fields(tree) if f.init})
