"""Observations as matrices: what is known of the user, and the features of each candidate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsim_env.agent import WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError
from recsim_env.fields import Field

ABOUT_CANDIDATES = ("candidates", "candidate_ids", "mask", "hidden_candidates", "appeal")
IDS = ("user_id", "history_ids")


class Encoder:
    """Reads a world's observations.

    Args:
        spec: the world.
        leave_out: parts of the observation that are not read.
        means: whether totals are also read as means, a step and a click, which stay of one size as a session grows.

    Attributes:
        user_width: numbers known of the user: state, last response, history and totals (ids excluded).
        item_width: numbers known of a candidate: its own features and its catalogue's.
        num_users, num_items: how many ids there are; 0 without ids.
    """

    def __init__(self, spec: WorldSpec, leave_out: tuple[str, ...] = (), *, means: bool = False) -> None:
        spaces = spec.observation_space.spaces
        self.means = means and "totals" in spaces
        self.clicked = response_column(spec.responses, "clicked") if self.means else 0
        self.keys = [name for name in spaces if name not in ABOUT_CANDIDATES + IDS + leave_out]
        self.catalogue = spec.catalogue
        self.num_items = 0 if spec.catalogue is None else len(spec.catalogue)
        self.num_users = int(spaces["user_id"].high[0]) + 1 if "user_id" in spaces else 0  # type: ignore[attr-defined]
        self.user_width = sum(int(np.prod(spaces[name].shape or ())) for name in self.keys)
        if self.means:
            self.user_width += int(np.prod(spaces["totals"].shape or ())) - 1
        own = spaces["candidates"].shape[1] if "candidates" in spaces else 0  # type: ignore[index]
        self.item_width = own + (0 if spec.catalogue is None else spec.catalogue.shape[1])

    def users(self, observation: Observation) -> np.ndarray:
        """(n, user_width) float32."""
        parts = [observation[name].reshape(len(observation[name]), -1) for name in self.keys]
        if not parts:
            return np.zeros((len(next(iter(observation.values()))), 0), np.float32)
        return np.concatenate(parts + ([self._means(observation["totals"])] if self.means else []), axis=1)

    def _means(self, totals: np.ndarray) -> np.ndarray:
        """(n, 2 R): the totals' responses to shown places, a step, and to clicked ones, a click."""
        steps, shown, clicked = totals[:, :1], *np.split(totals[:, 1:], 2, axis=1)
        clicks = clicked[:, self.clicked : self.clicked + 1]
        return np.concatenate([shown / np.maximum(steps, 1.0), clicked / np.maximum(clicks, 1.0)], axis=1)

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


def response_column(responses: tuple[Field, ...], name: str) -> int:
    """Where a response's number stands among those that are seen.

    Raises:
        AgentError: it is not seen.
    """
    start = 0
    for field in responses:
        if field.seen and field.name == name:
            return start
        start += field.width if field.seen else 0
    raise AgentError(f"the response {name!r} is not seen, so an agent cannot learn from it; declare it with seen=True")


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

    def part(self, columns: slice) -> Standardiser:
        """The standardiser of some columns."""
        narrow = Standardiser(0)
        narrow.mean, narrow.scale = self.mean[columns], self.scale[columns]
        return narrow

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was fitted, by names that start with `name`."""
        return {f"{name}_mean": self.mean, f"{name}_scale": self.scale}

    def restore(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.mean, self.scale = arrays[f"{name}_mean"], arrays[f"{name}_scale"]
