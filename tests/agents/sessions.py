"""Made-up sessions whose next item mostly follows from the last two: neither tells anything alone, order counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gymnasium import spaces

from agents.impressions import Impressions, ratings_spec
from agents.sequences import SequenceRecommender
from recsim_env.agent import WorldSpec
from recsim_env.fields import Field

ITEMS, SEEN = 5, 6
SURPRISE = 0.2  # share of items that follow from nothing


def following(last: np.ndarray, before: np.ndarray) -> np.ndarray:
    return (last + 2 * before) % ITEMS


def sessions(people: int, ids: bool = True, seed: int = 0) -> Impressions:
    """One of 3 to 10 steps for each; every item is always on offer. Without ids, features tell items apart."""
    rng = np.random.default_rng(seed)
    items = rng.integers(ITEMS, size=(people, 10))
    for step in range(2, 10):
        ruled = rng.random(people) >= SURPRISE
        items[:, step] = np.where(ruled, following(items[:, step - 1], items[:, step - 2]), items[:, step])
    users, steps = np.nonzero(np.arange(10) < rng.integers(3, 11, size=people)[:, None])
    log = Impressions.of_ratings(users, items[users, steps])
    others = (log.items + np.arange(1, ITEMS)) % ITEMS
    looks = np.eye(ITEMS, dtype=np.float32) if not ids else np.zeros((ITEMS, 0), np.float32)
    return replace(log, features=looks[log.items], offered=others.astype(np.int32), offered_features=looks[others])


def spec(people: int, ids: bool = True) -> WorldSpec:
    """What an agent knows of them."""
    if ids:
        return ratings_spec(np.ones((ITEMS, 1)), people, 1, SEEN)
    shapes = {"candidates": (ITEMS, ITEMS), "history": (SEEN, ITEMS + 1)}
    seen = spaces.Dict({name: spaces.Box(0, 1, shape, np.float32) for name, shape in shapes.items()})
    return WorldSpec(seen, ITEMS, 1, None, "clicked", (Field("clicked", low=0, high=1, seen=True),), 10)


def accuracy(agent: SequenceRecommender, ids: bool = True) -> float:
    """How often the item that follows is ranked first, in new sessions; chance is 1/5."""
    log = sessions(300, ids, seed=99)
    rows = np.flatnonzero(log.step >= 2)
    last = log.items[log.before(rows, 2)][..., 0]
    every = np.tile(np.arange(ITEMS), (len(rows), 1))
    looks = np.eye(ITEMS, dtype=np.float32)[every] if not ids else np.zeros((*every.shape, 0), np.float32)
    first = agent.score(log.context(rows, SEEN), every, looks).argmax(axis=1)
    return float((first == following(last[:, 1], last[:, 0])).mean())


def popular_accuracy() -> float:
    """The same of what comes most often."""
    log = sessions(300, seed=99)
    rows = np.flatnonzero(log.step >= 2)
    last = log.items[log.before(rows, 2)][..., 0]
    return float((np.bincount(log.items.ravel()).argmax() == following(last[:, 1], last[:, 0])).mean())
