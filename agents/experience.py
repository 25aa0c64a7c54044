"""Stepping many users and yielding what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.env import Observation


@dataclass(frozen=True)
class Transition:
    """One step of n users.

    Attributes:
        observation: what was seen when the slates were chosen.
        slates: (n, S) candidate positions.
        rewards: (n,).
        following: what came next; of a session that was cut, its last observation, to bootstrap from.
        terminated: (n,) the session is over: nothing follows.
        ended: (n,) terminated or truncated.
        info: the environment's.
    """

    observation: Observation
    slates: np.ndarray
    rewards: np.ndarray
    following: Observation
    terminated: np.ndarray
    ended: np.ndarray
    info: dict[str, Any]


def interact(envs: Any, choose: Callable[[Observation], np.ndarray], steps: int) -> Iterator[Transition]:
    """Play whole steps of all users, `steps` user-steps at most, from the beginning of new sessions."""
    observation, _ = envs.reset()
    for _ in range(steps // envs.num_envs):
        slates = choose(observation)
        after, rewards, terminated, truncated, info = envs.step(slates)
        cut = truncated & ~terminated
        following = with_final(after, info["final_obs"], cut) if cut.any() else after
        yield Transition(observation, slates, rewards, following, terminated, terminated | truncated, info)
        observation = after


def with_final(after: Observation, final: np.ndarray, cut: np.ndarray) -> Observation:
    """`after`, with the last observation of the sessions that were cut in the place of the next one's first."""
    following = {name: values.copy() for name, values in after.items()}
    for i in np.flatnonzero(cut):
        for name in following:
            following[name][i] = final[i][name]
    return following
