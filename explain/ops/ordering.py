"""Operations that pick entries by their place in order: topk, kthvalue, medians and the mode, and positions in order."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from explain.ops.base import NoMatch, Op, Sample, axes, numpy_dtype, refuse_empty
from explain.ops.choice import Picked, is_tie
from explain.ops.registry import block, composite, register


def _sole(x: Any, keepdim: bool = False) -> tuple[Any, Any]:
    """What is picked of a number: itself, at position 0."""
    return x[()], np.int64(0)


@block
class TopK(Picked):
    """The ``k`` largest (or smallest) entries along ``dim`` in order, with their positions. Of equal ones the first come
    first, where torch promises nothing."""

    name = "topk"
    functions = methods = ("topk",)
    rule = "extremum_of_axis"
    backward_name = "TopkBackward0"
    samples = (Sample(((4,),), {"k": 2}), Sample(((2, 3),), {"k": 1, "dim": 0, "largest": False}))

    def forward(self, x: Any, *, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        over = axes(dim, x.ndim)
        n = x.shape[over[0]] if over else 1
        if not 0 <= k <= n:
            raise RuntimeError("selected index k out of range")
        if not over:
            return _sole(x) if k else (np.zeros(0, x.dtype), np.zeros(0, np.int64))
        (axis,) = over
        if largest:  # read from the far end, so that equal entries keep their order
            order = n - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
        else:
            order = np.argsort(x, axis=axis, kind="stable")
        at = np.take(order, np.arange(k), axis)
        return np.take_along_axis(x, at, axis), at


class OneOfAxis(Picked):
    """One entry along an axis, found by its place in order, with its position."""

    rule = "ordered_pick"

    def __init__(
        self, name: str, torch_name: str, backward_name: str, find: Callable[..., Any], sample: dict[str, Any]
    ) -> None:
        self.name, self.backward_name, self._find = name, backward_name, find
        self.functions = self.methods = (torch_name,)
        self.samples = (
            Sample(((2, 3),), {**sample, "dim": 1}),
            Sample(((3, 2),), {**sample, "dim": 0, "keepdim": True}),
        )
        super().__init__()

    def picked(self, x: Any, dim: int, keepdim: bool, **options: Any) -> tuple[Any, Any]:
        """The entries and their positions."""
        over = axes(dim, x.ndim)
        if not over:
            return _sole(x)
        (axis,) = over
        if x.shape[axis] == 0:
            refuse_empty(self.functions[0], x.shape, dim)
        at = np.expand_dims(self._find(np.moveaxis(x, axis, -1), **options), axis)
        values = np.take_along_axis(x, at, axis)
        return (values, at) if keepdim else (values.squeeze(axis)[()], at.squeeze(axis)[()])


def _kth(x: Any, k: int) -> Any:
    return np.argsort(x, axis=-1, kind="stable")[..., k - 1]


class KthValue(OneOfAxis):
    """The ``k``-th smallest entry along ``dim``, with its position."""

    def forward(self, x: Any, *, k: int, dim: int = -1, keepdim: bool = False) -> Any:
        over = axes(dim, x.ndim)
        n = x.shape[over[0]] if over else 1
        if n and not 1 <= k <= n:
            raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {over[0] if over else 0}")
        return self.picked(x, dim, keepdim, k=k)


register(KthValue("kthvalue", "kthvalue", "KthvalueBackward0", _kth, {"k": 2}))


def _middle(x: Any) -> Any:
    """The position of the lower median; of the first nan where there is one."""
    order = np.argsort(x, axis=-1, kind="stable")
    found = order[..., (x.shape[-1] - 1) // 2]
    missing = x != x
    return np.where(missing.any(-1), np.argmax(missing, -1), found)


def _middle_of_numbers(x: Any) -> Any:
    """The position of the lower median of what is not nan."""
    order = np.argsort(x, axis=-1, kind="stable")
    count = np.maximum((x == x).sum(-1, keepdims=True), 1)
    return np.take_along_axis(order, (count - 1) // 2, -1)[..., 0]


class MedianOfAxis(OneOfAxis):
    """The median along ``dim`` with its position; of an even number of entries the lower one of the two in the middle."""

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        ins, options = super().bind(*args, **kwargs)
        if not isinstance(options["dim"], int | np.integer):
            raise NoMatch(f"{self.functions[0]}() along an axis takes an integer dim")
        return ins, options

    def forward(self, x: Any, *, dim: int, keepdim: bool = False) -> Any:
        return self.picked(x, dim, keepdim)


register(MedianOfAxis("median_dim", "median", "MedianBackward1", _middle, {}))
register(MedianOfAxis("nanmedian_dim", "nanmedian", "NanmedianBackward1", _middle_of_numbers, {}))


def _most_frequent(x: Any) -> Any:
    """The last position of the entry that occurs most often, of the smallest such entry."""
    order = np.argsort(x, axis=-1, kind="stable")
    ordered = np.take_along_axis(x, order, -1)
    place = np.arange(x.shape[-1])
    new = np.concatenate([np.ones_like(ordered[..., :1], bool), ordered[..., 1:] != ordered[..., :-1]], -1)
    run = place - np.maximum.accumulate(np.where(new, place, 0), -1)  # how many equal ones came before
    return np.take_along_axis(order, np.argmax(run, -1)[..., None], -1)[..., 0]


class Mode(OneOfAxis):
    """The entry that occurs most often along ``dim``, the smallest of several, with its last position."""

    def forward(self, x: Any, *, dim: int = -1, keepdim: bool = False) -> Any:
        return self.picked(x, dim, keepdim)


register(Mode("mode", "mode", "ModeBackward0", _most_frequent, {}))


class Median(Op):
    """The median of all entries, the lower one of two in the middle; equal entries share evenly."""

    kind = "choice"
    rule = "median"
    uses = ("x y",)
    samples = (Sample(((2, 3),)), Sample(((3,),)), Sample(((),)))

    def __init__(self, name: str, find: Callable[..., Any]) -> None:
        self.name, self._find = name, find
        self.functions = self.methods = (name,)
        self.backward_name = f"{name.capitalize()}Backward0"
        self.special = MappingProxyType({"tie": self._ties})
        super().__init__()

    def _ties(self, x: Any, *, dim: Any = None) -> Any:
        return is_tie(x, self.forward(x), tuple(range(x.ndim)))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(args) + len(kwargs) > 1:
            raise NoMatch(f"{self.name}() of all entries takes one tensor")
        return super().bind(*args, **kwargs)

    def forward(self, x: Any, *, dim: Any = None) -> Any:
        over = axes(dim, x.ndim)
        rest = tuple(k for k in range(x.ndim) if k not in over)
        rows = x.transpose(rest + over).reshape((*(x.shape[k] for k in rest), -1 if x.size else 0))
        if not rows.shape[-1]:
            return np.full(rows.shape[:-1], np.nan, x.dtype)[()]
        at = np.asarray(self._find(rows))[..., None]
        return np.take_along_axis(rows, at, -1)[..., 0]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, dim: Any = None) -> Any:
        chosen = xp.logical_or(xp.equal(x, y), xp.logical_and(xp.not_equal(x, x), xp.not_equal(y, y)))
        hit = xp.to(chosen, dtype=numpy_dtype(g))
        return (g * (hit / xp.sum(hit)),)

    def formula(self, s: Any, out: Any, x: Any, *, dim: Any = None) -> Any:
        place, bound = s.reduced(x, out, axes(dim, x.ndim), False)
        return s.reduction(self.name, x[place], *bound)

    def slope(self, s: Any, y: Any, at: Any, position: Any, body: Any, bound: Any) -> Any:
        """One for the entry in the middle, shared evenly among equal ones."""
        return s.indicator(s.equal(at, y)) / s.total(s.indicator(s.equal(body, y)), *bound)


register(Median("median", _middle))
register(Median("nanmedian", _middle_of_numbers))


composite(
    "argsort",
    lambda xp, x, *, dim=-1, descending=False, stable=False: xp.sort(x, dim=dim, descending=descending, stable=stable)[1],
    functions=("argsort",), methods=("argsort",), samples=(Sample(((3,),)),), instead=("sort",),
)  # fmt: skip
composite(
    "msort", lambda xp, x: xp.sort(x, dim=0)[0], functions=("msort",), methods=("msort",), samples=(Sample(((3,),)),),
)  # fmt: skip


# positions and counts: integers, so nothing flows back


class Constant(Op):
    """An op whose result has no derivative: ``compute`` on arrays."""

    kind = "constant"
    differentiable = False

    def __init__(self, name: str, compute: Callable[..., Any], samples: tuple[Sample, ...], **fields: Any) -> None:
        self.name, self.forward, self.samples = name, compute, samples
        self.functions, self.methods = (name,), (name,)
        for key, value in fields.items():
            setattr(self, key, value)
        super().__init__()


def _argwhere(x: Any) -> Any:
    if not np.ndim(x):
        return np.zeros((int(bool(x)), 0), np.int64)
    return np.argwhere(x).astype(np.int64)


register(Constant("argwhere", _argwhere, (Sample((np.array([0.0, 1.0, 2.0]),)),)))


def _nonzero(xp: Any, x: Any, *, as_tuple: bool = False) -> Any:
    rows = xp.argwhere(x)
    if not as_tuple:
        return rows
    if not x.ndim:
        return (xp.reshape(xp.argwhere(xp.reshape(x, shape=(1,))), shape=(-1,)),)
    return tuple([xp.index(rows, index=(slice(None), k)) for k in range(x.ndim)])


composite(
    "nonzero", _nonzero, functions=("nonzero",), methods=("nonzero",), samples=(Sample((np.array([0.0, 1.0]),)),),
)  # fmt: skip


composite(
    "where_nonzero", lambda xp, condition: _nonzero(xp, condition, as_tuple=True), functions=("where",),
    samples=(Sample((np.array([True, False]),)),),
)  # fmt: skip


def _searchsorted(
    sorted_sequence: Any, values: Any, *, out_int32: bool = False, right: bool = False, side: Any = None, sorter: Any = None
) -> Any:
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    after = right or side == "right"
    if sorter is not None:
        sorted_sequence = np.take_along_axis(sorted_sequence, getattr(sorter, "array", sorter), -1)
    rows = sorted_sequence[..., None, :]
    if sorted_sequence.ndim > 1:
        if sorted_sequence.shape[:-1] != np.shape(values)[:-1]:
            raise RuntimeError(
                "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
                f"tensor and input value tensor must match, but we got boundaries tensor {list(sorted_sequence.shape)} and "
                f"input value tensor {list(np.shape(values))}"
            )
    else:
        rows = sorted_sequence
    below = (rows <= np.asarray(values)[..., None]) if after else (rows < np.asarray(values)[..., None])
    missing = np.asarray(values)[..., None] != np.asarray(values)[..., None]  # nan comes last
    found = np.where(missing, True if after else rows == rows, below).sum(-1)
    return found.astype(np.int32 if out_int32 else np.int64)[()]


register(
    Constant(
        "searchsorted", _searchsorted, (Sample((np.array([1.0, 2.0, 4.0]), np.array([0.5, 2.0, 9.0]))),),
        methods=(), numbers=(1,), promotion="keep",
    )
)  # fmt: skip


def _bucketize(x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _searchsorted(boundaries, np.asarray(x), out_int32=out_int32, right=right)


register(
    Constant("bucketize", _bucketize, (Sample((np.array([0.5, 2.0]), np.array([1.0, 2.0, 4.0]))),), methods=(), numbers=(0,))
)


def _bincount(x: Any, *, weights: Any = None, minlength: int = 0) -> Any:
    if x.ndim != 1 or x.dtype.kind not in "biu" or (x.size and x.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    given = None if weights is None else np.asarray(getattr(weights, "array", weights))
    if given is not None and given.shape != x.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    found = np.bincount(x, given, minlength)
    return found.astype(np.int64 if given is None else given.dtype if given.dtype == np.float32 else np.float64)


register(Constant("bincount", _bincount, (Sample((np.array([0, 2, 2]),)),)))


def _unique(
    x: Any, *, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    if dim is not None and x.ndim == 0:
        raise RuntimeError("unique_dim: input has no axes")
    flat = x.reshape(-1) if dim is None else x
    values, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    inverse = inverse.reshape(x.shape) if dim is None else inverse.reshape(-1)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def _asked(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    more = [part.astype(np.int64)[()] for part, wanted in ((inverse, return_inverse), (counts, return_counts)) if wanted]
    return (values, *more)


def _unique_consecutive(x: Any, *, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
    size = len(rows)
    apart = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
    new = np.concatenate([np.ones(min(1, size), bool), apart])
    starts = np.flatnonzero(new)
    inverse = np.cumsum(new) - 1
    values = rows[starts]
    values = values if dim is None else np.moveaxis(values, 0, dim)
    counts = np.diff(np.append(starts, size))
    return _asked(values, inverse.reshape(x.shape) if dim is None else inverse, counts, return_inverse, return_counts)


class Distinct(Constant):
    """The different entries: torch makes a node for them, whose backward raises."""

    not_implemented = "unique"

    def _no_derivative(self, *args: Any, dim: int | None = None, **options: Any) -> Any:
        own = "unique_consecutive" if "consecutive" in self.name else "_unique2" if dim is None else "unique_dim"
        raise NotImplementedError(f"the derivative for '{own}' is not implemented.")


for _name, _compute in (("unique", _unique), ("unique_consecutive", _unique_consecutive)):
    register(
        Distinct(f"{_name}_parts", _compute, (Sample((np.array([2.0, 1.0, 2.0]),)),), functions=(), methods=(), outputs=0)
    )


def _unique_of(
    xp: Any, x: Any, *, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    found = xp.unique_parts(x, return_inverse=return_inverse, return_counts=return_counts, dim=dim)
    return found[0] if len(found) == 1 else found


def _unique_consecutive_of(
    xp: Any, x: Any, *, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    found = xp.unique_consecutive_parts(x, return_inverse=return_inverse, return_counts=return_counts, dim=dim)
    return found[0] if len(found) == 1 else found


for _name, _of, _whole, _rows in (
    ("unique", _unique_of, "Unique2Backward0", "UniqueDimBackward0"),
    ("unique_consecutive", _unique_consecutive_of, "UniqueConsecutiveBackward0", "UniqueConsecutiveBackward0"),
):
    composite(
        _name, _of, functions=(_name,), methods=(_name,), samples=(Sample((np.array([2.0, 1.0, 2.0]),)),),
        not_implemented=_name,
        grad_fn=lambda shapes, options, whole=_whole, rows=_rows: whole if options.get("dim") is None else rows,
    )  # fmt: skip
