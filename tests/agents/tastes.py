"""A world whose best ranking is known: users of two tastes, items of two kinds, and charm that everybody feels.

It is a vector environment in plain numpy, so that nothing is compiled; what agents are worth there is counted over
all offers, without luck.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from agents.impressions import Impressions
from recsim_env.agent import Agent, Log, NoLog, Ranker, WorldSpec, agent_class
from recsim_env.env import Observation
from recsim_env.fields import Field
from recsim_env.parameters import build
from recsim_env.wrappers import InteractionBudget

CHARMS, MARKS = 4, 8
LEAVE = 0.1


def chances(tastes: np.ndarray, items: np.ndarray) -> np.ndarray:
    """(n, k) how likely users of tastes (n,) click items (n, k); even ones are of kind 0, later ones more charming."""
    charm = items // 2 % CHARMS
    return np.where(items % 2 == tastes[:, None], 0.3 + 0.15 * charm, 0.05 + 0.05 * charm)


class Tastes(VectorEnv):
    """Users see random offers, click by `chances`, and leave by chance; nothing that is shown changes anybody.

    Args:
        users: side by side.
        candidates: on offer, drawn with replacement.
        places: of the slate.
        items: in the catalogue; what is shown of them in it tells nothing.
        ids: whether candidates have ids; else kind and charm are seen, and some candidates are not allowed.
        seed: of all luck.
    """

    def __init__(
        self, users: int = 64, candidates: int = 4, places: int = 1, items: int = 8, ids: bool = True, seed: int = 0
    ) -> None:
        self.num_envs, self.candidates, self.places, self.items, self.ids = users, candidates, places, items, ids
        self.rng = np.random.default_rng(seed)
        parts = {name: values.shape[1:] for name, values in self.seen_by(*self._new(users)).items()}
        space = spaces.Dict({name: spaces.Box(0, items - 1, shape, np.float32) for name, shape in parts.items()})
        catalogue = np.ones((items, 1), np.float32) if ids else None
        clicked = Field("clicked", low=0, high=1, seen=True)
        self.knows = WorldSpec(space, candidates, places, catalogue, "clicked", (clicked,), 5000)

    def _new(self, users: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tastes (n,), marks (n, MARKS) for those who learn by heart, and offers (n, C)."""
        offers = self.rng.integers(self.items, size=(users, self.candidates))
        return self.rng.integers(2, size=users), self.rng.random((users, MARKS)), offers

    def seen_by(self, tastes: np.ndarray, marks: np.ndarray, offers: np.ndarray) -> Observation:
        users = np.concatenate([np.eye(2)[tastes], marks], axis=1)
        if self.ids:
            seen = {"user": users, "candidate_ids": offers}
        else:
            features = np.concatenate([np.eye(2)[offers % 2], np.eye(CHARMS)[offers // 2 % CHARMS]], axis=2)
            allowed = self.rng.random(offers.shape) < 2 / 3
            allowed[:, : self.places] = True
            seen = {"user": users, "candidates": features, "mask": allowed}
        return {name: values.astype(np.float32) for name, values in seen.items()}

    def reset(self, **options: Any) -> tuple[Observation, dict[str, Any]]:
        self.tastes, self.marks, self.offers = self._new(self.num_envs)
        return self.seen_by(self.tastes, self.marks, self.offers), {}

    def step(self, slates: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        shown = np.take_along_axis(self.offers, slates, axis=1)
        clicked = (self.rng.random(shown.shape) < chances(self.tastes, shown)).astype(float)
        gone = self.rng.random(self.num_envs) < LEAVE
        tastes, marks, self.offers = self._new(self.num_envs)
        self.tastes = np.where(gone, tastes, self.tastes)
        self.marks = np.where(gone[:, None], marks, self.marks)
        seen = self.seen_by(self.tastes, self.marks, self.offers)
        return seen, clicked.sum(axis=1), gone, np.zeros_like(gone), {"clicked": clicked}


def all_offers() -> tuple[np.ndarray, np.ndarray]:
    """Tastes (n,) and offers (n, 4): every one of them."""
    offers = np.array(list(product(range(2 * CHARMS), repeat=4)))
    return np.repeat([0, 1], len(offers)), np.tile(offers, (2, 1))


def best_click_rate(knows_taste: bool = True, knows_charm: bool = True) -> float:
    """Of the best ranking of 4 candidates by one who knows so much; ties go by position, which is random."""
    tastes, offers = all_offers()
    rates = chances(tastes, offers)
    believed = rates if knows_taste else (rates + chances(1 - tastes, offers)) / 2
    if not knows_charm:
        believed = np.zeros(offers.shape) if not knows_taste else offers % 2 == tastes[:, None]
    best = np.isclose(believed, believed.max(axis=1, keepdims=True))
    return float(((rates * best).sum(axis=1) / best.sum(axis=1)).mean())


def click_rate(agent: Agent, envs: Tastes) -> float:
    """What the agent's slates of one are clicked over all offers, all allowed; its 4 candidates come in each order."""
    tastes, offers = all_offers()
    seen = envs.seen_by(tastes, np.random.default_rng(1).random((len(tastes), MARKS)), offers)
    seen.pop("mask", None)
    chosen = agent.act(seen, np.random.default_rng(0))[:, :1]
    return float(chances(tastes, np.take_along_axis(offers, chosen, axis=1)).mean())


def trained_on(
    envs: Tastes, name: str, steps: int, settings: dict[str, Any] | None = None, log: Log | None = None
) -> Agent:
    """The agent, after `steps` user-steps."""
    kind = agent_class(name)
    agent = kind(build(kind.Config, settings or {}, name), envs.knows)
    agent.train(InteractionBudget(envs, steps), steps, log or NoLog())
    return agent


class Curves:
    """A log that keeps every number."""

    def __init__(self) -> None:
        self.points: dict[str, list[float]] = {}

    def scalar(self, name: str, value: float) -> None:
        self.points.setdefault(name, []).append(value)


def ratings_of_halves(people: int, size: int, rated: int) -> tuple[Impressions, np.ndarray]:
    """Ratings (and the items as (people, rated)) of users who rate items of one half of the catalogue only."""
    rng = np.random.default_rng(0)
    items = np.stack([rng.permutation(size // 2)[:rated] + size // 2 * (user % 2) for user in range(people)])
    return Impressions.of_ratings(np.repeat(np.arange(people), rated), items.ravel()), items


def finds_their_half(agent: Ranker, rated: np.ndarray, size: int, first: int = 0, history: int = 0) -> float:
    """The share of users, from number `first` on, of whose unrated items one of their own half comes first."""
    people, users = len(rated), first + np.arange(len(rated))
    seen = {"user_id": users[:, None].astype(np.float32)}
    seen["candidate_ids"] = np.tile(np.arange(size, dtype=np.float32), (people, 1))
    if history:
        seen["history_ids"] = rated[:, -history:, None].astype(np.float32)
    scores = agent.scores(seen)
    np.put_along_axis(scores, rated, -np.inf, axis=1)
    return float((scores.argmax(axis=1) // (size // 2) == users % 2).mean())
