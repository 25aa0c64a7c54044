"""Thompson sampling with a linear Gaussian model (Agrawal and Goyal, 2013), for many users and slates of several items.

While it learns it draws the weights from their posterior, for each user and step, and shows the best items by the
draw; evaluated, the best by the posterior mean. It maximises the label of what it shows now, on purpose: what a
slate does to the user counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.linear_bandit import LinearBandit, LinearBanditConfig
from recsim_env.parameters import param


@dataclass(frozen=True)
class ThompsonConfig(LinearBanditConfig):
    """Settings of `thompson`."""

    spread: float = param(0.5, "what the posterior's standard deviations are multiplied with; 0: greedy", low=0)


class Thompson(LinearBandit):
    """Shows what a draw from the posterior of a linear model of the label finds best."""

    Config = ThompsonConfig

    def refresh(self) -> None:
        """Keep the posterior in the precision that draws are made in."""
        posterior = self.posterior
        self.root, self.slopes = posterior.root.astype(np.float32), posterior.slopes.astype(np.float32)
        if self.by_id:
            self.own = posterior.item_moment / posterior.item_precision
            self.deviation = self.config.spread / np.sqrt(posterior.item_precision)

    def optimism(self, users: np.ndarray, items: np.ndarray, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n, C) the label under weights drawn for each user: first those shared, then the intercepts given them."""
        noise = rng.standard_normal((len(users), len(self.root)), np.float32) @ self.root
        drawn = self.posterior.mean.astype(np.float32) + np.float32(self.config.spread) * noise
        of_items = (users[:, None, :] @ drawn.reshape(len(users), *self.weights.shape))[:, 0]
        labels = (items @ of_items[:, :, None])[..., 0]
        if not self.by_id:
            return labels
        intercepts = np.take_along_axis(self.own - drawn @ self.slopes.T, ids, axis=1)
        return labels + intercepts + self.deviation[ids] * rng.standard_normal(ids.shape)
