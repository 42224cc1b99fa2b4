"""The numeric tape: PyTorch's tensors and backward over numpy."""

from explain import ops
from explain.tape.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from explain.tape.tensor import Tensor, equip

equip()
__all__ = ["Tensor", "enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]
del ops
