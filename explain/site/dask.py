"""A Dask cluster as one that does the work of a build."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from explain.errors import InputError

PATIENCE = 10
"""Seconds in which a scheduler has to answer."""


@contextmanager
def executor_at(address: str) -> Iterator[Executor]:
    """The cluster at an address. Raises InputError if distributed is not installed or nobody answers there."""
    try:
        from distributed import Client
    except ImportError:
        from explain.site.command import missing

        raise missing("dask", "distributed") from None
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        yield client.get_executor()
