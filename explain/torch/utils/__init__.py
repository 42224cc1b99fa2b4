"""``torch.utils``."""

from __future__ import annotations

from explain.torch.utils import checkpoint, data
