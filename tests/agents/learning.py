"""What learning tests share: agents trained in the tiny world, whose optimum is known, and their worth there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmark.evaluation import evaluate
from recsim_env.agent import Agent, NoLog, WorldSpec, agent_class
from recsim_env.env import RecVectorEnv
from recsim_env.parameters import build
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget
from tests.worlds import TinyWorld

WORLD = TinyWorld()


@dataclass(frozen=True)
class Case:
    """How an agent is trained in the tiny world: a few seconds at most."""

    steps: int
    settings: dict[str, Any] = field(default_factory=dict)


# Every agent that bootstraps: it reaches the optimum, stays myopic without a future, and learns from cut sessions.
BOOTSTRAPPING = {
    "actor_critic": Case(20_000, {"rollout": 16, "learning_rate": 3e-3, "gamma": 0.95, "totals": False}),
    "pqn": Case(30_000, {"learning_rate": 1e-3, "totals": False}),
    "reinforce": Case(20_000, {"rollout": 4, "remembered": 8, "learning_rate": 1e-3, "gamma": 0.95, "totals": False}),
    "sb3:PPO": Case(20_000, {"totals": False, "n_steps": 16, "users": 32, "gamma": 0.95}),
    "tabular_q": Case(60_000),
    "dqn": Case(30_000, {"learning_rate": 1e-3, "totals": False}),
}


def trained(name: str, seed: int, case: Case, world: TinyWorld = WORLD, **settings: Any) -> Agent:
    """The agent after the case's budget."""
    kind = agent_class(name)
    config = build(kind.Config, {"seed": seed, **case.settings, **settings}, name)
    envs = RecVectorEnv(world, config.users, Options(**kind.options(config)))
    envs.reset(seed=seed)
    agent = kind(config, WorldSpec.of(envs))
    agent.train(InteractionBudget(envs, case.steps), case.steps, NoLog())
    return agent


def engagement(agent: Agent) -> float:
    """The mean over 10,000 fresh users of the tiny world; its standard error is about 1 % of the optimum."""
    return evaluate(agent, WORLD, users=10_000, seed=7, purpose=Purpose.TEST).summary["engagement"]
