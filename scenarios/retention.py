"""Covers that promise too much get clicks and lose the next visit (after KuaiSim, Zhao et al. 2023).

What is published: slates of 6, a temper of 10 that a slate changes by clip(mean weighted response - 2, -2, 0), the
visit's end below 1, and a return that comes sooner the better the visit was. All other constants are choices of ours:

- Each place is looked at with `examined`**place and clicked with a logistic chance of the user's interest in the topic
  and of the cover. A cover that promises more than the video holds (`clickbait`) is clicked more and watched less.
- Of KuaiSim's seven responses we keep four that say different things: clicked, long_view, like and hate. They weigh
  1, 1, 1 and -1, so that a slate of nothing but clicks costs 1 of temper, and one without a response 2.
- Satisfaction with a visit is the mean weighted response over `content`, from 0 to 1. At `content` 1 (half of what
  keeps temper up) visits differ by who recommends; at 2 nearly all of them would count as poor.
- The mean gap falls geometrically from 10 days after a visit without any response to 1 day after the best: from a user
  about to be lost to a daily one. Visits themselves take no time.
- Bait counts more than taste in a click and less than it costs in the watching (`lure`, `letdown`), so that the two
  part; with `letdown` 0 covers keep what they promise, and nothing is lost by going for clicks.
- A period is 30 days: about 10 visits of a user who gets what is clicked most, 17 of one who gets what pleases.

The question: does a recommender see that a click now can cost the visits of the next weeks? Who shows what is clicked
most loses here: temper falls faster, and users stay away longer, so that the period holds fewer visits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsim_env.choice import position_based
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios.visitor import PATIENT, SPENT, WANTED, close_visit, held, open_visit, relevance, start_life, weighted

YEAR = 365.0  # gaps and days are observed up to it


@dataclass(frozen=True)
class Retention(Scenario):
    """A session is a period of days with many visits, or with `period_days` 0 one visit of a person who comes back."""

    num_candidates: int = param(20, "items on offer at a step", low=1, high=100_000)
    slate_size: int = param(6, "items shown at a step", low=1, high=1000)
    num_topics: int = param(10, "topics of videos and of interests", low=1, high=10_000)
    period_days: float = param(30.0, "days that a session spans; 0: a session is one visit", low=0, high=YEAR)
    profile_sd: float = param(0.5, "noise of the interests that a user tells", low=0, high=10)
    examined: float = param(0.9, "how likely a place is looked at, where the one above was", low=0, high=1)
    click_bias: float = param(0.0, "logit of a click at interest 0 and a fair cover", low=-1e6, high=1e6)
    click_taste: float = param(0.5, "what interest adds to the logit of a click", low=-1e6, high=1e6)
    lure: float = param(4.0, "what clickbait adds to it, from none to all", low=0, high=1e6)
    view_bias: float = param(0.5, "logit of a long view at interest 0 and a fair cover", low=-1e6, high=1e6)
    view_taste: float = param(1.5, "what interest adds to the logit of a long view", low=-1e6, high=1e6)
    letdown: float = param(8.0, "what clickbait takes from it, from none to all", low=0, high=1e6)
    like: float = param(0.4, "how likely a long view is liked", low=0, high=1)
    hate: float = param(0.5, "how likely a video clicked and not viewed for long is hated", low=0, high=1)
    click_weight: float = param(1.0, "weight of a click in the response", low=-1e6, high=1e6)
    view_weight: float = param(1.0, "weight of a long view", low=-1e6, high=1e6)
    like_weight: float = param(1.0, "weight of a like", low=-1e6, high=1e6)
    hate_weight: float = param(-1.0, "weight of a hate", low=-1e6, high=1e6)
    content: float = param(1.0, "mean weighted response of a visit that satisfies in full", low=0.01, high=1e6)
    shortest_gap: float = param(1.0, "mean days away after a visit that satisfied in full", low=0.01, high=YEAR)
    longest_gap: float = param(10.0, "mean days away after a visit that did not satisfy", low=0.01, high=YEAR)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest_gap > self.longest_gap:
            rule = f"Retention.shortest_gap must be at most longest_gap ({self.longest_gap:g})"
            raise InvalidParameter(f"{rule}, not {self.shortest_gap:g}")

    @property
    def keeps_user(self) -> bool:
        return self.period_days == 0.0

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("profile", shape=self.num_topics, low=-1, high=1, seen=True, about="interests as told, with noise"),
            Field("gap", low=0, high=YEAR, unit="days", seen=True, about="between the last visit and this one"),
            Field("day", low=0, high=self.period_days or YEAR, unit="days", seen=True, about="since the first visit"),
            Field("interests", shape=self.num_topics, low=-1, high=1),
            Field("temper", high=PATIENT, about="a visit ends below 1"),
            Field("slates", low=0, integer=True, about="shown in this visit"),
            Field("pleasure", about="sum of the weighted responses of this visit's slates"),
            Field("visits", low=0, integer=True, about="that ended"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [
            Field("topic", categories=self.num_topics, seen=True),
            Field("clickbait", low=0, high=1, seen=True, about="how much more the cover promises than the video holds"),
        ]

    def response_fields(self) -> Sequence[Field]:
        names = ("clicked", "long_view", "like", "hate")
        return [Field(name, low=0, high=1, seen=True) for name in names]

    def arrive(self, user: User, rng: Rng) -> None:
        start_life(self, user, rng)

    def come_back(self, user: User, rng: Rng) -> None:
        if self.period_days > 0.0:
            start_life(self, user, rng)
        else:
            open_visit(user)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].topic = rng.integer(self.num_topics)
            items[position].clickbait = rng.uniform()

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            item, answer = items[slate[place]], responses[place]
            if position_based(relevance(self, user, item), place, self.examined, rng):
                answer.clicked = 1.0
                luck = rng.uniform()
                if rng.uniform() < held(self, user, item):
                    answer.long_view = 1.0
                    answer.like = 1.0 if luck < self.like else 0.0
                else:
                    answer.hate = 1.0 if luck < self.hate else 0.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        pleasure = weighted(self, responses)
        user.temper += min(0.0, max(-WANTED, pleasure - WANTED))
        user.pleasure += pleasure
        user.slates += 1
        if user.temper < SPENT:
            close_visit(self, user, rng)

    def left(self, user: User) -> bool:
        return bool(user.temper < SPENT)  # a visit ended, and none began after it within the period

    def appeal(self, user: User, item: Item) -> float:
        return relevance(self, user, item)

    def measures(self, users: np.ndarray) -> Mapping[str, np.ndarray]:
        """Visits that ended, and the mean days until the user returned (nan where none ended)."""
        visits = users["visits"]
        gap = np.divide(users["day"], visits, out=np.full(len(users), np.nan), where=visits > 0)
        return {"visits": visits.astype(float), "return_gap": gap}
