"""Estimates of a policy's return from another one's sessions, each with its 95 % interval.

Arrays are (N, H): N sessions of H steps at most; behind a session's end rewards and values are 0, ratios 1. A ratio is
how much likelier the target shows a step's slate than the behaviour policy does.

Precup et al. (2000), Eligibility traces for off-policy policy evaluation; Jiang and Li (2016), Doubly robust off-policy
value evaluation for reinforcement learning; Swaminathan and Joachims (2015), The self-normalized estimator for
counterfactual learning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.statistics import interval

TRUSTED = 50.0  # sessions' worth of weights below which an estimate says nothing


@dataclass(frozen=True)
class Estimate:
    """A policy's return over the horizon, its 95 % interval, and how many sessions' worth of weights it rests on."""

    value: float
    low: float
    high: float
    sample_size: float

    @property
    def trusted(self) -> bool:
        """Whether it rests on enough."""
        return self.sample_size >= TRUSTED


def effective_size(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2, as many equal weights as are worth these (Kish, 1965)."""
    total = float((weights**2).sum())
    return float(weights.sum() ** 2 / total) if total > 0 else 0.0


def mean_of(values: np.ndarray, sample_size: float) -> Estimate:
    """The mean of a number a session."""
    return Estimate(float(values.mean()), *interval(values), sample_size)


def ips(ratios: np.ndarray, rewards: np.ndarray) -> Estimate:
    """Whole sessions, weighted by the product of their ratios."""
    weights = ratios.prod(axis=1)
    return mean_of(weights * rewards.sum(axis=1), effective_size(weights))


def self_normalised(ratios: np.ndarray, rewards: np.ndarray) -> Estimate:
    """The same, divided by the sum of the weights; its interval is that of a ratio of means."""
    weights, returns = ratios.prod(axis=1), rewards.sum(axis=1)
    mean = float(weights.mean())
    value = float((weights * returns).mean() / mean) if mean > 0 else 0.0
    low, high = interval(weights * (returns - value) / mean) if mean > 0 else (-np.inf, np.inf)
    return Estimate(value, value + low, value + high, effective_size(weights))


def per_decision(ratios: np.ndarray, rewards: np.ndarray) -> Estimate:
    """Each reward, weighted by the ratios up to its step."""
    weights = ratios.cumprod(axis=1)
    return mean_of((weights * rewards).sum(axis=1), effective_size(weights[:, -1]))


def doubly_robust(ratios: np.ndarray, rewards: np.ndarray, shown: np.ndarray, expected: np.ndarray) -> Estimate:
    """A model's values, put right by the weighted errors that it makes on what was shown.

    Args:
        ratios, rewards: see above.
        shown: the model's value of the slate that was shown.
        expected: its value of the target's slates in the same state.
    """
    weights = ratios.cumprod(axis=1)
    before = np.concatenate([np.ones((len(weights), 1)), weights[:, :-1]], axis=1)
    values = (before * expected + weights * (rewards - shown)).sum(axis=1)
    return mean_of(values, effective_size(weights[:, -1]))


def direct(expected: np.ndarray) -> Estimate:
    """What the model says of first states (N, H); the interval is over these and knows nothing of the model's error."""
    return mean_of(expected[:, 0], float(len(expected)))
