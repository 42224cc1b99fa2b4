"""Sums of products as ``torch.einsum`` writes them: one letter per axis, equal letters meet, absent ones are added up."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from explain.ops.base import Op, Options, Sample, Shape, word
from explain.ops.registry import block

LETTERS = string.ascii_uppercase + string.ascii_lowercase
BATCH = "."
"""Stands before the number of an axis that the ellipsis covers, counted from the last one."""


@dataclass(frozen=True)
class Subscripts:
    """Names of axes: per operand, and of the output. A letter, or ``.0``, ``.1`` … for axes that an ellipsis covers."""

    operands: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]

    @property
    def summed(self) -> tuple[str, ...]:
        """The names that the output has not."""
        found = dict.fromkeys(name for names in self.operands for name in names)
        return tuple([name for name in found if name not in self.output])


@lru_cache(maxsize=1000)
def read(equation: str, ranks: tuple[int, ...]) -> Subscripts:
    """The subscripts of an equation for operands of these ranks. Raises torch's RuntimeErrors."""
    left, arrow, right = equation.partition("->")
    parts = left.split(",")
    for k, part in enumerate(parts):
        _refuse_signs(equation, part, sum(len(p) + 1 for p in parts[:k]), f"operand {k}")
    if len(parts) != len(ranks):
        few = "fewer" if len(ranks) < len(parts) else "more"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    operands = tuple(
        [_axes_of(part.replace(" ", ""), rank, k) for k, (part, rank) in enumerate(zip(parts, ranks, strict=True))]
    )
    widest = max((sum(name[0] == BATCH for name in names) for names in operands), default=0)
    batch = [f"{BATCH}{k}" for k in reversed(range(widest))]
    if not arrow:
        count = Counter(name for part in parts for name in part if name.isalpha())
        return Subscripts(operands, (*batch, *(name for name in LETTERS if count[name] == 1)))
    _refuse_signs(equation, right, len(left) + 2, "output")
    before, dots, after = right.replace(" ", "").partition("...")
    output = (*before, *(batch if dots else ()), *after)
    known = {name for names in operands for name in names}
    for name in before + after:
        if output.count(name) > 1:
            raise RuntimeError(f"einsum(): output subscript {name} appears more than once in the output")
        if name not in known:
            raise RuntimeError(f"einsum(): output subscript {name} does not appear in the equation for any input operand")
    return Subscripts(operands, output)


def _refuse_signs(equation: str, part: str, start: int, owner: str) -> None:
    """Raise torch's error for signs that are no subscripts."""
    bare = part.replace("...", "   ", 1)
    for k, sign in enumerate(bare):
        if sign == ".":
            already = "..." in part and part.index("...") <= k
            if already and owner != "output":
                raise RuntimeError(f"einsum(): found '.' for {owner} for which an ellipsis was already found")
            tail = " (...)" if owner == "output" else ""
            raise RuntimeError(f"einsum(): found '.' for {owner} that is not part of any ellipsis{tail}")
        if sign != " " and sign not in LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {start + k} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )


def _axes_of(part: str, rank: int, k: int) -> tuple[str, ...]:
    before, dots, after = part.partition("...")
    count = len(before) + len(after)
    if dots and count > rank:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({count}) is more than the number of dimensions ({rank}) "
            f"for operand {k}"
        )
    if not dots and count != rank:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({count}) does not match the number of dimensions ({rank}) "
            f"for operand {k} and no ellipsis was given"
        )
    return (*before, *(f"{BATCH}{m}" for m in reversed(range(rank - count))), *after)


def sizes_of(names: Subscripts, shapes: tuple[Shape, ...]) -> dict[str, int]:
    """The length of every named axis; axes of length 1 are repeated. Raises torch's RuntimeErrors."""
    sizes: dict[str, int] = {}
    for k, (own, shape) in enumerate(zip(names.operands, shapes, strict=True)):
        inside: dict[str, int] = {}
        for name, n in zip(own, shape, strict=True):
            if inside.setdefault(name, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {name} is repeated for operand {k} but the sizes don't match, "
                    f"{n} != {inside[name]}"
                )
        for name, n in inside.items():
            before = sizes.get(name, 1)
            if 1 not in (n, before) and n != before:
                raise _mismatch(name, n, before, k, sum(other[0] == BATCH for other in sizes))
            sizes[name] = n if before == 1 else before
    return sizes


def _mismatch(name: str, n: int, before: int, operand: int, covered: int) -> Exception:
    if name[0] != BATCH:
        return RuntimeError(
            f"einsum(): subscript {name} has size {n} for operand {operand} which does not broadcast with previously seen "
            f"size {before}"
        )
    return RuntimeError(
        f"einsum(): dimension {covered - 1 - int(name[1:])} covered by ellipsis in operand {operand}has size {n} which does "
        f"not broadcast with previously seen ellipsis with size {before} for the respective dimension"
    )


def _from_lists(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Torch's other form, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, as an equation."""
    tensors, lists = args[0 : len(args) // 2 * 2 : 2], args[1::2]

    def text(subscripts: Any) -> str:
        found = ""
        for s in subscripts:
            if s is not Ellipsis and not 0 <= s < len(LETTERS):
                raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
            found += "..." if s is Ellipsis else LETTERS[s]
        return found

    equation = ",".join(text(part) for part in lists)
    return (f"{equation}->{text(args[-1])}" if len(args) % 2 else equation), tensors


@block
class Einsum(Op):
    """Each output entry is the sum, over the letters it has not, of the products of the entries that the letters pick."""

    name = "einsum"
    functions = ("einsum",)
    kind = "contraction"
    rule = "einsum"
    backward_name = "ViewBackward0"
    samples = (
        Sample(((2, 3), (3, 2)), {"equation": "ij,jk->ik"}),
        Sample(((2, 3), (3,), (2,)), {"equation": "ij,j,i"}),
        Sample(((3, 3),), {"equation": "ii->i"}),
        Sample(((2, 3),), {"equation": "ij->j"}),
        Sample(((2, 2, 3), (1, 3, 2)), {"equation": "...ij,...jk->...ik"}),
        Sample(((2, 1), (3,)), {"equation": "ab,b->ba"}),
        Sample(((2, 2), (2,)), {"equation": "ii,j->"}),
    )

    def bind(self, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = dict(kwargs)
        if "equation" in given:
            args = (given.pop("equation"), *args)
        if len(args) < 2:
            raise ValueError(
                "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
                "subscripts list"
            )
        equation, tensors = args[0], args[1:]
        if not isinstance(equation, str):
            equation, tensors = _from_lists(args)
        if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
            tensors = tuple(tensors[0])
        return super().bind(*tensors, **given, equation=equation)

    def grad_fn(self, shapes: tuple[Shape | None, ...], options: Options) -> str:
        names = read(options["equation"], tuple(len(shape or ()) for shape in shapes))
        if len(shapes) == 1:
            return "SumBackward1" if names.summed else "PermuteBackward0"
        return "ViewBackward0" if names.summed else "MulBackward0"

    def keeps(self, needs: tuple[bool, ...]) -> tuple[tuple[bool, ...] | None, bool]:
        keep = tuple([any(needs[:k] + needs[k + 1 :]) for k in range(len(needs))])
        return (keep if any(keep) else None), False

    def forward(self, *ins: Any, equation: str) -> Any:
        names = read(equation, tuple([t.ndim for t in ins]))
        sizes = sizes_of(names, tuple([t.shape for t in ins]))
        for t in ins[1:]:
            if t.dtype != ins[0].dtype:
                raise RuntimeError(f"expected scalar type {word(ins[0].dtype)} but found {word(t.dtype)}")
        numbers = {name: k for k, name in enumerate(sizes)}
        parts: list[Any] = []
        for t, own in zip(ins, names.operands, strict=True):
            repeated = [t.shape[k] == 1 != sizes[name] for k, name in enumerate(own)]
            parts.append(t[tuple([0 if r else slice(None) for r in repeated])])
            parts.append([numbers[name] for name, r in zip(own, repeated, strict=True) if not r])
        y = np.einsum(*parts, [numbers[name] for name in names.output], optimize=len(ins) > 1)
        return np.array(y)[()] if len(ins) == 1 else np.asarray(y)[()]  # a transpose must not lie in x's memory

    def vjp(self, xp: Any, needs: Any, g: Any, y: Any, *ins: Any, equation: str) -> Any:
        names = read(equation, tuple([len(t.shape) for t in ins]))
        sizes = sizes_of(names, tuple([tuple(t.shape) for t in ins]))
        return tuple([need and self._pulled(xp, g, k, ins, names, sizes) for k, need in enumerate(needs)])

    @staticmethod
    def _pulled(xp: Any, g: Any, k: int, ins: tuple[Any, ...], names: Subscripts, sizes: dict[str, int]) -> Any:
        """The cotangent of operand ``k``: the upstream times all other operands, by an equation of its own."""
        dtype = getattr(g.dtype, "numpy", g.dtype)
        factors = [(g, names.output), *((ins[m], own) for m, own in enumerate(names.operands) if m != k)]
        target: list[str] = []
        for name, n in zip(names.operands[k], ins[k].shape, strict=True):
            if name in target:  # a diagonal: the gradient goes back to it, zero beside it
                twin = f"{name}{len(target)}"
                factors.append((np.eye(n, dtype=dtype), (name, twin)))
                target.append(twin)
            else:
                target.append(name if n == sizes[name] else f"{name}one")
        there = {name for t, own in factors for name, n in zip(own, t.shape, strict=True) if n == sizes.get(name, n)}
        for name in target:
            if name not in there:  # every entry along it adds the same; of an axis of length 1 there is one
                factors.append((np.ones(sizes.get(name, 1), dtype), (name,)))
        letters = dict(zip(dict.fromkeys(name for _, own in factors for name in own), LETTERS, strict=False))
        left = ",".join("".join(letters[name] for name in own) for _, own in factors)
        return xp.einsum(*(t for t, _ in factors), equation=f"{left}->{''.join(letters[name] for name in target)}")

    def formula(self, s: Any, out: Any, *ins: Any, equation: str) -> Any:
        names = read(equation, tuple([x.ndim for x in ins]))
        sizes = sizes_of(names, tuple([x.numbers for x in ins]))
        symbolic: dict[str, Any] = {}
        for x, own in zip(ins, names.operands, strict=True):
            symbolic |= {name: n for name, n, m in zip(own, x.shape, x.numbers, strict=True) if m == sizes[name]}
        bound = {name: s.index(symbolic[name]) for name in names.summed}
        places = {**dict(zip(names.output, out, strict=True)), **bound}
        entries = []
        for x, own in zip(ins, names.operands, strict=True):
            entries.append(
                x[tuple([places[name] if n == sizes[name] else 0 for name, n in zip(own, x.numbers, strict=True)])]
            )
        return s.total(s.product(entries), *bound.values())
