"""One call of one op in one engine, as plain arrays: what the table compares and what the recording holds.

The engine is an argument, so that real torch and ``explain.torch`` go through the very same lines; this file and what it
imports do without torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explain import tape
from explain.tape.tensor import Tensor, leaf
from tests.oracle.scope import DUNDERS, GAUGE

TOLERANCES = {"f8": (1e-7, 1e-9), "f4": (1.3e-6, 1e-5), "f2": (1e-3, 1e-5)}  # of 4 and 2 bytes: torch.testing's own


class Different(Exception):
    """The two engines disagree."""


@dataclass(frozen=True)
class Engine:
    """One of the two libraries: its namespace, its tensors and its way to ask for gradients."""

    names: Any
    tensor: type
    make: Callable[[Any, bool], Any]
    array: Callable[[Any], Any]
    grad: Callable[..., Any]


OURS = Engine(
    importlib.import_module("explain.torch"),
    Tensor,
    lambda array, needs: leaf(array if array.ndim else array[()], requires_grad=needs),
    lambda tensor: np.asarray(tensor.array),
    tape.grad,
)


@dataclass
class Outcome:
    """What came of a call. ``results``: per output (dtype, requires_grad, array), or a plain value.

    ``gradients``: of the weighted outputs by the leaves; ``seconds``: of these, weighted, by leaves and weights. Either is
    None where there is none; ``refusal``: what backward raised instead."""

    raised: str = ""
    results: list[Any] = field(default_factory=list)
    compared: list[Any] = field(default_factory=list)
    gradients: list[Any] | None = None
    linked: list[bool] = field(default_factory=list)
    seconds: list[Any] | None = None
    refusal: str = ""
    no_double: bool = False


def _method(name: str) -> Callable[..., Any]:
    return lambda x, *rest, **options: getattr(x, name)(*rest, **options)


def function_of(engine: Engine, label: str, name: str) -> Callable[..., Any]:
    """The engine's function of an op_db entry, with the argument order of its samples. Raises AttributeError."""
    names = engine.names
    special = {  # entries whose samples give the arguments in an order of their own
        "where": lambda x, condition, *other: names.where(condition, x, *other),
        "einsum": lambda operands, equation: names.einsum(equation, operands),
        "nn.functional.embedding": lambda weight, index, **options: names.nn.functional.embedding(index, weight, **options),
        "nn.functional.embedding_bag": lambda weight, index, **options: names.nn.functional.embedding_bag(
            index, weight, **options
        ),
        "polygamma": lambda x, n: names.polygamma(n, x),
        "special.polygamma": lambda x, n: names.special.polygamma(n, x),
        "linalg.pinv.singular": lambda a, b: names.linalg.pinv(a @ b.mT),
        "linalg.lstsq.grad_oriented": lambda a, b, driver: names.linalg.lstsq(a, b, driver=driver)[:2],
        "zero_": lambda x: names.zero_(x.clone()),
        "T": lambda x: x.T,
        "mT": lambda x: x.mT,
        "mH": lambda x: x.mH,
        "real": lambda x: x.real,
        "normal.in_place": lambda x, *rest, **options: x.normal_(*rest, **options),
        "normal.number_mean": lambda std, mean, *rest, **options: names.normal(mean, std, *rest, **options),
        "rand_like": names.randn_like,  # so it stands in op_db
        "uniform": _method("uniform_"),
        "exponential": _method("exponential_"),
        "nn.functional.feature_alpha_dropout.without_train": lambda *args, **options: (
            names.nn.functional.feature_alpha_dropout(*args, **options)
        ),
    }
    for key in (label, name):
        if key in special:
            return special[key]
    if name in DUNDERS:
        return getattr(engine.tensor, name)
    found: Any = names
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        if not hasattr(engine.tensor, name):
            raise
        return _method(name)
    return found if callable(found) and not isinstance(found, type) and not _is_dtype(found) else _method(name)


def process_of(name: str) -> Callable[[Any], Any] | None:
    """What is compared of an op's results where they are free in a sign: the same functions as in PyTorch's own tests."""
    if name not in GAUGE:
        return None

    def without_signs(out: Any) -> Any:
        if not isinstance(out, tuple):
            return out
        if len(out) == 2:
            return out[0], abs(out[1])
        u, s, v = out
        k = s.shape[-1]
        u, vh = u[..., :k], v[..., :k, :] if name == "linalg.svd" else v[..., :k].mT
        return abs(u), s, abs(vh), u @ vh

    return without_signs


def _is_dtype(found: Any) -> bool:
    return type(found).__name__ in ("dtype", "DType")


def flat(out: Any) -> list[Any]:
    """All tensors and numbers in a result, in order."""
    if isinstance(out, list | tuple):
        return [part for inner in out for part in flat(inner)]
    return [out]


def run(
    engine: Engine, call: Callable[[], Any], leaves: list[Any], *, process: Any = None, twice: bool = True,
    plan: Outcome | None = None,
) -> Outcome:  # fmt: skip
    """Call, and differentiate once and twice with random weights. ``plan``: the other engine's outcome, which says by what."""
    engine.names.manual_seed(42)
    found = Outcome()
    try:
        out = call()
    except Exception as error:
        found.raised = f"{type(error).__name__}: {error}"
        return found
    found.results = [_plain(engine, part) for part in flat(out)]
    outs = flat(process(out) if process else out)
    if process:
        found.compared = [_plain(engine, part) for part in outs]
    outs = [part for part in outs if isinstance(part, engine.tensor) and part.requires_grad]
    if not outs or not leaves:
        return found
    rng = np.random.default_rng(0)
    weights = [_weight(engine, rng, y, twice) for y in outs]
    try:
        first = engine.grad(outs, leaves, weights, create_graph=twice, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        found.refusal = str(error)
        return found
    found.gradients = [g if g is None else engine.array(g.detach()).copy() for g in first]
    found.linked = [g is not None and g.requires_grad for g in first]
    asked = plan.linked if plan else found.linked
    if not twice or not any(asked) or (plan and plan.seconds is None):
        return found
    probes = [_weight(engine, rng, g if g is not None else x, False) if on else None
              for g, x, on in zip(first, leaves, asked, strict=True)]  # fmt: skip
    pairs = [(g, v) for g, v, here in zip(first, probes, found.linked, strict=True) if here and v is not None]
    by = [*leaves, *weights]
    if not pairs:
        found.seconds = [None] * len(by)
        return found
    try:
        more = engine.grad([g for g, _ in pairs], by, [v for _, v in pairs], allow_unused=True)
    except RuntimeError as error:
        if plan:
            raise
        if not any(
            part in str(error) for part in ("not implemented", "not differentiable", "doesn't support", "not support")
        ):
            raise
        found.no_double = True
        return found
    found.seconds = [g if g is None else engine.array(g.detach()).copy() for g in more]
    return found


def _weight(engine: Engine, rng: Any, like: Any, needs: bool) -> Any:
    shape = tuple(like.shape)
    array = np.asarray(rng.normal(size=shape), engine.array(like.detach()).dtype)
    return engine.make(array, needs)


def _plain(engine: Engine, part: Any) -> Any:
    if not isinstance(part, engine.tensor):
        return part
    return (repr(part.dtype), bool(part.requires_grad), engine.array(part.detach()).copy())


def agree(theirs: Outcome, own: Outcome) -> None:
    """Raise Different unless ours is torch's outcome."""
    if theirs.raised or own.raised:
        if theirs.raised.partition(":")[0] != own.raised.partition(":")[0]:
            raise Different(f"ours: {own.raised or 'no error'}\n      torch: {theirs.raised or 'no error'}")
        return
    for theirs_part, own_part, exact in (
        (theirs.results, own.results, not theirs.compared),
        (theirs.compared, own.compared, True),
    ):
        _results_agree(theirs_part, own_part, exact)
    if theirs.refusal != own.refusal:
        raise Different(f"backward: {own.refusal or 'no error'}\n      torch: {theirs.refusal or 'no error'}")
    for what in ("gradients", "seconds"):
        a, b = getattr(theirs, what), getattr(own, what)
        if a is None:
            continue
        for k, (left, right) in enumerate(zip(a, b or [None] * len(a), strict=True)):
            _gradients_agree(left, right, f"{what} {k}")


def _results_agree(theirs: list[Any], own: list[Any], exact: bool) -> None:
    if len(theirs) != len(own):
        raise Different(f"{len(own)} results, torch has {len(theirs)}")
    for k, (a, b) in enumerate(zip(theirs, own, strict=True)):
        if isinstance(a, tuple) != isinstance(b, tuple):
            raise Different(f"result {k}: {b!r}, torch has {a!r}")
        if not isinstance(a, tuple):
            if a != b and not (isinstance(a, float) and math.isnan(a)):
                raise Different(f"result {k}: {b!r}, torch has {a!r}")
            continue
        if a[:2] != b[:2]:
            raise Different(f"result {k}: {b[0]}, requires_grad={b[1]}; torch has {a[0]}, {a[1]}")
        if exact:
            same_array(a[2], b[2], f"result {k}")
        elif a[2].shape != b[2].shape:
            raise Different(f"result {k}: shape {b[2].shape}, torch has {a[2].shape}")


def _gradients_agree(a: Any, b: Any, what: str) -> None:
    if a is None or b is None:  # None is how either engine may say zero
        there = a if b is None else b
        if there is not None and not np.allclose(there, 0, atol=TOLERANCES["f8"][1]):
            raise Different(f"{what}: {'None' if b is None else b}, torch has {a}")
        return
    same_array(a, b, what)


def same_array(a: Any, b: Any, what: str) -> None:
    """Raise Different unless torch's ``a`` is our ``b``, within rounding."""
    if a.shape != b.shape:
        raise Different(f"{what}: shape {b.shape}, torch has {a.shape}")
    if a.dtype != b.dtype:
        raise Different(f"{what}: {b.dtype}, torch has {a.dtype}")
    if a.dtype.kind != "f":
        if not np.array_equal(a, b):
            raise Different(f"{what}: {b.tolist()}, torch has {a.tolist()}")
        return
    rtol, atol = TOLERANCES[a.dtype.str[1:]]
    scale = float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0))
    if not np.allclose(a, b, rtol=rtol, atol=atol + rtol * 1e-2 * scale, equal_nan=True):
        raise Different(
            f"{what}:\n      ours  {np.array2string(b, threshold=20)}\n      torch {np.array2string(a, threshold=20)}"
        )
