"""People of `blocks` whom an agent does not know: of half of what they like it is told, the rest it must rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.impressions import Context
from agents.items import History
from tests.agents.blocks import block_matrix


def halves(people: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """(people, ITEMS) bool twice: who likes what, and which half of it is given."""
    liked = block_matrix(seed=99, people=people) > 0
    order = np.where(liked, np.random.default_rng(98).random(liked.shape), 1.0).argsort(axis=1).argsort(axis=1)
    return liked, liked & (order < liked.sum(axis=1, keepdims=True) // 2)


def history_of(given: np.ndarray) -> History:
    """What is given (n, items), as a history; the newest last."""
    people, items = given.shape
    order = np.argsort(given, axis=1, kind="stable")
    numbers = np.where(np.take_along_axis(given, order, axis=1), order, -1)[..., None]
    shown = (numbers >= 0).astype(np.float32)
    return History(numbers, np.zeros((people, items, 1, 0), np.float32), shown, shown)


def scores_given(agent: Any, given: np.ndarray) -> np.ndarray:
    """(n, items) of people of whom this (n, items) is known."""
    people, items = given.shape
    context = Context(np.zeros((people, 0), np.float32), np.full(people, -1), history_of(given))
    values: np.ndarray = agent.score(
        context, np.tile(np.arange(items), (people, 1)), np.zeros((people, items, 0), np.float32)
    )
    return values


def own_first(agent: Any) -> float:
    """The share of people to whom all items of their kind that were not given score above all of the other."""
    _, given = halves()
    values, own = scores_given(agent, given), np.arange(len(given))[:, None] % 2 == np.arange(given.shape[1]) % 2
    lowest = np.where(own & ~given, values, np.inf).min(axis=1)
    return float((lowest > np.where(own, -np.inf, values).max(axis=1)).mean())


def given_again(agent: Any, top: int = 5) -> float:
    """The share of the `top` highest scores that items have which were given."""
    _, given = halves()
    best = np.argsort(-scores_given(agent, given), axis=1)[:, :top]
    return float(np.take_along_axis(given, best, axis=1).mean())
