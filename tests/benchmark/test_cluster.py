"""Ray on two workers of this machine: the same tables as processes give, and slices of users that compose."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from benchmark.behaviour import ready_agent
from benchmark.evaluation import evaluate
from benchmark.executors.choice import executor_named
from benchmark.executors.cluster import Ray
from benchmark.executors.execution import run_all
from benchmark.executors.local import Local
from benchmark.experiment import Experiment
from benchmark.first_sessions import first_sessions_of
from benchmark.run import Run, load
from recsim_env.errors import InvalidParameter, RecSimError, UnknownName
from recsim_env.logs import Interactions
from recsim_env.streams import Purpose
from tests.benchmark.commands import run
from tests.benchmark.test_executors import Quiet, tables

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'recsim-env[ray]'")
WORLD = f"{Path(__file__).parents[1] / 'worlds.py'}:TinyWorld"
EXPERIMENT = Experiment({WORLD: {}}, {agent: {} for agent in ("random", "tabular_q")}, 2, 4000, 40)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two workers, which every test uses; as important as other processes, else tests beside these starve them."""
    settings = {"include_dashboard": False, "log_to_driver": False, "_node_ip_address": "127.0.0.1"}
    ray.init(num_cpus=2, _system_config={"worker_niceness": 0}, **settings)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same experiment by processes and by Ray."""
    local, elsewhere = tmp_path_factory.mktemp("local"), tmp_path_factory.mktemp("ray")
    run_all(EXPERIMENT, local, Local(1), Quiet())
    progress = Quiet()
    run_all(EXPERIMENT, elsewhere, Ray(), progress)
    assert sorted(progress.finished) == [0, 1, 2, 3]
    return local, elsewhere


def test_tables_are_those_of_processes(runs: tuple[Path, Path]) -> None:
    local, elsewhere = runs
    assert len(tables(local)) == 4 and tables(local) == tables(elsewhere)


def test_an_evaluation_in_slices_is_the_same(runs: tuple[Path, Path]) -> None:
    """2,500 users: three blocks, dealt out to two workers."""
    run = next(run for run in EXPERIMENT.runs() if run.agent == "tabular_q")
    many = Run(WORLD, {}, run.agent, {}, run.seed, run.steps, 2500)
    agent = load(run, run.world(), run.folder(runs[0]) / "agent")
    here = evaluate(agent, run.world(), users=2500, seed=run.seed, purpose=Purpose.TEST)
    pd.testing.assert_frame_equal(Ray().evaluate(agent, many).table, here.table)


def test_a_log_in_slices_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "logs"
    assert run(monkeypatch, *f"collect {WORLD} --sessions 2300 --out {path} --executor ray".split()) == 0
    policy = ready_agent(WORLD, {}, "random", {}, 0)
    here = first_sessions_of(Run(WORLD, {}, "random", {}, 0, 0, 1).world(), policy, {"observe": "partial"}, 2300, 0)
    pd.testing.assert_frame_equal(Interactions.from_parquet(path).frame(), here.frame())


def test_executors_by_name() -> None:
    assert executor_named("local", 3, "") == Local(3) and executor_named("ray", 2, "") == Ray("", 2)
    with pytest.raises(UnknownName, match="did you mean 'local'"):
        executor_named("locla", 0, "")
    with pytest.raises(InvalidParameter, match="goes with --executor ray"):
        executor_named("local", 0, "auto")
    with pytest.raises(InvalidParameter, match="knows its own workers"):
        executor_named("ray", 2, "auto")


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RecSimError, match=r"pip install 'recsim-env\[ray\]'"), Ray().connected():
        pass
