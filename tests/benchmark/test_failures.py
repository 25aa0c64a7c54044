"""Runs that fail by their numbers: told by agent, seed, update, user, step and value; the others go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.experiment import Experiment
from benchmark.folder import evaluation_of, failures
from benchmark.run import Run, train
from recsim_env import RecEnv, RecVectorEnv
from recsim_env.agent import NoLog
from recsim_env.errors import Diverged, RewardError, RunFolderError
from tests.benchmark.commands import run
from tests.worlds import GrowingWorld, TinyWorld

WORLDS = Path(__file__).parents[1] / "worlds.py"
WORLD, GROWING = f"{WORLDS}:TinyWorld", f"{WORLDS}:GrowingWorld"
DIVERGING = "dqn@learning_rate=1e6"


def play(envs: Any, steps: int = 200) -> None:
    """Meals only, under which levels climb to the highest."""
    envs.reset(seed=0)
    for _ in range(steps):
        over = envs.step(1 if isinstance(envs, RecEnv) else np.ones(envs.num_envs, np.int64))[2]
        if np.all(over):
            envs.reset()


def test_rewards_that_cannot_be_squared_stop_at_their_step() -> None:
    words = r"GrowingWorld: the rewards of user \d+ add up to 1e\+(150|200) after step [1-4] of the session"
    with pytest.raises(RewardError, match=words):
        play(RecVectorEnv(GrowingWorld(leave=0.001), 5))
    with pytest.raises(RewardError, match=words):
        play(RecEnv(GrowingWorld(leave=0.001)))


def test_evaluate_stops_where_rewards_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "evaluate", GROWING, "--agent", "random", "--users", "30") == 2
    told = capsys.readouterr()
    assert "engagement" not in told.out and told.err.count("\n") == 1 and "the rewards of user" in told.err


@pytest.mark.parametrize("agent", [DIVERGING, "slate_q@learning_rate=1e6", "reinforce@learning_rate=1e6"])
def test_an_agent_that_diverges_is_told_with_seed_update_and_advice(agent: str) -> None:
    """Also one that would go on with losses that are no numbers."""
    one = Run(WORLD, {}, agent, {"users": "8"}, 3, 2000, 10)
    words = rf"{agent} seed 3 diverged, after [\d,]+ updates and [\d,]+ user-steps: .*learning_rate smaller than 1e\+06"
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=words):
        train(one, TinyWorld(), lambda scalars, step: None, lambda step, scalars: None, 1)


def test_a_loss_that_is_no_number_is_no_silence() -> None:
    for name in ("train/loss", "train/validation_loss"):
        with pytest.raises(Diverged, match=f"{name} is nan"):
            NoLog().scalar(name, float("nan"))
    NoLog().scalar("train/loss", 1.0)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bench in which one agent diverges."""
    out = tmp_path_factory.mktemp("failed") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        assert bench(patch, out) == 2
    return out


def bench(monkeypatch: pytest.MonkeyPatch, out: Path) -> int:
    words = ("--agents", f"{DIVERGING},tabular_q,random", "--seeds", "2", "--steps", "2560", "--users", "20")
    return run(monkeypatch, "bench", WORLD, *words, "--workers", "1", "--out", str(out))


def test_a_run_that_fails_ends_no_other(failed: Path) -> None:
    assert sorted(pd.read_csv(failed / "ranking.csv")["agent"]) == ["random", "tabular_q"]
    assert len(list(failed.rglob("evaluation.parquet"))) == 4
    reasons = [json.loads(path.read_text())["failed"] for path in sorted(failed.rglob("failed.json"))]
    assert [f"{DIVERGING} seed {seed} diverged" in reason for seed, reason in enumerate(reasons)] == [True, True]
    assert not list(failed.rglob("*.part"))


def test_a_failed_run_is_kept_and_told(
    failed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = [path.stat().st_mtime_ns for path in failed.rglob("failed.json")]
    assert bench(monkeypatch, failed) == 2
    told = capsys.readouterr()
    assert f"{DIVERGING} seed 0 failed" in told.out
    assert "Failed, and not in the ranking: " in " ".join(told.out.split())
    assert told.err.count("\n") == 1 and "2 of 6 runs failed and are not in the ranking" in told.err
    assert [path.stat().st_mtime_ns for path in failed.rglob("failed.json")] == stamps


def test_the_report_says_who_failed(failed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed: pip install 'recsim-env[report]'")
    assert run(monkeypatch, "report", str(failed), "--lives", "1") == 0
    page = (failed / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count(f"Failed, and not in the ranking: {DIVERGING} seed ") == 2 and "Nothing is replayed" not in page


def test_bench_tells_rewards_that_overflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--agents", "random", "--seeds", "1", "--steps", "1280", "--users", "20", "--workers", "1")
    assert run(monkeypatch, "bench", GROWING, *words, "--out", str(tmp_path / "out")) == 2
    assert "1 of 1 runs failed" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("failed.json"))) == 1


SWAPPED = {
    "no users": (lambda table: table[:0], "it is empty"),
    "another agent": (lambda table: table.assign(agent="dqn"), "its agent is dqn, not random"),
    "another seed": (lambda table: table.assign(seed=7), "its seed is 7, not 0"),
    "other users": (lambda table: table.assign(user=table["user"] + 20), "its all users are not 0 to 19"),
    "fewer users": (lambda table: table[:10], "its all users are not 0 to 19"),
    "no numbers": (lambda table: table.assign(engagement=np.nan), "engagement is not finite"),
    "no engagement": (lambda table: table.drop(columns="engagement"), "there is no column engagement"),
    "other people": (lambda table: table.assign(people="known"), "its people are known"),
}


@pytest.mark.parametrize("name", SWAPPED)
def test_a_table_that_is_not_the_experiments_is_not_ranked(failed: Path, name: str) -> None:
    change, words = SWAPPED[name]
    one = Experiment({WORLD: {}}, {"random": {}}, 1, 2560, 20).runs()[0]
    path = one.folder(failed) / "evaluation.parquet"
    table = evaluation_of(one, failed)
    try:
        change(table).to_parquet(path, index=False)
        with pytest.raises(RunFolderError, match=f"{path} is not of this experiment: {words}"):
            evaluation_of(one, failed)
    finally:
        table.to_parquet(path, index=False)


def test_a_run_of_another_budget_is_not_ranked(failed: Path) -> None:
    other = Experiment({WORLD: {}}, {"random": {}}, 1, 5000, 20).runs()[0]
    with pytest.raises(RunFolderError, match="another run \\(steps is 2560, not 5000\\)"):
        evaluation_of(other, failed)
    assert not failures(Experiment({WORLD: {}}, {"random": {}}, 1, 2560, 20), failed)
