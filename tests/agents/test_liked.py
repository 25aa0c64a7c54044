"""What was liked before, as a mean vector: strangers are known by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.impressions import Impressions, ratings_spec
from agents.items import History
from agents.liked import Liked
from agents.ncf import NCF
from agents.two_tower import TwoTower
from recsim_env.agent import NoLog
from recsim_env.checks import check_agent
from tests.agents.tastes import finds_their_half, ratings_of_halves

SETTINGS: dict[type[Any], dict[str, Any]] = {
    NCF: {"negatives": 4, "batch": 64, "learning_rate": 0.01},
    TwoTower: {"batch": 64},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_strangers_are_known_by_what_they_liked(kind: type[Any]) -> None:
    """The last 20 of 120 people are in no log; half of them like each half of the items, which look alike."""
    _, rated = ratings_of_halves(people=120, size=20, rated=7)
    found = {}
    for history in (5, 0):
        agent = kind(kind.Config(history=history, **SETTINGS[kind]), ratings_spec(np.ones((20, 1)), 120, 3, history))
        agent.fit(Impressions.of_ratings(np.repeat(np.arange(100), 7), rated[:100].ravel()), NoLog())
        found[history] = finds_their_half(agent, rated[100:], 20, 100, history)
    assert found[5] > 0.95
    assert found[0] < 0.7


@pytest.mark.parametrize("world", ["interest_evolution", "boredom"])  # items without ids, and with
@pytest.mark.parametrize("kind", SETTINGS)
def test_agents_keep_the_contract_with_a_history(kind: type[Any], world: str) -> None:
    check_agent(kind, world, config=kind.Config(history=4, epochs=2))


def test_it_is_a_mean_by_label() -> None:
    liked = Liked(ids=20, features=0, width=4)
    liked.vectors.learn(np.arange(20))
    items, labels = np.array([[[4], [7], [4]], [[7], [-1], [-1]], [[4], [-1], [-1]]]), np.zeros((3, 3, 1), np.float32)
    labels[0, :, 0], labels[1, 0, 0] = (1.0, 2.0, 1.0), 3.0  # the third user liked nothing
    every = torch.arange(20), torch.zeros(20, 0)
    with torch.no_grad():
        vectors = liked.vectors(*every).numpy()
        found = liked(History(items, np.zeros((3, 3, 1, 0), np.float32), labels, labels), *every).numpy()
    assert found == pytest.approx(np.stack([(vectors[4] + vectors[7]) / 2, vectors[7], 0 * vectors[0]]), abs=1e-6)
