"""``torch.device``: there is one place for tensors here, the CPU; others can be named but not used."""

from __future__ import annotations

from typing import Any

from explain.torch.creation import refuse_device

KINDS = ("cpu", "cuda", "mps", "meta", "xpu")


class device:
    """A place for tensors: ``device("cuda:0")``. Raises torch's RuntimeError for a name that is no device."""

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        text = f"cuda:{type}" if isinstance(type, int) else str(type)
        name, _, number = text.partition(":")
        if name not in KINDS or (number and not number.isdigit()):
            refuse_device(name if name not in KINDS else f"{name}?")
        self.type: str = name
        self.index: int | None = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{number})"

    def __enter__(self) -> device:
        refuse_unless_cpu(self)
        return self

    def __exit__(self, *error: object) -> None:
        return None


CPU = device("cpu")


def refuse_unless_cpu(place: Any) -> None:
    """Raise torch's error for a device that this machine does not have."""
    if place is not None and device(place).type != "cpu":
        refuse_device(device(place).type)
