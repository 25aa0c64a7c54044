"""Interests drift toward what is shown, and a narrow diet bores: a world of our own.

The question: does a recommender see that the next click narrows what a user wants, and that who gets one thing only
stays for less? Who maximises the next click loses here: the favourite topic is clicked most, drift makes it more of a
favourite, and since its clicks look ever better while boredom grows unseen, users leave early. Showing nothing that is
wanted loses too, since slates without a click cost patience. What lasts is to keep several interests alive.

All constants are choices of ours. Users come in two kinds: loyal ones, whose interests hardly move and who bear
repetition, and curious ones, whose interests move fast and who do not. Over a session new items are released (cold
start), each item has its fashion, and users tire. Each part is a parameter, and 0 switches it off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.choice import multinomial_logit
from recsim_env.dynamics import fatigue, normalise, released
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios.drifting_user import Kind, consume, is_offered, logit, move


@dataclass(frozen=True)
class FilterBubble(Scenario):
    """Users choose one item of a slate or none; they leave when patience is spent."""

    num_candidates: int = param(20, "items on offer at a step", low=1, high=100_000)
    slate_size: int = param(3, "items shown at a step", low=1, high=1000)
    num_items: int = param(200, "items of the catalogue", low=2, high=1_000_000)
    num_topics: int = param(8, "topics of items and of interests", low=2, high=1000)
    world_seed: int = param(0, "draws the catalogue", low=0)
    released_first: int = param(100, "items that are out when a session starts", low=1, high=1_000_000)
    release_every: int = param(2, "steps until another one is out; 0: all items are out from the start", low=0)
    breadth: float = param(0.15, "how much of an item lies outside its main topic; 0: nothing", low=0, high=1)
    leaning: float = param(0.7, "how far a new user's interests differ between topics; 0: not at all", low=0, high=5)
    curious: float = param(0.5, "share of curious users; the others are loyal", low=0, high=1)
    loyal_drift: float = param(0.02, "how far an item turns a loyal user's interests; 0: they stay", low=0, high=1)
    curious_drift: float = param(0.1, "how far it turns a curious user's", low=0, high=1)
    exposure: float = param(
        0.1, "drift toward an item only shown, as a share of that toward a chosen one", low=0, high=1
    )
    loyal_boredom: float = param(
        0.5, "patience that a loyal user's item costs when the diet was that alone", low=0, high=1e6
    )
    curious_boredom: float = param(1.5, "patience that it costs a curious user", low=0, high=1e6)
    forget: float = param(0.05, "share of the recent diet that the next item makes up", low=0.0001, high=1)
    patience: float = param(20.0, "a new user's patience; the session ends when it is spent", low=0.001, high=1e6)
    no_click_cost: float = param(0.5, "patience that a slate without a click costs", low=0.001, high=1e6)
    slope: float = param(6.0, "what a match of 1 adds to an item's logit; 0: interests do not count", low=0, high=1e6)
    no_click_logit: float = param(4.0, "the logit of choosing nothing", low=-1e6, high=1e6)
    trend_size: float = param(0.5, "how far fashion moves an item's logit; 0: there is none", low=0, high=1e6)
    trend_period: float = param(100.0, "steps from one height of a fashion to the next", low=1, high=1e6)
    tiring: float = param(
        0.002, "rate at which the willingness to choose falls with a step; 0: it stays", low=0, high=1000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        least = min(self.num_items, self.released_first) if self.release_every else self.num_items
        if self.num_candidates > least:
            rule = f"FilterBubble.num_candidates must be at most the items that are out at first ({least})"
            raise InvalidParameter(f"{rule}, not {self.num_candidates}; raise num_items and released_first")

    def user_fields(self) -> Sequence[Field]:
        topics = self.num_topics
        return [
            Field("diet", shape=topics, low=0, high=1, seen=True, about="recent consumption by topic, a moving mean"),
            Field("kind", categories=len(Kind)),
            Field("interests", shape=topics, low=0, high=1, about="of length 1"),
            Field("interests_at_first", shape=topics, low=0, high=1),
            Field("consumed", shape=topics, low=0, unit="items", about="in this session, by topic"),
            Field("patience", high=self.patience),
            Field("steps", low=0, integer=True, unit="steps"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("id", low=0, high=self.num_items - 1, integer=True, seen=True)]

    @cached_property
    def features_of_items(self) -> np.ndarray:
        """(num_items, K) of length 1 and not negative; main topics take turns, so that each has items at any time."""
        rng = np.random.default_rng([self.world_seed, 0])
        shares = self.breadth * rng.dirichlet(np.ones(self.num_topics), self.num_items)
        shares[np.arange(self.num_items), np.arange(self.num_items) % self.num_topics] += 1.0 - self.breadth
        return np.sqrt(shares)

    def catalogue(self) -> np.ndarray:
        """(num_items, K): the items' features."""
        return self.features_of_items

    def tables(self) -> Mapping[str, np.ndarray]:
        """What verbs read of N items, K topics and the kinds of users."""
        features = self.features_of_items
        return {
            "features": features,
            "topics": features**2,  # (N, K) sums to 1
            "phases": np.random.default_rng([self.world_seed, 1]).random(self.num_items),
            "shares": np.array([1.0 - self.curious, self.curious]),
            "drifts": np.array([self.loyal_drift, self.curious_drift]),
            "boredoms": np.array([self.loyal_boredom, self.curious_boredom]),
        }

    def arrive(self, user: User, rng: Rng) -> None:
        user.kind = rng.categorical(self.shares)
        for topic in range(self.num_topics):
            user.interests[topic] = rng.lognormal(0.0, self.leaning)
        normalise(user.interests)
        for topic in range(self.num_topics):
            user.interests_at_first[topic] = user.interests[topic]
        user.patience = self.patience

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        # The session's clock, which runs alike under every agent: so this is no reading of the user's state.
        count = released(self.num_items, self.released_first, user.steps, self.release_every)
        for position in range(len(items)):
            item = rng.integer(count)
            while is_offered(items, position, item):
                item = rng.integer(count)
            items[position].id = item

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        willing = rng.uniform() < fatigue(user.steps, self.tiring)
        for place in range(len(slate)):
            scratch[place] = logit(self, user, items[slate[place]].id)
        chosen = multinomial_logit(scratch, self.no_click_logit, rng)
        if willing and chosen >= 0:
            responses[chosen].clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.steps += 1
        clicks = 0.0
        for place in range(len(slate)):
            item, clicked = items[slate[place]].id, responses[place].clicked
            move(self, user, item, self.drifts[user.kind] * (1.0 if clicked == 1.0 else self.exposure))
            if clicked == 1.0:
                consume(self, user, item)
            clicks += clicked
        if clicks == 0.0:
            user.patience -= self.no_click_cost

    def left(self, user: User) -> bool:
        return bool(user.patience <= 0.0)

    def appeal(self, user: User, item: Item) -> float:
        return logit(self, user, item.id)

    def measures(self, users: np.ndarray) -> Mapping[str, np.ndarray]:
        """Diversity, distance and polarisation; the means over users are the population's.

        diversity: entropy of consumption by topic over its maximum: 0 is one topic only, 1 all alike (0 without any).
        distance: of the interests from where they started, from 0 to the square root of 2.
        polarisation: squared distance of the interests from the population's mean, minus the same at the start:
            above 0 where users have moved apart, below where they have become alike.
        """
        total = users["consumed"].sum(axis=1, keepdims=True)
        shares = np.divide(users["consumed"], total, out=np.zeros_like(users["consumed"]), where=total > 0)
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        now, before = users["interests"], users["interests_at_first"]
        return {
            "diversity": -(shares * logs).sum(axis=1) / np.log(self.num_topics),
            "distance": np.linalg.norm(now - before, axis=1),
            "polarisation": spread(now) - spread(before),
        }


def spread(interests: np.ndarray) -> np.ndarray:
    """(n,): the squared distance of each user's interests (n, K) from the mean."""
    return ((interests - interests.mean(axis=0)) ** 2).sum(axis=1)
