"""nn.functional.pad in all its modes, and what is made of looking entries up: one_hot and embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, plain_array, word
from explain.ops.registry import block, composite, register


def margins(pad: Any, ndim: int) -> list[tuple[int, int]]:
    """How many entries come before and after, axis by axis: torch counts pairs from the last axis."""
    pairs = [(int(pad[k]), int(pad[k + 1])) for k in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


@block
class PadConstant(Op):
    """x with ``value`` put before and after it along the last axes; a negative pad cuts entries off."""

    name = "pad_constant"
    functions = ("constant_pad_nd",)
    kind = "index"
    rule = "pad"
    uses = ("",)
    backward_name = "ConstantPadNdBackward0"
    samples = (
        Sample(((3,),), {"pad": (1, 2)}),
        Sample(((2, 2),), {"pad": (0, 1, 1, 0), "value": 0.5}),
        Sample(((2, 3),), {"pad": (-1, 1)}),
    )

    def forward(self, x: Any, *, pad: Any, value: Any = 0) -> Any:
        if len(pad) > 2 * x.ndim:
            raise RuntimeError(
                f"Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
                f"{len(pad)} while the input has {x.ndim} dimensions."
            )
        around = margins(pad, x.ndim)
        shape = tuple(before + n + after for n, (before, after) in zip(x.shape, around, strict=True))
        for k, (n, total) in enumerate(zip(x.shape, shape, strict=True)):
            if total < 0:
                before, after = around[k]
                raise RuntimeError(
                    f"The input size {n}, plus negative padding {before} and {after}, resulted in a negative output size, "
                    f"which is invalid. Check dimension {k} of your input."
                )
        y = np.full(shape, 0 if value is None else value, x.dtype)
        inner = [slice(max(0, before), total - max(0, after)) for total, (before, after) in zip(shape, around, strict=True)]
        source = [slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(x.shape, around, strict=True)]
        y[tuple(inner)] = x[tuple(source)]
        return y[()]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, pad: Any, value: Any = 0) -> Any:
        return (xp.pad_constant(g, pad=tuple(-n for n in pad)),)

    def formula(self, s: Any, out: Any, x: Any, *, pad: Any, value: Any = 0) -> Any:
        around = margins(pad, x.ndim)
        inside = []
        for i, n, (before, after) in zip(out, x.numbers, around, strict=True):
            inside += s.within(i, before, before + n, before + n + after)
        entry = x[tuple(i - before for i, (before, _) in zip(out, around, strict=True))]
        if not value:
            return s.product([*inside, entry])
        return s.where(s.all_of(inside), entry, s.literal(value)) if inside else entry


class PadFromInside(Op):
    """x continued beyond its ends with entries of its own; the axes that are padded are the last ones."""

    kind = "index"
    rule = "pad_from_inside"
    uses = ("x",)
    mode = ""
    samples: tuple[Sample, ...] = (Sample(((1, 3),), {"pad": (1, 2)}), Sample(((1, 2, 3),), {"pad": (1, 0, 0, 1)}))

    def __init__(self, mode: str, word: str) -> None:
        self.mode, self.name, self.word = mode, f"pad_{mode}", word
        self.backward_name = f"{word}Pad1DBackward0"
        super().__init__()

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        return f"{self.word}Pad{len(options.get('pad', (0, 0))) // 2}DBackward0"

    def positions(self, n: int, before: int, after: int) -> Any:
        """Which entry of an axis of n entries stands at each place of the padded axis."""
        k = np.arange(-before, n + after)
        if self.mode == "replicate":
            return np.clip(k, 0, n - 1)
        if self.mode == "circular":
            first, left = max(0, -before), n - max(0, -before) - max(0, -after)  # what is cut off does not come round
            return first + (k - first) % left
        return (n - 1) - np.abs((n - 1) - np.abs(k))

    def axes_of(self, x: Any, pad: Any) -> dict[int, Any]:
        """The positions for every axis that is padded."""
        around = margins(pad, len(x))
        return {k: self.positions(x[k], *pair) for k, pair in enumerate(around) if pair != (0, 0)}

    def forward(self, x: Any, *, pad: Any) -> Any:
        for k, (before, after) in enumerate(margins(pad, x.ndim)):
            if self.mode == "reflect" and max(before, after) >= x.shape[k] and (before or after):
                raise RuntimeError(
                    "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
                    f"({before}, {after}) at dimension {k} of input {list(x.shape)}"
                )
            if self.mode == "circular" and max(before, after) > x.shape[k]:
                raise RuntimeError("Padding value causes wrapping around more than once.")
            if before + x.shape[k] + after < 0 or (x.shape[k] == 0 and (before > 0 or after > 0)):
                raise RuntimeError(f"Expected a non-empty input to pad, got {list(x.shape)} and padding ({before}, {after})")
        y = x
        for axis, positions in self.axes_of(x.shape, pad).items():
            y = np.take(y, positions, axis)
        return y.copy() if y is x else y

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, x: Any, *, pad: Any) -> Any:
        for axis, positions in self.axes_of(tuple(x.shape), pad).items():
            shape = (*g.shape[:axis], x.shape[axis], *g.shape[axis + 1 :])
            g = xp.put_rows(g, positions, dim=axis, shape=shape)
        return (g,)

    def given(self, y: Any, *ins: Any, **options: Any) -> dict[str, Any]:
        (x,) = ins
        return {f"p{axis}": positions for axis, positions in self.axes_of(x.shape, options["pad"]).items()}

    def formula(self, s: Any, out: Any, x: Any, *, pad: Any) -> Any:
        padded = self.axes_of(x.numbers, pad)
        return x[tuple(s.position(s.given(f"p{k}")[i]) if k in padded else i for k, i in enumerate(out))]


@block
class PutRows(Op):
    """Zeros of ``shape`` with each slice of g added at its position along ``dim``. The transpose of picking slices."""

    name = "put_rows"
    kind = "index"
    rule = "scatter"
    uses = ("index", "")
    reads_values = (1,)
    backward_name = "IndexAddBackward0"
    samples = (Sample(((3, 2), np.array([1, 0, 1])), {"dim": 0, "shape": (2, 2)}),)

    def forward(self, g: Any, index: Any, *, dim: int, shape: Shape) -> Any:
        out = np.zeros(shape, g.dtype)
        np.add.at(out, (*(slice(None),) * dim, index), g)
        return out

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, g0: Any, index: Any, *, dim: int, shape: Shape) -> Any:
        return xp.index_select(g, index, dim=dim), None

    def formula(self, s: Any, out: Any, g: Any, index: Any, *, dim: int, shape: Shape) -> Any:
        k = s.index(index.shape[0])
        return s.total(g[(*out[:dim], k, *out[dim + 1 :])] * s.indicator(s.equal(index[k], out[dim])), k)


for _mode, _word in (("reflect", "Reflection"), ("replicate", "Replication"), ("circular", "Circular")):
    register(PadFromInside(_mode, _word))


def _pad(xp: Any, x: Any, *, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pad)}")
    if len(pad) > 2 * x.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {x.ndim}"
        )
    pad = tuple(int(n) for n in pad)
    if mode == "constant":
        return xp.pad_constant(x, pad=pad) if not value else xp.pad_constant(x, pad=pad, value=value)
    if value is not None:
        raise ValueError(f"Padding mode '{mode}' doesn't take in value argument")
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if x.ndim - len(pad) // 2 not in (1, 2) or not 1 <= len(pad) // 2 <= 3:
        raise NotImplementedError("Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now")
    return getattr(xp, f"pad_{mode}")(x, pad=pad)


composite("pad", _pad, functions=("F.pad",), samples=(Sample(((3,),), {"pad": (1, 1)}),))


def _one_hot(tensor: Any, num_classes: int) -> Any:
    if tensor.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not tensor.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if tensor.size and tensor.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    count = int(tensor.max()) + 1 if num_classes == -1 else num_classes
    if count < 1 and tensor.size:
        raise RuntimeError("num_classes should be positive")
    if tensor.size and tensor.max() >= count:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return (tensor[..., None] == np.arange(count)).astype(np.int64)


@block
class OneHot(Op):
    """Per class number a row of zeros with a 1 at the class. An integer result of integers: nothing flows back."""

    name = "one_hot"
    functions = ("F.one_hot",)
    instead = ("softmax",)
    kind = "constant"
    differentiable = False
    reads_values = (0,)
    samples = (Sample((np.array([0, 2]),)), Sample((np.array([0, 2]),), {"num_classes": 4}))

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if "tensor" in kwargs:
            args = (kwargs.pop("tensor"), *args)
        return super().bind(*args, **kwargs)

    def forward(self, x: Any, *, num_classes: int = -1) -> Any:
        return _one_hot(np.asarray(x), num_classes)


@block
class Embedding(Op):
    """Rows of ``weight`` at the positions in ``index``."""

    name = "embedding"
    kind = "index"
    rule = "embedding"
    uses = ("", "index")
    reads_values = (0,)
    backward_name = "EmbeddingBackward0"
    samples = (
        Sample((np.array([1, 0, 1]), (3, 2))),
        Sample((np.array([[1, 2], [0, 1]]), (3, 2))),
    )

    def forward(self, index: Any, weight: Any) -> Any:
        if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                f"torch.{word(index.dtype)}Tensor instead (while checking arguments for embedding)"
            )
        if weight.ndim != 2:
            raise RuntimeError("'weight' must be 2-D")
        if index.size and (index.min() < 0 or index.max() >= weight.shape[0]):
            raise IndexError("index out of range in self")
        return weight[index]

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, index: Any, weight: Any) -> Any:
        rows = plain_array(index).reshape(-1)
        flat = xp.reshape(g, shape=(rows.size, weight.shape[1]))
        return None, xp.put_rows(flat, rows, dim=0, shape=tuple(weight.shape))

    def formula(self, s: Any, out: Any, index: Any, weight: Any) -> Any:
        *place, j = out
        return weight[(s.position(index[tuple(place)]), j)]
