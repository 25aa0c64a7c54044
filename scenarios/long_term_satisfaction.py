"""Clickbait pleases now and spoils the memory of the service: choc and kale (RecSim, Ie et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.records import items_in, users_in
from recsim_env.scenario import Item, Items, Responses, Rng, Scenario, Scratch, Slate, User
from scenarios import satisfaction_planner


def satisfaction(self: LongTermSatisfaction, user: User) -> float:
    """From 0 to 1, by the net positive exposure so far."""
    return 1.0 / (1.0 + math.exp(-self.sensitivity * user.exposure))


def mean_log_engagement(self: LongTermSatisfaction, user: User, clickbait: float) -> float:
    return (self.choc_mean * clickbait + self.kale_mean * (1.0 - clickbait)) * satisfaction(self, user)


@dataclass(frozen=True)
class LongTermSatisfaction(Scenario):
    """The user always consumes the first place of the slate; sessions have a fixed length."""

    num_candidates: int = param(20, "items on offer at a step", low=1, high=100_000)
    slate_size: int = param(2, "items shown at a step", low=1, high=1000)
    session_steps: int = param(60, "steps of a session", low=1, high=5000)
    memory: float = param(0.7, "how much of the exposure a step keeps", low=0, high=0.999)
    sensitivity: float = param(0.01, "how strongly exposure moves satisfaction", low=0, high=1000)
    choc_mean: float = param(5.0, "mean log engagement of pure clickbait at full satisfaction", low=-20, high=20)
    kale_mean: float = param(4.0, "mean log engagement of none at full satisfaction", low=-20, high=20)
    engagement_sd: float = param(1.0, "spread of log engagement", low=0, high=10)
    innovation_sd: float = param(0.05, "noise of the exposure", low=0, high=1000)

    label = "engagement"

    def user_fields(self) -> Sequence[Field]:
        return [
            Field("exposure", about="net positive exposure; satisfaction is its logistic"),
            Field("steps", integer=True, low=0, high=self.session_steps, unit="steps", about="shown in this session"),
        ]

    def item_fields(self) -> Sequence[Field]:
        return [Field("clickbait", low=0, high=1, seen=True)]

    def response_fields(self) -> Sequence[Field]:
        return [
            Field("clicked", low=0, high=1, seen=True),
            Field("engagement", low=0, high=100, seen=True, about="observed up to 100; the reward is all of it"),
        ]

    def arrive(self, user: User, rng: Rng) -> None:
        user.exposure = (rng.uniform() - 0.5) / (1.0 - self.memory)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].clickbait = rng.uniform()

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        mean = mean_log_engagement(self, user, items[slate[0]].clickbait)
        responses[0].clicked = 1.0
        responses[0].engagement = rng.lognormal(mean, self.engagement_sd)

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        noise = rng.normal(0.0, self.innovation_sd)
        user.exposure = self.memory * user.exposure - 2.0 * (items[slate[0]].clickbait - 0.5) + noise
        user.steps += 1

    def reward(self, user: User, responses: Responses) -> float:
        return responses[0].engagement

    def left(self, user: User) -> bool:
        return user.steps >= self.session_steps

    def appeal(self, user: User, item: Item) -> float:
        return mean_log_engagement(self, user, item.clickbait)

    @cached_property
    def future(self) -> satisfaction_planner.Values:
        """What is still to come, by exposure and the steps left."""
        return satisfaction_planner.solve(self)

    def plan(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        users, items = users_in(self, observation), items_in(self, observation)
        worth = np.zeros(items.shape)
        left = np.maximum(1, self.session_steps - users["steps"])
        for steps in np.unique(left):
            those = left == steps
            exposure = users["exposure"][those, None]
            worth[those] = satisfaction_planner.worth(self, self.future, steps, exposure, items["clickbait"][those])
        slates: np.ndarray = np.argsort(-worth, axis=1, kind="stable")[:, : self.slate_size]
        return slates
