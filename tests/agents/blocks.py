"""Ratings with a known structure, and agents fitted to them: two kinds of people, who like two kinds of items."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.impressions import Impressions, ratings_spec
from recsim_env.agent import NoLog, agent_class
from recsim_env.parameters import build

PEOPLE, ITEMS, SHARE = 40, 30, 0.6


def block_matrix(seed: int = 0, people: int = PEOPLE) -> np.ndarray:
    """(people, ITEMS) 1 where liked: somebody of even number a share of the even items, the others of the odd ones."""
    rng = np.random.default_rng(seed)
    own = np.arange(people)[:, None] % 2 == np.arange(ITEMS) % 2
    return (own & (rng.random(own.shape) < SHARE)).astype(np.float32)


def fitted(name: str, liked: np.ndarray, **settings: Any) -> Any:
    """The agent, after a log that holds each number above 0 of liked (people, items) as a label."""
    kind = agent_class(name)
    config = build(kind.Config, {"validation": 0.0, **settings}, name)
    people, items = liked.shape
    catalogue = np.zeros((items, 1), np.float32)
    agent = kind(config, ratings_spec(catalogue, people + 1, 3, config.history))
    users, films = np.nonzero(liked)
    agent.fit(Impressions.of_ratings(users, films, liked[users, films]), NoLog())
    return agent


def scores(agent: Any, user: int, history: list[int] | None = None) -> np.ndarray:
    """(items,) for a user of this number, who in this session liked `history`."""
    ids = np.full((1, agent.index.steps, 1), -1.0, np.float32)
    if history:
        ids[0, -len(history) :, 0] = history
    items = np.arange(agent.index.size, dtype=np.float32)[None]
    return agent.scores({"user_id": np.array([[user]], np.float32), "candidate_ids": items, "history_ids": ids})[0]


def separated(agent: Any, liked: np.ndarray) -> float:
    """The share of people to whom all items of their kind that they have not liked yet score above all of the other."""
    right = []
    for user in range(len(liked)):
        own, values = np.arange(liked.shape[1]) % 2 == user % 2, scores(agent, user)
        right.append(values[own & (liked[user] == 0)].min() > values[~own].max())
    return float(np.mean(right))
