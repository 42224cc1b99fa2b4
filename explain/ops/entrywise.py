"""Entrywise ops, y = f(a, b, …) with broadcasting: one call of ``elementwise`` declares one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from explain.ops.base import Op, Options, Sample, Shape, read_signature
from explain.ops.registry import register

POSITIVE = (0.3, 2.5)
"""A domain for what wants positive arguments."""
FEW = (Sample(((2, 3), (3,))), Sample(((), (2,))))
"""Samples of an op of two inputs; shapes that broadcast are tried by a test of their own."""
ALONE = (Sample(((2, 3),)), Sample(((),)))
"""Samples of an op of one input."""


class Elementwise(Op):
    """An op that works entry by entry, with broadcasting: built by ``elementwise``."""

    kind = "elementwise"
    promotion = "common"
    broadcasts = True
    definition: Callable[..., Any] | None = None
    slopes: tuple[Callable[..., Any] | None, ...] = ()  # None: by this input there is none
    latex: str = ""

    grad_fn_of: Callable[..., str] | None = None

    def __init__(self, **fields: Any) -> None:
        for key, value in fields.items():
            setattr(self, key, value)
        super().__init__()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        """Torch's name for the backward node; a few depend on which operand is a Python number."""
        return self.grad_fn_of(shapes, options) if self.grad_fn_of else self.backward_name

    def sorted_arguments(self, arguments: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the op as a function in a formula, (entries, options): options follow the entries in order."""
        count = len(self.tensor_names)
        return tuple(arguments[:count]), dict(zip(self.option_defaults, arguments[count:], strict=False))

    def written(self, options: Options) -> dict[str, Any]:
        """The options that a formula shows: up to the last one that is not the default."""
        keys = list(self.option_defaults)
        while keys and options[keys[-1]] == self.option_defaults[keys[-1]]:
            keys.pop()
        return {key: options[key] for key in keys}


def elementwise(
    name: str,
    forward: Callable[..., Any],
    vjp: Callable[..., Any] | tuple[Callable[..., Any], ...],
    *,
    formula: Callable[..., Any] | None = None,
    definition: Callable[..., Any] | None = None,
    slopes: Callable[..., Any] | tuple[Callable[..., Any] | None, ...] = (),
    uses: str | tuple[str, ...] = "",
    grad_fn: str = "",
    form: type[Elementwise] = Elementwise,
    **fields: Any,
) -> Op:
    """Declare an entrywise op, y = f(a, b, …) with broadcasting.

    ``vjp``: one function ``(xp, g, y, *ins, **options)`` per input. ``uses``: per input, the values that function reads.
    Options are the keyword-only arguments of ``forward``; rules, formula, definition and slopes take them by name.
    The mathematics is either ``formula(s, *entries)``, for what is plain arithmetic, or the op becomes a function
    symbol of its own name, with ``definition(s, *entries)`` (left out for functions that sympy knows) and, in the
    language of its output, ``slopes``: one ``(s, y, *entries, **options)`` per input, each compared with the derivative
    of the definition before it is first used. ``form``: the class, for an op that sorts its arguments in its own way.
    """
    vjps = vjp if isinstance(vjp, tuple) else (vjp,)
    count = len(vjps)
    first, last = vjps[0], vjps[-1]
    plain = count == 2 and not _has_options(forward)

    def one_vjp(xp: Any, needs: tuple[bool, ...], g: Any, y: Any, x: Any, **options: Any) -> tuple[Any, ...]:
        return (first(xp, g, y, x, **options),)

    def two_vjps(xp: Any, needs: tuple[bool, ...], g: Any, y: Any, a: Any, b: Any) -> tuple[Any, ...]:
        # programs consist of sums and products, so here every fraction of a microsecond counts
        return needs[0] and first(xp, g, y, a, b), needs[1] and last(xp, g, y, a, b)

    def several_vjps(xp: Any, needs: tuple[bool, ...], g: Any, y: Any, *ins: Any, **options: Any) -> tuple[Any, ...]:
        return tuple([need and rule(xp, g, y, *ins, **options) for need, rule in zip(needs, vjps, strict=True)])

    def entry(s: Any, out: tuple[Any, ...], *ins: Any, **options: Any) -> Any:
        entries = [operand.at(out) for operand in ins]
        if formula:
            return formula(s, *entries, **options)
        return s.function(name, *entries, **op.written(options))

    fields.setdefault("samples", _elementwise_samples(count))
    op = form(
        name=name,
        forward=forward,
        vjp=one_vjp if count == 1 else two_vjps if plain else several_vjps,
        formula=entry,
        definition=definition,
        slopes=slopes if isinstance(slopes, tuple) else (slopes,),
        uses=uses if isinstance(uses, tuple) else (uses,) * count,
        backward_name=grad_fn or f"{name.capitalize()}Backward0",
        **fields,
    )
    return register(op)


def by_number(tensors: str, *, first: str = "", last: str = "") -> Callable[..., str]:
    """Torch's backward node where it is another one if the first or the last operand is a Python number."""

    def grad_fn(shapes: tuple[Shape | None, ...], options: Options) -> str:
        return first if first and shapes[0] is None else last if last and shapes[-1] is None else tensors

    return grad_fn


def no_masks(error: Exception) -> Callable[..., Exception | None]:
    """Refuses where all inputs are masks."""
    return lambda kinds, numbers: error if set(kinds) == {"b"} else None


def _has_options(forward: Callable[..., Any]) -> bool:
    return bool(read_signature(forward)[2])


def _elementwise_samples(count: int) -> tuple[Sample, ...]:
    if count == 1:
        return (Sample(((2, 3),)), Sample(((),)), Sample(((0, 2),)))
    pairs = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((2, 3), ()), ((1,), (2, 2)), ((0, 3), (3,))]
    return tuple(Sample(pair + pair[:1] * (count - 2)) for pair in pairs)
