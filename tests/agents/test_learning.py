"""Agents that learn reach a known optimum, from each of three seeds; a broken update does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import dqn, tabular_q
from recsim_env.agent import Agent, NoLog, WorldSpec, agent_class
from recsim_env.env import RecVectorEnv
from recsim_env.parameters import build
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from tests.worlds import LEVELS, MEAL, SNACK, TinyWorld, tiny_optimum, tiny_policy_value

WORLD = TinyWorld()
BUDGETS = {"tabular_q": 60_000, "dqn": 30_000}


def trained(name: str, seed: int, **settings: Any) -> Agent:
    kind = agent_class(name)
    config = build(kind.Config, {"seed": seed, "totals": False, **settings}, name)
    envs = RecVectorEnv(WORLD, config.users, Options(**kind.options(config)))
    envs.reset(seed=seed)
    agent = kind(config, WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, BUDGETS[name]), BUDGETS[name], NoLog())
    return agent


def greedy_value(agent: Agent) -> float:
    """The exact expected engagement of what the agent shows at each level."""
    observation = {
        "user": np.eye(LEVELS, dtype=np.float32),
        "candidates": np.tile(np.eye(2, dtype=np.float32), (LEVELS, 1, 1)),
        "response": np.zeros((LEVELS, 1, 2), np.float32),
    }
    if isinstance(agent, dqn.DQN):  # it has seen responses after the first step only
        observation["response"][:, 0] = [1.0, 1.0]
    return tiny_policy_value(WORLD, agent.act(observation, np.random.default_rng(0))[:, 0].tolist())


def test_the_myopic_policy_is_far_from_the_optimum() -> None:
    assert tiny_policy_value(WORLD, [SNACK] * LEVELS) < 0.6 * tiny_optimum(WORLD)
    assert tiny_policy_value(WORLD, [MEAL] * LEVELS) < 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", list(BUDGETS))
def test_reaches_the_optimum_of_the_tiny_world(name: str, seed: int) -> None:
    assert greedy_value(trained(name, seed)) >= 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("name", list(BUDGETS))
def test_without_a_future_it_stays_myopic(name: str) -> None:
    assert greedy_value(trained(name, 0, gamma=0.0)) < 0.6 * tiny_optimum(WORLD)


def test_a_tabular_update_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    learn = tabular_q.learn
    monkeypatch.setattr(tabular_q, "learn", lambda *a: learn(*a[:7], np.zeros_like(a[7]), *a[8:]))
    assert greedy_value(trained("tabular_q", 0)) < 0.95 * tiny_optimum(WORLD)


def test_a_dqn_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    add = dqn.Replay.add
    monkeypatch.setattr(
        dqn.Replay, "add", lambda self, rows: add(self, {**rows, "continues": np.ones_like(rows["continues"])})
    )
    assert greedy_value(trained("dqn", 0)) < 0.95 * tiny_optimum(WORLD)
