"""LinUCB (Li et al., 2010) for many users side by side and slates of several items.

While it learns it shows the items of the highest estimate + alpha * standard deviation; evaluated, those of the
highest estimate. It maximises the label of what it shows now, on purpose: what a slate does to the user counts
for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.linear_bandit import LinearBandit, LinearBanditConfig
from recsim_env.parameters import param


@dataclass(frozen=True)
class LinUCBConfig(LinearBanditConfig):
    """Settings of `lin_ucb`."""

    alpha: float = param(1.0, "standard deviations of the posterior added to the estimate; 0: greedy", low=0)


class LinUCB(LinearBandit):
    """Shows what a linear estimate of the label, plus its uncertainty, finds best."""

    Config = LinUCBConfig

    def refresh(self) -> None:
        """Arrange the covariance as (U, F, F, U), and what items' intercepts add to a variance."""
        posterior, u, f = self.posterior, self.users.width, self.items.width
        root = posterior.root.astype(np.float32)
        covariance = root.T @ root
        self.covariance = np.ascontiguousarray(covariance.reshape(u, f, u, f).transpose(0, 1, 3, 2))
        if self.by_id and posterior.count:
            ties = posterior.slopes @ covariance
            self.own = (ties * posterior.slopes).sum(axis=1) + 1.0 / posterior.item_precision
            self.ties = np.einsum("nuf,nf->nu", ties.reshape(-1, u, f), self.known).astype(np.float32)

    def optimism(self, users: np.ndarray, items: np.ndarray, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.estimates(users, items, ids) + self.bonus(users, items, ids)

    def bonus(self, users: np.ndarray, items: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """(n, C) alpha times the posterior standard deviation of the estimate."""
        (n, u), f = users.shape, self.items.width
        of_items = (users @ self.covariance.reshape(u, -1)).reshape(n, f, f, u) @ users[:, None, :, None]
        variance = ((items @ of_items[..., 0]) * items).sum(axis=-1)
        if self.by_id:
            variance = variance - 2.0 * (self.ties[ids] @ users[:, :, None])[..., 0] + self.own[ids]
        return self.config.alpha * np.sqrt(np.maximum(variance, 0.0))
