"""``torch.utils.checkpoint``: forward is forgotten and computed again in backward.

That saves memory and changes no gradient. Here nothing is forgotten, so a checkpoint is the call itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

UNSAID = (
    "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, calling "
    "checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but if you need to "
    "preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
    "differences between the two variants."
)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Any = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """The function's result; its gradients are those of the plain call."""
    if use_reentrant is None:
        warnings.warn(UNSAID, stacklevel=2)
    return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The functions one after the other; a ``Sequential``, or a list."""
    if use_reentrant is None:
        warnings.warn(UNSAID, stacklevel=2)
    chain: Sequence[Callable[..., Any]] = list(functions)
    for function in chain:
        input = function(input)
    return input
