"""The document: what a run was and where its gradients come from. Frozen, typed, nothing but data.

No LaTeX, no English, no HTML: formulas are sympy expressions in final letters, numbers are arrays, words are keys of
kinds with parameters. ``render`` turns it into text; ``codec`` into JSON and back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sympy import Expr

from explain.calculus.matrix_tree import MEntries, MScale
from explain.derivation.later import Lazily

VERSION = 1


@dataclass(frozen=True, eq=False)
class Formula(Lazily):
    """One entry of something: ``e`` at the indices ``letters`` (display names, outermost axis first)."""

    e: Expr
    letters: tuple[str, ...] = ()
    origin: Alike | None = None


@dataclass(frozen=True, eq=False)
class Matrix(Lazily):
    """A matrix form: a ``tree`` of ``explain.calculus.matrix_tree``."""

    tree: Any
    origin: Alike | None = None

    @property
    def listed(self) -> bool:
        """Whether it is written out entry by entry, for want of a shorter word."""
        return isinstance(self.tree.of if isinstance(self.tree, MScale) else self.tree, MEntries)

    def __str__(self) -> str:
        return str(self.tree)


@dataclass(frozen=True, eq=False)
class Alike:
    """What a formula or matrix form repeats under other names: the ``first`` one, pairs of names of tensors, the first one's
    and its own, and the positions ``at`` which it reads what the first leaves open. Loops have many such, of which a page
    shows few: so they are made when somebody asks for them."""

    first: Any
    names: tuple[tuple[str, str], ...]
    at: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Check:
    """One witness compared with another. ``status``: ok, failed, not_applicable. ``error``: relative to the largest
    entry (None if not applicable). ``reason``: key of the words that say why it does not apply, or how it was done."""

    name: str
    status: str
    error: float | None = None
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Note:
    """Something a reader should know at this point: ``kind`` is a key of the words, ``details`` their parameters."""

    kind: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as the program left it. ``value`` and ``grad`` are arrays (grad None if there is none)."""

    name: str
    dtype: str
    shape: tuple[Any, ...]
    value: Any
    requires_grad: bool
    is_leaf: bool
    grad_fn: str | None
    grad: Any = None


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the forward table: a tensor, its code, the formula of one entry as written, its value, its node; where it
    is put together of a few entries, ``matrix`` writes them out.

    ``kind``: leaf (a gradient is wanted), given (a constant), step, or, of an index array that forward gave, positions or
    mask (1 where an assignment wrote, else 0), or, of a matrix that forward gave, factor. ``shape`` may hold names of
    symbolic sizes.
    """

    name: str
    kind: str
    shape: tuple[Any, ...]
    dtype: str
    formula: Formula | None
    value: Any
    grad_fn: str | None
    code: str | None
    line: int | None
    matrix: Matrix | None = None


@dataclass(frozen=True, eq=False)
class Operation:
    """One node of the tape inside a step: op, torch's node name, operands by display name, and per input that wanted a
    gradient (name, formula of Jᵀv in the node's own names, cotangent sent)."""

    op: str
    grad_fn: str | None
    output: str
    inputs: tuple[str, ...]
    sent: tuple[tuple[str, Formula | None, Any], ...]
    code: str | None


@dataclass(frozen=True, eq=False)
class Step(Lazily):
    """One link of the chain rule: from ``output`` back to ``input``.

    ``rule``: key of the sentence, ``details`` its parameters. ``formula``: one entry of output. ``jacobian``: one entry
    of ∂output/∂input; ``structure``: identity, diagonal, row, column, scalar, sparse or dense; ``jacobian_matrix``: its
    numbers where small; ``jacobian_entries``: its few entries, where its formula singles out positions. ``product``: Jᵀv
    with the sum written out; ``contracted``: the same, solved; ``matrix``: in matrix form or None. ``upstream`` and
    ``value``: the numbers v and Jᵀv (None in a symbolic derivation).
    """

    number: int
    line: int | None
    code: str | None
    output: str
    input: str
    rule: str
    details: dict[str, Any]
    formula: Formula
    jacobian: Formula | None
    structure: str
    jacobian_shape: tuple[tuple[Any, ...], tuple[Any, ...]]
    jacobian_matrix: Any
    product: Formula | None
    contracted: Formula | None
    matrix: Matrix | None
    jacobian_entries: Matrix | None
    upstream: Any
    value: Any
    operations: tuple[Operation, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The gradient in one formula: ``index`` in the leaves' names (or, where that is too long, in the steps'), ``matrix``
    the same in matrix form or None. ``lets``: names used that are not leaves."""

    index: Formula
    matrix: Matrix | None
    lets: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Gradient:
    """What arrives at one leaf. ``value``: this derivation's own contribution to ``.grad``; ``grad``: ``.grad`` after it
    (None without numbers); ``before``: what it held before, if anything. ``contributions``: numbers of the steps that
    end here. ``jacobian``: for a vector output without v, all rows."""

    wrt: str
    shape: tuple[Any, ...]
    dtype: str
    value: Any
    grad: Any
    closed_form: ClosedForm | None
    contributions: tuple[int, ...]
    checks: tuple[Check, ...]
    reason: str | None = None
    jacobian: Any = None
    before: Any = None
    first_order: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Let:
    """A name that formulas use and that is no tensor of the program: ``name``, its entry formula, and what it is."""

    name: str
    formula: Formula
    kind: str


@dataclass(frozen=True, eq=False)
class Repeat:
    """One of several calls that did the same as a derivation's, with other numbers: its ``number`` among all calls, its
    line, the output's value if it has one entry, and per name the gradient, or its largest entry where it is long."""

    number: int
    line: int | None
    output: float | None
    gradients: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Pushed:
    """A product J u, the change of the output for a change of the inputs. ``changes``: per name, of the inputs as given
    and of the steps between as their Jacobians say; ``value``: J u as the program got it."""

    changes: dict[str, Any]
    value: Any
    checks: tuple[Check, ...]


@dataclass(frozen=True, eq=False)
class Fold:
    """Steps that repeat: ``count`` times the ``period`` steps from number ``first`` on do the same, as a loop's turns do."""

    first: int
    period: int
    count: int


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of a formula that an author stated, of the derivative of ``of`` by ``wrt`` or of its value (``wrt`` None).
    ``verdict``: proved (equal symbolically), equal (at many random points), wrong or undecided. ``reason``: key of the words
    that say why, ``details`` their parameters."""

    of: str
    wrt: str | None
    formula: str
    verdict: str
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """The formula is right."""
        return self.verdict in ("proved", "equal")


@dataclass(frozen=True, eq=False)
class Derivation:
    """Where the gradients of ``output`` come from.

    ``cotangent``: the v that backward started from (None: no numbers, or a Jacobian is shown). ``mode``: gradient (a
    scalar), vjp (a given v), jacobian (a vector without v), none (nothing to derive). ``symbolic``: no values were given.
    ``line``: where the program asked for it, ``call``: in which words. ``kind``: how: backward (into ``.grad``), grad (as a
    result), jacobian, hessian, jvp, or derive (nobody called backward); ``number``: which of the program's calls.
    ``repeats``: all calls of this structure, if there are several. ``folds``: steps that a loop repeated. ``pushed``: the
    product of the Jacobian with a change of the inputs, if that was asked for.
    """

    output: str
    line: int | None
    mode: str
    cotangent: Any
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]
    gradients: tuple[Gradient, ...]
    lets: tuple[Let, ...] = ()
    notes: tuple[Note, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    symbolic: bool = False
    kind: str = "backward"
    number: int | None = None
    call: str | None = None
    repeats: tuple[Repeat, ...] = ()
    folds: tuple[Fold, ...] = ()
    pushed: Pushed | None = None

    @cached_property
    def row_of(self) -> Mapping[str, Row]:
        """The rows by name."""
        return {row.name: row for row in self.rows}

    @cached_property
    def arriving(self) -> Counter[str]:
        """How many steps end at each name."""
        return Counter(step.input for step in self.steps)

    @property
    def ok(self) -> bool:
        """No check failed."""
        checks = [c for g in self.gradients for c in g.checks] + [c for s in self.steps for c in s.checks]
        checks += self.pushed.checks if self.pushed else ()
        return all(c.status != "failed" for c in checks)

    def render(self, format: str = "md", **options: Any) -> str:
        """The derivation alone as a page in a format: md, text, html, tex or json."""
        return Run("", "derivation", (), (self,)).render(format, **options)

    def _repr_html_(self) -> str:
        return Run("", "derivation", (), (self,))._repr_html_()

    def _repr_markdown_(self) -> str:
        return self.render("md", dialect="myst")

    def _repr_latex_(self) -> str:
        return Run("", "derivation", (), (self,))._repr_latex_()

    def __str__(self) -> str:
        return self.render("text")


@dataclass(frozen=True, eq=False)
class Run:
    """A whole document: what was run and its derivations. ``source``: the text as given; ``form``: expression, a
    program's form, or derivation for one that stands alone; ``code``: the lines of a program that ran, as many as the text
    has; ``given``: the values as the reader wrote them. ``outcome``: ok, error, refused or bounded.
    ``notes``: what a reader should know of the run as a whole. ``claims``: what became of formulas that were stated."""

    source: str
    form: str
    given: tuple[str, ...]
    derivations: tuple[Derivation, ...]
    tensors: tuple[Tensor, ...] = ()
    outcome: str = "ok"
    stdout: str = ""
    echo: tuple[dict[str, Any], ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    notes: tuple[Note, ...] = ()
    code: str = ""
    claims: tuple[Verdict, ...] = ()

    @property
    def derivation(self) -> Derivation:
        """The only derivation. Raises ValueError if there are none or several."""
        if len(self.derivations) != 1:
            raise ValueError(f"this run has {len(self.derivations)} derivations; see .derivations")
        return self.derivations[0]

    @property
    def ok(self) -> bool:
        """The run ended and every check passed."""
        return self.outcome == "ok" and all(d.ok for d in self.derivations)

    def to_json(self, **options: Any) -> str:
        """The document as JSON: the core and, as ``render`` adds it, a view with LaTeX and sentences."""
        from explain.render.document import run_to_json  # the one hook from data to its rendering

        return run_to_json(self, **options)

    @staticmethod
    def from_json(text: str) -> Run:
        """Read the core of a document. Raises InputError for text that is no such document."""
        from explain.derivation.codec import run_from_json

        return run_from_json(text)

    def render(self, format: str = "md", **options: Any) -> str:
        """The page as text in a format: md, text, html, tex or json. Options: ``explain.render.document.render_run``."""
        from explain.render.document import render_run

        return render_run(self, format, **options)

    def _repr_html_(self) -> str:
        from explain.render.document import render_cell

        return render_cell(self)

    def _repr_markdown_(self) -> str:
        return self.render("md", dialect="myst")

    def _repr_latex_(self) -> str:
        from explain.render.document import closed_forms

        return closed_forms(self)

    def __str__(self) -> str:
        return self.render("text")
