"""``torch.vander`` as torch computes it, in place: its backward raises, where ``torch.linalg.vander`` has a derivative."""

from __future__ import annotations

from explain.ops.registry import COMPOSITES, REGISTRY
from explain.tape.apply import TAPED, apply
from explain.tape.inplace import in_place
from explain.tape.tensor import Tensor, wrap
from explain.torch.creation import check_tensor


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a row of entries as rows of a matrix. Raises torch's RuntimeErrors."""
    check_tensor("vander", x)
    made = COMPOSITES["vander"].compose(TAPED, x.detach(), N=N, increasing=True)
    out = made if isinstance(made, Tensor) else wrap(made)
    if x.requires_grad and out.array.shape[1] > 1:
        in_place(apply(REGISTRY["index"], (out,), {"index": (slice(None), 0)}), REGISTRY["fill"], (1,))
        powers = apply(REGISTRY["index"], (out,), {"index": (slice(None), slice(1, None))})
        in_place(powers, REGISTRY["fill"], (apply(REGISTRY["unsqueeze"], (x,), {"dim": 1}),))
        in_place(powers, REGISTRY["fill"], (apply(REGISTRY["cumprod"], (powers,), {"dim": 1}),))
    return out if increasing else apply(REGISTRY["flip"], (out,), {"dims": (1,)})
