"""The page of results: from runs of a few steps to a table of every agent, its twins and a picture; resumed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.results import measure, plan
from benchmark.results.page import write_page
from benchmark.results.plan import WORLDS, ResultsWorld, myopic
from benchmark.results.tables import BUDGET, COLUMNS, WorldResults, now_and_in_the_end, ranking
from recsim_env.errors import DataError, InvalidParameter, UnknownName

WORLD = "long_term_satisfaction"
FEW = ["dqn", "dqn@gamma=0", "ncf", "random", "myopic_oracle", "patient_oracle"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world with few agents and steps."""
    monkeypatch.setattr(ResultsWorld, "agents", lambda self, quick: FEW)
    monkeypatch.setattr(ResultsWorld, "twins", lambda self: {"dqn": "dqn@gamma=0"})
    for name, value in (("QUICK_STEPS", 2560), ("QUICK_USERS", 20)):
        monkeypatch.setattr(plan, name, value)


def test_a_page_is_written_and_resumed(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page" / "results.md"
    measure.run_results(WORLD, True, "", tmp_path / "runs", page, workers=1)
    text = page.read_text(encoding="utf-8")
    assert all(f"| {agent} |" in text for agent in FEW)
    assert WORLDS[WORLD].question in text and WORLDS[WORLD].note in text and "2,560 user-steps" in text
    assert (page.parent / "results.png").stat().st_size > 10_000
    capsys.readouterr()
    measure.run_results(WORLD, True, "", tmp_path / "runs", page, workers=1)
    assert page.read_text(encoding="utf-8") == text
    assert capsys.readouterr().out.count(" done, 0 s") == 2 * len(FEW)


def test_the_best_supervised_recommender_gets_more_seeds(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ResultsWorld, "agents", lambda self, quick: ["popular", "ncf", "random"])
    for name, value in (("STEPS", 2560), ("USERS", 20), ("SEEDS", 1)):
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setattr(measure, "MORE_SEEDS", 2)
    monkeypatch.setattr(measure, "immediate_of", lambda *_, **__: pd.DataFrame({"agent": ["ncf"] * 2, "seed": [0, 1]}))
    measured = measure.measure(WORLD, False, "", tmp_path, workers=1)
    assert measured.runs[["agent", "seed"]].to_numpy().tolist() == [["ncf", 0], ["ncf", 1]]
    again = measure.measure(WORLD, False, "", tmp_path, workers=1)
    pd.testing.assert_frame_equal(measured.runs.drop(columns="seconds"), again.runs.drop(columns="seconds"))


def test_the_best_supervised_recommender_gets_more_seeds_though_another_agent_is_asked_for(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STEPS", 2560)
    monkeypatch.setattr(plan, "USERS", 20)
    monkeypatch.setattr(measure, "MORE_SEEDS", 2)
    monkeypatch.setattr(ResultsWorld, "agents", lambda self, quick: [*FEW, "als"])
    rows = [["ncf", 0, -1.0], ["als", 0, 1e9], ["als", 1, 1e9]]
    worst, best = (pd.DataFrame(some, columns=["agent", "seed", "engagement"]) for some in (rows[:1], rows))
    for kept, seeds in ((best, 0), (worst, 2)):  # in one folder: what is kept there of less is no hindrance
        measured = measure.measure(WORLD, False, "", tmp_path, 1, ["random"], WorldResults(WORLDS[WORLD], kept))
        assert (measured.runs["agent"] == "ncf").sum() == seeds


def test_agents_measured_anew_replace_their_kept_figures(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "results.md"
    with pytest.raises(InvalidParameter, match="Missing: patient_oracle;"):
        measure.run_results(WORLD, True, "", tmp_path / "few", page, 1, "random,myopic_oracle,ncf")
    with pytest.raises(InvalidParameter, match="Missing: a supervised recommender"):
        measure.run_results(WORLD, True, "", tmp_path / "few", page, 1, "random,myopic_oracle,patient_oracle")
    measure.run_results(WORLD, True, "", tmp_path / "all", page, 1)
    before = pd.read_csv(tmp_path / "results" / f"{WORLD}.csv")
    with pytest.raises(UnknownName, match="did you mean 'random'"):
        measure.run_results(WORLD, True, "", tmp_path / "few", page, 1, "randon")
    spoilt = before.assign(engagement=before["engagement"].where(before["agent"] != "random", -1.0))
    spoilt.to_csv(tmp_path / "results" / f"{WORLD}.csv", index=False)
    measure.run_results(WORLD, True, "", tmp_path / "few", page, 1, "random")
    after = pd.read_csv(tmp_path / "results" / f"{WORLD}.csv")
    by = ["agent", "seed"]
    untimed = [frame.drop(columns="seconds").sort_values(by, ignore_index=True) for frame in (before, after)]
    pd.testing.assert_frame_equal(*untimed)
    monkeypatch.setattr(plan, "QUICK_STEPS", 5120)
    with pytest.raises(InvalidParameter, match="another budget than 5,120 user-steps"):
        measure.run_results(WORLD, True, "", tmp_path / "more", page, 1, "random")


def test_data_that_are_not_there_are_refused_before_another_world_is_measured(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nofile"):
        measure.run_results("", True, "nofile.zip", tmp_path / "runs", tmp_path / "results.md", 1)
    assert not list(tmp_path.iterdir())


def test_a_world_may_be_measured_piece_by_piece(small: None, tmp_path: Path) -> None:
    page, first = tmp_path / "results.md", "random,myopic_oracle,patient_oracle,ncf"
    measure.run_results(WORLD, True, "", tmp_path / "first", page, 1, first)
    assert "| ncf |" in page.read_text(encoding="utf-8") and "| dqn |" not in page.read_text(encoding="utf-8")
    measure.run_results(WORLD, True, "", tmp_path / "rest", page, 1, "dqn,dqn@gamma=0")
    assert all(f"| {agent} |" in page.read_text(encoding="utf-8") for agent in FEW)


def test_the_page_names_the_agents_that_are_missing(tmp_path: Path) -> None:
    results = made_up()
    planned = results.world.agents(quick=False)
    parts = {
        "part": results.runs.assign(steps=plan.STEPS),
        "whole": pd.concat(
            [
                results.runs.assign(steps=plan.STEPS, agent=label, engagement=k, immediate=-k)
                for k, label in enumerate(planned)
            ]
        ),
    }
    for name, runs in parts.items():
        page = tmp_path / name / "results.md"
        page.parent.mkdir()
        write_page({WORLD: WorldResults(results.world, runs)}, page)
        said = [line for line in page.read_text(encoding="utf-8").splitlines() if "Not measured here" in line]
        assert len(said) == (name == "part")
        assert all("slate_q@gamma=0" in line and " dqn@gamma=0," not in line for line in said)


def made_up() -> WorldResults:
    """Two seeds in which the twin earns more now and less in the end."""
    worth = {
        "dqn": 30.0,
        "dqn@gamma=0": 20.0,
        "random": 10.0,
        "patient_oracle": 50.0,
        "myopic_oracle": 22.0,
        "ncf": 21.0,
    }
    now = {"dqn": 1.0, "dqn@gamma=0": 2.0, "random": 0.5, "patient_oracle": 1.0, "myopic_oracle": 3.0, "ncf": 2.0}
    rows = [
        [agent, seed, engagement + seed, 10.0, 5.0, 0.5, now[agent], 7, 3.0, 1000, 100]
        for agent, engagement in worth.items()
        for seed in (0, 1)
    ]
    runs = pd.DataFrame(rows, columns=[*COLUMNS, *BUDGET])
    return WorldResults(ResultsWorld("long_term_satisfaction", "?"), runs)


def test_the_page_holds_every_world_that_was_measured(tmp_path: Path) -> None:
    for name in WORLDS:
        made_up().write(tmp_path / f"{name}.csv")
    kept = measure.read_kept(tmp_path)
    assert list(kept) == list(WORLDS)
    pd.testing.assert_frame_equal(kept["boredom"].runs, made_up().runs, check_dtype=False)


def test_the_ranking_is_scored_between_random_and_the_oracle() -> None:
    table = ranking(made_up()).set_index("agent")
    assert list(table.index) == ["patient_oracle", "dqn", "myopic_oracle", "ncf", "dqn@gamma=0", "random"]
    scores = {"patient_oracle": 1.0, "dqn": 0.5, "myopic_oracle": 0.3, "ncf": 0.275, "dqn@gamma=0": 0.25, "random": 0.0}
    assert table["score"].to_dict() == scores
    assert table.loc["dqn", "engagement"] == 30.5 and table.loc["dqn", "updates"] == 7


def test_figures_of_an_earlier_plan_still_make_a_page(tmp_path: Path) -> None:
    kept = {name: WorldResults(world, made_up().runs) for name, world in WORLDS.items()}
    write_page(kept, tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| dqn | +1.000" in text and WORLDS[WORLD].note not in text


def test_a_twin_is_compared_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResultsWorld, "twins", lambda self: {"dqn": "dqn@gamma=0"})
    row = now_and_in_the_end(made_up()).iloc[0]
    assert (row["now"], row["now_low"], row["now_high"]) == (1.0, 1.0, 1.0)
    assert (row["end"], row["end_low"], row["end_high"]) == (-10.0, -10.0, -10.0)
    assert (row["over_oracle"], row["over_supervised"]) == (8.0, 9.0) and row["shown"]


@pytest.mark.parametrize(
    ("agent", "column", "value"),
    [
        ("dqn@gamma=0", "immediate", 0.9),
        ("dqn@gamma=0", "engagement", 31.0),
        ("myopic_oracle", "engagement", 30.0),
        ("ncf", "engagement", 40.0),
    ],
)
def test_one_of_its_clauses_broken_it_does_not_show(
    agent: str, column: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ResultsWorld, "twins", lambda self: {"dqn": "dqn@gamma=0"})
    measured = made_up()
    measured.runs.loc[(measured.runs["agent"] == agent) & (measured.runs["seed"] == 0), column] = value
    assert not now_and_in_the_end(measured).iloc[0]["shown"]


def test_plans_name_agents_once_and_twins_look_no_step_ahead() -> None:
    for world in WORLDS.values():
        labels = world.agents(quick=False)
        assert len(set(labels)) == len(labels) and set(world.agents(quick=True)) < set(labels)
        assert set(world.twins().values()) <= set(labels)
    assert myopic("slate_q@clicks=independent@gamma=0.97") == "slate_q@clicks=independent@gamma=0"


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'boredom'"):
        measure.run_results("bordom", True, "", tmp_path, tmp_path / "page.md", workers=1)
    with pytest.raises(InvalidParameter, match="need --data"):
        measure.run_results("movielens", True, "", tmp_path, tmp_path / "page.md", workers=1)
