"""What a planner that sees everything can tell of a candidate: numbers to rank by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from recsim_env.env import Observation
from recsim_env.layout import SPECIAL
from recsim_env.records import items_in, users_in
from recsim_env.scenario import Scenario

WIDEST = 32  # columns of a catalogue that are traits of their own


class Traits:
    """Each candidate's appeal, its features and their squares, and how well the user's vectors match its own.

    Attributes:
        scenario: the world.
        catalogue: (num_items, F) or None.
        scale: (T,) how far each trait differs between a user's candidates.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.catalogue = scenario, scenario.catalogue_features
        self.scale = np.ones(0)

    def fit(self, observations: Sequence[Observation]) -> None:
        """Take over the scale of the traits in some observations: the root of the mean variance among candidates."""
        variances = [np.concatenate([part.var(axis=1).mean(axis=0) for part in self._parts(o)]) for o in observations]
        spread = np.sqrt(np.mean(variances, axis=0))
        self.scale = np.where(spread > 1e-9, spread, 1.0)

    def scores(self, observation: Observation, weights: np.ndarray) -> np.ndarray:
        """(n, C): the traits by their scale, appeal first, weighted; weights (T,), or (n, T) of each user's own."""
        weights = (weights / self.scale).astype(np.float32)
        scores, start = 0.0, 0
        for part in self._parts(observation):
            own = weights[..., start : start + part.shape[2]]
            scores = scores + (part @ own if own.ndim == 1 else np.einsum("ncf,nf->nc", part, own))
            start += part.shape[2]
        return np.asarray(scores)

    def _parts(self, observation: Observation) -> Iterator[np.ndarray]:
        users, count = len(next(iter(observation.values()))), self.scenario.num_candidates
        yield observation.get("appeal", np.zeros((users, count), np.float32))[..., None]
        vectors = self._vectors(observation)
        yield from (features for features in vectors if features.shape[2] <= WIDEST)
        items = items_in(self.scenario, observation)
        for field in self.scenario.item_fields():  # squares, so that the best can lie in the middle
            if field.name not in SPECIAL and not field.categories:
                numbers = items[field.name].astype(np.float32)
                yield numbers.reshape(*items.shape, -1) ** 2
        yield from self._matches(observation, vectors)
        if self.catalogue is not None:  # of a vector of length 1 the squares are shares
            yield from self._matches(observation, [vectors[-1] ** 2])

    def _vectors(self, observation: Observation) -> list[np.ndarray]:
        """(n, C, F) each: what is seen of candidates, what is hidden, and what the catalogue says."""
        found = [observation[name] for name in ("candidates", "hidden_candidates") if name in observation]
        if self.catalogue is not None:
            found.append(self.catalogue[observation["candidate_ids"].astype(np.int64)])
        return found

    def _matches(self, observation: Observation, vectors: list[np.ndarray]) -> Iterator[np.ndarray]:
        """(n, C, 1): a user's vector times a candidate's first numbers, where it has as many."""
        users = users_in(self.scenario, observation)
        for field in self.scenario.user_fields():
            for features in vectors:
                if not field.categories and 1 < field.shape <= features.shape[2]:
                    own = users[field.name].astype(np.float32)
                    yield np.einsum("nk,nck->nc", own, features[..., : field.shape])[..., None]
