"""What to show in `boredom`: what is wanted most, of no topic so much that the clicks could bore.

Slates are filled place by place, the likeliest to be looked at first. Of each main topic the most wanted candidate is
weighed: its expected clicks, less the chance that it is the click too much times what boredom would cost. Where none is
worth it, what is wanted least fills the place. Clicks are independent, so that the number of a topic's clicks follows
exactly from what was placed. A ring of `window` clicks remembers: new clicks push out the oldest ones, so that slates
are filled anew when it is known about how many new ones there will be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsim_env.choice import examined, examined_from_both_ends
from recsim_env.records import items_in, users_in
from scenarios.bored_user import BoredomType, ClickModel

if TYPE_CHECKING:
    from scenarios.boredom import Boredom

ROUNDS = 3


def plan(self: Boredom, observation: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n, S) candidate positions."""
    users, offer = users_in(self, observation), offered(self, observation)
    price = boredom_price(self, users, offer)
    pushed_out = np.zeros(len(users))
    for _ in range(ROUNDS):
        filling = Filling(self, offer, self.threshold - remembered(self, users, pushed_out), price)
        for place in np.argsort(-looked_at(self), kind="stable"):
            filling.fill(place)
        pushed_out = np.floor(np.maximum(0.0, filling.mean - np.sqrt(filling.variance)))  # so many at least, likely
    return filling.slates


def looked_at(self: Boredom) -> np.ndarray:
    """(S,): how likely each place is looked at."""
    size, mixed = self.slate_size, self.click_model == ClickModel.MIX_PBM
    return np.array(
        [examined_from_both_ends(r, size, self.gamma) if mixed else examined(r, self.gamma) for r in range(size)]
    )


@dataclass(frozen=True)
class Offer:
    """The candidates of n users.

    Attributes:
        relevance: (n, C) how likely each is clicked where it is looked at.
        topic: (n, C) main topics.
        order: (n, C) the most wanted first.
        grouped: (n, C) topic by topic, in each the most wanted first.
        start, count: (n, K) where each topic begins there, and how many it has.
    """

    relevance: np.ndarray
    topic: np.ndarray
    order: np.ndarray
    grouped: np.ndarray
    start: np.ndarray
    count: np.ndarray


def offered(self: Boredom, observation: Mapping[str, np.ndarray]) -> Offer:
    """Read and sort what is on offer."""
    keenness = users_in(self, observation)["keenness"]
    logits = np.clip(observation["appeal"].astype(float), -500.0, 500.0)
    topic = self.compiled_self.main_topic[items_in(self, observation)["id"]].astype(np.int16)
    order = np.argsort(-observation["appeal"], axis=1, kind="stable")
    by_topic = np.argsort(np.take_along_axis(topic, order, axis=1), axis=1, kind="stable")
    rows = np.arange(len(topic))[:, None] * self.num_topics
    count = np.bincount((rows + topic).ravel(), minlength=rows.size * self.num_topics).reshape(-1, self.num_topics)
    return Offer(
        relevance=keenness[:, None] / (1.0 + np.exp(-logits)),
        topic=topic,
        order=order,
        grouped=np.take_along_axis(order, by_topic, axis=1),
        start=np.cumsum(count, axis=1) - count,
        count=count,
    )


def remembered(self: Boredom, users: np.ndarray, pushed_out: np.ndarray) -> np.ndarray:
    """(n, K): the clicks of before that still count after this step, if so many (n,) new ones push out old ones."""
    ages = np.arange(self.window)
    slots = (users["clicks"][:, None] - 1 - ages) % self.window  # the newest first
    topics, steps = (np.take_along_axis(users[name], slots, axis=1) for name in ("click_topics", "click_steps"))
    counts = (steps >= users["clock"][:, None] + 1 - self.memory) & (ages < self.window - pushed_out[:, None])
    here: np.ndarray = (counts[..., None] & (topics[..., None] == np.arange(self.num_topics))).sum(axis=1)
    return here


def boredom_price(self: Boredom, users: np.ndarray, offer: Offer) -> np.ndarray:
    """(n, K): the clicks that boredom with each topic would cost, by what could be got now."""
    if self.threshold > self.window:  # nothing bores
        return np.zeros(offer.count.shape)
    places = np.sort(looked_at(self))[::-1]
    best = offer.order[:, : self.slate_size]
    clicks = np.take_along_axis(offer.relevance, best, axis=1) * places
    steps = np.clip(self.session_steps - users["clock"], 0, self.timeout)[:, None]
    if self.boredom_type == BoredomType.LOSS_OF_INTEREST:
        topics = np.take_along_axis(offer.topic, best, axis=1)
        lost = (clicks[..., None] * (topics[..., None] == np.arange(self.num_topics))).sum(axis=1)
    else:
        idle = places.sum() / (1.0 + np.exp(min(500.0, self.slope * self.offset)))  # what bored people click
        lost = np.broadcast_to(np.maximum(0.0, clicks.sum(axis=1, keepdims=True) - idle), offer.count.shape)
    price: np.ndarray = steps * lost
    return price


class Filling:
    """Slates of n users that are being filled.

    Attributes:
        slates: (n, S).
        mean, variance: (n,) of the number of clicks on what was placed.
    """

    def __init__(self, world: Boredom, offer: Offer, room: np.ndarray, price: np.ndarray) -> None:
        self.world, self.offer, self.price = world, offer, price
        users, topics = room.shape
        self.slates = np.zeros((users, world.slate_size), np.int64)
        self.mean, self.variance = np.zeros(users), np.zeros(users)
        self._everybody, self._looked_at = np.arange(users), looked_at(world)
        self._room = room  # (n, K) the number of new clicks that bores; 0 and below: it bores whatever comes
        self._clicks = np.zeros((users, topics, world.slate_size + 1))  # distribution of new clicks on each topic
        self._clicks[:, :, 0] = 1.0
        self._used, self._shown = np.zeros((users, topics), np.int64), np.zeros((users, topics), np.int64)
        self._taken = np.zeros(offer.topic.shape, bool)
        self._last = np.full(users, offer.topic.shape[1] - 1)  # in `order`, from where the least wanted are taken

    def fill(self, place: int) -> None:
        """Choose everybody's candidate for this place."""
        best, worth = self._weigh(place)
        topic = worth.argmax(axis=1)
        good = worth[self._everybody, topic] > 0.0
        chosen = np.where(good, best[self._everybody, topic], self._least_wanted())
        self._used[self._everybody[good], topic[good]] += 1
        self._put(place, chosen)

    def _weigh(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, K): the most wanted candidate left of each topic, and what it is worth at this place."""
        offer, world = self.offer, self.world
        at = np.minimum(offer.start + self._used, offer.topic.shape[1] - 1)
        best = np.take_along_axis(offer.grouped, at, axis=1)
        likely = np.take_along_axis(offer.relevance, best, axis=1) * self._looked_at[place]
        one_short = np.clip(self._room - 1, 0, world.slate_size)[..., None]
        on_the_brink = np.take_along_axis(self._clicks, one_short, axis=2)[..., 0]
        on_the_brink = np.where((self._room >= 1) & (self._room <= world.slate_size), on_the_brink, 0.0)
        free = (self._used < offer.count) & ~np.take_along_axis(self._taken, best, axis=1)
        if world.diversity_penalty > 1.0:
            free &= self._shown < world.same_topic - 1
        return best, np.where(free, likely * (1.0 - self.price * on_the_brink), -np.inf)

    def _least_wanted(self) -> np.ndarray:
        """(n,): the least wanted candidate that is not in the slate."""
        while True:
            last = self.offer.order[self._everybody, self._last]
            taken = self._taken[self._everybody, last]
            if not taken.any():
                return last
            self._last -= taken

    def _put(self, place: int, chosen: np.ndarray) -> None:
        """Write it down, with what it may bring."""
        self.slates[:, place], self._taken[self._everybody, chosen] = chosen, True
        topic = self.offer.topic[self._everybody, chosen]
        likely = self.offer.relevance[self._everybody, chosen] * self._looked_at[place]
        self._shown[self._everybody, topic] += 1
        self.mean += likely
        self.variance += likely * (1.0 - likely)
        before = self._clicks[self._everybody, topic]
        after = before * (1.0 - likely[:, None])
        after[:, 1:] += before[:, :-1] * likely[:, None]
        self._clicks[self._everybody, topic] = after
