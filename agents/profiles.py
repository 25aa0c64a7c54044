"""What is known of users in the terms of items: their numbers that stand for an item's features, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agents.encoding import response_column
from agents.networks import Features
from recsim_env.agent import WorldSpec
from recsim_env.env import Observation
from recsim_env.fields import Field
from recsim_env.layout import seen_of


class Profiles:
    """Reads the parts of an observation that have as many numbers as an item has features.

    These are fields of the user (remembered clicks on each topic), and responses to what was clicked (its vector): the
    last slate's, summed, and where totals are seen the session's mean a click. A world may have none of them.

    Attributes:
        count: how many there are.
        scale: (count, 1) what they are divided by.
    """

    def __init__(self, spec: WorldSpec, features: Features) -> None:
        self.features, width = features, features.item_width
        self.user = [slice(start, start + width) for start, wide in layout(spec.user_fields) if wide == width]
        self.response = [slice(start, start + width) for start, wide in layout(spec.responses) if wide == width]
        self.clicked = response_column(spec.responses, "clicked") if self.response else 0
        self.totals = "totals" in spec.observation_space.spaces
        self.count = len(self.user) + len(self.response) * (2 if self.totals else 1)
        self.scale = np.ones((self.count, 1), np.float32)

    def fit(self, observations: Sequence[Observation]) -> None:
        """Take the scales from what was seen first: each profile's numbers are divided by their standard deviation."""
        deviation = np.concatenate([self._raw(seen) for seen in observations]).std(axis=(0, 2), dtype=np.float64)
        self.scale = np.where(deviation > 0.0, deviation, 1.0).astype(np.float32)[:, None]

    def __call__(self, observation: Observation) -> Tensor:
        """(n, count, F), scaled."""
        return torch.as_tensor(self._raw(observation) / self.scale, device=self.features.device)

    def _raw(self, observation: Observation) -> np.ndarray:
        parts = [observation["user"][:, columns] for columns in self.user]
        if self.response:
            last = observation["response"]
            clicked = last[:, :, self.clicked, None]
            parts += [(clicked * last[:, :, columns]).sum(axis=1) for columns in self.response]
            if self.totals:
                sums = np.split(observation["totals"][:, 1:], 2, axis=1)[1]
                clicks = np.maximum(sums[:, self.clicked, None], 1.0)
                parts += [sums[:, columns] / clicks for columns in self.response]
        empty = np.zeros((len(next(iter(observation.values()))), 0, self.features.item_width), np.float32)
        return np.stack(parts, axis=1) if parts else empty


def layout(fields: Sequence[Field]) -> list[tuple[int, int]]:
    """Where each field that is seen starts among all that are, and how many numbers it has; ids are apart."""
    places, start = [], 0
    for field in seen_of(fields):
        places.append((start, field.width))
        start += field.width
    return places
