"""Agents that learn reach a known optimum, from each of three seeds; a broken update does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import dqn, tabular_q
from benchmark.evaluation import evaluate
from recsim_env.agent import Agent, NoLog, WorldSpec, agent_class
from recsim_env.env import RecVectorEnv
from recsim_env.parameters import build
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget
from tests.worlds import LEVELS, MEAL, SNACK, TinyWorld, tiny_optimum, tiny_policy_value

WORLD = TinyWorld()
BUDGETS = {"tabular_q": 60_000, "dqn": 30_000}
SETTINGS: dict[str, dict[str, Any]] = {"tabular_q": {}, "dqn": {"learning_rate": 1e-3}}


def trained(name: str, seed: int, **settings: Any) -> Agent:
    kind = agent_class(name)
    config = build(kind.Config, {"seed": seed, "totals": False, **SETTINGS[name], **settings}, name)
    envs = RecVectorEnv(WORLD, config.users, Options(**kind.options(config)))
    envs.reset(seed=seed)
    agent = kind(config, WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, BUDGETS[name]), BUDGETS[name], NoLog())
    return agent


def engagement(agent: Agent) -> float:
    """The mean over 10,000 fresh users; its standard error is about 1 % of the optimum."""
    return evaluate(agent, WORLD, users=10_000, seed=7, purpose=Purpose.TEST).summary["engagement"]


def test_the_myopic_policy_is_far_from_the_optimum() -> None:
    assert tiny_policy_value(WORLD, [SNACK] * LEVELS) < 0.6 * tiny_optimum(WORLD)
    assert tiny_policy_value(WORLD, [MEAL] * LEVELS) < 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", list(BUDGETS))
def test_reaches_the_optimum_of_the_tiny_world(name: str, seed: int) -> None:
    assert engagement(trained(name, seed)) >= 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("name", list(BUDGETS))
def test_without_a_future_it_stays_myopic(name: str) -> None:
    assert engagement(trained(name, 0, gamma=0.0)) < 0.6 * tiny_optimum(WORLD)


def test_a_tabular_update_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    learn = tabular_q.learn
    monkeypatch.setattr(tabular_q, "learn", lambda *a: learn(*a[:7], np.zeros_like(a[7]), *a[8:]))
    assert engagement(trained("tabular_q", 0)) < 0.95 * tiny_optimum(WORLD)


def test_a_dqn_that_ignores_termination_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: bootstrap from the next session's state."""
    add = dqn.Replay.add
    monkeypatch.setattr(
        dqn.Replay, "add", lambda self, rows: add(self, {**rows, "continues": np.ones_like(rows["continues"])})
    )
    assert engagement(trained("dqn", 0)) < 0.95 * tiny_optimum(WORLD)
