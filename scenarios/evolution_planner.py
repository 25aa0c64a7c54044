"""What to show in `interest_evolution`: the slate of the best balance of minutes watched and budget spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from recsim_env.choice import Choice
from recsim_env.records import items_in, users_in

if TYPE_CHECKING:
    from scenarios.interest_evolution import InterestEvolution

PRICE = 1.4  # minutes of engagement that a minute of budget brings in the end: about 280 of 200
ROUNDS = 50  # Dinkelbach's method needs about five
IMPOSSIBLE = -1e200  # what a slate of more places than there are candidates so far is worth
SURE = 1.0 - 1e-9  # the highest chance, so that what is impossible stays so below a sure choice


def plan(self: InterestEvolution, observation: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n, S): the slates that maximise the expected reward less `PRICE` times the expected budget spent."""
    users, items = users_in(self, observation), items_in(self, observation)
    scores = np.take_along_axis(users["interests"], items["topic"], axis=1)
    nothing, worth = worths(self, users["budget"], self.compiled_self.quality[items["topic"]])
    if self.choice == Choice.CASCADE:
        likely = np.minimum(SURE, self.attention * self.score_scaling * np.exp(scores))
        return best_cascade(likely, worth, nothing, self.slate_size)
    if self.choice == Choice.PROPORTIONAL:
        return best_ratio(np.maximum(0.0, scores + 1.0), worth, self.no_click_weight, nothing, self.slate_size)
    weights = np.exp(scores - self.no_click_logit)
    return best_ratio(weights, worth, 1.0, nothing, self.slate_size)


def worths(self: InterestEvolution, budget: np.ndarray, quality: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) what no click is worth and (n, C) a click on each candidate of a quality (n, C), with a budget (n,)."""
    watched = np.minimum(budget, self.video_minutes)[:, None]
    spent = watched * (1.0 - self.refill * quality)
    return np.full(len(budget), -PRICE * self.no_click_minutes), watched - PRICE * spent


def best_ratio(weights: np.ndarray, worth: np.ndarray, idle: float, nothing: np.ndarray, size: int) -> np.ndarray:
    """(n, size): the slates of the highest expected worth where choices are proportional to weights.

    Exact, by Dinkelbach's method (1967): the ratio (sum w v + w0 v0) / (sum w + w0) is above r where
    sum w (v - r) + w0 (v0 - r) is above 0, and for a given r the best slate is the top of w (v - r).

    Args:
        weights: (n, C) of the candidates.
        worth: (n, C) of a choice.
        idle: the weight of choosing nothing, above 0 or all weights are.
        nothing: (n,) what that is worth.
        size: places of a slate.
    """
    ratio = nothing
    for _ in range(ROUNDS):
        slates = np.argsort(-weights * (worth - ratio[:, None]), axis=1, kind="stable")[:, :size]
        chosen = np.take_along_axis(weights, slates, axis=1)
        total = chosen.sum(axis=1) + idle
        found = (chosen * np.take_along_axis(worth, slates, axis=1)).sum(axis=1) + idle * nothing
        better = np.divide(found, total, out=nothing.copy(), where=total > 0)
        if (better <= ratio).all():
            break
        ratio = np.maximum(ratio, better)
    return slates


def best_cascade(likely: np.ndarray, worth: np.ndarray, nothing: np.ndarray, size: int) -> np.ndarray:
    """(n, size): the slates of the highest expected worth where the first of those that please is chosen.

    Exact: in the best order worths fall, so that candidates are put on top of each other in rising order of worth,
    and for each number of places the best slate so far is kept.

    Args:
        likely: (n, C) chance that a candidate is chosen where it is looked at, below 1.
        worth: (n, C) of a choice.
        nothing: (n,) what no choice is worth.
        size: places of a slate.
    """
    users, count = likely.shape
    order = np.argsort(worth, axis=1, kind="stable")
    value = np.full((users, size + 1), IMPOSSIBLE)
    value[:, 0] = nothing
    on_top = np.zeros((count, users, size), bool)
    for k in range(count):
        p, v = (np.take_along_axis(of, order[:, k : k + 1], axis=1) for of in (likely, worth))
        with_it = p * v + (1.0 - p) * value[:, :-1]
        on_top[k] = with_it > value[:, 1:]
        value[:, 1:] = np.maximum(value[:, 1:], with_it)
    return read_off(on_top, order, size)


def read_off(on_top: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """(n, size) slates from which candidate of `order` (n, C) was put `on_top` (C, n, size) of how many others."""
    users, everybody = len(order), np.arange(len(order))
    slates, places = np.zeros((users, size), np.int64), np.zeros(users, np.int64)
    for k in reversed(range(order.shape[1])):
        left = size - places
        taken = (left > 0) & on_top[k, everybody, np.maximum(left - 1, 0)]
        slates[taken, places[taken]] = order[taken, k]
        places += taken
    return slates
