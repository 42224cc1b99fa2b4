"""``torch.nn.functional``."""

from explain.torch.functions import functions

globals().update(functions("F"))
