"""What was on offer, what the agent showed of it, and what users clicked: counted while they are played."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsim_env.fields import Field
from recsim_env.scenario import Scenario

GROUPS = ("on offer", "shown", "clicked")
BINS = 240  # of a number's range; drawn joined
FEW_WHOLE = 30  # whole numbers of a smaller range are counted one by one


class Tally(Protocol):
    """Counts of items, a row a group: on offer, shown, clicked."""

    title: str
    counts: np.ndarray  # (3, values)

    def count(self, offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> None:
        """Add a slate of m users: the candidates (m, C), positions (m, S) and clicks (m, S)."""


def groups_of(offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Items (k,) of each group with their weights; what a mask forbids is not on offer."""
    shown = np.take_along_axis(offered, slates, axis=1).ravel()
    allowed = "allowed" in (offered.dtype.names or ())
    weights = (offered["allowed"] > 0).astype(float).ravel() if allowed else np.ones(offered.size)
    return [(offered.ravel(), weights), (shown, np.ones(shown.size)), (shown, clicked.ravel())]


class Values:
    """How often each whole number from `low` on: categories, ids, small counts."""

    def __init__(self, title: str, field: Field, low: int, values: int) -> None:
        self.title, self.field, self.low = title, field, low
        self.counts = np.zeros((len(GROUPS), values))

    def count(self, offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> None:
        """Add a slate of m users."""
        for row, (items, weights) in enumerate(groups_of(offered, slates, clicked)):
            found = items[self.field.name]
            weights = np.repeat(weights, found[0].size) if found.ndim > 1 else weights
            places = np.clip(found.ravel() - self.low, 0, self.counts.shape[1] - 1)
            self.counts[row] += np.bincount(places, weights, minlength=self.counts.shape[1])


class Histogram:
    """How often a number lies in each of `BINS` parts of its range."""

    def __init__(self, field: Field) -> None:
        self.title, self.field = field.name, field
        self.counts = np.zeros((len(GROUPS), BINS))

    def count(self, offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> None:
        """Add a slate of m users."""
        scale = BINS / ((self.field.high - self.field.low) or 1.0)
        for row, (items, weights) in enumerate(groups_of(offered, slates, clicked)):
            places = np.clip((items[self.field.name] - self.field.low) * scale, 0, BINS - 1).astype(np.int64)
            self.counts[row] += np.bincount(places, weights, minlength=BINS)


class Means:
    """The sums of a list of numbers; divided by `weights` they are means."""

    def __init__(self, field: Field) -> None:
        self.title, self.field = field.name, field
        self.counts, self.weights = np.zeros((len(GROUPS), field.shape)), np.zeros(len(GROUPS))

    def count(self, offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> None:
        """Add a slate of m users."""
        for row, (items, weights) in enumerate(groups_of(offered, slates, clicked)):
            self.counts[row] += weights @ items[self.field.name]
            self.weights[row] += weights.sum()


def tally_of(field: Field) -> Tally:
    """How a field of items is counted."""
    if field.categories:
        return Values(field.name, field, 0, field.categories)
    if field.name == "id" or (field.whole and not field.shape and field.high - field.low < FEW_WHOLE):
        return Values(field.name, field, int(field.low), int(field.high - field.low) + 1)
    return Means(field) if field.shape else Histogram(field)


def tallies_of(scenario: Scenario) -> list[Tally]:
    """A tally of each thing that agents see of items, and of their ids."""
    fields = [f for f in scenario.item_fields() if f.name == "id" or (f.seen and f.name != "allowed")]
    return [tally_of(f) for f in fields if np.isfinite(f.bounds).all()]
