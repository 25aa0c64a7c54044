"""What an agent shows and what users take of it: how different, how evenly spread, how far from what all are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agents.encoding import at_slates
from recsim_env.env import Observation, RecVectorEnv

BINS = 10  # kinds of items that have one feature: parts of its range
COUNTED = ["shown", "users", "clicks"]


class Variety:
    """Counts a block of users while they play their first sessions.

    Items are told apart by id, or by kind where they have none. A kind is the largest of an item's features, as its
    topic or genre; of items with one feature a tenth of its range.

    Attributes:
        sums, shown: (n, F) of unit vectors and (n,) of items that each user was shown.
        within, slates: (n,) of each slate's own diversity, and of slates.
        clicks: (n, K) of each user's clicks by kind.
        counts: (items, 3) of `COLUMNS`.
    """

    def __init__(self, envs: RecVectorEnv) -> None:
        self.envs, n, places = envs, envs.num_envs, envs.scenario.slate_size
        space = envs.single_observation_space.spaces.get("candidates")  # type: ignore[attr-defined]
        own = 0 if space is None else space.shape[1]
        self.low, self.high = (0.0, 1.0) if space is None else (float(space.low.min()), float(space.high.max()))
        self.width = own + (0 if envs.catalogue is None else envs.catalogue.shape[1])
        self.kinds = self.width if self.width > 1 else BINS * self.width
        items = self.kinds if envs.catalogue is None else len(envs.catalogue)
        self.sums, self.shown = np.zeros((n, self.width)), np.zeros(n)
        self.within, self.slates = np.zeros(n), np.zeros(n)
        self.clicks, self.counts = np.zeros((n, self.kinds)), np.zeros((items, len(COUNTED)))
        self.met = np.zeros((n, items), bool)
        self.now = (
            np.zeros((n, places), np.int64),
            np.zeros((n, places), np.int64),
        )  # items and kinds of the last slates

    def show(self, observation: Observation, slates: np.ndarray, users: np.ndarray) -> None:
        """Count the slates (n, S) of users (n,) bool, chosen from an observation."""
        parts, catalogue = [], self.envs.catalogue
        if "candidates" in observation:
            parts.append(at_slates(observation["candidates"], slates))
        ids = at_slates(observation["candidate_ids"], slates).astype(np.int64) if catalogue is not None else None
        if catalogue is not None:
            parts.append(catalogue[ids])
        if not parts:
            return
        features = np.concatenate(parts, axis=2, dtype=np.float64)
        kinds = self._kinds(features)
        self.now = kinds if ids is None else ids, kinds
        self._count_vectors(features, users)
        rows = np.flatnonzero(users)
        items = self.now[0][rows]
        self.met[rows[:, None], items] = True
        self.counts[:, 0] += np.bincount(items.ravel(), minlength=len(self.counts))

    def answer(self, clicked: np.ndarray, users: np.ndarray) -> None:
        """Count the clicks (n, S) on the last slates."""
        rows, places = np.nonzero((clicked > 0) & users[:, None])
        items, kinds = (values[rows, places] for values in self.now)
        if self.kinds:
            self.counts[:, 2] += np.bincount(items, minlength=len(self.counts))
            np.add.at(self.clicks, (rows, kinds), 1.0)

    def of_users(self) -> dict[str, np.ndarray]:
        """(n,) diversity of the session, mean diversity of its slates, and entropy in bits of what was clicked."""
        return {
            "diversity": differing(self.sums, self.shown) if self.width > 1 else np.full(len(self.shown), np.nan),
            "slate_diversity": np.divide(
                self.within, self.slates, out=np.full(len(self.slates), np.nan), where=self.slates > 0
            ),
            "entropy": entropy(self.clicks),
        }

    def of_items(self) -> pd.DataFrame:
        """A row an item or kind: how often shown, to how many users, how often clicked."""
        counts = np.column_stack([self.counts[:, 0], self.met.sum(axis=0), self.counts[:, 2]])
        return pd.DataFrame(counts.astype(np.int64), columns=COUNTED)

    def _kinds(self, features: np.ndarray) -> np.ndarray:
        if self.width > 1:
            return np.asarray(features.argmax(axis=2))
        share = (features[..., 0] - self.low) / ((self.high - self.low) or 1.0)
        return np.clip(share * BINS, 0, BINS - 1).astype(np.int64)

    def _count_vectors(self, features: np.ndarray, users: np.ndarray) -> None:
        lengths = np.linalg.norm(features, axis=2, keepdims=True)
        units = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
        sums, places = units.sum(axis=1), features.shape[1]
        self.sums += np.where(users[:, None], sums, 0.0)
        self.shown += places * users
        if places > 1 and self.width > 1:
            self.within += np.where(users, differing(sums, np.full(len(sums), float(places))), 0.0)
            self.slates += users


def differing(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(n,) one less the mean cosine of all pairs of items, from the sum of their unit vectors (n, F) and their number.

    The mean cosine of all pairs of m items is (|sum|^2 - m) / (m (m - 1)).
    """
    pairs = count * (count - 1.0)
    same = (sums**2).sum(axis=1) - count
    return 1.0 - np.divide(same, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def entropy(counts: np.ndarray) -> np.ndarray:
    """(n,) in bits, of counts (n, K); NaN where nothing was counted or there is one kind at most."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    bits = -(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)).sum(axis=1)
    return np.where((total[:, 0] > 0) & (counts.shape[1] > 1), bits, np.nan)


def gini(counts: np.ndarray) -> float:
    """How unevenly counts lie: 0 all alike, towards 1 all on one."""
    n, total = len(counts), float(counts.sum())
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float((2 * ranks - n - 1) @ np.sort(counts) / (n * total))


def spread(items: pd.DataFrame, users: int) -> dict[str, float]:
    """How an agent uses the catalogue, from `Variety.of_items` summed over blocks; nothing where items are all alike.

    coverage: the share of items, or kinds, that anybody was shown. gini: of how often each was. novelty: how few others
    are shown the same, -log2 of the share of users who are shown an item, mean over what is shown (Zhou et al., 2010).
    """
    shown = items["shown"].to_numpy(float)
    if not shown.sum():
        return {}
    share = np.maximum(items["users"].to_numpy(float), 1.0) / users
    novelty = float((shown * -np.log2(share)).sum() / shown.sum())
    return {"coverage": float((shown > 0).mean()), "gini": gini(shown), "novelty": novelty}
