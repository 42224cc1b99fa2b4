"""Operations that overwrite entries where a mask is true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, broadcast_error, word
from explain.ops.entrywise import elementwise
from explain.ops.registry import block, composite


def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {C_NAMES[word(mask.dtype)]}")
    if np.ndim(value):
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {np.ndim(value)} dimension(s)."
        )
    if x.dtype.kind in "biu" and np.asarray(value).dtype.kind == "f" and value != int(value):
        raise RuntimeError("value cannot be converted to type int64_t without overflow")
    return np.where(mask, np.asarray(value).astype(x.dtype), x)[()]


C_NAMES = {
    "Float": "float", "Double": "double", "Half": "c10::Half", "Long": "long int", "Int": "int", "Short": "short int",
    "Byte": "unsigned char", "Char": "signed char",
}  # fmt: skip
elementwise(
    "masked_fill",
    _masked_fill,
    (
        lambda xp, g, y, x, mask, value: xp.where(mask, 0.0, g),
        lambda xp, g, y, x, mask, value: None,
        lambda xp, g, y, x, mask, value: xp.where(mask, g, 0.0),
    ),
    formula=lambda s, x, mask, value: s.where(s.holds(mask), value, x),
    uses=("mask", "", "mask"),
    functions=("masked_fill",),
    methods=("masked_fill",),
    numbers=(2,),
    reads_values=(1,),
    promotion="keep",
    rule="masked_fill",
    grad_fn_of=lambda shapes, options: f"MaskedFillBackward{0 if shapes[2] is None else 1}",
    samples=(
        Sample(((2, 3), np.array([[True, False, True], [False, False, True]]), ())),
        Sample(((2, 3), np.array([True, False, True]), ())),
    ),
)


@block
class MaskedScatter(Op):
    """x with the entries of ``source``, in their order, where the mask is true."""

    name = "masked_scatter"
    functions = methods = ("masked_scatter",)
    kind = "index"
    rule = "written"
    in_place = True
    backward_name = "MaskedScatterBackward0"
    uses = ("mask", "", "mask")
    reads_values = (1,)
    samples = (
        Sample(((2, 3), np.array([[True, False, True], [False, False, True]]), (4,))),
        Sample(((2, 2), np.array([True, False]), (2, 2))),
    )

    def forward(self, x: Any, mask: Any, source: Any) -> Any:
        if mask.dtype.kind != "b":
            raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {word(mask.dtype)}")
        if x.dtype != source.dtype:
            raise RuntimeError(
                f"masked_scatter: expected self and source to have same dtypes but got {word(x.dtype)} and "
                f"{word(source.dtype)}"
            )
        shape = np.broadcast_shapes(x.shape, mask.shape)
        y, where = np.array(np.broadcast_to(x, shape)), np.broadcast_to(mask, shape)
        count = int(where.sum())
        if count > source.size:
            raise RuntimeError("number of elements of source < number of ones in mask")
        y[where] = source.reshape(-1)[:count]
        return y[()]

    def shape_error(self, shapes: tuple[Shape, ...], options: Options) -> Exception | None:
        return broadcast_error(shapes[:2])

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, mask: Any, source: Any) -> Any:
        kept = needs[0] and xp.where(mask, 0.0, g)
        if kept is not False and tuple(x.shape) != tuple(g.shape):
            kept = xp.sum_to(kept, shape=tuple(x.shape))
        if not needs[2]:
            return kept, None, None
        taken = xp.masked_select(g, mask)
        row = xp.put_at(taken, np.arange(taken.shape[0]), shape=(math.prod(source.shape),))
        return kept, None, xp.reshape(row, shape=tuple(source.shape))

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        _, mask, source = ins
        where = np.broadcast_to(mask, y.shape)
        rank = np.maximum(np.cumsum(where).reshape(y.shape) - 1, 0)
        places = np.unravel_index(rank, source.shape) if source.ndim and source.size else ()
        return {"written": where.astype(np.int64), **{f"p{k}": np.asarray(p) for k, p in enumerate(places)}}

    def formula(self, s: Any, out: Any, x: Any, mask: Any, source: Any) -> Any:
        if not all(source.numbers):
            return x.at(out)
        new = source[tuple(s.position(s.given(f"p{k}")[out]) for k in range(source.ndim))]
        return s.where(s.equal(s.given("written")[out], 1), new, x.at(out))


composite(
    "where_of", lambda xp, x, condition, other: xp.where(condition, x, other), methods=("where",), reads_values=(1,),
    numbers=(2,), samples=(Sample(((2,), np.array([True, False]), (2,))),),
)  # fmt: skip
