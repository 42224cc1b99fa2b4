"""PyTorch's own names over the tape: ``import explain.torch as torch``."""

from __future__ import annotations

import math
from typing import NoReturn

from explain.ops.random import Generator
from explain.tape.dtypes import BY_NAME
from explain.tape.dtypes import DType as dtype
from explain.tape.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from explain.tape.printing import set_printoptions
from explain.tape.tensor import Size, Tensor
from explain.torch import methods

methods.equip()

from explain.torch import autograd, func, linalg, nn, optim, special, utils  # noqa: E402
from explain.torch.creation import (  # noqa: E402
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_default_dtype,
    legacy_types,
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
from explain.torch.device import device  # noqa: E402
from explain.torch.functions import functions  # noqa: E402
from explain.torch.info import can_cast, finfo, iinfo, promote_types, result_type  # noqa: E402
from explain.torch.places import backends, cpu, cuda, mps  # noqa: E402
from explain.torch.questions import (  # noqa: E402
    allclose,
    broadcast_shapes,
    detach,
    equal,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_signed,
    is_tensor,
    isin,
    isreal,
    numel,
    real,
    typename,
    unravel_index,
)
from explain.torch.random import (  # noqa: E402
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
from explain.torch.vandermonde import vander  # noqa: E402
from explain.torch.vmap import vmap  # noqa: E402
from explain.torch.windows import bartlett_window, blackman_window, hamming_window, hann_window  # noqa: E402

__version__ = "2.13.0"
pi, e, inf, nan = math.pi, math.e, math.inf, math.nan
strided = methods.LAYOUT
contiguous_format, preserve_format = methods.CONTIGUOUS, methods.PRESERVED
channels_last, channels_last_3d = methods.CHANNELS_LAST, methods.CHANNELS_LAST_3D
uint8, int8, int16, int32, int64 = (BY_NAME[name] for name in ("uint8", "int8", "int16", "int32", "int64"))
float16, float32, float64 = (BY_NAME[name] for name in ("float16", "float32", "float64"))
half, float, double = float16, float32, float64
short, int, long, bool = int16, int32, int64, BY_NAME["bool"]
newaxis = None
set_default_device = get_default_device = None  # there is only one

for _name, _function in functions("").items():
    globals().setdefault(_name, _function)
globals().update(legacy_types())


def __getattr__(name: str) -> NoReturn:
    """Raise torch's AttributeError for a name that is not there."""
    raise AttributeError(f"module 'torch' has no attribute '{name}'")


device.__module__ = Size.__module__ = dtype.__module__ = "torch"
dtype.__qualname__ = "dtype"
del _name, _function, annotations, math, BY_NAME
