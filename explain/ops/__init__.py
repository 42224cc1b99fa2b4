"""The op library: one family per file, each op one block. Importing the package fills the registry."""

from explain.ops import choice, elementwise, indexing, linalg, logic, memory, nn, reductions, shape
from explain.ops.base import ATTRIBUTES, FUNCTIONS, METHODS, REGISTRY, Op, Sample

__all__ = ["ATTRIBUTES", "FUNCTIONS", "METHODS", "REGISTRY", "Op", "Sample"]
del choice, elementwise, indexing, linalg, logic, memory, nn, reductions, shape
