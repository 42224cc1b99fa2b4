"""PyTorch's own names over the tape: ``import explain.torch as torch``."""

from __future__ import annotations

import math
from typing import Any

from explain import tape
from explain.ops.random import Generator
from explain.tape import Tensor, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from explain.tape.dtypes import BY_NAME, BY_NUMPY, DType
from explain.tape.tensor import Size
from explain.torch import linalg, nn, special
from explain.torch.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_default_dtype,
    legacy,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    set_default_dtype,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from explain.torch.functions import functions
from explain.torch.random import (
    bernoulli,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)

globals().update(functions(""))
globals().update(BY_NAME)
