"""``optim.lr_scheduler``: learning rates that change from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from explain.torch.optim.optimizer import Optimizer


class LRScheduler:
    """Base: the rates of all groups follow ``rates``, counted from the first step."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr = list(self.base_lrs)
        self.step()

    def get_lr(self) -> list[float]:
        """The rates at ``last_epoch``."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The rates that were set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set(self.get_lr())

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    @property
    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state."""
        self.__dict__.update(state_dict)


_LRScheduler = LRScheduler


class StepLR(LRScheduler):
    """Times gamma every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._rates
        return [rate * self.gamma for rate in self._rates]


class MultiStepLR(LRScheduler):
    """Times gamma at each milestone."""

    def __init__(self, optimizer: Optimizer, milestones: Any, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones, self.gamma = list(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        return [rate * self.gamma ** self.milestones.count(self.last_epoch) for rate in self._rates]


class ExponentialLR(LRScheduler):
    """Times gamma every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        return self._rates if self.last_epoch == 0 else [rate * self.gamma for rate in self._rates]


class ConstantLR(LRScheduler):
    """Times a factor for the first steps."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        if self.last_epoch == 0:
            return [rate * self.factor for rate in self._rates]
        return [rate / self.factor for rate in self._rates] if self.last_epoch == self.total_iters else self._rates


class LinearLR(LRScheduler):
    """From one factor to another in equal steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in self._rates]
        if self.last_epoch > self.total_iters:
            return self._rates
        slope = self.end_factor - self.start_factor
        below = self.total_iters * self.start_factor + (self.last_epoch - 1) * slope
        return [rate * (1.0 + slope / below) for rate in self._rates]


class LambdaLR(LRScheduler):
    """Times a function of the step."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        many = isinstance(lr_lambda, list | tuple)
        self.lr_lambdas: list[Callable[[int], float]] = (
            list(lr_lambda) if many else [lr_lambda] * len(optimizer.param_groups)
        )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(LambdaLR):
    """Times a function of the step, each on top of the last."""

    def get_lr(self) -> list[float]:
        """The rates now."""
        if self.last_epoch == 0:
            return self._rates
        return [rate * f(self.last_epoch) for rate, f in zip(self._rates, self.lr_lambdas, strict=True)]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the rate down to ``eta_min``."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        t, end, low = self.last_epoch, self.T_max, self.eta_min
        if t == 0:
            return self._rates
        if (t - 1 - end) % (2 * end) == 0:
            step = (1 - math.cos(math.pi / end)) / 2
            return [rate + (base - low) * step for rate, base in zip(self._rates, self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * t / end)) / (1 + math.cos(math.pi * (t - 1) / end))
        return [ratio * (rate - low) + low for rate in self._rates]


class PolynomialLR(LRScheduler):
    """A power of what is left of the steps."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates now."""
        t, end = self.last_epoch, self.total_iters
        if t == 0 or t > end:
            return self._rates
        factor = ((1.0 - t / end) / (1.0 - (t - 1) / end)) ** self.power
        return [rate * factor for rate in self._rates]


class ReduceLROnPlateau(LRScheduler):
    """Times a factor when a number has stopped to improve."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * len(optimizer.param_groups)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = self._rates

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at the number."""
        now = float(metrics)
        self.last_epoch += 1
        if self._better(now):
            self.best, self.num_bad_epochs = now, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            rates = []
            for rate, low in zip(self._rates, self.min_lrs, strict=True):
                new = max(rate * self.factor, low)
                rates.append(new if rate - new > self.eps else rate)
            self._set(rates)
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates

    def _better(self, now: float) -> bool:
        if self.mode == "min":
            return now < (self.best * (1 - self.threshold) if self.threshold_mode == "rel" else self.best - self.threshold)
        return now > (self.best * (1 + self.threshold) if self.threshold_mode == "rel" else self.best + self.threshold)


class OneCycleLR(LRScheduler):
    """Up to a largest rate and down again, by cosines."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        **others: Any,
    ) -> None:
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        self.total_steps = total_steps or int(epochs or 1) * int(steps_per_epoch or 1)
        self.max_lr, self.low = max_lr, max_lr / div_factor
        self.lowest = self.low / final_div_factor
        self.peak = float(pct_start * self.total_steps) - 1
        self.anneal = anneal_strategy
        for group in optimizer.param_groups:
            group["initial_lr"] = self.low
        super().__init__(optimizer, -1)

    def get_lr(self) -> list[float]:
        """The rates now."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"Tried to step {t} times. The total number of steps is {self.total_steps}")
        if t <= self.peak:
            rate = self._between(self.low, self.max_lr, t / self.peak)
        else:
            rate = self._between(self.max_lr, self.lowest, (t - self.peak) / (self.total_steps - 1 - self.peak))
        return [rate] * len(self.optimizer.param_groups)

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
