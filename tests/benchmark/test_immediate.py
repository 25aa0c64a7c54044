"""Immediate rewards against worlds in which they are known, and the same states for everybody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.myopic_oracle import MyopicOracle
from agents.random_slates import RandomSlates
from benchmark import immediate
from benchmark.immediate import expected_rewards, immediate_rewards, saved_states, summary
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.simulator import Options
from scenarios.interest_evolution import InterestEvolution
from tests.worlds import MEAL, SNACK, TinyWorld

TINY, ONE = TinyWorld(), InterestEvolution(slate_size=1, minutes=30.0)


class Always(Agent):
    """Shows one position."""

    position = SNACK

    def act(self, observation: Any, rng: np.random.Generator) -> np.ndarray:
        return np.full((len(next(iter(observation.values()))), 1), self.position)


class AlwaysMeal(Always):
    position = MEAL


class RemembersAll(Always):
    """The same, and it wants to see more."""

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"observe": "full", "totals": True, "history": 2}

    observe = "full"


def made(kind: type[Agent], world: Any) -> Agent:
    return kind(AgentConfig(), WorldSpec.of(RecVectorEnv(world, 1, Options(observe=kind.observe))))


def test_a_snack_and_a_meal_are_worth_what_they_are_worth() -> None:
    agents = {"snack": made(Always, TINY), "meal": made(AlwaysMeal, TINY), "oracle": made(MyopicOracle, TINY)}
    table = immediate_rewards(agents, TINY, states=50, repeats=2)
    assert (table["snack"] == 1.0).all()
    np.testing.assert_allclose(table["meal"], 0.3)
    assert (table["oracle"] == 1.0).all()
    assert table.index.tolist() == list(range(50))


def test_the_expected_minutes_are_those_of_the_choice_model() -> None:
    """A slate of one: 4 minutes, or what is left, times the logit's probability."""
    saved = saved_states(ONE, 200, 0, 5, ())
    first = saved.state["items"]["topic"][:, 0]
    users = saved.state["users"]
    odds = np.exp(users["interests"][np.arange(200), first])
    exact = odds / (odds + np.exp(ONE.no_click_logit)) * np.minimum(users["budget"], ONE.video_minutes)
    found = expected_rewards(saved, {"first": np.zeros((200, 1), int)}, repeats=400)["first"]
    noise = 2.0 / np.sqrt(400)  # a standard deviation of at most 2 minutes
    assert np.abs(found - exact).max() < 5 * noise
    assert abs((found - exact).mean()) < 4 * noise / np.sqrt(200)


def test_states_do_not_depend_on_what_an_agent_sees() -> None:
    plain = saved_states(ONE, 40, 0, 5, ())
    full = saved_states(ONE, 40, 0, 5, (("observe", "full"), ("totals", True), ("history", 2)))
    for name in ("users", "items", "lives"):
        assert plain.state[name].tobytes() == full.state[name].tobytes()
    agents = {"plain": made(Always, ONE), "more": made(RemembersAll, ONE)}
    table = immediate_rewards(agents, ONE, states=40, repeats=3)
    assert table["plain"].equals(table["more"].rename("plain"))


def test_each_step_of_a_session_is_equally_likely() -> None:
    """Sessions of exactly 8 steps: chi-square of 7 degrees of freedom, 0.1 %."""
    world = InterestEvolution(slate_size=1, horizon=8)  # nobody's 200 minutes are spent by then
    lives = saved_states(world, 4000, 0, 1, ()).state["lives"]
    assert (lives["session"] == 0).all()
    counts = np.bincount(lives["step"], minlength=8)
    assert len(counts) == 8
    assert ((counts - 500.0) ** 2 / 500.0).sum() < 24.3


def test_users_are_states_of_their_own_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    agents = {"random": made(RandomSlates, ONE)}
    whole = immediate_rewards(agents, ONE, states=30, repeats=2)
    monkeypatch.setattr(immediate, "BLOCK", 10)
    parts = immediate_rewards(agents, ONE, states=30, repeats=2)
    assert len(parts) == len(whole) == 30
    assert parts["random"].nunique() > 2


def test_differences_are_paired() -> None:
    agents = {"snack": made(Always, TINY), "meal": made(AlwaysMeal, TINY)}
    rows = summary(immediate_rewards(agents, TINY, states=20, repeats=1), "snack").set_index("agent")
    assert rows.loc["snack", "gain"] == 0.0
    np.testing.assert_allclose(rows.loc["meal", ["gain", "gain_low", "gain_high"]].astype(float), -0.7)


def test_a_state_that_peeks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every repeat meets the luck that would have come, so that a mean is no mean."""
    saved = saved_states(ONE, 100, 0, 5, ())
    slates = {"first": np.zeros((100, 1), int)}
    assert len(np.unique(expected_rewards(saved, slates, repeats=20)["first"])) > 10
    restore = RecVectorEnv.restore
    monkeypatch.setattr(RecVectorEnv, "restore", lambda self, saved, luck=None: restore(self, saved))
    assert len(np.unique(expected_rewards(saved, slates, repeats=20)["first"])) < 10


def test_late_rewards_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="need reward_delay 0, not 2"):
        immediate_rewards({}, TinyWorld(reward_delay=2), states=5)
