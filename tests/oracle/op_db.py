"""PyTorch's own sample inputs through both engines: values, gradients with a random v, second derivatives, errors.

A development script, not a test: it needs ``pip install torch==2.13.0 expecttest``. Run from the root of the checkout::

    python -m tests.oracle.op_db                       # a line per op, then the total
    python -m tests.oracle.op_db add linalg.inv -v     # some ops, with what differs
    python -m tests.oracle.op_db --missing             # names that are not there at all
    python -m tests.oracle.op_db relu --dtype int64    # values and result dtypes for another dtype
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import math
import sys
import warnings
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from explain import tape
from explain.tape.dtypes import BY_NAME
from explain.tape.tensor import Tensor, leaf, wrap

ours = importlib.import_module("explain.torch")

RTOL, ATOL = 1e-7, 1e-9
DUNDERS = {"__getitem__", "__radd__", "__rdiv__", "__rmatmul__", "__rmod__", "__rmul__", "__rpow__", "__rsub__"}
EXCLUDED = {
    "complex numbers": ("H", "mH", "cdouble", "cfloat", "chalf", "complex", "conj", "conj_physical", "imag", "real", "polar",
                        "angle", "resolve_conj", "view_as_complex", "view_as_real", "isreal", "fft.", "istft", "stft",
                        "linalg.eig", "linalg.eigvals"),
    "sparse, masked and quantised tensors": ("sparse.", "masked.", "to_sparse"),
    "devices and internals of torch": ("jiterator", "_", "torch.", "resize_", "resize_as_", "new_empty", "empty", "bfloat16",
                                       "hash_tensor", "geqrf", "ormqr", "linalg.ldl", "native_", "unsafe_", "resolve_neg",
                                       "max_pool2d_with_indices_backward", "nonzero_static", "chunk_cat", "as_strided_",
                                       "copysign_"),
}  # fmt: skip


def excluded(name: str) -> str | None:
    """The reason why an op is left out, or None."""
    if name in DUNDERS:
        return None
    for reason, names in EXCLUDED.items():
        for start in names:
            exact = start.rstrip("._") == start and len(start) > 1
            if name == start or (not exact and name.startswith(start)):
                return reason
    return None


class Different(Exception):
    """The two engines disagree."""


def to_ours(value: Any, leaves: list[tuple[Any, Tensor]]) -> Any:
    """A torch argument as ours; tensors that require gradients are noted in ``leaves``."""
    if isinstance(value, torch.Tensor):
        array = np.array(value.detach().numpy(), order="K")
        made = leaf(array if array.ndim else array[()], requires_grad=value.requires_grad)
        if value.requires_grad:
            leaves.append((value, made))
        return made
    if isinstance(value, torch.dtype):
        return BY_NAME[str(value).removeprefix("torch.")]
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, list | tuple) and type(value) in (list, tuple, torch.Size):
        made = [to_ours(part, leaves) for part in value]
        return made if isinstance(value, list) else tuple(made)
    if isinstance(value, dict):
        return {key: to_ours(part, leaves) for key, part in value.items()}
    if isinstance(value, torch.nn.PairwiseDistance):
        return ours.nn.PairwiseDistance(value.norm, value.eps, value.keepdim)
    if callable(value) and type(value).__module__.startswith("torch"):
        raise NotImplementedError(f"argument of type {type(value).__name__}")
    return value


def find(name: str, variant: str) -> Any:
    """Our function of this name. Raises AttributeError."""
    if name in DUNDERS:
        return lambda first, *rest, **options: getattr(first, name)(*rest, **options)
    if name == "nn.functional.embedding":  # its samples give the weight first
        return lambda weight, index, **options: ours.nn.functional.embedding(index, weight, **options)
    if name == "where":  # … and here the condition second
        return lambda first, condition, *other: ours.where(condition, first, *other)
    found: Any = ours
    try:
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except AttributeError:
        if not hasattr(Tensor, name):
            raise
        return lambda first, *rest, **options: getattr(first, name)(*rest, **options)


def function_of(op: Any) -> Any:
    """What stands for the op's function here: where PyTorch's samples come with a lambda, that one over our functions."""
    if isinstance(op.op, FunctionType) and op.op.__name__ == "<lambda>":
        return FunctionType(op.op.__code__, {**op.op.__globals__, "torch": ours}, closure=op.op.__closure__)
    return find(op.name, op.variant_test_name)


def flat(out: Any) -> list[Any]:
    """All tensors and numbers in a result, in order."""
    if isinstance(out, list | tuple):
        return [leaf for part in out for leaf in flat(part)]
    return [out]


def same_array(a: Any, b: Any, what: str) -> None:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise Different(f"{what}: shape {b.shape}, torch has {a.shape}")
    if a.dtype.kind not in "f":
        if not np.array_equal(a, b):
            raise Different(f"{what}: {b.tolist()}, torch has {a.tolist()}")
        return
    scale = np.max(np.abs(a[np.isfinite(a)]), initial=0.0)
    if not np.allclose(a, b, rtol=RTOL, atol=ATOL + RTOL * 1e-2 * scale, equal_nan=True):
        raise Different(
            f"{what}:\n      ours  {np.array2string(b, threshold=20)}\n      torch {np.array2string(a, threshold=20)}"
        )


def compare_values(theirs: Any, own: Any) -> None:
    theirs, own = flat(theirs), flat(own)
    if len(theirs) != len(own):
        raise Different(f"{len(own)} results, torch has {len(theirs)}")
    for k, (a, b) in enumerate(zip(theirs, own, strict=True)):
        if isinstance(a, torch.Tensor) != isinstance(b, Tensor):
            raise Different(f"result {k}: {type(b).__name__}, torch has {type(a).__name__}")
        if not isinstance(a, torch.Tensor):
            if a != b and not (isinstance(a, float) and math.isnan(a)):
                raise Different(f"result {k}: {b!r}, torch has {a!r}")
            continue
        if str(a.dtype) != repr(b.dtype):
            raise Different(f"result {k}: {b.dtype!r}, torch has {a.dtype}")
        if a.requires_grad != b.requires_grad:
            raise Different(f"result {k}: requires_grad {b.requires_grad}, torch has {a.requires_grad}")
        same_array(a.detach().numpy(), b.array, f"result {k}")


def pull(outs: list[Any], leaves: list[Any], weights: list[Any], grad: Any, create_graph: bool) -> Any:
    return grad(outs, leaves, weights, create_graph=create_graph, retain_graph=True, allow_unused=True)


def compare_gradients(theirs: Any, own: Any, leaves: list[tuple[Any, Tensor]], twice: bool) -> None:
    pairs = [
        (a, b) for a, b in zip(flat(theirs), flat(own), strict=True)
        if isinstance(a, torch.Tensor) and a.requires_grad and a.dtype.is_floating_point
    ]  # fmt: skip
    if not pairs or not leaves:
        return
    stream = np.random.default_rng(0)
    arrays = [np.asarray(stream.normal(size=tuple(a.shape))) for a, _ in pairs]
    a_leaves, b_leaves = [a for a, _ in leaves], [b for _, b in leaves]
    a_weights = [torch.tensor(v, dtype=a.dtype, requires_grad=twice) for v, (a, _) in zip(arrays, pairs, strict=True)]
    b_weights = [leaf(v[()] if v.ndim == 0 else v, requires_grad=twice) for v in arrays]
    first_a = pull([a for a, _ in pairs], a_leaves, a_weights, torch.autograd.grad, twice)
    first_b = pull([b for _, b in pairs], b_leaves, b_weights, tape.grad, twice)
    for k, (a, b) in enumerate(zip(first_a, first_b, strict=True)):
        gradients_agree(a, b, f"gradient {k}")
    if not twice:
        return
    linked = [(a, b) for a, b in zip(first_a, first_b, strict=True) if a is not None and a.requires_grad]
    if not linked:
        return
    if not all(b is not None and b.requires_grad for _, b in linked):
        linked = [(a, b) for a, b in linked if b is not None and b.requires_grad]
        if not linked:
            return
    arrays = [np.asarray(stream.normal(size=tuple(a.shape))) for a, _ in linked]
    a_more = pull(
        [a for a, _ in linked], [*a_leaves, *a_weights], [torch.tensor(v) for v in arrays], torch.autograd.grad, False
    )
    b_more = pull([b for _, b in linked], [*b_leaves, *b_weights], [wrap(v[()] if v.ndim == 0 else v) for v in arrays],
                  tape.grad, False)  # fmt: skip
    for k, (a, b) in enumerate(zip(a_more, b_more, strict=True)):
        gradients_agree(a, b, f"second derivative {k}")


def gradients_agree(a: Any, b: Any, what: str) -> None:
    if a is None or b is None:
        there = a if b is None else b
        values = None if there is None else there.numpy(force=True) if isinstance(there, torch.Tensor) else there.array
        if values is not None and not np.allclose(values, 0, atol=ATOL):
            raise Different(f"{what}: {'None' if b is None else b}, torch has {a}")
        return
    same_array(a.numpy(force=True), b.array, what)


def try_sample(op: Any, function: Any, sample: Any, twice: bool) -> None:
    leaves: list[tuple[Any, Tensor]] = []
    first, args, kwargs = (to_ours(part, leaves) for part in (sample.input, list(sample.args), sample.kwargs))
    theirs = op(sample.input, *sample.args, **sample.kwargs)
    own = function(first, *args, **kwargs)
    compare_values(theirs, own)
    compare_gradients(theirs, own, leaves, twice)


def try_error(op: Any, function: Any, case: Any) -> None:
    sample = case.sample_input
    first, args, kwargs = (to_ours(part, []) for part in (sample.input, list(sample.args), sample.kwargs))
    try:
        op(sample.input, *sample.args, **sample.kwargs)
    except Exception as error:
        kind, text = type(error), str(error)
    else:
        return
    try:
        own = function(first, *args, **kwargs)
    except Exception as error:
        if type(error).__name__ != kind.__name__:
            raise Different(f"{type(error).__name__}: {error}\n      torch has {kind.__name__}: {text}") from None
        return
    raise Different(f"no error but {own}\n      torch has {kind.__name__}: {text}")


def run(op: Any, dtype: torch.dtype) -> Iterator[tuple[str, str | None]]:
    """Per sample (kind, None or what is wrong)."""
    function = function_of(op)
    differentiable = dtype.is_floating_point and op.supports_autograd
    samples = op.sample_inputs("cpu", dtype, requires_grad=differentiable)
    for k, sample in enumerate(samples):
        seed = 42 if "wrapper_set_seed" in getattr(getattr(op.op, "__code__", None), "co_names", ()) else k
        ours.manual_seed(seed)
        torch.manual_seed(seed)
        try:
            try_sample(op, function, sample, differentiable and op.supports_gradgrad)
            yield "sample", None
        except NotImplementedError as error:
            yield "sample", f"{sample}\n    NotImplementedError: {error}"
        except Different as error:
            yield "sample", f"{sample}\n    {error}"
        except Exception as error:
            yield "sample", f"{sample}\n    raised {type(error).__name__}: {error}"
    for case in op.error_inputs("cpu") if op.error_inputs_func else ():
        if "out" in case.sample_input.kwargs:
            continue  # out= is out of scope, and some of these tensors cannot even be printed
        try:
            try_error(op, function, case)
            yield "error", None
        except Different as error:
            yield "error", f"{case.sample_input}\n    {error}"
        except Exception as error:
            yield "error", f"{case.sample_input}\n    raised {type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-n", type=int, default=3, help="how many differences are shown per op")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    dtype = getattr(torch, options.dtype)
    chosen = [
        op
        for op in op_db
        if (not options.names or op.name in options.names) and not (not options.names and excluded(op.name))
    ]
    right = total = 0
    missing = []
    for op in chosen:
        if dtype not in op.supported_dtypes("cpu"):
            continue
        label = f"{op.name}.{op.variant_test_name}".rstrip(".")
        try:
            results = list(run(op, dtype))
        except AttributeError as error:
            missing.append(label)
            if options.verbose:
                print(f"{label}: {error}")
            continue
        samples = [wrong for kind, wrong in results if kind == "sample"]
        errors = [wrong for kind, wrong in results if kind == "error"]
        good = samples.count(None)
        right, total = right + good, total + len(samples)
        mark = " " if good == len(samples) and None in [*errors, None] and errors.count(None) == len(errors) else "*"
        if not options.missing:
            print(f"{mark} {label:50} {good}/{len(samples)} samples, {errors.count(None)}/{len(errors)} errors", flush=True)
            for wrong in itertools.islice(filter(None, [*samples, *errors]), options.n if options.verbose else 0):
                print(f"    {wrong}"[:1500])
    print(f"total {right}/{total} samples right; not there: {len(missing)}")
    if missing:
        print("  " + " ".join(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
