"""Random slates without repeats: the lower reference."""

from __future__ import annotations

import numpy as np

from recsim_env.agent import Agent, top_slates
from recsim_env.env import Observation


class RandomSlates(Agent):
    """Every ordered slate of distinct allowed candidates is equally likely."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        users = len(next(iter(observation.values())))
        return top_slates(rng.random((users, self.spec.num_candidates)), observation, self.spec.slate_size)

    def propensities(self, observation: Observation, slates: np.ndarray) -> np.ndarray:
        """(n, S): one over the number of candidates left at each place."""
        allowed = np.full(len(slates), self.spec.num_candidates)
        if "mask" in observation:
            allowed = (observation["mask"] > 0).sum(axis=1)
        return 1.0 / np.maximum(allowed[:, None] - np.arange(self.spec.slate_size), 1)
