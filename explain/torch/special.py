"""``torch.special``."""

from explain.torch.functions import functions

globals().update(functions("special"))
