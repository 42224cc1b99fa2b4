"""PyTorch's own samples, as PyTorch 2.13.0 answered them: values, gradients, second derivatives, errors.

``tests/oracle/record_op_db.py`` records them anew (PyTorch is needed for that only); ``tests/oracle/op_db.py`` compares
all samples, not these few per op.
"""

import collections
import dataclasses
import functools
import itertools
import warnings

import numpy as np
import pytest

from tests.oracle import scope
from tests.oracle.outcome import OURS, Different, agree, function_of, process_of, run
from tests.oracle.recording import decode, load

SAMPLES, POOL, NOTES = load()
BY_OP = {label: list(group) for label, group in itertools.groupby(SAMPLES, lambda sample: sample.label)}


def replayed(sample):
    leaves = []
    first, args, kwargs = (decode(part, POOL, leaves) for part in sample.arguments["list"])
    function = function_of(OURS, sample.label, sample.name)
    return run(
        OURS, functools.partial(function, first, *args, **kwargs), leaves,
        process=process_of(sample.name), twice=sample.outcome.seconds is not None, plan=sample.outcome,
    )  # fmt: skip


@pytest.mark.parametrize("label", BY_OP)
def test_as_torch_answered(label):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # torch's own, about old names
        for sample in BY_OP[label]:
            try:
                agree(sample.outcome, replayed(sample))
            except Different as error:
                pytest.fail(f"{label}, {sample.kind}: {error}", pytrace=False)


def test_nothing_is_left_out_without_a_reason():
    reasons = {*scope.EXCLUDED, *scope.OTHER_ERRORS.values(), scope.FOREIGN, scope.OUT, "not there"}
    assert set(NOTES["without"]) <= reasons
    for reason, labels in NOTES["without"].items():
        print(f"{len(labels)} left out, {reason}: {' '.join(labels)}")
    assert NOTES["torch"].startswith("2.13.0")


def test_all_kinds_of_samples_are_there():
    kinds = collections.Counter(sample.kind for sample in SAMPLES)
    assert set(kinds) == {"plain", "options", "empty", "broadcast", "non-contiguous", "error"}
    assert min(kinds.values()) > 40
    assert sum(sample.outcome.gradients is not None for sample in SAMPLES) > 1000
    assert sum(sample.outcome.seconds is not None for sample in SAMPLES) > 500


@pytest.mark.parametrize("what", ["gradients", "seconds"])
def test_what_is_wrong_by_a_hundred_thousandth_is_caught(what):
    tried = 0
    for sample in SAMPLES:
        arrays = [g for g in getattr(sample.outcome, what) or () if g is not None]
        if any(g.dtype == np.float64 and np.isfinite(g).all() and np.abs(g).max(initial=0) > 1e-3 for g in arrays):
            tried += 1
            wrong = [None if g is None else g * (1 + 1e-5) for g in getattr(sample.outcome, what)]
            with pytest.raises(Different):
                agree(sample.outcome, dataclasses.replace(sample.outcome, **{what: wrong}))
    assert tried > 500
