"""First sessions of many users as logs, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recsim_env.env import RecVectorEnv
from recsim_env.fitting.sessions import take
from recsim_env.logs import BehaviourPolicy, Interactions, joined_logs, log_steps
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options

BLOCK = 2000  # users side by side


def blocks_of(sessions: int) -> list[tuple[int, int]]:
    """(first user, how many) of each block."""
    return [(first, min(BLOCK, sessions - first)) for first in range(0, sessions, BLOCK)]


def first_sessions_of(
    world: Scenario, policy: BehaviourPolicy, options: dict[str, Any], sessions: int, seed: int, most: int = 0
) -> Interactions:
    """The first sessions of so many users, each whole, or its first `most` steps."""
    blocks = blocks_of(sessions)
    return joined_logs([log for block in blocks for log in sessions_from(world, policy, options, *block, seed, most)])


def sessions_from(
    world: Scenario, policy: BehaviourPolicy, options: dict[str, Any], first: int, count: int, seed: int, most: int = 0
) -> Iterator[Interactions]:
    """Those of users `first` to `first + count`, step by step; who logs a block changes nothing."""
    envs = RecVectorEnv(world, count, Options(first_user=first, **options))
    rng, playing = np.random.default_rng([seed, first]), np.ones(count, bool)
    observation, _ = envs.reset(seed=seed)
    for rows in log_steps(envs, policy, None, rng, observation):
        yield take(rows, np.flatnonzero(playing))
        playing &= ~(rows.terminated | rows.truncated)
        playing &= (most == 0) | (rows.step + 1 < most)
        if not playing.any():
            return
