"""The planner: it plans as the world does, its rollouts reach a known optimum, and its copies are the users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.imagination import Imagination
from agents.patient_oracle import PatientOracle, PatientOracleConfig
from recsim_env.agent import WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import AgentError
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from scenarios.interest_evolution import InterestEvolution
from scenarios.long_term_satisfaction import LongTermSatisfaction
from tests.worlds import LEVELS, MEAL, SNACK, TinyWorld, tiny_optimum, tiny_policy_value

TINY = TinyWorld()
OPTIONS = PatientOracle.options(PatientOracleConfig())
SEARCH: dict[str, Any] = {"searches": 3, "rankings": 10, "people": 16}


def oracle(scenario: Scenario, **settings: Any) -> tuple[PatientOracle, RecVectorEnv]:
    envs = RecVectorEnv(scenario, 100, Options(**OPTIONS))
    return PatientOracle(PatientOracleConfig(**settings), WorldSpec.of(envs)), envs


def tiny_policy(**settings: Any) -> list[int]:
    """What it shows at each level of the tiny world, to most of 100 users."""
    agent, envs = oracle(TINY, **SEARCH, **settings)
    observation, _ = envs.reset(seed=1)
    shown, levels = agent.act(observation, np.random.default_rng(0))[:, 0], observation["user"].argmax(axis=1)
    return [int(shown[levels == level].mean() > 0.5) for level in range(LEVELS)]


def test_rollouts_reach_the_optimum_of_the_tiny_world() -> None:
    policy = tiny_policy(proposals=2, rollouts=16, depth=40)
    assert tiny_policy_value(TINY, policy) >= 0.95 * tiny_optimum(TINY)


def test_the_search_alone_finds_the_best_ranking() -> None:
    """Without rollouts it cannot tell levels apart: meals for everybody."""
    assert tiny_policy(proposals=1) == [MEAL] * LEVELS


def test_rollouts_that_end_at_once_are_found() -> None:
    """Planted: only the slate itself counts, which is greed."""
    assert tiny_policy(proposals=2, rollouts=16, depth=1) == [SNACK] * LEVELS


def test_it_shows_the_plan_of_a_world_that_has_one() -> None:
    world = LongTermSatisfaction()
    agent, envs = oracle(world)
    observation, _ = envs.reset(seed=1)
    assert np.array_equal(agent.act(observation, np.random.default_rng(0)), world.plan(observation))


def test_the_world_is_given_with_the_hidden_state_only() -> None:
    assert WorldSpec.of(RecVectorEnv(TINY, 1, Options(**OPTIONS))).scenario is TINY
    partial = WorldSpec.of(RecVectorEnv(TINY, 1, Options()))
    assert partial.scenario is None
    with pytest.raises(AgentError, match='observe="full"'):
        PatientOracle(PatientOracleConfig(), partial)


@pytest.mark.parametrize("name", ["boredom", "interest_evolution"])
def test_copies_are_at_the_step_where_the_users_are(name: str) -> None:
    """A first slate that nobody chose is no step of the session."""
    world = find_world(name).make()
    envs = RecVectorEnv(world, 3, Options(jit=False, **OPTIONS))
    observation, _ = envs.reset(seed=1)
    for _ in range(2):
        observation = envs.step(np.tile(np.arange(world.slate_size), (3, 1)))[0]
    copies = Imagination(world).copies(observation)
    state = envs.simulator.state
    assert copies.state["lives"]["step"].tolist() == state.lives["step"].tolist() == [2, 2, 2]
    for field in world.user_fields():
        found, real = copies.state["users"][field.name], state.users[field.name]
        np.testing.assert_allclose(found, real, rtol=1e-6, atol=1e-6)


def test_who_ends_early_leaves_the_others_as_they_are() -> None:
    """Rewards of many copies, which go on in smaller simulators as sessions end, are those of each few."""
    imagination = Imagination(TINY)
    strangers, luck = imagination.strangers(300, 1), np.arange(300)

    def policy(observation: Any, places: np.ndarray) -> np.ndarray:
        return (places % 2)[:, None]

    whole = imagination.play(strangers, luck, None, policy, 1000)
    few = [luck[i : i + 50] for i in range(0, 300, 50)]
    parts = [imagination.play(strangers.take(those), those, None, policy, 1000) for those in few]
    np.testing.assert_allclose(whole, np.concatenate(parts))  # sums in another order


def test_late_rewards_count_when_they_are_earned() -> None:
    late = InterestEvolution(reward_delay=5, noise=0.1)
    assert Imagination(late).scenario == InterestEvolution()


def test_it_is_saved_with_its_base_policy(tmp_path: Any) -> None:
    agent, envs = oracle(TINY, **SEARCH)
    observation, _ = envs.reset(seed=1)
    agent.act(observation, np.random.default_rng(0))
    agent.save(tmp_path)
    loaded = PatientOracle.load(tmp_path, agent.spec)
    assert np.array_equal(loaded.weights, agent.weights)
    assert np.array_equal(loaded.traits.scale, agent.traits.scale)
