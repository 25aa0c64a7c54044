"""Items by number: catalogue ids where candidates have them, kinds (clusters of features) where they have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.clusters import Clusters
from agents.encoding import response_column
from recsim_env.agent import WorldSpec
from recsim_env.env import Observation

FITTED_ROWS = 20_000
BLOCK = 200_000  # rows that are given kinds at once


@dataclass(frozen=True)
class History:
    """The slates shown before, n users, H steps of S places, the newest last; or any table of logged slates.

    Attributes:
        items: (n, H, S) int64 item numbers, -1 where nothing was shown.
        features: (n, H, S, F) float32, what was seen of the candidates themselves; F is 0 where only ids are seen.
        labels, clicked: (n, H, S) float32, 0 where nothing was shown.
    """

    items: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    clicked: np.ndarray


class ItemIndex:
    """Numbers items from 0 to size - 1.

    Attributes:
        has_ids: whether numbers are catalogue ids; else they are kinds, found by `fit`.
        size: how many numbers there are; of kinds at most so many are used.
        own: how many numbers are seen of a candidate besides its id (the key `candidates`).
        steps, places: of the history that is seen; 0 steps without one.
    """

    def __init__(self, spec: WorldSpec, kinds: int = 100) -> None:
        spaces = spec.observation_space.spaces
        self.spec, self.has_ids = spec, "candidate_ids" in spaces
        self.size = int(spaces["candidate_ids"].high.max()) + 1 if self.has_ids else kinds  # type: ignore[attr-defined]
        self.own = spaces["candidates"].shape[1] if "candidates" in spaces else 0  # type: ignore[index]
        self.clusters = Clusters(kinds)
        self.steps, self.places = 0, spec.slate_size
        if "history_ids" in spaces:
            self.steps, self.places = spaces["history_ids"].shape  # type: ignore[misc]
        elif "history" in spaces:
            self.steps = spaces["history"].shape[0]  # type: ignore[index]

    @property
    def features(self) -> np.ndarray:
        """(size, F) float32: the catalogue's, (size, 0) where ids have none; or the kinds' centres, zeros if unused."""
        if self.has_ids:
            return np.zeros((self.size, 0), np.float32) if self.spec.catalogue is None else self.spec.catalogue
        centres = np.zeros((self.size, self.own), np.float32)
        if self.fitted:
            centres[: len(self.clusters)] = self.clusters.centres * self.clusters.scale + self.clusters.mean
        return centres

    @property
    def fitted(self) -> bool:
        """Whether items have numbers yet; before, all kinds are 0."""
        return self.has_ids or self.clusters.centres.shape[1] > 0

    def fit(self, features: np.ndarray, rng: np.random.Generator) -> None:
        """Find kinds in features (…, own), unless items have numbers."""
        if not self.fitted and self.own:
            rows = features.reshape(-1, self.own)
            if len(rows) > FITTED_ROWS:
                rows = rows[rng.choice(len(rows), FITTED_ROWS, replace=False)]
            self.clusters.fit(rows, rng)

    def kinds(self, features: np.ndarray) -> np.ndarray:
        """(…,) int64: the kinds of features (…, own)."""
        rows, shape = features.reshape(-1, features.shape[-1]), features.shape[:-1]
        blocks = [self.clusters(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
        return np.concatenate(blocks).reshape(shape) if blocks else np.zeros(shape, np.int64)

    def own_features(self, observation: Observation) -> np.ndarray:
        """(n, C, own) float32: what is seen of the candidates themselves; ids not counted."""
        if self.own:
            return observation["candidates"]
        users = len(next(iter(observation.values())))
        return np.zeros((users, self.spec.num_candidates, 0), np.float32)

    def of_candidates(self, observation: Observation) -> np.ndarray:
        """(n, C) int64 the number of each candidate."""
        if self.has_ids:
            return observation["candidate_ids"].astype(np.int64)
        return self.kinds(self.own_features(observation))

    def of_history(self, observation: Observation) -> History:
        """The history that an observation holds; (n, 0, S) without one.

        Where it holds ids alone, each counts as clicked, with label 1. Without ids, a step before which all is 0 and
        that is 0 itself counts as not yet played.

        Raises:
            AgentError: the label or the click is not among the responses that are seen.
        """
        users = len(next(iter(observation.values())))
        shape = (users, self.steps, self.places)
        ids = observation["history_ids"].reshape(shape).astype(np.int64) if "history_ids" in observation else None
        if "history" not in observation:
            items = np.full(shape, -1) if ids is None else ids
            shown = (items >= 0).astype(np.float32)
            return History(items, np.zeros((*shape, self.own), np.float32), shown, shown)
        rows = observation["history"].reshape(*shape, -1)
        features, answers = rows[..., : self.own], rows[..., self.own :]
        if ids is None:
            played = np.maximum.accumulate((rows != 0).any(axis=(2, 3)), axis=1)
            ids = np.where(played[..., None], self.kinds(features), -1)
        columns = [response_column(self.spec.responses, name) for name in (self.spec.label, "clicked")]
        return History(ids, features, answers[..., columns[0]], answers[..., columns[1]])

    def arrays(self) -> dict[str, np.ndarray]:
        """What `fit` found, by names that start with `kinds_`."""
        return {} if self.has_ids else self.clusters.arrays("kinds")

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        if not self.has_ids:
            self.clusters.restore("kinds", dict(arrays))
