"""``torch.nn``."""

from explain.torch.nn import functional

__all__ = ["functional"]
