"""Parallel Q(lambda): what it refuses, how it keeps values apart, and that going on is not a new start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from agents.pqn import PQN, Training, ValueNetwork
from agents.torch_tools import seeded
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.agent_checks import check_agent
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from tests.agents.learning import BOOTSTRAPPING, WORLD, Case, engagement, trained
from tests.worlds import TinyWorld, tiny_optimum

CPU = torch.device("cpu")


@pytest.mark.parametrize("normalise", [True, False])
def test_values_start_at_0_and_layers_are_normalised_if_asked(normalise: bool) -> None:
    network, generator = ValueNetwork(3, 2, 8, normalise), seeded(0, CPU)
    network.start(generator)
    users, items = torch.randn(5, 3, generator=generator), torch.randn(5, 4, 2, generator=generator)
    assert (network(users, items) == 0).all()
    assert sum(isinstance(module, nn.LayerNorm) for module in network.modules()) == (4 if normalise else 0)


def test_what_a_user_is_worth_does_not_depend_on_the_candidates() -> None:
    network = ValueNetwork(3, 2, 8, True)
    network.start(seeded(0, CPU))
    with torch.no_grad():
        network.state[-1].bias.fill_(7.0)
        network.added[-1].weight.fill_(1.0)
    users, items = torch.ones(1, 3), torch.eye(2)[None]
    alone = torch.cat([network(users, items[:, k : k + 1]) for k in range(2)], dim=1)
    assert torch.allclose(network(users, items), alone)
    assert (alone >= 7.0).all()
    assert alone[0, 0] != alone[0, 1]


def test_without_normalised_layers_it_reaches_the_optimum_too() -> None:
    case = BOOTSTRAPPING["pqn"]
    agent = trained("pqn", 0, Case(case.steps, {**case.settings, "normalise": False}))
    assert engagement(agent) >= 0.95 * tiny_optimum(WORLD)


@pytest.mark.parametrize("trace", [0.0, 1.0])
def test_the_extremes_of_lambda_keep_the_contract(trace: float) -> None:
    check_agent(PQN, TinyWorld(), config=PQN.Config(trace=trace, rollout=5), steps=2048)


def test_returns_bootstrap_from_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of one step, all values 3: a return is the reward and gamma 3, unless the user left."""
    config = PQN.Config(totals=False, gamma=0.5)
    envs = RecVectorEnv(TinyWorld(horizon=1), config.users, Options())
    agent = PQN(config, WorldSpec.of(envs))
    with torch.no_grad():
        agent.network.state[-1].bias.fill_(3.0)
    training = Training(agent, envs, 64_000, NoLog())
    observation, _ = envs.reset(seed=0)
    steps = []
    for _ in range(20):
        step, observation = training._play(observation)
        steps.append(step)
    returns = training._returns(steps, torch.full((64,), 100.0))
    rewards, over = (torch.stack([getattr(s, name) for s in steps]) for name in ("rewards", "terminated"))
    assert over.any()
    assert torch.allclose(returns.view_as(rewards), rewards + 1.5 * ~over)


def test_a_budget_of_one_step_is_refused() -> None:
    envs = RecVectorEnv(TinyWorld(), 64, Options(totals=True))
    with pytest.raises(AgentError, match="two steps of its 64 users at least, not 64"):
        PQN(PQN.Config(), WorldSpec.of(envs)).train(InteractionBudget(envs, 64), 64, NoLog())


def test_who_goes_on_does_not_start_at_random_again() -> None:
    agent = trained("pqn", 0, BOOTSTRAPPING["pqn"])
    envs = RecVectorEnv(TinyWorld(), 1000, Options())
    observation, _ = envs.reset(seed=0)
    training = Training(agent, envs, 100_000, NoLog())  # type: ignore[arg-type]
    greedy = agent.act(observation, np.random.default_rng(0))[:, 0]
    step, _ = training._play(observation)
    assert (step.shown[:, 0].argmax(dim=1).numpy() != greedy).mean() < 0.06
