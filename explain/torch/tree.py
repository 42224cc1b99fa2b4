"""Nested tuples, lists and dicts of tensors, as functions take and give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Structure = Any
LEAF = object()


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure they stand in."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    if isinstance(tree, dict):
        return type(tree), list(tree), [_flatten(part, leaves) for part in tree.values()]
    if isinstance(tree, tuple | list):
        return type(tree), None, [_flatten(part, leaves) for part in tree]
    leaves.append(tree)
    return LEAF


def unflatten(leaves: list[Any], structure: Structure) -> Any:
    """Leaves put back into their structure."""
    return _unflatten(iter(leaves), structure)


def _unflatten(leaves: Iterator[Any], structure: Structure) -> Any:
    if structure is LEAF:
        return next(leaves)
    kind, keys, parts = structure
    made = [_unflatten(leaves, part) for part in parts]
    if keys is not None:
        return kind(zip(keys, made, strict=True)) if kind is dict else dict(zip(keys, made, strict=True))
    return kind(*made) if hasattr(kind, "_fields") else kind(made)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with every leaf replaced."""
    leaves, structure = flatten(tree)
    return unflatten([function(leaf) for leaf in leaves], structure)
