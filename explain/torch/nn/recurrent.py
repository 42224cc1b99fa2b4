"""Recurrent cells and layers, made of the same products as torch's."""

from __future__ import annotations

import math
from typing import Any

from explain.tape.apply import TAPED
from explain.tape.tensor import Tensor
from explain.torch.creation import empty, zeros
from explain.torch.nn import init
from explain.torch.nn.build import functional
from explain.torch.nn.module import Module
from explain.torch.nn.parameter import Parameter

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def rnn_step(x: Any, h: Any, weights: tuple[Any, ...], nonlinearity: str) -> Any:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""
    w_ih, w_hh, b_ih, b_hh = weights
    linear = functional("linear")
    return getattr(TAPED, nonlinearity)(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))


def lstm_step(x: Any, state: tuple[Any, Any], weights: tuple[Any, ...]) -> tuple[Any, Any]:
    """Gates i, f, g, o; c' = f c + i g; h' = o tanh(c'), times W_hr where there is a projection."""
    h, c = state
    w_ih, w_hh, b_ih, b_hh, *projection = weights
    linear = functional("linear")
    gates = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return linear(h, projection[0]) if projection else h, c


def gru_step(x: Any, h: Any, weights: tuple[Any, ...]) -> Any:
    """Gates r, z; n = tanh(W_in x + r (W_hn h)); h' = (1 − z) n + z h."""
    w_ih, w_hh, b_ih, b_hh = weights
    linear = functional("linear")
    from_x, from_h = linear(x, w_ih, b_ih), linear(h, w_hh, b_hh)
    xr, xz, xn = from_x.chunk(3, -1)
    hr, hz, hn = from_h.chunk(3, -1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    n = (xn + r * hn).tanh()
    return n + z * (h - n)


class _Cell(Module):
    kind = "RNN"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = GATES[self.kind] * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        _draw(self, hidden_size)

    @property
    def weights(self) -> tuple[Any, ...]:
        """Weights and biases in torch's order."""
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _start(self, x: Any) -> Any:
        return zeros(*x.shape[:-1], self.hidden_size, dtype=x.dtype)

    def extra_repr(self) -> str:
        """What is printed."""
        text = f"{self.input_size}, {self.hidden_size}"
        return text + (", bias=False" if not self.bias else "")


def _draw(module: Module, hidden_size: int) -> None:
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNCell(_Cell):
    """One step of a plain recurrent net."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **others: Any
    ) -> None:
        super().__init__(input_size, hidden_size, bias, **others)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        """What is printed."""
        return super().extra_repr() + (f", nonlinearity={self.nonlinearity}" if self.nonlinearity != "tanh" else "")

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next hidden state."""
        return rnn_step(input, self._start(input) if hx is None else hx, self.weights, self.nonlinearity)


class LSTMCell(_Cell):
    """One step of a long short-term memory."""

    kind = "LSTM"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next hidden state and cell."""
        return lstm_step(input, (self._start(input), self._start(input)) if hx is None else hx, self.weights)


class GRUCell(_Cell):
    """One step of a gated recurrent unit."""

    kind = "GRU"

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next hidden state."""
        return gru_step(input, self._start(input) if hx is None else hx, self.weights)


class _Recurrent(Module):
    kind = "RNN"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if proj_size and self.kind != "LSTM":
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        self.proj_size = proj_size
        self.output_size = proj_size or hidden_size
        rows = GATES[self.kind] * hidden_size
        for k in range(num_layers):
            for suffix in self._directions:
                width = input_size if k == 0 else self.output_size * len(self._directions)
                self.register_parameter(f"weight_ih_l{k}{suffix}", Parameter(empty(rows, width, dtype=dtype)))
                self.register_parameter(f"weight_hh_l{k}{suffix}", Parameter(empty(rows, self.output_size, dtype=dtype)))
                if bias:
                    self.register_parameter(f"bias_ih_l{k}{suffix}", Parameter(empty(rows, dtype=dtype)))
                    self.register_parameter(f"bias_hh_l{k}{suffix}", Parameter(empty(rows, dtype=dtype)))
                if proj_size:
                    projection = empty(proj_size, hidden_size, dtype=dtype)
                    self.register_parameter(f"weight_hr_l{k}{suffix}", Parameter(projection))
        _draw(self, hidden_size)

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def _weights(self, k: int, suffix: str) -> tuple[Any, ...]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_hr"] if self.proj_size else []))
        return tuple(self._parameters.get(f"{name}_l{k}{suffix}") for name in names)

    def step(self, x: Any, state: Any, weights: tuple[Any, ...]) -> Any:
        """The next state."""
        return rnn_step(x, state, weights, "tanh")

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(all hidden states of the last layer, the last state of each layer)."""
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if self.batch_first and batched else x
        count = self.num_layers * len(self._directions)
        start = self._start(hx, count, x, batched)
        ends = []
        for k in range(self.num_layers):
            outs = []
            for d, suffix in enumerate(self._directions):
                state = start[k * len(self._directions) + d]
                steps = range(len(x)) if not suffix else reversed(range(len(x)))
                found: list[Any] = [None] * len(x)
                for t in steps:
                    state = self.step(x[t], state, self._weights(k, suffix))
                    found[t] = state[0] if isinstance(state, tuple) else state
                outs.append(TAPED.stack(*found, dim=0))
                ends.append(state)
            x = outs[0] if len(outs) == 1 else TAPED.cat(*outs, dim=-1)
            if self.dropout and self.training and k < self.num_layers - 1:
                x = functional("dropout")(x, self.dropout, True)
        x = x.transpose(0, 1) if self.batch_first and batched else x
        last = self._stacked(ends, batched)
        return (x if batched else x.squeeze(1)), last

    def _start(self, hx: Any, count: int, x: Any, batched: bool) -> list[Any]:
        if hx is None:
            return [zeros(x.shape[1], self.hidden_size, dtype=x.dtype) for _ in range(count)]
        whole = hx if batched else hx.unsqueeze(1)
        return [whole[k] for k in range(count)]

    def _stacked(self, ends: list[Any], batched: bool) -> Any:
        whole = TAPED.stack(*ends, dim=0)
        return whole if batched else whole.squeeze(1)

    def flatten_parameters(self) -> None:
        """Nothing to do here."""

    def extra_repr(self) -> str:
        """What is printed."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(_Recurrent):
    """A plain recurrent net over a sequence."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if len(args) > 3:
            args, options = (*args[:3], *args[4:]), {"nonlinearity": args[3], **options}
        nonlinearity = options.pop("nonlinearity", "tanh")
        super().__init__(*args, **options)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity

    def step(self, x: Any, state: Any, weights: tuple[Any, ...]) -> Any:
        """The next state."""
        return rnn_step(x, state, weights, self.nonlinearity)


class GRU(_Recurrent):
    """Gated recurrent units over a sequence."""

    kind = "GRU"

    def step(self, x: Any, state: Any, weights: tuple[Any, ...]) -> Any:
        """The next state."""
        return gru_step(x, state, weights)


class LSTM(_Recurrent):
    """Long short-term memories over a sequence."""

    kind = "LSTM"

    def step(self, x: Any, state: Any, weights: tuple[Any, ...]) -> Any:
        """The next state and cell."""
        return lstm_step(x, state, weights)

    def _start(self, hx: Any, count: int, x: Any, batched: bool) -> list[Any]:
        if hx is None:
            sizes = (self.output_size, self.hidden_size)
            return [tuple([zeros(x.shape[1], size, dtype=x.dtype) for size in sizes]) for _ in range(count)]
        h, c = hx if batched else tuple(t.unsqueeze(1) for t in hx)
        return [(h[k], c[k]) for k in range(count)]

    def _stacked(self, ends: list[Any], batched: bool) -> Any:
        parts: list[Tensor] = []
        for which in (0, 1):
            whole = TAPED.stack(*(state[which] for state in ends), dim=0)
            parts.append(whole if batched else whole.squeeze(1))
        return tuple(parts)
