"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from explain.tape.tensor import Tensor
from explain.torch.optim.optimizer import Optimizer, check, put


class ASGD(Optimizer):
    """w ← (1 − λ η) w − η · g, with a falling η; beside it the mean of all w from step t0 on."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        **others: Any,
    ) -> None:
        check("lr", lr, "learning rate")
        check("weight_decay", weight_decay, "weight_decay value")
        options = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        rest = {"maximize": False, "foreach": None, "differentiable": False, "capturable": False}
        super().__init__(params, {**options, **rest, **others})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        number = w.dtype.type
        if not state:
            state.update(step=0, eta=float(group["lr"]), mu=1.0, ax=np.zeros_like(w))
        state["step"] += 1
        if group["weight_decay"]:
            g = g + number(group["weight_decay"]) * w
        eta = state["eta"]
        w = w * number(1 - group["lambd"] * eta) - number(eta) * g
        put(p, w)
        state["ax"] = w if state["mu"] == 1 else state["ax"] + (w - state["ax"]) * number(state["mu"])
        state["eta"] = float(group["lr"]) / (1 + group["lambd"] * float(group["lr"]) * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])
