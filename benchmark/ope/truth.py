"""What a policy really earns, which only a simulator can tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.torch_tools import one_thread
from benchmark.ope.estimators import Estimate, mean_of
from benchmark.ope.target import Target
from recsim_env.env import RecVectorEnv
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose

BLOCK = 2000  # users side by side


def true_return(
    target: Target, scenario: Scenario, options: dict[str, Any], horizon: int, users: int, seed: int
) -> Estimate:
    """The mean reward of the first `horizon` steps of users' first sessions, and its interval over users.

    Args:
        target: the policy.
        scenario, options: the world, and what the policy's agent sees.
        horizon: steps.
        users: how many; none of them is in a log of training users.
        seed: of the users.
    """
    returns = []
    with one_thread():
        for first in range(0, users, BLOCK):
            made = Options(purpose=Purpose.TEST, first_user=first, **options)
            envs, rng = RecVectorEnv(scenario, min(BLOCK, users - first), made), np.random.default_rng([seed, first])
            observation, _ = envs.reset(seed=seed)
            earned, playing = np.zeros(envs.num_envs), np.ones(envs.num_envs, bool)
            for _ in range(horizon):
                observation, rewards, terminated, truncated, _ = envs.step(target.act(observation, rng))
                earned += rewards * playing
                playing &= ~(terminated | truncated)
            returns.append(earned)
    return mean_of(np.concatenate(returns), float(users))
