"""``torch.testing``: two tensors compared, with torch's tolerances by dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.tape.tensor import Tensor
from explain.torch.creation import as_tensor

__all__ = ["assert_close"]
TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    **others: Any,
) -> None:
    """Raise AssertionError, in torch's words, unless all entries are close."""
    a, b = (t if isinstance(t, Tensor) else as_tensor(t) for t in (actual, expected))
    kind = "Tensor-likes" if a.array.ndim else "Scalars"
    if a.array.shape != b.array.shape:
        raise AssertionError(f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}.")
    if a.array.dtype != b.array.dtype and others.get("check_dtype", True):
        raise AssertionError(f"The values for attribute 'dtype' do not match: {a.dtype!r} != {b.dtype!r}.")
    usual = TOLERANCES.get(a.dtype.name, (0.0, 0.0))
    rtol, atol = usual[0] if rtol is None else rtol, usual[1] if atol is None else atol
    x, y = np.asarray(a.array, np.float64), np.asarray(b.array, np.float64)
    apart = ~np.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if not apart.any():
        return
    gaps = np.abs(x - y)
    ratio = gaps / np.where(y == 0, np.nan, np.abs(y))
    worst, relative = (
        np.unravel_index(np.nanargmax(gaps), gaps.shape),
        np.unravel_index(int(np.nanargmax(ratio)) if np.isfinite(ratio).any() else 0, gaps.shape),
    )
    if not x.ndim:
        raise AssertionError(
            f"{kind} are not close!\n\nExpected {y.item()} but got {x.item()}.\nAbsolute difference: {gaps.item()} (up to "
            f"{atol} allowed)\nRelative difference: {ratio.item()} (up to {rtol} allowed)"
        )
    count = int(apart.sum())
    raise AssertionError(
        f"{kind} are not close!\n\nMismatched elements: {count} / {x.size} ({count / x.size:.1%})\n"
        f"Greatest absolute difference: {float(np.nanmax(gaps))} at index {tuple(map(int, worst))} (up to {atol} allowed)\n"
        f"Greatest relative difference: {float(np.nanmax(ratio))} at index {tuple(map(int, relative))} (up to {rtol} "
        "allowed)"
    )
