"""Every registered agent keeps the contract, with and without ids, and with slates of several places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.random_slates import RandomSlates
from recsim_env.agent import AgentConfig, NoLog, WorldSpec, agent_class, registered_agents
from recsim_env.checks import check_agent
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError, BudgetSpent
from recsim_env.parameters import build
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from tests.content import ToldMovieLens
from tests.made_up import write_movielens
from tests.worlds import TinyWorld

CHOSEN = {"llm": {"model": "agents.scripted_chat:ScriptedChat"}}  # settings without which an agent is refused
ANYWHERE = [name for name in registered_agents() if not agent_class(name).needs]


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return ToldMovieLens(data=str(write_movielens(tmp_path_factory.mktemp("movielens"))), factors=4, not_again=10)


@pytest.mark.parametrize("name", ANYWHERE)
def test_keeps_the_contract_in_the_tiny_world(name: str) -> None:
    check_agent(agent_class(name), TinyWorld())


@pytest.mark.parametrize("name", list(registered_agents()))
def test_keeps_the_contract_with_ids_content_and_slates(name: str, movielens: Scenario) -> None:
    libraries(name)
    check_agent(agent_class(name), movielens, config=build(agent_class(name).Config, CHOSEN.get(name, {}), name))


@pytest.mark.parametrize("name", [name for name in registered_agents() if name not in ANYWHERE])
def test_says_what_a_world_lacks(name: str) -> None:
    libraries(name)
    kind = agent_class(name)
    config = build(kind.Config, CHOSEN.get(name, {}), name)
    with pytest.raises(AgentError, match=r"items|texts"):
        kind(config, WorldSpec.of(RecVectorEnv(TinyWorld(), 4, Options(**kind.options(config)))))


def libraries(name: str) -> None:
    """Skip where an agent's extra is not installed."""
    for library in {"p5": ("transformers", "peft"), "llm": ("langchain",)}.get(name, ()):
        pytest.importorskip(library, reason=f"{library} is not installed: pip install 'recsim-env[llm]'")


@pytest.mark.parametrize("name", ANYWHERE)
def test_training_twice_gives_the_same_agent(name: str) -> None:
    kind = agent_class(name)
    config = build(kind.Config, {"seed": 3, "users": 16}, name)
    learnt = []
    for _ in range(2):
        envs = RecVectorEnv(TinyWorld(), 16, Options(**kind.options(config)))
        envs.reset(seed=1)
        agent = kind(config, WorldSpec.of(envs))
        agent.train(InteractionBudget(envs, 2000), 2000, NoLog())
        learnt.append(agent.arrays())
    assert learnt[0].keys() == learnt[1].keys()
    assert all(np.array_equal(value, learnt[1][key]) for key, value in learnt[0].items())


@pytest.mark.parametrize("name", ["tabular_q", "dqn"])
def test_no_discount_is_refused_where_sessions_are_cut(name: str) -> None:
    kind = agent_class(name)
    config = build(kind.Config, {"gamma": 1.0}, name)
    envs = RecVectorEnv(TinyWorld(horizon=60), config.users, Options(**kind.options(config)))
    with pytest.raises(AgentError, match="gamma must be under 1"):
        kind(config, WorldSpec.of(envs)).train(InteractionBudget(envs, 9999), 9999, NoLog())


def test_the_budget_is_the_environments() -> None:
    envs = InteractionBudget(RecVectorEnv(TinyWorld(), 10, Options()), 35)
    agent = RandomSlates(AgentConfig(), WorldSpec.of(envs))
    observation, _ = envs.reset(seed=0)
    for _ in range(3):
        envs.step(agent.act(observation, np.random.default_rng(0)))
    with pytest.raises(BudgetSpent, match="35 user-steps"):
        envs.step(agent.act(observation, np.random.default_rng(0)))
    assert envs.spent == 30


def test_an_agent_that_was_saved_for_another_world_is_refused(tmp_path: Path, movielens: Scenario) -> None:
    kind = agent_class("dqn")
    saved = kind(kind.Config(), WorldSpec.of(RecVectorEnv(TinyWorld(), 1, Options(totals=True))))
    saved.save(tmp_path)
    with pytest.raises(AgentError, match="holds no DQN for this world"):
        kind.load(tmp_path, WorldSpec.of(RecVectorEnv(movielens, 1, Options(totals=True))))
