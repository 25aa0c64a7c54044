"""One user who tires of topics: who comes, what gets clicked, and what clicks change.

Plain functions that the verbs of `Boredom` call; `self` is what verbs get, with the tables of `Boredom.tables`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from recsim_env.choice import examined, examined_from_both_ends
from recsim_env.dynamics import count_recent, dot, normalise
from recsim_env.scenario import Items, Responses, Rng, Scratch, Slate, User

if TYPE_CHECKING:
    from scenarios.boredom import Boredom

FEWEST_TOPICS, MOST_TOPICS = 3, 5  # that a user likes


class ClickModel(IntEnum):
    """Which places of a slate are looked at: from the top, or by half the users from the bottom."""

    TD_PBM = 0
    MIX_PBM = 1


class BoredomType(IntEnum):
    """What boredom with a topic takes away: all interest, or only the interest in that topic."""

    CHURN_AND_RETURN = 0
    LOSS_OF_INTEREST = 1


class Influence(IntEnum):
    """How clicks move a taste: as the released program does, or as its paper says."""

    AS_RELEASED = 0
    AS_DESCRIBED = 1


# -- who comes, and what gets clicked ----------------------------------------------------------------------


def draw_taste(self: Boredom, user: User, rng: Rng) -> None:
    """Like some of the topics, each as strongly as a uniform draw says; the taste has length 1."""
    wanted = FEWEST_TOPICS + rng.categorical(self.liked_shares)
    for topic in range(self.num_topics):
        if rng.uniform() * (self.num_topics - topic) < wanted:  # all sets of so many topics are equally likely
            user.taste[topic] = rng.uniform()
            wanted -= 1
    normalise(user.taste)


def logit(self: Boredom, user: User, item: int) -> float:
    """Of the relevance, for somebody who is not bored."""
    return self.slope * (dot(user.mood, self.scaled, item) - self.offset)


def relevance(self: Boredom, user: User, item: int) -> float:
    """How likely the user clicks an item that they look at."""
    x = logit(self, user, item)
    if x >= 0.0:
        return user.keenness / (1.0 + math.exp(-x))
    odds = math.exp(x)  # exp of what is negative never overflows
    return user.keenness * odds / (1.0 + odds)


def monotony(self: Boredom, items: Items, slate: Slate, scratch: Scratch) -> float:
    """What relevance is divided by: the diversity penalty where a main topic stands too often in the slate."""
    for topic in range(self.num_topics):
        scratch[topic] = 0.0
    for place in range(len(slate)):
        topic = self.main_topic[items[slate[place]].id]
        scratch[topic] += 1.0
        if scratch[topic] >= self.same_topic:
            return self.diversity_penalty
    return 1.0


def is_clicked(self: Boredom, user: User, item: int, divisor: float, place: int, places: int, rng: Rng) -> bool:
    """Whether an item is clicked: its place looked at, by the click model, and relevant (less by `divisor`)."""
    if self.click_model == ClickModel.MIX_PBM:
        looked_at = examined_from_both_ends(place, places, self.gamma)
    else:
        looked_at = examined(place, self.gamma)
    luck = rng.uniform()
    if luck >= looked_at:  # not clicked however relevant, which takes longer to find out
        return False
    return luck < relevance(self, user, item) / divisor * looked_at


# -- what clicks change --------------------------------------------------------------------------------------


def remember(self: Boredom, user: User, items: Items, slate: Slate, responses: Responses) -> None:
    """Write the topics of the clicks into the ring, over the oldest ones."""
    for place in range(len(slate)):
        if responses[place].clicked == 1.0:
            slot = user.clicks % self.window
            user.click_topics[slot] = self.main_topic[items[slate[place]].id]
            user.click_steps[slot] = user.clock
            user.clicks += 1


def tire(self: Boredom, user: User) -> None:
    """Boredom passes with the steps, and begins with topics that were clicked too often of late."""
    count_recent(user.hist, user.click_topics, user.click_steps, user.clock - self.memory)
    for topic in range(self.num_topics):
        count = user.hist[topic]
        user.hist[topic] = min(1.0, count / self.threshold)
        if user.bored[topic] > 0:
            user.bored[topic] -= 1
        if user.bored[topic] == 0 and count >= self.threshold:
            user.bored[topic] = self.timeout


def mean_clicked(self: Boredom, items: Items, slate: Slate, responses: Responses, topic: int) -> float:
    """The mean weight of a topic over the clicked items; there is at least one."""
    total, clicks = 0.0, 0.0
    for place in range(len(slate)):
        if responses[place].clicked == 1.0:
            total += self.vectors[items[slate[place]].id, topic]
            clicks += 1.0
    return total / clicks


def follow_clicks(self: Boredom, user: User, items: Items, slate: Slate, responses: Responses) -> None:
    """Move the taste toward the clicked items, of which there is at least one; its length stays 1."""
    everywhere = 0.0
    if self.influence == Influence.AS_RELEASED:  # one mean over all numbers of all clicked items
        for topic in range(self.num_topics):
            everywhere += mean_clicked(self, items, slate, responses, topic) / self.num_topics
    for topic in range(self.num_topics):
        pull = everywhere
        if self.influence == Influence.AS_DESCRIBED:
            pull = mean_clicked(self, items, slate, responses, topic)
        user.taste[topic] = self.omega * user.taste[topic] + (1.0 - self.omega) * pull
    normalise(user.taste)


def feel(self: Boredom, user: User) -> None:
    """Set the mood of the next step: the taste, less what boredom takes from it."""
    user.keenness, tired = 1.0, False
    for topic in range(self.num_topics):
        if user.bored[topic] > 0:
            user.keenness *= self.bored_share
            tired = True
    for topic in range(self.num_topics):
        if self.boredom_type == BoredomType.LOSS_OF_INTEREST:
            tired = user.bored[topic] > 0
        user.mood[topic] = 0.0 if tired else user.taste[topic]
