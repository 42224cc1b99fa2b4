"""Work of a build in processes beside this one, or in any executor. Nothing is lost when one of them dies.

Loaded only where there is such work: most builds are done before other processes have begun.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from explain.site.tasks import Done, Task, do

TRIES = 3
"""So often a task is given out whose worker died."""


def in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Done]]:
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


def sent(tasks: Sequence[Task], executor: Executor) -> Iterator[tuple[Task, Done]]:
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
