"""Operations that join tensors: stack, cat, and what torch makes of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Options, Sample, Shape, axes
from explain.ops.registry import block, composite


class Joining(Op):
    """An op of a list of tensors, none of which is read in backward."""

    kind = "index"
    rule = "join"
    listed = True
    promotion = "common"
    refusal = ""  # torch's RuntimeError for an empty list

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tensors, options = super().bind(*args, **kwargs)
        if not tensors:
            raise ValueError(self.refusal) if self.name == "cat" else RuntimeError(self.refusal)
        if not isinstance(options.get("dim", 0), int | np.integer):
            raise NoMatch(f"{self.name}(): argument 'dim' must be int, not {type(options['dim']).__name__}")
        return tensors, options

    def details(self, shapes: tuple[Shape, ...], options: Options) -> dict[str, Any]:
        return {"count": len(shapes)}


@block
class Stack(Joining):
    """Tensors of one shape side by side along a new axis ``dim``: y[…, p, …] is an entry of the p-th tensor."""

    name = "stack"
    functions = ("stack",)
    refusal = "stack expects a non-empty TensorList"
    backward_name = "StackBackward0"
    samples = (
        Sample(((3,), (3,))),
        Sample(((2, 3), (2, 3), (2, 3)), {"dim": -1}),
        Sample(((), ())),
        Sample(((2, 3),), {"dim": 1}),
    )

    def forward(self, *tensors: Any, dim: int = 0) -> Any:
        (axis,) = axes(dim, tensors[0].ndim + 1)
        first = tensors[0].shape
        for k, t in enumerate(tensors):
            if t.shape != first:
                raise RuntimeError(
                    f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(t.shape)} "
                    f"at entry {k}"
                )
        return np.stack(tensors, axis)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, *tensors: Any, dim: int = 0) -> Any:
        before = (slice(None),) * (dim % g.ndim)
        return tuple([need and xp.index(g, index=(*before, k)) for k, need in enumerate(needs)])

    def formula(self, s: Any, out: Any, *tensors: Any, dim: int = 0) -> Any:
        axis = dim % len(out)
        rest = (*out[:axis], *out[axis + 1 :])
        if len(tensors) == 1:
            return tensors[0][rest]
        terms = [s.indicator(s.equal(out[axis], k)) * t[rest] for k, t in enumerate(tensors)]
        return s.added(terms)


def ends(sizes: list[int]) -> list[tuple[int, int]]:
    """Where parts of these sizes begin and end when they are laid in a row."""
    return list(itertools.pairwise(itertools.accumulate(sizes, initial=0)))


@block
class Cat(Joining):
    """Tensors one after the other along ``dim``; every other axis must have one size. Tensors of shape (0,) are skipped."""

    name = "cat"
    functions = ("cat", "concat", "concatenate")
    refusal = "expected a non-empty list of Tensors"
    backward_name = "CatBackward0"
    samples = (
        Sample(((2,), (3,))),
        Sample(((2, 2), (2, 1), (2, 3)), {"dim": 1}),
        Sample(((1, 2), (0,), (2, 2)), {"dim": -2}),
        Sample(((2, 2),)),
    )

    def forward(self, *tensors: Any, dim: int = 0) -> Any:
        parts = [(k, t) for k, t in enumerate(tensors) if t.shape != (0,)]
        for k, t in enumerate(tensors):
            if not t.ndim:
                raise RuntimeError(f"zero-dimensional tensor (at position {k}) cannot be concatenated")
        if not parts:
            axes(dim, 1)
            return np.zeros(0, tensors[0].dtype)
        first = parts[0][1]
        (axis,) = axes(dim, first.ndim)
        for k, t in parts:
            if t.ndim != first.ndim:
                raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}")
            for n, (a, b) in enumerate(zip(first.shape, t.shape, strict=True)):
                if n != axis and a != b:
                    raise RuntimeError(
                        f"Sizes of tensors must match except in dimension {axis}. Expected size {a} but got size {b} for "
                        f"tensor number {k} in the list."
                    )
        return np.concatenate([t for _, t in parts], axis)

    @staticmethod
    def places(shapes: list[Shape], ndim: int, dim: int) -> tuple[int, list[tuple[int, int]]]:
        """The axis, and per tensor where its part of it begins and ends."""
        axis = dim % ndim
        return axis, ends([0 if shape == (0,) else shape[axis] for shape in shapes])

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, *tensors: Any, dim: int = 0) -> Any:
        axis, places = self.places([tuple(t.shape) for t in tensors], g.ndim, dim)
        parts = [
            need and xp.index(g, index=(*(slice(None),) * axis, slice(*place)))
            for need, place in zip(needs, places, strict=True)
        ]
        return tuple(
            [
                xp.reshape(part, shape=(0,)) if need and t.shape == (0,) else part
                for need, part, t in zip(needs, parts, tensors, strict=True)
            ]
        )

    def formula(self, s: Any, out: Any, *tensors: Any, dim: int = 0) -> Any:
        axis, places = self.places([t.numbers for t in tensors], len(out), dim)
        total = places[-1][1]
        terms = []
        for t, (start, end) in zip(tensors, places, strict=True):
            if start == end:
                continue
            entry = t[(*out[:axis], out[axis] - start, *out[axis + 1 :])]
            terms.append(s.product([*s.within(out[axis], start, end, total), entry]))
        return s.added(terms)


@block
class BlockDiag(Joining):
    """The matrices as blocks along the diagonal, zeros elsewhere; vectors are rows, numbers are 1 × 1."""

    name = "block_diag"
    functions = ("block_diag",)
    listed = False
    backward_name = "BlockDiagBackward0"
    samples = (Sample(((2, 2), (1, 2))), Sample(((2,), (), (2, 1))))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if kwargs:
            raise NoMatch(self._unexpected(kwargs))
        return args, {}

    @staticmethod
    def places(shapes: list[Shape]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Per block the ends of its rows and of its columns."""
        full = [(1,) * (2 - len(shape)) + shape for shape in shapes]
        return list(zip(ends([n for n, _ in full]), ends([m for _, m in full]), strict=True))

    def forward(self, *tensors: Any) -> Any:
        for t in tensors:
            if t.ndim > 2:
                raise RuntimeError(
                    "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                    f"{[t is u for u in tensors].index(True)} has {t.ndim} dimensions"
                )
        places = self.places([t.shape for t in tensors])
        (_, rows), (_, columns) = places[-1]
        y = np.zeros((rows, columns), tensors[0].dtype)
        for t, ((top, bottom), (left, right)) in zip(tensors, places, strict=True):
            y[top:bottom, left:right] = t
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, *tensors: Any) -> Any:
        places = self.places([tuple(t.shape) for t in tensors])
        return tuple(
            [
                need and xp.reshape(xp.index(g, index=(slice(*rows), slice(*columns))), shape=tuple(t.shape))
                for need, t, (rows, columns) in zip(needs, tensors, places, strict=True)
            ]
        )

    def formula(self, s: Any, out: Any, *tensors: Any) -> Any:
        places = self.places([t.numbers for t in tensors])
        totals = [end for _, end in places[-1]]
        terms = []
        for t, spans in zip(tensors, places, strict=True):
            inside = [
                bracket
                for i, (start, end), total in zip(out, spans, totals, strict=True)
                for bracket in s.within(i, start, end, total)
            ]
            place = [i - start for i, (start, _) in zip(out, spans, strict=True)]
            if math.prod(t.numbers):
                terms.append(s.product([*inside, t[tuple(place[2 - t.ndim :])]]))
        return s.added(terms)


# what torch makes of these


def any_tensors(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call with any number of tensors, or with one list of them."""
    if len(args) == 1 and isinstance(args[0], tuple | list):
        args = tuple(args[0])
    if not args:
        raise NoMatch("at least one tensor is needed")
    return args, kwargs


def _with_axes(xp: Any, x: Any, ndim: int) -> Any:
    """The tensor with at least ``ndim`` axes, as torch puts them in; the very same if it has them."""
    if x.ndim >= ndim:
        return x
    if x.ndim == 0:
        return xp.reshape(x, shape=(1,) * ndim)
    x = x if ndim == 1 or x.ndim > 1 else xp.unsqueeze(x, dim=0)
    return x if x.ndim >= ndim else xp.unsqueeze(x, dim=-1)


def _each_with_axes(ndim: int) -> Any:
    def compose(xp: Any, *tensors: Any) -> Any:
        found = tuple([_with_axes(xp, x, ndim) for x in tensors])
        return found if len(found) > 1 else found[0]

    return compose


for _ndim in (1, 2, 3):
    composite(
        f"atleast_{_ndim}d", _each_with_axes(_ndim), functions=(f"atleast_{_ndim}d",), bind=any_tensors,
        samples=(Sample(((),)), Sample(((3,),)), Sample(((2, 3), (3,)))),
    )  # fmt: skip


def _not_empty(name: str) -> Any:
    def bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tensors = args[0] if args else kwargs.pop("tensors", None)
        if not isinstance(tensors, tuple | list) or len(args) > 1 or kwargs:
            raise NoMatch(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors")
        if not tensors:
            raise RuntimeError(f"{name} expects a non-empty TensorList")
        return tuple(tensors), {}

    return bind


def _hstack(xp: Any, *tensors: Any) -> Any:
    parts = [_with_axes(xp, x, 1) for x in tensors]
    return xp.cat(*parts, dim=0 if parts[0].ndim == 1 else 1)


def _vstack(xp: Any, *tensors: Any) -> Any:
    return xp.cat(*[_with_axes(xp, x, 2) for x in tensors], dim=0)


def _dstack(xp: Any, *tensors: Any) -> Any:
    return xp.cat(*[_with_axes(xp, x, 3) for x in tensors], dim=2)


def _column_stack(xp: Any, *tensors: Any) -> Any:
    columns = [xp.reshape(x, shape=(math.prod(x.shape), 1)) if x.ndim <= 1 else x for x in tensors]
    return xp.cat(*columns, dim=1)


ROWS = (Sample(((3,), (3,))), Sample(((2, 1), (2, 1))))
for _name, _compose, _names in (
    ("hstack", _hstack, ("hstack",)),
    ("vstack", _vstack, ("vstack", "row_stack")),
    ("dstack", _dstack, ("dstack",)),
    ("column_stack", _column_stack, ("column_stack",)),
):
    composite(_name, _compose, functions=_names, bind=_not_empty(_name), samples=ROWS)
