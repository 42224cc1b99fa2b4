"""Windows over the last axes of arrays: the entries that a kernel meets at each of its places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Pairs = tuple[tuple[int, int], ...]
"""Per axis what is added before and after."""
Ints = tuple[int, ...]


def padded(x: Any, padding: Pairs, value: Any = 0) -> Any:
    """x with entries ``value`` around its last axes."""
    if not any(before or after for before, after in padding):
        return x
    free = x.ndim - len(padding)
    return np.pad(x, [*[(0, 0)] * free, *padding], constant_values=value)


def windows(x: Any, kernel: Ints, stride: Ints, dilation: Ints, places: Ints) -> Any:
    """A view of x: its last axes become the places of the kernel, then the entries it meets there."""
    count = len(kernel)
    free, steps = x.shape[: x.ndim - count], x.strides[x.ndim - count :]
    strides = (
        *x.strides[: x.ndim - count],
        *(s * n for s, n in zip(steps, stride, strict=True)),
        *(s * n for s, n in zip(steps, dilation, strict=True)),
    )
    return np.lib.stride_tricks.as_strided(x, (*free, *places, *kernel), strides, writeable=False)


def laid_down(found: Any, sizes: Ints, stride: Ints, dilation: Ints) -> Any:
    """The transpose of ``windows``: entries (…, places, kernel) added where the kernel lies, in an array (…, sizes)."""
    count = len(sizes)
    free, places, kernel = np.split(np.array(found.shape), [found.ndim - 2 * count, found.ndim - count])
    out = np.zeros((*free, *sizes), found.dtype)
    for entry in np.ndindex(*kernel):
        where = tuple(
            slice(d * k, d * k + s * (n - 1) + 1, s) if n else slice(0)
            for k, d, s, n in zip(entry, dilation, stride, places, strict=True)
        )
        out[(..., *where)] += found[(..., *entry)]
    return out


def places_of(sizes: Sequence[int], kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """In how many places a kernel fits, per axis."""
    return tuple(
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def met(
    s: Any, out: Sequence[Any], bound: Sequence[Any], sizes: Ints, places: Ints, kernel: Ints, stride: Ints, padding: Pairs,
    dilation: Ints,
) -> tuple[tuple[Any, ...], list[Any]]:  # fmt: skip
    """In a formula: where the kernel's entry ``bound`` stands at the place ``out``, and the brackets [inside] that are
    needed because of the padding."""
    index, inside = [], []
    for i, k, n, m, size, step, (before, _), gap in zip(
        out, bound, sizes, places, kernel, stride, padding, dilation, strict=True
    ):
        reach = step * i + gap * k
        index.append(reach - before)
        if before:
            inside.append(s.indicator(reach >= before))
        if step * (m - 1) + gap * (size - 1) - before > n - 1:
            inside.append(s.indicator(reach <= n - 1 + before))
    return tuple(index), inside
