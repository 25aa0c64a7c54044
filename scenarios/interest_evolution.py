"""Watching shifts taste; good videos buy time (RecSim, Ie et al. 2019; SlateQ, Ie et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsim_env.choice import Choice, exponential_cascade, multinomial_logit, proportional
from recsim_env.dynamics import spend
from recsim_env.errors import InvalidParameter
from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios import evolution_planner


def choose(self: InterestEvolution, scores: Scratch, rng: Rng) -> int:
    """The clicked place, or -1, by the world's choice model."""
    if self.choice == Choice.PROPORTIONAL:
        return proportional(scores, 1.0, self.no_click_weight, rng)
    if self.choice == Choice.CASCADE:
        return exponential_cascade(scores, self.attention, self.score_scaling, rng)
    return multinomial_logit(scores, self.no_click_logit, rng)


def shift(self: InterestEvolution, interest: float, rng: Rng) -> float:
    """An interest after a video of its topic: it moves toward where it leans, least at the extremes."""
    move = self.drift * (1.0 - abs(interest)) * (1.0 - interest)
    if rng.uniform() >= (interest + 1.0) / 2.0:
        move = -move
    return min(1.0, max(-1.0, interest + move))


@dataclass(frozen=True)
class InterestEvolution(Scenario):
    """Videos of topics whose quality differs; who is shown what they like best leaves early."""

    slate_size: int = param(3, "items shown at a step", low=1, high=1000)
    num_topics: int = param(20, "topics of videos and of interests", low=2, high=10_000)
    minutes: float = param(200.0, "a new user's time budget", low=0, high=1e6)
    video_minutes: float = param(4.0, "the length of a video", low=0.01, high=1e6)
    choice: Choice = param(Choice.MULTINOMIAL_LOGIT, "how a user chooses from the slate")
    no_click_logit: float = param(1.0, "multinomial_logit: the logit of choosing nothing", low=-1e6, high=1e6)
    no_click_weight: float = param(2.0, "proportional: the weight of choosing nothing", low=0, high=1e6)
    attention: float = param(0.65, "cascade: how likely a place is looked at", low=0, high=1)
    score_scaling: float = param(0.05, "cascade: what exp(score) is multiplied with", low=0, high=1e6)
    drift: float = param(0.3, "how far a video moves the interest in its topic", low=0, high=1)
    refill: float = param(0.9 / 3.4, "minutes of budget a watched minute of quality 1 brings back", low=0, high=1e6)
    no_click_minutes: float = param(0.5, "budget that a slate without a click costs", low=0, high=1e6)
    worst_quality: float = param(-3.0, "mean quality of the worst topic", low=-10, high=10)
    best_quality: float = param(3.0, "mean quality of the best topic", low=-10, high=10)
    quality_sd: float = param(0.1, "spread of quality within a topic", low=0, high=10)

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("interests", shape=self.num_topics, low=-1, high=1, seen=True),
            Field("budget", unit="minutes", about="the session ends when it is spent"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("topic", categories=self.num_topics, seen=True)]

    def response_fields(self) -> Sequence[Field]:
        low, high = self.worst_quality - 10 * self.quality_sd, self.best_quality + 10 * self.quality_sd
        return [
            Field("clicked", low=0, high=1, seen=True),
            Field("minutes", low=0, high=self.video_minutes, unit="minutes", seen=True),
            Field("quality", low=min(low, 0), high=max(high, 0), seen=True, about="also of what was not clicked"),
            Field("topic", categories=self.num_topics, seen=True),
        ]

    def tables(self) -> Mapping[str, np.ndarray]:
        """The mean quality of each topic: 70 % of them spread below 0, the others above."""
        bad = round(0.7 * self.num_topics)
        good = self.num_topics - bad
        return {"quality": np.r_[np.linspace(self.worst_quality, 0, bad), np.linspace(0, self.best_quality, good)]}

    def arrive(self, user: User, rng: Rng) -> None:
        for topic in range(self.num_topics):
            user.interests[topic] = 2.0 * rng.uniform() - 1.0
        user.budget = self.minutes

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].topic = rng.integer(self.num_topics)

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            scratch[place] = user.interests[items[slate[place]].topic]
        chosen = choose(self, scratch, rng)
        if chosen >= 0:
            responses[chosen].clicked = 1.0
            responses[chosen].minutes = min(user.budget, self.video_minutes)
        for place in range(len(slate)):  # quality is drawn when it is seen, and stays with its candidate
            topic = items[slate[place]].topic
            responses[place].topic = topic
            responses[place].quality = rng.at(slate[place]).normal(self.quality[topic], self.quality_sd)

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        for place in range(len(slate)):
            if responses[place].clicked == 1.0:
                topic, minutes = responses[place].topic, responses[place].minutes
                user.interests[topic] = shift(self, user.interests[topic], rng)
                user.budget = spend(user.budget, minutes, self.refill * responses[place].quality)
                return
        user.budget -= self.no_click_minutes

    def reward(self, user: User, responses: Responses) -> float:
        watched = 0.0
        for place in range(len(responses)):
            watched += responses[place].minutes
        return watched

    def left(self, user: User) -> bool:
        return user.budget <= 0.0

    def appeal(self, user: User, item: Item) -> float:
        return user.interests[item.topic]

    def plan(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        return evolution_planner.plan(self, observation)

    def choice_logits(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Of the multinomial logit and the proportional model; a cascade has none.

        Raises:
            InvalidParameter: the choice model is the cascade.
        """
        scores = np.einsum("nt,nct->nc", observation["user"], observation["candidates"])  # a candidate shows its topic
        if self.choice == Choice.MULTINOMIAL_LOGIT:
            return scores - self.no_click_logit
        if self.choice == Choice.PROPORTIONAL:
            return np.log(np.maximum((scores + 1.0) / max(self.no_click_weight, 1e-9), 1e-9))
        raise InvalidParameter("InterestEvolution.choice: a cascade is no logit of the slate; let the agent learn it")
