"""Counting clicks ranks as one who knows charm and no tastes, with ids and with kinds; and it counts on."""

from __future__ import annotations

import numpy as np
import pytest

from agents.popular import Popular, PopularConfig
from recsim_env.agent import NoLog
from tests.agents.tastes import Tastes, best_click_rate, click_rate, trained_on


@pytest.mark.parametrize("ids", [True, False])
def test_ranks_by_charm_alone(ids: bool) -> None:
    envs = Tastes(ids=ids)
    assert click_rate(trained_on(envs, "popular", 12_800), envs) == pytest.approx(best_click_rate(False), rel=0.03)


def test_counts_on_when_trained_again() -> None:
    envs = Tastes(users=10)
    agent = Popular(PopularConfig(), envs.knows)
    for _ in range(2):
        agent.train(envs, 500, NoLog())
    assert agent.played == agent.sums[0].sum() == 1000


def test_few_shows_count_for_the_average() -> None:
    agent = Popular(PopularConfig(prior=2.0), Tastes().knows)
    assert (agent.popularity == 0).all()
    agent.sums[:, 0], agent.sums[:, 1] = (10, 2), (0, 0)
    assert agent.popularity[:2] == pytest.approx([(2 + 2 * 0.2) / 12, 0.2])
    assert np.isfinite(agent.popularity).all()
