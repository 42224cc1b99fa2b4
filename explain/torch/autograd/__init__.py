"""``torch.autograd``."""

from __future__ import annotations

from typing import Any

from explain.tape.autograd import backward_of as backward
from explain.tape.autograd import grad
from explain.tape.modes import enable_grad, inference_mode, no_grad, set_grad_enabled, state
from explain.tape.tensor import Tensor
from explain.torch.autograd import functional
from explain.torch.autograd.function import Function, FunctionCtx
from explain.torch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck


class Variable:
    """``Variable(t, requires_grad=True)``: the old name of a tensor that may require gradients."""

    def __new__(cls, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Any:
        made = data.detach()
        return made.requires_grad_() if requires_grad else made


class set_detect_anomaly:
    """A nan in backward is an error: as a block, or from now on."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = state.anomaly
        state.anomaly = bool(mode) and check_nan

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        state.anomaly = self.before


class detect_anomaly(set_detect_anomaly):
    """``set_detect_anomaly(True)`` as a block."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)
