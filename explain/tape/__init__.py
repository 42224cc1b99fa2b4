"""The numeric tape: PyTorch's tensors and backward over numpy."""

import warnings

from explain import ops
from explain.tape.autograd import grad
from explain.tape.creation import tensor
from explain.tape.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from explain.tape.operators import equip
from explain.tape.record import record
from explain.tape.tensor import Tensor

# 1 / 0 and log(0) are inf without a word, as in torch. An errstate around each op would double its time.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"explain\.(ops|tape)\.")
equip()
__all__ = ["Tensor", "enable_grad", "grad", "is_grad_enabled", "no_grad", "record", "set_grad_enabled", "tensor"]
del ops, warnings, equip
