"""The page of results: from runs of a few steps to a table of every agent, its twins and a picture; resumed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark import results, results_plan
from benchmark.experiment import Experiment
from benchmark.results_plan import WORLDS, ResultsWorld, myopic
from benchmark.results_tables import WorldResults, now_and_in_the_end, ranking
from recsim_env.errors import InvalidParameter, UnknownName

WORLD = "long_term_satisfaction"
FEW = ["dqn", "dqn@gamma=0", "ncf", "random", "myopic_oracle", "patient_oracle"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world with few agents and steps."""
    monkeypatch.setattr(ResultsWorld, "agents", lambda self, quick: FEW)
    monkeypatch.setattr(ResultsWorld, "twins", lambda self: {"dqn": "dqn@gamma=0"})
    for name, value in (("QUICK_STEPS", 2560), ("QUICK_USERS", 20)):
        monkeypatch.setattr(results_plan, name, value)


def test_a_page_is_written_and_resumed(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page" / "results.md"
    page.parent.mkdir()
    results.run_results(WORLD, True, "", tmp_path / "runs", page, workers=1)
    text = page.read_text(encoding="utf-8")
    assert all(f"| {agent} |" in text for agent in FEW)
    assert "make results QUICK=1" in text and WORLDS[WORLD].question in text
    assert (page.parent / "results.png").stat().st_size > 10_000
    capsys.readouterr()
    results.run_results(WORLD, True, "", tmp_path / "runs", page, workers=1)
    assert page.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out.count(" done, 0 s") == 2 * len(FEW)


def made_up() -> WorldResults:
    """Two seeds in which the twin earns more now and less in the end."""
    rows = [
        (agent, seed, user, worth + seed)
        for agent, worth in (("dqn", 30.0), ("dqn@gamma=0", 20.0), ("random", 10.0), ("patient_oracle", 50.0))
        for seed in (0, 1)
        for user in (0, 1)
    ]
    users = pd.DataFrame(rows, columns=["agent", "seed", "user", "engagement"])
    users = users.assign(length=10, clicks=5.0, diversity=0.5)
    now = {"dqn": 1.0, "dqn@gamma=0": 2.0, "random": 0.5, "patient_oracle": 1.0}
    runs = [(agent, seed, x, 7, 3.0) for agent, x in now.items() for seed in (0, 1)]
    world, experiment = ResultsWorld("long_term_satisfaction", "?"), Experiment("x", {}, [], {}, 2, 1, 2)
    columns = ["agent", "seed", "immediate", "updates", "seconds"]
    return WorldResults(world, experiment, users, pd.DataFrame(runs, columns=columns))


def test_the_ranking_is_scored_between_random_and_the_oracle() -> None:
    table = ranking(made_up()).set_index("agent")
    assert list(table.index) == ["patient_oracle", "dqn", "dqn@gamma=0", "random"]
    assert table["score"].to_dict() == {"patient_oracle": 1.0, "dqn": 0.5, "dqn@gamma=0": 0.25, "random": 0.0}
    assert table.loc["dqn", "engagement"] == 30.5 and table.loc["dqn", "updates"] == 7


def test_a_twin_is_compared_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResultsWorld, "twins", lambda self: {"dqn": "dqn@gamma=0"})
    row = now_and_in_the_end(made_up()).iloc[0]
    assert (row["now"], row["now_low"], row["now_high"]) == (1.0, 1.0, 1.0)
    assert (row["end"], row["end_low"], row["end_high"]) == (-10.0, -10.0, -10.0)


def test_plans_name_agents_once_and_twins_look_no_step_ahead() -> None:
    for world in WORLDS.values():
        labels = world.agents(quick=False)
        assert len(set(labels)) == len(labels) and set(world.agents(quick=True)) < set(labels)
        assert set(world.twins().values()) <= set(labels)
    assert myopic("slate_q@clicks=independent@gamma=0.97") == "slate_q@clicks=independent@gamma=0"


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'boredom'"):
        results.run_results("bordom", True, "", tmp_path, tmp_path / "page.md", workers=1)
    with pytest.raises(InvalidParameter, match="need --data"):
        results.run_results("movielens", True, "", tmp_path, tmp_path / "page.md", workers=1)
