"""Intervals and rankings, on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.statistics import chances_of, compare, holm, interval, rank_agents, shared_ranks, told_apart, values_of


def table(agent: str, engagement: np.ndarray, users: int = 50) -> pd.DataFrame:
    """`engagement` (seeds,) plus the same luck of each user for every agent."""
    parts = []
    for seed, mean in enumerate(engagement):
        luck = np.random.default_rng(seed).normal(0, 30, users)
        parts.append(pd.DataFrame({"seed": seed, "user": np.arange(users), "engagement": mean + luck}))
    return pd.concat(parts).assign(agent=agent, length=10, clicks=5.0, cut=False)


def test_interval_is_students_t() -> None:
    values = np.array([3.0, 5.0, 10.0])
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx(expected)


def test_interval_of_one_value_is_unbounded() -> None:
    assert interval(np.array([3.0])) == (-np.inf, np.inf)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_interval_covers(seeds: int) -> None:
    drawn = np.random.default_rng(1).normal(7.0, 2.0, (4000, seeds))
    covered = np.mean([low <= 7.0 <= high for low, high in map(interval, drawn)])
    assert 0.94 < covered < 0.96


def test_pairing_takes_the_users_luck_out() -> None:
    a, b = table("a", np.array([100.0, 101.0, 102.0])), table("b", np.array([99.0, 100.1, 100.9]))
    found = compare(a, b)
    assert found.mean == pytest.approx(1.0)
    assert 0 < found.low < 1 < found.high < 2
    assert found.paired_error == pytest.approx(stats.sem([1.0, 0.9, 1.1]))
    means = [one.groupby("seed")["engagement"].mean() for one in (a, b)]
    assert found.unpaired_error == pytest.approx(np.hypot(*(stats.sem(m) for m in means)))
    assert found.unpaired_error > 10 * found.paired_error


def test_of_one_seed_users_are_the_replicates() -> None:
    a, b = table("a", np.array([101.0])), table("b", np.array([100.0]))
    b["engagement"] += np.linspace(-1, 1, len(b))
    expected = stats.ttest_rel(a["engagement"], b["engagement"]).confidence_interval()
    found = compare(a, b)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    independent = stats.ttest_ind(a["engagement"], b["engagement"], equal_var=False)
    assert found.mean / found.unpaired_error == pytest.approx(independent.statistic)


def test_the_same_policy_differs_by_exactly_nothing() -> None:
    a = table("a", np.array([100.0, 90.0]))
    found = compare(a, a.assign(agent="b"))
    assert (found.mean, found.low, found.high, found.paired_error) == (0.0, 0.0, 0.0, 0.0)


def test_ranking_states_ties() -> None:
    worlds = [
        table("random", np.array([50.0, 51.0, 49.0])),
        table("good", np.array([100.0, 101.0, 102.0])),
        table("as good", np.array([101.0, 100.0, 101.5])),
    ]
    ranking = rank_agents(pd.concat(worlds))
    assert ranking[["agent", "rank"]].to_numpy().tolist() == [["good", 1], ["as good", 1], ["random", 3]]
    assert ranking["gain"].tolist() == pytest.approx([51.0, 50.8333333, 0.0])
    assert (ranking["click_rate"] == 0.5).all()


def test_one_seed_ranks_over_users() -> None:
    ranking = rank_agents(pd.concat([table("random", np.array([50.0])), table("good", np.array([60.0]))]))
    assert ranking["rank"].tolist() == [1, 2]
    assert np.isfinite(ranking["low"]).all()


def test_agents_that_are_the_same_are_not_split() -> None:
    """Forty of them with three seeds; a level of 5 % for each pair by itself split nearly all of these experiments."""
    rng, split = np.random.default_rng(0), 0
    for _ in range(200):
        values = rng.normal(size=(3, 1)) + rng.normal(size=(3, 40))
        split += told_apart(pd.DataFrame(values)).any()
    assert split <= 0.06 * 200


def test_students_t_of_pairs_is_scipys() -> None:
    values = pd.DataFrame(np.random.default_rng(3).normal(size=(6, 2)), columns=["a", "b"])
    chance = stats.ttest_rel(values["a"], values["b"]).pvalue
    assert chances_of((values["a"] - values["b"]).to_numpy()[:, None]) == pytest.approx([chance])
    assert chances_of(np.array([[0.0, 2.0, 1.0], [0.0, 2.0, np.nan]])).tolist() == [1.0, 0.0, 1.0]


def test_holm_adjusts_for_the_number_of_pairs() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])


def test_who_cannot_be_told_apart_shares_a_rank_by_whatever_links() -> None:
    """The first two are alike, and the next two; the first is told apart from the third, the last from all."""
    apart = np.ones((4, 4), bool)
    for one, other in ((0, 1), (1, 2)):
        apart[one, other] = apart[other, one] = False
    assert shared_ranks(apart) == [1, 1, 1, 4]
    crossed = np.ones((3, 3), bool)
    crossed[0, 2] = crossed[2, 0] = False  # the middle one is told apart from both
    assert shared_ranks(crossed) == [1, 1, 1]


def test_no_two_who_cannot_be_told_apart_have_different_ranks() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        agents = [table(f"a{i}", rng.normal(20 * rng.integers(4), 3, 5), users=4) for i in range(8)]
        ranking = rank_agents(pd.concat(agents))
        apart = told_apart(values_of(pd.concat(agents))[ranking["agent"]])
        rank = ranking["rank"].to_numpy()
        assert apart[rank[:, None] != rank[None]].all()
        assert (ranking["above"] + ranking["below"]).tolist() == apart.sum(axis=1).tolist()


def test_an_agent_with_one_seed_is_compared_by_seeds() -> None:
    """Its users are no replicates beside agents with several seeds."""
    one, many = table("one", np.array([60.0])), table("many", np.array([50.0, 51.0, 49.0]))
    ranking = rank_agents(pd.concat([one, many])).set_index("agent")
    assert ranking["rank"].tolist() == [1, 1] and ranking.loc["one", "low"] == -np.inf
    assert not np.isfinite(compare(one, many).low)
