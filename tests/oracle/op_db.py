"""PyTorch's own sample inputs through both engines: values, gradients with a random v, second derivatives, errors.

A development script, not a test: it needs ``pip install torch==2.13.0 expecttest``. Run from the root of the checkout::

    python -m tests.oracle.op_db -j 2                  # a line per op, the sum, and all that was left out, with reasons
    python -m tests.oracle.op_db add linalg.inv -v     # some ops, with what differs
    python -m tests.oracle.op_db relu --dtype int64    # values and result dtypes for another dtype

Every sample is tried as it comes and, where that changes its strides, with non-contiguous tensors. Ops without a
derivative are asked for one, too: both engines must refuse in the same words. ``tests.oracle.scope`` names what is left
out. Exit code 1 if less than 98 % of all samples are right, or less than 90 % of an op's.
"""

from __future__ import annotations

import argparse
import collections
import functools
import itertools
import multiprocessing
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from explain.tape.dtypes import BY_NAME
from tests.oracle import scope
from tests.oracle.outcome import OURS, Different, Engine, Outcome, agree, function_of, process_of, run

THEIRS = Engine(
    torch,
    torch.Tensor,
    lambda array, needs: torch.tensor(array, requires_grad=needs),
    lambda tensor: np.asarray(tensor.numpy(force=True)),
    torch.autograd.grad,
)
WHOLE, PER_OP = 0.98, 0.90  # the bars


class Foreign(Exception):
    """A sample's argument is none that our engine has."""


@dataclass
class Line:
    """What became of one op: counts, what differs, what was left out and why."""

    label: str
    missing: str = ""
    right: dict[str, int] = field(default_factory=lambda: {"sample": 0, "error": 0})
    total: dict[str, int] = field(default_factory=lambda: {"sample": 0, "error": 0})
    wrong: list[str] = field(default_factory=list)
    left_out: collections.Counter[str] = field(default_factory=collections.Counter)


def to_ours(value: Any, leaves: list[tuple[Any, Any]]) -> Any:
    """A torch argument as ours, strides and all; tensors that require gradients are noted in ``leaves``."""
    if isinstance(value, torch.Tensor):
        if value.device.type != "cpu" or value.layout != torch.strided or value.is_complex() or value.dim() > 64:
            raise Foreign(f"{value.device} {value.layout} {value.dtype} {value.dim()}-d")
        if str(value.dtype).removeprefix("torch.") not in BY_NAME:
            raise Foreign(str(value.dtype))
        copy = torch.as_strided(value.detach().as_strided((_span(value),), (1,)).clone(), value.shape, value.stride())
        made = OURS.make(copy.numpy(), value.requires_grad)
        if value.requires_grad:
            leaves.append((value, made))
        return made
    if isinstance(value, torch.dtype):
        name = str(value).removeprefix("torch.")
        if name not in BY_NAME:
            raise Foreign(str(value))
        return BY_NAME[name]
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, torch.memory_format | torch.layout):
        return getattr(OURS.names, str(value).removeprefix("torch."))
    if type(value) in (list, tuple, torch.Size):
        made = [to_ours(part, leaves) for part in value]
        return made if isinstance(value, list) else tuple(made)
    if isinstance(value, dict):
        return {key: to_ours(part, leaves) for key, part in value.items()}
    if isinstance(value, torch.nn.PairwiseDistance):
        return OURS.names.nn.PairwiseDistance(value.norm, value.eps, value.keepdim)
    if isinstance(value, complex):
        raise Foreign("a complex number")
    if not isinstance(value, bool | int | float | str | slice | type(None) | type(...)):
        raise Foreign(f"a {type(value).__name__}")
    return value


def _span(tensor: Any) -> int:
    """How many places of memory a tensor reaches over."""
    if not tensor.numel():
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))


def label_of(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}".rstrip(".")


def has_tensor(test: Any, value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return any(has_tensor(test, part) for part in value) if isinstance(value, list | tuple) else test(value)


def samples_of(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    """The op's samples, and each again with non-contiguous tensors."""
    for sample in op.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point):
        yield sample
        twin = sample.noncontiguous()
        if has_tensor(
            lambda t: isinstance(t, torch.Tensor) and not t.is_contiguous(), [twin.input, list(twin.args), twin.kwargs]
        ):
            yield twin


def both(op: Any, sample: Any) -> tuple[Outcome, Outcome]:
    """One sample through torch and through ours. Raises Foreign."""
    pairs: list[tuple[Any, Any]] = []
    label = label_of(op)
    first, args, kwargs = (to_ours(part, pairs) for part in (sample.input, list(sample.args), sample.kwargs))
    process = process_of(op.name)
    twice = op.supports_gradgrad and label not in scope.NO_SECOND
    mine = function_of(OURS, label, op.name)
    theirs = run(
        THEIRS, functools.partial(op, sample.input, *sample.args, **sample.kwargs), [a for a, _ in pairs],
        process=process, twice=twice,
    )  # fmt: skip
    own = run(
        OURS, functools.partial(mine, first, *args, **kwargs), [b for _, b in pairs],
        process=process, twice=twice, plan=theirs,
    )  # fmt: skip
    return theirs, own


def line_of(op: Any, dtype: torch.dtype) -> Line:
    """All samples and error inputs of one op."""
    line = Line(label_of(op))
    try:
        function_of(OURS, line.label, op.name)
    except AttributeError as error:
        line.missing = str(error)
    errors = (case.sample_input for case in (op.error_inputs("cpu") if op.error_inputs_func else ()))
    for kind, sample in itertools.chain(
        (("sample", sample) for sample in samples_of(op, dtype)), (("error", sample) for sample in errors)
    ):
        if "out" in sample.kwargs:
            line.left_out[scope.OUT] += 1
            continue
        if line.missing:
            line.total[kind] += 1
            continue
        try:
            theirs, own = both(op, sample)
            line.total[kind] += 1
            agree(theirs, own)
            line.right[kind] += 1
            line.left_out[scope.NO_DOUBLE] += theirs.no_double
        except Foreign:
            line.left_out[scope.FOREIGN] += 1
        except Different as error:
            line.wrong.append(f"{sample}\n    >>> {error}")
        except Exception as error:
            line.total[kind] += 1
            line.wrong.append(f"{sample}\n    >>> raised {type(error).__name__}: {error}")
    return line


def _line(index: int, dtype: str) -> Line:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    op, kind = op_db[index], getattr(torch, dtype)
    return line_of(op, kind if kind in op.supported_dtypes("cpu") else torch.int64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("-j", "--processes", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-n", type=int, default=3, help="how many differences are shown per op")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype)
    chosen, left_out = [], collections.defaultdict(list)
    for k, op in enumerate(op_db):
        if options.names:
            if op.name in options.names or label_of(op) in options.names:
                chosen.append(k)
        elif reason := scope.excluded(op.name, op.variant_test_name):
            left_out[reason].append(label_of(op))
        elif not {dtype, torch.int64} & op.supported_dtypes("cpu"):
            left_out[f"neither of {options.dtype} nor of int64 in torch"].append(label_of(op))
        else:
            chosen.append(k)
    task = functools.partial(_line, dtype=options.dtype)
    if options.processes > 1:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            lines = _shown(pool.imap(task, chosen), options.n if options.verbose else 0)
    else:
        lines = _shown(map(task, chosen), options.n if options.verbose else 0)
    return _summary(lines, left_out)


def _shown(lines: Any, many: int) -> list[Line]:
    """Print a line per op as they come."""
    kept = []
    for line in lines:
        kept.append(line)
        mark = "*" if line.wrong or line.missing else " "
        counts = [f"{line.right[kind]}/{line.total[kind]} {kind}s" for kind in ("sample", "error")]
        print(f"{mark} {line.label:50} {', '.join(counts)}{'   ' + line.missing if line.missing else ''}", flush=True)
        for wrong in line.wrong[:many]:
            sample, _, why = wrong.partition("\n    >>> ")
            print(f"    {sample[:400]}\n    {why}"[:1500])
    return kept


def _summary(lines: list[Line], left_out: dict[str, list[str]]) -> int:
    """The sums, and what was left out. Returns the exit code."""
    sums = {kind: (sum(l.right[kind] for l in lines), sum(l.total[kind] for l in lines)) for kind in ("sample", "error")}
    for kind, (right, total) in sums.items():
        print(f"{kind}s: {right}/{total} right ({100 * right / max(1, total):.2f} %)")
    poor = [l for l in lines if l.right["sample"] < PER_OP * l.total["sample"]]
    for line in poor:
        print(f"  under {PER_OP:.0%}: {line.label} {line.right['sample']}/{line.total['sample']} {line.missing}")
    print(f"{len(lines)} entries. Left out among their samples:")
    for reason, count in sum((l.left_out for l in lines), collections.Counter[str]()).items():
        print(f"  {count}: {reason}")
    for label, reason in (*scope.GAUGE.items(), *scope.NO_SECOND.items(), *scope.OTHER_ERRORS.items()):
        print(f"  {label}: {reason}")
    for reason, names in left_out.items():
        print(f"{len(names)} entries left out, {reason}:\n  {' '.join(names)}")
    right, total = sums["sample"]
    return int(bool(poor) or right < WHOLE * total)


if __name__ == "__main__":
    sys.exit(main())
