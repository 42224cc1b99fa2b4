"""Write down which public names PyTorch has: ``python -m tests.oracle.torch_names > explain/program/torch_names.txt``.

Programs that use one that is not served here are told so, and not that there is no such thing.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap

MODULES = (
    "torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils", "torch.linalg", "torch.special", "torch.fft",
    "torch.optim", "torch.optim.lr_scheduler", "torch.autograd", "torch.autograd.functional", "torch.func", "torch.utils.data",
    "torch.distributions", "torch.sparse", "torch.cuda", "torch.amp", "torch.jit",
)  # fmt: skip


def main() -> None:
    import torch

    found = {"torch.Tensor": [n for n in dir(torch.Tensor) if not n.startswith("_")]}
    for name in MODULES:
        module = importlib.import_module(name)
        found[name] = [
            n
            for n, value in vars(module).items()
            if not n.startswith("_") and not (inspect.ismodule(value) and not value.__name__.startswith("torch"))
        ]
    for name, names in found.items():
        print(f"{name}:")
        print("\n".join(textwrap.wrap(" ".join(sorted(names)), 124, initial_indent="  ", subsequent_indent="  ")))


if __name__ == "__main__":
    main()
