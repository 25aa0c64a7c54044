"""One visitor of `retention`: what is clicked and watched, when a visit ends, and when the next one begins.

Plain functions that its verbs call; `self` is what verbs get.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from recsim_env.dynamics import days_away
from recsim_env.scenario import Item, Responses, Rng, User

if TYPE_CHECKING:
    from scenarios.retention import Retention

PATIENT = 10.0  # temper at the start of a visit
SPENT = 1.0  # below it the visit ends
WANTED = 2.0  # the mean weighted response that keeps temper where it is


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def relevance(self: Retention, user: User, item: Item) -> float:
    """How likely a click is where the place is looked at."""
    cover = self.lure * (item.clickbait - 0.5)
    return logistic(self.click_bias + self.click_taste * user.interests[item.topic] + cover)


def held(self: Retention, user: User, item: Item) -> float:
    """How likely a clicked video is watched for long."""
    cover = self.letdown * (item.clickbait - 0.5)
    return logistic(self.view_bias + self.view_taste * user.interests[item.topic] - cover)


def start_life(self: Retention, user: User, rng: Rng) -> None:
    """Somebody new on day 0, at the start of the first visit."""
    for topic in range(self.num_topics):
        user.interests[topic] = 2.0 * rng.uniform() - 1.0
        told = user.interests[topic] + rng.normal(0.0, self.profile_sd)
        user.profile[topic] = min(1.0, max(-1.0, told))
    user.day, user.gap, user.visits = 0.0, 0.0, 0
    open_visit(user)


def open_visit(user: User) -> None:
    user.temper = PATIENT
    user.slates, user.pleasure = 0, 0.0


def close_visit(self: Retention, user: User, rng: Rng) -> None:
    """Draw when the user returns; within a period the next visit begins then."""
    satisfaction = min(1.0, max(0.0, user.pleasure / (user.slates * self.content)))
    user.gap = days_away(satisfaction, self.shortest_gap, self.longest_gap, rng)
    user.day += user.gap
    user.visits += 1
    if user.day < self.period_days:
        open_visit(user)


def weighted(self: Retention, responses: Responses) -> float:
    """The mean weighted response over the slate."""
    total = 0.0
    for place in range(len(responses)):
        answer = responses[place]
        total += self.click_weight * answer.clicked + self.view_weight * answer.long_view
        total += self.like_weight * answer.like + self.hate_weight * answer.hate
    return total / len(responses)
