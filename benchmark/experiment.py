"""Many runs: planned and checked before anything starts, executed by worker processes, resumed where they stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from filelock import FileLock, Timeout

from benchmark.recorder import Scalars
from benchmark.run import Run, aside, execute, training_envs
from recsim_env.agent import WorldSpec, agent_class
from recsim_env.errors import InvalidParameter, RunFolderError
from recsim_env.files import remove, whole
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario

LOCK = ".lock"
PACKAGES = ("recsim-env", "gymnasium", "numba", "numpy", "pandas", "stable-baselines3", "torch")


class Progress(Protocol):
    """Who is told how far the runs are."""

    def update(self, number: int, step: int, scalars: Scalars) -> None:
        """Run `number` has played `step` user-steps."""

    def done(self, number: int) -> None:
        """Run `number` is whole."""


@dataclass(frozen=True)
class Experiment:
    """Agents in one world, each with several seeds and the same budget."""

    scenario: str
    parameters: Mapping[str, Any]
    agents: Sequence[str]
    settings: Mapping[str, Mapping[str, Any]]  # agent -> its settings
    seeds: int
    steps: int
    users: int
    observe: str = "partial"
    seeds_of: Mapping[str, int] = field(default_factory=dict)  # agents that have another number of seeds

    def runs(self) -> list[Run]:
        """Every run, seed by seed."""
        return [
            Run(
                self.scenario,
                dict(self.parameters),
                agent,
                dict(self.settings.get(agent, {})),
                seed,
                self.steps,
                self.users,
                self.observe,
            )
            for seed in range(max([self.seeds, *self.seeds_of.values()]))
            for agent in self.agents
            if seed < self.seeds_of.get(agent, self.seeds)
        ]

    def check(self) -> Scenario:
        """The world, or the error that a run would meet: unknown names, parameters, budgets, data."""
        for name, value, low in (("seeds", self.seeds, 1), ("steps", self.steps, 1), ("users", self.users, 1)):
            if value < low:
                raise InvalidParameter(f"--{name} must be {low} or more, not {value}")
        if len({run.folder(Path()) for run in self.runs()}) < len(self.runs()):
            raise InvalidParameter(f"--agents names an agent twice: {', '.join(self.agents)}")
        scenario = find_world(self.scenario).make(**self.parameters)
        for run in self.runs()[: len(self.agents)]:
            kind, config = agent_class(run.agent), run.config()
            if kind.learns and self.steps < 20 * config.users:
                raise InvalidParameter(
                    f"--steps must be at least 20 for each of the {config.users} users that {run.agent} trains with "
                    f"({20 * config.users}), not {self.steps}"
                )
            kind(config, WorldSpec.of(training_envs(kind, config, scenario, 0, 1, self.observe)))
        return scenario


def describe(experiment: Experiment) -> dict[str, Any]:
    """What is kept beside the results, in plain values."""
    return json.loads(json.dumps(asdict(experiment)))


def check_folder(experiment: Experiment, out: Path) -> None:
    """Whether the folder can take this experiment: it is new, empty, or holds the same one.

    Raises:
        RunFolderError: the folder holds another experiment or something else.
    """
    path = out / "experiment.json"
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(p.name != LOCK for p in out.iterdir())):
            raise RunFolderError(f"{out} exists and holds no experiment; choose another folder with --out")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["experiment"]
    except (ValueError, KeyError, OSError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); remove {out} or choose another folder with --out") from None
    different = [key for key, value in describe(experiment).items() if before.get(key) != value]
    if different:
        key = different[0]
        raise RunFolderError(
            f"{out} holds another experiment ({key} was {before.get(key)!r}, now {describe(experiment)[key]!r}); "
            f"choose another folder with --out, or remove it"
        )


def claim(experiment: Experiment, out: Path) -> None:
    """Write the experiment into its folder, or find the same one there (see `check_folder`)."""
    check_folder(experiment, out)
    if (out / "experiment.json").exists():
        return
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    versions = {name: version(name) for name in PACKAGES}
    content = {"experiment": describe(experiment), "versions": versions, "machine": machine}
    with whole(out / "experiment.json") as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Nobody else works in this folder meanwhile."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"{out} is in use by another process; wait for it or choose another folder with --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


_queue: Any = None  # a worker's way to tell how far it is


def start_worker(queue: Any) -> None:
    """Ctrl-C is the main process's to handle."""
    global _queue
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _queue = queue


def work(number: int, run: Run, out: Path, threads: int) -> int:
    """Execute one run in a worker process."""
    execute(run, out, lambda step, scalars: _queue.put((number, step, scalars)), threads)
    return number


def run_all(experiment: Experiment, out: Path, workers: int, progress: Progress) -> None:
    """Execute the runs that are not whole yet, `workers` at a time."""
    todo = [(i, run) for i, run in enumerate(experiment.runs()) if not run.folder(out).exists()]
    for i, run in enumerate(experiment.runs()):
        remove(aside(run.folder(out)))
        if run.folder(out).exists():
            progress.done(i)
    if not todo:
        return
    workers = min(workers, len(todo))
    threads = 1 if workers > 1 else 0
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    pool = ProcessPoolExecutor(workers, context, start_worker, (queue,))
    with listening(queue, progress.update):
        try:
            futures = [pool.submit(work, i, run, out, threads) for i, run in todo]
            for future in as_completed(futures):
                progress.done(future.result())
        except BaseException:
            stop(pool, futures)
            for _, run in todo:
                remove(aside(run.folder(out)))
            raise
        pool.shutdown()


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


def evaluations(experiment: Experiment, out: Path) -> pd.DataFrame:
    """The evaluation tables of all runs, one under the other."""
    tables = [pd.read_parquet(run.folder(out) / "evaluation.parquet") for run in experiment.runs()]
    return pd.concat(tables, ignore_index=True)
