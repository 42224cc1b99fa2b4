"""Operations that read and write entries at positions given by an index tensor: gather, scatter, take."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import ARGUMENT_ALIASES, NoMatch, Op, Sample, Shape, axes, broadcast_error, plain_array, word
from explain.ops.registry import block, composite


class AlongAxis(Op):
    """An op that torch calls as ``(input, dim, index, …)``: the axis stands before the index."""

    kind = "index"
    order: tuple[str, ...] = ("x", "dim", "index")
    aliases = {"input": "x", "source": "src", "tensor": "src"}  # noqa: RUF012

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if len(args) > len(self.order):
            raise NoMatch(f"{self.name}() takes at most {len(self.order)} arguments, got {len(args)}")
        given = dict(zip(self.order, args, strict=False))
        for key, value in kwargs.items():
            name = ARGUMENT_ALIASES.get(key, key)
            name = name if name in self.order or name in self.option_defaults else self.aliases.get(name, name)
            if name in given or (name not in self.order and name not in self.option_defaults):
                raise NoMatch(self._unexpected({key: value}))
            given[name] = value
        if lost := [name for name in self.order if name not in given]:
            raise NoMatch(f"{self.name}() needs {', '.join(lost)}")
        for name in self.tensor_names:
            if not hasattr(given[name], "dtype"):
                raise NoMatch(f"{self.name}(): argument '{name}' must be Tensor, not {type(given[name]).__name__}")
        return tuple(given.pop(name) for name in self.tensor_names), given


def picked_axis(name: str, x: Any, dim: int, index: Any, limit: Shape | None = None) -> int:
    """The axis that gather and scatter run along. Raises torch's errors for dtypes, sizes and positions."""
    if index.size and index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    (axis,) = axes(dim, x.ndim) or (0,)
    if index.size == 0:
        return axis
    if max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for k in range(x.ndim):
        if (k != axis and index.shape[k] > x.shape[k]) or (limit is not None and index.shape[k] > limit[k]):
            raise RuntimeError(
                f"Size does not match at dimension {k} expected index {list(index.shape)} to be no larger than self "
                f"{list(x.shape)} apart from dimension {axis}"
            )
    n = x.shape[axis] if x.ndim else 1
    bad = index[(index < 0) | (index >= n)] if index.ndim else index.reshape(1)[(index < 0) | (index >= n)]
    if bad.size:
        raise RuntimeError(f"index {bad[0]} is out of bounds for dimension {axis} with size {n}")
    return axis


def _grid(index: Any, axis: int) -> tuple[Any, ...]:
    """The index of the entries that ``index`` names along an axis."""
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    return tuple(places)


@block
class Gather(AlongAxis):
    """Along ``dim`` the entries at the positions in ``index``: y[i, j] = x[index[i, j], j]."""

    name = "gather"
    functions = methods = ("gather",)
    rule = "gather"
    backward_name = "GatherBackward0"
    uses = ("x index", "")  # only the shape of x is needed, but torch keeps x and finds out if it is written to
    reads_values = (1,)
    samples = (
        Sample(((2, 3), np.array([[2, 0], [1, 1]])), {"dim": 1}),
        Sample(((3, 2), np.array([[2], [0]])), {"dim": 0}),
        Sample(((3,), np.array([1, 1, 0, 2])), {"dim": -1}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        kwargs.pop("sparse_grad", None)
        return super().bind(*args, **kwargs)

    def forward(self, x: Any, index: Any, *, dim: int) -> Any:
        axis = picked_axis("gather", x, dim, index)
        if index.size == 0:
            return np.zeros(index.shape, x.dtype)
        return x[_grid(index, axis)] if x.ndim and index.ndim else np.broadcast_to(x, index.shape).copy()[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, *, dim: int) -> Any:
        return xp.put_along(g, index, dim=dim, shape=tuple(x.shape)), None

    def formula(self, s: Any, out: Any, x: Any, index: Any, *, dim: int) -> Any:
        if not x.ndim or not all(index.numbers):
            return x[tuple(s.zero for _ in x.numbers)]
        axis = dim % x.ndim
        return x[(*out[:axis], s.position(index[out]), *out[axis + 1 :])]


def _arrived(s: Any, out: Any, src: Any, index: Any, axis: int) -> Any:
    """The sum of the entries of ``src`` that ``index`` sends to ``out``."""
    k = s.index(index.shape[axis])
    place = (*out[:axis], k, *out[axis + 1 :])
    inside = [b for a, i in enumerate(out) if a != axis for b in s.within(i, 0, index.numbers[a], src.reach[a])]
    return s.total(s.product([src.operand[place], *inside, s.indicator(s.equal(index[place], out[axis]))]), k)


class _Source:
    """What is sent to positions, and how far the axes of the target reach."""

    def __init__(self, operand: Any, reach: Shape) -> None:
        self.operand, self.reach = operand, reach


@block
class PutAlong(Op):
    """Zeros of ``shape`` with g added at the picked positions along ``dim``. The transpose of picking."""

    name = "put_along"
    kind = "index"
    rule = "scatter"
    backward_name = "ScatterAddBackward0"
    uses = ("picked", "")
    reads_values = (1,)
    samples = (
        Sample(((2, 1), np.array([[2], [0]])), {"dim": 1, "shape": (2, 3)}),
        Sample(((2, 1), np.array([[2], [2]])), {"dim": 0, "shape": (3, 2)}),
    )

    def forward(self, g: Any, picked: Any, *, dim: int, shape: tuple[int, ...]) -> Any:
        if not shape:
            return np.add.reduce(g, axis=None) if g.size != 1 else g.reshape(())[()]
        out = np.zeros(shape, g.dtype)
        if picked.size:
            np.add.at(out, _grid(np.reshape(picked, picked.shape or (1,)), dim % len(shape)), g)
        return out

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, g0: Any, picked: Any, *, dim: int, shape: tuple[int, ...]) -> Any:
        return xp.gather(g, picked, dim=dim), None

    def formula(self, s: Any, out: Any, g: Any, picked: Any, *, dim: int, shape: tuple[int, ...]) -> Any:
        return _arrived(s, out, _Source(g, shape), picked, dim % len(shape))


@block
class ScatterAdd(AlongAxis):
    """x with each entry of ``src`` added at the position that ``index`` gives along ``dim``."""

    name = "scatter_add"
    functions = methods = ("scatter_add",)
    order = ("x", "dim", "index", "src")
    rule = "scatter_add"
    in_place = True
    backward_name = "ScatterAddBackward0"
    uses = ("", "", "index")
    reads_values = (1,)
    samples = (
        Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0}),
        Sample(((2, 3), np.array([[2], [0]]), (2, 1)), {"dim": 1}),
        Sample(((3, 2), np.array([[2], [0]]), (2, 2)), {"dim": 0}),
    )

    def forward(self, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        if x.dtype != src.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        axis = picked_axis("scatter", x, dim, index, src.shape)
        y = np.array(x)
        if not index.size:
            return y[()]
        if not x.ndim:
            return (y + np.add.reduce(src, axis=None))[()].astype(x.dtype)
        np.add.at(y, _grid(index, axis), src[tuple(slice(n) for n in index.shape)])
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        return g, None, needs[2] and _to_source(xp, g, index, src, dim)

    def formula(self, s: Any, out: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        if not x.ndim:
            return x[()] + src[tuple(s.zero for _ in src.numbers)]
        return x[out] + _arrived(s, out, _Source(src, x.numbers), index, dim % x.ndim)


def _to_source(xp: Any, g: Any, index: Any, src: Any, dim: int) -> Any:
    """The upstream at the positions that entries of ``src`` were sent to; 0 for those that were not sent."""
    read = xp.gather(g, index, dim=dim)
    if tuple(index.shape) == tuple(src.shape):
        return read
    return xp.index_put(read, index=tuple(slice(0, n) for n in index.shape), shape=tuple(src.shape))


def _origin(index: Any, shape: Shape, axis: int) -> dict[str, Any]:
    """For every entry of the result whether it was written, and from where along the axis."""
    source = np.full(shape, -1)
    if index.size:
        runs = np.broadcast_to(
            np.arange(index.shape[axis]).reshape([-1 if k == axis else 1 for k in range(index.ndim)]), index.shape
        )
        source[_grid(index, axis)] = runs
    return {"written": (source >= 0).astype(np.int64), "p0": np.maximum(source, 0)}


@block
class Scatter(AlongAxis):
    """x with each entry of ``src`` written at the position that ``index`` gives along ``dim``."""

    name = "scatter"
    functions = methods = ("scatter",)
    order = ("x", "dim", "index", "src")
    rule = "written"
    in_place = True
    backward_name = "ScatterBackward0"
    uses = ("index", "", "index")
    reads_values = (1,)
    samples = (
        Sample(((3,), np.array([2, 0]), (2,)), {"dim": 0}),
        Sample(((2, 3), np.array([[2], [0]]), (2, 1)), {"dim": 1}),
    )

    def forward(self, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        if x.dtype != src.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        axis = picked_axis("scatter", x, dim, index, src.shape)
        if not x.ndim:
            return (src if index.size else x).reshape(-1)[-1]
        y = x.copy()
        if index.size:
            y[_grid(index, axis)] = src[tuple(slice(n) for n in index.shape)]
        return y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        kept = needs[0] and xp.scatter_value(g, index, dim=dim, value=0)
        return kept, None, needs[2] and _to_source(xp, g, index, src, dim)

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index, _ = ins
        return _origin(index, x.shape, options["dim"] % x.ndim) if x.ndim else {}

    def formula(self, s: Any, out: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
        if not x.ndim:
            return src[tuple(s.zero for _ in src.numbers)]
        axis = dim % x.ndim
        new = src[(*out[:axis], s.position(s.given("p0")[out]), *out[axis + 1 :])]
        return s.where(s.equal(s.given("written")[out], 1), new, x[out])


@block
class ScatterValue(AlongAxis):
    """x with the number ``value`` at the positions that ``index`` gives along ``dim``."""

    name = "scatter_value"
    functions = methods = ("scatter",)
    order = ("x", "dim", "index", "value")
    rule = "fixed_entries"
    in_place = True
    backward_name = "ScatterBackward1"
    uses = ("index", "")
    reads_values = (1,)
    samples = (Sample(((2, 3), np.array([[2], [0]])), {"dim": 1, "value": 0.5}),)

    def forward(self, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        axis = picked_axis("scatter", x, dim, index)
        y = np.array(x)
        if index.size and x.ndim:
            y[_grid(index, axis)] = value
        return y[()] if x.ndim or not index.size else x.dtype.type(value)

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        return xp.scatter_value(g, index, dim=dim, value=0), None

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index = ins
        return {"written": _origin(index, x.shape, options["dim"] % x.ndim)["written"]} if x.ndim else {}

    def formula(self, s: Any, out: Any, x: Any, index: Any, *, dim: int, value: Any) -> Any:
        if not x.ndim:
            return s.literal(value)
        return s.where(s.equal(s.given("written")[out], 1), s.literal(value), x[out])


@block
class ScatterReduced(AlongAxis):
    """x with each entry of ``src`` added to, or multiplied into, the position that ``index`` gives along ``dim``. Torch has
    no derivative for it; ``scatter_add`` has one."""

    name = "scatter_reduced"
    functions = methods = ("scatter",)
    order = ("x", "dim", "index", "src", "reduce")
    kind = "constant"
    differentiable = False
    not_implemented = "scatter"
    in_place = True
    reads_values = (1,)
    samples = (Sample(((3,), np.array([0, 2, 0]), (3,)), {"dim": 0, "reduce": "add"}),)

    def forward(self, x: Any, index: Any, src: Any, *, dim: int, reduce: str) -> Any:
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        axis = picked_axis("scatter", x, dim, index, src.shape)
        y = np.array(x).reshape(x.shape or (1,))
        if index.size:
            places = _grid(np.reshape(index, index.shape or (1,)), axis)
            sent = np.reshape(src, src.shape or (1,))[tuple(slice(n) for n in index.shape)]
            (np.add if reduce == "add" else np.multiply).at(y, places, sent.astype(x.dtype))
        return y.reshape(x.shape)[()]


# positions in the row of all entries


@block
class Take(Op):
    """The entries at positions counted row by row, in the shape of ``index``."""

    name = "take"
    functions = methods = ("take",)
    kind = "index"
    rule = "index"
    backward_name = "TakeBackward0"
    uses = ("index", "")
    reads_values = (1,)
    samples = (Sample(((2, 3), np.array([5, 0, -1]))), Sample(((3,), np.array([[0, 2], [1, 0]]))))

    def forward(self, x: Any, index: Any) -> Any:
        if index.dtype != np.int64:
            raise RuntimeError(f"take(): Expected a long tensor for index, but got {word(index.dtype)}")
        if index.size and not x.size:
            raise IndexError("take(): tried to take from an empty tensor")
        bad = np.atleast_1d(index)[np.atleast_1d((index < -x.size) | (index >= x.size))]
        if bad.size:
            raise IndexError(f"out of range: tried to access index {bad[0]} on a tensor of {x.size} elements.")
        return x.reshape(-1)[index]

    @staticmethod
    def places(shape: Shape, index: Any) -> tuple[Any, ...]:
        """The positions axis by axis."""
        count = math.prod(shape)
        return np.unravel_index(index % count, shape) if shape and count else ()

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, index: Any) -> Any:
        count = math.prod(x.shape)
        row = xp.put_at(g, plain_array(index) % max(1, count), shape=(count,))
        return xp.reshape(row, shape=tuple(x.shape)), None

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        x, index = ins
        return {f"p{k}": np.asarray(p) for k, p in enumerate(self.places(x.shape, index))}

    def formula(self, s: Any, out: Any, x: Any, index: Any) -> Any:
        return x[tuple(s.position(s.given(f"p{k}")[out]) for k in range(x.ndim))]


def _take_along_dim(xp: Any, x: Any, indices: Any, *, dim: int | None = None) -> Any:
    if plain_array(indices).dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {word(plain_array(indices).dtype)}"
        )
    entries = plain_array(indices)
    if np.any(entries < 0):  # here, unlike in gather, positions may count from the end
        indices = np.where(entries < 0, entries + (math.prod(x.shape) if dim is None else x.shape[dim]), entries)
    if dim is None:
        row = xp.reshape(x, shape=(math.prod(x.shape),))
        return xp.gather(row, xp.reshape(indices, shape=(math.prod(indices.shape),)), dim=0)
    if x.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{x.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    (axis,) = axes(dim, x.ndim)
    others = [tuple(1 if k == axis else n for k, n in enumerate(t.shape)) for t in (x, indices)]
    if error := broadcast_error((others[0], others[1])):
        raise error
    common = np.broadcast_shapes(*others)
    wide = [tuple(t.shape[k] if k == axis else n for k, n in enumerate(common)) for t in (x, indices)]
    x, indices = (t if tuple(t.shape) == w else xp.expand(t, shape=w) for t, w in zip((x, indices), wide, strict=True))
    return xp.gather(x, indices, dim=axis)


composite(
    "take_along_dim", _take_along_dim, functions=("take_along_dim",), methods=("take_along_dim",), reads_values=(1,),
    samples=(Sample(((2, 3), np.array([[2, 0], [1, 1]])), {"dim": 1}),),
)  # fmt: skip
