"""All runs of an experiment that are not whole yet, by whichever executor, again where a worker died."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from benchmark.experiment import Experiment
from benchmark.recorder import Scalars
from benchmark.run import Run, aside, failure_of
from recsim_env.errors import RecSimError
from recsim_env.files import remove

TRIES = 3  # in a row in which workers died and no run became whole

Todo = Sequence[tuple[int, Run]]


class WorkerDied(RecSimError):
    """A worker was killed, by the system where memory ran out, or by a person."""


class Progress(Protocol):
    """Who is told how far the runs are."""

    def update(self, number: int, step: int, scalars: Scalars) -> None:
        """Run `number` has played `step` user-steps."""

    def done(self, number: int, failed: str = "") -> None:
        """Run `number` is whole, or `failed`: why."""


class Executor(Protocol):
    """Executes runs, each into its folder below `out`."""

    def run(self, todo: Todo, out: Path, progress: Progress) -> None:
        """Execute them all.

        Raises:
            WorkerDied: some are not whole, since a worker ended.
        """


def run_all(experiment: Experiment, out: Path, executor: Executor, progress: Progress) -> None:
    """Execute the runs that are not whole yet; those that failed before are kept as they are.

    Raises:
        WorkerDied: workers died three times in a row without a run becoming whole.
    """
    for i, run in enumerate(experiment.runs()):
        remove(aside(run.folder(out)))
        if run.folder(out).exists():
            progress.done(i, failure_of(run.folder(out)))
    tries = 0
    while todo := missing(experiment, out):
        try:
            executor.run(todo, out, progress)
        except WorkerDied as error:
            left = missing(experiment, out)
            tries = tries + 1 if len(left) == len(todo) else 1
            if tries == TRIES:
                first = left[0][1]
                raise WorkerDied(
                    f"{error}, {TRIES} times in a row, among others with {first.agent} seed {first.seed}; if memory "
                    f"runs out, try --workers 1"
                ) from None
        finally:
            for _, run in todo:
                remove(aside(run.folder(out)))


def missing(experiment: Experiment, out: Path) -> list[tuple[int, Run]]:
    """Runs that are not whole, with their numbers."""
    return [(i, run) for i, run in enumerate(experiment.runs()) if not run.folder(out).exists()]
