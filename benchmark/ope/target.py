"""Policies to evaluate: an agent that is followed at a share of the steps, and random slates at all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.random_slates import RandomSlates
from recsim_env.agent import Agent, AgentConfig
from recsim_env.env import Observation
from recsim_env.errors import AgentError, InvalidParameter

ASKED_AGAIN = 1000  # states in which an agent is asked a second time


@dataclass(frozen=True)
class Target:
    """A mixture of an agent's slates and random ones.

    Attributes:
        agent: sure of what it shows; it must not draw.
        greedy: the share of steps at which its slate is shown, in [0, 1].
    """

    agent: Agent
    greedy: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.greedy <= 1.0:
            raise InvalidParameter(f"--greedy must lie in [0, 1], not {self.greedy}")

    @property
    def random(self) -> RandomSlates:
        return RandomSlates(AgentConfig(), self.agent.spec)

    def own_slates(self, observation: Observation) -> np.ndarray:
        """(n, S) what the agent shows.

        Raises:
            AgentError: it shows other slates when it is asked again.
        """
        slates = self.agent.act(observation, np.random.default_rng(0))
        some = {name: values[:ASKED_AGAIN] for name, values in observation.items()}
        if not np.array_equal(slates[:ASKED_AGAIN], self.agent.act(some, np.random.default_rng(1))):
            name = type(self.agent).__name__
            raise AgentError(f"{name} draws its slates, and off-policy evaluation needs an agent that is sure of them")
        return slates

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, S)."""
        slates = self.random.act(observation, rng)
        own = rng.random(len(slates)) < self.greedy
        slates[own] = self.agent.act(observation, rng)[own]
        return slates

    def probability(self, observation: Observation, slates: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(n,) how likely the slates (n, S) are; `own` (n, S): what the agent shows."""
        random = self.random.propensities(observation, slates).prod(axis=1)
        return self.greedy * (slates == own).all(axis=1) + (1.0 - self.greedy) * random
