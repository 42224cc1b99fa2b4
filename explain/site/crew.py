"""Who does the work of a build: this process, processes beside it, or any executor. Nothing is lost when one dies."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from explain.site.tasks import Done, Task, do

ALONE = 0.4
"""So many seconds this process works alone: other processes pay for themselves only after that."""
MANY = 4
"""So many pages with derivations are work for several processes from the beginning."""
TRIES = 3
"""So often a task is given out whose worker died."""


def work(tasks: Sequence[Task], jobs: int = 1, executor: Executor | None = None) -> Iterator[tuple[Task, Done]]:
    """Every task with its result, in the order in which they are done."""
    left = list(reversed(tasks))
    if executor is None:
        begun = time.monotonic()
        alone = 0.0 if sum(task.derives for task in tasks) >= MANY else ALONE
        while left and (jobs < 2 or len(left) < 2 or time.monotonic() - begun < alone):
            task = left.pop()
            yield task, do(task)
    if not left:
        return
    left.reverse()
    if executor is not None:
        yield from _sent(left, executor)
    else:
        yield from _in_processes(left, jobs)


def _in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Done]]:
    """Work in processes of our own. When one of them is killed the pool is lost: what was under way is begun anew."""
    left = list(tasks)
    tries = dict.fromkeys(range(len(left)), 0)
    waiting = list(tries)
    while waiting:
        # a task that saw several pools die is tried alone, so that it takes no other with it
        suspects = [k for k in waiting if tries[k] >= TRIES - 1]
        batch = suspects[:1] or waiting
        done: set[int] = set()
        with _pool(1 if suspects else min(jobs, len(batch))) as pool:
            futures = {pool.submit(do, left[k]): k for k in batch}
            for future in _completed(futures):
                k = futures[future]
                try:
                    result = future.result()
                except BrokenProcessPool:
                    tries[k] += 1
                    if tries[k] < TRIES:
                        continue
                    result = Done({}, "the process that worked on this page was killed, several times")
                done.add(k)
                yield left[k], result
        waiting = [k for k in waiting if k not in done]


def _pool(jobs: int) -> ProcessPoolExecutor:
    # a server that forks: processes start fast and inherit no thread of ours
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["explain.site.preloaded"])
    return ProcessPoolExecutor(jobs, mp_context=context)


def _sent(tasks: Sequence[Task], executor: Executor) -> Iterator[tuple[Task, Done]]:
    """Work sent to an executor. A task whose worker failed it is sent again."""
    tries: dict[Future[Done], tuple[int, Task]] = {executor.submit(do, task): (1, task) for task in tasks}
    waiting = set(tries)
    while waiting:
        ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ready:
            count, task = tries.pop(future)
            error = future.exception()
            if error is None:
                yield task, future.result()
            elif count < TRIES:
                again = executor.submit(do, task)
                tries[again] = (count + 1, task)
                waiting.add(again)
            else:
                yield task, Done({}, f"the worker failed {count} times: {error!r}")


def _completed(futures: dict[Future[Done], int]) -> Iterator[Future[Done]]:
    waiting = set(futures)
    while waiting:
        ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        yield from sorted(ready, key=futures.__getitem__)
