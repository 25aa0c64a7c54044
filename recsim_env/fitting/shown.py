"""What was shown, as statistics see it: each item's group, its direction, whether it was clicked, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.scenario import Scenario

THIRDS = 3  # groups of items that one number describes


@dataclass(frozen=True)
class Shown:
    """m slates of S places.

    Attributes:
        group: (m, S) int64.
        unit: (m, S, F) float32 of length 1 (or 0): the item's direction among its features.
        clicked: (m, S).
        values: (m, S, R), the other responses that are single numbers.
    """

    group: np.ndarray
    unit: np.ndarray
    clicked: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Lens:
    """How a world's items are grouped: by their largest feature, or by thirds of the range of their only one.

    Attributes:
        groups: how many.
        features: F.
        low, high: (F,) the features' range.
        names: of the responses that are single numbers, without `clicked`.
        catalogue: the group (N,) and direction (N, F) of every item, where candidates carry ids.
    """

    groups: int
    features: int
    low: np.ndarray
    high: np.ndarray
    names: tuple[str, ...]
    catalogue: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, scenario: Scenario) -> Lens:
        features = scenario.catalogue_features
        if features is not None:
            low, high = features.min(axis=0), features.max(axis=0)
        else:
            seen = [f for f in scenario.item_fields() if f.seen and f.name not in ("id", "allowed")]
            bounds = [f.bounds for f in seen for _ in range(f.width)]
            low, high = np.array(bounds, float).reshape(-1, 2).T
        names = tuple(
            f.name for f in scenario.response_fields() if f.name != "clicked" and not f.shape and not f.categories
        )
        width = len(low)
        lens = cls({0: 1, 1: THIRDS}.get(width, width), width, low, high, names)
        if features is None:
            return lens
        return cls(lens.groups, width, low, high, names, lens.describe(features))

    def describe(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The group (…) and the direction (…, F) of items with these features (…, F)."""
        sizes = np.linalg.norm(features, axis=-1, keepdims=True)
        unit = np.divide(features, sizes, out=np.zeros(features.shape, np.float32), where=sizes > 0)
        if self.features == 0:
            return np.zeros(features.shape[:-1], np.int64), unit
        if self.features == 1:
            share = (features[..., 0] - self.low[0]) / max(self.high[0] - self.low[0], 1e-12)
            return np.clip((THIRDS * share).astype(np.int64), 0, THIRDS - 1), unit
        return features.argmax(axis=-1), unit

    def look(self, seen: Mapping[str, np.ndarray], slates: np.ndarray, responses: Any) -> Shown:
        """What m slates showed.

        Args:
            seen: observations before the slates, by key.
            slates: (m, S) candidate positions.
            responses: by column, (m, S).
        """
        group, unit = self._items(seen, slates)
        clicked = np.asarray(responses["clicked"], float)
        values = np.empty((*slates.shape, len(self.names)))
        for c, name in enumerate(self.names):
            values[..., c] = responses[name]
        return Shown(group, unit, clicked, values)

    def _items(self, seen: Mapping[str, np.ndarray], slates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.catalogue is not None:
            ids = np.take_along_axis(seen["candidate_ids"], slates, axis=1).astype(np.int64)
            return self.catalogue[0][ids], self.catalogue[1][ids]
        if "candidates" not in seen:
            return np.zeros(slates.shape, np.int64), np.zeros((*slates.shape, 0), np.float32)
        return self.describe(np.take_along_axis(seen["candidates"], slates[..., None], axis=1))
