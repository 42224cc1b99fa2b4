"""What the tape is doing right now, per thread: recording gradients or not, recording for a derivation or not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from explain.tape.record import Recorder

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    """``plain``: gradients are recorded and nobody watches, so operations may take the short way. ``anomaly``: a nan in
    backward is an error, as in torch's anomaly mode. ``inference``: tensors that are made now can never take part in
    backward."""

    plain = True
    anomaly = False
    inference = False
    _grad_enabled = True
    _recorder: Recorder | None = None

    @property
    def grad_enabled(self) -> bool:
        return self._grad_enabled

    @grad_enabled.setter
    def grad_enabled(self, enabled: bool) -> None:
        self._grad_enabled = enabled
        self.plain = enabled and self._recorder is None

    @property
    def recorder(self) -> Recorder | None:
        return self._recorder

    @recorder.setter
    def recorder(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self.plain = self._grad_enabled and recorder is None


state = _State()


class _GradMode:
    """Sets the grad mode inside a block or a decorated function."""

    enabled = True

    def __enter__(self) -> None:
        self._before = state.grad_enabled
        state.grad_enabled = self.enabled

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        state.grad_enabled = self._before

    def __call__(self, function: F) -> F:
        import functools

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before, state.grad_enabled = state.grad_enabled, self.enabled
            try:
                return function(*args, **kwargs)
            finally:
                state.grad_enabled = before

        return wrapped  # type: ignore[return-value]


class _Bare(_GradMode):
    """A mode without arguments: it also decorates without brackets, ``@no_grad``."""

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        return mode if function is None else mode(function)


class no_grad(_Bare):
    """Operations inside build no graph; as a block or a decorator, like ``torch.no_grad``."""

    enabled = False


class enable_grad(_Bare):
    """Operations inside build a graph again, also within ``no_grad``."""


class set_grad_enabled(_GradMode):
    """``no_grad`` or ``enable_grad`` by a flag. Takes effect at once, like torch's, and ends with its block, if any."""

    def __init__(self, mode: bool) -> None:
        self.enabled = bool(mode)
        self._before = state.grad_enabled
        state.grad_enabled = self.enabled

    def __enter__(self) -> None:
        state.grad_enabled = self.enabled

    def __call__(self, function: F) -> F:
        state.grad_enabled = self._before
        return super().__call__(function)


class inference_mode(_Bare):
    """``no_grad``, and what is made inside can never take part in backward, like ``torch.inference_mode``."""

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if callable(mode):
            return made(mode)
        made.enabled = not mode and state.grad_enabled
        made.inside = bool(mode)
        return made

    inside = True
    enabled = False

    def __enter__(self) -> None:
        super().__enter__()
        self._outside = state.inference
        state.inference = self.inside

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, error, tb)
        state.inference = self._outside

    def __call__(self, function: F) -> F:
        import functools

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with inference_mode(self.inside):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients build a graph in this thread."""
    return state.grad_enabled


def is_inference_mode_enabled() -> bool:
    """Whether tensors made now can never take part in backward."""
    return state.inference
