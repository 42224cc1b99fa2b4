"""Operations that cut tensors apart: unbind, split, and the views that torch makes of slices. Every part is a view."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Options, Sample, Shape, axes, numpy_dtype, plain_array
from explain.ops.joining import ends
from explain.ops.registry import COMPOSITES, block, composite


def at_axis(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that applies ``part`` to one axis and leaves those before it whole."""
    return (*(slice(None),) * axis, part)


def one_axis(name: str, dim: Any, shape: Shape) -> int:
    """The axis that ``dim`` means. Raises torch's errors, also for tensors without axes."""
    if not shape:
        raise (IndexError if name == "select" else RuntimeError)(f"{name}() cannot be applied to a 0-dim tensor.")
    (axis,) = axes(dim, len(shape))
    return axis


class Parts(Op):
    """As many views as the call says, one after the other along ``dim``."""

    kind = "index"
    rule = "part"
    outputs = 0
    views = True
    uses = ("",)

    @staticmethod
    def whole(xp: Any, g: Any, shapes: list[Shape]) -> list[Any]:
        """The upstreams of all parts, zeros for those that nobody used."""
        g = g if isinstance(g, list | tuple) else (g,)
        dtype = numpy_dtype(next(t for t in g if t is not None))
        return [np.zeros(shape, dtype) if t is None else t for t, shape in zip(g, shapes, strict=True)]


@block
class Unbind(Parts):
    """The slices along ``dim``, which they lose: the p-th is x[…, p, …]."""

    name = "unbind"
    functions = methods = ("unbind",)
    backward_name = "UnbindBackward0"
    samples = (Sample(((2, 3),)), Sample(((2, 3),), {"dim": -1}), Sample(((1,),)))

    def forward(self, x: Any, *, dim: int = 0) -> Any:
        (axis,) = axes(dim, x.ndim) or axes(0, x.ndim - 1)
        return tuple([x[(*at_axis(axis, k), ...)] for k in range(x.shape[axis])])

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: int = 0) -> Any:
        axis = dim % x.ndim
        part = (*x.shape[:axis], *x.shape[axis + 1 :])
        return (xp.stack(*self.whole(xp, g, [part] * x.shape[axis]), dim=axis),)

    def formula(self, s: Any, out: Any, x: Any, *, which: int, dim: int = 0) -> Any:
        axis = dim % x.ndim
        return x[(*out[:axis], s.number(which), *out[axis:])]


@block
class Split(Parts):
    """Parts of ``split_size`` entries along ``dim``, the last one smaller if need be; or parts of the given sizes."""

    name = "split"
    functions = methods = ("split", "split_with_sizes")
    backward_name = "SplitBackward0"
    samples = (
        Sample(((5,),), {"split_size": 2}),
        Sample(((2, 4),), {"split_size": (1, 3), "dim": 1}),
        Sample(((2, 2),), {"split_size": 2, "dim": -1}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for name in ("split_size_or_sections", "split_sizes"):
            if name in kwargs:
                kwargs["split_size"] = kwargs.pop(name)
        ins, options = super().bind(*args, **{{"tensor": "x"}.get(k, k): v for k, v in kwargs.items()})
        size = options["split_size"]
        if not isinstance(size, int | np.integer):
            if not isinstance(size, list | tuple):
                raise NoMatch(f"split(): argument 'split_size' must be int or tuple of ints, not {type(size).__name__}")
            options["split_size"] = tuple(size)
        return ins, options

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return "SplitWithSizesBackward0" if isinstance(options.get("split_size"), tuple) else self.backward_name

    @staticmethod
    def places(shape: Shape, split_size: Any, dim: int) -> tuple[int, list[tuple[int, int]]]:
        """The axis and where along it each part begins and ends. Raises torch's RuntimeErrors."""
        if not shape:
            raise RuntimeError("split expects at least a 1-dimensional tensor")
        (axis,) = axes(dim, len(shape))
        n = shape[axis]
        if isinstance(split_size, tuple):
            if any(k < 0 for k in split_size):
                raise RuntimeError(
                    "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes="
                    f"{list(split_size)}"
                )
            if sum(split_size) != n:
                raise RuntimeError(
                    f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
                    f"but got split_sizes={list(split_size)}"
                )
            return axis, ends(list(split_size))
        if split_size < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={split_size}")
        if not split_size and n:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        return axis, [(k, min(n, k + split_size)) for k in range(0, n, split_size or 1)] or [(0, 0)]

    def forward(self, x: Any, *, split_size: Any, dim: int = 0) -> Any:
        axis, places = self.places(x.shape, split_size, dim)
        return tuple([x[at_axis(axis, slice(*place))] for place in places])

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, split_size: Any, dim: int = 0) -> Any:
        axis, places = self.places(tuple(x.shape), split_size, dim)
        shapes = [(*x.shape[:axis], end - start, *x.shape[axis + 1 :]) for start, end in places]
        return (xp.cat(*self.whole(xp, g, shapes), dim=axis),)

    def formula(self, s: Any, out: Any, x: Any, *, which: int, split_size: Any, dim: int = 0) -> Any:
        axis, places = self.places(x.numbers, split_size, dim)
        return x[(*out[:axis], out[axis] + places[which][0], *out[axis + 1 :])]


# what torch makes of these, and of slices


def _chunk(xp: Any, x: Any, *, chunks: int, dim: int = 0) -> Any:
    if not x.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    (axis,) = axes(dim, x.ndim)
    n = x.shape[axis]
    return xp.split(x, split_size=-(-n // chunks) if n else (0,) * chunks, dim=dim)


def _cuts(n: int, wanted: Any) -> list[int]:
    """Where ``tensor_split`` cuts an axis of n entries: into so many parts, or at the given places."""
    if isinstance(wanted, int | np.integer):
        if wanted <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {wanted}")
        wanted = int(wanted)
        sizes = [n // wanted + (k < n % wanted) for k in range(wanted)]
        return [end for _, end in ends(sizes)][:-1]
    return [int(k) for k in wanted]


def _tensor_split(xp: Any, x: Any, *, indices_or_sections: Any, dim: int = 0) -> Any:
    wanted = indices_or_sections
    if hasattr(wanted, "dtype") and not isinstance(wanted, np.integer):
        if wanted.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, "
                f"but got a tensor with {wanted.ndim} dims"
            )
        if numpy_dtype(wanted) != np.int64:
            raise RuntimeError("tensor_split expected tensor_indices_or_sections to have dtype of long")
        wanted = plain_array(wanted).tolist()
    if not x.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    (axis,) = axes(dim, x.ndim)
    n = x.shape[axis]
    cuts = _cuts(n, wanted)
    spans = [slice(*pair) for pair in zip([None, *cuts], [*cuts, None], strict=True)]
    return tuple([xp.index(x, index=at_axis(axis, span)) for span in spans])


def _tensor_split_bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for name in ("sections", "indices", "tensor_indices_or_sections"):
        if name in kwargs:
            kwargs["indices_or_sections"] = kwargs.pop(name)
    return Op.bind(TENSOR_SPLIT, *args, **kwargs)


composite(
    "chunk", _chunk, functions=("chunk",), methods=("chunk",),
    samples=(Sample(((5,),), {"chunks": 2}),),
)  # fmt: skip
TENSOR_SPLIT = composite(
    "tensor_split", _tensor_split, functions=("tensor_split",), methods=("tensor_split",), bind=_tensor_split_bind,
    samples=(Sample(((5,),), {"indices_or_sections": 2}), Sample(((2, 4),), {"indices_or_sections": (1, 3), "dim": 1})),
)  # fmt: skip


def _split_along(name: str, least: int) -> Any:
    def compose(xp: Any, x: Any, *, indices_or_sections: Any) -> Any:
        if x.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension{'s' * (least > 1)}, but got a tensor with "
                f"{x.ndim} dimensions!"
            )
        axis = {"hsplit": min(1, x.ndim - 1), "vsplit": 0, "dsplit": 2}[name]
        parts = indices_or_sections
        if isinstance(parts, int | np.integer) and (parts <= 0 or x.shape[axis] % parts):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension {x.shape[axis]} is "
                f"not divisible by the split_size {parts}!"
            )
        return xp.tensor_split(x, indices_or_sections=parts, dim=axis)

    return compose


def _split_along_bind(name: str) -> Any:
    def bind(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for key in ("sections", "indices"):
            if key in kwargs:
                kwargs["indices_or_sections"] = kwargs.pop(key)
        ins, options = Op.bind(COMPOSITES[name], *args, **kwargs)
        if not isinstance(options["indices_or_sections"], int | np.integer | tuple | list):
            raise NoMatch(f"{name}() received an invalid combination of arguments.")
        return ins, options

    return bind


for _name, _least in (("hsplit", 1), ("vsplit", 2), ("dsplit", 3)):
    composite(
        _name, _split_along(_name, _least), functions=(_name,), methods=(_name,), bind=_split_along_bind(_name),
        samples=(Sample(((2, 2, 2),), {"indices_or_sections": 2}),),
    )  # fmt: skip


def _position(index: Any, name: str) -> int:
    """A position that is a number or a tensor without axes. Raises torch's RuntimeError for other tensors."""
    if not hasattr(index, "dtype"):
        return int(index)
    if index.ndim or numpy_dtype(index).kind not in "iu":
        raise RuntimeError(f"{name} must be an 0-dim integral Tensor.")
    return int(index.item())


def _select(xp: Any, x: Any, *, dim: int, index: Any) -> Any:
    axis, k = one_axis("select", dim, x.shape), _position(index, "index")
    n = x.shape[axis]
    if not -n <= k < n:
        raise IndexError(f"select(): index {k} out of range for tensor of size {list(x.shape)} at dimension {dim}")
    return xp.index(x, index=at_axis(axis, k))


def _narrow(xp: Any, x: Any, *, dim: int, start: Any, length: int) -> Any:
    axis, first = one_axis("narrow", dim, x.shape), _position(start, "start")
    n = x.shape[axis]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= first <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {first})")
    first = first + n if first < 0 else first
    if first + length > n:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return xp.index(x, index=at_axis(axis, slice(first, first + length)))


composite(
    "select", _select, functions=("select",), methods=("select",),
    samples=(Sample(((2, 3),), {"dim": 1, "index": -1}),),
)  # fmt: skip
composite(
    "narrow", _narrow, functions=("narrow",), methods=("narrow",),
    samples=(Sample(((2, 3),), {"dim": 1, "start": 1, "length": 2}),),
)  # fmt: skip
