"""The variational autoencoder: its bound, its prior, and that users look like the prior only with the KL term."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from agents import vae
from agents.fitting import Batch
from agents.impressions import Impressions, ratings_spec
from agents.torch_tools import seeded
from agents.vae import VAE, VAEConfig, divergence, drawn, reparameterised
from recsim_env.agent import NoLog
from recsim_env.errors import InvalidParameter
from tests.agents.blocks import ITEMS, block_matrix, fitted
from tests.agents.halves import halves, history_of, own_first
from tests.agents.tastes import Tastes, best_click_rate, click_rate, trained_on

PEOPLE = 400
UPDATES = 300


def updated(**settings: Any) -> VAE:
    """The agent after so many updates, however it ranks: what is asked here is how it models users."""
    given = {"history": ITEMS, "beta": 1.0, "anneal": 50, "latent": 2, "dropout": 0.0, **settings}
    agent = VAE(VAEConfig(**given), ratings_spec(np.zeros((ITEMS, 1)), PEOPLE, 1, ITEMS))
    log, rng = Impressions.of_ratings(*np.nonzero(block_matrix(people=PEOPLE))), np.random.default_rng(0)
    windows, optimiser = log.windows(ITEMS), torch.optim.Adam(agent.network.parameters(), lr=0.01)
    agent.network.train()
    for update in range(UPDATES):
        loss = agent.loss(Batch(log, rng.choice(windows, 64), rng, update, log.pairs(log.step >= 0)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    agent.network.eval()
    return agent


def off_the_prior(agent: VAE) -> float:
    """How far the codes of new users are from N(0, 1) together: the worst logarithm of a second moment."""
    _, given = halves(400)
    with torch.no_grad():
        mean, log_variance = agent.posterior(agent.bag(history_of(given)), torch.zeros((400, 0)))
    return float((mean**2 + log_variance.exp()).mean(dim=0).log().abs().max())


def mixed_up(agent: VAE) -> float:
    """The share of items of sampled users that are of the kind that fewer of their items are of; 0.34 by chance."""
    kinds = agent.sample(500, 6, np.random.default_rng(0)) % 2
    return float(np.minimum(kinds.mean(axis=1), 1.0 - kinds.mean(axis=1)).mean())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_what_is_left_of_a_new_users_kind_first(seed: int) -> None:
    settings = {"validation": 0.1, "history": 30, "learning_rate": 0.01, "epochs": 15, "patience": 15, "anneal": 50}
    assert own_first(fitted("vae", block_matrix(people=600), seed=seed, **settings)) > 0.98


@pytest.mark.parametrize("ids", [True, False])
def test_ranks_by_what_is_known_of_users_and_items(ids: bool) -> None:
    envs = Tastes(ids=ids)
    agent = trained_on(envs, "vae", 12_800, {"learning_rate": 0.01, "epochs": 8})
    assert click_rate(agent, envs) >= 0.94 * best_click_rate()


def test_users_look_like_the_prior_and_those_drawn_from_it_like_users() -> None:
    agent = updated()
    assert off_the_prior(agent) < 0.5
    assert mixed_up(agent) < 0.12
    firsts = agent.sample(500, 1, np.random.default_rng(1)) % 2
    assert 0.3 < firsts.mean() < 0.7  # both kinds of users are drawn


@pytest.mark.parametrize("sign", [0.0, -0.01])
def test_a_bound_without_the_kl_term_is_found(monkeypatch: pytest.MonkeyPatch, sign: float) -> None:
    """Planted: the term is dropped, or rewards distance."""
    monkeypatch.setattr(vae, "divergence", lambda *moments: sign * divergence(*moments))
    assert off_the_prior(updated()) > 1.0


def test_the_kl_term_is_that_of_two_normals() -> None:
    mean, log_variance = torch.randn((2, 5, 3), generator=seeded(0, torch.device("cpu")))
    codes, prior = Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)
    assert torch.allclose(divergence(mean, log_variance), kl_divergence(codes, prior).sum(dim=1), atol=1e-5)
    many = reparameterised(mean.expand(100_000, 5, 3), log_variance.expand(100_000, 5, 3), seeded(1, mean.device))
    by_luck = (codes.log_prob(many) - prior.log_prob(many)).mean(dim=0).sum(dim=1)
    assert torch.allclose(divergence(mean, log_variance), by_luck, atol=0.05)


def test_gradients_pass_through_a_drawn_code() -> None:
    mean, log_variance = torch.zeros((2, 4, 3)).unbind()
    mean, log_variance = mean.clone().requires_grad_(), log_variance.clone().requires_grad_()
    codes = reparameterised(mean, log_variance, seeded(0, mean.device))
    codes.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(mean.grad, torch.ones((4, 3)))  # type: ignore[arg-type]
    assert torch.allclose(log_variance.grad, 0.5 * codes.detach())  # type: ignore[arg-type]  # deviation is 1


def test_the_kl_weight_grows_to_its_cap_in_the_first_fit_alone() -> None:
    agent = VAE(VAEConfig(beta=0.4, anneal=10), ratings_spec(np.zeros((3, 1)), 1, 1, 5))
    assert [agent.kl_weight(updates) for updates in (0, 5, 10, 99)] == [0.0, 0.2, 0.4, 0.4]
    agent.annealing = False
    assert agent.kl_weight(0) == 0.4


def test_samples_are_drawn_as_asked() -> None:
    agent = VAE(VAEConfig(), ratings_spec(np.zeros((3, 1)), 1, 1, 5))
    items = agent.sample(40, 3, np.random.default_rng(0))
    assert np.array_equal(np.sort(items, axis=1), np.tile(np.arange(3), (40, 1)))
    assert np.array_equal(items, agent.sample(40, 3, np.random.default_rng(0)))
    assert agent.sample(2, 9, np.random.default_rng(0), again=True).shape == (2, 9)
    with pytest.raises(InvalidParameter, match="at most 3"):
        agent.sample(2, 9, np.random.default_rng(0))


def test_items_come_as_often_as_their_chances_say() -> None:
    chances = np.tile([0.5, 0.0, 0.3, 0.2], (4, 1))
    found = drawn(chances, 20_000, np.random.default_rng(0))
    assert np.allclose(np.bincount(found.ravel()) / found.size, chances[0], atol=0.01)


@pytest.mark.parametrize("features", [True, False])
def test_items_are_numbers_alone_where_features_are_not_read(features: bool) -> None:
    """Another catalogue changes what is learnt only where its features are read."""
    users, items = np.nonzero(np.tile(np.eye(4), (5, 1)))
    log, found = Impressions.of_ratings(users, items), []
    for catalogue in (np.zeros((4, 2)), np.arange(8.0).reshape(4, 2)):
        agent = VAE(VAEConfig(features=features, epochs=2), ratings_spec(catalogue, 20, 1, 5))
        agent.fit(log, NoLog())
        found.append(agent.every_vector().detach().numpy())
    assert np.array_equal(*found) == (not features)
