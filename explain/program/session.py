"""One run of a program: in its box, on the recording tape, with all that a reader may want to know of it afterwards."""

from __future__ import annotations

import ast
import io
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from types import FrameType, ModuleType, TracebackType
from typing import Any

import numpy as np

from explain.errors import InputError, Place
from explain.ops.random import default_generator
from explain.program import guards, shims
from explain.program.allowed import facade
from explain.program.fence import alarm
from explain.program.instrument import WITNESS, Construct, instrumented
from explain.program.policy import Policy
from explain.program.refusal import Refusal
from explain.program.source import Source
from explain.tape import warn
from explain.tape.record import Recorder, Walk, recording
from explain.tape.tensor import Tensor
from explain.tape.trace import structure_of
from explain.torch.nn.module import Module

FILE = "<program>"
MOST_PRINTED = 1_000_000
MOST_EVENTS = 10_000
SMALL = 16
Span = tuple[int | None, int | None, int | None, int | None]
"""Line, last line, column, last column, as ``co_positions`` gives them."""
"""Gradients of at most so many entries are kept whole for the table of a folded loop."""
PREDEFINED = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "math": "math"}


class OutOfTime(BaseException):
    """The program's time is over. Not an Exception, so that a program does not catch it by accident."""


class TooMuchPrinted(BaseException):
    """The program printed more than anybody reads."""


@dataclass(frozen=True)
class Event:
    """A loop that made so many turns (``count`` goes on with it), or a condition that was ``taken``. ``order`` says when."""

    construct: Construct
    order: int
    count: list[int]
    taken: bool = False


@dataclass(frozen=True, eq=False)
class Summary:
    """One of several walks of the same structure, as a row of a table: its number among all walks, the output's value if it
    has one entry, and per leaf the gradient, or its largest entry where it is long."""

    number: int
    line: int | None
    output: float | None
    gradients: dict[str, Any]


@dataclass(eq=False)
class Group:
    """Walks of one structure: the first in full, the last too (None if it is the first), a row for each. ``events``: what
    happened before the first."""

    first: Walk
    number: int
    events: tuple[Event, ...] = ()
    rows: list[Summary] = field(default_factory=list)
    last: Walk | None = None


@dataclass(frozen=True, eq=False)
class Ran:
    """What a program did. ``outcome``: ok, error, refused or bounded. ``error``: the exception, with its ``line``.
    ``tensors``, ``values``: by name, what was left. ``echo``: (line, text, whether it is the last in its cell)."""

    source: Source
    outcome: str
    stdout: str
    prints: tuple[tuple[int | None, str], ...]
    echo: tuple[tuple[int, str, bool], ...]
    warnings: tuple[tuple[str, str, int | None], ...]
    error: BaseException | None
    line: int | None
    groups: tuple[Group, ...]
    tensors: dict[str, Tensor]
    values: dict[str, Any]
    inert: tuple[str, ...]
    recorder: Recorder


def _assignments(tree: ast.Module) -> Iterator[tuple[Span, Span]]:
    """Of every assignment to entries where its target stands, which is all that Python says when it runs, and where the
    whole of it does."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Subscript):
                    yield _span(target), _span(statement)


def _span(node: ast.expr | ast.stmt) -> Span:
    """Where a node stands, in the order of ``co_positions``."""
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


class _Printed(io.TextIOBase):
    """Collects what is printed, with the line that printed it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.parts: list[str] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.count(len(text))
        self.parts.append(text)
        return len(text)

    def count(self, size: int) -> None:
        """So many characters more. Raises TooMuchPrinted."""
        self.size += size
        if self.size > MOST_PRINTED:
            raise TooMuchPrinted


class Session:
    """Runs one program. ``select``: the number of a walk that is kept in full whatever others look like it. ``timeout``:
    seconds after which it is stopped."""

    def __init__(
        self, source: Source, *, trusted: bool = False, select: int | None = None, timeout: float | None = None
    ) -> None:
        self.source = source
        self.trusted = trusted
        self.select = select
        self.timeout = timeout
        self.recorder = Recorder(self.locate)
        self.recorder.keep = self.keep
        self.printed = _Printed(self)
        self.prints: list[tuple[int | None, str]] = []
        self.echoes: list[tuple[int, str, bool]] = []
        self.warned: list[tuple[str, str, int | None]] = []
        self.groups: dict[int, Group] = {}
        self.walks = 0
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.constructs: tuple[Construct, ...] = ()
        self._last_lines: frozenset[int] = frozenset()
        self._places: dict[tuple[Any, int], Place] = {}
        self._assigned: dict[Span, Span] = {}

    # the run

    def run(self) -> Ran:
        """Compile, run, and tell. Raises InputError for a text that is no program, Refusal for what it must not say."""
        code = self.compile()
        space = self.namespace()
        _reset()
        error: BaseException | None = None
        line, outcome = None, "ok"
        show = warnings.showwarning
        try:
            with warnings.catch_warnings(), redirect_stdout(self.printed), recording(self.recorder):
                warnings.simplefilter("always")
                warnings.showwarning = self.warning
                with alarm(self.timeout, OutOfTime, again=0.2):
                    exec(code, space)
        except Refusal as refusal:
            error, line, outcome = refusal, self.line_of(refusal.__traceback__), "refused"
        except (OutOfTime, TooMuchPrinted, RecursionError, MemoryError) as limit:
            error, line, outcome = limit, self.line_of(limit.__traceback__), "bounded"
        except SystemExit as end:
            if end.code:
                error, line, outcome = end, self.line_of(end.__traceback__), "error"
        except BaseException as raised:
            error, line, outcome = raised, self.line_of(raised.__traceback__), "error"
        finally:
            warnings.showwarning = show
        tensors, values = _left(space)
        for name, tensor in tensors.items():
            self.recorder.name(tensor, name)
        return Ran(
            self.source, outcome, "".join(self.printed.parts), tuple(self.prints), tuple(self.echoes), tuple(self.warned),
            error, line, tuple(self.groups.values()), tensors, values, tuple(shims.inert), self.recorder,
        )  # fmt: skip

    def compile(self) -> Any:
        """The program as code, instrumented and (unless trusted) with guards. Raises InputError, Refusal."""
        from explain.program.mistakes import from_syntax  # words that most runs do not need

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.source.code, FILE)
        except SyntaxError as error:
            raise from_syntax(self.source, error) from None
        except (RecursionError, MemoryError):
            raise InputError(f"{self.source.name}: parentheses or blocks are nested too deeply to be read") from None
        except ValueError as error:
            raise InputError(f"{self.source.name}: {error}") from None
        self._last_lines = frozenset(self._ends_of_cells(tree))
        self._assigned = dict(_assignments(tree))
        tree, self.constructs = instrumented(tree, self.source.code)
        if not self.trusted:
            tree = Policy().restrict(tree)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(tree, FILE, "exec", dont_inherit=True)

    def namespace(self) -> dict[str, Any]:
        """What the program finds when it begins."""
        space: dict[str, Any] = {"__name__": guards.PROGRAM, "__doc__": None}
        told = {f"{WITNESS}.{name}": getattr(self, f"on_{name}") for name in ("echo", "bound", "named", "loop", "branch")}
        if self.trusted:
            import builtins

            found = vars(builtins) | {"print": self.on_print, "__import__": _trusted_import}
        else:
            found = guards.program_builtins(self.on_print) | guards.GUARDS
        space["__builtins__"] = found | told | {short: facade(name) for short, name in PREDEFINED.items()}
        return space

    def _ends_of_cells(self, tree: ast.Module) -> dict[int, bool]:
        """Lines of the statements that end a cell."""
        last: dict[int, int] = {}
        for statement in tree.body:
            last[self.source.cell_of(statement.lineno)] = statement.lineno
        return dict.fromkeys(last.values(), True)

    # where

    def locate(self) -> Place | None:
        """Where in the program's text the innermost running line of it stands."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != FILE:
            frame = frame.f_back
        if frame is None:
            return None
        key = (frame.f_code, frame.f_lasti)
        found = self._places.get(key)
        if found is None:
            positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
            positions = self._assigned.get(positions, positions)
            line, end, column, end_column = (0 if p is None else p for p in positions)
            found = self._places[key] = self.source.place(line or frame.f_lineno, column, end or frame.f_lineno, end_column)
        return found

    def line_of(self, traceback: TracebackType | None) -> int | None:
        """The line of the program in which an exception arose: the innermost."""
        line = None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == FILE:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    def warning(self, message: Warning | str, category: type[Warning], *where: Any, **others: Any) -> None:
        """A warning was given."""
        place = self.locate()
        self.printed.count(len(str(message)))
        self.warned.append((category.__name__, str(message), place.line if place else None))

    # what the instrumentation tells

    def on_print(
        self, *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        """``print``."""
        before = len(self.printed.parts)
        print(*values, sep=sep, end=end, file=file or self.printed)
        place = self.locate()
        self.prints.append((place.line if place else None, "".join(self.printed.parts[before:])))

    def on_echo(self, value: Any, line: int, end: int) -> None:
        """An expression stands alone at the top of the program."""
        if value is not None:
            shown = repr(value)
            self.printed.count(len(shown))
            self.echoes.append((line, shown, line in self._last_lines))

    def on_bound(self, name: str, value: Any) -> None:
        """A name now stands for a value."""
        if isinstance(value, Tensor):
            self.recorder.name(value, name)
        elif isinstance(value, Module):
            for own, parameter in value.named_parameters():
                self.recorder.path(parameter, f"{name}.{own}")
        elif isinstance(value, list | tuple | dict) and len(value) <= 64:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, part in items:
                if isinstance(part, Tensor) and part.tracked and part.node is None and not self.recorder.trace(part).names:
                    self.recorder.name(part, f"{name}[{key!r}]")

    def on_named(self, name: str, value: Any) -> Any:
        """``(name := value)``."""
        self.on_bound(name, value)
        return value

    def on_loop(self, number: int) -> Any:
        """A loop begins. Returns what is called for each turn."""
        count = [0]
        self.events.append(Event(self.constructs[number], self.recorder.now(), count))

        def tick() -> None:
            count[0] += 1

        return tick

    def on_branch(self, number: int, test: Any) -> bool:
        """A condition was evaluated."""
        taken = bool(test)
        self.events.append(Event(self.constructs[number], self.recorder.now(), [1], taken))
        return taken

    def keep(self, walk: Walk) -> None:
        """A backward call ended: the first of its structure is kept whole, of the others what a table shows."""
        self.walks += 1
        key = structure_of(walk)
        if self.walks == self.select:
            key = hash(("selected", key))
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(walk, self.walks, tuple(self.events))
        else:
            group.last = walk
        group.rows.append(_summary(self.walks, walk))


def _summary(number: int, walk: Walk) -> Summary:
    output = walk.roots[0][0].array
    value = float(np.asarray(output).reshape(())) if np.size(output) == 1 else None
    gradients = {}
    for k, (trace, g) in enumerate(walk.gradients.items()):
        name = trace.names[0] if trace.names else f"#{k}"
        gradients[name] = g if np.size(g) <= SMALL else float(np.max(np.abs(g)))
    return Summary(number, walk.place.line if walk.place else None, value, gradients)


def _reset() -> None:
    """A program begins as in a fresh process: the same random numbers, dtypes, print options, warnings every time."""
    import random

    from explain.tape import dtypes, modes, printing

    default_generator.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    dtypes.default.floating = dtypes.FLOAT32
    printing.set_printoptions(profile="default")
    modes.state.grad_enabled, modes.state.inference, modes.state.anomaly = True, False, False
    warn.forget()
    shims.inert.clear()


def _left(space: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (a module's under its name) and the plain values that a program left."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for name, value in space.items():
        if name.startswith("_") or " " in name:
            continue
        if isinstance(value, Tensor):
            tensors[name] = value
        elif isinstance(value, Module):
            for own, part in (*value.named_parameters(), *value.named_buffers()):
                tensors[f"{name}.{own}"] = part
        elif not isinstance(value, ModuleType | type) and not callable(value):
            values[name] = value
    return tensors, values


def _trusted_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``import`` in a trusted program: torch is ours, everything else is what it is."""
    if name.partition(".")[0] == "torch":
        return guards.import_(name, globals, locals, fromlist, level)
    return __import__(name, globals, locals, fromlist, level)
