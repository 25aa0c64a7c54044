"""Counting labels ranks as one who knows charm and no tastes, with ids and with kinds; and it counts on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agents.impressions import Impressions
from agents.popular import Popular, PopularConfig
from recsim_env.agent import NoLog
from recsim_env.env import Observation
from recsim_env.fields import Field
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


class FirstIsClicked(Tastes):
    """Whatever stands first is clicked; what it is worth shows in another response, the label."""

    def __init__(self, seed: int) -> None:
        super().__init__(users=32, places=2, seed=seed)
        self.knows = replace(self.knows, label="worth", responses=(*self.knows.responses, Field("worth", seen=True)))

    def step(self, slates: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        shown = np.take_along_axis(self.offers, slates, axis=1)
        first = np.arange(slates.shape[1]) == np.zeros((len(slates), 1))
        worth = first * (shown + self.rng.normal(size=shown.shape))
        return *super().step(slates)[:4], {"clicked": first.astype(float), "worth": worth}


def test_counts_the_label_where_every_first_place_is_clicked() -> None:
    """Two seeds agree on the order, which is that of the items' worth; clicks would say nothing."""
    for seed in range(2):
        agent = trained_on(FirstIsClicked(seed), "popular", 3200)
        assert np.argsort(agent.popularity).tolist() == list(range(8))


def test_a_log_is_counted_by_its_labels() -> None:
    """Both items were answered by everybody, one twice as well."""
    agent = Popular(PopularConfig(prior=0.0), Tastes().knows)
    agent.fit(Impressions.of_ratings(np.array([0, 0, 1, 1]), np.array([2, 5, 2, 5]), np.array([1.0, 2, 1, 2])), NoLog())
    assert agent.popularity[[2, 5]].tolist() == [1.0, 2.0]
