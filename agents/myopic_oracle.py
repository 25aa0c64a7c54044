"""Shows what this user would like best now; it sees the hidden state."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsim_env.agent import Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError


class MyopicOracle(Ranker):
    """Ranks candidates by the world's `appeal`, which maximises the expected reward of this step."""

    observe = "full"

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        if "appeal" not in spec.observation_space.spaces:
            raise AgentError("myopic_oracle needs a world that defines the verb appeal(self, user, item)")

    def scores(self, observation: Observation) -> np.ndarray:
        return observation["appeal"]
