"""An agent while it learns, on users whom neither its training nor the test meets: the points of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.evaluation import Evaluation, evaluate
from benchmark.immediate import SavedStates
from benchmark.recorder import Scalars
from benchmark.statistics import interval
from recsim_env.agent import Agent
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose

USERS = 200
STATES, REPEATS = 200, 5  # of the immediate reward: states, and lucks that a reward is averaged over


class Validation:
    """An agent as it is: engagement in the end, and what its slates are worth at once."""

    def __init__(self, scenario: Scenario, watched: Mapping[str, Any], seed: int, threads: int) -> None:
        """`watched`: the agent's options of the environment; `seed`: of the users, and of the states."""
        self.scenario, self.watched, self.seed, self.threads = scenario, watched, seed, threads
        delayed = scenario.reward_delay > 0  # then no step's reward is of its own slate
        self.states = None if delayed else SavedStates(scenario, watched, STATES, seed)

    def __call__(self, agent: Agent) -> Scalars:
        """The means that curves show, and the 95 % interval of engagement over these users."""
        observe, purpose = self.watched["observe"], Purpose.VALIDATE
        result = evaluate(
            agent, self.scenario, users=USERS, seed=self.seed, purpose=purpose, threads=self.threads, observe=observe
        )
        points = curve_points(result)
        if self.states is not None:
            points["eval/immediate_reward"] = self.states.reward_of(agent, REPEATS)
        return points


def curve_points(result: Evaluation) -> Scalars:
    """An evaluation's means by the names of their curves."""
    summary, table = result.summary, result.table
    low, high = interval(table["engagement"].to_numpy())
    band = {"eval/engagement_low": low, "eval/engagement_high": high} if len(table) > 1 else {}
    points = {"eval/engagement": summary["engagement"], **band, "eval/length": summary["length"]}
    points["eval/click_rate"] = summary["click_rate"]
    diversity = table["diversity"].mean()
    return points if np.isnan(diversity) else {**points, "eval/diversity": float(diversity)}
