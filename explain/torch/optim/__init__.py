"""``torch.optim``."""

from __future__ import annotations

from explain.torch.optim import lr_scheduler
from explain.torch.optim.asgd import ASGD
from explain.torch.optim.lbfgs import LBFGS
from explain.torch.optim.optimizer import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)
