"""Optimizers: what they do to parameters, step by step as torch does it. Nothing here is differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from explain.tape.inplace import write
from explain.tape.modes import enable_grad, no_grad
from explain.tape.tensor import Tensor


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """Base of all optimizers: parameters in groups, each with its options."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {params.type()}"
            )
        self.defaults = defaults
        self.state: dict[Any, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """More parameters. Raises torch's errors for what cannot be optimized."""
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        group = dict(param_group, params=[p[1] if isinstance(p, tuple) else p for p in params])
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if p.node is not None:
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, default)
        seen = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in seen for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.gradient is not None:
                    if set_to_none:
                        p.gradient = None
                    else:
                        write(p.gradient, 0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.gradient is not None:
                        state = self.state.setdefault(p, {})
                        g = np.asarray(p.gradient.array)
                        self._update(p, -g if group.get("maximize") else g, group, state)
        return loss

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """State and groups, parameters by number."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append(
                {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[id(p)] for p in group["params"]]}
            )
        return {"state": {numbers[id(p)]: s for p, s in self.state.items() if id(p) in numbers}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """State and groups from elsewhere."""
        params = [p for group in self.param_groups for p in group["params"]]
        self.state = {params[k]: s for k, s in state_dict["state"].items()}
        for group, given in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({k: v for k, v in given.items() if k != "params"})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def check(name: str, value: Any, words: str, low: float = 0.0) -> None:
    """Raise torch's ValueError for an option below its range."""
    if not low <= (value.item() if isinstance(value, Tensor) else value):
        raise ValueError(f"Invalid {words}: {value}")


def put(p: Tensor, values: Any) -> None:
    """Overwrite a parameter, in its own dtype."""
    write(p, np.asarray(values, p.array.dtype))


def _scaled(p: Tensor, number: float) -> Any:
    return p.array.dtype.type(number)


class SGD(Optimizer):
    """w ← w − lr · (gradient, with momentum and weight decay)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: Any = None,
        differentiable: bool = False,
        fused: Any = None,
    ) -> None:
        check("lr", lr, "learning rate")
        check("momentum", momentum, "momentum value")
        check("weight_decay", weight_decay, "weight_decay value")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        options = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, options)

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * p.array
        if group["momentum"]:
            kept = state.get("momentum_buffer")
            if kept is None:
                kept = np.array(g)
            else:
                kept = _scaled(p, group["momentum"]) * kept + _scaled(p, 1 - group["dampening"]) * g
            state["momentum_buffer"] = kept
            g = g + _scaled(p, group["momentum"]) * kept if group["nesterov"] else kept
        put(p, p.array - _scaled(p, group["lr"]) * g)


class Adam(Optimizer):
    """w ← w − lr · m̂ / (√v̂ + ε), with running means m of the gradient and v of its square."""

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: Any = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: Any = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check("lr", lr, "learning rate")
        check("eps", eps, "epsilon value")
        for k, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {k}: {beta}")
        check("weight_decay", weight_decay, "weight_decay value")
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "foreach": foreach,
            "maximize": maximize, "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay or self.decoupled,
        }  # fmt: skip
        super().__init__(params, options)

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr = float(group["lr"])
        w = np.array(p.array)
        if group["weight_decay"]:
            if group["decoupled_weight_decay"]:
                w = w * _scaled(p, 1 - lr * group["weight_decay"])
            else:
                g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        state["step"] += 1
        state["exp_avg"] = state["exp_avg"] + _scaled(p, 1 - beta1) * (g - state["exp_avg"])
        state["exp_avg_sq"] = _scaled(p, beta2) * state["exp_avg_sq"] + _scaled(p, 1 - beta2) * g * g
        first, second = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        v = state["exp_avg_sq"]
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", np.zeros_like(w)), v)
        below = np.sqrt(v) / _scaled(p, math.sqrt(second)) + _scaled(p, group["eps"])
        put(p, w - _scaled(p, lr / first) * (state["exp_avg"] / below))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient."""

    decoupled = True

    def __init__(self, params: Iterable[Any], lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, **options: Any) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)


class RMSprop(Optimizer):
    """w ← w − lr · g / (√v + ε), with a running mean v of the squared gradient."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        **others: Any,
    ) -> None:
        check("lr", lr, "learning rate")
        options = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
        }
        super().__init__(params, {**options, "maximize": others.get("maximize", False)})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, square_avg=np.zeros_like(w), buffer=np.zeros_like(w), grad_avg=np.zeros_like(w))
        state["step"] += 1
        alpha = group["alpha"]
        state["square_avg"] = _scaled(p, alpha) * state["square_avg"] + _scaled(p, 1 - alpha) * g * g
        v = state["square_avg"]
        if group["centered"]:
            state["grad_avg"] = state["grad_avg"] + _scaled(p, 1 - alpha) * (g - state["grad_avg"])
            v = v - state["grad_avg"] ** 2
        step = g / (np.sqrt(v) + _scaled(p, group["eps"]))
        if group["momentum"]:
            step = state["buffer"] = _scaled(p, group["momentum"]) * state["buffer"] + step
        put(p, w - _scaled(p, float(group["lr"])) * step)


class Adagrad(Optimizer):
    """w ← w − lr · g / (√Σg² + ε)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        **others: Any,
    ) -> None:
        check("lr", lr, "learning rate")
        options = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                   "initial_accumulator_value": initial_accumulator_value}  # fmt: skip
        super().__init__(params, {**options, "maximize": others.get("maximize", False)})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, sum=np.full_like(w, group["initial_accumulator_value"]))
        state["step"] += 1
        state["sum"] = state["sum"] + g * g
        lr = float(group["lr"]) / (1 + (state["step"] - 1) * group["lr_decay"])
        put(p, w - _scaled(p, lr) * (g / (np.sqrt(state["sum"]) + _scaled(p, group["eps"]))))


class Adadelta(Optimizer):
    """w ← w − lr · g · RMS(Δ) / RMS(g)."""

    def __init__(self, params: Iterable[Any], lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
                 **others: Any) -> None:  # fmt: skip
        check("lr", lr, "learning rate")
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, square_avg=np.zeros_like(w), acc_delta=np.zeros_like(w))
        state["step"] += 1
        rho, eps = _scaled(p, group["rho"]), _scaled(p, group["eps"])
        rest = _scaled(p, 1 - group["rho"])
        state["square_avg"] = rho * state["square_avg"] + rest * g * g
        step = np.sqrt(state["acc_delta"] + eps) / np.sqrt(state["square_avg"] + eps) * g
        state["acc_delta"] = rho * state["acc_delta"] + rest * step * step
        put(p, w - _scaled(p, float(group["lr"])) * step)


class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root of the mean square."""

    def __init__(self, params: Iterable[Any], lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, **others: Any) -> None:  # fmt: skip
        check("lr", lr, "learning rate")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(w), exp_inf=np.zeros_like(w))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        state["exp_avg"] = state["exp_avg"] + _scaled(p, 1 - beta1) * (g - state["exp_avg"])
        state["exp_inf"] = np.maximum(_scaled(p, beta2) * state["exp_inf"], np.abs(g) + _scaled(p, group["eps"]))
        lr = float(group["lr"]) / (1 - beta1 ** state["step"])
        put(p, w - _scaled(p, lr) * (state["exp_avg"] / state["exp_inf"]))


class NAdam(Optimizer):
    """Adam with Nesterov's momentum."""

    def __init__(self, params: Iterable[Any], lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, momentum_decay: float = 4e-3, **others: Any) -> None:  # fmt: skip
        check("lr", lr, "learning rate")
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        super().__init__(params, options)

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, mu_product=1.0, exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        state["step"] += 1
        step, decay = state["step"], group["momentum_decay"]
        beta1, beta2 = group["betas"]
        mu, following = (beta1 * (1.0 - 0.5 * 0.96 ** (k * decay)) for k in (step, step + 1))
        state["mu_product"] *= mu
        state["exp_avg"] = state["exp_avg"] + _scaled(p, 1 - beta1) * (g - state["exp_avg"])
        state["exp_avg_sq"] = _scaled(p, beta2) * state["exp_avg_sq"] + _scaled(p, 1 - beta2) * g * g
        below = np.sqrt(state["exp_avg_sq"] / _scaled(p, 1 - beta2**step)) + _scaled(p, group["eps"])
        lr = float(group["lr"])
        w = w - _scaled(p, lr * (1 - mu) / (1 - state["mu_product"])) * (g / below)
        put(p, w - _scaled(p, lr * following / (1 - state["mu_product"] * following)) * (state["exp_avg"] / below))


class RAdam(Optimizer):
    """Adam that waits until the variance of its step is bounded."""

    def __init__(self, params: Iterable[Any], lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, **others: Any) -> None:  # fmt: skip
        check("lr", lr, "learning rate")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if group["weight_decay"]:
            g = g + _scaled(p, group["weight_decay"]) * w
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        state["step"] += 1
        step = state["step"]
        beta1, beta2 = group["betas"]
        state["exp_avg"] = state["exp_avg"] + _scaled(p, 1 - beta1) * (g - state["exp_avg"])
        state["exp_avg_sq"] = _scaled(p, beta2) * state["exp_avg_sq"] + _scaled(p, 1 - beta2) * g * g
        corrected = state["exp_avg"] / _scaled(p, 1 - beta1**step)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / (1 - beta2**step)
        lr = float(group["lr"])
        if length > 5.0:
            rect = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            adapted = _scaled(p, math.sqrt(1 - beta2**step)) / (np.sqrt(state["exp_avg_sq"]) + _scaled(p, group["eps"]))
            put(p, w - corrected * _scaled(p, lr) * adapted * _scaled(p, rect))
        else:
            put(p, w - corrected * _scaled(p, lr))


class Rprop(Optimizer):
    """Steps by the sign of the gradient alone."""

    def __init__(self, params: Iterable[Any], lr: Any = 1e-2, etas: Any = (0.5, 1.2), step_sizes: Any = (1e-6, 50),
                 **others: Any) -> None:  # fmt: skip
        check("lr", lr, "learning rate")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes})

    def _update(self, p: Tensor, g: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        w = np.array(p.array)
        if not state:
            state.update(step=0, prev=np.zeros_like(w), step_size=np.full_like(w, float(group["lr"])))
        state["step"] += 1
        sign = np.sign(g * state["prev"])
        smaller, larger = group["etas"]
        factor = np.where(sign > 0, larger, np.where(sign < 0, smaller, 1)).astype(w.dtype)
        state["step_size"] = np.clip(state["step_size"] * factor, *group["step_sizes"]).astype(w.dtype)
        g = np.where(sign < 0, 0, g).astype(w.dtype)
        state["prev"] = g
        put(p, w - np.sign(g) * state["step_size"])
