"""Record a few of PyTorch's own samples per op, small ones, to be replayed without PyTorch by ``tests/ops/test_recorded.py``.

A development script: ``pip install torch==2.13.0 expecttest``, then from the root of the checkout::

    python -m tests.oracle.record_op_db

It writes ``tests/ops/recorded.npz``: per op the smallest sample that is plain, one of another kind of options, one with
empty, one with broadcast, one with non-contiguous tensors and one error. What our engine gets wrong is recorded like the
rest; the test then fails until it is mended or named there.
"""

from __future__ import annotations

import collections
import sys
import warnings
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from explain.tape.tensor import Tensor
from tests.oracle import scope
from tests.oracle.op_db import Foreign, both, label_of, samples_of, to_ours
from tests.oracle.outcome import OURS, function_of
from tests.oracle.recording import PATH, Pool, Recorded, encode, save

LIMIT = 260  # entries of a sample's tensors; an op whose samples are all larger gets its smallest one


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for part in value for t in tensors(part)] if isinstance(value, list | tuple) else []


def kinds_of(found: list[Tensor]) -> list[str]:
    """What a sample shows."""
    shapes = {t.array.shape for t in found}
    kinds = ["plain", "options"]
    if any(0 in shape for shape in shapes):
        kinds = ["empty"]
    elif any(not t.array.flags.c_contiguous for t in found):
        kinds = ["non-contiguous"]
    elif len(shapes) > 1:
        kinds.append("broadcast")
    return kinds


def chosen(op: Any, dtype: Any) -> dict[str, Any]:
    """Per kind the smallest sample."""
    sized: list[tuple[int, int, Any, list[str]]] = []
    for k, sample in enumerate(samples_of(op, dtype)):
        try:
            found = tensors([to_ours(part, []) for part in (sample.input, list(sample.args), sample.kwargs)])
        except Foreign:
            continue
        sized.append((sum(t.array.size for t in found), k, sample, kinds_of(found)))
    sized.sort(key=lambda row: row[:2])
    picked: dict[str, Any] = {}
    seen: set[str] = set()
    for size, k, sample, kinds in sized:
        if size > LIMIT and picked:
            break
        said = str([sorted(sample.kwargs), [a for a in sample.args if not isinstance(a, torch.Tensor)]])
        for kind in kinds:
            if kind not in picked and (kind != "options" or said not in seen) and k not in [p[0] for p in picked.values()]:
                picked[kind] = (k, sample)
                seen.add(said)
    return {kind: sample for kind, (_, sample) in picked.items()}


def main() -> int:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    pool, samples = Pool(), []
    without: dict[str, list[str]] = collections.defaultdict(list)
    for op in op_db:
        label = label_of(op)
        if reason := scope.excluded(op.name, op.variant_test_name):
            without[reason].append(label)
            continue
        dtype = next((d for d in (torch.float64, torch.int64) if d in op.supported_dtypes("cpu")), None)
        try:
            function_of(OURS, label, op.name)
        except AttributeError:
            without["not there"].append(label)
            continue
        picked = {} if dtype is None else chosen(op, dtype)
        for case in op.error_inputs("cpu") if op.error_inputs_func else ():
            if "out" in case.sample_input.kwargs:
                without[scope.OUT].append(f"{label} error")
            elif label in scope.OTHER_ERRORS:
                without[scope.OTHER_ERRORS[label]].append(f"{label} error")
            else:
                picked["error"] = case.sample_input
        before = len(samples)
        for kind, sample in picked.items():
            try:
                arguments = [to_ours(part, []) for part in (sample.input, list(sample.args), sample.kwargs)]
                samples.append(Recorded(label, op.name, kind, encode(arguments, pool), both(op, sample)[0]))
            except Foreign:
                without[scope.FOREIGN].append(f"{label} {kind}")
        if len(samples) == before:
            raise RuntimeError(f"{label}: no sample can be recorded, and no reason says why")
    save(samples, pool, {"torch": torch.__version__, "without": without})
    counts = collections.Counter(sample.kind for sample in samples)
    print(f"{len(samples)} samples of {len({s.label for s in samples})} ops, {PATH.stat().st_size} bytes: {dict(counts)}")
    for reason, labels in without.items():
        print(f"{len(labels)} left out, {reason}: {' '.join(labels)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
