"""Two towers rank as one who knows users and items; without the correction they do not see what all like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.impressions import Impressions, ratings_spec
from agents.two_tower import TwoTower, TwoTowerConfig, log_frequencies, softmax_loss
from recsim_env.agent import NoLog
from tests.agents.tastes import Tastes, best_click_rate, click_rate, finds_their_half, ratings_of_halves, trained_on

STEPS, BAR = 6400, 0.97 * best_click_rate()


def trained(seed: int = 0, ids: bool = True, **settings: Any) -> float:
    envs = Tastes(seed=seed, ids=ids)
    return click_rate(trained_on(envs, "two_tower", STEPS, {"learning_rate": 0.01, "seed": seed, **settings}), envs)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_by_taste_and_charm_with_ids(seed: int) -> None:
    assert trained(seed) >= BAR


def test_ranks_by_features_where_items_have_no_ids() -> None:
    assert trained(ids=False) >= BAR


@pytest.mark.parametrize("ids", [True, False])
def test_a_missing_correction_is_found(ids: bool) -> None:
    """Items that all like are in all batches; who does not correct for it ranks by taste alone, charm unseen."""
    rate = trained(ids=ids, log_q=False)
    assert rate < BAR and rate == pytest.approx(best_click_rate(knows_charm=False), abs=0.03)


def test_the_corrected_softmax_has_the_probabilities_of_the_whole_one() -> None:
    """Fitted on batches that hold item k as often as it is liked, the scores become its log probability."""
    likes, rng = np.array([0.5, 0.3, 0.15, 0.05]), np.random.default_rng(0)
    found = {}
    for corrected in (True, False):
        scores = torch.zeros(4, requires_grad=True)
        optimiser = torch.optim.Adam([scores], lr=0.02)
        for _ in range(400):
            items = torch.as_tensor(rng.choice(4, size=256, p=likes))
            log_q = torch.as_tensor(np.log(likes), dtype=torch.float32)[items] if corrected else torch.zeros(256)
            loss = softmax_loss(scores[items].expand(256, 256), log_q, torch.ones(256)) / 256
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found[corrected] = torch.softmax(scores.detach(), 0).numpy()
    assert found[True] == pytest.approx(likes, abs=0.02)
    assert found[False] == pytest.approx([0.25] * 4, abs=0.02)


def test_frequencies_are_of_positive_labels_by_shows() -> None:
    log = Impressions.of_ratings(np.array([0, 0, 1, 1]), np.array([2, 0, 2, 1]))
    among = np.array([True, True, True, False])
    assert log_frequencies(log, among, 4) == pytest.approx(np.log([2, 1, 3, 1]))
    shown = Impressions(**{**vars(log), "offered": np.zeros((4, 1), np.int32), "uniform": np.full(4, 0.5)})
    shown.labels[1] = 0.0
    assert log_frequencies(shown, among, 4) == pytest.approx(np.log([1 / 1.5, 1, 3 / 2, 1]))


def test_fits_ratings_without_a_simulator() -> None:
    log, rated = ratings_of_halves(people=120, size=20, rated=7)
    agent = TwoTower(TwoTowerConfig(batch=64), ratings_spec(np.ones((20, 1)), 120, slate_size=3, history=0))
    agent.fit(log, NoLog())
    assert finds_their_half(agent, rated, 20) > 0.95
