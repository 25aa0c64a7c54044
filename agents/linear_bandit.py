"""What the linear bandits share: features that express taste, and learning from each place of a slate.

The features of an item shown to a user are the products of (1, user) and (1, item), so that each thing known of
the user has its own weight for each feature of the item. Where candidates are known by their ids alone, each item
has an intercept of its own besides (see `linear_posterior`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from agents.encoding import Encoder, Standardiser, at_slates
from agents.experience import Transition, interact
from agents.linear_posterior import LinearPosterior
from recsim_env.agent import AgentConfig, Log, Ranker, WorldSpec, top_slates
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.parameters import param


@dataclass(frozen=True)
class LinearBanditConfig(AgentConfig):
    """Settings of the linear bandits."""

    ridge: float = param(1.0, "precision of the prior of each weight, in units of a label's", low=1e-6)
    width: int = param(1536, "products of user and item at most; wider sides are projected at random", low=4)
    refresh: float = param(0.1, "share of new rows after which the estimate is solved anew", low=0, high=10)
    warm_up: float = param(0.02, "share of the budget played at random first, to find scales", low=0, high=0.5)
    totals: bool = param(True, "whether the session's sums so far are seen: taste where it is hidden")
    history: int = param(0, "how many past steps are seen", low=0)


class Side:
    """Standardised features with a 1 before them, projected at random where they are wider than `most`."""

    def __init__(self, width: int, most: int, rng: np.random.Generator) -> None:
        self.scale = Standardiser(width)
        self.projection: np.ndarray | None = None
        if width > most:
            self.projection = (rng.normal(size=(width, most)) / np.sqrt(most)).astype(np.float32)
        self.width = 1 + min(width, most)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(…, width) float32, of length about 1."""
        rows = self.scale(rows)
        if self.projection is not None:
            rows = rows @ self.projection
        return np.concatenate([np.ones((*rows.shape[:-1], 1), np.float32), rows], axis=-1) / np.float32(
            np.sqrt(self.width)
        )


class LinearBandit(Ranker):
    """Ranks by a linear estimate of the label, and learns it while it shows what may be good.

    Each place of a slate is one observation of its item's label (semi-bandit feedback), as if it did not matter
    where the item stood and what else was shown.
    """

    Config = LinearBanditConfig
    learns = True

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        seen = spec.observation_space.spaces
        summed = "user" in seen or "totals" in seen  # then the last response says little of its own
        self.encoder = Encoder(spec, leave_out=("response",) if summed else ())
        self.by_id = self.encoder.num_items > 0 and "candidates" not in seen
        rng, most = np.random.default_rng(config.seed), isqrt(config.width)
        self.items = Side(self.encoder.item_width, most - 1, rng)
        self.users = Side(self.encoder.user_width, config.width // self.items.width - 1, rng)
        self.label_mean, self.label_scale = 0.0, 1.0
        intercepts = self.encoder.num_items if self.by_id else 0
        self.posterior = LinearPosterior(self.users.width * self.items.width, intercepts, config.ridge)
        self._catalogue()
        self._solve()

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"totals": config.totals, "history": config.history}

    @abstractmethod
    def optimism(self, users: np.ndarray, items: np.ndarray, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(n, C) what is shown by while it learns, of users (n, U), items (n, C, F) and their ids (n, C)."""

    def refresh(self) -> None:
        """Prepare what `optimism` needs of a posterior just solved."""

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Play at random for the warm-up, then by `optimism`; learn after each step of all users.

        Raises:
            AgentError: the budget does not reach for one step of all users.
        """
        if steps < envs.num_envs:
            name, n = type(self).__name__, envs.num_envs
            raise AgentError(f"{name} needs a budget of at least one step of its {n} users, not {steps}")
        with threadpool_limits(1, "blas"):  # the same bits everywhere
            self._train(envs, steps, log)

    def _train(self, envs: Any, steps: int, log: Log) -> None:
        rng, first = np.random.default_rng([self.config.seed, self.played]), []
        waiting = max(1, int(steps * self.config.warm_up) // envs.num_envs) if self.played == 0 else 0
        due = self.posterior.count * (1.0 + self.config.refresh)

        def choose(observation: Observation) -> np.ndarray:
            if waiting:
                scores = rng.random((envs.num_envs, self.spec.num_candidates))
            else:
                scores = self.optimism(*self.inputs(observation), rng)
            return top_slates(scores, observation, self.spec.slate_size)

        for t in interact(envs, choose, steps):
            self.played += envs.num_envs
            first.append(t)
            waiting -= waiting > 0
            if waiting:
                continue
            if self.posterior.count == 0:
                self._scale(first)
            log.scalar("train/loss", float(np.mean([self._learn(seen) for seen in first])))
            first.clear()
            if self.posterior.count >= due:
                self._solve()
                due = self.posterior.count * (1.0 + self.config.refresh)
        self._solve()

    def _solve(self) -> None:
        self.posterior.solve()
        self.weights = self.posterior.mean.reshape(self.users.width, self.items.width).astype(np.float32)
        self.refresh()

    def _scale(self, first: list[Transition]) -> None:
        """Take the scales of users, items and labels from the first steps."""
        self.users.scale.fit(np.concatenate([self.encoder.users(t.observation) for t in first]))
        items = np.concatenate([self.encoder.items(t.observation) for t in first])
        self.items.scale.fit(items.reshape(-1, items.shape[-1]))
        labels = np.concatenate([t.info[self.spec.label] for t in first])
        self.label_mean, self.label_scale = float(labels.mean()), float(labels.std()) or 1.0
        self._catalogue()

    def _catalogue(self) -> None:
        """The features of every item, where ids stand for them."""
        if self.by_id:
            self.known = self.items(self.encoder.catalogue)  # type: ignore[arg-type]

    def inputs(
        self, observation: Observation, slates: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Users (n, U), items (n, k, F) and ids (n, k), 0 where items have none: of all candidates, or of slates."""
        users = self.users(self.encoder.users(observation))
        if self.by_id:
            ids = self.encoder.item_ids(observation)
            ids = ids if slates is None else at_slates(ids, slates)
            return users, self.known[ids], ids
        rows = self.encoder.items(observation)
        items = self.items(rows if slates is None else at_slates(rows, slates))
        return users, items, np.zeros(items.shape[:2], np.int64)

    def _learn(self, t: Transition) -> float:
        """Take in every place of the slates; the mean squared error of the estimate before."""
        users, shown, ids = self.inputs(t.observation, t.slates)
        ids = ids.ravel()
        labels = ((t.info[self.spec.label] - self.label_mean) / self.label_scale).ravel()
        rows = (users[:, None, :, None] * shown[:, :, None, :]).reshape(len(labels), -1).astype(np.float64)
        estimates = rows @ self.posterior.mean + (self.posterior.offsets[ids] if self.by_id else 0.0)
        self.posterior.add(rows, labels, ids)
        return float(np.mean((labels - estimates) ** 2))

    def estimates(self, users: np.ndarray, items: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """(n, C) the posterior mean of the standardised label."""
        found = (items @ (users @ self.weights)[:, :, None])[..., 0]
        return found + self.posterior.offsets[ids] if self.by_id else found

    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C) the posterior mean of the standardised label, without exploration."""
        return self.estimates(*self.inputs(observation))

    def arrays(self) -> dict[str, np.ndarray]:
        scales = {**self.users.scale.arrays("user"), **self.items.scale.arrays("item")}
        labels = {"label": np.array([self.label_mean, self.label_scale])}
        return {**scales, **labels, **self.posterior.arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.users.scale.restore("user", arrays)
        self.items.scale.restore("item", arrays)
        self.label_mean, self.label_scale = map(float, arrays["label"])
        self.posterior.restore(arrays)
        self._catalogue()
        self._solve()
