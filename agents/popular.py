"""Shows what has been clicked most when shown, whoever the user is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.clusters import Clusters
from agents.encoding import Encoder, at_slates
from agents.experience import interact
from agents.random_slates import RandomSlates
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.parameters import param


@dataclass(frozen=True)
class PopularConfig(AgentConfig):
    """Settings of `popular`."""

    item_clusters: int = param(100, "kinds of items to count, where items have no ids", low=1)
    prior: float = param(5.0, "shows at the average click rate that every item starts with", low=0)


class Popular(Ranker):
    """Click rate by item (by cluster of features where items have no ids), counted on random slates."""

    Config = PopularConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.encoder, self.clusters = Encoder(spec), Clusters(config.item_clusters)
        self.popularity = np.zeros(max(1, self.encoder.num_items))

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Show random slates for the whole budget and count."""
        rng, behaviour = np.random.default_rng(self.config.seed), RandomSlates(AgentConfig(), self.spec)
        counts = None
        for t in interact(envs, lambda seen: behaviour.act(seen, rng), steps):
            if counts is None:
                counts = self._start(t.observation, rng)
            kinds = at_slates(self._kinds(t.observation), t.slates).ravel()
            counts[0] += np.bincount(kinds, minlength=counts.shape[1])
            counts[1] += np.bincount(kinds, t.info["clicked"].ravel(), minlength=counts.shape[1])
            shown, clicked = counts
            rate, prior = clicked.sum() / shown.sum(), self.config.prior
            self.popularity = (clicked + prior * rate) / np.maximum(shown + prior, 1e-9)

    def _start(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """Zeros (2, items) to count shows and clicks in; finds the kinds of items first where they have no ids."""
        if not self.encoder.num_items:
            self.clusters.fit(self.encoder.items(observation).reshape(-1, self.encoder.item_width), rng)
        return np.zeros((2, self.encoder.num_items or len(self.clusters)))

    def _kinds(self, observation: Observation) -> np.ndarray:
        """(n, C) the id or the cluster of each candidate."""
        if self.encoder.num_items:
            return self.encoder.item_ids(observation)
        return self.clusters(self.encoder.items(observation))

    def scores(self, observation: Observation) -> np.ndarray:
        return self.popularity[self._kinds(observation)]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"popularity": self.popularity, **self.clusters.arrays("items")}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.popularity = arrays["popularity"]
        self.clusters.restore("items", dict(arrays))
