"""Policies that reference figures are of; each knows the world it is for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.myopic_oracle import MyopicOracle
from recsim_env.agent import Agent, top_slates
from recsim_env.env import Observation
from scenarios.interest_exploration import InterestExploration


class TopicQuality(Agent):
    """Ranks by the topic's mean quality."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        topics = observation["candidates"].argmax(2).astype(float)  # topics are in order of their mean quality
        return top_slates(topics, observation, self.spec.slate_size)


class TiesToTheHighest(MyopicOracle):
    """Ranks by `appeal` as the myopic oracle does, but of candidates of equal appeal the highest position first."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        appeal = observation["appeal"]
        return appeal.shape[1] - 1 - top_slates(appeal[:, ::-1], {}, self.spec.slate_size)


class LeastClickbait(Agent):
    """Shows the least clickbait."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(-observation["candidates"][:, :, 0], observation, self.spec.slate_size)


class QualityFirst(Agent):
    """Ranks by the item's quality, which is seen."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(observation["candidates"][:, :, -1], observation, self.spec.slate_size)


class Insider(Agent):
    """Knows the parameters of the interest_exploration that it recommends in; told by `enter`."""

    def enter(self, scenario: InterestExploration) -> None:
        """Read what affinities each type has to each topic, how common types are, and the logit of no click."""
        numbers = scenario.numbers
        self.affinity = np.exp(numbers["affinity"])  # (types, topics)
        self.shares = numbers["types"] / numbers["types"].sum()
        self.no_click = math.exp(scenario.no_click_logit)

    def weights(self, observation: Observation) -> np.ndarray:
        """(n, types): how likely each user is of each type."""
        return np.tile(self.shares, (len(observation["candidates"]), 1))

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """Rank by the click rate that an item would have alone, over the types that a user may be of."""
        odds = self.odds(observation["candidates"][:, :, :-1], observation["candidates"][:, :, -1])
        rates = odds / (odds + self.no_click)
        scores = np.einsum("nct,nt->nc", rates, self.weights(observation))
        return top_slates(scores, observation, self.spec.slate_size)

    def odds(self, topics: np.ndarray, quality: np.ndarray) -> np.ndarray:
        """(..., types): exp(score) of items with topics (..., K) one-hot and quality (...)."""
        return np.exp(topics @ self.affinity.T + quality[..., None])


class WithoutMemory(Insider):
    """Knows how common the types are and nothing of the user, and ranks items one by one."""


class KnowsType(Insider):
    """Knows the user's type."""

    observe = "full"

    def weights(self, observation: Observation) -> np.ndarray:
        return observation["hidden_user"][:, : len(self.shares)]


class BayesianVisitor(Insider):
    """Infers the type from the session's clicks, by Bayes."""

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"observe": cls.observe, "history": 60}

    def weights(self, observation: Observation) -> np.ndarray:
        users, slate = len(observation["candidates"]), self.spec.slate_size
        shown = observation["history"].reshape(users, -1, slate, observation["history"].shape[2] // slate)
        topics = len(self.affinity[0])
        clicked: np.ndarray = shown[..., topics + 1 : topics + 2]  # (n, steps, S, 1)
        odds = self.odds(shown[..., :topics], shown[..., topics])  # (n, steps, S, types)
        taken = np.where((clicked > 0).any(axis=2), (odds * clicked).sum(2), self.no_click)
        surprise = np.log(taken / (odds.sum(2) + self.no_click))
        happened = (shown[..., 0, :topics] > 0).any(axis=2, keepdims=True)  # steps before the session are zeros
        log_weights = np.log(self.shares) + (surprise * happened).sum(1)
        weights = np.exp(log_weights - log_weights.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)
