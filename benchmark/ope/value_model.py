"""The direct method's model: fitted Q evaluation, step by step from the horizon back, linear in features of the slate.

A slate's features are the mean of its items', so that a random slate's expected value is that of the mean candidate.
Two models are fitted, each on half of the sessions, so that each session is judged by the one that has not seen it
(cross-fitting; Chernozhukov et al., 2018), without which doubly robust intervals are too narrow.

Le, Voloshin and Yue (2019), Batch policy learning under constraints, arXiv:1903.08738.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.encoding import Encoder, at_slates
from agents.profiles import layout
from benchmark.ope.target import Target
from recsim_env.env import Observation

AtStep = tuple[np.ndarray, Observation, np.ndarray, np.ndarray]
RIDGE = 1.0  # added to the sums of squares


class SlateFeatures:
    """What is known of users and slates: 1, the user's numbers, the items', and products of those of one meaning.

    Of one meaning are fields of the user that have a number for each of an item's, as interests in topics.
    """

    def __init__(self, target: Target) -> None:
        spec = target.agent.spec
        self.target, self.encoder = target, Encoder(spec)
        width = self.encoder.item_width
        self.matching = [slice(start, start + wide) for start, wide in layout(spec.user_fields) if wide == width]

    def __call__(self, observation: Observation, slates: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, F) of the slates (n, S) that were shown, and of what the target shows, in the mean; own: (n, S)."""
        users, items = self.encoder.users(observation), self.encoder.items(observation)
        allowed = observation["mask"] > 0 if "mask" in observation else np.ones(items.shape[:2], bool)
        mean = (items * allowed[..., None]).sum(axis=1) / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        greedy = at_slates(items, own).mean(axis=1)
        expected = self.target.greedy * greedy + (1.0 - self.target.greedy) * mean
        matching = [observation["user"][:, columns] for columns in self.matching]
        return tuple(  # type: ignore[return-value]
            np.concatenate([np.ones((len(users), 1)), users, slate, *(part * slate for part in matching)], axis=1)
            for slate in (at_slates(items, slates).mean(axis=1), expected)
        )


@dataclass
class Ridge:
    """Least squares; a feature's mean and scale come from what it is fitted to."""

    weights: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> Ridge:
        scale = np.sqrt((x**2).mean(axis=0)) + 1e-9
        z = x / scale
        return cls(np.linalg.solve(z.T @ z + RIDGE * np.eye(z.shape[1]), z.T @ y) / scale)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ self.weights)


@dataclass
class Values:
    """(N, H) values of what was shown and of what the target shows, 0 behind a session's end."""

    shown: np.ndarray
    expected: np.ndarray


def fitted_values(features: SlateFeatures, at: Callable[[int], AtStep], rewards: np.ndarray) -> Values:
    """Fit from the last step back.

    Args:
        features: of slates.
        at: of step t the sessions (n,) that reach it, what was seen, shown (n, S), and what the target's agent shows.
        rewards: (N, H).
    """
    count, horizon = rewards.shape
    fold = np.arange(count) % 2
    found = Values(np.zeros_like(rewards), np.zeros_like(rewards))
    after = np.zeros((2, count))  # what each fold's model says of the next state; 0 where the session is over
    for t in reversed(range(horizon)):
        alive, observation, slates, own = at(t)
        now = np.zeros((2, count))
        if len(alive):
            shown, expected = features(observation, slates, own)
            for k in range(2):
                mine = fold[alive] == k
                if mine.any():
                    model = Ridge.fit(shown[mine], (rewards[alive, t] + after[k, alive])[mine])
                    now[k, alive] = model(expected)
                    theirs = alive[~mine]
                    found.shown[theirs, t], found.expected[theirs, t] = model(shown[~mine]), now[k, theirs]
        after = now
    return found
