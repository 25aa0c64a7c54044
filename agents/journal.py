"""Playing and logging at once: impressions step by step, without ever holding all candidates of all steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.encoding import Encoder, at_slates
from agents.impressions import Impressions
from agents.items import ItemIndex
from agents.random_slates import RandomSlates
from recsim_env.agent import AgentConfig, WorldSpec, top_slates
from recsim_env.env import Observation

OFFERED = 50  # other candidates of a step that are logged, at most
OFFERED_NUMBERS = 200  # numbers of theirs that are logged, at most, where they have features of their own


@dataclass(frozen=True)
class Choice:
    """What a policy shows n users.

    Attributes:
        slates: (n, S) candidate positions.
        propensities: (n, S) the chance of each of them to stand somewhere in the slate.
        uniform: (n,) that chance under random slates.
        explored: (n,) bool, whether the slate was drawn at random.
    """

    slates: np.ndarray
    propensities: np.ndarray
    uniform: np.ndarray
    explored: np.ndarray


class Softened:
    """A behaviour policy: random slates with probability epsilon, else the top of the scores.

    With epsilon 1 it draws from `rng` what `RandomSlates` draws, so that all agents with a seed can get one log.
    """

    def __init__(
        self, spec: WorldSpec, scores: Callable[[Observation], np.ndarray], epsilon: float, rng: np.random.Generator
    ) -> None:
        self.spec, self.scores, self.epsilon, self.rng = spec, scores, epsilon, rng
        self.random = RandomSlates(AgentConfig(), spec)

    def __call__(self, observation: Observation) -> Choice:
        slates = self.random.act(observation, self.rng)
        uniform = np.minimum(self.spec.slate_size * self.random.propensities(observation, slates)[:, 0], 1.0)
        chance = np.broadcast_to(uniform[:, None], slates.shape)
        explored = np.ones(len(slates), bool)
        if self.epsilon < 1.0:
            explored = self.rng.random(len(slates)) < self.epsilon
            greedy = top_slates(self.scores(observation), observation, self.spec.slate_size)
            slates = np.where(explored[:, None], slates, greedy)
            liked = (slates[:, :, None] == greedy[:, None]).any(axis=2)
            chance = self.epsilon * chance + (1.0 - self.epsilon) * liked
        return Choice(slates, chance, uniform, explored)


class Journal:
    """Goes on playing where the users are, from the beginning of new sessions, and logs what was shown.

    A slate that the world shows before a session's first step is seen in observations, but not logged. `rng` draws
    which of many other candidates are logged; it must not be the one that slates are drawn from.
    """

    def __init__(
        self, envs: Any, spec: WorldSpec, encoder: Encoder, index: ItemIndex, rng: np.random.Generator
    ) -> None:
        self.envs, self.spec, self.encoder, self.index, self.rng = envs, spec, encoder, index, rng
        self.observation, _ = envs.reset()
        self.session, self.step = np.zeros((2, envs.num_envs), np.int64)
        most = OFFERED_NUMBERS // index.own if index.own else OFFERED
        self.sampled = max(1, min(spec.num_candidates, OFFERED, most))

    def play(self, rounds: int, choose: Callable[[Observation], Choice]) -> Impressions:
        """`rounds` steps of all users; the first log tells the index what kinds of items there are."""
        parts: dict[str, np.ndarray] = {}
        n = self.envs.num_envs
        for k in range(rounds):
            for name, values in self._play_one(choose).items():
                if name not in parts:
                    parts[name] = np.empty((rounds * n, *values.shape[1:]), values.dtype)
                parts[name][k * n : (k + 1) * n] = values
        if not self.index.has_ids:
            self.index.fit(parts["features"], self.rng)
            parts["items"] = self.index.kinds(parts["features"])
            absent = parts["offered"] < 0
            parts["offered"] = np.where(absent, -1, self.index.kinds(parts["offered_features"])).astype(np.int32)
        return Impressions(**parts)

    def _play_one(self, choose: Callable[[Observation], Choice]) -> dict[str, np.ndarray]:
        """One step of all users; without ids, the items are numbered later."""
        seen, n = self.observation, self.envs.num_envs
        choice = choose(seen)
        known = {
            "user": np.arange(n),
            "session": self.session.copy(),
            "step": self.step.copy(),
            "users": self.encoder.users(seen),
            "user_ids": self.encoder.user_ids(seen) if self.encoder.num_users else np.full(n, -1),
        }
        self.observation, _, terminated, truncated, info = self.envs.step(choice.slates)
        ended = terminated | truncated
        self.session, self.step = self.session + ended, np.where(ended, 0, self.step + 1)
        return known | self._shown(seen, choice) | {
            "labels": info[self.spec.label].astype(np.float32),
            "clicked": info["clicked"].astype(np.float32),
        }  # fmt: skip

    def _shown(self, seen: Observation, choice: Choice) -> dict[str, np.ndarray]:
        own, positions = self.index.own_features(seen), self._others(seen, choice.slates)
        numbers = seen["candidate_ids"].astype(np.int64) if self.index.has_ids else np.zeros(own.shape[:2], np.int64)
        return {
            "items": at_slates(numbers, choice.slates),
            "features": at_slates(own, choice.slates),
            "propensities": choice.propensities.astype(np.float32),
            "uniform": choice.uniform.astype(np.float32),
            "explored": choice.explored,
            "offered": np.where(positions < 0, -1, at_slates(numbers, positions)).astype(np.int32),
            "offered_features": at_slates(own, positions),
        }

    def _others(self, seen: Observation, slates: np.ndarray) -> np.ndarray:
        """(n, K) positions of allowed candidates that are not in the slate, else -1; all, or drawn with replacement."""
        n, count = len(slates), self.spec.num_candidates
        positions = np.tile(np.arange(count), (n, 1))
        if count > self.sampled:
            positions = self.rng.integers(count, size=(n, self.sampled))
        taken = np.zeros((n, count), bool) if "mask" not in seen else seen["mask"] <= 0
        np.put_along_axis(taken, slates, True, axis=1)
        return np.where(np.take_along_axis(taken, positions, axis=1), -1, positions)
