"""``torch.utils.data``: data sets, and batches of them in torch's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from explain.tape.apply import TAPED
from explain.tape.tensor import Tensor
from explain.torch import creation, random


class Dataset:
    """Base of data sets: ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])

    def __class_getitem__(cls, item: Any) -> Any:
        return cls


class IterableDataset(Dataset):
    """Base of data sets that only iterate."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


class TensorDataset(Dataset):
    """Rows of tensors side by side."""

    def __init__(self, *tensors: Tensor) -> None:
        if any(len(t) != len(tensors[0]) for t in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> Any:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class ConcatDataset(Dataset):
    """Data sets one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)

    def __getitem__(self, index: int) -> Any:
        for d in self.datasets:
            if index < len(d):
                return d[index]
            index -= len(d)
        raise IndexError("index out of range")


class Subset(Dataset):
    """Some elements of a data set."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset]:
    """A data set in parts, at random."""
    sizes: list[float] = list(lengths)
    if math.isclose(sum(sizes), 1) and sum(sizes) <= 1:
        whole = [math.floor(len(dataset) * share) for share in sizes]
        for k in range(len(dataset) - sum(whole)):
            whole[k % len(whole)] += 1
        sizes = list(whole)
    if sum(sizes) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = random.randperm(len(dataset), generator=generator).tolist()
    found, at = [], 0
    for n in map(int, sizes):
        found.append(Subset(dataset, order[at : at + n]))
        at += n
    return found


class Sampler:
    """Base of samplers."""

    def __class_getitem__(cls, item: Any) -> Any:
        return cls


class SequentialSampler(Sampler):
    """All elements in order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """All elements in random order, as torch draws it: a seed from the default stream, then a permutation by it."""

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            generator = random.Generator(drawn_seed())
        n = len(self.data_source)
        if self.replacement:
            return iter(random.randint(0, n, (self.num_samples,), generator=generator).tolist())
        return iter(random.randperm(n, generator=generator).tolist()[: self.num_samples])

    def __len__(self) -> int:
        return self.num_samples


def drawn_seed() -> int:
    """A 63-bit number from the default stream, as ``torch.empty((), dtype=int64).random_()`` draws it."""
    high, low = (int(w) for w in random.default_generator.words(2))
    return ((high << 32) | low) & (2**63 - 1)


class BatchSampler(Sampler):
    """Elements of a sampler in batches."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for k in self.sampler:
            batch.append(k)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


def default_collate(batch: list[Any]) -> Any:
    """Elements of a batch stacked: tensors, numbers, tuples and dicts of them."""
    first = batch[0]
    if isinstance(first, Tensor):
        return TAPED.stack(*batch, dim=0)
    if isinstance(first, np.ndarray):
        return creation.as_tensor(np.stack(batch))
    if isinstance(first, bool | int):
        return creation.tensor(list(batch))
    if isinstance(first, float | np.floating):
        return creation.tensor([float(x) for x in batch], dtype="float64")
    if isinstance(first, dict):
        return {key: default_collate([b[key] for b in batch]) for key in first}
    if isinstance(first, tuple | list):
        made = [default_collate(list(parts)) for parts in zip(*batch, strict=True)]
        return type(first)(*made) if hasattr(first, "_fields") else made
    return list(batch)


class DataLoader:
    """Batches of a data set; workers and pinned memory change nothing here."""

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        generator: Any = None,
        **others: Any,
    ) -> None:
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.collate_fn = collate_fn or default_collate
        self.generator = generator
        if not isinstance(dataset, IterableDataset):
            chosen = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            self.sampler = chosen if sampler is None else sampler
            self.batch_sampler = batch_sampler or (batch_size and BatchSampler(self.sampler, batch_size, drop_last))

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            yield from self._iterated()
            return
        if self.generator is None:
            drawn_seed()  # torch draws one for its workers whether there are any or not
        else:
            self.generator.words(2)
        if not self.batch_sampler:
            for k in self.sampler:
                yield self.dataset[k]
            return
        for batch in self.batch_sampler:
            yield self.collate_fn([self.dataset[k] for k in batch])

    def _iterated(self) -> Iterator[Any]:
        batch: list[Any] = []
        for element in self.dataset:
            batch.append(element)
            if len(batch) == self.batch_size:
                yield self.collate_fn(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        return len(self.batch_sampler) if self.batch_sampler else len(self.sampler)
