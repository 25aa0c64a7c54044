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
from recsim_env.errors import AgentError, InvalidParameter
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
    returns = training._returns(steps, torch.full((config.users,), 100.0))
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


def test_the_defaults_are_the_papers() -> None:
    """Of the configuration that its authors published for MinAtar."""
    agent = PQN(PQN.Config(), WorldSpec.of(RecVectorEnv(TinyWorld(), 128, Options(totals=True))))
    norms = [module for module in agent.network.modules() if isinstance(module, nn.LayerNorm)]
    assert isinstance(agent.optimiser, torch.optim.RAdam)
    assert len(norms) == 4
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)
    config, (group,) = agent.config, agent.optimiser.param_groups
    assert (config.trace, config.gamma, config.rollout, config.users, config.epochs) == (0.65, 0.99, 32, 128, 2)
    assert (group["lr"], group["weight_decay"], config.batch, config.hidden) == (5e-4, 0, 128, 128)
    agent.slow(0.5)
    assert group["lr"] == 2.5e-4


def test_radam_refuses_a_weight_decay() -> None:
    spec = WorldSpec.of(RecVectorEnv(TinyWorld(), 4, Options(totals=True)))
    with pytest.raises(InvalidParameter, match=r"radam knows no weight decay \(0.1\); use optimiser=adamw"):
        PQN(PQN.Config(weight_decay=0.1), spec)
