"""NeuMF ranks as one who knows the users, in each of its forms; broken, it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.embeddings import Embedding
from agents.impressions import Context
from agents.items import History
from agents.ncf import NCF
from recsim_env.agent import NoLog
from tests.agents.tastes import Curves, Tastes, best_click_rate, click_rate, trained_on

STEPS, BAR = 6400, 0.97 * best_click_rate()
FAST = {"learning_rate": 0.01}
EMPTY = History(np.zeros((3, 0, 1), int), np.zeros((3, 0, 1, 0)), np.zeros((3, 0, 1)), np.zeros((3, 0, 1)))


def trained(seed: int = 0, ids: bool = True, steps: int = STEPS, **settings: Any) -> float:
    envs = Tastes(seed=seed, ids=ids)
    return click_rate(trained_on(envs, "ncf", steps, {**FAST, "seed": seed, **settings}), envs)


def test_who_knows_less_does_not_reach_the_bar() -> None:
    assert best_click_rate(knows_taste=False) < 0.8 * best_click_rate()
    assert best_click_rate(knows_charm=False) < 0.9 * best_click_rate()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_by_taste_and_charm_with_ids(seed: int) -> None:
    assert trained(seed) >= BAR


def test_ranks_by_features_where_items_have_no_ids() -> None:
    assert trained(ids=False) >= BAR


@pytest.mark.parametrize("seed", [0, 1])
def test_ranks_with_drawn_negatives(seed: int) -> None:
    """What was shown and not clicked is not used, so it takes a longer log."""
    assert trained(seed, steps=2 * STEPS, negatives=4) >= BAR


def test_pretraining_fits_each_half_alone_and_then_both() -> None:
    envs, curves, log = Tastes(), Curves(), []

    class Watched(NCF):
        def loss(self, batch: Any) -> Tensor:
            log.append(self.network.halves)
            return super().loss(batch)

    agent = Watched(NCF.Config(pretrain=True, epochs=5, **FAST), envs.knows)
    agent.train(envs, STEPS, curves)
    assert list(dict.fromkeys(log)) == [("gmf",), ("mlp",), ("gmf", "mlp")]
    assert len(curves.points["train/loss"]) <= 15
    assert click_rate(agent, envs) >= BAR
    log.clear()
    agent.train(envs, STEPS, NoLog())  # a later fit goes on from both
    assert set(log) == {("gmf", "mlp")}


def test_the_mean_of_the_halves_is_where_the_whole_starts() -> None:
    agent, rng, parts = NCF(NCF.Config(), Tastes().knows), np.random.default_rng(0), []
    context = Context(rng.random((3, 10), np.float32), np.full(3, -1), EMPTY)
    items, features = rng.integers(8, size=(3, 4)), np.zeros((3, 4, 0), np.float32)
    for halves in (("gmf",), ("mlp",), ("gmf", "mlp")):
        agent.network.halves = halves
        parts.append(agent.score(context, items, features))
    assert np.allclose(parts[0] + parts[1], parts[2], atol=1e-6) and (parts[0] != parts[1]).any()
    agent.network.combine()
    assert np.allclose(agent.score(context, items, features), parts[2] / 2, atol=1e-6)


def test_ids_that_were_never_fitted_are_unknown() -> None:
    embedding = Embedding(ids=5, features=0, width=3)
    embedding.learn(np.array([1, 3, -1]))
    vectors = embedding(torch.tensor([-1, 0, 1, 2, 3]), torch.zeros(5, 0))
    assert torch.equal(vectors[0], vectors[1]) and torch.equal(vectors[0], vectors[3])
    assert not torch.equal(vectors[0], vectors[2]) and not torch.equal(vectors[2], vectors[4])


def test_labels_of_other_items_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: labels are shuffled."""
    loss = NCF.shown_loss

    def shuffled(self: NCF, batch: Any) -> Tensor:
        batch.log.labels[batch.rows] = np.random.default_rng(0).permutation(batch.log.labels[batch.rows])
        return loss(self, batch)

    monkeypatch.setattr(NCF, "shown_loss", shuffled)
    assert trained() < BAR


def test_a_cut_off_user_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what is known of users does not reach the network; then it ranks as one who knows no taste."""
    monkeypatch.setattr(NCF, "user_inputs", lambda self, context: torch.zeros(context.users.shape))
    rate = trained()
    assert rate < BAR and rate == pytest.approx(best_click_rate(knows_taste=False), abs=0.02)
