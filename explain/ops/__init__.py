"""The op library: one family per file, each op one block. Importing the package fills the registry."""

from explain.ops import choice, elementwise, indexing, linalg, linear, logic, memory, nn, reductions, shape, softmax
from explain.ops.base import Op, Sample
from explain.ops.registry import ATTRIBUTES, FUNCTIONS, METHODS, REGISTRY

__all__ = ["ATTRIBUTES", "FUNCTIONS", "METHODS", "REGISTRY", "Op", "Sample"]
del choice, elementwise, indexing, linalg, linear, logic, memory, nn, reductions, shape, softmax
