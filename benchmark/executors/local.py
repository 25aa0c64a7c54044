"""Processes of this machine, one torch thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from benchmark.executors.execution import Progress, Todo, WorkerDied
from benchmark.recorder import Scalars
from benchmark.run import Run, execute, failure_of
from recsim_env.resources import available_memory, usable_cores

MEMORY = 1.5 * 2**30  # bytes that a run may take: torch, a replay, a log

_queue: Any = None  # a worker's way to tell how far it is


@dataclass(frozen=True)
class Local:
    """So many processes; 0: one a core, or fewer where memory is short."""

    workers: int = 0

    def run(self, todo: Todo, out: Path, progress: Progress) -> None:
        """See `Executor`."""
        workers = min(self.workers or fitting_workers(), len(todo))
        threads, runs = 1 if workers > 1 else 0, dict(todo)
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        pool = ProcessPoolExecutor(workers, context, start_worker, (queue,))
        with listening(queue, progress.update):
            futures: list[Future[int]] = []
            try:
                futures += [pool.submit(work, i, run, out, threads) for i, run in todo]
                for future in as_completed(futures):
                    number = future.result()
                    progress.done(number, failure_of(runs[number].folder(out)))
            except BrokenProcessPool:
                stop(pool, futures)
                raise WorkerDied("a worker process was killed") from None
            except BaseException:
                stop(pool, futures)
                raise
            pool.shutdown()


def fitting_workers() -> int:
    """One a core, as far as there is memory."""
    most, memory = usable_cores(), available_memory()
    room = most if memory is None else int(memory / MEMORY)
    if room < most:
        print(f"memory is short: {max(1, room)} runs side by side, not {most}", file=sys.stderr)
    return max(1, min(most, room))


def start_worker(queue: Any) -> None:
    """Ctrl-C is the main process's to handle, and where that is killed nobody works on."""
    global _queue
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    _queue = queue


def end_with_parent() -> None:
    """Wait for the main process's end, and end: else two processes might write the same run after it is resumed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def work(number: int, run: Run, out: Path, threads: int) -> int:
    """Execute one run in a worker process."""
    execute(run, out, lambda step, scalars: _queue.put((number, step, scalars)), threads)
    return number


def stop(pool: ProcessPoolExecutor, futures: Sequence[Future[int]]) -> None:
    """End the workers now: their runs are started anew next time."""
    for future in futures:
        future.cancel()
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def listening(queue: Any, update: Callable[[int, int, Scalars], None]) -> Iterator[None]:
    """Pass what workers tell on to `update`, from a thread."""

    def listen() -> None:
        while (message := queue.get()) is not None:
            update(*message)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        queue.put(None)
        thread.join(timeout=5)
