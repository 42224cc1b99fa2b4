"""What torch says of devices that this machine does not have: ``torch.cuda.is_available()`` is False."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _none(*args: Any, **kwargs: Any) -> None:
    return None


def _refused(*args: Any, **kwargs: Any) -> NoReturn:
    raise AssertionError("Torch not compiled with CUDA enabled")


cuda = SimpleNamespace(
    is_available=_no, device_count=lambda: 0, manual_seed=_none, manual_seed_all=_none, empty_cache=_none,
    synchronize=_refused, current_device=_refused, get_device_name=_refused, set_device=_refused,
    memory_allocated=lambda *a: 0, max_memory_allocated=lambda *a: 0,
)  # fmt: skip
mps = SimpleNamespace(is_available=_no, manual_seed=_none, empty_cache=_none)
cpu = SimpleNamespace(is_available=lambda: True, device_count=lambda: 1)
backends = SimpleNamespace(
    mps=SimpleNamespace(is_available=_no, is_built=_no),
    cudnn=SimpleNamespace(is_available=_no, deterministic=False, benchmark=False, enabled=False),
    cuda=SimpleNamespace(is_built=_no, matmul=SimpleNamespace(allow_tf32=False)),
)
