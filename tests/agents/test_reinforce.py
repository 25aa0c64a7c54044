"""REINFORCE: its two corrections, and what a log of a skewed behaviour policy teaches."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import reinforce
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.env import Observation

COMMON, RARE, BAD = 0, 1, 2
REWARDS = np.array([1.0, 1.5, 0.0])  # the best item is one that the behaviour policy hardly ever shows
SHARES = np.array([0.6, 0.05, 0.35])  # of what the behaviour policy shows


class OneStep:
    """Users whose sessions last one step, and who are offered the same three items; a vector environment."""

    num_envs = 64
    spec = WorldSpec(
        observation_space=spaces.Dict(
            {"candidates": spaces.Box(0, 1, (3, 3), np.float32), "user": spaces.Box(0, 1, (1,), np.float32)}
        ),
        num_candidates=3,
        slate_size=1,
        catalogue=None,
        label="clicked",
        responses=(),
        horizon=1000,
    )

    def see(self) -> Observation:
        items = np.broadcast_to(np.eye(3, dtype=np.float32), (self.num_envs, 3, 3))
        return {"candidates": items, "user": np.zeros((self.num_envs, 1), np.float32)}

    def reset(self) -> tuple[Observation, dict[str, Any]]:
        return self.see(), {}

    def step(self, slates: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        over = np.ones(self.num_envs, bool)
        return self.see(), REWARDS[slates[:, 0]], over, ~over, {"clicked": np.ones((self.num_envs, 1))}


class Skewed:
    """A behaviour policy that shows the items by `SHARES`."""

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        pass

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(3, size=(len(observation["candidates"]), 1), p=SHARES)

    def propensities(self, observation: Observation, slates: np.ndarray) -> np.ndarray:
        return SHARES[slates]


def favourite(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> int:
    """The item that it shows after learning from the log of the skewed policy."""
    monkeypatch.setattr(reinforce, "RandomSlates", Skewed)
    defaults = {"offline": True, "cap": 20.0, "remembered": 10, "learning_rate": 3e-3, "entropy": 0.5}
    config = reinforce.ReinforceConfig(**{**defaults, **settings})
    agent = reinforce.Reinforce(config, OneStep.spec)
    agent.train(OneStep(), 4096, NoLog())
    return int(agent.scores(OneStep().see())[0].argmax())


def test_importance_weights_find_what_the_behaviour_policy_hardly_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert favourite(monkeypatch) == RARE


def test_without_importance_weights_the_common_item_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: what is often shown is often credited."""
    monkeypatch.setattr(reinforce, "importance", lambda log_ratio, cap: torch.ones_like(log_ratio))
    assert favourite(monkeypatch) != RARE


def test_inverted_importance_weights_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: beta / pi."""
    importance = reinforce.importance
    monkeypatch.setattr(reinforce, "importance", lambda log_ratio, cap: importance(-log_ratio, cap))
    assert favourite(monkeypatch) != RARE


def test_weights_are_capped() -> None:
    assert reinforce.importance(torch.tensor([-1.0, 0.0, 3.0]), 2.0).tolist() == pytest.approx([np.exp(-1), 1.0, 2.0])


def chance_in_draws(probability: float, draws: int) -> float:
    """How likely an item is among so many draws, by adding up all that can be drawn."""
    ways = product([True, False], repeat=draws)
    return sum(np.prod([probability if hit else 1.0 - probability for hit in way]) for way in ways if any(way))


@pytest.mark.parametrize("draws", [1, 2, 3, 10])
@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
def test_the_multiplier_is_the_derivative_of_the_chance_to_be_in_the_slate(probability: float, draws: int) -> None:
    step = 1e-6
    slope = (chance_in_draws(probability + step, draws) - chance_in_draws(probability - step, draws)) / (2 * step)
    log_probability = torch.tensor([probability], dtype=torch.float64).log()
    assert float(reinforce.multiplier(log_probability, draws)) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_a_certain_item_is_not_pushed_further() -> None:
    certain = torch.zeros(1)
    assert float(reinforce.multiplier(certain, 3)) == 0.0
    assert float(reinforce.multiplier(certain, 1)) == 1.0


CHANCES = np.array([0.1, 0.9, 0.5])  # of a click on each item


class ClicksPay(OneStep):
    """A click is the whole reward: 1."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def step(self, slates: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        over, clicked = np.ones(self.num_envs, bool), (self.rng.random(slates.shape) < CHANCES[slates]).astype(float)
        return self.see(), clicked[:, 0], over, ~over, {"clicked": clicked}


def worth_of_what_it_shows(seed: int) -> float:
    """The chance of a click on what a policy is likeliest to show, after it learnt where clicks pay."""
    agent = reinforce.Reinforce(reinforce.ReinforceConfig(gamma=0.0, rollout=8, seed=seed), OneStep.spec)
    agent.train(ClicksPay(), 16_384, NoLog())
    logits = torch.as_tensor(agent.scores(ClicksPay().see())[0])
    return float(CHANCES @ torch.softmax(logits, 0).numpy())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_a_click_is_the_whole_reward_the_likeliest_click_is_shown(seed: int) -> None:
    assert worth_of_what_it_shows(seed) > 0.8


def test_a_baseline_that_knows_of_the_click_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the mean over clicked steps is taken off, and every click is worth nothing."""

    def among_clicked(advantages: torch.Tensor, credited: torch.Tensor) -> torch.Tensor:
        known = advantages[credited]
        return (advantages - known.mean()) / (known.std(correction=0) + 1e-6)

    monkeypatch.setattr(reinforce, "centred", among_clicked)
    assert worth_of_what_it_shows(0) < 0.7


def test_advantages_are_centred_over_all_steps_and_scaled_by_those_credited() -> None:
    advantages, credited = torch.tensor([1.0, 3.0, 2.0, 6.0]), torch.tensor([False, True, False, True])
    expected = torch.tensor([-2.0, 0.0, -1.0, 3.0]) / 4.5**0.5
    assert torch.allclose(reinforce.centred(advantages, credited), expected)
