"""Immediate reward: what an agent's slates are worth at once, on states saved from the behaviour policy's sessions.

The states are the same for all agents, and so is the luck that the slates meet: what differs is the slates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from agents.random_slates import RandomSlates
from agents.torch_tools import one_thread
from benchmark.evaluation import BLOCK, options_of
from benchmark.statistics import interval
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.errors import InvalidParameter
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.snapshot import Snapshot
from recsim_env.streams import Purpose

STATES = 10_000
REPEATS = 20
SEED = 77_000  # of the users who are met and of what they are shown; no evaluation uses it
Watched = tuple[tuple[str, Any], ...]


def immediate_rewards(
    agents: Mapping[str, Agent],
    scenario: Scenario,
    *,
    states: int = STATES,
    repeats: int = REPEATS,
    seed: int = SEED,
    observe: str = "partial",
) -> pd.DataFrame:
    """The expected reward of one step of each agent's slate in each state.

    A state is a user of their own at a random step of their first session under random slates, each step of the
    session equally likely, so that states are independent. An agent sees of it what its own options show.

    Args:
        agents: by name, trained.
        scenario: the world.
        states: how many.
        repeats: steps with fresh luck over which a reward is averaged.
        seed: of the users and of the random slates.
        observe: what agents see that do not need the hidden state.

    Returns:
        A row a state, a column an agent.

    Raises:
        InvalidParameter: the world pays rewards late, so that a step's reward is of other slates.
    """
    check_rewards(scenario)
    watched = {name: tuple(options_of(type(a), a.config, observe).items()) for name, a in agents.items()}
    parts = []
    with one_thread():
        for first in range(0, states, BLOCK):
            count = min(BLOCK, states - first)
            seen = {w: saved_states(scenario, count, first, seed, w) for w in {(), *watched.values()}}
            slates = {name: slates_of(agent, seen[watched[name]], seed) for name, agent in agents.items()}
            parts.append(expected_rewards(seen[()], slates, repeats).set_index(np.arange(first, first + count)))
    return pd.concat(parts).rename_axis("state")


class SavedStates:
    """States that an agent can be asked about again and again, while it learns.

    Raises:
        InvalidParameter: see `immediate_rewards`.
    """

    def __init__(self, scenario: Scenario, watched: Mapping[str, Any], states: int, seed: int) -> None:
        check_rewards(scenario)
        self.seed, self.saved = seed, saved_states(scenario, states, 0, seed, tuple(watched.items()), Purpose.VALIDATE)

    def reward_of(self, agent: Agent, repeats: int) -> float:
        """The mean expected reward of one step of its slates."""
        shown = {"agent": slates_of(agent, self.saved, self.seed)}
        return float(expected_rewards(self.saved, shown, repeats)["agent"].mean())


def check_rewards(scenario: Scenario) -> None:
    """Raise `InvalidParameter` where a step's reward is of other slates."""
    if scenario.reward_delay > 0:
        raise InvalidParameter(
            f"immediate rewards need reward_delay 0, not {scenario.reward_delay}: "
            "what a step pays there was earned by earlier slates"
        )


def saved_states(
    scenario: Scenario, users: int, first: int, seed: int, watched: Watched, purpose: Purpose = Purpose.TEST
) -> Snapshot:
    """A random step of each user's first session under random slates, whatever the options show of it.

    Step t of a session takes the place of those before it with probability 1 / t, so that all are equally likely.
    """
    envs = RecVectorEnv(scenario, users, Options(purpose=purpose, first_user=first, **dict(watched)))
    behaviour, rng = RandomSlates(AgentConfig(), WorldSpec.of(envs)), np.random.default_rng([seed, first])
    observation, _ = envs.reset(seed=seed)
    saved, playing, step = envs.snapshot(), np.ones(users, bool), 1
    while playing.any():
        observation, _, terminated, truncated, _ = envs.step(behaviour.act(observation, rng))
        playing &= ~(terminated | truncated)
        step += 1
        chosen = np.flatnonzero((rng.random(users) < 1.0 / step) & playing)
        if len(chosen):
            saved.put(chosen, envs.snapshot().take(chosen))
    return saved


def slates_of(agent: Agent, saved: Snapshot, seed: int) -> np.ndarray:
    """(n, S): what the agent shows in the saved states."""
    envs = RecVectorEnv(saved.scenario, len(saved), saved.options)
    return agent.act(envs.restore(saved), np.random.default_rng([seed, saved.options.first_user, 1]))


def expected_rewards(saved: Snapshot, slates: Mapping[str, np.ndarray], repeats: int) -> pd.DataFrame:
    """A row a state, a column an agent: its slates' reward in one step, averaged over the same lucks for all."""
    envs = RecVectorEnv(saved.scenario, len(saved), saved.options)
    total = {name: np.zeros(len(saved)) for name in slates}
    for luck in range(repeats):
        for name, shown in slates.items():
            envs.restore(saved, luck)
            total[name] += envs.step(shown)[1]
    return pd.DataFrame({name: rewards / repeats for name, rewards in total.items()})


def summary(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """A row an agent: its mean immediate reward and the paired difference to `baseline`, with 95 % intervals."""
    rows = []
    for name in table.columns:
        own, difference = table[name].to_numpy(), (table[name] - table[baseline]).to_numpy()
        ends = dict(zip(("low", "high"), interval(own), strict=True))
        gain = dict(zip(("gain_low", "gain_high"), interval(difference), strict=True))
        rows.append({"agent": name, "immediate": own.mean(), **ends, "gain": difference.mean(), **gain})
    return pd.DataFrame(rows)
