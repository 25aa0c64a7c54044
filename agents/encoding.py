"""Observations as matrices: what is known of the user, and the features of each candidate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsim_env.agent import WorldSpec
from recsim_env.env import Observation

ABOUT_CANDIDATES = ("candidates", "candidate_ids", "mask", "hidden_candidates", "appeal")
IDS = ("user_id", "history_ids")


class Encoder:
    """Reads a world's observations.

    Attributes:
        user_width: numbers known of the user: state, last response, history and totals (ids excluded).
        item_width: numbers known of a candidate: its own features and its catalogue's.
        num_users, num_items: how many ids there are; 0 without ids.
    """

    def __init__(self, spec: WorldSpec, leave_out: tuple[str, ...] = ()) -> None:
        spaces = spec.observation_space.spaces
        self.keys = [name for name in spaces if name not in ABOUT_CANDIDATES + IDS + leave_out]
        self.catalogue = spec.catalogue
        self.num_items = 0 if spec.catalogue is None else len(spec.catalogue)
        self.num_users = int(spaces["user_id"].high[0]) + 1 if "user_id" in spaces else 0  # type: ignore[attr-defined]
        self.user_width = sum(int(np.prod(spaces[name].shape or ())) for name in self.keys)
        own = spaces["candidates"].shape[1] if "candidates" in spaces else 0  # type: ignore[index]
        self.item_width = own + (0 if spec.catalogue is None else spec.catalogue.shape[1])

    def users(self, observation: Observation) -> np.ndarray:
        """(n, user_width) float32."""
        parts = [observation[name].reshape(len(observation[name]), -1) for name in self.keys]
        if not parts:
            return np.zeros((len(next(iter(observation.values()))), 0), np.float32)
        return np.concatenate(parts, axis=1)

    def items(self, observation: Observation) -> np.ndarray:
        """(n, C, item_width) float32."""
        parts = [observation["candidates"]] if "candidates" in observation else []
        if self.catalogue is not None:
            parts.append(self.catalogue[self.item_ids(observation)])
        return np.concatenate(parts, axis=2)

    def item_ids(self, observation: Observation) -> np.ndarray:
        """(n, C) int64 catalogue ids."""
        return observation["candidate_ids"].astype(np.int64)

    def user_ids(self, observation: Observation) -> np.ndarray:
        """(n,) int64."""
        return observation["user_id"][:, 0].astype(np.int64)


def at_slates(values: np.ndarray, slates: np.ndarray) -> np.ndarray:
    """(n, S, …): of values (n, C, …) those of the candidates shown."""
    return values[np.arange(len(slates))[:, None], slates]


class Standardiser:
    """Shifts and scales columns to mean 0 and standard deviation 1, as seen in the first data."""

    def __init__(self, width: int) -> None:
        self.mean, self.scale = np.zeros(width, np.float32), np.ones(width, np.float32)

    def fit(self, rows: np.ndarray) -> None:
        """Take the columns' mean and deviation from rows (n, width); a constant column keeps scale 1."""
        self.mean = rows.mean(axis=0).astype(np.float32)
        deviation = rows.std(axis=0)
        self.scale = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.clip((rows - self.mean) / self.scale, -10.0, 10.0).astype(np.float32)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was fitted, by names that start with `name`."""
        return {f"{name}_mean": self.mean, f"{name}_scale": self.scale}

    def restore(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.mean, self.scale = arrays[f"{name}_mean"], arrays[f"{name}_scale"]
