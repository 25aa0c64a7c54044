"""The adapter to Stable-Baselines3: every algorithm keeps the contract and scores candidates with shared weights."""

from __future__ import annotations

import random
from math import perm
from typing import Any

import numpy as np
import pytest
import torch

from agents.sb3 import ALGORITHMS, SB3, Places, agent_of
from agents.sb3_policies import Users
from recsim_env.agent import NoLog, WorldSpec, agent_class
from recsim_env.checks import check_agent
from recsim_env.env import Observation, RecVectorEnv
from recsim_env.errors import AgentError, InvalidParameter, UnknownName
from recsim_env.parameters import build
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget, flatten
from tests.agents.learning import BOOTSTRAPPING, engagement, trained
from tests.agents.tastes import Curves
from tests.recsim_env.test_env import Shelf
from tests.worlds import TinyWorld, tiny_optimum

SHELF = Shelf(num_candidates=5, slate_size=2, forbidden=1)
SMALL = {"hidden": 8, "users": 16}


def small(name: str, **settings: Any) -> Any:
    """Settings with which an algorithm trains in no time."""
    kind = agent_of(name)
    several = (
        {"gradient_steps": 1, "learning_starts": 32}
        if "gradient_steps" in kind.Config.__dataclass_fields__
        else {"n_steps": 4}
    )
    return build(kind.Config, {**SMALL, **several, **settings}, name)


def untrained(name: str, **settings: Any) -> tuple[SB3, RecVectorEnv]:
    """An agent with random weights in every layer, on users some of whose candidates are not allowed."""
    envs = RecVectorEnv(SHELF, 16, Options(totals=True, jit=False))
    agent = agent_of(name)(small(name, **settings), WorldSpec.of(envs))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in agent.model.policy.parameters():
            value.normal_(0.0, 0.5, generator=generator)
    return agent, envs


def numbers(agent: SB3, observation: Observation) -> np.ndarray:
    rows = flatten(agent.spec.observation_space, observation, 1)
    with torch.inference_mode():
        return np.asarray(agent.model.policy.numbers(torch.as_tensor(rows)).numpy())


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_keeps_the_contract_where_candidates_are_masked(name: str) -> None:
    check_agent(agent_of(name), SHELF, config=small(name), options={"jit": False}, steps=400, users=8)


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_what_is_said_of_a_candidate_moves_with_it(name: str) -> None:
    agent, envs = untrained(name)
    observation, _ = envs.reset(seed=0)
    order = np.random.default_rng(0).permutation(5)
    moved = {key: v[:, order] if key in ("candidates", "mask") else v for key, v in observation.items()}
    before, after = numbers(agent, observation), numbers(agent, moved)
    assert before.std(axis=1).min() > 1e-3
    if len(agent.actions.table):  # slate k of the moved candidates is slate k of the others, through the order
        slates = [tuple(slate) for slate in agent.actions.table.tolist()]
        expected = before[:, [slates.index(tuple(order[list(slate)].tolist())) for slate in slates]]
    else:
        expected = before.reshape(16, -1, 5)[:, :, order].reshape(16, -1)
    np.testing.assert_allclose(after, expected, atol=1e-5)


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_slates_hold_no_repeats_and_nothing_masked(name: str) -> None:
    agent, envs = untrained(name)
    observation, _ = envs.reset(seed=0)
    slates = agent.act(observation, np.random.default_rng(0))
    assert (slates[:, 0] != slates[:, 1]).all()
    assert (np.take_along_axis(observation["mask"], slates, axis=1) > 0).all()


def test_places_take_the_likeliest_that_is_left() -> None:
    agent, _ = untrained("PPO")
    assert isinstance(agent.actions, Places)
    logits = np.array([[3.0, 1.0, 2.0, 0.0, -1.0, 9.0, 0.0, 8.0, 1.0, 2.0]])
    shown = agent.actions.best(logits, {"mask": np.array([[1.0, 1.0, 0.0, 1.0, 1.0]])})
    assert shown.tolist() == [[0, 4]]  # at the second place 0 is shown above already, and 2 is not allowed


def flagged(truncated: bool) -> Any:
    """Planted: every session that ends is told to have been cut, or none."""
    step_wait = Users.step_wait

    def step(self: Users) -> Any:
        rows, rewards, ended, infos = step_wait(self)
        return rows, rewards, ended, [{**info, "TimeLimit.truncated": truncated} if info else info for info in infos]

    return step


def test_a_cut_that_counts_as_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Users, "step_wait", flagged(truncated=False))
    found = trained("sb3:PPO", 0, BOOTSTRAPPING["sb3:PPO"], TinyWorld(horizon=1))
    assert engagement(found) < 0.95 * tiny_optimum(TinyWorld())


def test_an_end_that_counts_as_a_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Users, "step_wait", flagged(truncated=True))
    assert engagement(trained("sb3:PPO", 0, BOOTSTRAPPING["sb3:PPO"])) < 0.95 * tiny_optimum(TinyWorld())


def test_the_bare_name_is_ppo_and_variants_are_made_once() -> None:
    assert agent_class("sb3").Config is agent_class("sb3:PPO").Config
    assert agent_class("sb3:DQN") is agent_class("sb3:DQN")


@pytest.mark.parametrize(
    ("name", "message"),
    [("sb3:QRDNQ", "did you mean 'QRDQN'"), ("sb3:RecurrentPPO", "use sb3:PPO with history"), ("sb3:ARS", "sessions")],
)
def test_other_algorithms_are_refused(name: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        agent_class(name)


@pytest.mark.parametrize(
    ("name", "setting"), [("DQN", "clip_range"), ("A2C", "batch_size"), ("PPO", "buffer_size"), ("SAC", "noise")]
)
def test_settings_that_an_algorithm_does_not_have_are_refused(name: str, setting: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown parameter of sb3:{name} '{setting}'"):
        build(agent_of(name).Config, {setting: 1}, f"sb3:{name}")


def test_more_slates_than_can_be_numbered_are_refused() -> None:
    envs = RecVectorEnv(Shelf(num_candidates=12, slate_size=3), 1, Options(jit=False))
    with pytest.raises(AgentError, match=f"3 of 12 candidates make {perm(12, 3)}; use sb3:PPO"):
        agent_of("DQN")(small("DQN"), WorldSpec.of(envs))


def test_a_budget_of_one_step_is_refused() -> None:
    agent, envs = untrained("PPO")
    with pytest.raises(AgentError, match="at least two steps of its 16 users, 32, not 31"):
        agent.train(InteractionBudget(envs, 31), 31, NoLog())


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="device must be"):
        untrained("PPO", device="tpu")


@pytest.mark.parametrize("name", ["DQN", "PPO"])
def test_whole_steps_are_played_and_counted(name: str) -> None:
    agent, envs = untrained(name)
    budget, curves = InteractionBudget(envs, 333), Curves()
    agent.train(budget, 333, curves)
    assert agent.played == budget.spent == 320
    assert np.isfinite(curves.points["train/loss"]).all()


def test_nothing_global_is_left_changed() -> None:
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.random.get_rng_state()  # type: ignore[union-attr]  # noqa: NPY002
    agent, envs = untrained("DQN")
    agent.train(InteractionBudget(envs, 200), 200, NoLog())
    after = random.getstate(), np.random.get_state()[1].tobytes(), torch.random.get_rng_state()  # type: ignore[union-attr]  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
