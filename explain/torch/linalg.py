"""``torch.linalg``."""

from explain.torch.functions import functions

globals().update(functions("linalg"))
