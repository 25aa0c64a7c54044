"""The offline test: no leak, ties by lot, figures by hand, and what a user gets wrong."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark import cli
from benchmark.offline import trials
from benchmark.offline.measure import judge, observation, ranks, settings_of
from benchmark.offline.report import MAIN, measured, run_offline, summarise
from benchmark.offline.split import ASKED, FEWEST_BEFORE, Fold, TimedRatings, folds, read_ratings
from benchmark.offline.trials import OfflineTest
from recsim_env.agent import NoLog
from recsim_env.errors import AgentError, DataError, InvalidParameter, RunFolderError
from tests.made_up import write_movielens

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "ml-latest-small.zip"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here")
KINDS = [(split, part) for split in ("leave-last", "time:3") for part in ("test", "validation")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up ratings, each user's within a day, four at each time; users come one after the other, some again."""
    made = write_movielens(tmp_path_factory.mktemp("movielens"), people=60)
    ratings = pd.read_csv(made / "ratings.csv").sample(frac=1.0, random_state=0)
    place = ratings.groupby("userId").cumcount()
    again = (ratings["userId"] % 3 == 0) & (place >= 10)
    ratings["timestamp"] = 86_400 * (ratings["userId"] + 40 * again) + 60 * (place // 4)
    ratings.to_csv(made / "ratings.csv", index=False)
    return made


@pytest.fixture(scope="module")
def ratings(folder: Path) -> TimedRatings:
    return read_ratings(folder)


def leaks(fold: Fold, part: str) -> bool:
    """Whether an agent learns from what is asked for or, of the same user or in a split of time, from what is later."""
    data, fitted = fold.ratings, np.flatnonzero(fold.fitted)
    if fold.name.startswith("time"):
        return data.time[fitted].max() >= data.time[fold.asked].min()
    last = {user: row for row, user in zip(fitted, data.user[fitted], strict=True)}
    return any(last[user] >= row for user, row in zip(data.user[fold.asked], fold.asked, strict=True))


@pytest.mark.parametrize(("split", "part"), KINDS)
def test_nothing_that_is_asked_for_or_later_is_learnt_from(split: str, part: str, ratings: TimedRatings) -> None:
    found = list(folds(ratings, split, 0, part))
    assert len(found) == (1 if split == "leave-last" else 3)
    assert not any(leaks(fold, part) for fold in found)
    leaky = Fold(found[0].name, 0, found[0].ratings, np.ones(len(ratings.user), bool), found[0].asked)
    assert leaks(leaky, part)  # planted: it learns from everything


def test_everybodys_last_is_asked_for_and_to_validate_the_one_before(ratings: TimedRatings) -> None:
    test, validation = (next(folds(ratings, "leave-last", 3, part)) for part in ("test", "validation"))
    for user in range(ratings.people):
        own = np.flatnonzero(test.ratings.user == user)
        assert test.asked[test.ratings.user[test.asked] == user] == own[-1]
        assert validation.asked[validation.ratings.user[validation.asked] == user] == own[-2]
        assert test.fitted[own].tolist() == [True] * (len(own) - 1) + [False]
        assert validation.fitted[own].tolist() == [True] * (len(own) - 2) + [False] * 2


def test_splits_of_time_ask_for_the_first_ratings_after_enough(ratings: TimedRatings) -> None:
    for fold in folds(ratings, "time:3", 0, "test"):
        data = fold.ratings
        before = np.array([np.sum(data.user[:row] == data.user[row]) for row in fold.asked])
        assert before.min() >= FEWEST_BEFORE
        assert max(Counter(data.user[fold.asked]).values()) == ASKED
        for user in np.unique(data.user[fold.asked]):
            own = np.flatnonzero(data.user == user)
            able = [row for k, row in enumerate(own) if k >= FEWEST_BEFORE and not fold.fitted[row]]
            assert fold.asked[data.user[fold.asked] == user].tolist() == able[: (data.user[fold.asked] == user).sum()]


def test_splits_of_time_validate_before_the_test(ratings: TimedRatings) -> None:
    tested, validated = (list(folds(ratings, "time:3", 0, part)) for part in ("test", "validation"))
    for test, validation in zip(tested, validated, strict=True):
        assert validation.ratings.time[validation.asked].max() < test.ratings.time[test.asked].min()
        assert test.fitted[validation.asked].all()


def test_equal_times_stand_in_an_order_that_the_seed_draws(ratings: TimedRatings) -> None:
    orders = [next(folds(ratings, "leave-last", seed, "test")).ratings for seed in (0, 0, 1)]
    assert np.array_equal(orders[0].film, orders[1].film)
    assert not np.array_equal(orders[0].film, orders[2].film)
    assert all(np.array_equal(order.time, np.sort(ratings.time)) for order in orders)
    lasts = [np.r_[[order.film[order.user == user][-1] for user in range(ratings.people)]] for order in orders]
    assert (lasts[0] != lasts[2]).mean() > 0.3


def by_hand() -> TimedRatings:
    """Films 0 to 5 by 4 people. Before the last: film 0 four times, film 1 twice, films 2 and 3 once."""
    user = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])
    film = np.array([0, 0, 0, 0, 1, 1, 2, 3, 2, 4, 1, 5])
    return TimedRatings(user, film, np.arange(12), 4, np.zeros((6, 1), np.float32))


def test_popularity_by_hand() -> None:
    """Person 2 saw films 0 and 2, so film 1 is the first of the rest; others' films share places by lot."""
    fold = next(folds(by_hand(), "leave-last", 0, "test"))
    rows = judge("popular", {"seed": 0}, fold).set_index("user")
    assert rows["film"].to_dict() == {0: 2, 1: 4, 2: 1, 3: 5}
    assert rows.loc[2, "rank"] == 1
    assert rows.loc[0, "rank"] in (1, 2)  # with film 3, once
    assert rows.loc[1, "rank"] in (3, 4)  # after films 2 and 3; with film 5, never
    assert rows.loc[3, "rank"] in (3, 4)
    assert rows["known"].all()


class Given:
    """An agent of given scores (films,)."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def scores(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        assert (observation["candidate_ids"] == np.arange(len(self.values))).all()
        return np.tile(self.values, (len(observation["user_id"]), 1))


def test_all_films_are_ranked_but_those_rated_before(ratings: TimedRatings) -> None:
    values = np.random.default_rng(1).permutation(len(ratings.catalogue)).astype(float)
    for split in ("leave-last", "time:3"):
        fold = next(folds(ratings, split, 0, "test"))
        found = ranks(Given(values), fold, 0)
        for row, rank in zip(fold.asked, found, strict=True):
            user, film = fold.ratings.user[row], fold.ratings.film[row]
            past = fold.ratings.film[:row][fold.ratings.user[:row] == user]
            rest = np.setdiff1d(np.arange(len(values)), past)
            assert rank == 1 + (values[rest] > values[film]).sum()


def test_equal_scores_share_their_places_by_one_lot_for_all(ratings: TimedRatings) -> None:
    fold = next(folds(ratings, "leave-last", 0, "test"))
    nothing = Given(np.zeros(len(ratings.catalogue)))
    found = ranks(nothing, fold, 0)
    assert np.array_equal(found, ranks(nothing, fold, 0))
    open_to = len(ratings.catalogue) - fold.log.step[fold.asked]
    assert (found >= 1).all()
    assert (found <= open_to).all()
    assert abs(((found - 0.5) / open_to).mean() - 0.5) < 0.15  # 4 standard errors


def test_scores_that_are_no_numbers_are_refused(ratings: TimedRatings) -> None:
    fold = next(folds(ratings, "leave-last", 0, "test"))
    with pytest.raises(AgentError, match="finite scores"):
        ranks(Given(np.full(len(ratings.catalogue), np.nan)), fold, 0)


def test_what_is_seen_is_the_past_newest_last(ratings: TimedRatings) -> None:
    fold = next(folds(ratings, "time:3", 0, "test"))
    seen = observation(fold, fold.asked, 7)["history_ids"]
    for row, history in zip(fold.asked, seen[:, :, 0], strict=True):
        past = fold.ratings.film[:row][fold.ratings.user[:row] == fold.ratings.user[row]][-7:]
        assert history.tolist() == [-1.0] * (7 - len(past)) + past.tolist()


@pytest.mark.parametrize("name", ["popular", "als", "item_knn", "ease"])
def test_an_agent_that_sees_the_answers_is_far_better(name: str, ratings: TimedRatings) -> None:
    """Planted: the fold's own answers among what is learnt from; the test would not show it if ranks were wrong."""
    fold = next(folds(ratings, "leave-last", 0, "test"))
    leaky = Fold(fold.name, 0, fold.ratings, np.ones(len(ratings.user), bool), fold.asked)
    settings = settings_of(name, {"validation": 0.0} if name != "popular" else {}, 0)
    settings |= {"factors": 30} if name == "als" else {}
    gains = [measured(judge(name, settings, f))[MAIN].mean() for f in (fold, leaky)]
    assert gains[1] > gains[0]


def test_metrics_by_hand() -> None:
    rows = measured(pd.DataFrame({"rank": [1, 3, 10, 11, 100, 101]}))
    assert rows["HR@10"].tolist() == [True, True, True, False, False, False]
    assert np.allclose(rows["NDCG@10"], [1, 0.5, 1 / np.log2(11), 0, 0, 0])
    assert np.allclose(rows[MAIN], [1, 0.5, 1 / np.log2(11), 1 / np.log2(12), 1 / np.log2(101), 0])


def test_differences_are_paired_by_user() -> None:
    """Two agents with the same wide spread, one always a place behind: the difference is sure."""
    rank = np.random.default_rng(0).integers(1, 90, 200)
    parts = [("popular", rank + 1), ("als", rank)]
    rows = pd.concat(
        pd.DataFrame({"user": np.arange(200), "rank": r, "split": "leave-last", "fold": "leave-last", "agent": a,
                      "seed": 0, "seconds": 1.0}) for a, r in parts
    )  # fmt: skip
    own = summarise(rows).query("agent == 'als' and metric == @MAIN").iloc[0]
    assert own["over_popular_low"] > 0.0
    assert own["low"] < own["mean"] - own["over_popular_mean"]
    gain = 1 / np.log2(1 + rank) - 1 / np.log2(2 + rank)
    assert own["over_popular_mean"] == pytest.approx(gain.mean())


def test_it_goes_on_where_it_stopped(ratings: TimedRatings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = OfflineTest(ratings, ["popular", "ease"], {}, ["leave-last"], 2)
    first = test.run(tmp_path, lambda *_: None)
    assert len(first) == 4 * ratings.people
    (tmp_path / "test" / "leave-last" / "seed-1" / "ease.json").unlink()
    done: list[str] = []

    def counted(label: str, *rest: Any) -> pd.DataFrame:
        done.append(label)
        return judge(label, *rest)

    monkeypatch.setattr(trials, "judge", counted)
    again = test.run(tmp_path, lambda *_: None)
    assert done == ["ease"]
    assert first.drop(columns="seconds").equals(again.drop(columns="seconds"))


def test_results_of_other_settings_or_data_are_refused(ratings: TimedRatings, tmp_path: Path) -> None:
    OfflineTest(ratings, ["ease"], {}, ["leave-last"], 1).run(tmp_path, lambda *_: None)
    with pytest.raises(RunFolderError, match=r"ease.json is of another test \(settings"):
        OfflineTest(ratings, ["ease"], {"ease": {"penalty": 7}}, ["leave-last"], 1).run(tmp_path, lambda *_: None)
    fewer = TimedRatings(ratings.user[1:], ratings.film[1:], ratings.time[1:], ratings.people, ratings.catalogue)
    with pytest.raises(RunFolderError, match="data was"):
        OfflineTest(fewer, ["ease"], {}, ["leave-last"], 1).run(tmp_path, lambda *_: None)
    path = tmp_path / "test" / "leave-last" / "seed-0" / "ease.json"
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(RunFolderError, match="is damaged"):
        OfflineTest(ratings, ["ease"], {}, ["leave-last"], 1).run(tmp_path, lambda *_: None)


BAD = [
    ("nowhere", "does not exist"),
    ("DATA --agents popullar", "did you mean 'popular'"),
    ("DATA --agents dqn", "dqn has no fit"),
    ("DATA --agents random", "random has no fit"),
    ("DATA --agents ncf@totals=true", "needs to see totals"),
    ("DATA --agents ease,ease", "--agents names one twice"),
    ("DATA --agents ease --set ease.penality=1", "did you mean 'penalty'"),
    ("DATA --agents ease --set penalty=1", "--set takes agent.key=value here"),
    ("DATA --agents ease --set als.factors=1", "'als' is not among the agents"),
    ("DATA --splits time", "--splits takes leave-last and time:K"),
    ("DATA --splits time:0", "--splits takes leave-last and time:K"),
    ("DATA --splits leave-first", "not 'leave-first'"),
    ("DATA --seeds 0", "--seeds must be 1 or more, not 0"),
    ("DATA --on train", "--on must be test or validation, not 'train'"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_mistake_is_one_line(
    text: str, words: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["recsim-env", "offline", *text.replace("DATA", str(folder)).split()])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert told.startswith("error: ")
    assert words in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_ratings_without_times_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("ratings.csv", "movies.csv"):
        table = pd.read_csv(folder / name)
        table.drop(columns="timestamp", errors="ignore").to_csv(tmp_path / name, index=False)
    with pytest.raises(DataError, match="timestamp is not among"):
        read_ratings(tmp_path)


def test_too_many_splits_are_refused(ratings: TimedRatings) -> None:
    with pytest.raises(DataError, match="finds nobody to ask"):
        list(folds(ratings, "time:500", 0, "test"))
    with pytest.raises(InvalidParameter, match="--on must be"):
        list(folds(ratings, "leave-last", 0, "train"))


def test_the_command_writes_its_tables(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agents, splits = ["popular", "item_knn", "als@factors=4"], ["leave-last", "time:2"]
    run_offline(folder, agents, {}, splits, 1, "test", tmp_path)
    told = capsys.readouterr().out
    assert "leave-last, test: 60 users, 60 films, 1 seed" in told
    assert "[9/9] done" in told
    summary = pd.read_csv(tmp_path / "offline.csv")
    assert len(summary) == len(agents) * len(splits) * 3
    table = (tmp_path / "offline.md").read_text(encoding="utf-8")
    assert table.count("\n| ") == 2 * (1 + len(agents))
    assert "| als@factors=4 |" in table


@needs_real
def test_als_ranks_real_ratings_better_than_popularity() -> None:
    ratings = read_ratings(REAL)
    assert ratings.fingerprint["ratings"] == 100_836
    assert ratings.catalogue.shape == (9742, 21)
    test = OfflineTest(ratings, ["popular", "als"], {}, ["leave-last"], 1)
    fold = next(folds(ratings, "leave-last", 0, "test"))
    rows = [
        judge(agent, settings_of(agent, {}, 0), fold, NoLog()).assign(split="leave-last", fold="", agent=agent, seed=0)
        for agent in test.agents
    ]
    own = summarise(pd.concat(rows).assign(seconds=0.0)).query("agent == 'als' and metric == @MAIN").iloc[0]
    assert own["over_popular_low"] > 0.01
