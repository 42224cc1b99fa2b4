"""Asks PyTorch how it prints tensors. Needs torch (2.13.0); the package and its tests do not.

    python -m tests.tape.record_printing                  writes the cases of test_printing.py, printing.json
    python -m tests.tape.record_printing --compare 6000   compares that many random tensors with explain.tape.printing

A case of the file has ``values`` (flat, repeated until ``shape`` is full; nan, inf and complex numbers as strings),
``dtype``, the flags ``grad_fn``, ``requires_grad`` and ``head`` where they are not the default, and ``text``.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
NODES = ["AddBackward0", "MmBackward0", "ReluBackward0", "T" * 20, "NativeLayerNormBackward0", "Q" * 80]
SHAPES = [
    (),
    (1,),
    (2,),
    (5,),
    (9,),
    (30,),
    (1, 1),
    (2, 3),
    (7, 2),
    (3, 17),
    (1, 40),
    (2, 3, 4),
    (1, 1, 1),
    (2, 2, 12),
    (2, 1, 3, 2),
    (1, 2, 1, 2, 11),
]
EMPTY = [(0,), (0, 3), (3, 0), (2, 0, 1200), (0, 0)]
LARGE = [
    (1000,),
    (1001,),
    (40, 30),
    (3, 400),
    (400, 3),
    (6, 200),
    (7, 143),
    (1, 1, 1200),
    (12, 10, 9),
    (8, 2, 70),
    (2, 3, 4, 50),
]


def in_torch(array: np.ndarray, grad_fn: str | None = None, requires_grad: bool = False, head: str = "tensor") -> str:
    """PyTorch's text of a tensor with these values, whose node and class bear the given names."""
    tensor = torch.tensor(array)
    if requires_grad or grad_fn:
        tensor.requires_grad_()
    if grad_fn:

        class Same(torch.autograd.Function):
            @staticmethod
            def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
                return x.clone()

        Same._backward_cls.__name__ = grad_fn
        tensor = Same.apply(tensor)
    if head != "tensor":
        # A leaf stays one only if it becomes a subclass before it requires a gradient.
        assert not grad_fn
        tensor = tensor.detach().as_subclass(type(head, (torch.Tensor,), {})).requires_grad_(requires_grad)
    return repr(tensor)


def random_floats(rng: np.random.Generator, size: int) -> np.ndarray:
    """Numbers of one of the kinds that PyTorch prints differently, some of them replaced by special ones."""
    kind = rng.integers(8)
    if kind == 0:
        numbers = rng.normal(size=size)
    elif kind == 1:
        numbers = rng.normal(size=size) * 10.0 ** rng.integers(-6, 10)
    elif kind == 2:
        numbers = rng.integers(-20, 20, size).astype(float)
    elif kind == 3:
        numbers = rng.integers(0, 2, size) * 10.0 ** rng.integers(0, 11, size)
    elif kind == 4:
        numbers = rng.normal(size=size) * 10.0 ** rng.uniform(-4, 4, size)
    elif kind == 5:
        numbers = rng.choice([0.0, -0.0, math.nan, math.inf, -math.inf], size)
    elif kind == 6:
        # Where the layout tips over, and one place next to it.
        edges = np.array([1e-4, 1.0, 0.1, 100.0, 1000.0, 1e8, 0.99999, 9.99995, 0.00005])
        numbers = rng.choice(np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf), -edges]), size)
    else:
        numbers = rng.choice([1e300, -1e-300, 5e-324, 1.5, 6e4, 6e-8, 1e38, 1e-45], size)
    if rng.random() < 0.3:
        special = rng.choice([0.0, -0.0, math.nan, math.inf, -math.inf], size)
        numbers = np.where(rng.random(size) < 0.2, special, numbers)
    return numbers


def random_array(rng: np.random.Generator) -> np.ndarray:
    """An array of any dtype, shape and kind of numbers."""
    group = rng.choice(5, p=[0.45, 0.15, 0.1, 0.05, 0.25])
    shapes = SHAPES + EMPTY if group < 4 else LARGE
    shape = shapes[rng.integers(len(shapes))]
    if group < 2 and rng.random() < 0.5:
        shape = tuple(rng.integers(1, 14, rng.integers(1, 4)).tolist())
    size = math.prod(shape)
    dtype = rng.choice([FLOATS, INTEGERS, COMPLEX, ["bool"], FLOATS + INTEGERS + COMPLEX + ["bool"]][group])
    with np.errstate(over="ignore", under="ignore"):
        if dtype == "bool":
            numbers = rng.integers(0, 2, size)
        elif dtype in INTEGERS:
            limits = np.iinfo(dtype)
            bound = min(10 ** int(rng.integers(1, 19)), limits.max)
            numbers = rng.integers(max(-bound, limits.min), bound, size, endpoint=True)
        elif dtype in COMPLEX:
            numbers = np.empty(size, complex)
            numbers.real, numbers.imag = random_floats(rng, size), random_floats(rng, size)
        else:
            numbers = random_floats(rng, size)
        return numbers.astype(dtype).reshape(shape)


def random_flags(rng: np.random.Generator, array: np.ndarray) -> dict[str, object]:
    """Keyword arguments for ``in_torch`` and ``tensor_repr``."""
    if array.dtype.kind not in "fc":
        return {"head": "Tracked"} if rng.random() < 0.1 else {}
    some: list[dict[str, object]] = [
        {},
        {"requires_grad": True},
        {"grad_fn": NODES[rng.integers(len(NODES))]},
        {"grad_fn": "N" * int(rng.integers(1, 70))},
        {"head": "H" * int(rng.integers(1, 30)), "requires_grad": True},
    ]
    return some[rng.choice(5, p=[0.3, 0.2, 0.2, 0.2, 0.1])]


def chosen() -> list[tuple[list, tuple[int, ...], str, dict[str, object]]]:
    """Values, shape, dtype and flags of the cases that each show one rule."""
    nan, inf = math.nan, math.inf
    leaf = {"requires_grad": True}
    vectors: list[list[float]] = [
        [5.0],
        [1.0, 2.0],
        [1.5, 2.25, -3.125],
        [0.1, 100.0],
        [-0.0, 0.0],
        [1e-5, 1.0],
        [1.0, 1001.5],
        [1.0, 1000.0],
        [1.0, 1001.0],
        [1e-4],
        [1e5],
        [1e8],
        [1e9],
        [123456.7891],
        [nan, 1.0],
        [inf, -inf, 0.5],
        [1.5, nan],
        [nan, inf, -inf],
        [1.0, -inf],
        [1e9, nan, 0.0, -0.0],
        [9.99995, 1.0],
        [0.00015, -0.1],
        [-1.0, 2.0, 300.0],
        [1e-4, 0.05],
    ]
    cases = [(values, (len(values),), "float32", {}) for values in vectors]
    cases += [(values, (len(values),), "float64", {}) for values in vectors[9:14]]
    cases += [([value], (), "float32", {}) for value in [3.0, 0.1, -0.0, nan, -inf, 1e9, 1e-9, 123456.789]]
    cases += [([7], (), dtype, {}) for dtype in [*FLOATS, *INTEGERS, *COMPLEX, "bool"]]
    cases += [([], shape, dtype, {}) for shape in EMPTY for dtype in ["float32", "int64"]]
    cases += [([], (0,), dtype, {}) for dtype in ["bool", "complex64", "float16"]]
    cases += [
        ([], (0, 3), "float64", leaf),
        ([1, -20, 300], (3,), "int64", {}),
        ([-128, 127, 0], (3,), "int8", {}),
        ([2**63 - 1, -(2**63), 0], (2, 3), "int64", {}),
        ([True, False], (2,), "bool", {}),
        ([True, False, False], (3, 20), "bool", {}),
        ([True], (5, 3), "bool", {}),
        ([65504.0, 1.5, 6e-8], (3,), "float16", {}),
        ([0.1, 200.0], (2,), "float16", {}),
        ([1e300, 1e-300], (2,), "float64", {}),
        ([5e-324, 1.0], (2,), "float64", leaf),
        ([1 + 2j, 3.5 - 1j], (2,), "complex64", {}),
        ([1e-5 + 2j, complex(-3.5, -0.0)], (2,), "complex128", leaf),
        ([complex(nan, -0.0), complex(1, nan), complex(1, -inf)], (3,), "complex64", {}),
        ([10 + 1j, 1 + 10j, -100j], (4, 9), "complex64", {"grad_fn": "MulBackward0"}),
        ([10 + 1j, 1 - 10.5j], (1001,), "complex128", {}),
        ([1.0, -2.0, 30.0, 4.5], (2, 2), "float64", leaf),
        ([0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0], (9,), "float32", {"grad_fn": "MulBackward0"}),
        ([5.0], (), "float32", {"grad_fn": "AddBackward0"}),
        ([5.0], (), "float32", {"grad_fn": "AddBackward0", "requires_grad": True}),
        ([1.0], (2,), "float32", {"head": "Tracked"}),
        ([1.0, -2.5, 3.0], (3, 12), "float32", {"head": "Tracked", "requires_grad": True}),
        # Far numbers in the hidden middle change nothing.
        ([0.5] * 3 + [1e9] * 995 + [0.25] * 3, (1001,), "float32", {}),
        ([0.5] * 3 + [1e9] * 994 + [0.25] * 3, (1000,), "float32", {}),
    ]
    # The suffix moves past the end of the line, first after one line of numbers, then after another suffix.
    cases += [([1.0], (14,), "float32", {"grad_fn": "N" * length}) for length in (5, 6, 7, 8)]
    cases += [([1.5], (2,), "float64", {"grad_fn": "N" * length}) for length in (22, 23, 24, 25, 80)]
    cases += [([], (2, 0), "float64", {"grad_fn": "N" * length}) for length in (18, 19, 20, 21, 22)]
    return cases


def record(path: Path) -> None:
    """Writes the chosen cases and some random ones, one to a line."""
    cases = chosen()
    arrays = [
        (np.resize(np.array(values, dtype), shape) if values else np.zeros(shape, dtype), flags)
        for values, shape, dtype, flags in cases
    ]
    rows = [row(array, flags, len(values)) for (array, flags), (values, *_) in zip(arrays, cases, strict=True)]
    rng = np.random.default_rng(0)
    for shape in [*SHAPES[4:], *LARGE] * 2:
        dtype = rng.choice(FLOATS)
        count = min(math.prod(shape), 23)
        with np.errstate(over="ignore"):
            array = np.resize(random_floats(rng, count).astype(dtype), shape)
        rows.append(row(array, random_flags(rng, array), count))
    path.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} cases")


def row(array: np.ndarray, flags: dict, count: int) -> str:
    """One case as JSON; the first ``count`` values of the array repeat."""

    def plain(value: object) -> object:
        special = isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value))
        return str(value) if special else value

    values = [plain(value) for value in array.ravel()[:count].tolist()]
    case = {"values": values, "shape": array.shape, "dtype": array.dtype.name, **flags}
    return json.dumps({**case, "text": in_torch(array, **flags)})


def compare(count: int) -> None:
    """Prints every random tensor on whose text PyTorch and the package disagree."""
    from explain.tape.printing import entries, tensor_repr

    rng = np.random.default_rng(count)
    wrong = 0
    for _ in range(count):
        array = random_array(rng)
        flags = random_flags(rng, array)
        expected, got = in_torch(array, **flags), tensor_repr(array, **flags)
        indent = int(rng.integers(0, 90))
        body = torch._tensor_str._tensor_str(torch.tensor(array), indent)
        if expected != got or body != entries(array, indent):
            wrong += 1
            print(array.dtype, array.shape, flags, expected, got, sep="\n")
    print(f"{count} tensors, {wrong} differences")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compare"]:
        compare(int(sys.argv[2]))
    else:
        record(Path(__file__).with_name("printing.json"))
