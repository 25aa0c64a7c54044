"""Shows what has been answered best when shown, by the world's label, whoever the user is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.encoding import at_slates
from agents.experience import interact
from agents.impressions import Impressions
from agents.items import ItemIndex
from agents.random_slates import RandomSlates
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec
from recsim_env.env import Observation
from recsim_env.parameters import param


@dataclass(frozen=True)
class PopularConfig(AgentConfig):
    """Settings of `popular`."""

    item_clusters: int = param(100, "kinds of items to count, where items have no ids", low=1)
    prior: float = param(5.0, "shows at the average label that every item starts with", low=0)


class Popular(Ranker):
    """The mean label by item (by kind where items have no ids), over random slates; a click where a world names none.

    Attributes:
        sums: (2, items) how often each was shown, and the sum of its labels.
    """

    Config = PopularConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.index = ItemIndex(spec, config.item_clusters)
        self.sums = np.zeros((2, self.index.size))

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Show random slates for the whole budget and count on; the first candidates seen tell the kinds of items."""
        rng, behaviour = np.random.default_rng([self.config.seed, self.played]), RandomSlates(AgentConfig(), self.spec)
        for t in interact(envs, lambda seen: behaviour.act(seen, rng), steps):
            self.index.fit(self.index.own_features(t.observation), rng)
            items = at_slates(self.index.of_candidates(t.observation), t.slates)
            self.sums += [self._count(items), self._count(items, t.info[self.spec.label])]
            self.played += len(t.slates)

    def fit(self, impressions: Impressions, log: Log) -> None:
        """Count on, from a log; where every item is always on offer, each session was one show of each."""
        always = not impressions.offered.shape[1]
        self.sums[0] += len(impressions.lengths) if always else self._count(impressions.items)
        self.sums[1] += self._count(impressions.items, impressions.labels)

    def _count(self, items: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """(items,) how often each stands in items (…,), or the sum of its weights (…,)."""
        flat = None if weights is None else weights.ravel()
        return np.bincount(items.ravel(), flat, minlength=self.index.size)

    @property
    def popularity(self) -> np.ndarray:
        """(items,): the mean label a show, drawn toward the average where shows are few; 0 before the first."""
        shown, labels = self.sums
        average = labels.sum() / max(shown.sum(), 1.0)
        return (labels + self.config.prior * average) / np.maximum(shown + self.config.prior, 1e-9)

    def scores(self, observation: Observation) -> np.ndarray:
        return self.popularity[self.index.of_candidates(observation)]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"sums": self.sums, **self.index.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.sums = arrays["sums"].copy()
        self.index.restore(arrays)
