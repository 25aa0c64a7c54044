"""A benchmark from end to end: whole runs, the same numbers however it is executed, resumed after a stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmark.bench import Bars
from benchmark.executors.execution import run_all
from benchmark.executors.local import Local
from benchmark.experiment import Experiment
from benchmark.folder import claim, evaluations
from benchmark.recorder import Scalars
from benchmark.run import Run
from recsim_env.errors import RunFolderError
from recsim_env.files import locked

WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
AGENTS = ("random", "myopic_oracle", "tabular_q", "dqn")
SETTINGS = {agent: {"alpha": "0.1"} if agent == "tabular_q" else {} for agent in AGENTS}
EXPERIMENT = Experiment({WORLD: {}}, SETTINGS, 2, 4000, 60)


class Quiet:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}
        self.finished: list[int] = []

    def update(self, number: int, step: int, scalars: Scalars) -> None:
        self.steps[number] = step

    def done(self, number: int, failed: str = "") -> None:
        self.finished.append(number)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment that two workers executed."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    progress = Quiet()
    claim(EXPERIMENT, folder)
    run_all(EXPERIMENT, folder, Local(2), progress)
    assert sorted(progress.finished) == list(range(8))
    assert all(step == 4000 for step in progress.steps.values())
    return folder


def events(run: Run, out: Path) -> EventAccumulator:
    found = EventAccumulator(str(run.folder(out)))
    found.Reload()
    return found


def test_a_run_folder_is_whole(out: Path) -> None:
    for run in EXPERIMENT.runs():
        names = {path.name for path in run.folder(out).iterdir() if "tfevents" not in path.name}
        assert names == {"agent", "evaluation.parquet", "items.parquet", "run.json"}
    assert not list(out.rglob("*.part"))


def test_curves_have_the_names_of_stable_baselines3(out: Path) -> None:
    run = next(run for run in EXPERIMENT.runs() if run.agent == "dqn")
    found = events(run, out)
    names = {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "time/fps",
        "train/loss",
        "eval/engagement",
        "eval/engagement_low",
        "eval/engagement_high",
        "eval/length",
        "eval/immediate_reward",
        "final/engagement",
    }
    assert names <= set(found.Tags()["scalars"])
    points = found.Scalars("eval/engagement")
    assert len(points) >= 10
    assert points[-1].step <= EXPERIMENT.steps
    assert points[-1].value > points[0].value
    assert {"users/engagement", "users/length"} <= set(found.Tags()["histograms"])
    assert found.Histograms("users/engagement")[0].histogram_value.num == EXPERIMENT.users


def test_evaluation_is_paired_between_agents(out: Path) -> None:
    table = evaluations(EXPERIMENT, out)
    assert len(table) == len(AGENTS) * EXPERIMENT.seeds * EXPERIMENT.users
    keys = {agent: group[["seed", "user"]].to_numpy().tolist() for agent, group in table.groupby("agent")}
    assert all(key == keys["random"] for key in keys.values())


def test_the_number_of_workers_and_a_second_go_change_nothing(out: Path, tmp_path: Path) -> None:
    """One worker, some runs taken away: tables are equal byte for byte, and finished runs are not touched."""
    again = tmp_path / "again"
    shutil.copytree(out, again)
    kept = [run for run in EXPERIMENT.runs() if run.seed == 0]
    stamps = [run.folder(again).stat().st_mtime_ns for run in kept]
    for run in EXPERIMENT.runs():
        if run.seed == 1:
            shutil.rmtree(run.folder(again))
    run_all(EXPERIMENT, again, Local(1), Quiet())
    assert [run.folder(again).stat().st_mtime_ns for run in kept] == stamps
    for run in EXPERIMENT.runs():
        one, two = (run.folder(folder) / "evaluation.parquet" for folder in (out, again))
        assert one.read_bytes() == two.read_bytes()


def test_another_experiment_is_refused(out: Path) -> None:
    other = Experiment({WORLD: {}}, SETTINGS, 2, 5000, 60)
    with pytest.raises(RunFolderError, match="holds another experiment"):
        claim(other, out)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunFolderError, match="in use"), locked(tmp_path):
        pass


def heed_interrupts() -> None:
    """A shell's background jobs, and what they start, ignore SIGINT unless told otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_leaves_finished_runs_intact_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Interrupt after the first finished run: no half-written folder stays, and the second go ends with the ranking."""
    command = [sys.executable, "-m", "benchmark.cli", "bench", WORLD, "--agents", "random,tabular_q"]
    command += ["--steps", "40000", "--seeds", "1", "--users", "50", "--workers", "1", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "random seed 0 done" in first
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "the same command goes on from there" in said
    assert not list((tmp_path / "out").rglob("*.part"))
    finished = pd.read_parquet(next((tmp_path / "out").rglob("random/seed-0/evaluation.parquet")))
    assert len(finished) == 50
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "tabular_q" in done.stdout
    assert (tmp_path / "out" / "ranking.csv").exists()


def test_what_a_worker_tells_after_it_is_done_is_let_pass() -> None:
    """Messages and results come by two ways, so the last message may come late."""
    with Bars(EXPERIMENT) as bars:
        bars.update(0, 10, {})
        bars.done(0)
        bars.update(0, 20, {})
        assert not bars.tasks


def test_a_world_is_called_with_the_parameters_that_differ() -> None:
    def title(world: str, **parameters: Any) -> str:
        return Experiment({world: parameters}, {"random": {}}, 1, 1, 1).title(world)

    assert title("interest_evolution", num_candidates="10", slate_size=1) == "interest_evolution (slate_size=1)"
    assert title("interest_evolution", choice="cascade") == "interest_evolution (choice=cascade)"
    assert title("long_term_satisfaction:hard") == "long_term_satisfaction:hard"
    assert title("gone.py:World", size=3) == "gone.py:World (size=3)"
    assert title("movielens", data="/some/where.zip", slate_size="2") == "movielens (slate_size=2)"  # no paths
    blind = Experiment({"boredom": {}}, {"random": {}}, 1, 1, 1, observe="responses")
    assert blind.title("boredom") == "boredom, observe=responses"
