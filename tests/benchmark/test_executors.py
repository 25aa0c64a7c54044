"""Runs survive whatever dies: a worker, or all of it, at random moments; tables are equal to the last byte."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.executors.execution import TRIES, Progress, Todo, WorkerDied, run_all
from benchmark.executors.local import Local
from benchmark.experiment import Experiment
from benchmark.recorder import Scalars

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
AGENTS = ("random", "myopic_oracle", "tabular_q", "popular")
EXPERIMENT = Experiment({WORLD: {}}, {agent: {} for agent in AGENTS}, 3, 4000, 40)
KILLS = 10


class Quiet:
    """Is told, and does nothing; `strike` is called at each message."""

    def __init__(self, strike: object = None) -> None:
        self.finished: list[int] = []
        self.strike = strike

    def update(self, number: int, step: int, scalars: Scalars) -> None:
        if callable(self.strike):
            self.strike()

    def done(self, number: int, failed: str = "") -> None:
        self.finished.append(number)


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The evaluation tables of an experiment that ran through, by their place."""
    out = tmp_path_factory.mktemp("whole")
    run_all(EXPERIMENT, out, Local(2), Quiet())
    return tables(out)


def tables(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("evaluation.parquet"))}


def test_a_killed_worker_ends_nothing(never_killed: dict[str, bytes], tmp_path: Path) -> None:
    killed: list[int] = []

    def strike() -> None:
        workers = multiprocessing.active_children()
        if workers and not killed:
            killed.append(workers[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    progress = Quiet(strike)
    run_all(EXPERIMENT, tmp_path, Local(2), progress)
    assert killed and sorted(progress.finished) == list(range(12))
    assert tables(tmp_path) == never_killed
    assert not list(tmp_path.rglob("*.part"))


def test_what_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    class Mortal:
        tries = 0

        def run(self, todo: Todo, out: Path, progress: Progress) -> None:
            self.tries += 1
            raise WorkerDied("a worker process was killed")

    executor = Mortal()
    with pytest.raises(WorkerDied, match="3 times in a row, among others with random seed 0"):
        run_all(EXPERIMENT, tmp_path, executor, Quiet())
    assert executor.tries == TRIES


def test_killed_ten_times_and_resumed_it_is_as_if_it_had_not_been(
    never_killed: dict[str, bytes], tmp_path: Path
) -> None:
    """SIGKILL to the main process at random moments; its workers end with it, and what was whole stays."""
    out, rng = tmp_path / "out", random.Random(0)
    command = [sys.executable, "-m", "benchmark.cli", "bench", WORLD, "--agents", ",".join(AGENTS), "--seeds", "3"]
    command += ["--steps", "4000", "--users", "40", "--workers", "2", "--out", str(out)]
    for _ in range(KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(1.5, 7.0))
        process.kill()
        process.wait()
    before = tables(out) if out.exists() else {}
    said = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert "rank" in said.stdout
    assert tables(out) == never_killed
    assert before.items() <= tables(out).items()
    assert not list(out.rglob("*.part"))
