"""LinUCB and Thompson sampling: the exact posterior, the best slate of a linear world, and regret that flattens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from agents.lin_ucb import LinUCB
from agents.linear_bandit import LinearBandit
from agents.linear_posterior import LinearPosterior
from agents.thompson import Thompson
from recsim_env.agent import NoLog, WorldSpec, agent_class
from recsim_env.env import Observation
from recsim_env.fields import Field
from recsim_env.parameters import build
from recsim_env.wrappers import InteractionBudget
from tests.agents.tastes import Tastes, best_click_rate, click_rate, trained_on

BANDITS: list[type[LinearBandit]] = [LinUCB, Thompson]
NAMES = ["lin_ucb", "thompson"]


class Linear(VectorEnv):
    """Items whose worth to a user is the product of two vectors that are seen, and noise. Sessions have one step."""

    def __init__(self, users: int, items: np.ndarray, places: int, noise: float, taste: int = 3, seed: int = 0) -> None:
        self.num_envs, self.items, self.places, self.noise, self.taste = users, items, places, noise, taste
        self.rng, self.paid = np.random.default_rng(seed), []  # type: ignore[var-annotated]
        shapes = {"user": (taste,), "candidates": items.shape}
        space = spaces.Dict({name: spaces.Box(-9, 9, shape, np.float32) for name, shape in shapes.items()})
        worth = Field("worth", low=-9, high=9)
        self.knows = WorldSpec(space, len(items), places, None, "worth", (worth,), 5000)

    def people(self, n: int) -> Observation:
        users = np.eye(self.taste, dtype=np.float32)[self.rng.integers(self.taste, size=n)]
        return {"user": users, "candidates": np.tile(self.items, (n, 1, 1)).astype(np.float32)}

    def worth(self, seen: Observation) -> np.ndarray:
        """(n, C) what each candidate is worth."""
        return np.asarray((seen["candidates"] @ seen["user"][:, :, None])[..., 0])

    def reset(self, **options: Any) -> tuple[Observation, dict[str, Any]]:
        self.seen = self.people(self.num_envs)
        return self.seen, {}

    def step(self, slates: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        worth = self.worth(self.seen)
        shown = np.take_along_axis(worth, slates, axis=1)
        best = np.sort(worth, axis=1)[:, -self.places :]
        self.paid.append(float((best.sum(axis=1) - shown.sum(axis=1)).mean()))
        labels = shown + self.noise * self.rng.standard_normal(shown.shape)
        self.seen, over = self.people(self.num_envs), np.ones(self.num_envs, bool)
        return self.seen, labels.sum(axis=1), over, ~over, {"worth": labels}


ITEMS = np.random.default_rng(3).normal(size=(8, 3)).round(1)


def bandit(kind: type[LinearBandit], envs: Linear, steps: int, **settings: Any) -> LinearBandit:
    agent = kind(build(kind.Config, settings, kind.__name__), envs.knows)
    agent.train(InteractionBudget(envs, steps), steps, NoLog())
    return agent


def regrets(kind: type[LinearBandit], **settings: Any) -> tuple[float, float]:
    """Mean regret of a slate in the first and the last quarter, over 10 worlds: one arm of ten is worth something."""
    paid = []
    for seed in range(10):
        envs = Arms(seed)
        bandit(kind, envs, 1600, users=8, warm_up=0.0, seed=seed, **settings)
        paid.append(envs.paid)
    return float(np.mean(paid, axis=0)[:50].mean()), float(np.mean(paid, axis=0)[-50:].mean())


class Arms(Linear):
    """Ten arms of which nothing is known but their number; number 7 is worth 0.7, the others nothing."""

    def __init__(self, seed: int) -> None:
        super().__init__(8, np.eye(10), 1, noise=1.0, taste=1, seed=seed)

    def worth(self, seen: Observation) -> np.ndarray:
        return np.tile(np.where(np.arange(10) == 7, 0.7, 0.0), (len(seen["user"]), 1))


def test_the_posterior_is_that_of_one_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    rows, ids, labels = rng.normal(size=(5000, 4)), rng.integers(3, size=5000), rng.normal(size=5000)
    posterior = LinearPosterior(4, 3, ridge=2.0)
    for start in range(0, 5000, 7):
        part = slice(start, start + 7)
        posterior.add(rows[part], labels[part], ids[part])
    posterior.solve()
    design = np.c_[rows, np.eye(3)[ids]]
    precision = design.T @ design + 2.0 * np.eye(7)
    covariance = np.linalg.inv(precision)
    np.testing.assert_allclose(np.r_[posterior.mean, posterior.offsets], covariance @ design.T @ labels, rtol=1e-9)
    np.testing.assert_allclose(posterior.root.T @ posterior.root, covariance[:4, :4], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_finds_the_charm_of_items_known_by_id_alone(name: str) -> None:
    envs = Tastes()
    found = click_rate(trained_on(envs, name, 10_000), envs)
    assert found >= best_click_rate(knows_taste=False) - 0.01


@pytest.mark.parametrize("name", NAMES)
def test_acts_before_training_where_items_are_known_by_id_alone(name: str) -> None:
    envs = Tastes()
    seen, _ = envs.reset(seed=0)
    kind = agent_class(name)
    slates = kind(kind.Config(), envs.knows).act(seen, np.random.default_rng(0))
    assert slates.shape == (envs.num_envs, envs.places)


def variances(agent: LinUCB, seen: Observation) -> tuple[np.ndarray, np.ndarray]:
    """What the bonus is, and what it is by the full covariance of shared weights and intercepts."""
    users, items, ids = agent.inputs(seen)
    posterior = agent.posterior
    covariance = posterior.root.T @ posterior.root
    rows = (users[:, None, :, None] * items[:, :, None, :]).reshape(*ids.shape, -1).astype(float)
    tied = rows - posterior.slopes[ids]
    own = 1.0 / posterior.item_precision[ids]
    return agent.bonus(users, items, ids), np.sqrt(((tied @ covariance) * tied).sum(axis=-1) + own)


def test_the_bonus_counts_shared_weights_and_intercepts() -> None:
    envs = Tastes()
    agent = trained_on(envs, "lin_ucb", 1000)
    assert isinstance(agent, LinUCB)
    found, exact = variances(agent, envs.reset()[0])
    np.testing.assert_allclose(found, exact, rtol=1e-3)


def test_draws_have_the_posteriors_mean_and_deviation() -> None:
    envs = Tastes()
    agents = [trained_on(envs, "lin_ucb", 1000), trained_on(envs, "thompson", 1000)]
    ucb, sampler = agents[0], agents[1]
    assert isinstance(ucb, LinUCB) and isinstance(sampler, Thompson)
    seen = {name: values[:1] for name, values in envs.reset()[0].items()}
    users, items, ids = sampler.inputs({name: np.repeat(values, 20_000, axis=0) for name, values in seen.items()})
    drawn = sampler.optimism(users, items, ids, np.random.default_rng(0))
    ucb.restore(sampler.arrays())
    np.testing.assert_allclose(drawn.mean(axis=0), sampler.scores(seen)[0], atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), sampler.config.spread * variances(ucb, seen)[1][0], rtol=0.03)


@pytest.mark.parametrize("kind", BANDITS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_the_best_slates_of_a_linear_world(kind: type[LinearBandit], seed: int) -> None:
    envs = Linear(32, ITEMS, 2, noise=0.5, seed=seed)
    agent = bandit(kind, envs, 6000, users=32, seed=seed)
    seen = {"user": np.eye(3, dtype=np.float32), "candidates": np.tile(ITEMS, (3, 1, 1)).astype(np.float32)}
    best = np.argsort(-envs.worth(seen), axis=1)[:, :2]
    assert np.array_equal(np.sort(agent.act(seen, np.random.default_rng(0)), axis=1), np.sort(best, axis=1))


def flattens(kind: type[LinearBandit]) -> bool:
    """Whether late regret is less than half of what it was, and of what those who do not explore are left with."""
    first, last = regrets(kind)
    return last < 0.5 * min(first, GREEDY)


GREEDY = 0.28  # the late regret with alpha or spread 0: most of ten agents stay with a worthless arm


@pytest.mark.parametrize("kind", BANDITS)
def test_the_greedy_get_stuck(kind: type[LinearBandit]) -> None:
    assert regrets(kind, **{"alpha" if kind is LinUCB else "spread": 0.0})[1] >= GREEDY - 1e-9


@pytest.mark.parametrize("kind", BANDITS)
def test_regret_flattens_where_the_greedy_get_stuck(kind: type[LinearBandit]) -> None:
    assert flattens(kind)


def test_a_bonus_of_the_wrong_sign_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bonus = LinUCB.bonus
    monkeypatch.setattr(LinUCB, "bonus", lambda self, *a: -bonus(self, *a))
    assert not flattens(LinUCB)


@pytest.mark.parametrize("kind", BANDITS)
def test_a_posterior_without_variance_is_found(kind: type[LinearBandit], monkeypatch: pytest.MonkeyPatch) -> None:
    solve = LinearPosterior.solve

    def sure(self: LinearPosterior) -> None:
        solve(self)
        self.root = np.zeros_like(self.root)

    monkeypatch.setattr(LinearPosterior, "solve", sure)
    assert not flattens(kind)
