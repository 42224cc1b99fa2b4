"""Torch's random numbers: the MT19937 stream of ``torch.manual_seed``, drawn the way torch's CPU generator draws.

Checked against torch 2.13 for seeds 0, 7, 42, 1234. Doubles take two 32-bit words, floats one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int, ...]


class Generator:
    """One stream of random words. ``seed``: as in ``torch.manual_seed``."""

    def __init__(self, seed: int = 0) -> None:
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew."""
        self.seed = int(seed)
        self._state = np.random.RandomState(seed % 2**32)
        self._kept_normal: float | None = None
        return self

    def __repr__(self) -> str:
        return f"<torch._C.Generator object at {id(self):#x}>"

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self.seed

    @property
    def state(self) -> Any:
        """All that decides what is drawn next; setting it continues from there."""
        return self.seed, self._state.get_state(), self._kept_normal

    @state.setter
    def state(self, state: Any) -> None:
        self.seed, inner, self._kept_normal = state
        self._state.set_state(inner)

    def words(self, count: int) -> np.ndarray:
        """The next ``count`` 32-bit words, as uint64."""
        return self._state.randint(0, 2**32, size=count, dtype=np.uint32).astype(np.uint64)

    def uniform24(self, count: int) -> np.ndarray:
        """Uniform in [0, 1) with 24 random bits, float64."""
        return (self.words(count) & np.uint64(0xFFFFFF)).astype(np.float64) / 2**24

    def uniform53(self, count: int) -> np.ndarray:
        """Uniform in [0, 1) with 53 random bits, float64."""
        pairs = self.words(2 * count).reshape(-1, 2)
        whole = (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]
        return (whole & np.uint64(2**53 - 1)).astype(np.float64) / 2**53

    def rand(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """``torch.rand``: float32 from 24 bits, float64 from 53."""
        count = int(np.prod(shape, dtype=np.int64))
        draws = self.uniform53(count) if dtype == np.float64 else self.uniform24(count)
        return draws.astype(dtype).reshape(shape)

    def randn(self, shape: Shape, dtype: np.dtype, in_blocks: bool = True) -> np.ndarray:
        """``torch.randn``: Box-Muller, one by one below 16 entries, in blocks of 16 above if the memory allows it."""
        count = int(np.prod(shape, dtype=np.int64))
        normal = self._randn_few(count) if count < 16 or not in_blocks else self._randn_blocks(count, dtype)
        return normal.astype(dtype).reshape(shape)

    def _randn_few(self, count: int) -> np.ndarray:
        out = np.empty(count)
        for k in range(count):
            if self._kept_normal is not None:
                out[k], self._kept_normal = self._kept_normal, None
                continue
            u1, u2 = self.uniform53(2)
            radius = np.sqrt(-2 * np.log1p(-u2))
            out[k] = radius * np.cos(2 * np.pi * u1)
            self._kept_normal = float(radius * np.sin(2 * np.pi * u1))
        return out

    def _randn_blocks(self, count: int, dtype: np.dtype) -> np.ndarray:
        draw = self.uniform53 if dtype == np.float64 else self.uniform24
        data = draw(count).astype(dtype)
        whole = count // 16 * 16
        data[:whole] = _box_muller(data[:whole])
        if whole != count:
            data[-16:] = _box_muller(draw(16).astype(dtype))
        return data


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    blocks = uniform.reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log(1 - blocks[:, 0]))
    angle = (2 * np.pi * blocks[:, 1]).astype(uniform.dtype)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


default_generator = Generator()
