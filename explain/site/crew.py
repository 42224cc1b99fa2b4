"""Who does the work of a build: this process, processes beside it, or any executor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from explain.site.tasks import Done, Task, do

if TYPE_CHECKING:
    from concurrent.futures import Executor

ALONE = 0.4
"""So many seconds this process works alone: other processes pay for themselves only after that."""
MANY = 4
"""So many pages with derivations are work for several processes from the beginning."""


def work(tasks: Sequence[Task], jobs: int = 1, executor: Executor | None = None) -> Iterator[tuple[Task, Done]]:
    """Every task with its result, in the order in which they are done."""
    left = list(reversed(tasks))
    if executor is None:
        begun = time.monotonic()
        alone = 0.0 if sum(task.effort >= 1 for task in tasks) >= MANY else ALONE
        while left and (jobs < 2 or len(left) < 2 or time.monotonic() - begun < alone):
            task = left.pop()
            yield task, do(task)
    if not left:
        return
    from explain.site.processes import in_processes, sent

    left.reverse()
    yield from sent(left, executor) if executor is not None else in_processes(left, jobs)
