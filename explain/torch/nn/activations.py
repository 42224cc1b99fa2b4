"""Activations as modules."""

from __future__ import annotations

from typing import Any

from explain.torch.creation import full
from explain.torch.nn.build import functional, layer
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter

INPLACE = {"inplace": False}
ReLU = layer("ReLU", "relu", INPLACE)
ReLU6 = layer("ReLU6", "relu6", INPLACE)
SELU = layer("SELU", "selu", INPLACE)
SiLU = layer("SiLU", "silu", INPLACE)
Mish = layer("Mish", "mish", INPLACE)
Hardswish = layer("Hardswish", "hardswish", INPLACE)
Hardsigmoid = layer("Hardsigmoid", "hardsigmoid", INPLACE)
LeakyReLU = layer("LeakyReLU", "leaky_relu", {"negative_slope": 0.01, **INPLACE})
ELU = layer("ELU", "elu", {"alpha": 1.0, **INPLACE})
CELU = layer("CELU", "celu", {"alpha": 1.0, **INPLACE})
GELU = layer("GELU", "gelu", {"approximate": "none"})
Sigmoid = layer("Sigmoid", "sigmoid")
Tanh = layer("Tanh", "tanh")
Softsign = layer("Softsign", "softsign")
Tanhshrink = layer("Tanhshrink", "tanhshrink")
LogSigmoid = layer("LogSigmoid", "logsigmoid")
Softplus = layer("Softplus", "softplus", {"beta": 1.0, "threshold": 20.0})
Softshrink = layer("Softshrink", "softshrink", {"lambd": 0.5}, shown="lambd*")
Hardshrink = layer("Hardshrink", "hardshrink", {"lambd": 0.5}, shown="lambd*")
Hardtanh = layer("Hardtanh", "hardtanh", {"min_val": -1.0, "max_val": 1.0, **INPLACE})
Threshold = layer("Threshold", "threshold", {"threshold": None, "value": None, **INPLACE}, required=2)
Softmax = layer("Softmax", "softmax", {"dim": None})
LogSoftmax = layer("LogSoftmax", "log_softmax", {"dim": None})
Softmin = layer("Softmin", "softmin", {"dim": None})
GLU = layer("GLU", "glu", {"dim": -1})


class PReLU(Module):
    """A leaky ReLU whose slope is learned."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.weight = Parameter(full((num_parameters,), init, dtype=dtype))

    def forward(self, input: Any) -> Any:
        """x where positive, else weight · x."""
        return functional("prelu")(input, self.weight)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """A leaky ReLU with a random slope in training."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Any) -> Any:
        """The mean slope in evaluation."""
        return functional("rrelu")(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Softmax2d(Module):
    """Softmax over the channels."""

    def forward(self, input: Any) -> Any:
        """Softmax along the third axis from the end."""
        return functional("softmax")(input, -3)
