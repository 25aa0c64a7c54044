"""What pairing is worth: a small improvement, planted, is found on the same users and not on others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from agents.random_slates import RandomSlates
from benchmark.evaluation import evaluate
from benchmark.run import training_envs
from benchmark.statistics import Comparison, compare
from recsim_env.agent import AgentConfig, WorldSpec
from recsim_env.env import Observation
from recsim_env.registration import find_world
from recsim_env.streams import Purpose

SURELY = 1.96  # standard errors


class Nudged(RandomSlates):
    """Random slates, and at a share of the steps those of the world's own planner."""

    observe = "full"
    share = 0.0

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.nudges = np.random.default_rng(5)

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"observe": cls.observe}

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        slates, scenario = super().act(observation, rng), self.spec.scenario
        assert scenario is not None
        nudged = self.nudges.random(len(slates)) < self.share
        slates[nudged] = scenario.plan(observation)[nudged]
        return slates


def engagement_of(kind: type[RandomSlates], share: float) -> pd.DataFrame:
    """2,000 users of interest_evolution."""
    world, config = find_world("interest_evolution").make(num_candidates=10, slate_size=3), AgentConfig(users=8)
    agent = kind(config, WorldSpec.of(training_envs(kind, config, world, 0, 1)))
    if isinstance(agent, Nudged):
        agent.share = share
    return evaluate(agent, world, users=2000, seed=0, purpose=Purpose.TEST).table


@pytest.fixture(scope="module")
def found() -> dict[float, tuple[Comparison, float]]:
    """By the share of planned slates: the comparison with random slates, and random's engagement."""
    random = engagement_of(RandomSlates, 0.0)
    mean = float(random["engagement"].mean())
    return {share: (compare(engagement_of(Nudged, share), random), mean) for share in (0.0, 0.0075, 1.0)}


def test_the_same_policy_differs_by_exactly_nothing(found: dict[float, tuple[Comparison, float]]) -> None:
    same, _ = found[0.0]
    assert (same.mean, same.low, same.high, same.paired_error) == (0.0, 0.0, 0.0, 0.0)


def test_three_in_a_thousand_are_found_by_pairing_alone(found: dict[float, tuple[Comparison, float]]) -> None:
    near, mean = found[0.0075]
    assert 0.0025 < near.mean / mean < 0.0035
    assert near.low > 0
    assert near.mean < SURELY * near.unpaired_error


def test_pairing_is_worth_much_for_near_policies_and_little_for_far_ones(
    found: dict[float, tuple[Comparison, float]],
) -> None:
    near, far = (found[share][0].unpaired_error / found[share][0].paired_error for share in (0.0075, 1.0))
    assert near > 4.0
    assert 1.0 < far < 1.5
