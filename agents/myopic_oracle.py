"""Shows what this user would like best now; it sees the hidden state."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.agent import Agent, WorldSpec, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError


class MyopicOracle(Agent):
    """Ranks candidates by the world's `appeal`, which maximises the expected reward of this step."""

    observe = "full"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        if "appeal" not in spec.observation_space.spaces:
            raise AgentError("myopic_oracle needs a world that defines the verb appeal(self, user, item)")

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(observation["appeal"], observation, self.spec.slate_size)
