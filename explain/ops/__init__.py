"""The op library: one family per file, each op one block. Importing the package fills the registry."""

from explain.ops import (
    bounds,
    choice,
    cross_entropy,
    division,
    dropout,
    elementwise,
    exponential,
    indexing,
    linalg,
    linear,
    logic,
    memory,
    norm_layers,
    piecewise,
    powers,
    reductions,
    rounding,
    shape,
    softmax,
    special,
    standardised,
    trigonometry,
)
from explain.ops.base import Op, Sample
from explain.ops.registry import ATTRIBUTES, FUNCTIONS, METHODS, REGISTRY

__all__ = ["ATTRIBUTES", "FUNCTIONS", "METHODS", "REGISTRY", "Op", "Sample"]
del (
    bounds,
    choice,
    cross_entropy,
    division,
    dropout,
    elementwise,
    exponential,
    indexing,
    linalg,
    linear,
    logic,
    memory,
    norm_layers,
    piecewise,
    powers,
    reductions,
    rounding,
    shape,
    softmax,
    special,
    standardised,
    trigonometry,
)
