"""One user of `filter_bubble`: how an item is chosen, and what seeing and consuming it change.

Plain functions that its verbs call; `self` is what verbs get, with the tables of `FilterBubble.tables`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from recsim_env.dynamics import dot, drift_toward, fade, mean_level, normalise, sate, trend
from recsim_env.scenario import Items, User

if TYPE_CHECKING:
    from scenarios.filter_bubble import FilterBubble


class Kind(IntEnum):
    """Kinds of users; rows of the tables `shares`, `drifts` and `boredoms`."""

    LOYAL = 0
    CURIOUS = 1


def is_offered(items: Items, position: int, item: int) -> bool:
    """Whether an item is on offer at an earlier position."""
    for earlier in range(position):  # noqa: SIM110 - any() allocates
        if items[earlier].id == item:
            return True
    return False


def logit(self: FilterBubble, user: User, item: int) -> float:
    """Of choosing the item: match with the interests (a cosine), and fashion."""
    fashion = trend(float(user.steps), float(self.phases[item]), self.trend_period, self.trend_size)
    return self.slope * dot(user.interests, self.features, item) + fashion


def move(self: FilterBubble, user: User, item: int, share: float) -> None:
    """Interests turn toward an item and keep length 1."""
    drift_toward(user.interests, self.features, item, share, 1.0)
    normalise(user.interests)


def consume(self: FilterBubble, user: User, item: int) -> None:
    """The more the item is like the recent diet, the more patience it costs."""
    user.patience -= self.boredoms[user.kind] * mean_level(user.diet, self.topics, item)
    fade(user.diet, self.forget)
    sate(user.diet, self.topics, item, self.forget)
    for topic in range(len(user.consumed)):
        user.consumed[topic] += self.topics[item, topic]
