"""What is said to a program that asks for something it must not have."""

from __future__ import annotations

import ast
from typing import Any


class Refusal(Exception):
    """Something that a program must not do. ``key``: which reason, with its ``details``; ``node``: where."""

    def __init__(self, key: str, node: ast.AST | None = None, **details: Any) -> None:
        super().__init__(key)
        self.key = key
        self.node = node
        self.details = details
